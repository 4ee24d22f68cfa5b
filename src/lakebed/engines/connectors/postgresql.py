"""PostgreSQL, and what speaks its protocol: Aurora, Redshift's readers, CockroachDB.

Types: https://docs.aws.amazon.com/athena/latest/ug/connectors-postgresql.html. ``numeric`` without a precision is text here,
since no decimal holds every value of it; so are arrays, JSON, intervals and everything else without a counterpart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import psycopg

from lakebed.engines.connectors.reading import Column

_TYPES = {"bool": "boolean", "int2": "smallint", "int4": "int", "int8": "bigint", "float4": "float", "float8": "double",
          "date": "date", "timestamp": "timestamp", "timestamptz": "timestamp with time zone", "bytea": "binary",
          "text": "string", "varchar": "string", "bpchar": "string", "oid": "bigint"}  # fmt: skip
_PUSHED = ("bool", "int2", "int4", "int8", "float8", "date", "timestamp", "numeric", "text", "varchar", "bpchar")
_PORTION = 5000


class Postgresql:
    """A connection, read-only."""

    mark = "%s"

    def __init__(self, settings: dict[str, str]) -> None:
        self._connection = psycopg.connect(
            host=settings["host"], port=settings.get("port") or "5432", dbname=settings["database"],
            user=settings.get("username", ""), password=settings.get("password", ""),
            sslmode=settings.get("sslmode", "prefer"), connect_timeout=10, application_name="lakebed",
            passfile="/nonexistent", client_encoding="UTF8",
        )  # fmt: skip
        self._connection.read_only = True
        self._connection.execute("SET TIME ZONE 'UTC'")
        self._connection.execute("SET datestyle = 'ISO, YMD'")
        self._connection.execute("SET extra_float_digits = 1")
        self._connection.execute(  # so that a statement ends when we are killed
            "SELECT set_config(name, '500', false) FROM pg_settings WHERE name = 'client_connection_check_interval'"
        )

    def schemas(self) -> list[str]:
        """Those the user may use, without the server's own."""
        return self._list(
            "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' "
            "AND has_schema_privilege(oid, 'USAGE')"
        )

    def tables(self, schema: str) -> list[str]:
        """Tables, views, materialised views, foreign and partitioned tables."""
        return self._list(
            "SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace "
            "WHERE nspname = %s AND relkind IN ('r', 'v', 'm', 'f', 'p')",
            schema,
        )

    def columns(self, schema: str, table: str) -> list[Column]:
        """In order."""
        found = self._connection.execute(
            "SELECT attname, t.typname, b.typname, atttypmod, t.typtypmod FROM pg_attribute "
            "JOIN pg_class c ON c.oid = attrelid JOIN pg_namespace n ON n.oid = relnamespace "
            "JOIN pg_type t ON t.oid = atttypid LEFT JOIN pg_type b ON b.oid = t.typbasetype "
            "WHERE nspname = %s AND relname = %s AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            (schema, table),
        ).fetchall()
        return [self._column(name, base or own, modifier if base is None else domain_modifier)
                for name, own, base, modifier, domain_modifier in found]  # fmt: skip

    def _column(self, name: str, kind: str, modifier: int) -> Column:
        own = self.quoted(name)
        if kind == "numeric" and modifier >= 4:
            precision, scale = (modifier - 4) >> 16 & 0xFFFF, (modifier - 4) & 0x7FF
            if precision <= 38 and scale <= precision:
                return Column(name, f"decimal({precision},{scale})", f"{own}::text", pushed=True)
        if kind == "bytea":
            return Column(name, "binary", f"encode({own}, 'hex')")
        return Column(name, _TYPES.get(kind, "string"), f"{own}::text", pushed=kind in _PUSHED and kind != "numeric")

    def quoted(self, *names: str) -> str:
        """Identifiers, ready for a statement with parameters."""
        return ".".join('"' + name.replace('"', '""').replace("%", "%%") + '"' for name in names)

    def bytes_of(self, sql: str) -> str:
        """UTF-8 compares byte by byte under C."""
        return f'{sql}::text COLLATE "C"'

    def rows(self, sql: str, parameters: list[Any]) -> Iterator[Sequence[Any]]:
        """By a cursor at the server."""
        with self._connection.cursor(name="lakebed") as cursor:
            cursor.itersize = _PORTION
            cursor.execute(sql.encode(), parameters)
            yield from cursor

    def close(self) -> None:
        """Nothing was changed."""
        self._connection.close()

    def _list(self, sql: str, *parameters: str) -> list[str]:
        return [row[0] for row in self._connection.execute(sql.encode(), parameters).fetchall()]
