"""What the compiler reads of each kind of node: anything else that a statement sets there is refused by name.

The parser marks some meanings by an argument instead of a node of its own (``NOT LIKE`` is a LIKE with ``negate``). An
argument that nobody reads would change a statement's meaning in silence, so there is a list of those that somebody reads.
"""

from __future__ import annotations

from sqlglot import exp

from lakebed.ports.sql import SqlFailure

_TAIL = "with_ order limit offset"
_READ: dict[type[exp.Expr], frozenset[str]] = {
    kind: frozenset(names.split())
    for kind, names in (
        (exp.Select, f"{_TAIL} expressions distinct from_ joins where group having windows"),
        (exp.Union, f"{_TAIL} this expression distinct"), (exp.Except, f"{_TAIL} this expression distinct"),
        (exp.Intersect, f"{_TAIL} this expression distinct"), (exp.Subquery, f"{_TAIL} this alias joins sample"),
        (exp.Values, f"{_TAIL} expressions alias"), (exp.With, "expressions recursive"), (exp.CTE, "this alias"),
        (exp.Table, "this alias db catalog joins sample version"), (exp.Join, "this on side kind using"),
        (exp.Unnest, "expressions alias offset"), (exp.Lateral, "this alias"), (exp.TableAlias, "this columns"),
        (exp.TableSample, "method percent"), (exp.Group, "expressions grouping_sets cube rollup"),
        (exp.Where, "this"), (exp.Having, "this"), (exp.Order, "this expressions"), (exp.Ordered, "this desc nulls_first"),
        (exp.Limit, "expression"), (exp.Offset, "expression"), (exp.Fetch, "direction count limit_options"),
        (exp.Distinct, "expressions"), (exp.Alias, "this alias"), (exp.Column, "this table db catalog"),
        (exp.Like, "this expression negate"), (exp.Is, "this expression negate"), (exp.Escape, "this expression"),
        (exp.Between, "this low high"), (exp.In, "this expressions query"), (exp.Exists, "this"),
        (exp.Cast, "this to"), (exp.TryCast, "this to safe"), (exp.Case, "this ifs default"), (exp.If, "this true false"),
        (exp.Window, "this partition_by order spec alias over"), (exp.WindowSpec, "kind start start_side end end_side"),
        (exp.Interval, "this unit"), (exp.Extract, "this expression"), (exp.Trim, "this expression position"),
        (exp.Substring, "this start length"), (exp.StrPosition, "this substr"), (exp.AtTimeZone, "this zone"),
        (exp.Filter, "this expression"), (exp.WithinGroup, "this expression"), (exp.Anonymous, "this expressions"),
        (exp.Lambda, "this expressions"), (exp.Dot, "this expression"), (exp.Tuple, "expressions"),
        (exp.Not, "this"), (exp.Neg, "this"), (exp.Paren, "this"),
    )
}  # fmt: skip


def check(tree: exp.Expr) -> None:
    """Refuse what stands in a statement and would not be read."""
    for node in tree.walk():
        known = _READ.get(type(node))
        if known is None:
            continue
        for name, value in node.args.items():
            if value not in (None, False, "", []) and name not in known:
                raise SqlFailure("NOT_SUPPORTED", f"{name.strip('_').upper()} of {type(node).__name__} is not built")
