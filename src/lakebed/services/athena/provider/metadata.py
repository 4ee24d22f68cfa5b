"""Databases and tables as Athena shows them: of AwsDataCatalog, which is Glue's, and of other data catalogs.

https://docs.aws.amazon.com/athena/latest/APIReference/API_GetTableMetadata.html. The caller needs Glue's permissions too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lakebed.api import athena as api
from lakebed.kernel.errors import AwsError, not_built
from lakebed.ports.house import Ports
from lakebed.ports.service import Context, operation
from lakebed.ports.sql import SqlFailure
from lakebed.services.athena.federation.opening import Foreign, Opening
from lakebed.services.athena.model import BAD_TOKEN
from lakebed.services.athena.provider.data_catalogs import OWN, catalog_arn
from lakebed.wire.aws.pages import opened, sealed


class MetadataOperations:
    """Operations on catalogues, databases and tables."""

    def __init__(self, p: Ports, opening: Opening) -> None:
        self.p, self.opening = p, opening

    async def _foreign(self, ctx: Context, name: str) -> Foreign | None:
        """The data source of another catalog; None for Glue's."""
        if name.lower() == OWN.lower():
            return None
        if self.opening.find(ctx.scope, name) is None:
            raise api.InvalidRequestException(f"DataCatalog {name} was not found")
        return await self.opening.foreign(ctx.principal, ctx.scope, name)

    @operation("GetDatabase", resource=catalog_arn)
    async def get_database(self, ctx: Context, req: api.GetDatabaseInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/athena/latest/APIReference/API_GetDatabase.html"""
        with _Metadata():
            if (source := await self._foreign(ctx, req["CatalogName"])) is not None:
                await source.tables(req["DatabaseName"])
                return {"Database": {"Name": req["DatabaseName"].lower(), "Parameters": {}}}
            return {"Database": _database(self.p.catalog.database(ctx.principal, ctx.scope, req["DatabaseName"]))}

    @operation("ListDatabases", resource=catalog_arn, refused=("AttributesToGet",))
    async def list_databases(self, ctx: Context, req: api.ListDatabasesInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/athena/latest/APIReference/API_ListDatabases.html"""
        limit, after = req.get("MaxResults", 50), opened(req.get("NextToken"), str, "", BAD_TOKEN)
        listed: Sequence[Mapping[str, Any]]
        with _Metadata():
            if (source := await self._foreign(ctx, req["CatalogName"])) is not None:
                listed = [{"Name": name} for name in await source.schemas()]
            else:
                listed = self.p.catalog.databases(ctx.principal, ctx.scope)
        found = sorted(listed, key=lambda each: str(each["Name"]))
        found = [each for each in found if each["Name"] > after]
        more = {"NextToken": sealed(found[limit - 1]["Name"])} if len(found) > limit else {}
        return {"DatabaseList": [_database(each) for each in found[:limit]], **more}

    @operation("GetTableMetadata", resource=catalog_arn)
    async def get_table_metadata(self, ctx: Context, req: api.GetTableMetadataInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/athena/latest/APIReference/API_GetTableMetadata.html"""
        with _Metadata():
            if (source := await self._foreign(ctx, req["CatalogName"])) is not None:
                return {"TableMetadata": await _described(source, req["DatabaseName"], req["TableName"].lower())}
            table = self.p.catalog.table(ctx.principal, ctx.scope, req["DatabaseName"], req["TableName"])
        return {"TableMetadata": _table(table)}

    @operation("ListTableMetadata", resource=catalog_arn, refused=("AttributesToGet",))
    async def list_table_metadata(self, ctx: Context, req: api.ListTableMetadataInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/athena/latest/APIReference/API_ListTableMetadata.html"""
        limit, after = req.get("MaxResults", 50), opened(req.get("NextToken"), str, "", BAD_TOKEN)
        with _Metadata():
            if (source := await self._foreign(ctx, req["CatalogName"])) is not None:
                return await self._foreign_tables(source, req, limit, after)
            # The catalogue matches in linear time: Python's own expressions could keep the event loop busy for ever.
            tables = self.p.catalog.tables(
                ctx.principal, ctx.scope, req["DatabaseName"], expression=req.get("Expression", "")
            )
        found = sorted(tables, key=lambda each: str(each["Name"]))
        found = [each for each in found if each["Name"] > after]
        more = {"NextToken": sealed(found[limit - 1]["Name"])} if len(found) > limit else {}
        return {"TableMetadataList": [_table(each) for each in found[:limit]], **more}

    async def _foreign_tables(
        self, source: Foreign, req: api.ListTableMetadataInput, limit: int, after: str
    ) -> dict[str, Any]:
        if req.get("Expression"):
            raise not_built("athena", "ListTableMetadata", "Expression over another data source")
        names = [name for name in await source.tables(req["DatabaseName"]) if name > after]
        more = {"NextToken": sealed(names[limit - 1])} if len(names) > limit else {}
        return {"TableMetadataList": [await _described(source, req["DatabaseName"], n) for n in names[:limit]], **more}


class _Metadata:
    """Glue's EntityNotFoundException as Athena's MetadataException."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, wrong: object, trace: object) -> None:
        if isinstance(wrong, AwsError) and wrong.error_code == "InvalidInputException":
            raise api.InvalidRequestException("Expression is no regular expression that is built") from None
        if isinstance(wrong, AwsError) and wrong.error_code == "EntityNotFoundException":
            raise api.MetadataException(wrong.message) from None
        if isinstance(wrong, SqlFailure):
            raise api.MetadataException(str(wrong)) from None


async def _described(source: Foreign, schema: str, name: str) -> dict[str, Any]:
    columns = [{"Name": label, "Type": kind} for label, kind in await source.columns(schema, name)]
    return {"Name": name, "TableType": "EXTERNAL_TABLE", "Columns": columns, "PartitionKeys": [], "Parameters": {}}


def _database(database: Mapping[str, Any]) -> dict[str, Any]:
    made = {"Name": database["Name"], "Parameters": dict(database.get("Parameters", {}))}
    return {**made, **({"Description": database["Description"]} if database.get("Description") else {})}


def _table(table: Mapping[str, Any]) -> dict[str, Any]:
    descriptor = table.get("StorageDescriptor", {})
    serde = descriptor.get("SerdeInfo", {})
    parameters = {
        **table.get("Parameters", {}),
        "inputformat": descriptor.get("InputFormat", ""), "outputformat": descriptor.get("OutputFormat", ""),
        "location": descriptor.get("Location", ""), "serde.serialization.lib": serde.get("SerializationLibrary", ""),
        **{f"serde.param.{key}": value for key, value in serde.get("Parameters", {}).items()},
    }  # fmt: skip
    return {
        "Name": table["Name"], "CreateTime": table.get("CreateTime", 0.0), "LastAccessTime": table.get("LastAccessTime", 0.0),
        "TableType": table.get("TableType", ""), "Parameters": parameters,
        "Columns": [_column(column) for column in descriptor.get("Columns", [])],
        "PartitionKeys": [_column(column) for column in table.get("PartitionKeys", [])],
    }  # fmt: skip


def _column(column: Mapping[str, Any]) -> dict[str, Any]:
    return {key: column[key] for key in ("Name", "Type", "Comment") if column.get(key)}
