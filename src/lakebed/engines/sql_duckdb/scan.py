"""Relations as DuckDB views over explicit files: columns by name, Hive's reading rules, partition values by file.

Text follows Hive: short rows are filled with NULL, long ones cut, values that do not parse are NULL
(https://docs.aws.amazon.com/athena/latest/ug/lazy-simple-serde.html); JSON keys match without regard to case; Parquet
columns are found by name and a missing one is NULL (https://docs.aws.amazon.com/athena/latest/ug/handling-schema-updates-chapter.html).
"""

# ruff: noqa: S608 - SQL for the locked instance, from names and literals quoted here

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lakebed.engines.sql_duckdb import jsonkeys
from lakebed.engines.sql_duckdb.instance import execute, literal
from lakebed.lake.sql.typed import Typed, cast
from lakebed.lake.types import VARCHAR, Type, duckdb_text, parse_hive, quote
from lakebed.ports.sql import DataFile, Relation, SqlFailure

_FILE = "lb_file"


def create(connection: Any, number: int, relation: Relation) -> None:
    """``rel_<number>``, with the partition columns last."""
    columns = [(name.lower(), parse_hive(kind)) for name, kind in relation.columns]
    partition = [(name.lower(), parse_hive(kind)) for name, kind in relation.partition_columns]
    if not relation.files:
        listed = ", ".join(
            f"CAST(NULL AS {duckdb_text(kind)}) AS {quote(name)}" for name, kind in [*columns, *partition]
        )
        execute(connection, f"CREATE VIEW rel_{number} AS SELECT {listed or '1 AS lb_none'} WHERE false")
        return
    groups: dict[str, list[DataFile]] = {}
    for file in relation.files:
        groups.setdefault(file.compression, []).append(file)
    parts = []
    for compression, files in groups.items():
        select = _select(connection, relation, columns, [file.path for file in files], compression)
        parts.append(_with_partitions(select, relation, partition, files))
    execute(connection, f"CREATE VIEW rel_{number} AS {' UNION ALL '.join(parts)}")


def _with_partitions(select: str, relation: Relation, partition: list[tuple[str, Type]], files: list[DataFile]) -> str:
    names = ", ".join(quote(name.lower()) for name, _ in relation.columns)
    if not partition:
        return f"SELECT {names or '1 AS lb_none'} FROM ({select})"
    rows = ", ".join(
        f"({literal(file.path)}, {', '.join(_value(value) for value in relation.partitions[file.partition])})"
        for file in files
    )
    keys = ", ".join(f"p{at}" for at in range(len(partition)))
    values = ", ".join(
        f"{cast(Typed(f'p.p{at}', VARCHAR), kind).sql} AS {quote(name)}" for at, (name, kind) in enumerate(partition)
    )
    listed = f"{names}, {values}" if names else values
    return f"SELECT {listed} FROM ({select}) s JOIN (VALUES {rows}) p(f, {keys}) ON p.f = s.{_FILE}"


def _value(value: str | None) -> str:
    return "CAST(NULL AS VARCHAR)" if value is None else literal(value)


def _select(
    connection: Any, relation: Relation, columns: Sequence[tuple[str, Type]], paths: list[str], compression: str
) -> str:
    files = "[" + ", ".join(literal(path) for path in paths) + "]"
    if relation.format == "parquet":
        return _parquet(connection, columns, files)
    if relation.format == "json":
        return _json(connection, columns, files, compression, relation.options)
    if relation.format in ("csv", "opencsv"):
        return _csv(relation, columns, files, compression)
    raise SqlFailure("NOT_SUPPORTED", f"tables in {relation.format} are not built")


def _parquet(connection: Any, columns: Sequence[tuple[str, Type]], files: str) -> str:
    scan = f"read_parquet({files}, union_by_name=true, filename={literal(_FILE)}, hive_partitioning=false)"
    described = execute(connection, f"DESCRIBE SELECT * FROM {scan}").fetchall()
    found = {row[0].lower(): (row[0], row[1]) for row in described}
    listed = []
    for name, kind in columns:
        if name not in found:
            listed.append(f"CAST(NULL AS {duckdb_text(kind)}) AS {quote(name)}")
            continue
        own, own_type = found[name]
        source = quote(own)
        if own_type == "TIMESTAMP WITH TIME ZONE" and kind.base == "timestamp":
            source = f"timezone('UTC', {source})"
        listed.append(f"CAST({source} AS {duckdb_text(kind)}) AS {quote(name)}")
    return f"SELECT {', '.join([*listed, _FILE])} FROM {scan}"


def _json(
    connection: Any, columns: Sequence[tuple[str, Type]], files: str, compression: str, options: Mapping[str, str]
) -> str:
    lenient = "true" if options.get("ignore.malformed.json", "").lower() == "true" else "false"
    common = (
        f"format='newline_delimited', filename={literal(_FILE)}, ignore_errors={lenient}, "
        f"compression={literal(compression or 'none')}, maximum_object_size=134217728"
    )
    fold = options.get("case.insensitive", "true").lower() != "false"
    found = jsonkeys.structure(connection, f"read_json_objects({files}, {common})")
    wanted = [(name, options.get(f"mapping.{name}", name), kind) for name, kind in columns]
    read, made = jsonkeys.columns(wanted, found, fold=fold)
    return f"SELECT {', '.join([*made, _FILE])} FROM read_json({files}, columns={jsonkeys.spec(read)}, {common})"


def _csv(relation: Relation, columns: Sequence[tuple[str, Type]], files: str, compression: str) -> str:
    options, strict = relation.options, relation.format == "opencsv"
    delimiter = options.get("separatorChar", ",") if strict else _delimiter(options)
    quoting = options.get("quoteChar", '"') if strict else ""
    escape = (options.get("escapeChar", "\\") or quoting) if strict else options.get("escape.delim", "")
    if strict and escape == "\\":
        escape = quoting  # Quotes inside quotes are doubled by every writer we know; a lone backslash stays as it is.
    if len(delimiter) != 1 or not columns:
        raise SqlFailure("NOT_SUPPORTED", "the field delimiter must be one character")
    if escape and not strict:
        raise SqlFailure("NOT_SUPPORTED", "escape.delim of LazySimpleSerDe is not built")
    skip = options.get("skip.header.line.count", "0")
    null = "" if strict else options.get("serialization.null.format", "\\N")
    wanted = ", ".join(f"{literal(f'c{at}')}: 'VARCHAR'" for at in range(len(columns)))
    scan = (
        f"read_csv({files}, columns={{{wanted}}}, delim={literal(delimiter)}, quote={literal(quoting)}, "
        f"escape={literal(escape if strict else '')}, header=false, skip={int(skip) if skip.isdigit() else 0}, "
        f"auto_detect=false, null_padding=true, strict_mode=false, filename={literal(_FILE)}, "
        f"nullstr={literal(null or chr(0))}, compression={literal(compression or 'none')}, max_line_size=33554432"
        + (", parallel=false)" if strict else ")")
    )
    listed = [f"{_text(f'c{at}', kind, options, strict)} AS {quote(name)}" for at, (name, kind) in enumerate(columns)]
    return f"SELECT {', '.join([*listed, _FILE])} FROM {scan}"


def _delimiter(options: Mapping[str, str]) -> str:
    text = options.get("field.delim", options.get("serialization.format", "\x01"))
    if text in ("1", ""):
        return "\x01"
    return {"\\t": "\t", "\\001": "\x01"}.get(text, text)


def _text(sql: str, kind: Type, options: Mapping[str, str], strict: bool) -> str:
    if kind.base in ("varchar", "char"):
        return cast(Typed(sql, VARCHAR), kind).sql
    if kind.base == "array" and not strict:
        separator = options.get("collection.delim", options.get("colelction.delim", "\x02"))
        items = f"CASE WHEN {sql} = '' THEN [] ELSE string_split({sql}, {literal(separator)}) END"
        return f"list_transform({items}, lambda t_: {_text('t_', kind.args[0], options, strict)})"
    if kind.base in ("map", "row", "array"):
        raise SqlFailure("NOT_SUPPORTED", f"{kind.base} columns of text tables are not built")
    if kind.base == "varbinary":
        return f"encode({sql})"
    made = cast(Typed(f"trim({sql})" if kind.base != "timestamp" else sql, VARCHAR), kind).sql
    if strict:
        return f"CASE WHEN {sql} = '' THEN NULL ELSE {made} END"
    return f"TRY({made})"
