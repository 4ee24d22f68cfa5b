"""A data catalog opened for one caller: its schemas, tables, columns and rows.

Permission is the catalog's own (athena:GetDataCatalog) and then the source's: a SQLite file is read in S3 as the caller, a
Lambda function is called as the caller. https://docs.aws.amazon.com/athena/latest/ug/federated-query-iam-access.html
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from lakebed.api import athena as api
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Principal, Scope
from lakebed.lake import location
from lakebed.ports.connectors import Columns, Extract, Source
from lakebed.ports.house import Ports
from lakebed.ports.sql import Demand, SqlFailure
from lakebed.services.athena.federation.sources import Body, Catalogs
from lakebed.services.athena.store import Store


class Foreign(Protocol):
    """A data source."""

    async def schemas(self) -> Sequence[str]:
        """In order."""
        ...

    async def tables(self, schema: str) -> Sequence[str]:
        """In order."""
        ...

    async def columns(self, schema: str, table: str) -> Columns:
        """(name, Hive type)."""
        ...

    async def read(self, job_id: str, table: tuple[str, str], demand: Demand, target: Path) -> Extract:
        """What a statement demands."""
        ...


class BuiltIn:
    """By ``ports.connectors``."""

    def __init__(self, p: Ports, source: Source) -> None:
        self._p, self._source = p, source

    async def schemas(self) -> Sequence[str]:
        """See Foreign."""
        return await self._p.connectors.schemas(self._source)

    async def tables(self, schema: str) -> Sequence[str]:
        """See Foreign."""
        return await self._p.connectors.tables(self._source, schema)

    async def columns(self, schema: str, table: str) -> Columns:
        """See Foreign."""
        return await self._p.connectors.columns(self._source, schema, table)

    async def read(self, job_id: str, table: tuple[str, str], demand: Demand, target: Path) -> Extract:
        """See Foreign."""
        return await self._p.connectors.read(job_id, self._source, table, demand, target)


class Opening:
    """Finds and opens catalogs."""

    def __init__(self, k: Kernel, p: Ports, store: Store, catalogs: Catalogs) -> None:
        self._k, self._p, self._store, self._catalogs = k, p, store, catalogs

    def find(self, scope: Scope, name: str) -> Body | None:
        """A catalog somebody made; statements write its name in lower case."""
        return self._store.data_catalog(scope, name)

    async def foreign(self, principal: Principal, scope: Scope, name: str) -> Foreign | None:
        """The source behind a catalog, None where it is Glue's; CATALOG_NOT_FOUND where there is none."""
        body = self.find(scope, name)
        if body is None:
            raise SqlFailure("CATALOG_NOT_FOUND", f"line 1:1: Catalog '{name}' does not exist")
        self._p.identity.authorise(
            principal, "athena:GetDataCatalog", scope.arn("athena", f"datacatalog/{body['Name']}")
        )
        if body["Type"] == "GLUE":
            return None
        if body["Type"] == "LAMBDA":
            raise SqlFailure("NOT_SUPPORTED", "queries over LAMBDA data catalogs are not built in Lakebed")
        settings = self._catalogs.settings(principal, scope, body)
        try:
            self._catalogs.check_host(settings)
        except api.InvalidRequestException as refused:
            raise SqlFailure("GENERIC_USER_ERROR", refused.message) from None
        if body["kind"] == "sqlite":
            info = await self._p.objects.head(principal, *location.parse(settings["location"]))
            settings = {"path": str(info.path)}
        return BuiltIn(self._p, Source(body["kind"], settings))


def unsupported(place: Any) -> SqlFailure:
    """A statement that another data source does not take."""
    return SqlFailure("NOT_SUPPORTED", f"{place} is not supported in a data source other than AwsDataCatalog")
