"""Partitions, one at a time, in batches, and by expression.

https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-catalog-partitions.html
"""

from __future__ import annotations

import zlib
from typing import Any

from lakebed.api import glue as api
from lakebed.kernel.errors import AwsError
from lakebed.ports.service import Context, operation
from lakebed.services.glue import model
from lakebed.services.glue.catalogue import without_columns
from lakebed.services.glue.provider.desk import Desk, table_arns
from lakebed.services.glue.provider.tables import error_detail
from lakebed.wire.aws.pages import sealed

_PAGE = 1000
_DELETE_MAX = 25


class PartitionOperations(Desk):
    """Everything on partitions."""

    @operation("CreatePartition", resource=table_arns)
    async def create_partition(self, ctx: Context, req: api.CreatePartitionRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_CreatePartition.html"""
        self.catalogue.create_partition(self.table(ctx, req), req["PartitionInput"], "CreatePartition")
        return {}

    @operation("BatchCreatePartition", resource=table_arns)
    async def batch_create_partition(self, ctx: Context, req: api.BatchCreatePartitionRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_BatchCreatePartition.html"""
        table, errors = self.table(ctx, req), []
        with self.k.db.tx():
            for given in req["PartitionInputList"]:
                try:
                    self.catalogue.create_partition(table, given, "BatchCreatePartition")
                except api.AlreadyExistsException as wrong:
                    errors.append({"PartitionValues": given.get("Values", []), "ErrorDetail": error_detail(wrong)})
        return {"Errors": errors} if errors else {}

    @operation("GetPartition", resource=table_arns)
    async def get_partition(self, ctx: Context, req: api.GetPartitionRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_GetPartition.html"""
        table = self.table(ctx, req)
        return {"Partition": self.catalogue.partition(table, req["PartitionValues"]).shown(table)}

    @operation("BatchGetPartition", resource=table_arns, refused=("QuerySessionContext",))
    async def batch_get_partition(self, ctx: Context, req: api.BatchGetPartitionRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_BatchGetPartition.html"""
        table = self.table(ctx, req)
        keys = [model.encode_key(wanted["Values"]) for wanted in req["PartitionsToGet"]]
        found = self.catalogue.partitions.load(table, keys)
        return {"Partitions": [partition.shown(table) for partition in found], "UnprocessedKeys": []}

    @operation("GetPartitions", resource=table_arns, refused=("TransactionId", "QueryAsOfTime"))
    async def get_partitions(self, ctx: Context, req: api.GetPartitionsRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_GetPartitions.html"""
        table, limit = self.table(ctx, req), req.get("MaxResults", _PAGE)
        segment, after = req.get("Segment"), model.read_token(req.get("NextToken"), bytes, b"")
        if segment is not None and segment["SegmentNumber"] >= segment["TotalSegments"]:
            raise api.InvalidInputException("SegmentNumber must be less than TotalSegments.")
        wanted = None if segment is not None else limit + 1
        keys = self.catalogue.find_partitions(table, req.get("Expression"), after=after, limit=wanted)
        if segment is not None:
            total, number = segment["TotalSegments"], segment["SegmentNumber"]
            keys = [key for key in keys if zlib.crc32(key) % total == number][: limit + 1]
        shown = [partition.shown(table) for partition in self.catalogue.partitions.load(table, keys[:limit])]
        if req.get("ExcludeColumnSchema"):
            shown = [without_columns(partition) for partition in shown]
        result: dict[str, Any] = {"Partitions": shown}
        if len(keys) > limit:
            result["NextToken"] = sealed(keys[limit - 1])
        return result

    @operation("UpdatePartition", resource=table_arns)
    async def update_partition(self, ctx: Context, req: api.UpdatePartitionRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_UpdatePartition.html"""
        table = self.table(ctx, req)
        self.catalogue.update_partition(table, req["PartitionValueList"], req["PartitionInput"], "UpdatePartition")
        return {}

    @operation("BatchUpdatePartition", resource=table_arns)
    async def batch_update_partition(self, ctx: Context, req: api.BatchUpdatePartitionRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_BatchUpdatePartition.html"""
        table, errors = self.table(ctx, req), []
        for entry in req["Entries"]:
            values = entry["PartitionValueList"]
            try:
                self.catalogue.update_partition(table, values, entry["PartitionInput"], "BatchUpdatePartition")
            except AwsError as wrong:
                errors.append({"PartitionValueList": values, "ErrorDetail": error_detail(wrong)})
        return {"Errors": errors} if errors else {}

    @operation("DeletePartition", resource=table_arns)
    async def delete_partition(self, ctx: Context, req: api.DeletePartitionRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_DeletePartition.html"""
        self.catalogue.delete_partition(self.table(ctx, req), req["PartitionValues"])
        return {}

    @operation("BatchDeletePartition", resource=table_arns)
    async def batch_delete_partition(self, ctx: Context, req: api.BatchDeletePartitionRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_BatchDeletePartition.html"""
        table, errors = self.table(ctx, req), []
        if len(req["PartitionsToDelete"]) > _DELETE_MAX:
            raise api.InvalidInputException(f"At most {_DELETE_MAX} partitions can be deleted in a batch.")
        with self.k.db.tx():
            for wanted in req["PartitionsToDelete"]:
                try:
                    self.catalogue.delete_partition(table, wanted["Values"])
                except api.EntityNotFoundException as wrong:
                    errors.append({"PartitionValues": wanted["Values"], "ErrorDetail": error_detail(wrong)})
        return {"Errors": errors} if errors else {}
