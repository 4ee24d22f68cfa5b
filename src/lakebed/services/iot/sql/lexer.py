"""Tokens of AWS IoT SQL."""

from __future__ import annotations

import re
from typing import NamedTuple

_TOKEN = re.compile(
    r"""\s*(?:
    (?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|\.\d+)
    |(?P<string>'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.)*")
    |(?P<quoted>`[^`]+`)
    |(?P<variable>@[A-Za-z0-9_]{1,64})
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<sign><>|!=|<=|>=|[-+*/%=<>(),.\[\]{}:])
    )""",
    re.VERBOSE,
)


class SqlError(Exception):
    """Why a statement is not AWS IoT SQL, or not what Lakebed evaluates."""


class Token(NamedTuple):
    """``kind`` is number, string, quoted (a name in backquotes), variable, name, sign or end; ``at``, ``end``: where."""

    kind: str
    text: str
    at: int
    end: int


def tokens(sql: str) -> list[Token]:
    """The tokens, closed by one of kind ``end``."""
    found, at = [], 0
    stripped = len(sql.rstrip())
    while at < stripped:
        match = _TOKEN.match(sql, at)
        if match is None:
            raise SqlError(f"Unexpected character '{sql[at:].lstrip()[:1]}' at position {at}")
        kind = str(match.lastgroup)
        text = match.group(kind)
        if kind == "string":
            quote = text[0]
            text = re.sub(r"\\(.)", r"\1", text[1:-1].replace(quote * 2, quote) if quote == "'" else text[1:-1])
        elif kind == "quoted":
            text = text[1:-1]
        found.append(Token(kind, text, match.start(kind), match.end()))
        at = match.end()
    found.append(Token("end", "", len(sql), len(sql)))
    return found
