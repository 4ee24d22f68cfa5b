"""Shapes of a query's parts: small questions about sqlglot's trees that have one answer.

https://trino.io/docs/current/sql/select.html
"""

from __future__ import annotations

from sqlglot import exp

from lakebed.lake.sql.dialect import where
from lakebed.lake.types import Type
from lakebed.ports.sql import SqlFailure


def not_supported(node: exp.Expr) -> SqlFailure:
    """What is not built, by its name."""
    return SqlFailure("NOT_SUPPORTED", f"{where(node)}{type(node).__name__} is not built")


def mentions(node: exp.Expr, name: str) -> bool:
    """Whether a query reads a table of this name."""
    return any(not table.db and table.name.lower() == name for table in node.find_all(exp.Table))


def unwrapped(node: exp.Expr) -> exp.Expr:
    """A query without the parentheses around it."""
    return node.this if isinstance(node, exp.Subquery) and not has_tail(node) else node


def with_ties(limit: exp.Expr | None) -> bool:
    """Whether FETCH FIRST keeps ties."""
    options = limit.args.get("limit_options") if isinstance(limit, exp.Fetch) else None
    if options is not None and options.args.get("percent"):
        raise SqlFailure("SYNTAX_ERROR", "line 1:1: mismatched input 'PERCENT'")
    return options is not None and bool(options.args.get("with_ties"))


def has_tail(node: exp.Expr) -> bool:
    """Whether ORDER BY, LIMIT or OFFSET stand behind."""
    return any(node.args.get(key) is not None for key in ("order", "limit", "offset"))


def sampled(node: exp.Table) -> str:
    """TABLESAMPLE."""
    sample = node.args.get("sample")
    if sample is None:
        return ""
    share, method = sample.args.get("percent"), str(getattr(sample.args.get("method"), "name", "")).upper()
    given = {key for key, value in sample.args.items() if value}
    known = method in ("BERNOULLI", "SYSTEM") and given == {"method", "percent"}
    if not known or not isinstance(share, exp.Literal) or share.is_string:
        raise SqlFailure("NOT_SUPPORTED", "TABLESAMPLE takes BERNOULLI or SYSTEM and a number here")
    if not 0 <= float(share.name) <= 100:
        raise SqlFailure("NUMERIC_VALUE_OUT_OF_RANGE", "Sample percentage must be between 0 and 100")
    return f" TABLESAMPLE {method.lower()}({float(share.name)}%)"


def conjuncts(node: exp.Expr) -> list[exp.Expr]:
    """The conditions an AND joins."""
    if isinstance(node, exp.Paren):
        return conjuncts(node.this)
    if isinstance(node, exp.And):
        return conjuncts(node.left) + conjuncts(node.right)
    return [node]


def alias_columns(node: exp.Expr) -> list[exp.Expr]:
    """The column names of a table's alias."""
    alias = node.args.get("alias")
    return list(alias.args.get("columns") or []) if isinstance(alias, exp.TableAlias) else []


def renamed(columns: list[tuple[str, Type]], names: list[str], node: exp.Expr) -> list[tuple[str, Type]]:
    """Columns under an alias's names."""
    if not names:
        return columns
    if len(names) != len(columns):
        told = f"Column alias list has {len(names)} entries but relation has {len(columns)} columns"
        raise SqlFailure("MISMATCHED_COLUMN_ALIASES", f"{where(node)}{told}")
    return [(name, kind) for name, (_, kind) in zip(names, columns, strict=True)]


def ordinal(node: exp.Literal, count: int) -> int:
    """The position an integer in ORDER BY or GROUP BY means."""
    if not node.name.isdigit() or not 1 <= int(node.name) <= count:
        raise SqlFailure("INVALID_COLUMN_REFERENCE", f"line 1:1: position {node.name} is not in select list")
    return int(node.name)


def given_names(item: exp.Aliases, count: int) -> list[str]:
    """The names of ``row.* AS (a, b)``."""
    names = [name.name.lower() for name in item.expressions]
    if len(names) != count:
        raise SqlFailure(
            "MISMATCHED_COLUMN_ALIASES", f"Column alias list has {len(names)} entries but there are {count} fields"
        )
    return names
