"""Filter policies: which messages a subscription wants. Parsed once to a tree, then asked for each message.

Keys combine with *and*, the conditions of a key with *or*, ``$or`` its alternatives with *or*. Over an array any element
may fulfil a condition, also a negated one: ``anything-but`` accepts an array with at least one other value.

https://docs.aws.amazon.com/sns/latest/dg/sns-subscription-filter-policies.html
https://docs.aws.amazon.com/sns/latest/dg/string-value-matching.html, numeric-value-matching.html, attribute-key-matching.html
"""

from __future__ import annotations

import ipaddress
import json
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lakebed.services.sns.model import array_of

KEYS_MAX, COMBINATIONS_MAX, POLICY_BYTES_MAX = 5, 150, 262_144
_NUMBER_MAX = 10**9
_OPERATORS = {"=": operator.eq, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_ABSENT = object()
Condition = Callable[[Any], bool]
Filter = Callable[[Any], bool]


class FilterError(ValueError):
    """What is wrong with a filter policy, in AWS's words where they are known."""


def parse(text: str, *, of_body: bool) -> Filter | None:
    """The filter, None for an empty policy (everything passes)."""
    if len(text.encode("utf-8", "surrogatepass")) > POLICY_BYTES_MAX:
        raise FilterError("Filter policy is too long")
    try:
        policy = json.loads(text)
    except (ValueError, RecursionError):
        raise FilterError("failed to parse JSON.") from None
    if not isinstance(policy, dict):
        raise FilterError("failed to parse JSON. Filter policy must be an object.")
    if not policy:
        return None
    keys, combinations = _measure(policy, depth=1)
    if keys > KEYS_MAX:
        raise FilterError(f"Filter policy can not have more than {KEYS_MAX} keys")
    if combinations > COMBINATIONS_MAX:
        raise FilterError("Filter policy is too complex")
    return _object(policy, nested=of_body)


def _measure(policy: Mapping[str, Any], depth: int) -> tuple[int, int]:
    """(keys at the leaves, product of the numbers of values; a value counts once for each level it lies deep)."""
    keys, combinations = 0, 1
    if depth > 50:
        raise FilterError("Filter policy is too complex")
    for name, value in policy.items():
        if name == "$or" and isinstance(value, list):
            found = [_measure(one, depth) for one in value if isinstance(one, dict)]
            keys += sum(one for one, _ in found)
            combinations *= max(1, sum(one for _, one in found))
        elif isinstance(value, dict):
            inner, product = _measure(value, depth + 1)
            keys, combinations = keys + inner, combinations * product
        else:
            keys, combinations = keys + 1, combinations * max(1, len(value) if isinstance(value, list) else 1) * depth
    return keys, combinations


def _object(policy: Mapping[str, Any], *, nested: bool) -> Filter:
    parts: list[Filter] = []
    for name, value in policy.items():
        if name == "$or" and _is_alternatives(value):
            parts.append(_any([_object(one, nested=nested) for one in value]))
        elif isinstance(value, list):
            if not value:
                raise FilterError(f'Empty arrays are not allowed: "{name}"')
            parts.append(_leaf(name, [_condition(one) for one in value]))
        elif isinstance(value, dict) and nested:
            if not value:
                raise FilterError(f'Empty objects are not allowed: "{name}"')
            parts.append(_inside(name, _object(value, nested=True)))
        elif isinstance(value, dict):
            raise FilterError("Filter policy scope MessageAttributes does not support nested filter policy")
        else:
            raise FilterError(f'"{name}" must be an object or an array')
    return lambda message: all(part(message) for part in parts)


def _is_alternatives(value: Any) -> bool:
    """``$or`` is the operator where it has two objects or more; else it is a key like any other."""
    return isinstance(value, list) and len(value) > 1 and all(isinstance(one, dict) and one for one in value)


def _any(filters: Sequence[Filter]) -> Filter:
    return lambda message: any(one(message) for one in filters)


def _inside(name: str, inner: Filter) -> Filter:
    def holds(message: Any) -> bool:
        value = message.get(name, {}) if isinstance(message, dict) else {}
        return any(inner(one) for one in value) if isinstance(value, list) and value else inner(value)

    return holds


def _leaf(name: str, conditions: Sequence[Condition]) -> Filter:
    def holds(message: Any) -> bool:
        value = message.get(name, _ABSENT) if isinstance(message, dict) else _ABSENT
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


def _condition(value: Any) -> Condition:
    if isinstance(value, list):
        raise FilterError("Match value must be String, number, true, false, or null")
    if not isinstance(value, dict):
        return lambda have: have is not _ABSENT and _same(have, value)
    if len(value) != 1:
        raise FilterError("Only one key allowed in match expression")
    ((name, wanted),) = value.items()
    made = _MAKERS.get(name)
    if made is None:
        raise FilterError(f"Unrecognized match type {name}")
    return made(wanted)


def _text(name: str, wanted: Any) -> str:
    if not isinstance(wanted, str):
        raise FilterError(f"{name} match pattern must be a string")
    if not wanted:
        raise FilterError(f"{name} match pattern must not be empty")
    return wanted


def _prefix(wanted: Any) -> Condition:
    text = _text("prefix", wanted)
    return lambda have: isinstance(have, str) and have.startswith(text)


def _suffix(wanted: Any) -> Condition:
    text = _text("suffix", wanted)
    return lambda have: isinstance(have, str) and have.endswith(text)


def _fold(wanted: Any) -> Condition:
    text = _text("equals-ignore-case", wanted).casefold()
    return lambda have: isinstance(have, str) and have.casefold() == text


def _exists(wanted: Any) -> Condition:
    if not isinstance(wanted, bool):
        raise FilterError("exists match pattern must be either true or false.")
    return lambda have: (have is not _ABSENT and not isinstance(have, dict)) == wanted


def _cidr(wanted: Any) -> Condition:
    try:
        network = ipaddress.ip_network(_text("cidr", wanted), strict=False)
    except ValueError:
        raise FilterError("Malformed CIDR, one '/' required") from None

    def holds(have: Any) -> bool:
        try:
            return isinstance(have, str) and ipaddress.ip_address(have) in network
        except ValueError:
            return False

    return holds


def _anything_but(wanted: Any) -> Condition:
    if isinstance(wanted, dict):
        if len(wanted) != 1 or next(iter(wanted)) not in ("prefix", "suffix"):
            raise FilterError("Value of anything-but must be an array, a string, a number, or a prefix or suffix")
        ((name, pattern),) = wanted.items()
        patterns = pattern if isinstance(pattern, list) and pattern else [pattern]
        conditions = [_MAKERS[name](one) for one in patterns]
    else:
        values = wanted if isinstance(wanted, list) else [wanted]
        if not values or any(isinstance(one, list | dict | bool) or one is None for one in values):
            raise FilterError("Value of anything-but must be an array, a string, a number, or a prefix or suffix")
        conditions = [_condition(one) for one in values]
    return lambda have: have is not _ABSENT and not isinstance(have, dict) and not any(one(have) for one in conditions)


def _numeric(wanted: Any) -> Condition:
    if not isinstance(wanted, list) or not wanted:
        raise FilterError("Value of numeric must be an array.")
    if len(wanted) not in (2, 4):
        raise FilterError("Invalid member in numeric match: " + str(wanted[0])[:50])
    pairs = list(zip(wanted[::2], wanted[1::2], strict=True))
    for name, bound in pairs:
        if not isinstance(name, str) or name not in _OPERATORS:
            raise FilterError(f"Unrecognized numeric range operator: {str(name)[:50]}")
        if isinstance(bound, bool) or not isinstance(bound, int | float):
            raise FilterError(f"Value of {name} must be numeric")
        if not -_NUMBER_MAX <= bound <= _NUMBER_MAX:
            raise FilterError(f"Value of {name} must be between -1.0E9 and 1.0E9, inclusive")
    if len(pairs) == 2:
        (first, low), (second, high) = pairs
        if first not in (">", ">=") or second not in ("<", "<="):
            raise FilterError("Bad numeric range operator: " + str(first if first not in (">", ">=") else second))
        if low >= high:
            raise FilterError("Bottom must be less than top")
    return lambda have: (
        isinstance(have, int | float)
        and not isinstance(have, bool)
        and all(_OPERATORS[name](have, bound) for name, bound in pairs)
    )


_MAKERS: dict[str, Callable[[Any], Condition]] = {
    "anything-but": _anything_but,
    "cidr": _cidr,
    "equals-ignore-case": _fold,
    "exists": _exists,
    "numeric": _numeric,
    "prefix": _prefix,
    "suffix": _suffix,
}


def values_of(attributes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Message attributes as a filter sees them; binary ones only exist."""
    found: dict[str, Any] = {}
    for name, value in attributes.items():
        kind = value["DataType"]
        if kind == "String.Array":
            found[name] = array_of(value["StringValue"])
        elif kind.startswith("Number"):
            number = float(value["StringValue"])
            found[name] = int(number) if number.is_integer() else number
        elif kind.startswith("Binary"):
            found[name] = value["BinaryValue"]
        else:
            found[name] = value["StringValue"]
    return found


def body_of(text: str) -> Any:
    """A message body as a filter sees it: not a JSON object, nothing passes (None)."""
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None
