"""Data catalogs: AwsDataCatalog, which is Glue's and always there, and those that somebody makes.

A catalog's name is matched without regard to case in statements, so two names that differ only in case are one.
https://docs.aws.amazon.com/athena/latest/APIReference/API_CreateDataCatalog.html. Refused by name: Type HIVE, connections
of Glue and connection types without a connector here.
"""

from __future__ import annotations

import re
from typing import Any

from lakebed.api import athena as api
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Scope
from lakebed.ports.service import Context, operation
from lakebed.services.athena.federation.sources import Body, Catalogs, shown
from lakebed.services.athena.model import BAD_TOKEN
from lakebed.services.athena.provider.workgroups import tags_of
from lakebed.services.athena.store import Store
from lakebed.wire.aws.pages import opened, sealed

OWN = "AwsDataCatalog"
_NAME = re.compile(r"[A-Za-z0-9_@-]{1,127}")
_CATALOGS_MAX = 1000
_SUMMARY = {"Name": "CatalogName", "Type": "Type", "Status": "Status", "ConnectionType": "ConnectionType"}


def catalog_arn(scope: Scope, req: Any) -> str:
    """The data catalog a request is about."""
    return scope.arn("athena", f"datacatalog/{req.get('CatalogName') or req.get('Name') or OWN}")


class DataCatalogOperations:
    """Operations on data catalogs."""

    def __init__(self, k: Kernel, store: Store, catalogs: Catalogs) -> None:
        self.k, self.store, self.catalogs = k, store, catalogs

    def _require(self, scope: Scope, name: str) -> Body:
        found = self.store.data_catalog(scope, name)
        if found is None:
            raise api.InvalidRequestException(f"DataCatalog {name} was not found")
        return found

    @operation("CreateDataCatalog", resource=catalog_arn)
    async def create_data_catalog(self, ctx: Context, req: api.CreateDataCatalogInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/athena/latest/APIReference/API_CreateDataCatalog.html"""
        name, tags = req["Name"], tags_of(req.get("Tags", []))
        if not _NAME.fullmatch(name):
            raise api.InvalidRequestException("A data catalog's name is up to 127 of A-Z a-z 0-9 _ @ -")
        if name.lower() == OWN.lower() or self.store.data_catalog(ctx.scope, name) is not None:
            raise api.InvalidRequestException(f"DataCatalog {name} already exists")
        if len(self.store.data_catalogs(ctx.scope, "", _CATALOGS_MAX)) >= _CATALOGS_MAX:
            raise api.InvalidRequestException(f"At most {_CATALOGS_MAX} data catalogs are allowed")
        made = self.catalogs.made(ctx.principal, ctx.scope, req, "CreateDataCatalog")
        with self.k.db.tx() as tx:
            self.store.put_data_catalog(tx, ctx.scope, made)
            self.store.put_tags(tx, ctx.scope, catalog_arn(ctx.scope, req), tags)
        return {"DataCatalog": shown(made)}

    @operation("UpdateDataCatalog", resource=catalog_arn)
    async def update_data_catalog(self, ctx: Context, req: api.UpdateDataCatalogInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/athena/latest/APIReference/API_UpdateDataCatalog.html"""
        before = self._require(ctx.scope, req["Name"])
        if req["Type"] != before["Type"]:
            raise api.InvalidRequestException("The type of a data catalog cannot be changed")
        asked = {**req, "Name": before["Name"]}
        made = dict(before)
        if "Parameters" in req:
            made = self.catalogs.made(ctx.principal, ctx.scope, asked, "UpdateDataCatalog")
        made["Description"] = req.get("Description", before["Description"])
        with self.k.db.tx() as tx:
            self.store.put_data_catalog(tx, ctx.scope, made)
        return {}

    @operation("DeleteDataCatalog", resource=catalog_arn, refused=("DeleteCatalogOnly",))
    async def delete_data_catalog(self, ctx: Context, req: api.DeleteDataCatalogInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/athena/latest/APIReference/API_DeleteDataCatalog.html"""
        found = self._require(ctx.scope, req["Name"])
        with self.k.db.tx() as tx:
            self.store.delete_data_catalog(tx, ctx.scope, found["Name"])
            self.store.put_tags(tx, ctx.scope, ctx.scope.arn("athena", f"datacatalog/{found['Name']}"), {})
        gone = {"Status": "DELETE_COMPLETE"} if "Status" in found else {}
        return {"DataCatalog": {**shown(found), **gone}}

    @operation("ListDataCatalogs")
    async def list_data_catalogs(self, ctx: Context, req: api.ListDataCatalogsInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/athena/latest/APIReference/API_ListDataCatalogs.html"""
        limit, after = req.get("MaxResults", 50), opened(req.get("NextToken"), str, "", BAD_TOKEN)
        own = [] if after else [{"Name": OWN, "Type": "GLUE"}]
        found = [*own, *self.store.data_catalogs(ctx.scope, after, limit + 1)]
        more = {"NextToken": sealed(_key(found[limit - 1]))} if len(found) > limit else {}
        listed = [{shape: body[name] for name, shape in _SUMMARY.items() if name in body} for body in found[:limit]]
        return {"DataCatalogsSummary": listed, **more}

    @operation("GetDataCatalog", resource=catalog_arn)
    async def get_data_catalog(self, ctx: Context, req: api.GetDataCatalogInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/athena/latest/APIReference/API_GetDataCatalog.html"""
        if req["Name"].lower() != OWN.lower():
            return {"DataCatalog": shown(self._require(ctx.scope, req["Name"]))}
        made = {"Name": OWN, "Type": "GLUE", "Parameters": {"catalog-id": ctx.scope.account}, "Description": ""}
        return {"DataCatalog": made}


def _key(body: Body) -> str:
    """Where a page goes on; the catalog that is always there comes before every name."""
    return " " if body["Name"] == OWN else str(body["Name"]).lower()
