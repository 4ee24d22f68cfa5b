"""Partition projection: partitions computed from a table's properties instead of being kept in the catalogue.

https://docs.aws.amazon.com/athena/latest/ug/partition-projection-supported-types.html. The values of an
``injected`` column stand in the query alone. What is projected need not exist in S3.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from lakebed.lake import location
from lakebed.ports.sql import SqlFailure

PARTITIONS_MAX = 100_000
_FORMATS = {"yyyy": "%Y", "MM": "%m", "dd": "%d", "HH": "%H", "mm": "%M", "ss": "%S"}
_UNITS = {"SECOND": 1, "MINUTE": 60, "HOUR": 3600, "DAY": 86400, "WEEK": 604800}
_NOW = re.compile(r"NOW\s*(?:([+-])\s*(\d{1,6})\s*(YEAR|MONTH|WEEK|DAY|HOUR|MINUTE|SECOND)S?)?", re.IGNORECASE)


def enabled(table: Mapping[str, Any]) -> bool:
    """Whether a table's partitions are projected."""
    return bool(str(table.get("Parameters", {}).get("projection.enabled", "")).lower() == "true")


def injected(table: Mapping[str, Any], keys: Sequence[str]) -> bool:
    """Whether a column's values stand in the query alone."""
    given = {name.lower(): str(value).lower() for name, value in table.get("Parameters", {}).items()}
    return any(given.get(f"projection.{key}.type") == "injected" for key in keys)


def partitions(
    table: Mapping[str, Any], keys: Sequence[str], now: float, asked: Mapping[str, Sequence[str]] | None = None
) -> list[dict[str, Any]]:
    """Every partition the properties describe, as the catalogue would list it; ``asked`` are the query's own values."""
    given = {name.lower(): str(value) for name, value in table.get("Parameters", {}).items()}
    values = [
        _injected(key, asked or {})
        if given.get(f"projection.{key}.type", "").lower() == "injected"
        else _values(key, given, now)
        for key in keys
    ]
    if math.prod(len(each) for each in values) > PARTITIONS_MAX:
        raise _wrong(f"more than {PARTITIONS_MAX} projected partitions are not built in Lakebed", "NOT_SUPPORTED")
    descriptor = table["StorageDescriptor"]
    template = given.get("storage.location.template", "")
    if template and any(f"${{{key}}}" not in template for key in keys):
        raise _wrong("storage.location.template must name every partition column")
    made = []
    for chosen in itertools.product(*values):
        place = f"{location.directory(descriptor['Location'])}{location.partition_path(list(keys), list(chosen))}"
        if template:
            place = template
            for key, value in zip(keys, chosen, strict=True):
                place = place.replace(f"${{{key}}}", value)
        made.append({"Values": list(chosen), "StorageDescriptor": {**descriptor, "Location": place}})
    return made


def placement(table: Mapping[str, Any], keys: Sequence[str]) -> Callable[[list[str | None]], str]:
    """Where INSERT puts a partition's files: the key's prefix, by the template or Hive's layout."""
    given = {name.lower(): str(value) for name, value in table.get("Parameters", {}).items()}
    template = given.get("storage.location.template", "")
    base = location.directory(table["StorageDescriptor"]["Location"])

    def prefix(values: list[str | None]) -> str:
        if not template:
            return f"{base.prefix}{location.partition_path(list(keys), values)}"
        made = template
        for key, value in zip(keys, values, strict=True):
            made = made.replace(f"${{{key}}}", value if value is not None else "__HIVE_DEFAULT_PARTITION__")
        found = location.directory(made)
        if found.bucket != base.bucket:
            raise _wrong("INSERT into another bucket than the table's is not built", "NOT_SUPPORTED")
        return found.prefix

    return prefix


def _values(key: str, given: Mapping[str, str], now: float) -> list[str]:
    kind = given.get(f"projection.{key}.type", "").lower()
    if kind not in _KINDS:
        raise _wrong(f"projection.{key}.type '{kind}' is none of enum, integer, date and injected")
    prefix = f"projection.{key}."
    return _KINDS[kind](
        {name.removeprefix(prefix): value for name, value in given.items() if name.startswith(prefix)}, now
    )


def _injected(key: str, asked: Mapping[str, Sequence[str]]) -> list[str]:
    if not asked.get(key):
        told = "the WHERE clause must contain only static equality conditions, and at least one such condition must be present."
        told = f"For the injected projected partition column {key}, {told}"
        raise _wrong(told, "CONSTRAINT_VIOLATION")
    return list(asked[key])


def _enum(given: Mapping[str, str], now: float) -> list[str]:
    del now
    found = [value.strip() for value in given.get("values", "").split(",")]
    if not all(found):
        raise _wrong("an enum projection needs its values")
    return found


def _range(given: Mapping[str, str]) -> tuple[str, str]:
    ends = [end.strip() for end in given.get("range", "").split(",")]
    if len(ends) != 2 or not all(ends):
        raise _wrong("a projection's range is two values with a comma between them")
    return ends[0], ends[1]


def _count(given: Mapping[str, str], name: str, default: int) -> int:
    text = given.get(name, str(default))
    if not text.isdigit() or not 0 < int(text) <= 10**9:
        raise _wrong(f"a projection's {name} is a positive integer")
    return int(text)


def _integer(given: Mapping[str, str], now: float) -> list[str]:
    del now
    try:
        first, last = (int(end) for end in _range(given))
    except ValueError:
        raise _wrong("an integer projection's range is of integers") from None
    numbers = range(first, last + 1, _count(given, "interval", 1))
    if len(numbers) > PARTITIONS_MAX:
        raise _wrong(f"more than {PARTITIONS_MAX} projected partitions are not built in Lakebed", "NOT_SUPPORTED")
    digits = _count(given, "digits", 1) if "digits" in given else 0
    return [f"{number:0{digits}d}" if digits else str(number) for number in numbers]


def _date(given: Mapping[str, str], now: float) -> list[str]:
    pattern = given.get("format", "")
    parts = [match.group(0) for match in re.finditer(r"([A-Za-z])\1*", re.sub(r"'[^']*'", " ", pattern))]
    if "yyyy" not in parts or any(part not in _FORMATS for part in parts):
        raise _wrong(f"the date format '{pattern}' is not built in Lakebed", "NOT_SUPPORTED")
    shown = re.sub(r"'([^']*)'|(([A-Za-z])\3*)", lambda m: _FORMATS[m.group(2)] if m.group(2) else m.group(1), pattern)
    default = "DAY" if "dd" in parts else "MONTH" if "MM" in parts else "YEAR"
    unit = given.get("interval.unit", default).upper().rstrip("S")
    if unit not in (*_UNITS, "MONTH", "YEAR") or ("HH" in parts and "interval.unit" not in given):
        raise _wrong("a date projection finer than days needs its interval.unit")
    first, last = (_moment(end, shown, now) for end in _range(given))
    step, found, moment = _count(given, "interval", 1), list[str](), first
    while moment <= last:
        text = moment.strftime(shown)
        if not found or found[-1] != text:
            found.append(text)
        moment = _later(moment, unit, step)
        if len(found) > PARTITIONS_MAX:
            raise _wrong(f"more than {PARTITIONS_MAX} projected partitions are not built in Lakebed", "NOT_SUPPORTED")
    return found


def _moment(text: str, shown: str, now: float) -> datetime:
    relative = _NOW.fullmatch(text)
    if relative is None:
        try:
            return datetime.strptime(text, shown).replace(tzinfo=UTC)
        except ValueError:
            raise _wrong(f"the range's '{text[:40]}' does not fit the format") from None
    moment = datetime.strptime(datetime.fromtimestamp(now, UTC).strftime(shown), shown).replace(tzinfo=UTC)
    if relative.group(1) is None:
        return moment
    return _later(moment, relative.group(3).upper(), int(relative.group(2)) * (-1 if relative.group(1) == "-" else 1))


def _later(moment: datetime, unit: str, count: int) -> datetime:
    try:
        if unit in _UNITS:
            return moment + timedelta(seconds=_UNITS[unit] * count)
        months = moment.year * 12 + moment.month - 1 + count * (12 if unit == "YEAR" else 1)
        return moment.replace(year=months // 12, month=months % 12 + 1, day=min(moment.day, 28))
    except (OverflowError, ValueError):
        raise _wrong("the range leaves the calendar") from None


def _wrong(told: str, name: str = "INVALID_TABLE_PROPERTY") -> SqlFailure:
    return SqlFailure(name, told)


_KINDS: dict[str, Callable[[Mapping[str, str], float], list[str]]] = {"enum": _enum, "integer": _integer, "date": _date}
