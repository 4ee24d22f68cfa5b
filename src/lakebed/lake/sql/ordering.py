"""ORDER BY, LIMIT, OFFSET and FETCH FIRST … WITH TIES of a compiled SELECT or set operation.

Trino sorts NULLs last whatever the direction, and an ordinal or an output name stands for the output column.
https://trino.io/docs/current/sql/select.html#order-by-clause
"""

from __future__ import annotations

from sqlglot import exp

from lakebed.lake.sql.expressions import Expressions
from lakebed.lake.sql.shapes import ordinal, with_ties
from lakebed.lake.sql.typed import Typed
from lakebed.ports.sql import SqlFailure


def order_by(node: exp.Expr, of: Expressions, names: list[str]) -> str:
    order = node.args.get("order")
    if order is None:
        return ""
    parts = []
    for item in order.expressions:
        key = item.this
        if isinstance(key, exp.Literal) and not key.is_string:
            sql = str(ordinal(key, len(names)))
        elif isinstance(key, exp.Column) and not key.table and names.count(key.name.lower()) == 1:
            sql = str(names.index(key.name.lower()) + 1)
        else:
            sql = of.compile(key).sql
        first = item.args.get("nulls_first")
        parts.append(f"{sql} {'DESC' if item.args.get('desc') else 'ASC'} NULLS {'FIRST' if first else 'LAST'}")
    return f" ORDER BY {', '.join(parts)}"


def limit_of(node: exp.Expr) -> str:
    made = ""
    limit, offset = node.args.get("limit"), node.args.get("offset")
    if isinstance(limit, exp.Fetch):
        if with_ties(limit):
            if not isinstance(node, exp.Select):
                raise SqlFailure("NOT_SUPPORTED", "WITH TIES over a set operation is not built")
            return ""
        made += f" LIMIT {_number(limit.args.get('count') or exp.Literal.number(1))}"
    elif limit is not None and limit.expression.name.upper() != "ALL":
        made += f" LIMIT {_number(limit.expression)}"
    if offset is not None:
        made += f" OFFSET {_number(offset.expression)}"
    return made


def ties_of(node: exp.Select, of: Expressions, items: list[tuple[str, Typed]]) -> str:
    """FETCH FIRST n ROWS WITH TIES: a rank over the same order."""
    limit = node.args.get("limit")
    if not with_ties(limit):
        return ""
    order, names = node.args.get("order"), [name for name, _ in items]
    if order is None:
        raise SqlFailure("MISSING_ORDER_BY", "FETCH FIRST WITH TIES clause requires ORDER BY")
    if node.args.get("offset") is not None or node.args.get("distinct") is not None:
        raise SqlFailure("NOT_SUPPORTED", "WITH TIES beside OFFSET or DISTINCT is not built")
    parts = []
    for item in order.expressions:
        key = item.this
        if isinstance(key, exp.Literal) and not key.is_string:
            sql = items[ordinal(key, len(items)) - 1][1].sql
        elif isinstance(key, exp.Column) and not key.table and names.count(key.name.lower()) == 1:
            sql = items[names.index(key.name.lower())][1].sql
        else:
            sql = of.compile(key).sql
        parts.append(f"{sql} {'DESC' if item.args.get('desc') else 'ASC'} "
                     f"NULLS {'FIRST' if item.args.get('nulls_first') else 'LAST'}")  # fmt: skip
    assert limit is not None
    count = _number(limit.args.get("count") or exp.Literal.number(1))
    return f" QUALIFY rank() OVER (ORDER BY {', '.join(parts)}) <= {count}"


def _number(node: exp.Expr) -> int:
    text = node.name
    if not text.isdigit() or len(text) > 18:
        raise SqlFailure("SYNTAX_ERROR", f"line 1:1: mismatched input '{text[:50]}'. Expecting: <integer>")
    return int(text)
