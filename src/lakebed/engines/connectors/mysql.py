"""MySQL, MariaDB, Aurora MySQL. A schema is a database; where the source names one, only that is shown.

Types: https://docs.aws.amazon.com/athena/latest/ug/connectors-mysql.html. Unsigned 64-bit integers are decimal(20,0);
zero dates (``0000-00-00``) fail the statement, since no date says them; times, JSON, enumerations and sets are text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import pymysql
from pymysql.converters import conversions
from pymysql.cursors import SSCursor

from lakebed.engines.connectors.reading import Column

_TYPES = {"tinyint": "tinyint", "smallint": "smallint", "mediumint": "int", "int": "int", "bigint": "bigint",
          "float": "float", "double": "double", "date": "date", "datetime": "timestamp", "timestamp": "timestamp",
          "year": "int"}  # fmt: skip
_UNSIGNED = {"tinyint": "smallint", "smallint": "int", "mediumint": "int", "int": "bigint", "bigint": "decimal(20,0)"}
_TEXTS = ("char", "varchar", "tinytext", "text", "mediumtext", "longtext")
_BINARY = ("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob")
_OWN = ("mysql", "sys", "performance_schema", "information_schema")


class Mysql:
    """A connection, read-only."""

    mark = "%s"

    def __init__(self, settings: dict[str, str]) -> None:
        encoders = {key: made for key, made in conversions.items() if not isinstance(key, int)}
        self._database = settings.get("database", "")
        self._connection = pymysql.connect(
            host=settings["host"], port=int(settings.get("port") or "3306"), user=settings.get("username", ""),
            password=settings.get("password", ""), database=self._database or None, charset="utf8mb4", conv=encoders,
            connect_timeout=10, local_infile=False, cursorclass=SSCursor, autocommit=True, read_default_file=None,
        )  # fmt: skip
        for statement in (
            "SET SESSION time_zone = '+00:00'",
            "SET SESSION sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'",
            "SET SESSION TRANSACTION READ ONLY",
            "START TRANSACTION READ ONLY",
        ):
            self._list(statement)
        self._connection.server_status |= 512  # NO_BACKSLASH_ESCAPES: how pymysql escapes from now on

    def schemas(self) -> list[str]:
        """Databases without the server's own."""
        found = self._list("SELECT schema_name FROM information_schema.schemata")
        return [name for name in found if name.lower() not in _OWN and self._database in ("", name)]

    def tables(self, schema: str) -> list[str]:
        """Tables and views."""
        return self._list("SELECT table_name FROM information_schema.tables WHERE table_schema = %s", schema)

    def columns(self, schema: str, table: str) -> list[Column]:
        """In order."""
        with self._connection.cursor() as cursor:
            cursor.execute(
                "SELECT column_name, data_type, column_type, numeric_precision, numeric_scale "
                "FROM information_schema.columns WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position",
                (schema, table),
            )
            found = cursor.fetchall()
        return [self._column(name, kind.lower(), whole.lower(), precision, scale)
                for name, kind, whole, precision, scale in found]  # fmt: skip

    def _column(self, name: str, kind: str, whole: str, precision: str | None, scale: str | None) -> Column:
        own = self.quoted(name)
        if kind in _BINARY:
            return Column(name, "binary", f"HEX({own})")
        if kind == "bit":
            width = re.search(r"\((\d+)\)", whole)
            return Column(name, "boolean" if width and width[1] == "1" else "decimal(20,0)", f"{own} + 0")
        if kind == "decimal" and precision is not None and int(precision) <= 38:
            return Column(name, f"decimal({precision},{scale or 0})", own, pushed=True)
        if "unsigned" in whole and kind in _UNSIGNED:
            return Column(name, _UNSIGNED[kind], own, pushed=True)
        if kind in _TYPES:
            return Column(name, _TYPES[kind], own, pushed=kind not in ("float", "year", "timestamp"))
        return Column(name, "string", f"CAST({own} AS CHAR)", pushed=kind in _TEXTS)

    def quoted(self, *names: str) -> str:
        """Identifiers, ready for a statement with parameters."""
        return ".".join("`" + name.replace("`", "``").replace("%", "%%") + "`" for name in names)

    def bytes_of(self, sql: str) -> str:
        """UTF-8 as bytes: no collation, no padding."""
        return f"CAST(CONVERT({sql} USING utf8mb4) AS BINARY)"

    def rows(self, sql: str, parameters: list[Any]) -> Iterator[Sequence[Any]]:
        """Streamed, as the server sends them."""
        with self._connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            while (row := cursor.fetchone()) is not None:
                yield [value.decode() if isinstance(value, bytes) else value for value in row]

    def close(self) -> None:
        """Without waiting for rows that nobody wants any more."""
        self._connection._force_close()

    def _list(self, sql: str, *parameters: str) -> list[str]:
        with self._connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return [row[0].decode() if isinstance(row[0], bytes) else str(row[0]) for row in cursor.fetchall()]
