"""Event patterns: the filter language that EventBridge, SNS and Lambda share. Compiled once, then asked for each event.

Keys combine with *and*, the alternatives of a key with *or*, ``$or`` its objects with *or*. Over an array any element may
fulfil a condition, also a negated one; over an array of objects one element must fulfil the whole inner pattern. A dialect
says which match types a service knows and how large a number may be.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
https://docs.aws.amazon.com/sns/latest/dg/sns-subscription-filter-policies.html
https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventfiltering.html

A wildcard is a regular expression without backtracking between its stars: no pattern takes longer than its text is long.
"""

from __future__ import annotations

import ipaddress
import json
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_OPERATORS = {"=": operator.eq, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_DEPTH_MAX, _COMBINATIONS_MAX = 50, 1000
_TEXTS = ("prefix", "suffix", "equals-ignore-case", "wildcard")
ABSENT = object()
Condition = Callable[[Any], bool]
Matcher = Callable[[Any], bool]


class PatternError(ValueError):
    """What is wrong with a pattern, in AWS's words where they are known."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a service understands of the language."""

    number_max: float
    types: frozenset[str]
    anything_but: frozenset[str]


EVENTBRIDGE = Dialect(
    5e9,
    frozenset({"anything-but", "cidr", "equals-ignore-case", "exists", "numeric", "prefix", "suffix", "wildcard"}),
    frozenset(_TEXTS),
)
SNS = Dialect(
    1e9,
    frozenset({"anything-but", "cidr", "equals-ignore-case", "exists", "numeric", "prefix", "suffix"}),
    frozenset({"prefix", "suffix"}),
)


def compile_text(text: str, dialect: Dialect = EVENTBRIDGE) -> Matcher:
    """The matcher of a pattern's JSON text."""
    try:
        pattern = json.loads(text)
    except (ValueError, RecursionError):
        raise PatternError("Filter is not valid JSON") from None
    if not isinstance(pattern, dict):
        raise PatternError("Filter is not an object")
    if not pattern:
        raise PatternError("Empty objects are not allowed")
    if combinations(pattern) > _COMBINATIONS_MAX:
        raise PatternError("Rule is too complex")
    return compile_object(pattern, dialect)


def combinations(pattern: Mapping[str, Any], depth: int = 1) -> int:
    """How many plain patterns the alternatives of ``$or`` make; PatternError where it lies too deep."""
    if depth > _DEPTH_MAX:
        raise PatternError("Rule is too complex")
    product = 1
    for name, value in pattern.items():
        if name == "$or" and is_alternatives(value):
            product *= max(1, sum(combinations(one, depth + 1) for one in value))
        elif isinstance(value, dict):
            product *= combinations(value, depth + 1)
    return min(product, _COMBINATIONS_MAX + 1)


def compile_object(pattern: Mapping[str, Any], dialect: Dialect = EVENTBRIDGE, *, nested: bool = True) -> Matcher:
    """The matcher of a parsed pattern; without ``nested`` a key may not lead into an object."""
    parts: list[Matcher] = []
    for name, value in pattern.items():
        if name == "$or" and is_alternatives(value):
            parts.append(_any([compile_object(one, dialect, nested=nested) for one in value]))
        elif isinstance(value, list):
            if not value:
                raise PatternError(f'Empty arrays are not allowed: "{name}"')
            parts.append(_leaf(name, [_condition(one, dialect) for one in value]))
        elif isinstance(value, dict) and nested:
            if not value:
                raise PatternError(f'Empty objects are not allowed: "{name}"')
            parts.append(_inside(name, compile_object(value, dialect)))
        elif isinstance(value, dict):
            raise PatternError("Filter policy scope MessageAttributes does not support nested filter policy")
        else:
            raise PatternError(f'"{name}" must be an object or an array')
    return lambda event: all(part(event) for part in parts)


def is_alternatives(value: Any) -> bool:
    """``$or`` is the operator where it has two objects or more; else it is a key like any other."""
    return isinstance(value, list) and len(value) > 1 and all(isinstance(one, dict) and one for one in value)


def _any(matchers: Sequence[Matcher]) -> Matcher:
    return lambda event: any(one(event) for one in matchers)


def _inside(name: str, inner: Matcher) -> Matcher:
    def holds(event: Any) -> bool:
        value = event.get(name, {}) if isinstance(event, dict) else {}
        return any(inner(one) for one in value) if isinstance(value, list) and value else inner(value)

    return holds


def _leaf(name: str, conditions: Sequence[Condition]) -> Matcher:
    def holds(event: Any) -> bool:
        value = event.get(name, ABSENT) if isinstance(event, dict) else ABSENT
        values = _flat(value) if isinstance(value, list) and value else [value]
        return any(condition(one) for condition in conditions for one in values)

    return holds


def _flat(values: Sequence[Any]) -> list[Any]:
    found: list[Any] = []
    waiting = list(values)
    while waiting:
        one = waiting.pop(0)
        if isinstance(one, list):
            waiting[:0] = one
        else:
            found.append(one)
    return found


def _same(one: Any, other: Any) -> bool:
    """Equal as JSON values: true is no 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other)


def _condition(value: Any, dialect: Dialect) -> Condition:
    if isinstance(value, list):
        raise PatternError("Match value must be String, number, true, false, or null")
    if not isinstance(value, dict):
        return lambda have: have is not ABSENT and _same(have, value)
    if len(value) != 1:
        raise PatternError("Only one key allowed in match expression")
    ((name, wanted),) = value.items()
    if name not in dialect.types:
        raise PatternError(f"Unrecognized match type {name}")
    if name in _TEXTS:
        return _textual(name, wanted, dialect)
    return _OTHERS[name](wanted, dialect)


def _textual(name: str, wanted: Any, dialect: Dialect) -> Condition:
    """A condition on text. ``prefix`` and ``suffix`` may ignore case: ``{"prefix": {"equals-ignore-case": "a"}}``."""
    fold = False
    if name in ("prefix", "suffix") and isinstance(wanted, dict) and "wildcard" in dialect.types:
        if list(wanted) != ["equals-ignore-case"]:
            raise PatternError(f"Unsupported anything-but pattern in {name}: {', '.join(wanted)[:50]}")
        fold, wanted = True, wanted["equals-ignore-case"]
    if not isinstance(wanted, str):
        raise PatternError(f"{name} match pattern must be a string")
    if not wanted and name != "equals-ignore-case":
        raise PatternError(f"{name} match pattern must not be empty")
    if name == "wildcard":
        match = _wildcard(wanted)
        return lambda have: isinstance(have, str) and match(have) is not None
    if name == "equals-ignore-case":
        folded = wanted.casefold()
        return lambda have: isinstance(have, str) and have.casefold() == folded
    starts = str.startswith if name == "prefix" else str.endswith
    if fold:
        folded = wanted.casefold()
        return lambda have: isinstance(have, str) and starts(have.casefold(), folded)
    return lambda have: isinstance(have, str) and starts(have, wanted)


def _wildcard(text: str) -> Callable[[str], object]:
    """``*`` is any text; ``\\*`` and ``\\\\`` are the characters. What lies between stars is found leftmost, for good."""
    pieces, position = [""], 0
    while position < len(text):
        sign = text[position]
        if sign == "\\":
            position += 1
            if position == len(text) or text[position] not in "*\\":
                raise PatternError(f"Invalid escape character at pos {position - 1}")
            pieces[-1] += re.escape(text[position])
        elif sign == "*":
            if len(pieces) > 1 and not pieces[-1] and position and text[position - 1] == "*":
                raise PatternError(f"Consecutive wildcard characters at pos {position - 1}")
            pieces.append("")
        else:
            pieces[-1] += re.escape(sign)
        position += 1
    first, *rest = pieces
    if not rest:
        return re.compile(first, re.DOTALL).fullmatch
    *middle, last = rest
    expression = first + "".join(f"(?>.*?{piece})" for piece in middle if piece) + ".*" + last
    return re.compile(expression, re.DOTALL).fullmatch


def _exists(wanted: Any, _: Dialect) -> Condition:
    if not isinstance(wanted, bool):
        raise PatternError("exists match pattern must be either true or false.")
    return lambda have: (have is not ABSENT and not isinstance(have, dict)) == wanted


def _cidr(wanted: Any, _: Dialect) -> Condition:
    try:
        network = ipaddress.ip_network(wanted if isinstance(wanted, str) else "", strict=False)
    except ValueError:
        raise PatternError("Malformed CIDR, one '/' required") from None

    def holds(have: Any) -> bool:
        try:
            return isinstance(have, str) and ipaddress.ip_address(have) in network
        except ValueError:
            return False

    return holds


def _anything_but(wanted: Any, dialect: Dialect) -> Condition:
    if isinstance(wanted, dict):
        if len(wanted) != 1 or next(iter(wanted)) not in dialect.anything_but:
            raise PatternError("Value of anything-but must be an array, a string, a number, or a prefix or suffix")
        ((name, pattern),) = wanted.items()
        patterns = pattern if isinstance(pattern, list) and pattern else [pattern]
        conditions = [_textual(name, one, dialect) for one in patterns]
    else:
        values = wanted if isinstance(wanted, list) else [wanted]
        if not values or any(isinstance(one, list | dict | bool) or one is None for one in values):
            raise PatternError("Value of anything-but must be an array, a string, a number, or a prefix or suffix")
        conditions = [_condition(one, dialect) for one in values]
    return lambda have: have is not ABSENT and not isinstance(have, dict) and not any(one(have) for one in conditions)


def _numeric(wanted: Any, dialect: Dialect) -> Condition:
    if not isinstance(wanted, list) or not wanted:
        raise PatternError("Value of numeric must be an array.")
    if len(wanted) not in (2, 4):
        raise PatternError("Invalid member in numeric match: " + str(wanted[0])[:50])
    pairs = list(zip(wanted[::2], wanted[1::2], strict=True))
    for name, bound in pairs:
        if not isinstance(name, str) or name not in _OPERATORS:
            raise PatternError(f"Unrecognized numeric range operator: {str(name)[:50]}")
        if isinstance(bound, bool) or not isinstance(bound, int | float):
            raise PatternError(f"Value of {name} must be numeric")
        if not -dialect.number_max <= bound <= dialect.number_max:
            most = f"{dialect.number_max:.1E}".replace("E+0", "E")
            raise PatternError(f"Value of {name} must be between -{most} and {most}, inclusive")
    if len(pairs) == 2:
        (first, low), (second, high) = pairs
        if first not in (">", ">=") or second not in ("<", "<="):
            raise PatternError("Bad numeric range operator: " + str(first if first not in (">", ">=") else second))
        if low >= high:
            raise PatternError("Bottom must be less than top")
    return lambda have: (
        isinstance(have, int | float)
        and not isinstance(have, bool)
        and all(_OPERATORS[name](have, bound) for name, bound in pairs)
    )


_OTHERS: dict[str, Callable[[Any, Dialect], Condition]] = {
    "anything-but": _anything_but,
    "cidr": _cidr,
    "exists": _exists,
    "numeric": _numeric,
}
