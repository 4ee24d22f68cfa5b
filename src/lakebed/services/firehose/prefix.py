"""Object prefixes: ``!{timestamp:yyyy}/!{firehose:random-string}/!{partitionKeyFromLambda:site}/``. Pure.

https://docs.aws.amazon.com/firehose/latest/dev/s3-prefixes.html: the namespaces, the rules a pair of prefixes must keep,
and the default ``yyyy/MM/dd/HH/`` behind a prefix without expressions. Timestamps are Java DateTimeFormatter patterns
(https://docs.oracle.com/javase/8/docs/api/java/time/format/DateTimeFormatter.html); letters whose text depends on a
locale are English, letters outside ``_LETTERS`` are refused at creation rather than evaluated wrongly.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, tzinfo
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from lakebed.api import firehose as api

_EXPRESSION = re.compile(r"!\{([^:{}]*)(?::([^{}]*))?\}")
_TIME_PIECE = re.compile(r"'((?:[^']|'')*)'|([A-Za-z])\2*|[^A-Za-z']+|'")
DEFAULT_TIME = "!{timestamp:yyyy/MM/dd/HH/}"
NO_KEY = "__HIVE_DEFAULT_PARTITION__"  # of records buffered before an update brought the key into the prefix
EVALUATED_CHARACTERS_MAX = 512
_SUFFIX_BYTES_MAX = 64 + 10 + 20 + 36 + 128 + 4  # stream name, version, time, uuid, extension, hyphens


FROM_LAMBDA, FROM_QUERY = "partitionKeyFromLambda", "partitionKeyFromQuery"
_KEY_NAMESPACES = (FROM_LAMBDA, FROM_QUERY)


class Piece(NamedTuple):
    """A part of a prefix: literal text (``namespace`` empty) or an expression."""

    namespace: str
    value: str


class Moment(NamedTuple):
    """What a prefix is evaluated for."""

    at: datetime
    keys: Mapping[str, str]
    error_type: str
    random: Callable[[], str]


def parse(prefix: str) -> list[Piece]:
    """The pieces of a prefix; AWS's InvalidArgumentException where an expression is none."""
    pieces, end = [], 0
    for match in _EXPRESSION.finditer(prefix):
        pieces.append(Piece("", prefix[end : match.start()]))
        namespace, value = match.group(1), match.group(2) or ""
        _check(namespace, value, prefix)
        pieces.append(Piece(namespace, value))
        end = match.end()
    rest = prefix[end:]
    if "!{" in rest:
        raise api.InvalidArgumentException(f"Invalid prefix expression in {prefix}.")
    pieces.append(Piece("", rest))
    return [piece for piece in pieces if piece.namespace or piece.value]


def partition_keys(prefix: str) -> tuple[Piece, ...]:
    """The partition keys a prefix uses, each once, in order."""
    return tuple(dict.fromkeys(piece for piece in parse(prefix) if piece.namespace in _KEY_NAMESPACES))


def key_name(piece: Piece) -> str:
    """What a partition key is called in a lane: keys of functions and of queries may have the same name."""
    return f"{'Q' if piece.namespace == FROM_QUERY else 'L'}:{piece.value}"


def key_room(prefix: str) -> int:
    """Bytes that partition key values may add to a prefix before the object's key is longer than S3's 1,024."""
    return min(EVALUATED_CHARACTERS_MAX, 1024 - _SUFFIX_BYTES_MAX - len(evaluate(prefix, _SAMPLE).encode()))


def check_pair(prefix: str, error_prefix: str, *, partitioned: bool) -> None:
    """The rules AWS states for Prefix and ErrorOutputPrefix together."""
    pieces, error_pieces = parse(prefix), parse(error_prefix)
    if any(piece == Piece("firehose", "error-output-type") for piece in pieces):
        raise api.InvalidArgumentException("Prefix cannot contain !{firehose:error-output-type}.")
    has_expressions = any(piece.namespace for piece in pieces)
    if has_expressions and not error_prefix:
        raise api.InvalidArgumentException(
            "ErrorOutputPrefix cannot be null or empty when Prefix contains expressions."
        )
    error_expressions = [piece for piece in error_pieces if piece.namespace]
    if (error_expressions or has_expressions) and Piece("firehose", "error-output-type") not in error_pieces:
        raise api.InvalidArgumentException(
            "ErrorOutputPrefix must contain at least one instance of !{firehose:error-output-type} when it or Prefix "
            "contains expressions."
        )
    if any(piece.namespace.startswith("partitionKey") for piece in error_expressions):
        raise api.InvalidArgumentException("ErrorOutputPrefix cannot contain partition key expressions.")
    for text in (evaluate(prefix, _SAMPLE), evaluate_error(error_prefix, prefix, _SAMPLE)):
        if len(text.encode("utf-8", "replace")) > EVALUATED_CHARACTERS_MAX:
            raise api.InvalidArgumentException(
                f"Prefix and ErrorOutputPrefix cannot be longer than {EVALUATED_CHARACTERS_MAX} characters once evaluated."
            )
    keyed = any(piece.namespace.startswith("partitionKey") for piece in pieces)
    if keyed and not partitioned:
        raise api.InvalidArgumentException(
            "Dynamic Partitioning Namespaces can only be part of a prefix expression when Dynamic Partitioning is enabled."
        )
    if partitioned and not keyed:
        raise api.InvalidArgumentException(
            "When Dynamic Partitioning is enabled, Prefix must contain partition key expressions."
        )


def evaluate(prefix: str, moment: Moment) -> str:
    """A Prefix's text; without expressions the default time follows it."""
    pieces = parse(prefix)
    if not any(piece.namespace for piece in pieces):
        pieces += parse(DEFAULT_TIME)
    return "".join(_text(piece, moment) for piece in pieces)


def evaluate_error(error_prefix: str, prefix: str, moment: Moment) -> str:
    """An ErrorOutputPrefix's text; absent, the Prefix (which then has no expressions), error type and time."""
    pieces = parse(error_prefix)
    if not any(piece.namespace for piece in pieces):
        pieces = parse((error_prefix or prefix) + "!{firehose:error-output-type}/" + DEFAULT_TIME)
    return "".join(_text(piece, moment) for piece in pieces)


def zone(name: str) -> tzinfo:
    """The time zone of CustomTimeZone."""
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise api.InvalidArgumentException(f"CustomTimeZone {name} is not valid.") from None


def _check(namespace: str, value: str, prefix: str) -> None:
    if namespace == "timestamp" and value:
        _check_pattern(value)
    elif namespace == "firehose":
        if value not in ("random-string", "error-output-type"):
            raise api.InvalidArgumentException(f"Invalid value {value} for namespace firehose in prefix {prefix}.")
    elif namespace not in _KEY_NAMESPACES or not value:
        raise api.InvalidArgumentException(f"Invalid prefix expression !{{{namespace}:{value}}} in prefix {prefix}.")


def _check_pattern(pattern: str) -> None:
    for match in _TIME_PIECE.finditer(pattern):
        letter = match.group(2)
        if match.group(0) == "'" or (letter and letter not in _LETTERS):
            raise api.InvalidArgumentException(f"Invalid timestamp pattern {pattern}.")


def _text(piece: Piece, moment: Moment) -> str:
    if not piece.namespace:
        return piece.value
    if piece.namespace == "timestamp":
        return format_time(piece.value, moment.at)
    if piece.namespace in _KEY_NAMESPACES:
        return moment.keys.get(key_name(piece)) or NO_KEY
    return moment.random() if piece.value == "random-string" else moment.error_type


def format_time(pattern: str, at: datetime) -> str:
    """``at`` in a DateTimeFormatter pattern."""
    out = []
    for match in _TIME_PIECE.finditer(pattern):
        whole, letter = match.group(0), match.group(2)
        if letter:
            out.append(_LETTERS[letter](at, len(whole)))
        elif whole.startswith("'"):
            out.append(match.group(1).replace("''", "'") or "'")
        else:
            out.append(whole)
    return "".join(out)


def _number(value: int, width: int) -> str:
    return f"{value:0{width}d}"


def _year(value: int, width: int) -> str:
    return f"{value % 100:02d}" if width == 2 else f"{value:0{width}d}"


def _month(at: datetime, width: int) -> str:
    if width < 3:
        return _number(at.month, width)
    return {3: at.strftime("%b"), 4: at.strftime("%B")}.get(width, at.strftime("%b")[:1])


def _weekday(at: datetime, width: int) -> str:
    return at.strftime("%A") if width == 4 else at.strftime("%a")[: 1 if width == 5 else 3]


def _offset(at: datetime, width: int, *, zulu: bool) -> str:
    text = at.strftime("%z")  # +0530
    if zulu and text == "+0000":
        return "Z"
    if width == 1:
        return text[:3] if text.endswith("00") else text
    return text if width == 2 else f"{text[:3]}:{text[3:]}"


_LETTERS: Mapping[str, Callable[[datetime, int], str]] = {
    "y": lambda at, width: _year(at.year, width),
    "u": lambda at, width: _year(at.year, width),
    "Y": lambda at, width: _year(at.isocalendar()[0], width),
    "M": _month,
    "L": _month,
    "d": lambda at, width: _number(at.day, width),
    "D": lambda at, width: _number(at.timetuple().tm_yday, width),
    "w": lambda at, width: _number(at.isocalendar()[1], width),
    "Q": lambda at, width: _number((at.month + 2) // 3, width),
    "E": _weekday,
    "a": lambda at, _width: "AM" if at.hour < 12 else "PM",
    "H": lambda at, width: _number(at.hour, width),
    "k": lambda at, width: _number(at.hour or 24, width),
    "K": lambda at, width: _number(at.hour % 12, width),
    "h": lambda at, width: _number(at.hour % 12 or 12, width),
    "m": lambda at, width: _number(at.minute, width),
    "s": lambda at, width: _number(at.second, width),
    "S": lambda at, width: f"{at.microsecond:06d}000"[:width],
    "X": lambda at, width: _offset(at, width, zulu=True),
    "x": lambda at, width: _offset(at, width, zulu=False),
    "Z": lambda at, width: _offset(at, 3 if width == 5 else 2, zulu=width == 5),
    "V": lambda at, _width: str(at.tzinfo),
}
_SAMPLE = Moment(
    datetime(2025, 9, 24, 12, 30, 30, tzinfo=ZoneInfo("UTC")), {}, "format-conversion-failed", lambda: "A" * 11
)
