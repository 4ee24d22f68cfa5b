"""Where a request points: the catalog's account, and the ARNs a permission is asked for.

Glue asks for the permission on the catalog, the database and the table alike; a policy that names only the table denies.
https://docs.aws.amazon.com/glue/latest/dg/glue-specifying-resource-arns.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lakebed.kernel.errors import AwsError
from lakebed.kernel.scope import Scope
from lakebed.ports.service import Context, Request
from lakebed.services.glue.catalogue import Catalogue
from lakebed.services.glue.model import Table, folded


class Desk:
    """What every provider of Glue starts from."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.k = catalogue.k

    def scope(self, ctx: Context, req: Mapping[str, Any]) -> Scope:
        """The catalog a request names: the caller's own, until resource policies of catalogs are built."""
        if req.get("CatalogId", ctx.scope.account) != ctx.scope.account:
            raise AwsError("AccessDeniedException", "Cross account access to the Data Catalog is not granted.")
        return ctx.scope

    def table(self, ctx: Context, req: Mapping[str, Any]) -> Table:
        """The table of a request on partitions or versions."""
        return self.catalogue.table(self.scope(ctx, req), req["DatabaseName"], req["TableName"])


def catalog_arn(scope: Scope, _: Request) -> str:
    """The catalog alone."""
    return scope.arn("glue", "catalog")


def database_arns(scope: Scope, req: Request) -> list[str]:
    """Catalog and database, wherever the request names it."""
    name = req.get("DatabaseName") or req.get("Name") or req["DatabaseInput"]["Name"]
    return [scope.arn("glue", "catalog"), scope.arn("glue", f"database/{folded(name)}")]


def table_arns(scope: Scope, req: Request) -> list[str]:
    """Catalog, database and table, wherever the request names it."""
    database, name = folded(req["DatabaseName"]), req.get("TableName") or req.get("Name")
    name = folded(name or (req.get("TableInput") or {}).get("Name", ""))
    return [
        scope.arn("glue", "catalog"),
        scope.arn("glue", f"database/{database}"),
        scope.arn("glue", f"table/{database}/{name}"),
    ]
