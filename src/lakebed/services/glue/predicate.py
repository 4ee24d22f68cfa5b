"""The partition filter of GetPartitions: parsed once, evaluated against every partition's values.

    condition  := disjunct (OR disjunct)*
    disjunct   := factor (AND factor)*
    factor     := NOT factor | '(' condition ')' | comparison
    comparison := operand (= | <> | != | < | <= | > | >=) operand | key [NOT] IN (literal, ...)
                | key [NOT] BETWEEN literal AND literal | key [NOT] LIKE literal | key IS [NOT] NULL

A comparison is made in the type of the partition key, with SQL's three truth values: a partition whose value is Hive's
null, or does not fit the key's type, is unknown and not returned.
https://docs.aws.amazon.com/glue/latest/webapi/API_GetPartitions.html
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"
Values = Sequence[str]
Verdict = Callable[[Values], bool | None]
_DEPTH_MAX = 100
_WHOLE = {"tinyint", "smallint", "int", "integer", "bigint", "long"}
_TOKEN = re.compile(
    r"""\s*(?:(?P<string>'(?:[^']|'')*')|(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?![\w.]))
    |(?P<name>[^\W\d][\w$]*|`[^`]+`|"[^"]+")|(?P<op><>|!=|<=|>=|=|<|>|\(|\)|,))""",
    re.VERBOSE,
)
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq, "<>": operator.ne, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt,
    ">=": operator.ge,
}  # fmt: skip
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_WORDS = {"AND", "OR", "NOT", "IN", "BETWEEN", "LIKE", "IS", "NULL"}


class PredicateError(ValueError):
    """The expression does not parse or does not fit the keys; the message is a client's."""


@dataclass(frozen=True, slots=True)
class Key:
    """A partition key: its place among the values and how its values are read."""

    name: str
    place: int
    type: str

    def read(self, text: str) -> Any:
        """A stored value or a literal in this key's type; ValueError where it does not fit."""
        if self.type in _WHOLE:
            return int(text)
        if self.type.startswith("decimal") or self.type in ("double", "float"):
            return _number(text)
        if self.type == "date":
            return date.fromisoformat(text)
        if self.type == "timestamp":
            told = datetime.fromisoformat(text.replace(" ", "T", 1))
            return told if told.tzinfo is None else told.astimezone(UTC).replace(tzinfo=None)
        if self.type == "boolean":
            return text.lower() == "true"
        return text

    @property
    def is_text(self) -> bool:
        """Whether values compare as they are written."""
        return self.type == "string" or self.type.startswith(("char", "varchar"))

    def value(self, values: Values) -> Any:
        """This key's value of a partition, None where it is null or unreadable."""
        text = values[self.place]
        if text == HIVE_NULL:
            return None
        try:
            return self.read(text)
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class Predicate:
    """A parsed expression: conditions that must all hold, each with the last key it reads, earliest first.

    ``leading`` are literal values that text keys from the first on must equal.
    """

    conditions: tuple[tuple[int, Verdict], ...]
    leading: tuple[str, ...] = ()

    def fails_at(self, values: Values) -> int | None:
        """None for a wanted partition; else the place of a key such that every partition that agrees with this one up
        to that key is unwanted too."""
        for place, verdict in self.conditions:
            if verdict(values) is not True:
                return place
        return None


def parse(expression: str, keys: Sequence[tuple[str, str]]) -> Predicate:
    """Parse against (name, type) of the partition keys."""
    parser = _Parser(expression, [Key(name.lower(), at, kind.lower()) for at, (name, kind) in enumerate(keys)])
    verdict, equal = parser.condition(0)
    parser.end()
    leading: list[str] = []
    for key in parser.keys:
        if key.place not in equal or not key.is_text:
            break
        leading.append(equal[key.place])
    conditions = parser.conditions if not parser.is_disjunction else [(len(keys) - 1, verdict)]
    return Predicate(tuple(sorted(conditions, key=lambda condition: condition[0])), tuple(leading))


_Parsed = tuple[Verdict, dict[int, str]]  # the verdict, and what it implies: key place -> the literal it equals


class _Parser:
    def __init__(self, text: str, keys: list[Key]) -> None:
        self.text, self.keys = text, keys
        self._by_name = {key.name: key for key in keys}
        self._tokens = self._tokenise()
        self._at = 0
        self._read_places: set[int] = set()
        self.conditions: list[tuple[int, Verdict]] = []
        self.is_disjunction = False

    def condition(self, depth: int) -> _Parsed:
        if depth > _DEPTH_MAX:
            raise self.wrong("nested too deeply")
        verdict, equal = self._conjunction(depth)
        verdicts = [verdict]
        while self._take("OR"):
            verdicts.append(self._conjunction(depth)[0])
            equal = {}
            self.is_disjunction = self.is_disjunction or depth == 0
        return (verdict if len(verdicts) == 1 else _any(verdicts)), equal

    def end(self) -> None:
        if self._at < len(self._tokens):
            raise self.wrong(f"unexpected {self._tokens[self._at][1]}")

    def wrong(self, reason: str) -> PredicateError:
        return PredicateError(f"Unsupported expression '{self.text}': {reason}")

    def _conjunction(self, depth: int) -> _Parsed:
        verdict, equal = self._conjunct(depth)
        verdicts = [verdict]
        while self._take("AND"):
            verdict, more = self._conjunct(depth)
            verdicts.append(verdict)
            equal = equal | more
        return (verdicts[0] if len(verdicts) == 1 else _all(verdicts)), equal

    def _conjunct(self, depth: int) -> _Parsed:
        if depth > 0:
            return self._factor(depth)
        self._read_places = set()
        parsed = self._factor(depth)
        self.conditions.append((max(self._read_places), parsed[0]))
        return parsed

    def _factor(self, depth: int) -> _Parsed:
        negations = 0
        while self._take("NOT"):
            negations += 1
        if self._take("("):
            verdict, equal = self.condition(depth + 1)
            self._need(")")
        else:
            verdict, equal = self._comparison()
        return (_not(verdict), {}) if negations % 2 else (verdict, {} if negations else equal)

    def _comparison(self) -> _Parsed:
        kind, text = self._next()
        if kind != "name":
            sign = self._sign()
            return self._compared(self._key(*self._next()), _MIRRORED.get(sign, sign), self._literal_of(kind, text))
        key = self._key(kind, text)
        if self._take("IS"):
            negated = self._take("NOT")
            self._need("NULL")
            return _is_null(key, negated=negated), {}
        negated = self._take("NOT")
        if self._take("IN"):
            verdict = self._in(key)
        elif self._take("BETWEEN"):
            low = self._read(key, self._literal())
            self._need("AND")
            high = self._read(key, self._literal())
            verdict = _test(key, lambda value: low <= value <= high)
        elif self._take("LIKE"):
            verdict = _like(key, self._literal())
        elif negated:
            raise self.wrong("NOT is followed by IN, BETWEEN or LIKE here")
        else:
            return self._compared(key, self._sign(), self._literal())
        return (_not(verdict) if negated else verdict), {}

    def _compared(self, key: Key, sign: str, literal: str) -> _Parsed:
        wanted, compare = self._read(key, literal), _COMPARISONS[sign]
        return _test(key, lambda value: compare(value, wanted)), {key.place: literal} if sign == "=" else {}

    def _in(self, key: Key) -> Verdict:
        self._need("(")
        wanted = {self._read(key, self._literal())}
        while self._take(","):
            wanted.add(self._read(key, self._literal()))
        self._need(")")
        return _test(key, lambda value: value in wanted)

    def _read(self, key: Key, literal: str) -> Any:
        try:
            return key.read(literal)
        except ValueError:
            raise self.wrong(f"{literal} is not a {key.type}") from None

    def _key(self, kind: str, text: str) -> Key:
        key = self._by_name.get(text.strip('`"').lower()) if kind == "name" else None
        if key is None:
            raise self.wrong(f"{text} is not a partition key")
        self._read_places.add(key.place)
        return key

    def _literal(self) -> str:
        return self._literal_of(*self._next())

    def _literal_of(self, kind: str, text: str) -> str:
        if kind == "name" and text.upper() in ("DATE", "TIMESTAMP"):
            kind, text = self._next()
        if kind == "string":
            return text[1:-1].replace("''", "'")
        if kind == "number" or (kind == "name" and text.lower() in ("true", "false")):
            return text
        raise self.wrong(f"a literal is expected, not {text}")

    def _sign(self) -> str:
        kind, text = self._next()
        if kind != "op" or text not in _COMPARISONS:
            raise self.wrong(f"a comparison is expected, not {text}")
        return text

    def _take(self, wanted: str) -> bool:
        if self._at < len(self._tokens):
            kind, text = self._tokens[self._at]
            if (kind == "op" and text == wanted) or (kind == "name" and wanted in _WORDS and text.upper() == wanted):
                self._at += 1
                return True
        return False

    def _need(self, wanted: str) -> None:
        if not self._take(wanted):
            raise self.wrong(f"{wanted} is expected")

    def _next(self) -> tuple[str, str]:
        if self._at >= len(self._tokens):
            raise self.wrong("it ends too early")
        self._at += 1
        return self._tokens[self._at - 1]

    def _tokenise(self) -> list[tuple[str, str]]:
        tokens, at, text = [], 0, self.text.rstrip()
        while at < len(text):
            found = _TOKEN.match(text, at)
            if found is None or found.lastgroup is None:
                raise self.wrong(f"unexpected {text[at:].strip()[:20]}")
            tokens.append((found.lastgroup, found.group(found.lastgroup)))
            at = found.end()
        return tokens


def _number(text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise ValueError(text) from None
    if not number.is_finite():
        raise ValueError(text)
    return number


def _test(key: Key, test: Callable[[Any], bool]) -> Verdict:
    def verdict(values: Values) -> bool | None:
        value = key.value(values)
        return None if value is None else test(value)

    return verdict


def _is_null(key: Key, *, negated: bool) -> Verdict:
    return lambda values: (values[key.place] == HIVE_NULL) is not negated


def _like(key: Key, pattern: str) -> Verdict:
    """``%`` any run, ``_`` any character, over the value as it is written."""

    def verdict(values: Values) -> bool | None:
        return None if values[key.place] == HIVE_NULL else like(values[key.place], pattern)

    return verdict


def like(text: str, pattern: str) -> bool:
    """SQL LIKE without backtracking beyond the last ``%``."""
    at = place = 0
    star, resume = -1, 0
    while at < len(text):
        if place < len(pattern) and pattern[place] == "%":
            star, resume, place = place, at, place + 1
        elif place < len(pattern) and pattern[place] in ("_", text[at]):
            at, place = at + 1, place + 1
        elif star >= 0:
            resume += 1
            at, place = resume, star + 1
        else:
            return False
    return all(rest == "%" for rest in pattern[place:])


def _not(verdict: Verdict) -> Verdict:
    def negated(values: Values) -> bool | None:
        told = verdict(values)
        return None if told is None else not told

    return negated


def _all(verdicts: Sequence[Verdict]) -> Verdict:
    def every(values: Values) -> bool | None:
        unknown = False
        for verdict in verdicts:
            told = verdict(values)
            if told is False:
                return False
            unknown = unknown or told is None
        return None if unknown else True

    return every


def _any(verdicts: Sequence[Verdict]) -> Verdict:
    def some(values: Values) -> bool | None:
        unknown = False
        for verdict in verdicts:
            told = verdict(values)
            if told is True:
                return True
            unknown = unknown or told is None
        return None if unknown else False

    return some
