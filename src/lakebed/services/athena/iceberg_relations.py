"""Iceberg tables a statement names, as relations: their state at a time or version, their metadata tables, and, once what
the statement demands of their rows is known, the files that are left.

https://docs.aws.amazon.com/athena/latest/ug/querying-iceberg-table-data.html
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lakebed.kernel.scope import Principal
from lakebed.lake import location
from lakebed.lake.tables import dml, metatables
from lakebed.lake.tables.commit import METADATA
from lakebed.lake.tables.state import State, is_iceberg, load
from lakebed.lake.tables.types import hive_text
from lakebed.ports.house import Ports
from lakebed.ports.objects import ObjectInfo
from lakebed.ports.sql import DataFile, DeleteFile, Relation, SqlFailure, SqlJob, TableName
from lakebed.ports.tables import Plan, Selection

_RESULTS = {"year": "int", "month": "int", "day": "date", "hour": "int", "bucket": "int"}


class IcebergRelations:
    """Those of one statement; ``pinned`` are tables at the state a change is made over."""

    def __init__(self, p: Ports, principal: Principal, scratch: Path) -> None:
        self._p, self._principal, self._scratch = p, principal, scratch
        self.pinned: dict[tuple[str, str], Mapping[str, Any]] = {}
        self._selected: dict[tuple[str, str], Selection] = {}

    async def of(self, named: TableName, table_of: Any) -> Relation | None:
        """The relation of a name, None where it is no Iceberg table; ``table_of`` reads the catalogue."""
        name, what = metatables.split(named.name)
        target = named.name.endswith(dml.SUFFIX)
        if target:
            name = named.name.removesuffix(dml.SUFFIX)
            if (named.database, name) not in self.pinned:
                raise SqlFailure("TABLE_NOT_FOUND", f"line 1:15: Table '{named.name}' does not exist")
        try:
            table = self.pinned.get((named.database, name)) or table_of(named.database, name)
        except SqlFailure:
            if what:
                return None  # another kind of table may have such a name
            raise
        if not is_iceberg(table):
            if named.version:
                raise SqlFailure("NOT_SUPPORTED", "This connector does not support versioned tables")
            return None
        state = await load(self._p.objects, self._principal, metadata_location(table))
        snapshot_id = state.snapshot(named.as_of) if named.as_of else None
        selection = Selection(state.metadata_location, snapshot_id)
        if what:
            return await self._inspected(named, what, state, selection)
        columns = state.columns(snapshot_id)
        self._selected[named.database, named.name + named.version] = selection
        return Relation(
            named.database, named.name, [*columns, *dml.PLACES] if target else columns, format="iceberg",
            version=named.version, field_ids=state.field_ids(snapshot_id), positions=target, options=state.reading,
        )  # fmt: skip

    async def _inspected(self, named: TableName, what: str, state: State, selection: Selection) -> Relation:
        columns = metatables.COLUMNS.get(what) or _partition_columns(state)
        path, _ = await self._p.tables.inspect(self._principal, selection, what, self._scratch)
        files = [DataFile(str(path), path.stat().st_size)]
        return Relation(named.database, named.name, columns, files=files, version=named.version)

    async def filled(self, job: SqlJob) -> SqlJob:
        """The job with the files of its Iceberg relations, those left out that its conditions rule out."""
        if not any(relation.format == "iceberg" for relation in job.relations):
            return job
        demanded = await self._p.sql.predicates(job)
        relations = [
            await self._planned(relation, tree) if relation.format == "iceberg" else relation
            for relation, tree in zip(job.relations, demanded, strict=True)
        ]
        return dataclasses.replace(job, relations=relations)

    async def _planned(self, relation: Relation, tree: Any) -> Relation:
        selection = self._selected[relation.database, relation.name + relation.version]
        plan = await self._p.tables.plan(self._principal, dataclasses.replace(selection, predicate=tree))
        return await placed(self._p, self._principal, relation, plan)


async def placed(p: Ports, principal: Principal, relation: Relation, plan: Plan) -> Relation:
    """A relation with the files of a plan, each found in S3 as the caller."""

    async def found(uri: str) -> ObjectInfo:
        place = location.parse(uri)
        return await p.objects.head(principal, place.bucket, place.prefix)

    files = []
    for file in plan.files:
        if file.format != "parquet":
            raise SqlFailure("NOT_SUPPORTED", f"Iceberg data files in {file.format.upper()} are not built in Lakebed")
        info = await found(file.location)
        files.append(
            DataFile(str(info.path), file.size, location=file.location, deletes=file.deletes, modified=info.modified)
        )
    deletes = [DeleteFile(str((await found(each.location)).path), each.size, each.field_ids) for each in plan.deletes]
    return dataclasses.replace(relation, files=files, deletes=deletes)


def metadata_location(table: Mapping[str, Any]) -> str:
    """Where a table's metadata is."""
    found = (table.get("Parameters") or {}).get(METADATA)
    if not found:
        raise SqlFailure("ICEBERG_INVALID_METADATA", f"Table is missing [{METADATA}] property: {table.get('Name')}")
    return str(found)


def _partition_columns(state: State) -> list[tuple[str, str]]:
    types = {field["id"]: field["type"] for field in state.schema()["fields"]}
    fields = []
    for part in state.spec():
        transform = part["transform"].partition("[")[0]
        kind = _RESULTS.get(transform) or hive_text(types[part["source-id"]])
        fields.append(f"{part['name'].lower()}:{kind}")
    counts = [("record_count", "bigint"), ("file_count", "bigint"), ("total_size", "bigint")]
    return [("partition", f"struct<{','.join(fields)}>"), *counts] if fields else counts
