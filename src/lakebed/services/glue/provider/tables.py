"""Tables and their versions.

https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-catalog-tables.html
"""

from __future__ import annotations

from typing import Any

from lakebed.api import glue as api
from lakebed.kernel.errors import AwsError
from lakebed.ports.service import Context, operation
from lakebed.services.glue import model, pattern
from lakebed.services.glue.model import Table
from lakebed.services.glue.provider.desk import Desk, database_arns, table_arns
from lakebed.wire.aws.pages import sealed

_PAGE = 100
_LATEST = 1 << 62


class TableOperations(Desk):
    """Everything on tables but their partitions."""

    @operation(
        "CreateTable",
        resource=table_arns,
        refused=("Name", "PartitionIndexes", "TransactionId", "OpenTableFormatInput"),
    )
    async def create_table(self, ctx: Context, req: api.CreateTableRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_CreateTable.html"""
        given = _table_input(req.get("TableInput"))
        self.catalogue.create_table(self.scope(ctx, req), req["DatabaseName"], given, ctx.principal.arn)
        return {}

    @operation("GetTable", resource=table_arns, refused=("TransactionId", "QueryAsOfTime"))
    async def get_table(self, ctx: Context, req: api.GetTableRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_GetTable.html"""
        table = self.catalogue.table(self.scope(ctx, req), req["DatabaseName"], req["Name"])
        return {"Table": _attributes(table, req.get("AttributesToGet"))}

    @operation("GetTables", resource=database_arns, refused=("TransactionId", "QueryAsOfTime"))
    async def get_tables(self, ctx: Context, req: api.GetTablesRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_GetTables.html"""
        database = self.catalogue.database(self.scope(ctx, req), req["DatabaseName"])
        if req.get("ResourceShareType") == "FEDERATED":
            return {"TableList": []}
        limit, after = req.get("MaxResults", _PAGE), model.read_token(req.get("NextToken"), str, "")
        try:
            matches = pattern.compile_pattern(req["Expression"]) if req.get("Expression") else None
        except pattern.PatternError as wrong:
            raise api.InvalidInputException(f"Invalid expression: {wrong}") from None
        found: list[Table] = []
        while len(found) <= limit:
            page = self.catalogue.tables.after(database.scope, database.name, after, _PAGE)
            found += [table for table in page if matches is None or matches(table.name)]
            if len(page) < _PAGE:
                break
            after = page[-1].name
        result: dict[str, Any] = {
            "TableList": [_attributes(table, req.get("AttributesToGet")) for table in found[:limit]]
        }
        if len(found) > limit:
            result["NextToken"] = sealed(found[limit - 1].name)
        return result

    @operation(
        "UpdateTable",
        resource=table_arns,
        refused=("Name", "TransactionId", "ViewUpdateAction", "Force", "UpdateOpenTableFormatInput"),
    )
    async def update_table(self, ctx: Context, req: api.UpdateTableRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_UpdateTable.html"""
        self.catalogue.update_table(
            self.scope(ctx, req),
            req["DatabaseName"],
            _table_input(req.get("TableInput")),
            version=req.get("VersionId"),
            archive=not req.get("SkipArchive", False),
        )
        return {}

    @operation("DeleteTable", resource=table_arns, refused=("TransactionId",))
    async def delete_table(self, ctx: Context, req: api.DeleteTableRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_DeleteTable.html"""
        self.catalogue.delete_table(self.scope(ctx, req), req["DatabaseName"], req["Name"])
        return {}

    @operation("BatchDeleteTable", resource=database_arns, refused=("TransactionId",))
    async def batch_delete_table(self, ctx: Context, req: api.BatchDeleteTableRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_BatchDeleteTable.html"""
        scope, errors = self.scope(ctx, req), []
        self.catalogue.database(scope, req["DatabaseName"])
        for name in req["TablesToDelete"]:
            try:
                self.catalogue.delete_table(scope, req["DatabaseName"], name)
            except AwsError as wrong:
                errors.append({"TableName": name, "ErrorDetail": error_detail(wrong)})
        return {"Errors": errors} if errors else {}

    @operation("GetTableVersion", resource=table_arns)
    async def get_table_version(self, ctx: Context, req: api.GetTableVersionRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_GetTableVersion.html"""
        table = self.table(ctx, req)
        wanted = req.get("VersionId", str(table.version))
        return {"TableVersion": _version(self._at(table, wanted))}

    @operation("GetTableVersions", resource=table_arns)
    async def get_table_versions(self, ctx: Context, req: api.GetTableVersionsRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_GetTableVersions.html"""
        table, limit = self.table(ctx, req), req.get("MaxResults", _PAGE)
        before = model.read_token(req.get("NextToken"), str, "") or str(_LATEST)
        found = self.catalogue.tables.versions_before(table, _number(before), limit + 1)
        result: dict[str, Any] = {"TableVersions": [_version(version) for version in found[:limit]]}
        if len(found) > limit:
            result["NextToken"] = sealed(str(found[limit - 1].version))
        return result

    @operation("DeleteTableVersion", resource=table_arns)
    async def delete_table_version(self, ctx: Context, req: api.DeleteTableVersionRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_DeleteTableVersion.html"""
        self._delete_version(self.table(ctx, req), req["VersionId"])
        return {}

    @operation("BatchDeleteTableVersion", resource=table_arns)
    async def batch_delete_table_version(self, ctx: Context, req: api.BatchDeleteTableVersionRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_BatchDeleteTableVersion.html"""
        table, errors = self.table(ctx, req), []
        for version in req["VersionIds"]:
            try:
                self._delete_version(table, version)
            except AwsError as wrong:
                errors.append({"TableName": table.name, "VersionId": version, "ErrorDetail": error_detail(wrong)})
        return {"Errors": errors} if errors else {}

    def _at(self, table: Table, version: str) -> Table:
        found = self.catalogue.tables.version(table, _number(version))
        if found is None:
            raise api.EntityNotFoundException("Version not found.")
        return found

    def _delete_version(self, table: Table, version: str) -> None:
        if self._at(table, version).version == table.version:
            raise api.InvalidInputException("The present version of a table cannot be deleted.")
        with self.k.db.tx() as tx:
            self.catalogue.tables.delete_version(tx, table, _number(version))


def error_detail(wrong: AwsError) -> dict[str, str]:
    """What a batch tells of one entry."""
    return {"ErrorCode": wrong.error_code, "ErrorMessage": wrong.message}


def _table_input(given: Any) -> dict[str, Any]:
    if given is None:
        raise api.InvalidInputException("TableInput is required.")
    return dict(given)


def _attributes(table: Table, wanted: Any) -> dict[str, Any]:
    """The whole table, or its name and type where only they are asked for."""
    shown = table.shown()
    if not wanted or "DEFAULT" in wanted or "LATEST_ICEBERG_METADATA" in wanted:
        return shown
    members = {"NAME": "Name", "TABLE_TYPE": "TableType"}
    kept = {"Name", "DatabaseName", "CatalogId", *(members[attribute] for attribute in wanted)}
    return {key: value for key, value in shown.items() if key in kept}


def _version(table: Table) -> dict[str, Any]:
    return {"Table": table.shown(), "VersionId": str(table.version)}


def _number(version: str) -> int:
    if not version.isascii() or not version.isdigit() or len(version) > 19:
        raise api.InvalidInputException(f"The version {version[:50]} is not a number.")
    return min(int(version), _LATEST)
