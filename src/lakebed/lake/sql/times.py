"""Dates and times: Trino counts whole units, keeps a DATE a DATE, and has three alphabets of formats.

MySQL's for date_format and date_parse, Joda's for format_datetime and parse_datetime; both are turned into strftime's when
they are literals (https://trino.io/docs/current/functions/datetime.html). What strftime cannot say is refused.
"""

# ruff: noqa: ARG001 - one signature for the whole table

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any

from lakebed.lake.sql import zones
from lakebed.lake.sql.dialect import where
from lakebed.lake.sql.typed import Typed, cast, common, is_numeric, literal, mismatch
from lakebed.lake.types import BIGINT, DATE, DOUBLE, INTERVAL_DAY, TIMESTAMP, TIMESTAMPTZ, VARCHAR, Type, duckdb_text
from lakebed.ports.sql import SqlFailure

if TYPE_CHECKING:
    from lakebed.lake.sql.expressions import Expressions

_UNITS = ("millisecond", "second", "minute", "hour", "day", "week", "month", "quarter", "year")
_TEMPORAL = ("date", "timestamp", "timestamp with time zone")
_MYSQL = {"Y": "%Y", "y": "%y", "m": "%m", "c": "%-m", "d": "%d", "e": "%-d", "H": "%H", "k": "%-H", "h": "%I", "I": "%I",
          "l": "%-I", "i": "%M", "s": "%S", "S": "%S", "f": "%f", "p": "%p", "W": "%A", "a": "%a", "M": "%B", "b": "%b",
          "j": "%j", "T": "%H:%M:%S", "r": "%I:%M:%S %p", "%": "%%"}  # fmt: skip
_JODA = {"yyyy": "%Y", "YYYY": "%Y", "yy": "%y", "MM": "%m", "M": "%-m", "MMM": "%b", "MMMM": "%B", "dd": "%d", "d": "%-d",
         "HH": "%H", "H": "%-H", "hh": "%I", "h": "%-I", "mm": "%M", "ss": "%S", "SSS": "%g", "a": "%p", "E": "%a",
         "EEE": "%a", "EEEE": "%A", "DDD": "%j"}  # fmt: skip


def mysql_format(text: str, place: str = "") -> str:
    """date_format's pattern as strftime's."""

    def one(match: re.Match[str]) -> str:
        if match.group(1) not in _MYSQL:
            raise SqlFailure(
                "INVALID_FUNCTION_ARGUMENT", f"{place}%{match.group(1)} not supported in date format string"
            )
        return _MYSQL[match.group(1)]

    return re.sub(r"%(.)", one, text, flags=re.DOTALL)


def joda_format(text: str, place: str = "") -> str:
    """format_datetime's pattern as strftime's."""
    made, at = "", 0
    for match in re.finditer(r"'((?:[^']|'')*)'|([A-Za-z])\2*|[^A-Za-z']+", text):
        if match.start() != at:
            break
        at = match.end()
        if match.group(1) is not None:
            made += (match.group(1).replace("''", "'") or "'").replace("%", "%%")
        elif match.group(2):
            if match.group(0) not in _JODA:
                raise SqlFailure("NOT_SUPPORTED", f"{place}pattern letters {match.group(0)} are not built")
            made += _JODA[match.group(0)]
        else:
            made += match.group(0).replace("%", "%%")
    if at != len(text):
        raise SqlFailure("INVALID_FUNCTION_ARGUMENT", f"{place}Invalid format: {text[:100]}")
    return made


def _literal(of: Expressions, node: Any, what: str) -> str:
    from lakebed.lake.sql.functions import text_of

    text = text_of(of.compile(node))
    if text is None:
        raise SqlFailure("NOT_SUPPORTED", f"{where(node)}{what} must be a string literal here")
    return text


def _unit(of: Expressions, node: Any) -> str:
    unit = _literal(of, node, "the unit").lower()
    if unit not in _UNITS:
        raise SqlFailure("INVALID_FUNCTION_ARGUMENT", f"{where(node)}'{unit[:40]}' is not a valid unit")
    return unit


def _moment(value: Typed, node: Any) -> Typed:
    if value.type.base not in _TEMPORAL:
        raise SqlFailure("FUNCTION_NOT_FOUND", f"{where(node)}a date or timestamp is expected, not {value.type}")
    return value


def _kept(made: str, kind: Type) -> Typed:
    if kind.base == "timestamp with time zone":
        return Typed(zones.instant(made, kind.args[0] if kind.args else "UTC"), kind)
    return Typed(f"CAST({made} AS {duckdb_text(kind)})", kind)


def _local(value: Typed) -> str:
    return cast(value, TIMESTAMP).sql if value.type.base == "timestamp with time zone" else value.sql


def _date_add(of: Expressions, arguments: list[Any], node: Any) -> Typed:
    unit, count = _unit(of, arguments[0]), of.compile(arguments[1])
    value = _moment(of.compile(arguments[2]), node)
    if value.type == DATE and unit in _UNITS[:4]:
        raise SqlFailure("INVALID_FUNCTION_ARGUMENT", f"{where(node)}'{unit}' is not a valid DATE field")
    if count.type.base not in ("tinyint", "smallint", "integer", "bigint"):
        raise mismatch(f"{where(node)}date_add takes an integer")
    times, word = {"quarter": (3, "months"), "week": (7, "days")}.get(unit, (1, f"{unit}s"))
    return _kept(f"{_local(value)} + to_{word}(CAST({count.sql} * {times} AS {'BIGINT' if unit in _UNITS[:4] else 'INTEGER'}))",
                 value.type)  # fmt: skip


def _date_diff(of: Expressions, arguments: list[Any], node: Any) -> Typed:
    unit = _unit(of, arguments[0])
    a, b = (_moment(of.compile(argument), node) for argument in arguments[1:3])
    if common(a.type, b.type) is None:
        raise mismatch(f"{where(node)}date_diff of {a.type} and {b.type}")
    return Typed(f"date_sub({literal(unit)}, CAST({_local(a)} AS TIMESTAMP), CAST({_local(b)} AS TIMESTAMP))", BIGINT)


def _date_trunc(of: Expressions, arguments: list[Any], node: Any) -> Typed:
    unit, value = _unit(of, arguments[0]), _moment(of.compile(arguments[1]), node)
    return _kept(f"date_trunc({literal(unit)}, {_local(value)})", value.type)


def _format(translate: Callable[[str, str], str]) -> Callable[[Expressions, list[Any], Any], Typed]:
    def made(of: Expressions, arguments: list[Any], node: Any) -> Typed:
        value = _moment(of.compile(arguments[0]), node)
        pattern = translate(_literal(of, arguments[1], "the format"), where(node))
        return Typed(f"strftime({_local(value)}, {literal(pattern)})", VARCHAR)

    return made


def _parse(translate: Callable[[str, str], str], zoned: bool) -> Callable[[Expressions, list[Any], Any], Typed]:
    def made(of: Expressions, arguments: list[Any], node: Any) -> Typed:
        value = of.compile(arguments[0])
        if value.type.base not in ("varchar", "char", "unknown"):
            raise mismatch(f"{where(node)}a varchar is expected")
        text = _literal(of, arguments[1], "the format")
        if zoned and text.endswith("Z") and "'" not in text:  # an offset: a column has one zone, so it must be UTC's
            pattern = translate(text[:-1], where(node)).replace("%-", "%") + "%z"
            told = "lb_fail('parse_datetime reads offsets of UTC only here')"
            utc = f"CASE WHEN regexp_matches({value.sql}, '[+-]00:?00$') THEN {value.sql} ELSE left({value.sql}, {told}) END"
            return Typed(f"CAST(strptime({utc}, {literal(pattern)}) AS TIMESTAMPTZ)", TIMESTAMPTZ)
        pattern = translate(text, where(node))
        parsed = f"strptime({value.sql}, {literal(pattern.replace('%-', '%'))})"
        return Typed(f"timezone('UTC', {parsed})", TIMESTAMPTZ) if zoned else Typed(parsed, TIMESTAMP)

    return made


def _extract(of: Expressions, arguments: list[Any], node: Any) -> Typed:
    from lakebed.lake.sql.functions import call

    unit = arguments[0].name.lower()
    known = ("year", "quarter", "month", "week", "day", "day_of_month", "day_of_week", "dow", "day_of_year", "doy", "hour",
             "minute", "second", "year_of_week", "yow")  # fmt: skip
    if unit not in known:
        raise SqlFailure("NOT_SUPPORTED", f"{where(node)}EXTRACT({unit[:30]}) is not built")
    return call(of, unit, arguments[1:], node)


def _now(kind: Type) -> Callable[[Expressions, list[Any], Any], Typed]:
    def made(of: Expressions, arguments: list[Any], node: Any) -> Typed:
        moment = f"make_timestamp({int(of.compiler.now * 1000) * 1000}::BIGINT)"
        if kind == TIMESTAMPTZ:
            return Typed(f"timezone('UTC', {moment})", kind)
        return Typed(f"CAST({moment} AS {duckdb_text(kind)})", kind)

    return made


def _with_zone(of: Expressions, arguments: list[Any], node: Any) -> Typed:
    value, zone = of.compile(arguments[0]), _literal(of, arguments[1], "the zone")
    if value.type.base != "timestamp":
        raise mismatch(f"{where(node)}with_timezone takes a timestamp and a zone")
    zone = zones.zone_of(zone, where(node))
    return Typed(zones.instant(value.sql, zone), Type(TIMESTAMPTZ.base, (zone,)))


def _at_timezone(of: Expressions, arguments: list[Any], node: Any) -> Typed:
    value, zone = of.compile(arguments[0]), _literal(of, arguments[1], "the zone")
    value = cast(value, TIMESTAMPTZ) if value.type.base == "timestamp" else value
    if value.type.base != TIMESTAMPTZ.base:
        raise mismatch(f"{where(node)}at_timezone takes a timestamp and a zone")
    return Typed(value.sql, Type(TIMESTAMPTZ.base, (zones.zone_of(zone, where(node)),)))


def _from_unixtime(of: Expressions, arguments: list[Any], node: Any) -> Typed:
    value = of.compile(arguments[0]) if len(arguments) in (1, 2) else None
    if value is None or not is_numeric(value.type):
        raise SqlFailure("FUNCTION_NOT_FOUND", f"{where(node)}Unexpected parameters for function from_unixtime")
    zone = zones.zone_of(_literal(of, arguments[1], "the zone"), where(node)) if len(arguments) == 2 else "UTC"
    return Typed(f"lb_milliseconds(to_timestamp({cast(value, DOUBLE).sql}))", Type(TIMESTAMPTZ.base, (zone,)))


_ISO = re.compile(r"(\d{4}-\d\d-\d\d)(?:T(\d\d(?::\d\d(?::\d\d(?:[.,]\d+)?)?)?)(Z|[+-]\d\d:\d\d)?)?")


def _from_iso8601_timestamp(of: Expressions, arguments: list[Any], node: Any) -> Typed:
    """A literal keeps its offset; of other values only those in UTC, since a column has one zone."""
    from lakebed.lake.sql.functions import text_of

    value = of.compile(arguments[0])
    if len(arguments) != 1 or value.type.base not in ("varchar", "unknown"):
        raise mismatch(f"{where(node)}a varchar is expected")
    text = text_of(value)
    if text is None:
        return Typed(f"lb_iso8601({value.sql})", TIMESTAMPTZ)
    found = _ISO.fullmatch(text)
    if found is None:
        raise SqlFailure("INVALID_FUNCTION_ARGUMENT", f'Invalid format: "{text[:60]}"')
    zone = zones.zone_of(found.group(3) or "UTC")
    clock = (found.group(2) or "00") + ":00:00"[3 * (found.group(2) or "00").count(":") :]
    moment = f"lb_milliseconds(CAST({literal(f'{found.group(1)} {clock}')} AS TIMESTAMP))"
    return Typed(zones.instant(moment, zone), Type(TIMESTAMPTZ.base, (zone,)))


def _parse_duration(of: Expressions, arguments: list[Any], node: Any) -> Typed:
    text = _literal(of, arguments[0], "the duration")
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(ns|us|ms|s|m|h|d)\s*", text)
    if found is None:
        raise SqlFailure("INVALID_FUNCTION_ARGUMENT", f"{where(node)}Invalid duration: {text[:60]}")
    size = {"ns": 1, "us": 1000, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9, "d": 86400 * 10**9}
    milliseconds = (Decimal(found.group(1)) * size[found.group(2)] / 10**6).quantize(Decimal(1), ROUND_HALF_UP)
    return Typed(f"to_microseconds({int(milliseconds) * 1000})", INTERVAL_DAY)


SPECIAL: dict[str, Callable[[Expressions, list[Any], Any], Typed]] = {
    "date_add": _date_add, "date_diff": _date_diff, "date_trunc": _date_trunc, "date_format": _format(mysql_format),
    "format_datetime": _format(joda_format), "date_parse": _parse(mysql_format, False),
    "parse_datetime": _parse(joda_format, True), "extract": _extract, "now": _now(TIMESTAMPTZ),
    "current_timestamp": _now(TIMESTAMPTZ), "localtimestamp": _now(TIMESTAMP), "current_date": _now(DATE),
    "with_timezone": _with_zone, "at_timezone": _at_timezone, "from_unixtime": _from_unixtime,
    "from_iso8601_timestamp": _from_iso8601_timestamp, "parse_duration": _parse_duration,
}  # fmt: skip
