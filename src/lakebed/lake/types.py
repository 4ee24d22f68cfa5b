"""Types: one value for Trino's, Hive's and DuckDB's names of the same thing.

Hive types stand in the catalogue (https://docs.aws.amazon.com/athena/latest/ug/data-types.html), Trino's in statements and
results (https://trino.io/docs/current/language/types.html), DuckDB's in what we emit. A type that one side lacks is refused
by ``UnknownTypeError``; nothing is guessed.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple


class UnknownTypeError(ValueError):
    """No such type, or one that is not built."""


class Type(NamedTuple):
    """``base`` is Trino's name; ``args``: (precision, scale), (length,), (element,), (key, value), ((name, type), ...)."""

    base: str
    args: tuple[Any, ...] = ()

    def __str__(self) -> str:
        return trino_text(self)


BOOLEAN, TINYINT, SMALLINT, INTEGER, BIGINT = (
    Type(name) for name in ("boolean", "tinyint", "smallint", "integer", "bigint")
)
REAL, DOUBLE, VARCHAR, VARBINARY, DATE = (Type(name) for name in ("real", "double", "varchar", "varbinary", "date"))
TIME, TIMESTAMP, TIMESTAMPTZ, JSON, UNKNOWN = (
    Type(name) for name in ("time", "timestamp", "timestamp with time zone", "json", "unknown")
)
INTERVAL_DAY, INTERVAL_YEAR = Type("interval day to second"), Type("interval year to month")

INTEGERS = ("tinyint", "smallint", "integer", "bigint")
DIGITS = {"tinyint": 3, "smallint": 5, "integer": 10, "bigint": 19}

_HIVE = {
    "boolean": BOOLEAN, "tinyint": TINYINT, "smallint": SMALLINT, "int": INTEGER, "integer": INTEGER, "bigint": BIGINT,
    "long": BIGINT, "float": REAL, "real": REAL, "double": DOUBLE, "string": VARCHAR, "varchar": VARCHAR, "binary": VARBINARY,
    "varbinary": VARBINARY, "date": DATE, "timestamp": TIMESTAMP, "json": JSON, "time": TIME,
    "timestamp with time zone": TIMESTAMPTZ,
}  # fmt: skip
_TO_HIVE = {"integer": "int", "real": "float", "varbinary": "binary", "unknown": "string", "json": "string",
            "timestamp with time zone": "timestamp", "time": "string"}  # fmt: skip
_DUCKDB = {
    "boolean": "BOOLEAN", "tinyint": "TINYINT", "smallint": "SMALLINT", "integer": "INTEGER", "bigint": "BIGINT",
    "real": "REAL", "double": "DOUBLE", "varchar": "VARCHAR", "char": "VARCHAR", "varbinary": "BLOB", "date": "DATE",
    "time": "TIME", "timestamp": "TIMESTAMP", "timestamp with time zone": "TIMESTAMPTZ", "json": "VARCHAR",
    "unknown": "INTEGER", "interval day to second": "INTERVAL", "interval year to month": "INTERVAL",
}  # fmt: skip


def array(element: Type) -> Type:
    """array(element)"""
    return Type("array", (element,))


def map_of(key: Type, value: Type) -> Type:
    """map(key, value)"""
    return Type("map", (key, value))


def row(*fields: tuple[str | None, Type]) -> Type:
    """row(name type, ...)"""
    return Type("row", tuple(fields))


def decimal(precision: int, scale: int) -> Type:
    """decimal(precision, scale), precision cut to 38"""
    return Type("decimal", (min(max(precision, 1), 38), scale))


def trino_text(kind: Type) -> str:
    """As ``typeof`` and error messages print it."""
    base, args = kind
    if base in ("array", "map"):
        return f"{base}({', '.join(trino_text(arg) for arg in args)})"
    if base == "row":
        return f"row({', '.join((f'{name} ' if name else '') + trino_text(field) for name, field in args)})"
    if base == "timestamp":
        return "timestamp(3)"
    if base == "timestamp with time zone":
        return "timestamp(3) with time zone"
    if args:
        return f"{base}({','.join(str(arg) for arg in args)})"
    return base


def hive_text(kind: Type) -> str:
    """As Glue stores it."""
    base, args = kind
    if base == "array":
        return f"array<{hive_text(args[0])}>"
    if base == "map":
        return f"map<{hive_text(args[0])},{hive_text(args[1])}>"
    if base == "row":
        fields = [f"{field_name(name, at)}:{hive_text(field)}" for at, (name, field) in enumerate(args)]
        return f"struct<{','.join(fields)}>"
    if base == "varchar" and not args:
        return "string"
    if args:
        return f"{base}({','.join(str(arg) for arg in args)})"
    return _TO_HIVE.get(base, base)


def duckdb_text(kind: Type) -> str:
    """As we emit it in casts and column lists."""
    base, args = kind
    if base == "array":
        return f"{duckdb_text(args[0])}[]"
    if base == "map":
        return f"MAP({duckdb_text(args[0])}, {duckdb_text(args[1])})"
    if base == "row":
        fields = [f"{quote(field_name(name, at))} {duckdb_text(field)}" for at, (name, field) in enumerate(args)]
        return f"STRUCT({', '.join(fields)})"
    if base == "decimal":
        return f"DECIMAL({args[0]},{args[1]})"
    if base not in _DUCKDB:
        raise UnknownTypeError(f"type {base} is not built")
    return _DUCKDB[base]


def field_name(name: str | None, at: int) -> str:
    """A row field's name, Athena's ``field0`` where it has none."""
    return name if name else f"field{at}"


def quote(identifier: str) -> str:
    """A DuckDB identifier."""
    return '"' + identifier.replace('"', '""') + '"'


_TOKEN = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_ .\-$@]*?(?=\s*[<>:,()]|\s*$)|\d+|`[^`]+`|[<>(),:])")


def parse_hive(text: str) -> Type:
    """``struct<a:int,b:array<string>>``; also Trino's spelling of simple types."""
    if len(text) > 131_072:
        raise UnknownTypeError("type text is too long")
    tokens: list[str] = []
    at = 0
    while at < len(text.rstrip()):
        match = _TOKEN.match(text, at)
        if match is None:
            raise UnknownTypeError(f"type {text[:100]!r} cannot be read")
        tokens.append(match.group(1).strip())
        at = match.end()
    kind, end = _hive(tokens, 0, 0)
    if end != len(tokens):
        raise UnknownTypeError(f"type {text[:100]!r} cannot be read")
    return kind


def _hive(tokens: list[str], at: int, depth: int) -> tuple[Type, int]:
    if at >= len(tokens) or depth > 50:
        raise UnknownTypeError("type is incomplete or nested too deeply")
    base = tokens[at].lower()
    following = tokens[at + 1] if at + 1 < len(tokens) else ""
    if base in ("array", "map", "struct") and following == "<":
        return _nested(tokens, base, at + 2, depth)
    if base in ("decimal", "varchar", "char", "numeric") and following == "(":
        end = tokens.index(")", at) if ")" in tokens[at:] else 0
        numbers = tuple(int(token) for token in tokens[at + 2 : end] if token.isdigit())
        if base in ("decimal", "numeric"):
            return decimal(numbers[0], numbers[1] if len(numbers) > 1 else 0), end + 1
        return Type(base, numbers[:1]), end + 1
    if base in ("decimal", "numeric"):
        return decimal(10, 0), at + 1
    if base == "char":
        return Type("char", (1,)), at + 1
    if base not in _HIVE:
        raise UnknownTypeError(f"type {base} is not built")
    return _HIVE[base], at + 1


def _nested(tokens: list[str], base: str, at: int, depth: int) -> tuple[Type, int]:
    parts: list[Any] = []
    while at < len(tokens):
        name = None
        if base == "struct":
            if at + 1 >= len(tokens) or tokens[at + 1] != ":":
                raise UnknownTypeError("struct fields are name:type")
            name, at = tokens[at].strip("`").lower(), at + 2
        kind, at = _hive(tokens, at, depth + 1)
        parts.append((name, kind) if base == "struct" else kind)
        if at < len(tokens) and tokens[at] == ",":
            at += 1
            continue
        break
    wanted = {"array": 1, "map": 2}.get(base, len(parts))
    if at >= len(tokens) or tokens[at] != ">" or len(parts) != wanted:
        raise UnknownTypeError(f"{base} type cannot be read")
    return Type("row" if base == "struct" else base, tuple(parts)), at + 1
