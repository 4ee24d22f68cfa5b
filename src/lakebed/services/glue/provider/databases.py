"""Databases.

https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-catalog-databases.html
"""

from __future__ import annotations

from typing import Any

from lakebed.api import glue as api
from lakebed.ports.service import Context, operation
from lakebed.services.glue import model
from lakebed.services.glue.provider.desk import Desk, catalog_arn, database_arns
from lakebed.wire.aws.pages import sealed

_PAGE = 100


class DatabaseOperations(Desk):
    """Everything on databases."""

    @operation("CreateDatabase", resource=database_arns)
    async def create_database(self, ctx: Context, req: api.CreateDatabaseRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_CreateDatabase.html"""
        self.catalogue.create_database(self.scope(ctx, req), req["DatabaseInput"], req.get("Tags") or {})
        return {}

    @operation("GetDatabase", resource=database_arns)
    async def get_database(self, ctx: Context, req: api.GetDatabaseRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_GetDatabase.html"""
        return {"Database": self.catalogue.database(self.scope(ctx, req), req["Name"]).shown()}

    @operation("GetDatabases", resource=catalog_arn)
    async def get_databases(self, ctx: Context, req: api.GetDatabasesRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_GetDatabases.html"""
        scope = self.scope(ctx, req)
        if req.get("ResourceShareType") in ("FOREIGN", "FEDERATED"):
            return {"DatabaseList": []}
        limit = req.get("MaxResults", _PAGE)
        found = self.catalogue.databases.after(scope, model.read_token(req.get("NextToken"), str, ""), limit + 1)
        shown = [database.shown() for database in found[:limit]]
        if "NAME" in (req.get("AttributesToGet") or ()):
            shown = [{"Name": database["Name"], "CatalogId": database["CatalogId"]} for database in shown]
        result: dict[str, Any] = {"DatabaseList": shown}
        if len(found) > limit:
            result["NextToken"] = sealed(found[limit - 1].name)
        return result

    @operation("UpdateDatabase", resource=database_arns)
    async def update_database(self, ctx: Context, req: api.UpdateDatabaseRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_UpdateDatabase.html"""
        self.catalogue.update_database(self.scope(ctx, req), req["Name"], req["DatabaseInput"])
        return {}

    @operation("DeleteDatabase", resource=database_arns)
    async def delete_database(self, ctx: Context, req: api.DeleteDatabaseRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_DeleteDatabase.html"""
        self.catalogue.delete_database(self.scope(ctx, req), req["Name"])
        return {}
