"""Bytes scanned, as a model of what Athena bills: text is read whole, Parquet by column chunk.

For Parquet: the compressed size of the chunks of the columns a statement reads, in the row groups whose statistics do
not rule them out, plus each file's footer; ``count(*)`` reads footers alone. LIMIT's early stop is not modelled: planned
files count whole. https://docs.aws.amazon.com/athena/latest/ug/performance-tuning-data-optimization-techniques.html
"""

# ruff: noqa: S608 - SQL for the locked instance, from names and literals quoted here

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from sqlglot import exp

from lakebed.engines.sql_duckdb import iceberg
from lakebed.engines.sql_duckdb.instance import execute, literal
from lakebed.lake.sql.query import Compiler
from lakebed.lake.types import Type, duckdb_text, parse_hive
from lakebed.ports.sql import Relation, SqlFailure

_FLIPPED = {exp.GT: "<", exp.GTE: "<=", exp.LT: ">", exp.LTE: ">=", exp.EQ: "="}
_STRAIGHT = {exp.GT: ">", exp.GTE: ">=", exp.LT: "<", exp.LTE: "<=", exp.EQ: "="}
_RULED_OUT = {"=": "lo > {v} OR hi < {v}", ">": "hi <= {v}", ">=": "hi < {v}", "<": "lo >= {v}", "<=": "lo > {v}"}


class Filter(NamedTuple):
    """``column operator value`` that every row must meet; ``value`` is DuckDB text."""

    column: str
    operator: str
    value: str
    type: Type


def total(connection: Any, compiler: Compiler, relations: list[Relation]) -> int:
    """The whole statement's bytes."""
    found = filters(compiler)
    return sum(
        # Read twice, each reading has its own conditions: then none leaves row groups out.
        _relation(
            connection,
            relation,
            compiler.used[number],
            found.get(number, []) if compiler.scans.get(number) == 1 else [],
        )
        for number, relation in enumerate(relations)
        if number in compiler.used and relation.files
    )


def filters(compiler: Compiler) -> dict[int, list[Filter]]:
    """Simple comparisons of a column with a constant, by relation."""
    found: dict[int, list[Filter]] = {}
    for node, scope in compiler.conjuncts:
        if not isinstance(node, exp.Binary) or type(node) not in _STRAIGHT:
            continue
        for column, constant, words in ((node.left, node.right, _STRAIGHT), (node.right, node.left, _FLIPPED)):
            if not isinstance(column, exp.Column) or list(constant.find_all(exp.Column, exp.Query, exp.Anonymous)):
                continue
            names = [column.text(part) for part in ("catalog", "db", "table") if column.args.get(part)] + [column.name]
            try:
                own = scope.own(names)
                value = compiler.expressions(scope, {}).compile(constant)
            except SqlFailure:
                continue
            target = own[1] if own is not None else None
            if target is not None and target.origin is not None:
                kind = target.value.type
                found.setdefault(target.origin[0], []).append(
                    Filter(target.origin[1], words[type(node)], f"CAST({value.sql} AS {duckdb_text(kind)})", kind)
                )
    return found


def _relation(connection: Any, relation: Relation, used: set[str], wanted: list[Filter]) -> int:
    if relation.catalog:
        return relation.source_bytes
    if relation.format == "iceberg":
        return iceberg.scanned(connection, relation, used)
    if relation.format != "parquet":
        return sum(file.size for file in relation.files)
    columns = {name.lower(): parse_hive(kind) for name, kind in relation.columns}
    taken = [name for name in used if name in columns]
    footers = sum(_footer(file.path) for file in relation.files)
    if not taken:
        return footers
    files = "[" + ", ".join(literal(file.path) for file in relation.files) + "]"
    names = ", ".join(literal(name) for name in taken)
    dropped = [
        f"""SELECT file_name, row_group_id FROM (SELECT file_name, row_group_id,
          TRY_CAST(stats_min_value AS {duckdb_text(each.type)}) AS lo, TRY_CAST(stats_max_value AS {duckdb_text(each.type)}) AS hi
          FROM parquet_metadata({files}) WHERE lower(path_in_schema) = {literal(each.column)})
          WHERE {_RULED_OUT[each.operator].format(v=each.value)}"""
        for each in wanted
        if each.column in columns
        and each.type.base in ("tinyint", "smallint", "integer", "bigint", "double", "date", "varchar")
    ]
    without = f"AND (file_name, row_group_id) NOT IN ({' UNION ALL '.join(dropped)})" if dropped else ""
    row = execute(
        connection,
        f"""SELECT coalesce(sum(total_compressed_size), 0) FROM parquet_metadata({files})
        WHERE lower(split_part(path_in_schema, ', ', 1)) IN ({names}) {without}""",
    ).fetchone()
    return footers + int(row[0])


def _footer(path: str) -> int:
    with Path(path).open("rb") as file:
        file.seek(-8, 2)
        return int.from_bytes(file.read(4), "little") + 8
