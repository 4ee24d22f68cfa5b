"""Condition blocks: operators, quantifiers, IfExists and Null, compiled once and asked often.

Operators, keys and values combine as AWS says: operators and keys with *and*, the values of one key with *or* (for the
negated operators: none of them). A key the request does not have fails a positive operator, passes a negated one and
passes any operator with ``IfExists``.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lakebed.services.iam.patterns import FactsOf, Pattern, substituted

# value of the request -> whether it fits one value of the policy
_Fits = Callable[[str, FactsOf], bool]
_Compile = Callable[[str], _Fits]


class UnknownOperatorError(ValueError):
    """A condition operator that AWS does not know either."""


def _equal(fold: bool) -> _Compile:
    def compile_(text: str) -> _Fits:
        def fits(value: str, facts: FactsOf) -> bool:
            wanted = substituted(text, facts)
            return wanted is not None and (value.lower() == wanted.lower() if fold else value == wanted)

        return fits

    return compile_


def _like(arn: bool) -> _Compile:
    def compile_(text: str) -> _Fits:
        return Pattern(text, arn=arn).matches

    return compile_


def _ordered(parse: Callable[[str], float | None], holds: Callable[[float, float], bool]) -> _Compile:
    def compile_(text: str) -> _Fits:
        fixed = parse(text)

        def fits(value: str, facts: FactsOf) -> bool:
            wanted = fixed if fixed is not None else parse(substituted(text, facts) or "")
            have = parse(value)
            return wanted is not None and have is not None and holds(have, wanted)

        return fits

    return compile_


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _date(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _address(text: str) -> _Fits:
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return _never

    def fits(value: str, _: FactsOf) -> bool:
        try:
            address = ipaddress.ip_address(value)
        except ValueError:
            return False
        return address.version == network.version and address in network

    return fits


def _never(*_: object) -> bool:
    return False


_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "Equals": lambda have, wanted: have == wanted,
    "LessThan": lambda have, wanted: have < wanted,
    "LessThanEquals": lambda have, wanted: have <= wanted,
    "GreaterThan": lambda have, wanted: have > wanted,
    "GreaterThanEquals": lambda have, wanted: have >= wanted,
}
_POSITIVE: dict[str, _Compile] = {
    "StringEquals": _equal(False),
    "StringEqualsIgnoreCase": _equal(True),
    "StringLike": _like(False),
    "ArnEquals": _like(True),
    "ArnLike": _like(True),
    "Bool": _equal(True),
    "BinaryEquals": _equal(False),
    "IpAddress": _address,
    **{f"Numeric{name}": _ordered(_number, holds) for name, holds in _COMPARISONS.items()},
    **{f"Date{name}": _ordered(_date, holds) for name, holds in _COMPARISONS.items()},
}
_NEGATED = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
    "NotIpAddress": "IpAddress",
    "NumericNotEquals": "NumericEquals",
    "DateNotEquals": "DateEquals",
}


@dataclass(frozen=True, slots=True)
class Condition:
    """One key of one operator."""

    key: str
    fits: tuple[_Fits, ...]
    negated: bool
    if_exists: bool
    quantifier: str  # "", ForAllValues, ForAnyValue
    null: bool | None = None  # the Null operator: True wants the key absent

    def holds(self, facts: FactsOf) -> bool:
        """Whether the request meets this condition."""
        values = facts().get(self.key)
        if self.null is not None:
            return (values is None or not values) is self.null
        if not values:
            if self.quantifier:
                return self.quantifier == "ForAllValues" or self.if_exists
            return self.if_exists or self.negated
        test = all if self.quantifier == "ForAllValues" or (self.negated and not self.quantifier) else any
        return test(any(fits(value, facts) for fits in self.fits) is not self.negated for value in values)


def compile_conditions(block: Any) -> tuple[Condition, ...]:
    """The conditions of a statement's Condition element; ValueError says what is wrong with it."""
    if not isinstance(block, dict):
        raise TypeError("Condition must be an object")
    made = []
    for operator, keys in block.items():
        if not isinstance(keys, dict):
            raise TypeError("an operator holds an object")
        made += [_condition(operator, key, values) for key, values in keys.items()]
    return tuple(made)


def _condition(operator: str, key: str, values: Any) -> Condition:
    quantifier, _, name = operator.rpartition(":")
    if quantifier not in ("", "ForAllValues", "ForAnyValue"):
        raise UnknownOperatorError(operator)
    if_exists = name.endswith("IfExists")
    name = name.removesuffix("IfExists")
    texts = _texts(values)
    if name == "Null":
        if if_exists or len(texts) != 1 or texts[0].lower() not in ("true", "false"):
            raise UnknownOperatorError(operator)
        return Condition(key.lower(), (), False, False, "", null=texts[0].lower() == "true")
    positive = _NEGATED.get(name, name)
    if positive not in _POSITIVE:
        raise UnknownOperatorError(operator)
    return Condition(key.lower(), tuple(map(_POSITIVE[positive], texts)), name in _NEGATED, if_exists, quantifier)


def _texts(values: Any) -> Sequence[str]:
    listed = values if isinstance(values, list) else [values]
    made = []
    for value in listed:
        if isinstance(value, bool):
            made.append("true" if value else "false")
        elif isinstance(value, str | int | float):
            made.append(str(value))
        else:
            raise TypeError("condition values are texts, numbers or booleans")
    return made
