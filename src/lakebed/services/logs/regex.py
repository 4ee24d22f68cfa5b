"""Regular expressions of filter patterns, in time linear in the message: what AWS allows has no groups, so a pattern is
alternatives of a row of character classes, and a set of places in that row fits into the bits of one integer.

Allowed: letters, digits, ``. [ ] [^ ] ^ $ ? * + { } |``, ``\\d \\D \\s \\S \\w \\W \\xhh`` and escaped signs. Groups, back
references and look-around are refused, as AWS does.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html#regex-expressions
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from lakebed.api import logs as api

LOOKED_AT_CHARS = 256 << 10
_PLACES_MAX = 400
_LENGTH_MAX = 512
_ATOM = re.compile(
    r"(?P<class>\[\^?\]?(?:\\.|[^\]\\])*\])|(?P<escape>\\x[0-9A-Fa-f]{2}|\\.)|(?P<any>\.)|(?P<plain>[^\\\[\]{}()*+?.|^$])"
)
_REPEAT = re.compile(r"([*+?])|\{(\d{1,3})(?:(,)(\d{0,3}))?\}")


class _Row(NamedTuple):
    """One alternative: for each place a test of one character, which places may be skipped, which repeat."""

    tests: tuple[re.Pattern[str], ...]
    optional: int
    repeated: int
    at_start: bool
    at_end: bool


class Regex:
    """A compiled pattern; ``found_in`` searches."""

    def __init__(self, text: str) -> None:
        if len(text) > _LENGTH_MAX:
            raise _invalid("it is too long")
        self._rows = [_Searcher(_row(part)) for part in _alternatives(text)]

    def found_in(self, message: str) -> bool:
        """Whether the pattern occurs anywhere, as far as a message is looked at."""
        return any(row.found_in(message[:LOOKED_AT_CHARS]) for row in self._rows)


class _Searcher:
    def __init__(self, row: _Row) -> None:
        self._row = row
        self._masks: dict[str, int] = {}
        self._accept = 1 << len(row.tests)

    def found_in(self, message: str) -> bool:
        row, masks = self._row, self._masks
        first = self._closed(1)
        state = first
        if state & self._accept and not (row.at_end and message):
            return True
        for character in message:
            mask = masks.get(character)
            if mask is None:
                mask = self._mask(character)
            state = self._closed(((state << 1) | (state & row.repeated)) & mask)
            if state & self._accept and not row.at_end:
                return True
            if not row.at_start:
                state |= first
        return bool(state & self._accept)

    def _closed(self, state: int) -> int:
        """With the places that are reached by skipping optional ones (bit n: behind the n-th place)."""
        while True:
            wider = state | ((state << 1) & self._row.optional)
            if wider == state:
                return state
            state = wider

    def _mask(self, character: str) -> int:
        mask = 0
        for place, test in enumerate(self._row.tests, 1):
            if test.fullmatch(character):
                mask |= 1 << place
        if len(self._masks) < 4096:
            self._masks[character] = mask
        return mask


@lru_cache(maxsize=512)
def compiled(text: str) -> Regex:
    """The pattern between the percent signs."""
    return Regex(text)


def _invalid(reason: str) -> api.InvalidParameterException:
    return api.InvalidParameterException(f"Invalid filter pattern: invalid regular expression: {reason}")


def _alternatives(text: str) -> list[str]:
    parts, current, at = list[str](), "", 0
    while at < len(text):
        if text[at] == "|":
            parts.append(current)
            current, at = "", at + 1
            continue
        found = _ATOM.match(text, at)
        step = found.group() if found else text[at]
        current, at = current + step, at + len(step)
    return [*parts, current]


def _row(text: str) -> _Row:
    at_start, at_end = text.startswith("^"), text.endswith("$") and not text.endswith("\\$")
    text = text[at_start : len(text) - at_end]
    tests: list[re.Pattern[str]] = []
    optional = repeated = at = 0
    while at < len(text):
        found = _ATOM.match(text, at)
        if found is None:
            raise _invalid(f"unexpected {text[at]}")
        test = _test(found)
        at = found.end()
        least, most = 1, 1
        if repeat := _REPEAT.match(text, at):
            least, most = _bounds(repeat)
            at = repeat.end()
        for number in range(max(least, 1) if most < 0 else most):
            tests.append(test)
            place = 1 << len(tests)
            optional |= place if number >= least else 0
        if most < 0:
            repeated |= 1 << len(tests)
        if len(tests) > _PLACES_MAX:
            raise _invalid("it is too large")
    return _Row(tuple(tests), optional, repeated, at_start, at_end)


def _bounds(repeat: re.Match[str]) -> tuple[int, int]:
    """(least, most) times; -1 without a limit."""
    if repeat[1]:
        return {"*": (0, -1), "+": (1, -1), "?": (0, 1)}[repeat[1]]
    least = int(repeat[2])
    most = least if repeat[3] is None else int(repeat[4]) if repeat[4] else -1
    if 0 <= most < least:
        raise _invalid("a repetition's bounds are the wrong way round")
    return least, most


def _test(found: re.Match[str]) -> re.Pattern[str]:
    text = found.group()
    if found["escape"] and len(text) == 2 and text[1].isalnum() and text[1] not in "dDsSwWtnrf":
        raise _invalid(f"{text} is not supported")
    try:
        return re.compile(re.escape(text) if found["plain"] else text, re.DOTALL if found["any"] else 0)
    except re.error as wrong:
        raise _invalid(str(wrong)) from None
