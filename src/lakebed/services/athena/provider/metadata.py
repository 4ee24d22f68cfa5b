"""The data catalogue as Athena shows it: one catalogue, AwsDataCatalog, which is Glue's.

https://docs.aws.amazon.com/athena/latest/APIReference/API_GetTableMetadata.html. The caller needs Glue's permissions too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lakebed.api import athena as api
from lakebed.kernel.errors import AwsError
from lakebed.kernel.scope import Scope
from lakebed.ports.house import Ports
from lakebed.ports.service import Context, operation
from lakebed.services.athena.model import BAD_TOKEN
from lakebed.wire.aws.pages import opened, sealed

_NAME = "AwsDataCatalog"


def _arn(scope: Scope, req: Any) -> str:
    return scope.arn("athena", f"datacatalog/{req.get('CatalogName') or req.get('Name') or _NAME}")


class MetadataOperations:
    """Operations on catalogues, databases and tables."""

    def __init__(self, p: Ports) -> None:
        self.p = p

    @operation("ListDataCatalogs")
    async def list_data_catalogs(self, _: Context, req: api.ListDataCatalogsInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/athena/latest/APIReference/API_ListDataCatalogs.html"""
        opened(req.get("NextToken"), tuple[int], (0,), BAD_TOKEN)
        return {"DataCatalogsSummary": [{"CatalogName": _NAME, "Type": "GLUE"}]}

    @operation("GetDataCatalog", resource=_arn)
    async def get_data_catalog(self, ctx: Context, req: api.GetDataCatalogInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/athena/latest/APIReference/API_GetDataCatalog.html"""
        _known(req["Name"])
        made = {"Name": _NAME, "Type": "GLUE", "Parameters": {"catalog-id": ctx.scope.account}, "Description": ""}
        return {"DataCatalog": made}

    @operation("GetDatabase", resource=_arn)
    async def get_database(self, ctx: Context, req: api.GetDatabaseInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/athena/latest/APIReference/API_GetDatabase.html"""
        _known(req["CatalogName"])
        with _Metadata():
            return {"Database": _database(self.p.catalog.database(ctx.principal, ctx.scope, req["DatabaseName"]))}

    @operation("ListDatabases", resource=_arn, refused=("AttributesToGet",))
    async def list_databases(self, ctx: Context, req: api.ListDatabasesInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/athena/latest/APIReference/API_ListDatabases.html"""
        _known(req["CatalogName"])
        limit, after = req.get("MaxResults", 50), opened(req.get("NextToken"), str, "", BAD_TOKEN)
        with _Metadata():
            found = sorted(self.p.catalog.databases(ctx.principal, ctx.scope), key=lambda each: str(each["Name"]))
        found = [each for each in found if each["Name"] > after]
        more = {"NextToken": sealed(found[limit - 1]["Name"])} if len(found) > limit else {}
        return {"DatabaseList": [_database(each) for each in found[:limit]], **more}

    @operation("GetTableMetadata", resource=_arn)
    async def get_table_metadata(self, ctx: Context, req: api.GetTableMetadataInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/athena/latest/APIReference/API_GetTableMetadata.html"""
        _known(req["CatalogName"])
        with _Metadata():
            table = self.p.catalog.table(ctx.principal, ctx.scope, req["DatabaseName"], req["TableName"])
        return {"TableMetadata": _table(table)}

    @operation("ListTableMetadata", resource=_arn, refused=("AttributesToGet",))
    async def list_table_metadata(self, ctx: Context, req: api.ListTableMetadataInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/athena/latest/APIReference/API_ListTableMetadata.html"""
        _known(req["CatalogName"])
        limit, after = req.get("MaxResults", 50), opened(req.get("NextToken"), str, "", BAD_TOKEN)
        with _Metadata():
            # The catalogue matches in linear time: Python's own expressions could keep the event loop busy for ever.
            tables = self.p.catalog.tables(
                ctx.principal, ctx.scope, req["DatabaseName"], expression=req.get("Expression", "")
            )
        found = sorted(tables, key=lambda each: str(each["Name"]))
        found = [each for each in found if each["Name"] > after]
        more = {"NextToken": sealed(found[limit - 1]["Name"])} if len(found) > limit else {}
        return {"TableMetadataList": [_table(each) for each in found[:limit]], **more}


class _Metadata:
    """Glue's EntityNotFoundException as Athena's MetadataException."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, wrong: object, trace: object) -> None:
        if isinstance(wrong, AwsError) and wrong.error_code == "InvalidInputException":
            raise api.InvalidRequestException("Expression is no regular expression that is built") from None
        if isinstance(wrong, AwsError) and wrong.error_code == "EntityNotFoundException":
            raise api.MetadataException(wrong.message) from None


def _known(name: str) -> None:
    if name.lower() != _NAME.lower():
        raise api.InvalidRequestException(f"DataCatalog {name} was not found")


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
