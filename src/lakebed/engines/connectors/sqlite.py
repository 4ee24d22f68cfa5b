"""SQLite files, as they lie in S3: opened unchangeable, never attached to, without functions that reach outside.

A column's type follows its declared affinity (https://www.sqlite.org/datatype3.html); a value that does not fit it fails the
statement. The one schema is ``main``. A file somebody uploaded may be made to mislead: views and triggers are not trusted.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote as escaped

from lakebed.engines.connectors.reading import Column

_ALLOWED = (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE)
_PRAGMAS = ("table_xinfo",)
_DECIMAL = re.compile(r"(?:DECIMAL|NUMERIC)\s*\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)")
_PORTION = 1000
_VALUE_MAX = 64 << 20


class Sqlite:
    """An open file."""

    mark = "?"

    def __init__(self, settings: dict[str, str]) -> None:
        path = Path(settings["path"])
        self._connection = sqlite3.connect(f"file:{escaped(str(path))}?mode=ro&immutable=1", uri=True)
        self._connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        self._connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _VALUE_MAX)
        for pragma in ("trusted_schema=OFF", "cell_size_check=ON", "mmap_size=0", "query_only=ON", "temp_store=MEMORY"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.set_authorizer(_allowed)

    def schemas(self) -> list[str]:
        """The file itself."""
        self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()  # is it a database at all?
        return ["main"]

    def tables(self, schema: str) -> list[str]:  # noqa: ARG002 - there is one
        """Tables and views."""
        found = self._connection.execute(
            "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        )
        return [row[0] for row in found]

    def columns(self, schema: str, table: str) -> list[Column]:  # noqa: ARG002 - there is one
        """In order; hidden ones are left out."""
        found = self._connection.execute(f"PRAGMA table_xinfo({self.quoted(table)})").fetchall()
        return [self._column(row[1], (row[2] or "").upper()) for row in found if row[6] != 1]

    def _column(self, name: str, declared: str) -> Column:
        own = self.quoted(name)
        text = f"CAST({own} AS TEXT)"
        if "BOOL" in declared:
            return Column(name, "boolean", text)
        if "INT" in declared:
            return Column(name, "bigint", text, pushed=True)
        if any(word in declared for word in ("CHAR", "CLOB", "TEXT")):
            return Column(name, "string", text, pushed=True)
        if "BLOB" in declared:
            return Column(name, "binary", f"CASE WHEN {own} IS NOT NULL THEN hex({own}) END")
        if any(word in declared for word in ("REAL", "FLOA", "DOUB")):
            return Column(name, "double", f"CASE typeof({own}) WHEN 'real' THEN printf('%!.17g', {own}) ELSE {text} END",
                          pushed=True)  # fmt: skip
        if (sized := _DECIMAL.search(declared)) is not None and int(sized[1]) <= 38:
            return Column(name, f"decimal({sized[1]},{sized[2] or 0})", text)
        if "DATETIME" in declared or "TIMESTAMP" in declared:
            return Column(name, "timestamp", text)
        if declared == "DATE":
            return Column(name, "date", text)
        return Column(name, "string", text)

    def quoted(self, *names: str) -> str:
        """Identifiers."""
        return ".".join('"' + name.replace('"', '""') + '"' for name in names)

    def bytes_of(self, sql: str) -> str:
        """SQLite's own BINARY collation is memcmp."""
        return f"CAST({sql} AS TEXT) COLLATE BINARY"

    def rows(self, sql: str, parameters: list[Any]) -> Iterator[Sequence[Any]]:
        """A portion at a time."""
        cursor = self._connection.execute(sql, parameters)
        while portion := cursor.fetchmany(_PORTION):
            yield from portion

    def close(self) -> None:
        """Done."""
        self._connection.close()


def _allowed(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    if action == sqlite3.SQLITE_PRAGMA and first in _PRAGMAS:
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in (
        "load_extension",
        "readfile",
        "writefile",
        "edit",
    ):
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY
