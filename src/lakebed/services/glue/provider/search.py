"""SearchTables: over all databases, only what the caller may read.

https://docs.aws.amazon.com/glue/latest/webapi/API_SearchTables.html
"""

from __future__ import annotations

from typing import Any

from lakebed.api import glue as api
from lakebed.kernel.errors import AwsError
from lakebed.ports.house import Ports
from lakebed.ports.service import Context, operation
from lakebed.services.glue import model
from lakebed.services.glue.catalogue import Catalogue
from lakebed.services.glue.model import Table
from lakebed.services.glue.provider.desk import Desk, catalog_arn, table_arns
from lakebed.services.glue.search import matcher
from lakebed.wire.aws.pages import sealed

_PAGE = 100
_LOOKED_AT_MAX = 1000


class SearchOperations(Desk):
    """The one operation that crosses databases."""

    def __init__(self, catalogue: Catalogue, p: Ports) -> None:
        super().__init__(catalogue)
        self.p = p

    @operation("SearchTables", resource=catalog_arn, refused=("SortCriteria",))
    async def search_tables(self, ctx: Context, req: api.SearchTablesRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_SearchTables.html"""
        scope, limit = self.scope(ctx, req), req.get("MaxResults", _PAGE)
        if req.get("ResourceShareType") in ("FOREIGN", "FEDERATED"):
            return {"TableList": []}
        matches = matcher(req.get("SearchText"), [dict(one) for one in req.get("Filters") or ()])
        found: list[dict[str, Any]] = []
        after = model.read_token(req.get("NextToken"), tuple[str, str], ("", ""))
        page = self.catalogue.tables.after_all(scope, after, _LOOKED_AT_MAX)
        for at, table in enumerate(page):
            shown = table.shown()
            if matches(shown) and self._may_read(ctx, table):
                found.append(shown)
            if len(found) == limit and at + 1 < len(page):
                return {"TableList": found, "NextToken": sealed((table.database, table.name))}
        more = len(page) == _LOOKED_AT_MAX
        return (
            {"TableList": found, "NextToken": sealed((page[-1].database, page[-1].name))}
            if more
            else {"TableList": found}
        )

    def _may_read(self, ctx: Context, table: Table) -> bool:
        try:
            for arn in table_arns(ctx.scope, {"DatabaseName": table.database, "Name": table.name}):
                self.p.identity.authorise(ctx.principal, "glue:GetTable", arn)
        except AwsError:
            return False
        return True
