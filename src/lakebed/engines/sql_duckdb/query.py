"""Running a statement in the engine process: compile, check the cut-off, write rows as Athena's text or as data files."""

# ruff: noqa: S608 - SQL for the locked instance, from names and literals quoted here

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from sqlglot import exp

from lakebed.engines.sql_duckdb import iceberg, output, plans, scan, scanned, travel
from lakebed.engines.sql_duckdb.instance import Instances, execute, literal
from lakebed.engines.sql_duckdb.staging import Stage
from lakebed.lake.sql import render
from lakebed.lake.sql.dialect import bind, parse
from lakebed.lake.sql.query import Compiler, Query, RelationInfo
from lakebed.lake.sql.scope import Scope, Source
from lakebed.lake.sql.typed import Typed, cast
from lakebed.lake.types import Type, duckdb_text, hive_text, parse_hive, quote
from lakebed.ports.sql import Relation, SqlFailure, SqlJob

_PRECISION = {"tinyint": 3, "smallint": 5, "integer": 10, "bigint": 19, "real": 17, "double": 17, "boolean": 0,
              "varbinary": 1073741824, "date": 0, "timestamp": 3, "timestamp with time zone": 3, "json": 0}  # fmt: skip
_VARCHAR_MAX = 2147483647


def references(instances: Instances, request: dict[str, Any]) -> list[list[str]]:
    """Tables a query names."""
    return travel.references(instances, parse(request["sql"]), request)


def prune(instances: Instances, request: dict[str, Any]) -> list[list[int]]:
    """Which partitions of each relation the conjuncts over partition columns alone leave."""
    job = job_of(request)
    _, compiler = compiled(job)
    connection = instances.open([], [])
    kept = []
    for number, relation in enumerate(job.relations):
        if not relation.partition_columns or number not in compiler.used:
            kept.append(list(range(len(relation.partitions))) if number in compiler.used else [])
            continue
        kept.append(_kept(connection, compiler, number, relation))
    return kept


def predicates(instances: Instances, request: dict[str, Any]) -> list[Any]:
    """What the statement demands of each Iceberg relation's rows."""
    job = job_of(request)
    _, compiler = compiled(job)
    connection = instances.open([], [])
    return [
        iceberg.demands(connection, compiler, number) if relation.format == "iceberg" else None
        for number, relation in enumerate(job.relations)
    ]


def _kept(connection: Any, compiler: Compiler, number: int, relation: Relation) -> list[int]:
    keys = {name.lower(): parse_hive(kind) for name, kind in relation.partition_columns}
    conditions = []
    for node, scope in compiler.conjuncts:
        source = _only_source(node, scope, number, keys)
        if source is None:
            continue
        try:
            sql = compiler.expressions(scope, {}).boolean(node)
        except SqlFailure:
            continue
        if source.nullable and _true_of_nulls(connection, source.place, keys, sql):
            continue  # An outer join's missing rows meet it: leaving partitions out would make more of them.
        conditions.append((source.place, sql))
    # The relation may stand twice in a query under two aliases: then only what all of them exclude may go.
    by_alias: dict[str, list[str]] = {}
    for alias, sql in conditions:
        by_alias.setdefault(alias, []).append(sql)
    if not by_alias or len(by_alias) < compiler.scans.get(number, 1) or not relation.partitions:
        return list(range(len(relation.partitions)))
    rows = ", ".join(
        f"({at}, {', '.join('NULL' if value is None else literal(value) for value in values)})"
        for at, values in enumerate(relation.partitions)
    )
    raw = ", ".join(f"p{at}" for at in range(len(keys)))
    typed = ", ".join(
        f"{cast(Typed(f'CAST(p{at} AS VARCHAR)', Type('varchar')), kind).sql} AS {quote(name)}"
        for at, (name, kind) in enumerate(keys.items())
    )
    kept: set[int] = set()
    for alias, parts in by_alias.items():
        found = execute(
            connection,
            f"SELECT n FROM (SELECT n, {typed} FROM (VALUES {rows}) v(n, {raw})) AS {alias} WHERE {' AND '.join(parts)}",
        ).fetchall()
        kept |= {row[0] for row in found}
    return sorted(kept)


def _only_source(node: exp.Expr, scope: Scope, number: int, keys: Mapping[str, Type]) -> Source | None:
    """The one source of the SELECT itself all columns of a condition are partition columns of."""
    columns = list(node.find_all(exp.Column))
    if not columns or list(node.find_all(exp.Query)):
        return None
    found: Source | None = None
    for column in columns:
        parts = [column.text(part) for part in ("catalog", "db", "table") if column.args.get(part)]
        own = scope.own([*parts, column.name])
        if own is None or own[1].origin is None or own[1].origin[0] != number or own[1].origin[1] not in keys:
            return None
        if found is not None and found is not own[0]:
            return None
        found = own[0]
    return found


def _true_of_nulls(connection: Any, place: str, keys: Mapping[str, Type], sql: str) -> bool:
    nulls = ", ".join(f"CAST(NULL AS {duckdb_text(kind)}) AS {quote(name)}" for name, kind in keys.items())
    return bool(execute(connection, f"SELECT coalesce({sql}, false) FROM (SELECT {nulls}) AS {place}").fetchone()[0])


def describe(_: Instances, request: dict[str, Any]) -> list[dict[str, Any]]:
    """Output columns."""
    return [_described(name, kind) for name, kind in compiled(job_of(request))[0].columns]


def run(instances: Instances, request: dict[str, Any]) -> dict[str, Any]:
    """Everything."""
    started = time.perf_counter()
    job = job_of(request)
    made, compiler = compiled(job)
    connection, size = _opened(instances, job, compiler)
    planned = time.perf_counter()
    columns = [_described(name, kind) for name, kind in made.columns]
    if job.output.format == "result":
        rows, written = _result(connection, made, job)
    else:
        rows, written = output.write(connection, made, job)
    return {
        "columns": columns, "rows": rows, "files": written, "scanned_bytes": size,
        "planning_seconds": planned - started, "execution_seconds": time.perf_counter() - planned,
        "plan": plans.profile(connection, job.relations) if made.sql else None,
    }  # fmt: skip


def _opened(instances: Instances, job: SqlJob, compiler: Compiler) -> tuple[Any, int]:
    """An instance with the statement's relations, and how many bytes they are; refused beyond the cut-off."""
    job.output.directory.mkdir(parents=True, exist_ok=True)
    files = [file.path for relation in job.relations for file in relation.files]
    files += [delete.path for relation in job.relations for delete in relation.deletes]
    connection = instances.open(files, [job.output.directory])
    size = scanned.total(connection, compiler, list(job.relations))
    if job.scanned_bytes_max and size > job.scanned_bytes_max:
        raise SqlFailure("EXCEEDED_SCAN_LIMIT", f"Bytes scanned limit was exceeded: {size} > {job.scanned_bytes_max}")
    stage = Stage(job.output.directory, instances.spill_bytes, instances.check)
    for number, relation in enumerate(job.relations):
        if number in compiler.used:
            scan.create(connection, number, relation, compiler.used[number], stage)
    return connection, size


def explain(instances: Instances, request: dict[str, Any]) -> dict[str, Any]:
    """The plan of a query; with ``analyze`` the query runs and its rows are thrown away."""
    analyze = request.pop("analyze")
    job = job_of(request)
    made, compiler = compiled(job)
    connection, size = _opened(instances, job, compiler)
    columns = [_described(name, kind) for name, kind in made.columns]
    return {"columns": columns, "plan": plans.explained(connection, made.sql, job.relations, analyze=analyze),
            "scanned_bytes": size}  # fmt: skip


def constants(_: Instances, request: dict[str, Any]) -> list[dict[str, list[str]]]:
    """What columns of each relation must equal."""
    job = job_of(request)
    return plans.constants(compiled(job)[1], len(job.relations))


def job_of(request: dict[str, Any]) -> SqlJob:
    """The job of a request."""
    body = {key: value for key, value in request.items() if key != "op"}
    return msgspec.convert(body, SqlJob, dec_hook=lambda kind, value: Path(value) if kind is Path else value)


def compiled(job: SqlJob) -> tuple[Query, Compiler]:
    """The statement in DuckDB's SQL, and what it reads."""
    relations = {}
    for number, relation in enumerate(job.relations):
        columns = [(name.lower(), parse_hive(kind)) for name, kind in [*relation.columns, *relation.partition_columns]]
        info = RelationInfo(
            number, relation.database, relation.name, columns, relation.view_sql, relation.view_database,
            relation.format != "rows" and not relation.catalog,
        )  # fmt: skip
        relations[relation.database.lower(), relation.name.lower() + relation.version] = info
    compiler = Compiler(relations, job.database.lower(), now=job.now)
    return compiler.query(parse(bind(job.sql, list(job.parameters)))), compiler


def _result(connection: Any, made: Query, job: SqlJob) -> tuple[int, list[Any]]:
    target = job.output.directory / "result.csv"
    header = ",".join('"' + name.replace('"', '""') + '"' for name, _ in made.columns)
    columns = ", ".join(f"{render.text(f'c{at}', kind)} AS c{at}" for at, (_, kind) in enumerate(made.columns))
    body = job.output.directory / "body.csv"
    count = execute(
        connection,
        f"COPY (SELECT {columns} FROM ({made.sql}) q) TO {literal(str(body))} "
        "(FORMAT csv, HEADER false, FORCE_QUOTE *, DELIMITER ',', QUOTE '\"', ESCAPE '\"')",
    ).fetchone()[0]
    with target.open("wb") as out, body.open("rb") as rows:
        out.write(header.encode() + b"\n")
        while block := rows.read(1 << 20):
            out.write(block)
    body.unlink()
    return int(count), [[str(target), target.stat().st_size, []]]


def _described(name: str, kind: Type) -> dict[str, Any]:
    base, args = kind
    precision, scale = _PRECISION.get(base, 0), 0
    if base == "decimal":
        precision, scale = args
    elif base in ("varchar", "char"):
        precision = args[0] if args else _VARCHAR_MAX
    shown = {"unknown": "varchar", "row": "row", "real": "float"}.get(base, base)
    return {"name": name, "type": shown, "precision": precision, "scale": scale,
            "case_sensitive": base in ("varchar", "char", "json"), "hive_type": hive_text(kind)}  # fmt: skip
