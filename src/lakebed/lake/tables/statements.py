"""Statements that are about Iceberg tables by their form: CREATE TABLE, DELETE, UPDATE, MERGE, OPTIMIZE, VACUUM, and the
ALTER TABLE forms that change single columns. Read as (kind, database, name, facts).

https://docs.aws.amazon.com/athena/latest/ug/querying-iceberg-creating-tables.html, .../querying-iceberg-updating-table-data
.html, .../merge-into-statement.html, .../optimize-statement.html, .../vacuum-statement.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lakebed.lake.tokens import Cursor
from lakebed.ports.sql import SqlFailure

Read = tuple[str, str, str, dict[str, Any]]
DML = ("delete", "update", "merge")


def read(cursor: Cursor) -> Read | None:
    """The statement, None where it is another kind's; the cursor then stands where it stood."""
    start = cursor.at
    for words, reader in _READERS:
        if cursor.take(*words):
            found = reader(cursor)
            if found is not None:
                return found
            cursor.at = start
    return None


def _cut(cursor: Cursor, *ends: str) -> str:
    """The text up to one of these words outside parentheses and CASE, or the end."""
    start, depth, last = cursor.token.start, 0, cursor.token.start
    while not cursor.ended:
        token = cursor.token
        if token.kind == "mark":
            depth += token.text in "([{"
            depth -= token.text in ")]}"
        elif token.kind == "word":
            word = token.text.upper()
            if depth == 0 and word in ends:
                break
            depth += word == "CASE"
            depth -= word == "END"
        elif token.kind == "quoted" and depth == 0 and "," in ends and token.text == ",":
            break
        if token.kind == "mark" and token.text == "," and depth == 0 and "," in ends:
            break
        last = token.end
        cursor.at += 1
    text = cursor.sql[start:last].strip()
    if not text:
        raise cursor.wrong("<expression>")
    return text


def _alias(cursor: Cursor, *ends: str) -> str:
    if cursor.take("AS"):
        return cursor.name()
    return (
        cursor.name() if cursor.token.kind in ("word", "quoted") and not any(cursor.peek(end) for end in ends) else ""
    )


def _delete(cursor: Cursor) -> Read:
    database, name = cursor.qualified()
    alias = _alias(cursor, "WHERE")
    where = cursor.rest() if cursor.take("WHERE") else ""
    cursor.finish()
    return "delete", database, name, {"alias": alias, "where": where}


def _assignments(cursor: Cursor, *ends: str) -> list[tuple[str, str]]:
    found = []
    while True:
        column = cursor.name()
        if cursor.peek("."):
            raise SqlFailure("NOT_SUPPORTED", "assigning a field of a column is not supported; assign the whole column")
        cursor.expect("=")
        found.append((column, _cut(cursor, ",", *ends)))
        if not cursor.take(","):
            break
    if len({column for column, _ in found}) != len(found):
        raise SqlFailure("DUPLICATE_COLUMN_NAME", "Multiple assignments for same column")
    return found


def _update(cursor: Cursor) -> Read:
    database, name = cursor.qualified()
    alias = _alias(cursor, "SET")
    cursor.expect("SET")
    assigned = _assignments(cursor, "WHERE")
    where = cursor.rest() if cursor.take("WHERE") else ""
    cursor.finish()
    return "update", database, name, {"alias": alias, "set": assigned, "where": where}


def _merge(cursor: Cursor) -> Read:
    database, name = cursor.qualified()
    alias = _alias(cursor, "USING")
    cursor.expect("USING")
    source = _cut(cursor, "ON")
    cursor.expect("ON")
    on = _cut(cursor, "WHEN")
    clauses: list[dict[str, Any]] = []
    while cursor.take("WHEN"):
        matched = not cursor.take("NOT")
        cursor.expect("MATCHED")
        if cursor.peek("BY"):
            raise SqlFailure("SYNTAX_ERROR", "line 1:1: mismatched input 'BY'. Expecting: 'AND', 'THEN'")
        clause: dict[str, Any] = {"matched": matched, "and": _cut(cursor, "THEN") if cursor.take("AND") else ""}
        cursor.expect("THEN")
        _action(cursor, clause)
        clauses.append(clause)
    if not clauses:
        raise cursor.wrong("'WHEN'")
    cursor.finish()
    return "merge", database, name, {"alias": alias, "source": source, "on": on, "clauses": clauses}


def _action(cursor: Cursor, clause: dict[str, Any]) -> None:
    if clause["matched"] and cursor.take("DELETE"):
        clause["do"] = "delete"
    elif clause["matched"] and cursor.take("UPDATE", "SET"):
        clause |= {"do": "update", "set": _assignments(cursor, "WHEN")}
    elif not clause["matched"] and cursor.take("INSERT"):
        columns = []
        if cursor.take("("):
            columns = [cursor.name()]
            while cursor.take(","):
                columns.append(cursor.name())
            cursor.expect(")")
        cursor.expect("VALUES")
        inside = Cursor(cursor.inside())
        values = [_cut(inside, ",")]
        while inside.take(","):
            values.append(_cut(inside, ","))
        clause |= {"do": "insert", "columns": columns, "values": values}
    else:
        raise cursor.wrong("'UPDATE', 'DELETE'" if clause["matched"] else "'INSERT'")


def _optimize(cursor: Cursor) -> Read:
    database, name = cursor.qualified()
    cursor.expect("REWRITE", "DATA", "USING", "BIN_PACK")
    where = cursor.rest() if cursor.take("WHERE") else ""
    cursor.finish()
    return "optimize", database, name, {"where": where}


def _vacuum(cursor: Cursor) -> Read:
    database, name = cursor.qualified()
    cursor.finish()
    return "vacuum", database, name, {}


def _create(cursor: Cursor) -> Read | None:
    """CREATE TABLE with a list of columns; without one it is made of a query."""
    facts: dict[str, Any] = {"if_not_exists": cursor.take("IF", "NOT", "EXISTS"), "partitions": [], "properties": {}}
    database, name = cursor.qualified()
    if not cursor.take("("):
        return None
    facts["columns"] = _columns(cursor)
    while not cursor.ended:
        if cursor.take("PARTITIONED", "BY"):
            inside = Cursor(cursor.inside())
            facts["partitions"] = [_cut(inside, ",")]
            while inside.take(","):
                facts["partitions"].append(_cut(inside, ","))
        elif cursor.take("LOCATION"):
            facts["location"] = cursor.string()
        elif cursor.take("COMMENT"):
            facts["comment"] = cursor.string()
        elif cursor.take("TBLPROPERTIES"):
            facts["properties"] = _properties(cursor)
        else:
            raise cursor.wrong("'PARTITIONED', 'LOCATION', 'COMMENT', 'TBLPROPERTIES'")
    return "create_iceberg_table", database, name, facts


def _columns(cursor: Cursor) -> list[tuple[str, str, str]]:
    """(name, type, comment) up to the closing parenthesis, which is stepped over."""
    found = []
    while True:
        column = cursor.name()
        found.append((column, _type(cursor), cursor.string() if cursor.take("COMMENT") else ""))
        if not cursor.take(","):
            break
    cursor.expect(")")
    return found


def _type(cursor: Cursor) -> str:
    start, depth = cursor.at, 0
    while not cursor.ended:
        text = cursor.token.text
        if depth == 0 and (text in (",", ")") or any(cursor.peek(word) for word in ("COMMENT", "FIRST", "AFTER"))):
            break
        depth += text in ("<", "(")
        depth -= text in (">", ")")
        cursor.at += 1
    if start == cursor.at:
        raise cursor.wrong("<type>")
    return " ".join(token.text for token in cursor.tokens[start : cursor.at]).lower()


def _properties(cursor: Cursor) -> dict[str, str]:
    found: dict[str, str] = {}
    cursor.expect("(")
    while True:
        key = cursor.name() if cursor.token.kind == "word" else cursor.string()
        cursor.expect("=")
        token = cursor.token
        if token.kind in ("word", "number"):
            cursor.at += 1
        found[key] = token.text if token.kind in ("word", "number") else cursor.string()
        if not cursor.take(","):
            break
    cursor.expect(")")
    return found


def _alter(cursor: Cursor) -> Read | None:
    database, name = cursor.qualified()
    if cursor.take("DROP", "COLUMN"):
        facts: dict[str, Any] = {"edits": [("drop", cursor.name())]}
    elif cursor.take("CHANGE"):
        cursor.take("COLUMN")
        old, new, kind = cursor.name(), cursor.name(), _type(cursor)
        comment = cursor.string() if cursor.take("COMMENT") else ""
        place = "first" if cursor.take("FIRST") else f"after:{cursor.name()}" if cursor.take("AFTER") else ""
        facts = {"edits": [("change", old, new, kind, comment, place)]}
    elif cursor.take("REPLACE", "COLUMNS"):
        cursor.expect("(")
        facts = {"edits": [("replace", _columns(cursor))]}
    elif cursor.take("UNSET", "TBLPROPERTIES"):
        cursor.expect("(")
        keys = [cursor.string()]
        while cursor.take(","):
            keys.append(cursor.string())
        cursor.expect(")")
        facts = {"unset": keys}
    else:
        return None
    cursor.finish()
    return "alter_table_columns", database, name, facts


_READERS: tuple[tuple[tuple[str, ...], Callable[[Cursor], Read | None]], ...] = (
    (("CREATE", "TABLE"), _create),
    (("DELETE", "FROM"), _delete),
    (("UPDATE",), _update),
    (("MERGE", "INTO"), _merge),
    (("OPTIMIZE",), _optimize),
    (("VACUUM",), _vacuum),
    (("ALTER", "TABLE"), _alter),
)
