"""A compiled expression: DuckDB text and its Trino type; and the coercions between them.

https://trino.io/docs/current/functions/conversion.html, https://trino.io/docs/current/functions/decimal.html
"""

from __future__ import annotations

from typing import NamedTuple

from lakebed.lake.sql import zones
from lakebed.lake.sql.render import java_double, timestamp_text
from lakebed.lake.types import (
    DIGITS,
    DOUBLE,
    INTEGERS,
    TIMESTAMP,
    Type,
    array,
    decimal,
    duckdb_text,
    field_name,
    map_of,
    quote,
    row,
)  # fmt: skip
from lakebed.ports.sql import SqlFailure

_RANK = {"tinyint": 1, "smallint": 2, "integer": 3, "bigint": 4, "decimal": 5, "real": 6, "double": 7}
_TEMPORAL = {"date": 1, "timestamp": 2, "timestamp with time zone": 3}


class Typed(NamedTuple):
    """DuckDB text, always safe to embed, and what Trino says it is."""

    sql: str
    type: Type


def literal(text: str) -> str:
    """A DuckDB string."""
    return "'" + text.replace("'", "''") + "'"


def mismatch(message: str) -> SqlFailure:
    """TYPE_MISMATCH"""
    return SqlFailure("TYPE_MISMATCH", message)


def as_decimal(kind: Type) -> Type | None:
    """The decimal an integer or decimal type is."""
    if kind.base in DIGITS:
        return decimal(DIGITS[kind.base], 0)
    return kind if kind.base == "decimal" else None


def is_numeric(kind: Type) -> bool:
    """Whether arithmetic is defined."""
    return kind.base in _RANK


def common(a: Type, b: Type) -> Type | None:
    """The type both coerce to without a cast, None where there is none."""
    if a == b or b.base == "unknown":
        return a
    if a.base == "unknown":
        return b
    if a.base in _RANK and b.base in _RANK:
        if "decimal" in (a.base, b.base) and (da := as_decimal(a)) and (db := as_decimal(b)):
            scale = max(da.args[1], db.args[1])
            return decimal(max(da.args[0] - da.args[1], db.args[0] - db.args[1]) + scale, scale)
        return max(a, b, key=lambda kind: _RANK[kind.base])
    if {a.base, b.base} <= {"varchar", "char"}:
        return Type("varchar", (max(a.args[0], b.args[0]),)) if a.args and b.args else Type("varchar")
    if a.base in _TEMPORAL and b.base in _TEMPORAL:
        return max(a, b, key=lambda kind: _TEMPORAL[kind.base])
    if a.base == b.base == "array":
        inner = common(a.args[0], b.args[0])
        return array(inner) if inner else None
    if a.base == b.base == "map":
        key, value = common(a.args[0], b.args[0]), common(a.args[1], b.args[1])
        return map_of(key, value) if key and value else None
    if a.base == b.base == "row" and len(a.args) == len(b.args):
        fields = [(name or other, common(x, y)) for (name, x), (other, y) in zip(a.args, b.args, strict=True)]
        return row(*[(n, f) for n, f in fields if f]) if all(f for _, f in fields) else None
    return None


def coerce(value: Typed, to: Type) -> Typed:
    """An implicit conversion that ``common`` promised."""
    if duckdb_text(value.type) == duckdb_text(to):
        return Typed(value.sql, to)
    return cast(value, to)


def unify(values: list[Typed], what: str) -> tuple[list[Typed], Type]:
    """All values in their common type."""
    kind = values[0].type
    for value in values[1:]:
        merged = common(kind, value.type)
        if merged is None:
            raise mismatch(f"{what}: types {kind} and {value.type} do not match")
        kind = merged
    same_zones([value.type for value in values])
    return [coerce(value, kind) for value in values], kind


def same_zones(kinds: list[Type]) -> None:
    """One column, one zone: the zone is kept in the type, so values of several cannot stand together."""
    zoned = {kind.args[0] if kind.args else "UTC" for kind in kinds if kind.base == "timestamp with time zone"}
    if len(zoned) > 1:
        raise SqlFailure("NOT_SUPPORTED", "timestamps of several zones in one column are not built; use AT TIME ZONE")


def cast(value: Typed, to: Type, *, safe: bool = False) -> Typed:
    """An explicit CAST (``safe``: TRY_CAST)."""
    made = _cast(value, to)
    if safe and made != value.sql:
        made = f"TRY({made})"
    return Typed(made, to)


def _cast(value: Typed, to: Type) -> str:
    source, sql, target = value.type, value.sql, duckdb_text(to)
    if source == to or source.base == "unknown":
        return sql if source == to else f"CAST({sql} AS {target})"
    if source.base == "json" and to.base != "json":
        return _from_json(sql, to, target)
    if to.base == "json":
        return f"CAST(to_json({sql}) AS VARCHAR)"
    if to.base in ("varchar", "char"):
        return _to_text(value, to)
    if source.base in ("varchar", "char"):
        return _from_text(sql, to, target)
    if to.base in INTEGERS and source.base in ("double", "real"):
        return f"CAST(round({sql}) AS {target})"
    if source.base == "row" and to.base == "row":
        if len(source.args) != len(to.args):
            raise mismatch(f"Cannot cast {source} to {to}")
        return _row_cast(sql, source, to)
    if source.base == "array" and to.base == "array":
        inner = _cast(Typed("e_", source.args[0]), to.args[0])
        return sql if inner == "e_" else f"list_transform({sql}, lambda e_: {inner})"
    if source.base == "timestamp with time zone" and to.base in ("timestamp", "date"):
        zoned = zones.local(sql, source.args[0] if source.args else "UTC")
        return zoned if to.base == "timestamp" else f"CAST({zoned} AS DATE)"
    if common(source, to) is None and not _castable(source, to):
        raise mismatch(f"Cannot cast {source} to {to}")
    return f"CAST({sql} AS {target})"


def _castable(source: Type, to: Type) -> bool:
    numeric = (*_RANK, "boolean")
    if source.base in numeric and to.base in numeric:
        return True
    return (source.base in _TEMPORAL and to.base in (*_TEMPORAL, "time")) or source.base == to.base


def _to_text(value: Typed, to: Type) -> str:
    base, sql = value.type.base, value.sql
    if base in ("double", "real"):
        text = java_double(sql)
    elif base in ("timestamp", "timestamp with time zone"):
        text = timestamp_text(sql, value.type)
    elif base in ("varchar", "char"):
        text = sql
    elif base in ("array", "map", "row", "varbinary") or base.startswith("interval"):
        raise mismatch(f"Cannot cast {value.type} to {to}")
    else:
        text = f"CAST({sql} AS VARCHAR)"
    if to.base == "char":
        length = to.args[0] if to.args else 1
        return f"rpad({text}, {length}, ' ')"
    if to.args and not (value.type.base == "varchar" and value.type.args and value.type.args[0] <= to.args[0]):
        return f"left({text}, {to.args[0]})"
    return text


def _from_text(sql: str, to: Type, target: str) -> str:
    if to.base in INTEGERS:
        guarded = f"CASE WHEN regexp_full_match({sql}, '[+-]?[0-9]+') THEN {sql} ELSE 'x' || {sql} END"
        return f"CAST({guarded} AS {target})"
    if to.base == "varbinary":
        return f"encode({sql})"
    if to.base == "timestamp":
        return f"lb_milliseconds(CAST({sql} AS TIMESTAMP))"
    if to.base in ("array", "map", "row") or to.base.startswith("interval"):
        raise mismatch(f"Cannot cast varchar to {to}")
    return f"CAST({sql} AS {target})"


def _from_json(sql: str, to: Type, target: str) -> str:
    if to.base in ("varchar", "char"):
        return f"(CAST({sql} AS JSON) ->> '$')"
    if to.base in ("array", "map", "row"):
        return f"CAST(CAST({sql} AS JSON) AS {target})"
    return f"CAST((CAST({sql} AS JSON) ->> '$') AS {target})"


def _row_cast(sql: str, source: Type, to: Type) -> str:
    parts = []
    for at, ((name, kind), (new, wanted)) in enumerate(zip(source.args, to.args, strict=True)):
        inner = _cast(Typed(f"e_.{quote(field_name(name, at))}", kind), wanted)
        parts.append(f"{quote(field_name(new, at))} := {inner}")
    body = f"CASE WHEN e_ IS NULL THEN NULL ELSE struct_pack({', '.join(parts)}) END"
    return f"list_transform([{sql}], lambda e_: {body})[1]"


__all__ = [
    "DOUBLE", "TIMESTAMP", "Typed", "as_decimal", "cast", "coerce", "common", "is_numeric", "literal", "mismatch",
    "same_zones", "unify",
]  # fmt: skip
