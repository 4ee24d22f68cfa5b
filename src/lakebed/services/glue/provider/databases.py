"""Databases and their tags.

https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-catalog-databases.html
"""

from __future__ import annotations

from typing import Any

from lakebed.api import glue as api
from lakebed.kernel.arn import parse
from lakebed.kernel.scope import Scope
from lakebed.ports.service import Context, Request, operation
from lakebed.services.glue import model
from lakebed.services.glue.provider.desk import Desk, catalog_arn, database_arns
from lakebed.wire.aws.pages import sealed

_PAGE = 100
_TAGS_MAX = 50


def _tagged(_: Scope, req: Request) -> str:
    return str(req["ResourceArn"])


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

    @operation("GetTags", resource=_tagged)
    async def get_tags(self, ctx: Context, req: api.GetTagsRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_GetTags.html"""
        return {"Tags": self.catalogue.databases.tags(ctx.scope, self._database_arn(ctx, req["ResourceArn"]))}

    @operation("TagResource", resource=_tagged)
    async def tag_resource(self, ctx: Context, req: api.TagResourceRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_TagResource.html"""
        arn, store = self._database_arn(ctx, req["ResourceArn"]), self.catalogue.databases
        tags = store.tags(ctx.scope, arn) | req["TagsToAdd"]
        if len(tags) > _TAGS_MAX:
            raise api.InvalidInputException(f"A resource has at most {_TAGS_MAX} tags.")
        with self.k.db.tx() as tx:
            store.set_tags(tx, ctx.scope, arn, tags)
        return {}

    @operation("UntagResource", resource=_tagged)
    async def untag_resource(self, ctx: Context, req: api.UntagResourceRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_UntagResource.html"""
        arn, store = self._database_arn(ctx, req["ResourceArn"]), self.catalogue.databases
        tags = {key: value for key, value in store.tags(ctx.scope, arn).items() if key not in req["TagsToRemove"]}
        with self.k.db.tx() as tx:
            store.set_tags(tx, ctx.scope, arn, tags)
        return {}

    def _database_arn(self, ctx: Context, arn: str) -> str:
        """The ARN as tags are kept under, of a database that exists: nothing else of the catalog takes tags."""
        parsed = parse(arn)
        kind, _, name = parsed.resource.partition("/") if parsed else ("", "", "")
        if (
            parsed is None
            or kind != "database"
            or (parsed.account, parsed.region) != (ctx.scope.account, ctx.scope.region)
        ):
            raise api.InvalidInputException(f"The resource {arn} cannot be tagged.")
        return ctx.scope.arn("glue", f"database/{self.catalogue.database(ctx.scope, name).name}")
