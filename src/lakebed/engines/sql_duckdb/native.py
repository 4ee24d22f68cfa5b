"""Functions that SQL cannot say, as Python functions which DuckDB calls: made when a statement names them.

Names begin with ``lb_py_``: the compiler emits them, users cannot. An argument or result of None is NULL. A function that
raises ``ValueError`` fails the query as INVALID_FUNCTION_ARGUMENT with its text, NULL inside ``try``.
https://trino.io/docs/current/functions.html
"""

from __future__ import annotations

import hashlib
import hmac
import math
import re
import statistics
import struct
import unicodedata
import zlib
from collections.abc import Callable
from typing import Any

import duckdb

from lakebed.lake import regex

_SOUNDEX = {c: d for d, letters in enumerate(("BFPV", "CGJKQSXZ", "DT", "L", "MN", "R"), 1) for c in letters}
_UNITS = {"": 0, "k": 10, "M": 20, "G": 30, "T": 40, "P": 50, "E": 60, "Z": 70, "Y": 80}
_PATTERNS: dict[str, re.Pattern[str]] = {}


def _pattern(text: str) -> re.Pattern[str]:
    if text not in _PATTERNS:
        if len(_PATTERNS) > 256:
            _PATTERNS.clear()
        _PATTERNS[text] = regex.compiled(text)
    return _PATTERNS[text]


def soundex(text: str) -> str:
    """American Soundex: H and W do not part letters of one code, vowels do."""
    letters = text.upper()
    if not letters.isascii() or not (letters.isalpha() or not letters):
        raise ValueError("Input must be only letters of the English alphabet")
    if not letters:
        return ""
    made, before = letters[0], _SOUNDEX.get(letters[0], 0)
    for letter in letters[1:]:
        code = _SOUNDEX.get(letter, 0)
        if code and code != before:
            made += str(code)
        if letter not in "HW":
            before = code
    return (made + "000")[:4]


def format_number(value: float) -> str:
    """1.23K, 123M, as Trino shortens numbers."""
    if not math.isfinite(value):
        return str(value)
    at, left = 0, abs(value)
    while left >= 1000 and at < 5:
        left, at = left / 1000, at + 1
    digits = 2 if left < 10 else 1 if left < 100 else 0
    text = f"{left:.{digits}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return f"{'-' if value < 0 else ''}{text}{('', 'K', 'M', 'B', 'T', 'Q')[at]}"


def parse_data_size(text: str) -> str:
    """``2.3MB`` as a number of bytes (units of 1024)."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kMGTPEZY]?)B\s*", text)
    if found is None:
        raise ValueError(f"Invalid data size: '{text[:60]}'")
    whole, _, part = found.group(1).partition(".")
    return str((int(whole + part) << _UNITS[found.group(2)]) // 10 ** len(part))


def from_base(text: str, radix: int) -> int:
    """A number in another base."""
    if not 2 <= radix <= 36:
        raise ValueError("Radix must be between 2 and 36")
    try:
        made = int(text, radix) if re.fullmatch(r"[+-]?[0-9A-Za-z]+", text) else None
    except ValueError:
        made = None
    if made is None or not -(2**63) <= made < 2**63:
        raise ValueError(f'Not a valid base-{radix} number: "{text[:60]}"')
    return made


def xxhash64(data: bytes) -> bytes:
    """XXH64 with seed 0, big-endian."""
    from awscrt.checksums import XXHash

    return bytes(XXHash.compute_xxhash64(data))


def murmur3(data: bytes) -> bytes:
    """MurmurHash3 x64 128 with seed 0."""
    mask, c1, c2 = (1 << 64) - 1, 0x87C37B91114253D5, 0x4CF5AD432745937F

    def turn(value: int, by: int) -> int:
        return ((value << by) | (value >> (64 - by))) & mask

    def final(value: int) -> int:
        value = ((value ^ (value >> 33)) * 0xFF51AFD7ED558CCD) & mask
        value = ((value ^ (value >> 33)) * 0xC4CEB9FE1A85EC53) & mask
        return value ^ (value >> 33)

    h1 = h2 = 0
    whole = len(data) // 16 * 16
    for at in range(0, whole, 16):
        k1, k2 = struct.unpack_from("<QQ", data, at)
        h1 ^= (turn(k1 * c1 & mask, 31) * c2) & mask
        h1 = ((turn(h1, 27) + h2) * 5 + 0x52DCE729) & mask
        h2 ^= (turn(k2 * c2 & mask, 33) * c1) & mask
        h2 = ((turn(h2, 31) + h1) * 5 + 0x38495AB5) & mask
    tail = data[whole:].ljust(16, b"\0")
    k1, k2 = struct.unpack("<QQ", tail)
    if len(data) - whole > 8:
        h2 ^= (turn(k2 * c2 & mask, 33) * c1) & mask
    if len(data) > whole:
        h1 ^= (turn(k1 * c1 & mask, 31) * c2) & mask
    h1, h2 = h1 ^ len(data), h2 ^ len(data)
    h1 = (h1 + h2) & mask
    h2 = (h2 + h1) & mask
    h1, h2 = final(h1), final(h2)
    h1 = (h1 + h2) & mask
    return struct.pack("<QQ", h1, (h2 + h1) & mask)


def _hmac(name: str) -> Callable[[bytes, bytes], bytes]:
    return lambda data, key: hmac.new(key, data, name).digest()


def normal_cdf(mean: float, deviation: float, value: float) -> float:
    """The normal distribution's cumulative function."""
    if deviation <= 0:
        raise ValueError("normalCdf Function: standardDeviation must be > 0")
    return 0.5 * math.erfc((mean - value) / (deviation * math.sqrt(2)))


def inverse_normal_cdf(mean: float, deviation: float, share: float) -> float:
    """Its inverse."""
    if not 0 < share < 1:
        raise ValueError("p must be in the interval (0, 1)")
    if deviation <= 0:
        raise ValueError("sd must be > 0")
    return statistics.NormalDist(mean, deviation).inv_cdf(share)


def wilson_lower(successes: int, trials: int, z: float) -> float:
    """The lower bound of the Wilson score interval."""
    return _wilson(successes, trials, z, -1)


def wilson_upper(successes: int, trials: int, z: float) -> float:
    """The upper bound."""
    return _wilson(successes, trials, z, 1)


def _wilson(successes: int, trials: int, z: float, sign: int) -> float:
    if successes < 0 or trials <= 0 or successes > trials or z < 0:
        raise ValueError("number of successes must not be negative or larger than the number of trials, z not negative")
    p = successes / trials
    spread = z * math.sqrt(p * (1 - p) / trials + z * z / (4 * trials * trials))
    return (p + z * z / (2 * trials) + sign * spread) / (1 + z * z / trials)


def normalised(text: str, form: str) -> str:
    """A Unicode normalisation form."""
    return unicodedata.normalize(form, text)  # type: ignore[arg-type]  # the compiler hands over one of the four


def regex_like(text: str, pattern: str) -> bool:
    """Whether a pattern occurs."""
    return _pattern(pattern).search(text) is not None


def regex_extract(text: str, pattern: str, group: int) -> str | None:
    """A group of the first match; NULL where it took no part."""
    found = _pattern(pattern)
    _known(found, group)
    match = found.search(text)
    return match.group(group) if match else None


def regex_extract_all(text: str, pattern: str, group: int) -> list[str | None]:
    """A group of every match."""
    found = _pattern(pattern)
    _known(found, group)
    return [match.group(group) for match in found.finditer(text)]


def _known(found: re.Pattern[str], group: int) -> None:
    if group > found.groups:
        raise ValueError(f"Pattern has {found.groups} groups. Cannot access group {group}")


def regex_split(text: str, pattern: str) -> list[str]:
    """The text between matches."""
    made, at = [], 0
    for match in _pattern(pattern).finditer(text):
        made.append(text[at : match.start()])
        at = match.end()
    return [*made, text[at:]]


def regex_replace(text: str, pattern: str, replacement: str) -> str:
    """Every match replaced; ``$1`` and ``${name}`` are groups, a backslash takes a character as it is."""
    found = _pattern(pattern)

    def one(match: re.Match[str]) -> str:
        def part(piece: re.Match[str]) -> str:
            if piece.group(1) is not None:
                return piece.group(1)
            name = piece.group(2) or piece.group(3)
            key: int | str = int(name) if name.isdigit() else name
            try:
                return match.group(key) or ""
            except IndexError:
                raise ValueError(f"Illegal replacement sequence: unknown group {{ {name} }}") from None

        return re.sub(r"\\(.)|\$(\d)|\$\{(\w+)\}", part, replacement, flags=re.DOTALL)

    return found.sub(one, text)


_V, _B, _I, _D = "VARCHAR", "BLOB", "BIGINT", "DOUBLE"
FUNCTIONS: dict[str, tuple[Callable[..., Any], list[str], str]] = {
    "lb_py_soundex": (soundex, [_V], _V), "lb_py_format_number": (format_number, [_D], _V),
    "lb_py_data_size": (parse_data_size, [_V], _V), "lb_py_from_base": (from_base, [_V, _I], _I),
    "lb_py_crc32": (zlib.crc32, [_B], _I), "lb_py_xxhash64": (xxhash64, [_B], _B), "lb_py_murmur3": (murmur3, [_B], _B),
    "lb_py_sha512": (lambda data: hashlib.sha512(data).digest(), [_B], _B),
    **{f"lb_py_hmac_{name}": (_hmac(name), [_B, _B], _B) for name in ("md5", "sha1", "sha256", "sha512")},
    "lb_py_normal_cdf": (normal_cdf, [_D] * 3, _D), "lb_py_inverse_normal_cdf": (inverse_normal_cdf, [_D] * 3, _D),
    "lb_py_wilson_lower": (wilson_lower, [_I, _I, _D], _D), "lb_py_wilson_upper": (wilson_upper, [_I, _I, _D], _D),
    "lb_py_normalize": (normalised, [_V, _V], _V), "lb_py_like": (regex_like, [_V, _V], "BOOLEAN"),
    "lb_py_extract": (regex_extract, [_V, _V, _I], _V), "lb_py_extract_all": (regex_extract_all, [_V, _V, _I], "VARCHAR[]"),
    "lb_py_split": (regex_split, [_V, _V], "VARCHAR[]"), "lb_py_replace": (regex_replace, [_V] * 3, _V),
    "lb_py_big_endian": (lambda value: struct.pack(">q", value), [_I], _B),
    "lb_py_from_big_endian": (lambda data: _unpacked(">q", data), [_B], _I),
    "lb_py_big_endian32": (lambda value: struct.pack(">i", value), [_I], _B),
    "lb_py_from_big_endian32": (lambda data: _unpacked(">i", data), [_B], _I),
    "lb_py_ieee754": (lambda value: struct.pack(">d", value), [_D], _B),
    "lb_py_from_ieee754": (lambda data: _unpacked(">d", data), [_B], _D),
    "lb_py_ieee754_32": (lambda value: struct.pack(">f", value), [_D], _B),
    "lb_py_from_ieee754_32": (lambda data: _unpacked(">f", data), [_B], _D),
    "lb_py_utf8": (lambda data, mark: data.decode("utf-8", "replace").replace("\ufffd", mark), [_B, _V], _V),
}  # fmt: skip


def _unpacked(form: str, data: bytes) -> Any:
    if len(data) != struct.calcsize(form):
        raise ValueError(f"Expected {struct.calcsize(form)}-byte input, but got instead: {len(data)}-byte input")
    return struct.unpack(form, data)[0]


def register(connection: Any, sql: str) -> None:
    """Make the functions a statement calls, those that the connection does not have yet."""
    for name in sorted(set(re.findall(r"\blb_py_\w+(?=\()", sql))):
        function, kinds, returns = FUNCTIONS[name]
        try:
            connection.create_function(name, _nullable(function, len(kinds)), kinds, returns, null_handling="special")
        except duckdb.Error as known:
            if "already" not in str(known):
                raise


def _nullable(function: Callable[..., Any], count: int) -> Callable[..., Any]:
    """NULL for NULL; DuckDB counts a function's parameters, so there is one for each count."""
    if count == 1:
        return lambda a: None if a is None else function(a)
    if count == 2:
        return lambda a, b: None if a is None or b is None else function(a, b)
    return lambda a, b, c: None if a is None or b is None or c is None else function(a, b, c)
