"""A table's rows at the source: which columns, under which conditions, and from there into a Parquet file.

Every value crosses as text that has exactly one meaning in its type; DuckDB casts it. Conditions only narrow what is read,
since the statement applies them again: so a condition is handed down only where the source compares as Trino does, or
keeps more (text by its bytes, no collation). https://trino.io/docs/current/connector/postgresql.html#predicate-pushdown-support
"""

# ruff: noqa: S608 - identifiers are the source's own, quoted; values are parameters

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from lakebed.lake.types import duckdb_text, parse_hive, quote
from lakebed.ports.sql import SqlFailure

_EXACT = ("tinyint", "smallint", "integer", "bigint", "decimal", "boolean", "date", "timestamp", "double")
_COMPARISONS = ("<", "<=", ">", ">=")


class Column(NamedTuple):
    """A column at the source: its own name, its type here, the SQL that gives its value as text, and whether conditions
    over it may be handed down."""

    name: str
    type: str
    value: str
    pushed: bool = False


class Connection(Protocol):
    """An open source."""

    mark: str  # a parameter's placeholder

    def schemas(self) -> list[str]:
        """Own names."""
        ...

    def tables(self, schema: str) -> list[str]:
        """Own names; ``schema`` is an own name too."""
        ...

    def columns(self, schema: str, table: str) -> list[Column]:
        """In order."""
        ...

    def quoted(self, *names: str) -> str:
        """An identifier of one or more parts."""
        ...

    def bytes_of(self, sql: str) -> str:
        """Text as something that compares byte by byte."""
        ...

    def rows(self, sql: str, parameters: list[Any]) -> Iterator[Sequence[Any]]:
        """Rows of a query, fetched a portion at a time."""
        ...

    def close(self) -> None:
        """The end."""
        ...


def answer(request: dict[str, Any], opener: Callable[[], Any]) -> Any:
    """The result of a request."""
    op = request["op"]
    if op not in ("schemas", "tables", "columns", "read"):
        raise SqlFailure("NOT_SUPPORTED", f"{op} is not built")
    connection: Connection = opener()
    try:
        if op == "schemas":
            return sorted({name.lower() for name in connection.schemas()})
        schema = _own(connection.schemas(), request["schema"])
        if schema is None:
            raise SqlFailure("SCHEMA_NOT_FOUND", f"line 1:15: Schema '{request['schema']}' does not exist")
        tables = connection.tables(schema)
        if op == "tables":
            return sorted({name.lower() for name in tables})
        table = _own(tables, request["table"])
        columns = connection.columns(schema, table) if table is not None else []
        if table is None or not columns:
            told = f"line 1:15: Table '{request['schema']}.{request['table']}' does not exist"
            raise SqlFailure("TABLE_NOT_FOUND", told)
        if op == "columns":
            return [[column.name.lower(), column.type] for column in columns]
        return _read(connection, connection.quoted(schema, table), columns, request)
    finally:
        connection.close()


def _own(names: list[str], wanted: str) -> str | None:
    """The source's own spelling; the exact one where several differ only in case."""
    if wanted in names:
        return wanted
    return next((name for name in names if name.lower() == wanted.lower()), None)


def _read(connection: Connection, place: str, columns: list[Column], request: dict[str, Any]) -> dict[str, int]:
    wanted = [column for column in columns if column.name.lower() in request["columns"]]
    known = {column.name.lower(): column for column in columns}
    parameters: list[Any] = []
    condition = Conditions(connection, known, parameters).text(request["predicate"])
    sql = f"SELECT {', '.join(['0', *(column.value for column in wanted)])} FROM {place}"
    if condition:
        sql += f" WHERE {condition}"
    if request["limit"] is not None:
        sql += f" LIMIT {int(request['limit'])}"
    target = Path(request["target"])
    text = target.with_suffix(".csv")
    try:
        rows, size = _write(text, connection.rows(sql, parameters), request["rows_max"], request["bytes_max"])
        to_parquet(text, target, [(column.name.lower(), column.type) for column in wanted])
    finally:
        text.unlink(missing_ok=True)
    return {"rows": rows, "bytes": size, "size": target.stat().st_size}


def _write(path: Path, rows: Iterator[Sequence[Any]], rows_max: int, bytes_max: int) -> tuple[int, int]:
    count = size = 0
    with path.open("w", encoding="utf-8", newline="") as out:
        for row in rows:
            count += 1
            fields = ["0"]  # never an empty line
            for value in row[1:]:
                if value is None:
                    fields.append("")
                    continue
                text = value if isinstance(value, str) else str(value)
                size += len(text) if text.isascii() else len(text.encode())
                fields.append('"' + text.replace('"', '""') + '"')
            out.write(",".join(fields) + "\n")
            if count > rows_max or size > bytes_max:
                told = f"more than {rows_max} rows or {bytes_max} bytes of one table"
                raise SqlFailure("EXCEEDED_LOCAL_MEMORY_LIMIT", f"The data source returned {told}")
    return count, size


def to_parquet(source: Path, target: Path, columns: list[tuple[str, str]]) -> None:
    """Our own text (the first field is padding) as Parquet with the columns' types."""
    import duckdb

    names = ["lb_none", *(f"c{at}" for at in range(len(columns)))]
    given = ", ".join(f"'{name}': 'VARCHAR'" for name in names)
    listed = []
    for at, (name, kind) in enumerate(columns):
        made = parse_hive(kind)
        value = f"unhex(c{at})" if made.base == "varbinary" else f"CAST(c{at} AS {duckdb_text(made)})"
        listed.append(f"{value} AS {quote(name)}")
    connection = duckdb.connect(":memory:", config={"threads": "1", "memory_limit": "512MB"})
    try:
        connection.execute("SET TimeZone='UTC'")
        connection.execute(
            f"COPY (SELECT {', '.join(listed) or 'lb_none'} FROM read_csv({_literal(source)}, columns={{{given}}}, "
            "auto_detect=false, header=false, delim=',', quote='\"', escape='\"', nullstr='', "
            f"allow_quoted_nulls=false, parallel=false, max_line_size=134217728)) TO {_literal(target)} (FORMAT parquet)"
        )
    except duckdb.ConversionException as wrong:
        line = str(wrong).split("\n", maxsplit=1)[0][:200]
        raise SqlFailure("GENERIC_USER_ERROR", f"A value of the data source does not fit its type: {line}") from None
    finally:
        connection.close()


def _literal(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


class Conditions:
    """A tree as the source's WHERE; parts that may not be handed down are left out."""

    def __init__(self, connection: Connection, columns: dict[str, Column], parameters: list[Any]) -> None:
        self._connection, self._columns, self._parameters = connection, columns, parameters

    def text(self, tree: Any) -> str:
        """SQL, empty where nothing may be handed down."""
        if tree is None:
            return ""
        word, *rest = tree
        if word == "and":
            return " AND ".join(f"({made})" for each in rest if (made := self.text(each)))
        if word == "or":
            return self._either(rest)
        column = self._columns.get(rest[0])
        if column is None:
            return ""
        name = self._connection.quoted(column.name)
        if word in ("null", "notnull"):
            return f"{name} IS {'NOT ' if word == 'notnull' else ''}NULL"
        return self._compared(word, column, name, rest[1]) if column.pushed else ""

    def _either(self, trees: Sequence[Any]) -> str:
        before = len(self._parameters)
        made = [self.text(each) for each in trees]
        if not all(made):
            del self._parameters[before:]
            return ""
        return " OR ".join(f"({each})" for each in made)

    def _compared(self, word: str, column: Column, name: str, value: Any) -> str:
        base = parse_hive(column.type).base
        if word == "in":
            return f"{name} IN ({', '.join(self._mark(each, base) for each in value)})" if value else ""
        if word == "starts":
            low, high = value, _after(value)
            if base != "varchar" or not low or not high:
                return ""
            own = self._connection.bytes_of(name)
            return f"{own} >= {self._text(low)} AND {own} < {self._text(high)}"
        if base == "varchar" and (word in _COMPARISONS or word == "!="):
            return f"{self._connection.bytes_of(name)} {'<>' if word == '!=' else word} {self._text(value)}"
        if base != "varchar" and base not in _EXACT:
            return ""
        return f"{name} {'<>' if word == '!=' else word} {self._mark(value, base)}"

    def _text(self, value: str) -> str:
        self._parameters.append(value)
        return self._connection.bytes_of(self._connection.mark)

    def _mark(self, value: str, base: str) -> str:
        self._parameters.append(_python(value, base))
        return self._connection.mark


def _python(value: str, base: str) -> Any:
    if base in ("tinyint", "smallint", "integer", "bigint"):
        return int(value)
    if base == "double":
        return float(value)
    if base == "decimal":
        return Decimal(value)
    if base == "boolean":
        return value == "true"
    return value


def _after(prefix: str) -> str:
    """The least text behind all those that begin with ``prefix``; empty where it is not simple."""
    last = ord(prefix[-1:] or "\x00")
    if last + 1 >= 0x10FFFF or 0xD7FF <= last < 0xE000:
        return ""
    return prefix[:-1] + chr(last + 1)
