"""INSERT, UPDATE, DELETE, MERGE and CREATE TABLE AS over Iceberg tables.

The SQL engine computes the rows, the Iceberg engine makes files of them. An INSERT that loses the race to commit is put over
the new state as it is; a statement that read the rows it changes runs anew, so that it never acts on rows that are gone.
https://docs.aws.amazon.com/athena/latest/ug/querying-iceberg-updating-table-data.html
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from lakebed.lake import location
from lakebed.lake.statements import Statement
from lakebed.lake.tables import dml, properties, types
from lakebed.lake.tables.state import load
from lakebed.lake.types import parse_hive
from lakebed.ports.sql import Output, SqlFailure, SqlJob, SqlOutcome
from lakebed.services.athena.iceberg_commit import ATTEMPTS, CommitLostError, committed, lost
from lakebed.services.athena.iceberg_relations import metadata_location
from lakebed.services.athena.queries import Work
from lakebed.services.athena.resolve import Resolver

Body = dict[str, Any]
_CTAS = {"table_type", "location", "is_external", "partitioning", "format", "write_compression", "compression_level"}


def table_of(work: Work, database: str, name: str) -> Mapping[str, Any]:
    """The table as the catalogue has it now."""
    return Resolver(work.p, work.principal, work.scope).table(database, name)


async def insert(work: Work, statement: Statement) -> Body:
    """INSERT INTO"""
    database = statement.database or work.database
    table = table_of(work, database, statement.name)
    state = await load(work.p.objects, work.principal, metadata_location(table))
    columns = state.columns()
    sql = dml.insert(statement.sql, statement.facts["columns"], columns)
    outcome, path, _ = await _rows(work, sql, columns, 0, None)
    for attempt in range(ATTEMPTS):
        if attempt:
            table = table_of(work, database, statement.name)
            now = await load(work.p.objects, work.principal, metadata_location(table))
            if now.columns() != columns:
                raise lost(database, statement.name)
        request = {"rows": path}
        staged = await work.p.tables.stage(
            work.principal, "append", metadata_location(table), request, work.scratch / f"insert-{attempt}"
        )
        done = {**_told(outcome), "update_count": outcome.rows}
        try:
            return await committed(work, (database, statement.name), staged, table, done)
        except CommitLostError:
            continue
    raise lost(database, statement.name)


async def change(work: Work, statement: Statement) -> Body:
    """UPDATE, DELETE, MERGE"""
    database, name = statement.database or work.database, statement.name
    facts = dml.bound(statement.facts, work.body.get("parameters", []))
    work = dataclasses.replace(work, body={**work.body, "parameters": []})
    for attempt in range(ATTEMPTS):
        table = table_of(work, database, name)
        state = await load(work.p.objects, work.principal, metadata_location(table))
        columns, acts = state.columns(), statement.kind == "merge"
        if statement.kind == "delete":
            sql, wanted = dml.delete(database, name, facts), dml.PLACES
        elif statement.kind == "update":
            sql, wanted = dml.update(database, name, facts, columns), [*dml.PLACES, *columns]
        else:
            sql = dml.merge(database, name, facts, columns)
            wanted = [*dml.PLACES, (dml.ACTION, "int"), *columns]
        outcome, path, job = await _rows(work, sql, wanted, attempt, {(database, name): table})
        done = {**_told(outcome), "update_count": outcome.rows}
        if not outcome.rows:
            return done
        request = {"rows": path, "acts": acts, "insert": statement.kind != "delete",
                   "locations": _locations(job, database, name)}  # fmt: skip
        staged = await work.p.tables.stage(
            work.principal, "delta", state.metadata_location, request, work.scratch / f"change-{attempt}"
        )
        try:
            return await committed(work, (database, name), staged, table, done)
        except CommitLostError:
            continue
    raise lost(database, name)


async def create_table_as(work: Work, statement: Statement) -> Body:
    """CREATE TABLE … WITH (table_type = 'ICEBERG') AS"""
    database, name = statement.database or work.database, statement.name
    given = {key.lower(): value for key, value in statement.facts["properties"].items()}
    for key in given:
        if key not in _CTAS and not key.startswith(("vacuum_", "optimize_", "write_")):
            raise SqlFailure("INVALID_TABLE_PROPERTY", f"Unsupported table property for ICEBERG tables: {key}")
    if given.get("is_external", "false").lower() != "false":
        raise SqlFailure("INVALID_TABLE_PROPERTY", "ICEBERG tables must have is_external = false")
    if not given.get("location"):
        raise SqlFailure("INVALID_TABLE_PROPERTY", "location is required for ICEBERG tables")
    work.p.catalog.database(work.principal, work.scope, database)
    target = location.directory(given["location"])
    await empty(work, target)
    sql = statement.sql if statement.facts["data"] else f"SELECT * FROM ({statement.sql}) WHERE false"  # noqa: S608 - compiled, not run
    outcome, path, _ = await _rows(work, sql, [], 0, None)
    columns = [(column.name, parse_hive(column.hive_type), "") for column in outcome.columns]
    schema = types.schema(columns)
    terms = [types.transform(text) for text in given.get("partitioning", "").split("\x00") if text]
    known = {column: (at + 1, kind) for at, (column, kind, _) in enumerate(columns)}
    request = {"schema": schema, "spec": types.spec(terms, known), "location": str(target).rstrip("/"),
               "properties": properties.fresh(given), "rows": path}  # fmt: skip
    staged = await work.p.tables.stage(work.principal, "create", None, request, work.scratch / "create")
    done = {**_told(outcome), "update_count": outcome.rows}
    return await committed(work, (database, name), staged, None, done)


async def empty(work: Work, target: location.Location) -> None:
    """A new table's place must hold nothing."""
    if not target.prefix:
        raise SqlFailure(
            "INVALID_TABLE_PROPERTY", "An Iceberg table lies in a folder of a bucket, not in the bucket itself"
        )
    if await work.p.objects.list(work.principal, target.bucket, target.prefix, limit=1):
        told = f"Cannot create a table on a non-empty location: {target}, set 'iceberg.unique-table-location=true'"
        raise SqlFailure("ICEBERG_FILESYSTEM_ERROR", told.partition(", set")[0])


async def _rows(
    work: Work, sql: str, columns: Any, attempt: int, pinned: Mapping[tuple[str, str], Any] | None
) -> tuple[SqlOutcome, str, SqlJob]:
    """Run a query into one Parquet file; its outcome, the file's path (perhaps of none, where there are no rows), the job."""
    output = Output(work.scratch / f"rows-{attempt}", "parquet", "snappy", columns=columns)
    job = await work.prepared(sql, output, pinned=pinned)
    outcome = await work.p.sql.run(job)
    path = str(outcome.files[0].path) if outcome.files else str(output.directory / "none.parquet")
    return outcome, path, job


def _locations(job: SqlJob, database: str, name: str) -> list[str]:
    """The target's files in the order of their numbers."""
    wanted = (database, name + dml.SUFFIX)
    target = next(each for each in job.relations if (each.database, each.name) == wanted)
    return [file.location for file in target.files]


def _told(outcome: SqlOutcome) -> Body:
    return {
        "rows": outcome.rows, "scanned": outcome.scanned_bytes, "planning_ms": round(outcome.planning_seconds * 1000),
        "output_bytes": sum(file.size for file in outcome.files),
    }  # fmt: skip
