"""IoT policies: parsed once, compiled to matchers, asked for each packet.

https://docs.aws.amazon.com/iot/latest/developerguide/iot-policies.html and
https://docs.aws.amazon.com/iot/latest/developerguide/iot-policy-variables.html. An explicit deny wins; without an allow
the answer is no. ``*`` matches any run of characters, ``?`` one; MQTT's ``+`` and ``#`` in a resource are just characters.
A value put in for a variable is never a wildcard, and a statement whose variable has no value does not apply.

Conditions: the operators of ``conditions``, each also as ForAnyValue/ForAllValues and with IfExists; an unknown one makes
the document malformed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from lakebed.services.iot.conditions import NEGATED, NULL, OPERATORS, PATTERNED, POSITIVE

DOCUMENT_BYTES_MAX = 2048
_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_ANY_ONE = "\0"  # stands for "?" after compilation; no topic or client id contains it

Facts = Mapping[str, str | Sequence[str]]


class MalformedPolicyError(Exception):
    """What is wrong with a document, fit for a client."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern with wildcards and variables, cut at its stars; each piece is text and ``${variable}`` names."""

    pieces: tuple[tuple[str | tuple[str], ...], ...]

    @staticmethod
    def of(source: str) -> Pattern:
        """Compile."""
        pieces: list[tuple[str | tuple[str], ...]] = []
        current: list[str | tuple[str]] = []
        at = 0
        for match in [*_VARIABLE.finditer(source), None]:
            literal = source[at : match.start() if match else len(source)]
            first, *rest = literal.split("*")
            current.append(first.replace("?", _ANY_ONE))
            for part in rest:
                pieces.append(tuple(current))
                current = [part.replace("?", _ANY_ONE)]
            if match is not None:
                name = match.group(1)
                current.append(name if name in ("*", "?", "$") else (name,))
                at = match.end()
        pieces.append(tuple(current))
        return Pattern(tuple(pieces))

    def matches(self, text: str, facts: Facts) -> bool:
        """Whether ``text`` fits; greedy from the left, so the time is bounded by both lengths' product."""
        wanted: list[str] = []
        for piece in self.pieces:
            filled = ""
            for part in piece:
                if isinstance(part, str):
                    filled += part
                    continue
                value = facts.get(part[0])
                if not isinstance(value, str):
                    return False
                filled += value
            wanted.append(filled)
        return _fits(wanted, text)


def _fits(pieces: Sequence[str], text: str) -> bool:
    if len(pieces) == 1:
        return _same(pieces[0], text, 0) and len(pieces[0]) == len(text)
    first, last = pieces[0], pieces[-1]
    if len(first) + len(last) > len(text) or not _same(first, text, 0):
        return False
    end = len(text) - len(last)
    if not _same(last, text, end):
        return False
    at = len(first)
    for piece in pieces[1:-1]:
        while at + len(piece) <= end and not _same(piece, text, at):
            at += 1
        if at + len(piece) > end:
            return False
        at += len(piece)
    return True


def _same(piece: str, text: str, at: int) -> bool:
    if _ANY_ONE not in piece:
        return text.startswith(piece, at)
    if at + len(piece) > len(text):
        return False
    return all(want in (_ANY_ONE, text[at + index]) for index, want in enumerate(piece))


@dataclass(frozen=True, slots=True)
class Condition:
    """One operator on one key."""

    operator: str
    quantifier: str
    key: str
    values: tuple[Pattern, ...]
    raw: tuple[str, ...]
    if_exists: bool = False

    def holds(self, facts: Facts) -> bool:
        """Whether the request's value satisfies it; an absent key satisfies only the negated operators and ForAllValues."""
        has = facts.get(self.key)
        if self.operator == NULL:
            return (has is None) == (self.raw[0].lower() == "true")
        negated = self.operator in NEGATED
        if has is None:
            return negated or self.if_exists or self.quantifier == "ForAllValues"
        values = [has] if isinstance(has, str) else list(has)
        found = [self._any(value, facts) != negated for value in values]
        return all(found) if self.quantifier == "ForAllValues" or negated else any(found)

    def _any(self, value: str, facts: Facts) -> bool:
        operator = NEGATED.get(self.operator, self.operator)
        if operator in PATTERNED:
            return any(pattern.matches(value, facts) for pattern in self.values)
        compare = POSITIVE[operator]
        return any(filled is not None and compare(value, filled) for filled in (_fill(raw, facts) for raw in self.raw))


def _fill(raw: str, facts: Facts) -> str | None:
    missing = False

    def value(match: re.Match[str]) -> str:
        nonlocal missing
        found = facts.get(match.group(1))
        missing = missing or not isinstance(found, str)
        return str(found)

    filled = _VARIABLE.sub(value, raw)
    return None if missing else filled


@dataclass(frozen=True, slots=True)
class Statement:
    """One compiled statement."""

    allows: bool
    actions: tuple[Pattern, ...]
    resources: tuple[Pattern, ...]
    conditions: tuple[Condition, ...]

    def applies(self, action: str, resource: str, facts: Facts) -> bool:
        """Whether it speaks of this request."""
        return (
            any(pattern.matches(action, facts) for pattern in self.actions)
            and any(pattern.matches(resource, facts) for pattern in self.resources)
            and all(condition.holds(facts) for condition in self.conditions)
        )


def compile_policy(document: str) -> tuple[Statement, ...]:
    """The statements; MalformedPolicyError says what keeps it from being used."""
    if len(document.encode()) > DOCUMENT_BYTES_MAX:
        raise MalformedPolicyError(f"Policy document is longer than {DOCUMENT_BYTES_MAX} bytes")
    try:
        tree = msgspec.json.decode(document)
    except (msgspec.DecodeError, RecursionError):
        raise MalformedPolicyError("Policy document is not valid JSON") from None
    if not isinstance(tree, dict) or tree.get("Version", "2012-10-17") not in ("2012-10-17", "2008-10-17"):
        raise MalformedPolicyError("Policy document has no valid Version")
    statements = tree.get("Statement")
    if isinstance(statements, dict):
        statements = [statements]
    if not isinstance(statements, list) or not statements:
        raise MalformedPolicyError("Policy document has no Statement")
    return tuple(_statement(statement) for statement in statements)


def _statement(tree: Any) -> Statement:
    if not isinstance(tree, dict):
        raise MalformedPolicyError("Statement is not an object")
    for key in tree:
        if key in ("NotAction", "NotResource", "Principal", "NotPrincipal"):
            raise MalformedPolicyError(f"{key} is not allowed in an AWS IoT policy")
        if key not in ("Sid", "Effect", "Action", "Resource", "Condition"):
            raise MalformedPolicyError(f"Unknown element {key}")
    if tree.get("Effect") not in ("Allow", "Deny"):
        raise MalformedPolicyError("Effect is neither Allow nor Deny")
    actions, resources = _strings(tree, "Action"), _strings(tree, "Resource")
    for action in actions:
        if action != "*" and not action.startswith("iot:"):
            raise MalformedPolicyError(f"Action {action} is not an AWS IoT action")
    conditions: list[Condition] = []
    blocks = tree.get("Condition", {})
    if not isinstance(blocks, dict) or not all(isinstance(block, dict) for block in blocks.values()):
        raise MalformedPolicyError("Condition is not an object of objects")
    for operator, block in blocks.items():
        quantifier, _, name = operator.rpartition(":")
        if_exists = name.endswith("IfExists")
        name = name.removesuffix("IfExists")
        if name not in OPERATORS or quantifier not in ("", "ForAnyValue", "ForAllValues"):
            raise MalformedPolicyError(f"Unknown condition operator {operator}")
        for key in block:
            values = _strings(block, key)
            conditions.append(
                Condition(name, quantifier, key, tuple(map(Pattern.of, values)), tuple(values), if_exists)
            )
    return Statement(
        tree["Effect"] == "Allow",
        tuple(map(Pattern.of, actions)),
        tuple(map(Pattern.of, resources)),
        tuple(conditions),
    )


def _strings(tree: Mapping[str, Any], key: str) -> list[str]:
    value = tree.get(key)
    values = value if isinstance(value, list) else [value]
    texts = [_text(one) for one in values if isinstance(one, bool | int | float | str)]
    if not texts or len(texts) != len(values):
        raise MalformedPolicyError(f"{key} is missing or not a string")
    return texts


def _text(value: bool | float | str) -> str:
    """Numbers and booleans may stand in a condition as they are."""
    return value if isinstance(value, str) else str(value).lower()


def decide(statements: Sequence[Statement], action: str, resource: str, facts: Facts) -> bool:
    """Allowed by one statement and denied by none."""
    allowed = False
    for statement in statements:
        if (statement.allows is False or not allowed) and statement.applies(action, resource, facts):
            if not statement.allows:
                return False
            allowed = True
    return allowed
