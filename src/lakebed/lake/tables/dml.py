"""UPDATE, DELETE and MERGE as queries: which rows of the target go (file and position), which rows come.

The target stands in the query under a name only we can use; there it has two columns more, ``lb_file`` and ``lb_pos``. The
query is text in Athena's own dialect and goes through the compiler like any other, so what a user may write in a condition
is what a user may write in WHERE. A MERGE's clauses are tried in order and the first that holds acts on a row.
https://trino.io/docs/current/sql/merge.html, https://docs.aws.amazon.com/athena/latest/ug/merge-into-statement.html
"""

# ruff: noqa: S608 - SQL for the compiler, which resolves every name and refuses what it does not know

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lakebed.lake.tokens import tokenise
from lakebed.ports.sql import SqlFailure

SUFFIX = "$lakebed_rows"
FILE, POSITION, ACTION = "lb_file", "lb_pos", "lb_action"
_DELETES, _UPDATES, _INSERTS = 1, 2, 3
Columns = Sequence[tuple[str, str]]
_LITERAL_WORDS = ("NULL", "TRUE", "FALSE", "DATE", "TIME", "TIMESTAMP", "DECIMAL", "DOUBLE", "REAL", "BIGINT", "SMALLINT",
                  "TINYINT", "INTERVAL", "YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND", "X", "E")  # fmt: skip
PLACES: list[tuple[str, str]] = [(FILE, "int"), (POSITION, "bigint")]


def quoted(name: str) -> str:
    """An identifier in Athena's dialect."""
    return '"' + name.replace('"', '""') + '"'


def bound(facts: Mapping[str, Any], parameters: Sequence[str]) -> dict[str, Any]:
    """A statement's facts with each ``?`` replaced by its parameter, in the order in which the statement has them (a MERGE's
    conditions stand in its query several times, so the query itself cannot be bound)."""
    left = list(parameters)
    made = {key: _bound(value, left) for key, value in facts.items()}
    if left:
        raise SqlFailure("INVALID_PARAMETER_USAGE", f"line 1:1: Incorrect number of parameters: {len(left)} too many")
    return made


def _bound(value: Any, left: list[str]) -> Any:
    if isinstance(value, dict):
        return {key: _bound(part, left) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_bound(part, left) for part in value)
    if not isinstance(value, str) or "?" not in value:
        return value
    text, at = "", 0
    for token in tokenise(value):
        if token.kind == "mark" and token.text == "?":
            if not left:
                raise SqlFailure("INVALID_PARAMETER_USAGE", "line 1:1: Incorrect number of parameters: too few")
            text, at = f"{text}{value[at : token.start]}({_literal(left.pop(0))})", token.end
    return text + value[at:]


def _literal(parameter: str) -> str:
    tokens = tokenise(parameter)[:-1]
    plain = all(
        token.kind in ("string", "number")
        or (token.kind == "word" and token.text.upper() in _LITERAL_WORDS)
        or (token.kind == "mark" and token.text in "+-")
        for token in tokens
    )
    if not tokens or not plain:
        raise SqlFailure("INVALID_PARAMETER_USAGE", "line 1:1: parameters must be literals")
    return parameter


def _target(database: str, name: str, facts: Mapping[str, Any]) -> tuple[str, str]:
    """FROM's text for the target, and the alias its columns have."""
    alias = quoted(facts["alias"] or name)
    return f"{quoted(database)}.{quoted(name + SUFFIX)} AS {alias}", alias


def delete(database: str, name: str, facts: Mapping[str, Any]) -> str:
    """The places of the rows that go."""
    source, alias = _target(database, name, facts)
    return f"SELECT {alias}.{FILE}, {alias}.{POSITION} FROM {source}{_where(facts)}"


def update(database: str, name: str, facts: Mapping[str, Any], columns: Columns) -> str:
    """The places of the rows that go and the rows that come for them."""
    source, alias = _target(database, name, facts)
    assigned = _known(dict(facts["set"]), columns)
    listed = [f"{assigned.get(column, f'{alias}.{quoted(column)}')} AS {quoted(column)}" for column, _ in columns]
    return f"SELECT {alias}.{FILE}, {alias}.{POSITION}, {', '.join(listed)} FROM {source}{_where(facts)}"


def merge(database: str, name: str, facts: Mapping[str, Any], columns: Columns) -> str:
    """As ``update``, with what is done to each row: 1 goes, 2 is replaced, 3 is new."""
    target, alias = _target(database, name, facts)
    place = f"{alias}.{FILE}"
    tests, actions, values = [], [], []
    for clause in facts["clauses"]:
        test = f"{place} IS {'NOT ' if clause['matched'] else ''}NULL"
        tests.append(f"{test} AND ({clause['and']})" if clause["and"] else test)
        actions.append({"delete": _DELETES, "update": _UPDATES, "insert": _INSERTS}[clause["do"]])
        values.append(_row(clause, alias, columns))
    action = (
        f"CASE {' '.join(f'WHEN {test} THEN {what}' for test, what in zip(tests, actions, strict=True))} ELSE 0 END"
    )
    listed = []
    for at, (column, _) in enumerate(columns):
        cases = " ".join(f"WHEN {test} THEN {row[at]}" for test, row in zip(tests, values, strict=True))
        listed.append(f"CASE {cases} END AS {quoted(column)}")
    return (
        f"SELECT * FROM (SELECT {place} AS {FILE}, {alias}.{POSITION} AS {POSITION}, {action} AS {ACTION}, "
        f"{', '.join(listed)} FROM {facts['source']} LEFT JOIN {target} ON ({facts['on']})) WHERE {ACTION} <> 0"
    )


def insert(sql: str, named: Sequence[str], columns: Columns) -> str:
    """A query's columns in the table's order, NULL for those that are not named."""
    known = [column for column, _ in columns]
    for name in named:
        if name not in known:
            raise SqlFailure("COLUMN_NOT_FOUND", f"line 1:1: Insert column name does not exist in target table: {name}")
    if len(set(named)) != len(named):
        raise SqlFailure("DUPLICATE_COLUMN_NAME", "line 1:1: Insert column name is specified more than once")
    if not named or list(named) == known:
        return sql
    labels = ", ".join(quoted(f"x_{at}") for at in range(len(named)))
    listed = ", ".join(quoted(f"x_{named.index(column)}") if column in named else "NULL" for column in known)
    return f"SELECT {listed} FROM ({sql}) AS lb_source ({labels})"


def _row(clause: Mapping[str, Any], alias: str, columns: Columns) -> list[str]:
    if clause["do"] == "delete":
        return [f"{alias}.{quoted(column)}" for column, _ in columns]
    if clause["do"] == "update":
        assigned = _known(dict(clause["set"]), columns)
        return [assigned.get(column, f"{alias}.{quoted(column)}") for column, _ in columns]
    named = clause["columns"] or [column for column, _ in columns]
    if len(named) != len(clause["values"]):
        told = f"Insert query has mismatched column counts: {len(named)} columns, {len(clause['values'])} values"
        raise SqlFailure("TYPE_MISMATCH", f"line 1:1: {told}")
    given = _known(dict(zip(named, clause["values"], strict=True)), columns)
    return [given.get(column, "NULL") for column, _ in columns]


def _known(assigned: dict[str, str], columns: Columns) -> dict[str, str]:
    known = {column for column, _ in columns}
    for name in assigned:
        if name not in known:
            raise SqlFailure("COLUMN_NOT_FOUND", f"line 1:1: The target table does not have a column named {name}")
    return {name: "NULL" if text.upper() == "DEFAULT" else f"({text})" for name, text in assigned.items()}


def _where(facts: Mapping[str, Any]) -> str:
    return f" WHERE {facts['where']}" if facts["where"] else ""
