"""Arithmetic by Trino's rules: integers divide to integers, decimals keep exact scales, dates take intervals.

https://trino.io/docs/current/functions/decimal.html, https://trino.io/docs/current/functions/datetime.html
"""

from __future__ import annotations

from lakebed.lake.sql import zones
from lakebed.lake.sql.typed import Typed, as_decimal, coerce, common, is_numeric, mismatch
from lakebed.lake.types import INTEGERS, INTERVAL_DAY, Type, decimal, duckdb_text
from lakebed.ports.sql import SqlFailure

_TIMES = ("date", "timestamp", "timestamp with time zone", "time")


def binary(operator: str, a: Typed, b: Typed, place: str) -> Typed:
    """``a operator b``"""
    made = _numeric(operator, a, b) if is_numeric(a.type) and is_numeric(b.type) else _temporal(operator, a, b)
    if made is None and "unknown" in (a.type.base, b.type.base) and (is_numeric(a.type) or is_numeric(b.type)):
        kind = b.type if a.type.base == "unknown" else a.type
        return Typed(f"CAST(NULL AS {duckdb_text(kind)})", kind)
    if made is None:
        raise mismatch(f"{place}Cannot apply operator: {a.type} {operator} {b.type}")
    return made


def _numeric(operator: str, a: Typed, b: Typed) -> Typed:
    kind = common(a.type, b.type)
    assert kind is not None
    if kind.base == "decimal":
        return _decimal(operator, a, b)
    x, y = coerce(a, kind).sql, coerce(b, kind).sql
    if kind.base in INTEGERS:
        return Typed(f"({x} {'//' if operator == '/' else operator} {y})", kind)
    return Typed(
        f"CAST({x} {operator} {y} AS {duckdb_text(kind)})" if kind.base == "real" else f"({x} {operator} {y})", kind
    )


def _decimal(operator: str, a: Typed, b: Typed) -> Typed:
    da, db = as_decimal(a.type), as_decimal(b.type)
    assert da is not None
    assert db is not None
    (p1, s1), (p2, s2) = da.args, db.args
    x, y, scale = coerce(a, da).sql, coerce(b, db).sql, max(s1, s2)
    if operator == "*":
        kind = decimal(p1 + p2, s1 + s2)
        if s1 + s2 > 38:
            raise SqlFailure("INVALID_FUNCTION_ARGUMENT", f"DECIMAL scale must be in range [0, 38]: {s1 + s2}")
        return Typed(f"CAST({x} * {y} AS {duckdb_text(kind)})", kind)
    if operator == "/":
        return _divide(Typed(x, da), Typed(y, db), decimal(p1 + s2 + max(s2 - s1, 0), scale))
    kind = (
        decimal(min(p2 - s2, p1 - s1) + scale, scale)
        if operator == "%"
        else decimal(max(p1 - s1, p2 - s2) + scale + 1, scale)
    )
    wide = duckdb_text(decimal(max(p1 - s1, p2 - s2) + scale, scale))
    return Typed(f"CAST(CAST({x} AS {wide}) {operator} CAST({y} AS {wide}) AS {duckdb_text(kind)})", kind)


def _divide(a: Typed, b: Typed, kind: Type) -> Typed:
    """Exact, half up, in scaled integers: numerator * 10^(scale + s2 - s1)."""
    shift = kind.args[1] + b.type.args[1] - a.type.args[1]
    top = f"{unscaled(a)} * CAST({literal_power(shift)} AS HUGEINT)"
    return Typed(rescaled(f"lb_div({top}, {unscaled(b)})", kind), kind)


def literal_power(shift: int) -> str:
    """10^shift as text that casts to HUGEINT."""
    return f"'{10**shift}'"


def unscaled(value: Typed) -> str:
    """A decimal's digits as a HUGEINT."""
    return f"CAST(replace(CAST({value.sql} AS VARCHAR), '.', '') AS HUGEINT)"


def rescaled(sql: str, kind: Type) -> str:
    """HUGEINT digits as a decimal of ``kind``."""
    precision, scale = kind.args
    if scale == 0:
        return f"CAST({sql} AS {duckdb_text(kind)})"
    padded = (
        f"lpad(CAST(abs(h_) AS VARCHAR), CAST(greatest(length(CAST(abs(h_) AS VARCHAR)), {scale + 1}) AS INTEGER), '0')"
    )
    made = f"CASE WHEN h_ < 0 THEN '-' ELSE '' END || left({padded}, -{scale}) || '.' || right({padded}, {scale})"
    return f"CAST(list_transform([{sql}], lambda h_: {made})[1] AS DECIMAL({precision},{scale}))"


def _temporal(operator: str, a: Typed, b: Typed) -> Typed | None:
    if operator == "+" and a.type.base.startswith("interval") and b.type.base in _TIMES:
        a, b = b, a
    if operator in "+-" and b.type.base.startswith("interval"):
        if a.type.base in _TIMES:
            if a.type.base == "timestamp with time zone" and a.type.args:
                zone = a.type.args[0]
                return Typed(zones.instant(f"({zones.local(a.sql, zone)} {operator} {b.sql})", zone), a.type)
            return Typed(f"CAST(({a.sql} {operator} {b.sql}) AS {duckdb_text(a.type)})", a.type)
        if a.type == b.type:
            return Typed(f"({a.sql} {operator} {b.sql})", a.type)
    if operator == "-" and a.type.base in _TIMES and a.type.base == b.type.base and a.type.base != "time":
        micros = f"epoch_us(CAST({a.sql} AS TIMESTAMPTZ)) - epoch_us(CAST({b.sql} AS TIMESTAMPTZ))"
        return Typed(f"to_microseconds({micros})", INTERVAL_DAY)
    if operator in "*" and a.type.base.startswith("interval") and b.type.base in INTEGERS:
        return Typed(f"({a.sql} * {b.sql})", a.type)
    return None
