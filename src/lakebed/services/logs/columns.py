"""Filter patterns of space-delimited columns: ``[ip, user, ..., status = 4*, bytes > 1000]``.

A message is cut at spaces; what stands in quotes or brackets is one column. Every column has a name; ``...`` stands for any
number of them. A column may carry comparisons joined by ``&&`` and ``||``; values are numbers, words with ``*``, quoted
text or ``%regular expressions%``.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html#extract-log-event-values
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from fnmatch import translate

from lakebed.api import logs as api
from lakebed.services.logs import regex

_TOKEN = re.compile(
    r"""\s*(?:(?P<rest>\.\.\.)|(?P<sign>&&|\|\||!=|<=|>=|=|<|>|,)|"(?P<quoted>(?:[^"\\]|\\.)*)"|%(?P<regex>[^%]+)%
    |(?P<word>[^\s,=<>!&|"%]+))""",
    re.VERBOSE,
)
_COLUMN = re.compile(r'\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"(?=\s|$)|\[(?P<bracketed>[^\]]*)\](?=\s|$)|(?P<plain>\S+))')
_ORDER: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "=": operator.eq, "!=": operator.ne,
}  # fmt: skip
_COLUMNS_MAX = 100
_WILDCARDS_MAX = 8
Test = Callable[[str], bool]


def _invalid(reason: str) -> api.InvalidParameterException:
    return api.InvalidParameterException(f"Invalid filter pattern: {reason}")


class Columns:
    """A compiled pattern of columns."""

    def __init__(self, text: str) -> None:
        if not text.endswith("]"):
            raise _invalid("it does not end with ]")
        self._tokens = _tokens(text[1:-1])
        self._at = 0
        self.names: list[str] = []  # "..." stands for itself
        self._tests: list[Test] = []
        while True:
            self._column()
            if self._at == len(self._tokens):
                break
            self._expect(",")
        if self.names.count("...") > 1 or len(self.names) > _COLUMNS_MAX:
            raise _invalid("... may stand once, among at most 100 columns")

    def values(self, message: str) -> dict[str, str] | None:
        """Column values by name, None where the message has another number of columns."""
        found = split(message)
        rest = len(found) - (len(self.names) - 1)
        if "..." not in self.names:
            return dict(zip(self.names, found, strict=True)) if len(found) == len(self.names) else None
        if rest < 0:
            return None
        at = self.names.index("...")
        kept = found[:at] + found[at + rest :]
        return dict(zip([name for name in self.names if name != "..."], kept, strict=True))

    def matches(self, message: str) -> bool:
        """Whether the columns are there and every comparison holds."""
        values = self.values(message)
        if values is None:
            return False
        kept = [test for name, test in zip(self.names, self._tests, strict=True) if name != "..."]
        return all(test(value) for test, value in zip(kept, values.values(), strict=True))

    def _column(self) -> None:
        kind, text = self._next()
        if kind == "rest":
            self.names.append("...")
            self._tests.append(lambda _: True)
            return
        if kind != "word" or text in self.names:
            raise _invalid(f"the name of a column is expected, not {text}")
        self.names.append(text)
        if self._at == len(self._tokens) or self._tokens[self._at] == ("sign", ","):
            self._tests.append(lambda _: True)
            return
        self._tests.append(self._either(text))

    def _either(self, name: str) -> Test:
        """``a && b || c`` on one column, whose name stands before every comparison but may be left out of the first."""
        groups: list[list[Test]] = [[self._compared()]]
        while self._at < len(self._tokens) and self._tokens[self._at] in (("sign", "&&"), ("sign", "||")):
            joined = self._next()[1]
            if self._next() != ("word", name):
                raise _invalid(f"{name} is expected after {joined}")
            test = self._compared()
            if joined == "&&":
                groups[-1].append(test)
            else:
                groups.append([test])
        return lambda value: any(all(test(value) for test in group) for group in groups)

    def _compared(self) -> Test:
        kind, sign = self._next()
        if kind != "sign" or sign not in _ORDER:
            raise _invalid(f"a comparison is expected, not {sign}")
        kind, text = self._next()
        return _comparison(sign, kind, text)

    def _next(self) -> tuple[str, str]:
        if self._at == len(self._tokens):
            raise _invalid("it ends too early")
        self._at += 1
        return self._tokens[self._at - 1]

    def _expect(self, sign: str) -> None:
        found = self._next()[1]
        if found != sign:
            raise _invalid(f"{sign} is expected, not {found}")


def split(message: str) -> list[str]:
    """The columns of a message."""
    found: list[str] = []
    for column in _COLUMN.finditer(message):
        kind = column.lastgroup or "plain"
        found.append(column[kind])
        if len(found) > _COLUMNS_MAX * 10:
            break
    return found


def _tokens(text: str) -> list[tuple[str, str]]:
    found, at, text = list[tuple[str, str]](), 0, text.rstrip()
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None or token.lastgroup is None:
            raise _invalid(f"unexpected {text[at:].strip()[:20]}")
        found.append((token.lastgroup, token[token.lastgroup]))
        at = token.end()
    return found


def _comparison(sign: str, kind: str, text: str) -> Test:
    if kind == "regex":
        if sign not in ("=", "!="):
            raise _invalid(f"{sign} compares numbers")
        pattern = regex.compiled(text)
        return lambda value: pattern.found_in(value) == (sign == "=")
    if kind == "word" and (number := number_in(text)) is not None:
        compare = _ORDER[sign]
        return lambda value: (found := number_in(value)) is not None and compare(found, number)
    if kind not in ("word", "quoted") or sign not in ("=", "!="):
        raise _invalid(f"{sign} compares numbers")
    text = re.sub(r"\\(.)", r"\1", text)
    if text.count("*") > _WILDCARDS_MAX:
        raise _invalid("too many wildcards")
    shape = re.compile(translate(re.sub(r"([?\[])", r"[\1]", text)))
    return lambda value: (shape.match(value) is not None) == (sign == "=")


def number_in(text: str) -> float | None:
    """The number a text is."""
    try:
        return float(text)
    except ValueError:
        return None
