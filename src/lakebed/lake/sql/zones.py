"""Time zones: a region's name or an offset. The engine keeps the instant; the zone lives in the type and is written again.

https://trino.io/docs/current/language/types.html#date-and-time
"""

from __future__ import annotations

import re

from lakebed.ports.sql import SqlFailure

_REGION = re.compile(r"[A-Za-z_]+(/[A-Za-z0-9_+\-]+){0,2}")
_OFFSET = re.compile(r"([+-])(\d\d):(\d\d)")


def zone_of(text: str, place: str = "") -> str:
    """A zone as Trino prints it; ``Z`` and a zero offset are UTC."""
    if text in ("Z", "UTC", "+00:00", "-00:00"):
        return "UTC"
    offset = _OFFSET.fullmatch(text)
    if offset and int(offset.group(2)) * 60 + int(offset.group(3)) <= 14 * 60 and int(offset.group(3)) < 60:
        return text
    if offset or not _REGION.fullmatch(text):
        raise SqlFailure("INVALID_FUNCTION_ARGUMENT", f"{place}'{text[:60]}' is not a valid time zone")
    return text


def local(sql: str, zone: str) -> str:
    """The wall clock of an instant in a zone."""
    return f"(timezone('UTC', {sql}) + {_shift(zone)})" if _OFFSET.fullmatch(zone) else f"timezone('{zone}', {sql})"


def instant(sql: str, zone: str) -> str:
    """The instant at which a zone's wall clock shows a time."""
    if _OFFSET.fullmatch(zone):
        return f"timezone('UTC', CAST({sql} AS TIMESTAMP) - {_shift(zone)})"
    return f"timezone('{zone}', {sql})"


def _shift(zone: str) -> str:
    match = _OFFSET.fullmatch(zone)
    assert match is not None
    minutes = int(match.group(2)) * 60 + int(match.group(3))
    return f"to_minutes({-minutes if match.group(1) == '-' else minutes})"
