"""Scalars on the wire: timestamps, numbers, blobs and booleans as text, and the error a wrong one raises.

Timestamps are float epoch seconds inside Lakebed; on the wire they are ISO 8601, RFC 822 (HTTP dates) or epoch seconds,
as the model or the place says (https://smithy.io/2.0/spec/protocol-traits.html#timestampformat-trait). A text that is
none of these is a ``SerializationException``, never an exception of Python's.
"""

from __future__ import annotations

import binascii
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

from lakebed.kernel.errors import AwsError

ISO, RFC822, UNIX = "iso8601", "rfc822", "unixTimestamp"
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_HTTP_DATE = re.compile(
    r"(?:[A-Za-z]{3,9}, ?)?(\d{1,2})[ -]([A-Za-z]{3})[ -](\d{4}) (\d{2}):(\d{2}):(\d{2})(\.\d+)? ?(GMT|UTC|Z|[+-]\d{4})"
)
_LONGEST = 64


def malformed(message: str, code: str = "SerializationException") -> AwsError:
    """The error for a body or a value that does not have the modelled form."""
    return AwsError(code, message, status=400)


def read_timestamp(text: str) -> float:
    """Epoch seconds of any of the three formats: a reader is liberal, as AWS's are."""
    if len(text) <= _LONGEST:
        try:
            return _read_timestamp(text.strip())
        except (ValueError, OverflowError):
            pass
    raise malformed(f"Invalid timestamp: {text[:_LONGEST]}")


def _read_timestamp(text: str) -> float:
    if text[:4].isdigit() and text[4:5] == "-":
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    match = _HTTP_DATE.fullmatch(text)
    if match is None:
        number = float(text)
        if not math.isfinite(number):
            raise ValueError(text)
        return number
    day, month, year, hour, minute, second, fraction, zone = match.groups()
    tz = UTC
    if zone[0] in "+-":
        sign = -1 if zone[0] == "-" else 1
        tz = timezone(sign * timedelta(hours=int(zone[1:3]), minutes=int(zone[3:5])))
    at = datetime(int(year), _MONTHS.index(month.title()) + 1, int(day), int(hour), int(minute), int(second), tzinfo=tz)
    return at.timestamp() + float(fraction or 0)


def write_iso(seconds: float) -> str:
    """``2024-01-31T12:00:00Z``, with milliseconds where there are any."""
    millis = round(seconds * 1000)
    text = datetime.fromtimestamp(millis // 1000, UTC).isoformat()[:19]
    return f"{text}.{millis % 1000:03d}Z" if millis % 1000 else f"{text}Z"


def write_iso_millis(seconds: float) -> str:
    """ISO 8601 that always shows milliseconds, as S3's bodies do."""
    text = write_iso(seconds)
    return text if "." in text else f"{text[:-1]}.000Z"


def write_rfc822(seconds: float) -> str:
    """An HTTP date, cut to the second."""
    at = datetime.fromtimestamp(math.floor(seconds), UTC)
    return f"{_DAYS[at.weekday()]}, {at.day:02d} {_MONTHS[at.month - 1]} {at.year:04d} {at:%H:%M:%S} GMT"


def write_unix(seconds: float) -> str:
    """Epoch seconds, without a fraction where there is none."""
    return str(int(seconds)) if seconds == int(seconds) else repr(round(seconds, 6))


TIMESTAMP_WRITERS: dict[str, Callable[[float], str]] = {ISO: write_iso, RFC822: write_rfc822, UNIX: write_unix}


def read_blob(text: str | bytes) -> bytes:
    """Base64, with its padding; white space is not part of it."""
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        raise malformed("Invalid Base64-encoded data.") from None


def write_blob(data: bytes) -> str:
    """Base64."""
    return binascii.b2a_base64(data, newline=False).decode()


def read_boolean(text: str) -> bool:
    """``true`` or ``false``, in any case."""
    lowered = text.strip().lower()
    if lowered not in ("true", "false"):
        raise malformed(f"{text[:_LONGEST]!r} can not be converted to a Boolean.")
    return lowered == "true"


_INTEGER = re.compile(r"[+-]?[0-9]{1,20}")
LIMITS = {"integer": (-(2**31), 2**31 - 1), "long": (-(2**63), 2**63 - 1), "bigInteger": (-(10**20), 10**20)}


def integer_reader(kind: str) -> Callable[[str], int]:
    """Reads a decimal integer of 32 or 64 bits."""
    low, high = LIMITS.get(kind, LIMITS["long"])
    name = kind.title()

    def read(text: str) -> int:
        stripped = text.strip()
        if _INTEGER.fullmatch(stripped) and low <= (number := int(stripped)) <= high:
            return number
        raise malformed(f"{text[:_LONGEST]!r} can not be converted to {'an' if name == 'Integer' else 'a'} {name}.")

    return read


SPECIAL_FLOATS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_FLOAT = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def read_float(text: str) -> float:
    """A decimal number, ``NaN`` or an infinity."""
    stripped = text.strip()
    if stripped in SPECIAL_FLOATS:
        return SPECIAL_FLOATS[stripped]
    if len(stripped) > 400 or not _FLOAT.fullmatch(stripped):
        raise malformed(f"{text[:_LONGEST]!r} can not be converted to a Double.")
    return float(stripped)


def write_float(number: float) -> str:
    """The shortest text that reads back as the same number."""
    if math.isfinite(number):
        return repr(float(number)) if number != int(number) or abs(number) >= 1e16 else str(number)
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"


INTEGERS = frozenset({"integer", "long", "short", "byte", "bigInteger"})
FLOATS = frozenset({"float", "double", "bigDecimal"})
