"""Column statistics of tables and partitions, as engines write and read them.

https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-catalog-column-statistics.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lakebed.api import glue as api
from lakebed.ports.service import Context, operation
from lakebed.services.glue.model import Table, encode_key
from lakebed.services.glue.provider.desk import Desk, table_arns
from lakebed.services.glue.provider.tables import error_detail
from lakebed.services.glue.statistics import model
from lakebed.services.glue.statistics.runs import Statistics


class StatisticsOperations(Desk):
    """Read, write and delete."""

    def __init__(self, statistics: Statistics) -> None:
        super().__init__(statistics.catalogue)
        self._columns = statistics.columns

    @operation("UpdateColumnStatisticsForTable", resource=table_arns)
    async def update_for_table(self, ctx: Context, req: api.UpdateColumnStatisticsForTableRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_UpdateColumnStatisticsForTable.html"""
        return self._update(self.table(ctx, req), b"", req)

    @operation("UpdateColumnStatisticsForPartition", resource=table_arns)
    async def update_for_partition(
        self, ctx: Context, req: api.UpdateColumnStatisticsForPartitionRequest
    ) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_UpdateColumnStatisticsForPartition.html"""
        return self._update(*self._partition(ctx, req), req)

    @operation("GetColumnStatisticsForTable", resource=table_arns)
    async def get_for_table(self, ctx: Context, req: api.GetColumnStatisticsForTableRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_GetColumnStatisticsForTable.html"""
        return self._get(self.table(ctx, req), b"", req)

    @operation("GetColumnStatisticsForPartition", resource=table_arns)
    async def get_for_partition(self, ctx: Context, req: api.GetColumnStatisticsForPartitionRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_GetColumnStatisticsForPartition.html"""
        return self._get(*self._partition(ctx, req), req)

    @operation("DeleteColumnStatisticsForTable", resource=table_arns)
    async def delete_for_table(self, ctx: Context, req: api.DeleteColumnStatisticsForTableRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_DeleteColumnStatisticsForTable.html"""
        return self._delete(self.table(ctx, req), b"", req["ColumnName"])

    @operation("DeleteColumnStatisticsForPartition", resource=table_arns)
    async def delete_for_partition(
        self, ctx: Context, req: api.DeleteColumnStatisticsForPartitionRequest
    ) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_DeleteColumnStatisticsForPartition.html"""
        return self._delete(*self._partition(ctx, req), req["ColumnName"])

    def _partition(self, ctx: Context, req: Mapping[str, Any]) -> tuple[Table, bytes]:
        table, values = self.table(ctx, req), req["PartitionValues"]
        self.catalogue.partition(table, values)
        return table, encode_key(values)

    def _update(self, table: Table, key: bytes, req: Mapping[str, Any]) -> dict[str, Any]:
        errors, columns = [], _columns(table)
        with self.k.db.tx() as tx:
            for given in req["ColumnStatisticsList"]:
                model.check(given)
                if given["ColumnName"].lower() in columns:
                    self._columns.put(tx, table, key, dict(given))
                    continue
                missing = api.EntityNotFoundException(f"Column {given['ColumnName']} not found.")
                errors.append({"ColumnStatistics": given, "Error": error_detail(missing)})
        return {"Errors": errors} if errors else {}

    def _get(self, table: Table, key: bytes, req: Mapping[str, Any]) -> dict[str, Any]:
        found, errors, columns = [], [], _columns(table)
        for name in req["ColumnNames"]:
            body = self._columns.find(table, key, name.lower()) if name.lower() in columns else None
            if body is not None:
                found.append(body)
                continue
            missing = api.EntityNotFoundException(f"Statistics of column {name} not found.")
            errors.append({"ColumnName": name, "Error": error_detail(missing)})
        return {"ColumnStatisticsList": found, "Errors": errors}

    def _delete(self, table: Table, key: bytes, column: str) -> dict[str, Any]:
        with self.k.db.tx() as tx:
            if not self._columns.delete(tx, table, key, column.lower()):
                raise api.EntityNotFoundException(f"Statistics of column {column} not found.")
        return {}


def _columns(table: Table) -> set[str]:
    storage = (table.body.get("StorageDescriptor") or {}).get("Columns") or ()
    return {column["Name"].lower() for column in storage} | {name.lower() for name, _ in table.keys}
