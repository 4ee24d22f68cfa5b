"""MetadataExtraction: partition keys by a jq query over each JSON record. Pure.

https://docs.aws.amazon.com/firehose/latest/dev/dynamic-partitioning-partitioning-keys.html: the query is one object whose
values are the keys, ``{customer:.customer.id, year:.time|strftime("%Y")}``. Built is the part of jq 1.6
(https://jqlang.github.io/jq/manual/v1.6/) that such queries use: paths with names, indices and slices, pipes, ``//``,
parentheses, literals and the functions of ``_FUNCTIONS``; anything else is refused at creation, naming it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from lakebed.kernel.errors import AwsError, not_built

Step = Callable[[Any], Any]
QUERY_CHARACTERS_MAX = 5120
_TOKEN = re.compile(r'\s*(?:([A-Za-z_]\w*)|("(?:[^"\\]|\\.)*")|(-?\d+(?:\.\d+)?)|(//|[{}()\[\]:,.|?]))')
_STRFTIME = re.compile(r"(?:[^%]|%[YmdHMSjUbBaAyeZzFTpI%])*")


class ExtractionError(Exception):
    """A record the query has no keys for; the message says why."""


class Query:
    """A parsed query."""

    def __init__(self, text: str) -> None:
        self._keys: Mapping[str, Step] = _Parser(text).query()

    @property
    def names(self) -> frozenset[str]:
        """The keys the query makes."""
        return frozenset(self._keys)

    def keys_of(self, record: bytes) -> dict[str, str]:
        """The partition keys of a record; ExtractionError where it is no JSON or a key has no value."""
        try:
            value = msgspec.json.decode(record)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise ExtractionError("The record is no valid JSON.") from None
        found = {}
        for name, step in self._keys.items():
            try:
                found[name] = _text(step(value))
            except (TypeError, ValueError, OverflowError, OSError, ArithmeticError, msgspec.MsgspecError):
                raise ExtractionError(f"The query gives no usable value for the partition key {name}.") from None
        return found


class _Parser:
    """Recursive descent into closures; nesting is bounded by the query's length and ``_DEPTH_MAX``."""

    _DEPTH_MAX = 50

    def __init__(self, text: str) -> None:
        if len(text) > QUERY_CHARACTERS_MAX:
            raise _refused("a query of this length")
        self._tokens: list[str] = []
        self._depth = 0
        at = 0
        while text[at:].strip():
            match = _TOKEN.match(text, at)
            if match is None:
                raise _refused(text[at : at + 20].strip())
            self._tokens.append(match.group(0).strip())
            at = match.end()
        self._at = 0

    def query(self) -> dict[str, Step]:
        self._expect("{")
        keys: dict[str, Step] = {}
        while True:
            name = self._next()
            if name.startswith('"'):
                name = str(_literal(name))
            elif not name.isidentifier():
                raise _refused(name)
            keys[name] = self._pipeline() if self._accept(":") else _field(name)
            if not self._accept(","):
                break
        self._expect("}")
        if self._at < len(self._tokens):
            raise _refused(self._tokens[self._at])
        return keys

    def _pipeline(self) -> Step:
        self._depth += 1
        if self._depth > self._DEPTH_MAX:
            raise _refused("nesting this deep")
        step = self._alternative()
        while self._accept("|"):
            step = _then(step, self._alternative())
        self._depth -= 1
        return step

    def _alternative(self) -> Step:
        step = self._term()
        while self._accept("//"):
            step = _or_else(step, self._term())
        return step

    def _term(self) -> Step:
        word = self._next()
        if word == "(":
            step = self._pipeline()
            self._expect(")")
            return self._path(step)
        if word == ".":
            return self._path(_identity, dotted=True)
        if word.startswith('"') or word.lstrip("-")[0].isdigit():
            literal = _literal(word)
            return lambda _value: literal
        argument = None
        if word in _WITH_ARGUMENT and self._accept("("):
            argument = _literal(self._next()) if self._peek().startswith('"') else None
            self._expect(")")
        made = _function(word, argument)
        if made is None:
            raise _refused(word)
        return made

    def _path(self, step: Step, *, dotted: bool = False) -> Step:
        """What follows a term: names, indices, slices."""
        while True:
            if dotted and self._peek().isidentifier():
                step = _then(step, _field(self._next()))
            elif dotted and self._peek().startswith('"'):
                step = _then(step, _field(str(_literal(self._next()))))
            elif self._accept("["):
                step = _then(step, self._bracket())
            elif self._accept("?"):
                step = _quiet(step)
            elif not self._accept("."):
                return step
            else:
                dotted = True
                continue
            dotted = False

    def _bracket(self) -> Step:
        if self._peek().startswith('"'):
            step = _field(str(_literal(self._next())))
        else:
            low = None if self._peek() == ":" else self._integer()
            is_slice = self._accept(":")
            step = _slice(low, None if self._peek() == "]" else self._integer()) if is_slice else _index(low)
        self._expect("]")
        return step

    def _integer(self) -> int:
        token = self._next()
        if not re.fullmatch(r"-?\d{1,9}", token):
            raise _refused(token)
        return int(token)

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        token = self._peek()
        if not token:
            raise _refused("a query that ends too early")
        self._at += 1
        return token

    def _accept(self, token: str) -> bool:
        found = self._peek() == token
        self._at += found
        return found

    def _expect(self, token: str) -> None:
        if not self._accept(token):
            raise _refused(self._peek() or f"a query without {token}")


def _refused(what: str) -> AwsError:
    return not_built("firehose", "CreateDeliveryStream", f"MetadataExtractionQuery: {what}")


def _literal(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        raise _refused(text) from None


def _identity(value: Any) -> Any:
    return value


def _then(first: Step, second: Step) -> Step:
    return second if first is _identity else lambda value: second(first(value))


def _or_else(first: Step, second: Step) -> Step:
    def step(value: Any) -> Any:
        try:
            found = first(value)
        except (TypeError, ValueError):
            found = None
        return second(value) if found is None or found is False else found

    return step


def _quiet(inner: Step) -> Step:
    def step(value: Any) -> Any:
        try:
            return inner(value)
        except (TypeError, ValueError):
            return None

    return step


def _field(name: str) -> Step:
    def step(value: Any) -> Any:
        if value is None:
            return None
        if not isinstance(value, dict):
            raise TypeError(name)
        return value.get(name)

    return step


def _index(place: int | None) -> Step:
    def step(value: Any) -> Any:
        if value is None or place is None:
            return None
        if not isinstance(value, list):
            raise TypeError(place)
        return value[place] if -len(value) <= place < len(value) else None

    return step


def _slice(low: int | None, high: int | None) -> Step:
    def step(value: Any) -> Any:
        if value is not None and not isinstance(value, str | list):
            raise TypeError(low)
        return None if value is None else value[low:high]

    return step


def _text(value: Any) -> str:
    """A key's text; null, arrays and objects are none."""
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, dict | list):
        raise TypeError(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return msgspec.json.encode(value).decode()


def _words(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _number(value: Any) -> Any:
    if isinstance(value, str):
        return msgspec.json.decode(value.strip(), type=float) if "." in value else int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(value)
    return value


def _moment(value: Any) -> datetime:
    return datetime.fromtimestamp(float(_number(value)) if not isinstance(value, str) else _bad(value), UTC)


def _bad(value: Any) -> float:
    raise TypeError(value)


def _from_date(value: Any) -> int:
    return int(datetime.strptime(_words(value), "%Y-%m-%dT%H:%M:%S%z").timestamp())


_FUNCTIONS: Mapping[str, Step] = {
    "tostring": _text,
    "tonumber": _number,
    "ascii_downcase": lambda value: _words(value).lower(),
    "ascii_upcase": lambda value: _words(value).upper(),
    "floor": lambda value: int(_number(value) // 1),
    "todate": lambda value: f"{_moment(value):%Y-%m-%dT%H:%M:%SZ}",
    "fromdate": _from_date,
    "fromdateiso8601": _from_date,
}
_WITH_ARGUMENT = frozenset({"strftime", "ltrimstr", "rtrimstr", "split"})


def _function(name: str, argument: Any) -> Step | None:
    """The function of a name, with its one string argument where it takes one."""
    if name not in _WITH_ARGUMENT or not isinstance(argument, str):
        return _FUNCTIONS.get(name)
    text: str = argument
    if name == "strftime":
        return (lambda value: _moment(value).strftime(text)) if _STRFTIME.fullmatch(text) else None
    if name == "split":
        return (lambda value: _words(value).split(text)) if text else None
    if name == "ltrimstr":
        return lambda value: value.removeprefix(text) if isinstance(value, str) else value
    return lambda value: value.removesuffix(text) if isinstance(value, str) else value
