"""Parsing: sqlglot's Trino grammar with every function left as the user wrote it.

sqlglot knows many functions and rewrites them while parsing, sometimes wrongly; here it is a parser only, so that the
compiler's own tables alone decide what a name means. One statement, of bounded nesting, and only a query.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from sqlglot import exp
from sqlglot.dialects.trino import Trino
from sqlglot.errors import ParseError, TokenError
from sqlglot.tokenizer_core import TokenType

from lakebed.lake.sql.grammar import check
from lakebed.ports.sql import SqlFailure

_KEPT = ("CAST", "TRY_CAST", "EXTRACT", "TRIM", "POSITION", "SUBSTRING")


class Athena(Trino):
    """Trino's grammar without function knowledge."""

    INDEX_OFFSET = 0

    class Parser(Trino.Parser):  # type: ignore[misc,valid-type]  # sqlglot's dialects nest their parsers so
        FUNCTIONS: ClassVar[dict[str, Callable[..., Any]]] = {}
        FUNCTION_PARSERS: ClassVar[dict[str, Any]] = {
            name: parser for name, parser in Trino.Parser.FUNCTION_PARSERS.items() if name in _KEPT
        }


def parse(sql: str) -> exp.Expr:
    """One query's tree; SqlFailure SYNTAX_ERROR otherwise."""
    if "\x00" in sql:
        raise SqlFailure("SYNTAX_ERROR", "line 1:1: the statement holds a NUL character")
    try:
        statements = [statement for statement in Athena().parse(sql.strip().rstrip(";")) if statement is not None]
    except ParseError as wrong:
        told = wrong.errors[0] if wrong.errors else {}
        near = told.get("highlight") or ""
        line, column = told.get("line", 1), max(1, (told.get("col") or 1) - len(near) + 1)
        raise SqlFailure("SYNTAX_ERROR", f"line {line}:{column}: mismatched input '{near or '<EOF>'}'") from None
    except TokenError as wrong:
        raise SqlFailure("SYNTAX_ERROR", f"line 1:1: {str(wrong)[:200]}") from None
    except RecursionError:
        raise SqlFailure("STACK_OVERFLOW", "the statement is nested too deeply") from None
    if len(statements) != 1:
        raise SqlFailure("SYNTAX_ERROR", "line 1:1: Only one sql statement is allowed.")
    tree = statements[0]
    if not isinstance(tree, exp.Select | exp.SetOperation | exp.Values | exp.Subquery):
        word = (sql.split() or ["<EOF>"])[0]
        raise SqlFailure("SYNTAX_ERROR", f"line 1:1: mismatched input '{word}'. Expecting: a query")
    check(tree)
    return tree


def bind(sql: str, parameters: list[str]) -> str:
    """The statement with each ``?`` replaced by its parameter, which must be a literal."""
    try:
        tokens = Athena().tokenize(sql)
        places = [token for token in tokens if token.token_type == TokenType.PLACEHOLDER]
    except TokenError as wrong:
        raise SqlFailure("SYNTAX_ERROR", f"line 1:1: {str(wrong)[:200]}") from None
    if len(places) != len(parameters):
        raise SqlFailure(
            "INVALID_PARAMETER_USAGE",
            f"line 1:1: Incorrect number of parameters: expected {len(places)} but found {len(parameters)}",
        )
    for token, parameter in reversed(list(zip(places, parameters, strict=True))):
        sql = f"{sql[: token.start]}{_literal_text(parameter)}{sql[token.end + 1 :]}"
    return sql


def _literal_text(parameter: str) -> str:
    tree = parse(f"SELECT {parameter}")
    items = tree.expressions if isinstance(tree, exp.Select) else []
    plain = (
        exp.Literal,
        exp.Neg,
        exp.Cast,
        exp.Null,
        exp.Boolean,
        exp.Interval,
        exp.DataType,
        exp.DataTypeParam,
        exp.Var,
    )
    if len(items) != 1 or (
        set(tree.args) - {"expressions"} and any(v for k, v in tree.args.items() if k != "expressions")
    ):
        raise SqlFailure("INVALID_PARAMETER_USAGE", "line 1:1: parameters must be literals")
    if not all(isinstance(part, plain) for part in items[0].walk()):
        raise SqlFailure("INVALID_PARAMETER_USAGE", "line 1:1: parameters must be literals")
    return f"({parameter})" if isinstance(items[0], exp.Neg) else parameter


def where(node: exp.Expr) -> str:
    """``line 1:8: `` of the first thing in the node that has a place."""
    for part in node.find_all(exp.Identifier, exp.Anonymous):
        meta = part.meta
        if "line" in meta:
            return f"line {meta['line']}:{meta['start'] + 1 if meta['line'] == 1 else meta['col']}: "
    return "line 1:1: "


def version_of(table: exp.Expr) -> str:
    """The text of a table's FOR TIMESTAMP|VERSION AS OF, empty without one: two versions of a table are two relations."""
    version = table.args.get("version")
    return f"@{version.sql(dialect='trino')}" if version is not None else ""


def names(tree: exp.Expr) -> list[tuple[str, str, str]]:
    """Tables a query names that are not its own WITH names, in order, each once: (catalog, database, name)."""
    local = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    found: dict[tuple[str, str, str], None] = {}
    for table in tree.find_all(exp.Table):
        if isinstance(table.this, exp.Identifier) and not (not table.db and table.name.lower() in local):
            found[(table.catalog.lower(), table.db.lower(), table.name.lower())] = None
    return list(found)
