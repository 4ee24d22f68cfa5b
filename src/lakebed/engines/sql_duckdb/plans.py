"""Plans of statements, told in Trino's words: what a query reads, joins and sorts, with rows and times where it ran.

DuckDB's plan is another than Trino's, so what is told is what really runs here. Of the engine's own notes only counts and
kinds of joins are kept: its expressions speak of names that users never wrote, and of files.
https://docs.aws.amazon.com/athena/latest/ug/athena-explain-statement.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import msgspec
from sqlglot import exp

from lakebed.engines.sql_duckdb.instance import execute
from lakebed.lake.sql.query import Compiler
from lakebed.lake.sql.scope import Scope
from lakebed.ports.sql import Relation, SqlFailure

_NAMES = {
    "TOP_N": "TopN", "PROJECTION": "Project", "HASH_GROUP_BY": "Aggregate", "PERFECT_HASH_GROUP_BY": "Aggregate",
    "UNGROUPED_AGGREGATE": "Aggregate", "PARTITIONED_AGGREGATE": "Aggregate", "SIMPLE_AGGREGATE": "Aggregate",
    "HASH_JOIN": "Join", "NESTED_LOOP_JOIN": "Join", "PIECEWISE_MERGE_JOIN": "Join", "BLOCKWISE_NL_JOIN": "Join",
    "IE_JOIN": "Join", "CROSS_PRODUCT": "CrossJoin", "FILTER": "Filter", "ORDER_BY": "Sort", "LIMIT": "Limit",
    "STREAMING_LIMIT": "Limit", "UNION": "Union", "WINDOW": "Window", "STREAMING_WINDOW": "Window", "UNNEST": "Unnest",
    "INOUT_FUNCTION": "Unnest", "COLUMN_DATA_SCAN": "Values", "DUMMY_SCAN": "Values", "EMPTY_RESULT": "Values",
    "RIGHT_DELIM_JOIN": "Join", "LEFT_DELIM_JOIN": "Join", "DELIM_SCAN": "Values", "CTE": "CTE", "CTE_SCAN": "CTEScan",
    "RECURSIVE_CTE": "CTE", "STREAMING_SAMPLE": "Sample", "RESERVOIR_SAMPLE": "Sample", "DISTINCT": "Distinct",
}  # fmt: skip
_DROPPED = ("RESULT_COLLECTOR", "EXPLAIN_ANALYZE", "BATCH_COPY_TO_FILE", "COPY_TO_FILE", "BATCH_CREATE_TABLE_AS",
            "CREATE_TABLE_AS", "QUERY")  # fmt: skip


def explained(connection: Any, sql: str, relations: Sequence[Relation], *, analyze: bool) -> dict[str, Any]:
    """The plan of a compiled query; ``analyze`` runs it."""
    word = "ANALYZE, " if analyze else ""
    text = execute(connection, f"EXPLAIN ({word}FORMAT json) {sql}").fetchall()[0][1]
    return tree(text, relations)


def profile(connection: Any, relations: Sequence[Relation]) -> dict[str, Any] | None:
    """The plan of the statement that ran last, None where the engine tells none."""
    try:
        return tree(connection.get_profiling_information(), relations)
    except (duckdb.Error, msgspec.DecodeError, LookupError):
        return None


def tree(text: str, relations: Sequence[Relation]) -> dict[str, Any]:
    """The engine's JSON as nodes of name, table, rows, milliseconds and children."""
    found = msgspec.json.decode(text)
    roots = found if isinstance(found, list) else found.get("operator", [])
    files = {file.path: f"{each.database}:{each.name}" for each in relations for file in each.files}
    tables = [f"{each.database}:{each.name}" for each in relations if each.files]
    nodes = [node for root in roots for node in _node(root, files, tables)]
    return nodes[0] if len(nodes) == 1 else {"name": "Output", "children": nodes}


def _node(raw: Mapping[str, Any], files: Mapping[str, str], tables: list[str]) -> list[dict[str, Any]]:
    name = str(raw.get("name", "")).strip().upper()
    children = [node for child in raw.get("children", []) for node in _node(child, files, tables)]
    if name in _DROPPED:
        return children
    info = raw.get("extra_info") or {}
    made: dict[str, Any] = {"name": _NAMES.get(name, ""), "children": children}
    if not made["name"]:
        scan = any(word in name for word in ("READ_", "SCAN", "TABLE"))
        made["name"] = "TableScan" if scan else name.title().replace("_", "")
        if scan:
            text = str(info)
            table = next(
                (told for path, told in files.items() if path in text), tables[0] if len(set(tables)) == 1 else ""
            )
            made["table"] = table
    if made["name"] == "Join":
        kind = str(info.get("Join Type", "INNER")).title()
        made["name"] = (
            f"{kind if kind in ('Inner', 'Left', 'Right', 'Full', 'Semi', 'Anti', 'Mark', 'Single') else 'Inner'}Join"
        )
    rows = raw.get("intermediate_rows", raw.get("operator_cardinality"))
    made["rows"] = int(rows if rows is not None else str(info.get("Estimated Cardinality", "0")).lstrip("~") or 0)
    made["milliseconds"] = round(float(raw.get("timing", raw.get("operator_timing", 0.0)) or 0.0) * 1000)
    return [made]


def constants(compiler: Compiler, count: int) -> list[dict[str, list[str]]]:
    """For each relation, the texts its columns must equal one of: what injected partitions are made of."""
    found: list[dict[str, list[str]]] = [{} for _ in range(count)]
    for node, scope in compiler.conjuncts:
        column, values = _equality(node)
        if column is None:
            continue
        own = _own(scope, column)
        if own is not None:
            before = found[own[0]].get(own[1])
            found[own[0]][own[1]] = values if before is None else [value for value in before if value in values]
    for number, times in compiler.scans.items():
        if times > 1:  # the conditions of two readings are not told apart
            found[number] = {}
    return found


def _own(scope: Scope, column: exp.Column) -> tuple[int, str] | None:
    names = [column.text(part) for part in ("catalog", "db", "table") if column.args.get(part)]
    try:
        own = scope.own([*names, column.name])
    except SqlFailure:
        return None
    return own[1].origin if own is not None else None


def _equality(node: exp.Expr) -> tuple[exp.Column | None, list[str]]:
    if isinstance(node, exp.EQ):
        for column, value in ((node.left, node.right), (node.right, node.left)):
            if isinstance(column, exp.Column) and isinstance(value, exp.Literal):
                return column, [value.name]
    listed = isinstance(node, exp.In) and isinstance(node.this, exp.Column) and node.expressions
    if listed and all(isinstance(value, exp.Literal) for value in node.expressions):
        return node.this, [value.name for value in node.expressions]
    return None, []
