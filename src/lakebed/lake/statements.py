"""What a statement is: queries, tables made of queries, Hive's DDL, SHOW and DESCRIBE.

https://docs.aws.amazon.com/athena/latest/ug/ddl-reference.html, .../create-table.html, .../create-table-as.html,
.../insert-into.html, .../unload.html. Anything else is refused by its first words, never half understood.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from lakebed.lake.tables import statements as tables
from lakebed.lake.tokens import Cursor
from lakebed.ports.sql import SqlFailure


@dataclass(frozen=True, slots=True)
class Statement:
    """``kind`` names it; ``sql`` is the inner query where there is one; ``facts`` the rest."""

    kind: str
    database: str = ""
    name: str = ""
    sql: str = ""
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def type(self) -> str:
        """Athena's StatementType."""
        if self.kind in tables.DML:
            return "DML"
        return {"query": "DML", "ctas": "DDL", "insert": "DML", "unload": "DML"}.get(
            self.kind, "UTILITY" if self.kind.startswith(("show", "describe", "explain")) else "DDL"
        )

    @property
    def substatement(self) -> str:
        """Athena's SubstatementType."""
        names = {"query": "SELECT", "ctas": "CREATE_TABLE_AS_SELECT", "create_iceberg_table": "CREATE_TABLE",
                 "alter_table_columns": "ALTER_TABLE"}  # fmt: skip
        return names.get(self.kind, self.kind.upper())


def classify(sql: str) -> Statement:
    """The statement in a text; SqlFailure SYNTAX_ERROR or NOT_SUPPORTED."""
    cursor = Cursor(sql)
    if cursor.ended:
        raise SqlFailure("SYNTAX_ERROR", "line 1:1: mismatched input '<EOF>'")
    if (found := tables.read(cursor)) is not None:
        kind, database, name, facts = found
        return Statement(kind, database, name, facts=facts)
    for words, reader in _READERS:
        if cursor.take(*words):
            return reader(cursor)
    if (
        cursor.peek("SELECT")
        or cursor.peek("WITH")
        or cursor.peek("VALUES")
        or cursor.peek("TABLE")
        or cursor.peek("(")
    ):
        return Statement("query", sql=cursor.rest())
    word = cursor.token.text.upper()
    if word in _KNOWN:
        raise SqlFailure("NOT_SUPPORTED", f"{word} statements are not built in Lakebed")
    raise cursor.wrong("a statement")


_KNOWN = {"EXPLAIN", "DELETE", "UPDATE", "MERGE", "OPTIMIZE", "VACUUM", "GRANT", "REVOKE", "ALTER", "CREATE", "SHOW",
          "ANALYZE", "DROP", "EXECUTE"}  # fmt: skip


def _properties(cursor: Cursor) -> dict[str, str]:
    """``('a'='b', ...)``, names as strings or words."""
    found: dict[str, str] = {}
    cursor.expect("(")
    while True:
        key = cursor.name() if cursor.token.kind == "word" else cursor.string()
        cursor.expect("=")
        found[key] = _value(cursor)
        if not cursor.take(","):
            break
    cursor.expect(")")
    return found


def _value(cursor: Cursor) -> str:
    token = cursor.token
    if cursor.take("ARRAY"):
        cursor.expect("[")
        items = []
        while not cursor.take("]"):
            items.append(cursor.string())
            cursor.take(",")
        return "\x00".join(items)
    if token.kind in ("word", "number"):
        cursor.at += 1
        return token.text
    return cursor.string()


def _if_not_exists(cursor: Cursor) -> bool:
    return cursor.take("IF", "NOT", "EXISTS")


def _create_database(cursor: Cursor) -> Statement:
    facts: dict[str, Any] = {"if_not_exists": _if_not_exists(cursor)}
    name = cursor.name()
    if cursor.take("COMMENT"):
        facts["comment"] = cursor.string()
    if cursor.take("LOCATION"):
        facts["location"] = cursor.string()
    if cursor.take("WITH", "DBPROPERTIES"):
        facts["properties"] = _properties(cursor)
    cursor.finish()
    return Statement("create_database", name, facts=facts)


def _drop_database(cursor: Cursor) -> Statement:
    exists = cursor.take("IF", "EXISTS")
    name = cursor.name()
    cascade = cursor.take("CASCADE")
    cursor.take("RESTRICT")
    cursor.finish()
    return Statement("drop_database", name, facts={"if_exists": exists, "cascade": cascade})


def _drop(kind: str) -> Callable[[Cursor], Statement]:
    def read(cursor: Cursor) -> Statement:
        exists = cursor.take("IF", "EXISTS")
        database, name = cursor.qualified()
        cursor.take("PURGE")
        cursor.finish()
        return Statement(kind, database, name, facts={"if_exists": exists})

    return read


def _create_view(replace: bool) -> Callable[[Cursor], Statement]:
    def read(cursor: Cursor) -> Statement:
        database, name = cursor.qualified()
        cursor.expect("AS")
        return Statement("create_view", database, name, cursor.rest(), {"replace": replace})

    return read


def _ctas(cursor: Cursor) -> Statement:
    exists = _if_not_exists(cursor)
    database, name = cursor.qualified()
    properties = _properties(cursor) if cursor.take("WITH") else {}
    cursor.expect("AS")
    sql, data = cursor.rest(), True
    for suffix, wanted in ((("WITH", "NO", "DATA"), False), (("WITH", "DATA"), True)):
        words = Cursor(sql).tokens[:-1][-len(suffix) :]
        if [token.text.upper() for token in words] == list(suffix):
            sql, data = sql[: words[0].start], wanted
            break
    facts = {"if_not_exists": exists, "properties": properties, "data": data}
    return Statement("ctas", database, name, sql, facts)


def _insert(cursor: Cursor) -> Statement:
    database, name = cursor.qualified()
    columns: list[str] = []
    if cursor.peek("(") and cursor.tokens[cursor.at + 1].text.upper() not in ("SELECT", "WITH", "VALUES", "("):
        columns = [Cursor(part).name() for part in cursor.inside().split(",")]
    return Statement("insert", database, name, cursor.rest(), {"columns": columns})


def _explain(cursor: Cursor) -> Statement:
    facts: dict[str, Any] = {"analyze": cursor.take("ANALYZE"), "format": "TEXT", "type": "DISTRIBUTED"}
    facts["verbose"] = bool(facts["analyze"]) and cursor.take("VERBOSE")
    if cursor.peek("(", "FORMAT") or cursor.peek("(", "TYPE"):
        cursor.expect("(")
        while not cursor.take(")"):
            key, value = cursor.name(), cursor.name().upper()
            if value not in _EXPLAINED.get(key, ()) or (facts["analyze"] and (key, value) == ("format", "GRAPHVIZ")):
                raise cursor.wrong("FORMAT {TEXT | GRAPHVIZ | JSON} or TYPE {LOGICAL | DISTRIBUTED | VALIDATE | IO}")
            facts[key] = value
            cursor.take(",")
    if facts["type"] == "IO":
        facts["format"] = "JSON"
    return Statement("explain", sql=cursor.rest(), facts=facts)


_EXPLAINED = {"format": ("TEXT", "GRAPHVIZ", "JSON"), "type": ("LOGICAL", "DISTRIBUTED", "VALIDATE", "IO")}


def _unload(cursor: Cursor) -> Statement:
    sql = cursor.inside()
    cursor.expect("TO")
    to = cursor.string()
    properties = _properties(cursor) if cursor.take("WITH") else {}
    cursor.finish()
    return Statement("unload", sql=sql, facts={"to": to, "properties": properties})


def _columns(cursor: Cursor) -> list[dict[str, str]]:
    cursor.expect("(")
    columns = []
    while True:
        column = {"Name": cursor.name(), "Type": _type(cursor)}
        if cursor.take("COMMENT"):
            column["Comment"] = cursor.string()
        columns.append(column)
        if not cursor.take(","):
            break
    cursor.expect(")")
    return columns


def _type(cursor: Cursor) -> str:
    start, depth = cursor.at, 0
    while not cursor.ended:
        text = cursor.token.text
        if depth == 0 and (text in (",", ")") or cursor.peek("COMMENT")):
            break
        depth += text in ("<", "(")
        depth -= text in (">", ")")
        cursor.at += 1
    if start == cursor.at:
        raise cursor.wrong("<type>")
    return "".join(token.text for token in cursor.tokens[start : cursor.at]).lower()


def _create_table(cursor: Cursor) -> Statement:
    facts: dict[str, Any] = {"if_not_exists": _if_not_exists(cursor), "partitions": [], "properties": {}, "serde": {}}
    database, name = cursor.qualified()
    facts["columns"] = _columns(cursor)
    while not cursor.ended:
        for words, reader in _CLAUSES:
            if cursor.take(*words):
                reader(cursor, facts)
                break
        else:
            raise cursor.wrong("PARTITIONED BY, ROW FORMAT, STORED AS, LOCATION, TBLPROPERTIES")
    return Statement("create_table", database, name, facts=facts)


def _delimited(cursor: Cursor, facts: dict[str, Any]) -> None:
    names = ((("FIELDS", "TERMINATED", "BY"), "field.delim"), (("ESCAPED", "BY"), "escape.delim"),
             (("COLLECTION", "ITEMS", "TERMINATED", "BY"), "collection.delim"),
             (("MAP", "KEYS", "TERMINATED", "BY"), "mapkey.delim"),
             (("LINES", "TERMINATED", "BY"), "line.delim"), (("NULL", "DEFINED", "AS"), "serialization.null.format"))  # fmt: skip
    facts["serde_name"] = "delimited"
    found = True
    while found:
        found = False
        for words, key in names:
            if cursor.take(*words):
                facts["serde"][key] = _unescaped(cursor.string())
                found = True
    if "field.delim" in facts["serde"]:
        facts["serde"]["serialization.format"] = facts["serde"]["field.delim"]


def _unescaped(text: str) -> str:
    """A string as Hive reads it: octal and Unicode escapes, the usual letters, any other character itself."""

    def one(match: re.Match[str]) -> str:
        body = match.group(1)
        if len(body) == 3 and body.isdigit():
            return chr(int(body, 8) & 0xFF)
        if body[0] == "u" and len(body) == 5:
            return chr(int(body[1:], 16))
        return _ESCAPES.get(body, body)

    return re.sub(r"\\([0-3][0-7]{2}|u[0-9A-Fa-f]{4}|.)", one, text, flags=re.DOTALL)


# https://github.com/apache/hive: BaseSemanticAnalyzer.unescapeSQLString; % and _ keep their backslash for LIKE
_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "b": "\b", "0": "\0", "Z": "\x1a", "%": "\\%", "_": "\\_"}


def _serde(cursor: Cursor, facts: dict[str, Any]) -> None:
    facts["serde_name"] = cursor.string()
    if cursor.take("WITH", "SERDEPROPERTIES"):
        facts["serde"] = {key: _unescaped(value) for key, value in _properties(cursor).items()}


def _stored(cursor: Cursor, facts: dict[str, Any]) -> None:
    if cursor.take("INPUTFORMAT"):
        facts["input"] = cursor.string()
        cursor.expect("OUTPUTFORMAT")
        facts["output"] = cursor.string()
    else:
        facts["stored"] = cursor.name().upper()


def _refuse(what: str) -> Callable[[Cursor, dict[str, Any]], None]:
    def read(cursor: Cursor, facts: dict[str, Any]) -> None:
        del cursor, facts
        raise SqlFailure("NOT_SUPPORTED", f"{what} is not built in Lakebed")

    return read


_CLAUSES: tuple[tuple[tuple[str, ...], Callable[[Cursor, dict[str, Any]], None]], ...] = (
    (("COMMENT",), lambda cursor, facts: facts.update(comment=cursor.string())),
    (("PARTITIONED", "BY"), lambda cursor, facts: facts.update(partitions=_columns(cursor))),
    (("CLUSTERED", "BY"), _refuse("CLUSTERED BY")),
    (("ROW", "FORMAT", "DELIMITED"), _delimited),
    (("ROW", "FORMAT", "SERDE"), _serde),
    (("STORED", "AS"), _stored),
    (("LOCATION",), lambda cursor, facts: facts.update(location=cursor.string())),
    (("TBLPROPERTIES",), lambda cursor, facts: facts.update(properties=_properties(cursor))),
)


def _show_tables(kind: str) -> Callable[[Cursor], Statement]:
    def read(cursor: Cursor) -> Statement:
        database = cursor.name() if cursor.take("IN") or cursor.take("FROM") else ""
        pattern = cursor.string() if cursor.take("LIKE") or cursor.token.kind == "string" else ""
        cursor.finish()
        return Statement(kind, database, facts={"pattern": pattern})

    return read


def _show_databases(cursor: Cursor) -> Statement:
    pattern = cursor.string() if cursor.take("LIKE") or cursor.token.kind == "string" else ""
    cursor.finish()
    return Statement("show_databases", facts={"pattern": pattern})


def _table_only(kind: str) -> Callable[[Cursor], Statement]:
    def read(cursor: Cursor) -> Statement:
        database, name = cursor.qualified()
        if kind == "show_columns" and (cursor.take("IN") or cursor.take("FROM")):
            database = cursor.name()
        cursor.finish()
        return Statement(kind, database, name)

    return read


def _describe(cursor: Cursor) -> Statement:
    cursor.take("FORMATTED")
    cursor.take("EXTENDED")
    return _table_only("describe_table")(cursor)


def _alter(cursor: Cursor) -> Statement:
    database, name = cursor.qualified()
    if cursor.take("ADD"):
        if cursor.take("COLUMNS"):
            columns = _columns(cursor)
            cursor.finish()
            return Statement("alter_table_add_columns", database, name, facts={"columns": columns})
        facts: dict[str, Any] = {"if_not_exists": _if_not_exists(cursor), "partitions": []}
        while cursor.take("PARTITION"):
            spec = _properties(cursor)
            facts["partitions"].append((spec, cursor.string() if cursor.take("LOCATION") else ""))
        if facts["partitions"]:
            cursor.finish()
            return Statement("alter_table_add_partition", database, name, facts=facts)
    elif cursor.take("DROP"):
        facts = {"if_exists": cursor.take("IF", "EXISTS"), "partitions": []}
        while cursor.take("PARTITION"):
            facts["partitions"].append((_properties(cursor), ""))
            cursor.take(",")
        if facts["partitions"]:
            cursor.finish()
            return Statement("alter_table_drop_partition", database, name, facts=facts)
    elif cursor.take("SET", "TBLPROPERTIES"):
        properties = _properties(cursor)
        cursor.finish()
        return Statement("alter_table_set_properties", database, name, facts={"properties": properties})
    elif cursor.take("SET", "LOCATION"):
        place = cursor.string()
        cursor.finish()
        return Statement("alter_table_set_location", database, name, facts={"location": place})
    elif cursor.take("PARTITION"):
        return _alter_partition(cursor, database, name)
    raise SqlFailure("NOT_SUPPORTED", "this form of ALTER TABLE is not built in Lakebed")


def _alter_partition(cursor: Cursor, database: str, name: str) -> Statement:
    """What follows ``ALTER TABLE t PARTITION``: one partition is renamed, moved, or described by other columns."""
    facts: dict[str, Any] = {"partition": _properties(cursor)}
    if cursor.take("RENAME", "TO", "PARTITION"):
        kind, facts["to"] = "alter_table_rename_partition", _properties(cursor)
    elif cursor.take("SET", "LOCATION"):
        kind, facts["location"] = "alter_table_set_location", cursor.string()
    elif cursor.take("ADD", "COLUMNS"):
        kind, facts["columns"] = "alter_table_add_columns", _columns(cursor)
    elif cursor.take("REPLACE", "COLUMNS"):
        kind, facts["columns"] = "alter_table_replace_columns", _columns(cursor)
    else:
        raise SqlFailure("NOT_SUPPORTED", "this form of ALTER TABLE … PARTITION is not built in Lakebed")
    cursor.finish()
    return Statement(kind, database, name, facts=facts)


def _show_properties(cursor: Cursor) -> Statement:
    database, name = cursor.qualified()
    key = ""
    if cursor.take("("):
        key = cursor.string()
        cursor.expect(")")
    cursor.finish()
    return Statement("show_tblproperties", database, name, facts={"key": key})


def _prepare(cursor: Cursor) -> Statement:
    name = cursor.name()
    cursor.expect("FROM")
    return Statement("prepare", name=name, sql=cursor.rest())


def _execute(cursor: Cursor) -> Statement:
    text = cursor.string() if cursor.take("IMMEDIATE") else ""
    name = "" if text else cursor.name()
    parameters: list[str] = []
    if cursor.take("USING"):
        start, depth = cursor.token.start, 0
        while not cursor.ended:
            token = cursor.token
            depth += token.text == "("
            depth -= token.text == ")"
            if token.kind == "mark" and token.text == "," and depth == 0:
                parameters.append(cursor.sql[start : token.start].strip())
                start = token.end
            cursor.at += 1
        parameters.append(cursor.sql[start : cursor.token.end].strip())
    cursor.finish()
    return Statement("execute", name=name, sql=text, facts={"parameters": parameters})


def _deallocate(cursor: Cursor) -> Statement:
    name = cursor.name()
    cursor.finish()
    return Statement("deallocate", name=name)


_READERS: tuple[tuple[tuple[str, ...], Callable[[Cursor], Statement]], ...] = (
    (("CREATE", "DATABASE"), _create_database),
    (("CREATE", "SCHEMA"), _create_database),
    (("DROP", "DATABASE"), _drop_database),
    (("DROP", "SCHEMA"), _drop_database),
    (("CREATE", "EXTERNAL", "TABLE"), _create_table),
    (("CREATE", "TABLE"), _ctas),
    (("CREATE", "OR", "REPLACE", "VIEW"), _create_view(True)),
    (("CREATE", "VIEW"), _create_view(False)),
    (("DROP", "TABLE"), _drop("drop_table")),
    (("DROP", "VIEW"), _drop("drop_view")),
    (("INSERT", "INTO"), _insert),
    (("UNLOAD",), _unload),
    (("EXPLAIN",), _explain),
    (("SHOW", "DATABASES"), _show_databases),
    (("SHOW", "SCHEMAS"), _show_databases),
    (("SHOW", "TABLES"), _show_tables("show_tables")),
    (("SHOW", "VIEWS"), _show_tables("show_views")),
    (("SHOW", "TBLPROPERTIES"), _show_properties),
    (("SHOW", "COLUMNS", "IN"), _table_only("show_columns")),
    (("SHOW", "COLUMNS", "FROM"), _table_only("show_columns")),
    (("SHOW", "PARTITIONS"), _table_only("show_partitions")),
    (("SHOW", "CREATE", "TABLE"), _table_only("show_create_table")),
    (("DESCRIBE",), _describe),
    (("DESC",), _describe),
    (("MSCK", "REPAIR", "TABLE"), _table_only("msck_repair_table")),
    (("ALTER", "TABLE"), _alter),
    (("PREPARE",), _prepare),
    (("EXECUTE",), _execute),
    (("DEALLOCATE", "PREPARE"), _deallocate),
)
