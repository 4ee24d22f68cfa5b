"""Relations as DuckDB views over explicit files: columns by name, Hive's reading rules, partition values by file.

Text is read in ``text``, ORC and Avro become Parquet in ``staging``. JSON keys match without regard to case; Parquet
columns are found by name, by position where the serde says so, and a missing one is NULL
(https://docs.aws.amazon.com/athena/latest/ug/handling-schema-updates-chapter.html).
"""

# ruff: noqa: S608 - SQL for the locked instance, from names and literals quoted here

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lakebed.engines.sql_duckdb import iceberg, jsonkeys, staging, text
from lakebed.engines.sql_duckdb.instance import execute, literal
from lakebed.engines.sql_duckdb.staging import Stage
from lakebed.lake.sql.query import HIDDEN
from lakebed.lake.sql.typed import Typed, cast
from lakebed.lake.types import VARCHAR, Type, duckdb_text, parse_hive, quote
from lakebed.ports.sql import DataFile, Relation, SqlFailure

_FILE = "lb_file"
Columns = list[tuple[str, Type]]


def create(connection: Any, number: int, relation: Relation, wanted: set[str], stage: Stage) -> None:
    """``rel_<number>``, with the partition columns last and behind them the hidden ones that are wanted."""
    if relation.format == "iceberg":
        iceberg.create(connection, number, relation, wanted)
        return
    columns = [(name.lower(), parse_hive(kind)) for name, kind in relation.columns]
    partition = [(name.lower(), parse_hive(kind)) for name, kind in relation.partition_columns]
    hidden = [name for name in HIDDEN if name in wanted]
    if relation.format == "rows":
        execute(connection, f"CREATE VIEW rel_{number} AS {_rows(relation, columns)}")
        return
    if not relation.files:
        every = [*columns, *partition, *((name, HIDDEN[name]) for name in hidden)]
        listed = ", ".join(f"CAST(NULL AS {duckdb_text(kind)}) AS {quote(name)}" for name, kind in every)
        execute(connection, f"CREATE VIEW rel_{number} AS SELECT {listed or '1 AS lb_none'} WHERE false")
        return
    groups: dict[str, list[tuple[str, DataFile]]] = {}
    for path, compression, file in staging.readable(stage, relation, columns, wanted):
        groups.setdefault(compression, []).append((path, file))
    parts = []
    for compression, files in groups.items():
        select = _select(connection, relation, columns, [path for path, _ in files], compression)
        parts.append(_joined(select, relation, partition, hidden, files))
    execute(connection, f"CREATE VIEW rel_{number} AS {' UNION ALL '.join(parts)}")


def _rows(relation: Relation, columns: Columns) -> str:
    """Rows that stand in the relation itself: information_schema, ``t$partitions``."""
    names = ", ".join(f"p{at}" for at in range(len(columns)))
    listed = ", ".join(
        f"{cast(Typed(f'CAST(p{at} AS VARCHAR)', VARCHAR), kind).sql} AS {quote(name)}"
        for at, (name, kind) in enumerate(columns)
    )
    if not relation.rows:
        nulls = ", ".join("NULL" for _ in columns)
        return f"SELECT {listed} FROM (VALUES ({nulls})) v({names}) WHERE false"
    rows = ", ".join(f"({', '.join(_value(value) for value in row)})" for row in relation.rows)
    return f"SELECT {listed} FROM (VALUES {rows}) v({names})"


def _joined(
    select: str, relation: Relation, partition: Columns, hidden: list[str], files: list[tuple[str, DataFile]]
) -> str:
    """The rows with what is known of their files: partition values and hidden columns."""
    names = [quote(name.lower()) for name, _ in relation.columns]
    if not partition and not hidden:
        return f"SELECT {', '.join(names) or '1 AS lb_none'} FROM ({select})"
    facts = {"$path": lambda file: literal(file.location), "$file_size": lambda file: str(file.size),
             "$file_modified_time": lambda file: f"make_timestamp({round(file.modified * 1000) * 1000}::BIGINT)"}  # fmt: skip
    rows = ", ".join(
        f"({', '.join([literal(path), *_values(relation, file), *(facts[name](file) for name in hidden)])})"
        for path, file in files
    )
    keys = ", ".join(["f", *(f"p{at}" for at in range(len(partition))), *(f"h{at}" for at in range(len(hidden)))])
    names += [
        f"{cast(Typed(f'p.p{at}', VARCHAR), kind).sql} AS {quote(name)}" for at, (name, kind) in enumerate(partition)
    ]
    for at, name in enumerate(hidden):
        value = (
            f"timezone('UTC', p.h{at})"
            if name == "$file_modified_time"
            else f"CAST(p.h{at} AS {duckdb_text(HIDDEN[name])})"
        )
        names.append(f"{value} AS {quote(name)}")
    return f"SELECT {', '.join(names)} FROM ({select}) s JOIN (VALUES {rows}) p({keys}) ON p.f = s.{_FILE}"


def _values(relation: Relation, file: DataFile) -> list[str]:
    return [_value(value) for value in relation.partitions[file.partition]] if relation.partition_columns else []


def _value(value: str | None) -> str:
    return "CAST(NULL AS VARCHAR)" if value is None else literal(value)


def _select(connection: Any, relation: Relation, columns: Columns, paths: list[str], compression: str) -> str:
    files = "[" + ", ".join(literal(path) for path in paths) + "]"
    if relation.format in ("parquet", "orc", "avro"):
        by_place = (
            relation.format == "parquet" and relation.options.get("parquet.column.index.access", "").lower() == "true"
        )
        return _parquet(connection, columns, files, by_place=by_place)
    if relation.format in ("json", "cloudtrail"):
        return _json(connection, columns, files, compression, relation.options)
    if relation.format in text.FORMATS:
        return text.select(connection, relation, columns, paths, _FILE)
    raise SqlFailure("NOT_SUPPORTED", f"tables in {relation.format} are not built")


def _parquet(connection: Any, columns: Columns, files: str, *, by_place: bool) -> str:
    scan = f"read_parquet({files}, union_by_name=true, filename={literal(_FILE)}, hive_partitioning=false)"
    described = execute(connection, f"DESCRIBE SELECT * FROM {scan}").fetchall()
    found = {row[0].lower(): (row[0], row[1]) for row in described}
    if by_place:
        own = [(row[0], row[1]) for row in described if row[0] != _FILE]
        found = {name: own[at] for at, (name, _) in enumerate(columns) if at < len(own)}
    listed = []
    for name, kind in columns:
        if name not in found:
            listed.append(f"CAST(NULL AS {duckdb_text(kind)}) AS {quote(name)}")
            continue
        label, own_type = found[name]
        source = quote(label)
        if own_type == "TIMESTAMP WITH TIME ZONE" and kind.base == "timestamp":
            source = f"timezone('UTC', {source})"
        listed.append(f"CAST({source} AS {duckdb_text(kind)}) AS {quote(name)}")
    return f"SELECT {', '.join([*listed, _FILE])} FROM {scan}"


def _json(connection: Any, columns: Columns, files: str, compression: str, options: Mapping[str, str]) -> str:
    lenient = "true" if options.get("ignore.malformed.json", "").lower() == "true" else "false"
    common = (
        f"format='newline_delimited', filename={literal(_FILE)}, ignore_errors={lenient}, "
        f"compression={literal(compression or 'none')}, maximum_object_size=134217728"
    )
    fold = options.get("case.insensitive", "true").lower() != "false"
    found = jsonkeys.structure(connection, f"read_json_objects({files}, {common})")
    wanted = [(name, options.get(f"mapping.{name}", name), kind) for name, kind in columns]
    dots = options.get("dots.in.keys", "").lower() == "true"
    read, made = jsonkeys.columns(wanted, found, fold=fold, dots=dots)
    return f"SELECT {', '.join([*made, _FILE])} FROM read_json({files}, columns={jsonkeys.spec(read)}, {common})"
