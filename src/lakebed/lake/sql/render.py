"""Athena's text of a value, as SQL that makes it: results are rendered where they are made.

Doubles as Java prints them, timestamps to the millisecond, arrays ``[a, b]``, rows and maps ``{k=v}``, binary as pairs of
hex digits (https://docs.aws.amazon.com/athena/latest/ug/data-types.html). NULL stays NULL at the top and is ``null`` inside.
"""

from __future__ import annotations

from lakebed.lake.sql import zones
from lakebed.lake.types import Type, field_name, quote


def java_double(sql: str) -> str:
    """Double.toString of a DOUBLE or REAL."""
    return f"lb_java({sql})"


def timestamp_text(sql: str, kind: Type) -> str:
    """A timestamp to three digits, with its zone where it has one."""
    if kind.base == "timestamp":
        return f"lb_stamp({sql})"
    zone = kind.args[0] if kind.args else "UTC"
    return f"(lb_stamp({zones.local(sql, zone)}) || ' {zone}')"


def text(sql: str, kind: Type, depth: int = 0) -> str:
    """VARCHAR of a value of this type."""
    base, args = kind
    if base in ("double", "real"):
        return java_double(sql)
    if base in ("timestamp", "timestamp with time zone"):
        return timestamp_text(sql, kind)
    if base in ("varchar", "char", "json"):
        return sql
    if base == "varbinary":
        return f"lb_hexes({sql})"
    if base == "interval day to second":
        return f"lb_day_interval({sql})"
    if base == "interval year to month":
        return f"lb_month_interval({sql})"
    name = f"r{depth}_"
    if base == "array":
        return f"('[' || array_to_string(list_transform({sql}, lambda {name}: {_inner(name, args[0], depth)}), ', ') || ']')"
    if base == "map":
        key, value = _inner(f"{name}.key", args[0], depth), _inner(f"{name}.value", args[1], depth)
        entry = f"lambda {name}: {key} || '=' || {value}"
        return f"('{{' || array_to_string(list_transform(map_entries({sql}), {entry}), ', ') || '}}')"
    if base == "row":
        fields = [
            f"{_quoted(f'{field_name(label, at)}=')} || {_inner(f'{name}.{quote(field_name(label, at))}', field, depth)}"
            for at, (label, field) in enumerate(args)
        ]
        body = " || ', ' || ".join(fields)
        made = f"CASE WHEN {name} IS NULL THEN NULL ELSE '{{' || {body} || '}}' END"
        return f"list_transform([{sql}], lambda {name}: {made})[1]"
    if base == "time":
        return f"left(CAST({sql} AS VARCHAR) || CASE WHEN CAST({sql} AS VARCHAR) LIKE '%.%' THEN '000' ELSE '.000' END, 12)"
    return f"CAST({sql} AS VARCHAR)"


def _inner(sql: str, kind: Type, depth: int) -> str:
    return f"coalesce({text(sql, kind, depth + 1)}, 'null')"


def _quoted(plain: str) -> str:
    return "'" + plain.replace("'", "''") + "'"
