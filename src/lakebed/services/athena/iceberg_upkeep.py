"""OPTIMIZE and VACUUM.

OPTIMIZE rewrites, partition by partition, files that are too small, too large or have too many deletes, once there are
enough of them, and leaves the deletes out. VACUUM expires snapshots by age and number and deletes what no snapshot needs any
more, with files nobody refers to that are older than the snapshots' age. Both by the table's properties, on the house's clock.
https://docs.aws.amazon.com/athena/latest/ug/optimize-statement.html, .../vacuum-statement.html
"""

# ruff: noqa: S608 - SQL for the compiler, which resolves every name and refuses what it does not know

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lakebed.kernel.errors import AwsError
from lakebed.lake import location
from lakebed.lake.statements import Statement
from lakebed.lake.tables import dml
from lakebed.lake.tables.properties import number
from lakebed.lake.tables.state import State, load
from lakebed.ports.sql import Output, Relation, SqlFailure, SqlJob
from lakebed.ports.tables import Plan, PlannedFile, Selection
from lakebed.services.athena.iceberg_changes import table_of
from lakebed.services.athena.iceberg_commit import ATTEMPTS, CommitLostError, committed, lost
from lakebed.services.athena.iceberg_relations import metadata_location, placed
from lakebed.services.athena.queries import Work
from lakebed.services.athena.resolve import objects_under

Body = dict[str, Any]
_TARGET_BYTES = 512 << 20
_ROUND_BYTES = 8 << 30  # rewritten in one commit; what is left, the next OPTIMIZE does
_AGE_SECONDS = 432_000
_DELETED_AT_ONCE = 1000


async def optimize(work: Work, statement: Statement) -> Body:
    """OPTIMIZE … REWRITE DATA USING BIN_PACK"""
    database, name = statement.database or work.database, statement.name
    for attempt in range(ATTEMPTS):
        table = table_of(work, database, name)
        state = await load(work.p.objects, work.principal, metadata_location(table))
        predicate = await _predicate(work, statement, state)
        selection = Selection(state.metadata_location, predicate=predicate)
        chosen = chosen_files(await work.p.tables.plan(work.principal, selection), state.properties)
        if not chosen.files:
            return {"rows": 0}
        job, outcome = await _rewritten(work, (database, name), state, chosen, attempt)
        path = str(outcome.files[0].path) if outcome.files else str(job.output.directory / "none.parquet")
        request = {"rows": path, "files": [file.location for file in chosen.files]}
        staged = await work.p.tables.stage(
            work.principal, "rewrite", state.metadata_location, request, work.scratch / f"optimize-{attempt}"
        )
        done = {"rows": outcome.rows, "scanned": outcome.scanned_bytes, "update_count": 0}
        try:
            return await committed(work, (database, name), staged, table, done)
        except CommitLostError:
            continue
    raise lost(database, name)


def chosen_files(plan: Plan, properties: Mapping[str, str]) -> Plan:
    """The files worth rewriting."""
    target = number(properties, "write.target-file-size-bytes", _TARGET_BYTES)
    small = number(properties, "optimize_rewrite_min_data_file_size_bytes", target * 3 // 4)
    large = number(properties, "optimize_rewrite_max_data_file_size_bytes", target * 9 // 5)
    enough = number(properties, "optimize_rewrite_data_file_threshold", 5)
    deletes = number(properties, "optimize_rewrite_delete_file_threshold", 2)
    groups: dict[str, list[PlannedFile]] = {}
    for file in plan.files:
        if file.size < small or file.size > large or len(file.deletes) >= deletes:
            groups.setdefault(file.group, []).append(file)
    chosen: list[PlannedFile] = []
    left = _ROUND_BYTES
    for group in groups.values():
        burdened = any(len(file.deletes) >= deletes for file in group)
        if (len(group) >= enough or burdened) and left > 0:
            chosen += group
            left -= sum(file.size for file in group)
    return Plan(chosen, plan.deletes)


async def _predicate(work: Work, statement: Statement, state: State) -> Any:
    """WHERE as a condition on files; only columns the table is partitioned by."""
    where = statement.facts["where"]
    if not where:
        return None
    columns, names = state.columns(), {field["id"]: field["name"].lower() for field in state.schema()["fields"]}
    sources = {names[part["source-id"]] for part in state.spec()}
    relation = Relation("lakebed", "target", columns, format="iceberg", field_ids=state.field_ids())
    job = SqlJob(work.body["id"], f"SELECT 1 FROM target WHERE {where}", Output(work.scratch), "lakebed", [relation],
                 work.body.get("parameters", []), now=work.k.clock.now())  # fmt: skip
    tree = (await work.p.sql.predicates(job))[0]
    if tree is None or not _columns(tree) <= sources:
        told = "Only columns the table is partitioned by, compared with constants, are allowed in OPTIMIZE's WHERE"
        raise SqlFailure("NOT_SUPPORTED", told)
    return tree


def _columns(tree: Any) -> set[str]:
    if tree[0] in ("and", "or"):
        return {name for part in tree[1:] for name in _columns(part)}
    return {tree[1]}


async def _rewritten(
    work: Work, names: tuple[str, str], state: State, chosen: Plan, attempt: int
) -> tuple[SqlJob, Any]:
    database, name = names
    columns = state.columns()
    relation = Relation(database, name, columns, format="iceberg", field_ids=state.field_ids(), options=state.reading)
    relation = await placed(work.p, work.principal, relation, chosen)
    listed = ", ".join(dml.quoted(column) for column, _ in columns)
    output = Output(work.scratch / f"rewritten-{attempt}", "parquet", "snappy", columns=columns)
    job = SqlJob(work.body["id"], f"SELECT {listed} FROM {dml.quoted(name)}", output, database, [relation],
                 timeout_seconds=work.timeout_seconds, now=work.k.clock.now())  # fmt: skip
    return job, await work.p.sql.run(job)


async def vacuum(work: Work, statement: Statement) -> Body:
    """VACUUM"""
    database, name = statement.database or work.database, statement.name
    for attempt in range(ATTEMPTS):
        table = table_of(work, database, name)
        state = await load(work.p.objects, work.principal, metadata_location(table))
        bucket, prefix = location.directory(state.location)
        if not prefix:
            told = f"Path missing in file system location: s3://{bucket}"
            raise SqlFailure("GENERIC_INTERNAL_ERROR", told)
        age = number(state.properties, "vacuum_max_snapshot_age_seconds", _AGE_SECONDS)
        before = work.k.clock.now() - age
        request = {"before_ms": int(before * 1000), "keep": number(state.properties, "vacuum_min_snapshots_to_keep", 1)}
        old = await work.p.tables.reachable(work.principal, state.metadata_location, work.scratch)
        staged = await work.p.tables.stage(
            work.principal, "expire", state.metadata_location, request, work.scratch / f"vacuum-{attempt}"
        )
        current = state.metadata_location
        if staged.facts["expired"]:
            try:
                await committed(work, (database, name), staged, table, {})
            except CommitLostError:
                continue
            current = staged.metadata_location
        kept = await work.p.tables.reachable(work.principal, current, work.scratch)
        await _sweep(work, location.Location(bucket, prefix), (old, kept), before)
        return {"rows": 0}
    raise lost(database, name)


async def _sweep(work: Work, place: location.Location, lists: tuple[Path, Path], before: float) -> None:
    """Delete what the expired snapshots alone needed, and what nobody refers to and is old. A caller who may not delete
    keeps the files: the statement succeeds all the same, as in Athena."""
    old, kept = await asyncio.to_thread(lambda: tuple(set(path.read_text().splitlines()) for path in lists))
    gone: dict[str, list[str]] = {}
    for uri in old - kept:
        at = location.parse(uri)
        gone.setdefault(at.bucket, []).append(at.prefix)
    own = gone.setdefault(place.bucket, [])
    listed = set(own)
    async for info in objects_under(work.p, work.principal, place.bucket, place.prefix):
        known = {f"{scheme}://{place.bucket}/{info.key}" for scheme in ("s3", "s3a", "s3n")}
        if info.modified < before and not known & kept and info.key not in listed:
            own.append(info.key)
    try:
        for bucket, keys in gone.items():
            for first in range(0, len(keys), _DELETED_AT_ONCE):
                await work.p.objects.delete(work.principal, bucket, keys[first : first + _DELETED_AT_ONCE])
    except AwsError as refused:
        work.k.log.info("vacuum may not delete", reason=refused.error_code)
