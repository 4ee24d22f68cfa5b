"""Tables of other data sources in a statement: first their columns, then, once the statement is compiled, their rows."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from lakebed.kernel.scope import Principal, Scope
from lakebed.lake.sql.places import split
from lakebed.ports.house import Ports
from lakebed.ports.sql import DataFile, Relation, SqlFailure, SqlJob, TableName
from lakebed.services.athena.federation.opening import Foreign, Opening


class FederatedRelations:
    """Those of one statement."""

    def __init__(self, p: Ports, opening: Opening, principal: Principal, scope: Scope, scratch: Path) -> None:
        self._p, self._opening, self._principal, self._scope, self._scratch = p, opening, principal, scope, scratch
        self._open: dict[str, Foreign | None] = {}

    async def of(self, named: TableName) -> Relation | None:
        """The relation of a name, None where Glue has it."""
        catalog, schema = split(named.database)
        if not catalog:
            return None
        if catalog not in self._open:
            self._open[catalog] = await self._opening.foreign(self._principal, self._scope, catalog)
        source = self._open[catalog]
        if source is None:
            return None
        if named.version:
            raise SqlFailure("NOT_SUPPORTED", "This connector does not support versioned tables")
        columns = await source.columns(schema, named.name)
        return Relation(named.database, named.name, columns, catalog=catalog)

    async def filled(self, job: SqlJob) -> SqlJob:
        """The job with the rows of its relations, as much of them as it demands."""
        if not any(relation.catalog for relation in job.relations):
            return job
        demanded = await self._p.sql.demands(job)
        self._scratch.mkdir(parents=True, exist_ok=True)
        relations = []
        for at, (relation, demand) in enumerate(zip(job.relations, demanded, strict=True)):
            source = self._open.get(relation.catalog)
            if demand is None or source is None or demand.limit == 0:
                relations.append(relation)
                continue
            target = self._scratch / f"federated-{at}.parquet"
            schema = split(relation.database)[1]
            made = await source.read(job.id, (schema, relation.name), demand, target)
            file = DataFile(str(made.path), made.size)
            relations.append(dataclasses.replace(relation, files=[file], source_bytes=made.bytes_read))
        return dataclasses.replace(job, relations=relations)
