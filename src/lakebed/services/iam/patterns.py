"""Wildcards and policy variables: the small language inside Action, Resource and Condition values.

``*`` is any text, ``?`` one character; ``${aws:username}`` stands for a fact of the request, with an optional default
(``${aws:username, 'nobody'}``), and ``${*}``, ``${?}``, ``${$}`` are the characters themselves. In an ARN a wildcard stays
inside its colon-separated part, except in the last part, where it matches everything; a short ARN ends in wildcards. A
value whose variable has no fact matches nothing.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache

Facts = Mapping[str, tuple[str, ...]]
FactsOf = Callable[[], Facts]

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_LITERALS = frozenset("*?$")


def no_facts() -> Facts:
    """For patterns that are known to hold no variables."""
    return {}


class Pattern:
    """One value of a policy, compiled. ``matches`` asks for facts only where the value has variables."""

    __slots__ = ("_arn", "_fold", "_match", "_text")

    def __init__(self, text: str, *, fold: bool = False, arn: bool = False, variables: bool = True) -> None:
        self._text, self._fold, self._arn = text, fold, arn
        self._match: Callable[[str], object] | None = None
        if not (variables and "${" in text):
            self._match = _matcher(text.lower() if fold else text, arn)

    def matches(self, value: str, facts: FactsOf = no_facts) -> bool:
        """Whether the whole of ``value`` fits."""
        match = self._match
        if match is None:
            filled = _filled(self._text, facts())
            if filled is None:
                return False
            match = _matcher(filled.lower() if self._fold else filled, self._arn)
        return bool(match(value.lower() if self._fold else value))


def substituted(text: str, facts: FactsOf) -> str | None:
    """``text`` with its variables filled in, for operators that compare literally; None where a fact is missing."""
    if "${" not in text:
        return text
    filled = _filled(text, facts())
    return None if filled is None else re.sub(r"\\([*?\\])", r"\1", filled)


@lru_cache(maxsize=8192)
def _matcher(text: str, arn: bool) -> Callable[[str], object]:
    if text == "*":
        return _anything
    short = arn and text.startswith("arn:") and text.count(":") < 5
    if not short and "*" not in text and "?" not in text and "\\" not in text:
        return text.__eq__
    if not arn and text.endswith("*") and not any(sign in text[:-1] for sign in "*?\\"):
        prefix = text[:-1]
        return lambda value: value.startswith(prefix)
    if arn and text.startswith("arn:"):
        parts = text.split(":", 5)
        parts += ["*"] * (6 - len(parts))  # AWS completes a short ARN so
        expression = ":".join(
            [*(_expression(part, "[^:]*", "[^:]") for part in parts[:5]), _expression(parts[5], ".*", ".")]
        )
    else:
        expression = _expression(text, ".*", ".")
    return re.compile(expression, re.DOTALL).fullmatch


def _anything(_: str) -> bool:
    return True


def _expression(text: str, many: str, one: str) -> str:
    """A regular expression for a wildcard text. What stands between two stars is found leftmost and never tried again
    (atomic groups), so that matching stays linear for a pattern of many stars."""
    pieces, position = [""], 0
    while position < len(text):
        sign = text[position]
        if sign == "\\" and position + 1 < len(text) and text[position + 1] in "*?\\":
            position += 1
            pieces[-1] += re.escape(text[position])
        elif sign == "*":
            pieces.append("")
        else:
            pieces[-1] += one if sign == "?" else re.escape(sign)
        position += 1
    if len(pieces) == 1:
        return pieces[0]
    first, *middle, last = pieces
    return first + "".join(f"(?>{many}?{piece})" for piece in middle if piece) + many + last


def _filled(text: str, facts: Facts) -> str | None:
    """Variables replaced; what they stand for is marked so that its stars stay literal."""
    missing = False

    def fill(found: re.Match[str]) -> str:
        nonlocal missing
        inside = found.group(1).strip()
        if inside in _LITERALS:
            return inside if inside == "$" else "\\" + inside
        key, comma, default = inside.partition(",")
        values = facts.get(key.strip().lower())
        if values is not None and len(values) == 1:
            return re.sub(r"([*?\\])", r"\\\1", values[0])
        if comma:
            return re.sub(r"([*?\\])", r"\\\1", default.strip().strip("'"))
        missing = True
        return ""

    filled = _VARIABLE.sub(fill, text)
    return None if missing else filled
