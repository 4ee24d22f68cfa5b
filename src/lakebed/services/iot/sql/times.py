"""Times by pattern, as Joda-Time writes and reads them: ``parse_time`` and ``time_to_epoch``.

https://docs.aws.amazon.com/iot/latest/developerguide/iot-sql-functions.html#iot-sql-function-parse-time. Letters: G era,
C century, y Y x year, M month, w week, D d day, E e weekday, a half-day, H k K h hour, m s S, z Z zone; quotes hold text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from lakebed.services.iot.sql.values import UNDEFINED, Env, number, text

_PIECE = re.compile(r"'((?:[^']|'')*)'|([A-Za-z])\2*|[^A-Za-z']+|''")
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_LETTERS = frozenset("GCyYxMwDdEeaHkKhmsSzZX")


def zone(name: Any) -> ZoneInfo:
    """A time zone by its name; ValueError where there is none."""
    try:
        return ZoneInfo(str(name))
    except (ZoneInfoNotFoundError, OSError):
        raise ValueError(f"there is no time zone {name}") from None


@lru_cache(maxsize=256)
def pieces(pattern: str) -> tuple[tuple[str, int, str], ...]:
    """(letter, count, text): a letter's run, or text with no letter; ValueError for letters that mean nothing."""
    found: list[tuple[str, int, str]] = []
    at = 0
    while at < len(pattern):
        match = _PIECE.match(pattern, at)
        if match is None:
            raise ValueError("a quote is not closed")
        run = match[0]
        if match[2]:
            if match[2] not in _LETTERS:
                raise ValueError(f"{match[2]} means nothing in a time pattern")
            found.append((match[2], len(run), ""))
        else:
            found.append(("", 0, "'" if run == "''" else (match[1] or "").replace("''", "'") if run[0] == "'" else run))
        at = match.end()
    return tuple(found)


def parse_time(_env: Env, pattern: Any, timestamp: Any, name: Any = "UTC") -> Any:
    """A timestamp in milliseconds as text."""
    moment = number(timestamp)
    if moment is UNDEFINED or not math.isfinite(moment):
        return UNDEFINED
    at = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(moment))).astimezone(zone(name))
    return "".join(
        _written(letter, count, at) if letter else literal for letter, count, literal in pieces(str(pattern))
    )


def time_to_epoch(_env: Env, given: Any, pattern: Any) -> Any:
    """Text as a timestamp in milliseconds; without a zone in it the time is UTC."""
    fields: list[str] = []
    wanted = ""
    for letter, count, literal in pieces(str(pattern)):
        wanted += f"({_shape(letter, count)})" if letter else re.escape(literal)
        if letter:
            fields.append(letter)
    match = re.fullmatch(wanted, text(given))
    if match is None:
        return UNDEFINED
    return _moment(dict(zip(fields, match.groups(), strict=True)))


def _moment(found: dict[str, str]) -> Any:
    year = int(found.get("y") or found.get("Y") or found.get("x") or 1970)
    month = _named(found["M"], _MONTHS) if "M" in found else 1
    hour = int(found.get("H") or 0)
    if "k" in found:
        hour = int(found["k"]) % 24
    if "h" in found or "K" in found:
        hour = int(found.get("h") or found.get("K") or 0) % 12 + (12 if found.get("a", "").upper() == "PM" else 0)
    fraction = int((found.get("S", "0") + "000000")[:6])
    written = found.get("Z") or found.get("X") or found.get("z") or "UTC"
    place: Any = zone(written) if written[0].isalpha() and written != "Z" else None
    at = datetime(
        year, month, int(found.get("d") or 1), hour, int(found.get("m") or 0), int(found.get("s") or 0), fraction,
        tzinfo=place or UTC,
    )  # fmt: skip
    if "D" in found:
        at = at.replace(month=1, day=1) + timedelta(days=int(found["D"]) - 1)
    if place is None and written != "Z":
        sign, digits = -1 if written[0] == "-" else 1, written[1:].replace(":", "")
        at -= sign * timedelta(hours=int(digits[:2]), minutes=int(digits[2:] or 0))
    return round((at - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000)


def _named(written: str, names: tuple[str, ...]) -> int:
    if written.isdigit():
        return int(written)
    for index, name in enumerate(names, start=1):
        if name[:3].lower() == written[:3].lower():
            return index
    raise ValueError(f"{written} is no name")


def _shape(letter: str, count: int) -> str:
    if letter in "ZXz":
        return r"Z|[+-]\d\d:?(?:\d\d)?|[A-Za-z_]+(?:/[A-Za-z_]+)*"
    if (letter in "Gae" and letter != "e") or letter == "E":
        return "[A-Za-z]+"
    if letter == "M" and count > 2:
        return "[A-Za-z]+"
    return rf"\d{{{count}}}" if letter in "yYxS" and count > 1 else r"\d{1,9}"


def _zone_text(at: datetime, count: int, letter: str) -> str:
    if letter == "z":
        return str(at.tzinfo) if count > 3 else at.tzname() or ""
    if letter == "Z" and count > 2:
        return str(at.tzinfo)
    offset = at.strftime("%z")
    if letter == "X" and offset == "+0000":
        return "Z"
    return f"{offset[:3]}:{offset[3:]}" if count == 2 or (letter == "X" and count == 3) else offset


_NUMBERS: dict[str, Callable[[datetime], int]] = {
    "C": lambda at: at.year // 100,
    "y": lambda at: at.year,
    "Y": lambda at: at.year,
    "x": lambda at: at.isocalendar().year,
    "w": lambda at: at.isocalendar().week,
    "e": lambda at: at.isoweekday(),
    "D": lambda at: at.timetuple().tm_yday,
    "d": lambda at: at.day,
    "H": lambda at: at.hour,
    "k": lambda at: at.hour or 24,
    "K": lambda at: at.hour % 12,
    "h": lambda at: at.hour % 12 or 12,
    "m": lambda at: at.minute,
    "s": lambda at: at.second,
}


def _written(letter: str, count: int, at: datetime) -> str:
    match letter:
        case "G":
            return "AD"
        case "a":
            return "AM" if at.hour < 12 else "PM"
        case "E":
            return _DAYS[at.weekday()] if count > 3 else _DAYS[at.weekday()][:3]
        case "M" if count > 2:
            return _MONTHS[at.month - 1] if count > 3 else _MONTHS[at.month - 1][:3]
        case "M":
            return str(at.month).zfill(count)
        case "S":
            return f"{at.microsecond:06d}".ljust(count, "0")[:count]
        case "z" | "Z" | "X":
            return _zone_text(at, count, letter)
        case "y" | "Y" | "x" if count == 2:
            return f"{_NUMBERS[letter](at) % 100:02d}"
    return str(_NUMBERS[letter](at)).zfill(count)
