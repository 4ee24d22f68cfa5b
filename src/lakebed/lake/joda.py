"""Timestamp patterns of Firehose's Hive JSON deserialiser: Joda-Time's DateTimeFormat, as readers of text. Pure.

https://docs.aws.amazon.com/firehose/latest/APIReference/API_HiveJsonSerDe.html and
https://www.joda.org/joda-time/apidocs/org/joda/time/format/DateTimeFormat.html. ``millis`` is not a pattern but an epoch in
milliseconds. Texts are English. Zones are offsets, ``Z``, ``UTC`` and ``GMT``; what a pattern does not name is as in Joda:
1970-01-01T00:00:00 UTC. Eras, week years and other zone names are refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

MILLIS = "millis"
_PIECE = re.compile(r"'((?:[^']|'')*)'|([A-Za-z])\2*|[^A-Za-z']+")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NUMBERS = {"y": "year", "Y": "year", "M": "month", "d": "day", "D": "yearday", "H": "hour", "k": "hour24", "h": "hour12",
            "K": "hour11", "m": "minute", "s": "second"}  # fmt: skip
_WIDEST = {"year": 9, "yearday": 3}
Reader = Callable[[str], datetime]


class PatternError(ValueError):
    """A pattern that is not built; the message names its letter."""


def reader(pattern: str) -> Reader:
    """A function that reads a text of the pattern (UTC); ValueError where the text is none."""
    names: dict[str, str] = {}
    parts: list[str] = []
    pieces = list(_PIECE.finditer(pattern))
    if "".join(piece.group(0) for piece in pieces) != pattern or not pieces:
        raise PatternError(f"the timestamp format {pattern} is not valid")
    for piece, following in zip(pieces, [*pieces[1:], None], strict=True):
        whole, letter = piece.group(0), piece.group(2)
        if not letter:
            parts.append(re.escape((piece.group(1) or "").replace("''", "'") or "'" if whole[0] == "'" else whole))
            continue
        name, text = _group(letter, len(whole), adjacent=following is not None and following.group(2) is not None)
        if name in names:
            text, name = f"(?:{text})", ""
        names[name] = letter
        parts.append(f"(?P<{name}>{text})" if name else text)
    compiled = re.compile("".join(parts), re.IGNORECASE | re.ASCII)

    def read(value: str) -> datetime:
        found = compiled.fullmatch(value.strip())
        if found is None:
            raise ValueError(f"{value[:50]!r} is not of the format {pattern}")
        return _moment({name: text for name, text in found.groupdict().items() if text is not None})

    return read


def _group(letter: str, width: int, *, adjacent: bool) -> tuple[str, str]:
    """Name and regular expression of a run of one letter."""
    if letter == "M" and width >= 3:
        return "monthname", r"[a-z]{3,9}"
    if letter in _NUMBERS:
        name = _NUMBERS[letter]
        if letter in "yY" and width == 2:
            return "year2", r"\d{2}"
        return name, rf"\d{{{width}}}" if adjacent else rf"\d{{1,{max(width, _WIDEST.get(name, 2))}}}"
    if letter == "S":
        return "fraction", rf"\d{{{width}}}" if adjacent else r"\d{1,9}"
    if letter == "a":
        return "half", r"am|pm"
    if letter == "E":
        return "", r"[a-z]{3,9}"
    if letter in "Zz":
        return "zone", r"z|utc|gmt|[+-]\d{2}:?\d{2}"
    raise PatternError(f"the letter {letter} of a timestamp format is not built")


def _moment(got: dict[str, Any]) -> datetime:
    year = int(got.get("year", 1970))
    if "year2" in got:
        short = int(got["year2"])
        year = short + (2000 if short < 70 else 1900)
    month = int(got.get("month", 1))
    if "monthname" in got:
        head = got["monthname"][:3].lower()
        if head not in _MONTHS:
            raise ValueError(f"{got['monthname']!r} is not a month")
        month = _MONTHS.index(head) + 1
    day = date(year, month, int(got.get("day", 1)))
    if "yearday" in got:
        day = date(year, 1, 1) + timedelta(days=int(got["yearday"]) - 1)
    hour = int(got.get("hour", 0))
    if "hour24" in got:
        hour = int(got["hour24"]) % 24
    if "hour12" in got or "hour11" in got:
        hour = int(got.get("hour12") or got.get("hour11") or 0) % 12 + (
            12 if got.get("half", "").lower() == "pm" else 0
        )
    micros = int(f"{got.get('fraction', ''):0<6}"[:6])
    moment = datetime(
        day.year, day.month, day.day, hour, int(got.get("minute", 0)), int(got.get("second", 0)), micros, UTC
    )
    return (moment - _offset(got["zone"])) if "zone" in got else moment


def _offset(text: str) -> timedelta:
    if text[0] not in "+-":
        return timedelta()
    digits = text[1:].replace(":", "")
    ahead = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-ahead if text[0] == "-" else ahead).utcoffset(None)
