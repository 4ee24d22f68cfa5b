"""Substitution templates of action parameters: ``dt/${topic(2)}/x``.

https://docs.aws.amazon.com/iot/latest/developerguide/iot-substitution-templates.html. Expressions see the message as it
arrived, not the SELECT's result. What is undefined fails the action, because a key named "undefined" helps nobody.
"""

from __future__ import annotations

from collections.abc import Callable

from lakebed.services.iot.sql.lexer import SqlError
from lakebed.services.iot.sql.parser import parse_expression
from lakebed.services.iot.sql.values import UNDEFINED, Env, Eval, text

Template = Callable[[Env], str]


class UndefinedPartError(Exception):
    """A template's expression is undefined for this message."""


def compile_template(source: str) -> Template:
    """A function of the message; SqlError where an expression is wrong."""
    parts: list[str | Eval] = []
    at = 0
    while (start := source.find("${", at)) >= 0:
        parts.append(source[at:start])
        end = _closing(source, start + 2)
        parts.append(parse_expression(source[start + 2 : end]))
        at = end + 1
    if not parts:
        return lambda env: source  # noqa: ARG005 - nothing to substitute
    parts.append(source[at:])

    def fill(env: Env) -> str:
        out: list[str] = []
        for part in parts:
            if isinstance(part, str):
                out.append(part)
                continue
            value = text(part(env))
            if value is UNDEFINED:
                raise UndefinedPartError(f"{source}: an expression is undefined for this message")
            out.append(value)
        return "".join(out)

    return fill


def _closing(source: str, at: int) -> int:
    """Where the brace that closes an expression stands, strings and inner braces left aside."""
    depth, quote = 0, ""
    for index in range(at, len(source)):
        character = source[index]
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character == "{":
            depth += 1
        elif character == "}":
            if depth == 0:
                return index
            depth -= 1
    raise SqlError(f"Substitution template is not closed: {source}")
