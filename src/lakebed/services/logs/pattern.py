"""Filter patterns of FilterLogEvents.

Terms: ``ERROR "two words" -debug`` all must (or must not) occur; ``?WARN ?ERROR`` one must. JSON: ``{ $.level = "ERR*" &&
$.took > 5 }`` with ``= != < <= > >=``, ``IS TRUE|FALSE|NULL``, ``EXISTS``, ``NOT EXISTS``, ``&&``, ``||`` and
parentheses; a message that is not a JSON object matches no JSON pattern. Regular expressions (``%...%``) may stand for a
term or a value (see ``regex``); ``[ip, user, ...]`` are columns (see ``columns``).
https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from fnmatch import translate
from typing import Any

import msgspec

from lakebed.api import logs as api
from lakebed.services.logs import regex
from lakebed.services.logs.columns import Columns

Matcher = Callable[[str], bool]
_Test = Callable[[Any], bool]
_DEPTH_MAX = 50
_WILDCARDS_MAX = 8
_TERM = re.compile(r'\s*(?P<sign>[-?]?)(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|%(?P<regex>[^%]+)%(?=\s|$)|(?P<word>[^\s"%]+))')
_WORD = re.compile(r"[\w.\-/:=]+")
_JSON_TOKEN = re.compile(
    r"""\s*(?:(?P<op>&&|\|\||!=|<=|>=|=|<|>|\(|\))|(?P<path>\$(?:\.[\w\-@]+|\[(?:\d+|\*)\])+)
    |"(?P<string>(?:[^"\\]|\\.)*)"|%(?P<regex>[^%]+)%|(?P<word>[^\s()=<>!&|"]+))""",
    re.VERBOSE,
)
_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "=": operator.eq, "!=": operator.ne,
}  # fmt: skip


def compile_pattern(text: str) -> Matcher:
    """A matcher for messages; InvalidParameterException for what is no pattern."""
    text = text.strip()
    if not text:
        return lambda _: True
    if text.startswith("["):
        return Columns(text).matches
    if text.startswith("{"):
        if not text.endswith("}"):
            raise _invalid("it does not end with }")
        return _on_json(_Json(text[1:-1]).parsed())
    return _terms(text)


def _invalid(reason: str) -> api.InvalidParameterException:
    return api.InvalidParameterException(f"Invalid filter pattern: {reason}")


def _terms(text: str) -> Matcher:
    required: list[Matcher] = []
    excluded: list[Matcher] = []
    optional: list[Matcher] = []
    at = 0
    while at < len(text):
        found = _TERM.match(text, at)
        if found is None:
            raise _invalid(f"unexpected {text[at:].strip()[:20]}")
        word, quoted = found["word"], found["quoted"]
        if word is not None and not _WORD.fullmatch(word):
            raise _invalid(f"Invalid character(s) in term '{word}'")
        term = _term(found["regex"], word if quoted is None else re.sub(r"\\(.)", r"\1", quoted))
        {"": required, "-": excluded, "?": optional}[found["sign"]].append(term)
        at = found.end()

    def matches(message: str) -> bool:
        if any(term(message) for term in excluded) or not all(term(message) for term in required):
            return False
        return bool(required) or not optional or any(term(message) for term in optional)

    return matches


def _term(pattern: str | None, word: str) -> Matcher:
    return regex.compiled(pattern).found_in if pattern is not None else lambda message: word in message


def selected(selector: str, message: str) -> str | None:
    """The value a selector (``$.path`` of JSON) names in a message, as text; None where there is none."""
    try:
        steps = re.findall(r"\.([\w\-@]+)|\[(\d+|\*)\]", selector)
        found = _select(msgspec.json.decode(message), steps)
    except (msgspec.DecodeError, RecursionError):
        return None
    value = found[0] if found else None
    if value is None or isinstance(value, dict | list):
        return None
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _on_json(test: _Test) -> Matcher:
    def matches(message: str) -> bool:
        if not message.lstrip().startswith("{"):
            return False
        try:
            return test(msgspec.json.decode(message))
        except (msgspec.DecodeError, RecursionError):
            return False

    return matches


class _Json:
    """The parser of what stands between the braces."""

    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        at, text = 0, text.rstrip()
        while at < len(text):
            found = _JSON_TOKEN.match(text, at)
            if found is None or found.lastgroup is None:
                raise _invalid(f"unexpected {text[at:].strip()[:20]}")
            self._tokens.append((found.lastgroup, found.group(found.lastgroup)))
            at = found.end()
        self._at = 0

    def parsed(self) -> _Test:
        test = self._either(0)
        if self._at < len(self._tokens):
            raise _invalid(f"unexpected {self._tokens[self._at][1]}")
        return test

    def _either(self, depth: int) -> _Test:
        tests = [self._both(depth)]
        while self._take("||"):
            tests.append(self._both(depth))
        return tests[0] if len(tests) == 1 else lambda event: any(test(event) for test in tests)

    def _both(self, depth: int) -> _Test:
        tests = [self._one(depth)]
        while self._take("&&"):
            tests.append(self._one(depth))
        return tests[0] if len(tests) == 1 else lambda event: all(test(event) for test in tests)

    def _one(self, depth: int) -> _Test:
        if depth > _DEPTH_MAX:
            raise _invalid("nested too deeply")
        if self._take("("):
            test = self._either(depth + 1)
            if not self._take(")"):
                raise _invalid(") is expected")
            return test
        kind, path = self._next()
        if kind != "path":
            raise _invalid(f"a selector is expected, not {path}")
        steps = re.findall(r"\.([\w\-@]+)|\[(\d+|\*)\]", path)
        kind, text = self._next()
        if kind == "word":
            return self._worded(steps, text.upper())
        if kind != "op" or text not in _ORDER:
            raise _invalid(f"a comparison is expected, not {text}")
        test = _comparison(text, *self._next())
        return lambda event: any(test(value) for value in _select(event, steps))

    def _worded(self, steps: list[tuple[str, str]], word: str) -> _Test:
        """IS x, EXISTS, NOT EXISTS."""
        if word == "EXISTS":
            return lambda event: bool(_select(event, steps))
        wanted = self._next()[1].upper()
        if word == "NOT" and wanted == "EXISTS":
            return lambda event: not _select(event, steps)
        constants = {"TRUE": True, "FALSE": False, "NULL": None}
        if word != "IS" or wanted not in constants:
            raise _invalid(f"unexpected {word} {wanted}")
        return lambda event: any(value is constants[wanted] for value in _select(event, steps))

    def _take(self, wanted: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at] == ("op", wanted):
            self._at += 1
            return True
        return False

    def _next(self) -> tuple[str, str]:
        if self._at >= len(self._tokens):
            raise _invalid("it ends too early")
        self._at += 1
        return self._tokens[self._at - 1]


def _comparison(sign: str, kind: str, text: str) -> _Test:
    compare = _ORDER[sign]
    if kind == "regex" and sign in ("=", "!="):
        pattern = regex.compiled(text)
        return lambda value: isinstance(value, str) and pattern.found_in(value) == (sign == "=")
    if kind == "word":
        try:
            number = float(text)
        except ValueError:
            kind = "string"
        else:
            return lambda value: _is_number(value) and compare(float(value), number)
    if kind != "string" or sign not in ("=", "!="):
        raise _invalid(f"{sign} compares numbers")
    text = re.sub(r"\\(.)", r"\1", text)
    if "*" not in text:
        return lambda value: isinstance(value, str) and compare(value, text)
    if text.count("*") > _WILDCARDS_MAX:
        raise _invalid("too many wildcards")
    shape = re.compile(translate(re.sub(r"([?\[])", r"[\1]", text)))
    return lambda value: isinstance(value, str) and (shape.match(value) is not None) == (sign == "=")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _select(event: Any, steps: list[tuple[str, str]]) -> list[Any]:
    """Every value a selector names; none where it does not exist."""
    values = [event]
    for member, index in steps:
        if member:
            values = [value[member] for value in values if isinstance(value, dict) and member in value]
        elif index == "*":
            values = [item for value in values if isinstance(value, list) for item in value]
        else:
            at = int(index)
            values = [value[at] for value in values if isinstance(value, list) and at < len(value)]
    return values
