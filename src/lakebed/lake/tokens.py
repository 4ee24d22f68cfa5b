"""Tokens of a statement, and a cursor over them: enough to tell what a statement is and to read Hive's DDL.

Linear in the text; comments are skipped; positions are kept so that an inner query can be cut out as it was written.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from lakebed.ports.sql import SqlFailure

_TOKEN = re.compile(
    r"(?P<space>\s+|--[^\n]*|/\*.*?\*/)|(?P<string>'(?:[^']|'')*')|(?P<quoted>\"(?:[^\"]|\"\")*\"|`(?:[^`]|``)*`)"
    r"|(?P<number>\d+(?:\.\d+)?)|(?P<word>[A-Za-z_][\w$@-]*)|(?P<mark>.)",
    re.DOTALL,
)


class Token(NamedTuple):
    """``kind`` is string, quoted, number, word, mark or end; ``text`` without quotes."""

    kind: str
    text: str
    start: int
    end: int


def tokenise(sql: str) -> list[Token]:
    """All tokens, an end token last."""
    found = []
    for match in _TOKEN.finditer(sql):
        kind, text = match.lastgroup or "mark", match.group()
        if kind == "space":
            continue
        if kind in ("string", "quoted"):
            text = text[1:-1].replace(text[0] * 2, text[0])
        found.append(Token(kind, text, match.start(), match.end()))
    while found and found[-1].kind == "mark" and found[-1].text == ";":
        found.pop()
    end = found[-1].end if found else 0
    return [*found, Token("end", "", end, end)]


class Cursor:
    """Reads tokens; raises Athena's syntax error where they do not fit."""

    def __init__(self, sql: str) -> None:
        self.sql, self.tokens, self.at = sql, tokenise(sql), 0

    @property
    def token(self) -> Token:
        """The next one."""
        return self.tokens[self.at]

    @property
    def ended(self) -> bool:
        """Whether nothing is left."""
        return self.token.kind == "end"

    def peek(self, *words: str) -> bool:
        """Whether these words (or marks) come next."""
        ahead = self.tokens[self.at : self.at + len(words)]
        return len(ahead) == len(words) and all(
            token.kind in ("word", "mark") and token.text.upper() == word
            for token, word in zip(ahead, words, strict=True)
        )

    def take(self, *words: str) -> bool:
        """Step over these words if they come next."""
        if self.peek(*words):
            self.at += len(words)
            return True
        return False

    def expect(self, *words: str) -> None:
        """These words must come next."""
        if not self.take(*words):
            raise self.wrong(" ".join(words))

    def name(self) -> str:
        """An identifier."""
        token = self.token
        if token.kind not in ("word", "quoted"):
            raise self.wrong("<identifier>")
        self.at += 1
        return token.text.lower()

    def string(self) -> str:
        """A string."""
        token = self.token
        if token.kind not in ("string", "quoted") or (token.kind == "quoted" and self.sql[token.start] == "`"):
            raise self.wrong("<string>")
        self.at += 1
        return token.text

    def qualified(self) -> tuple[str, str]:
        """``name`` or ``database.name``, a catalog before it must be ours."""
        parts = [self.name()]
        while self.take("."):
            parts.append(self.name())
        if len(parts) == 1 and parts[0].count(".") == 1:
            parts = parts[0].split(".")  # `database.table` in one pair of backquotes, as SHOW CREATE TABLE prints it
        if len(parts) == 3:
            if parts[0] != "awsdatacatalog":
                raise SqlFailure("CATALOG_NOT_FOUND", f"Catalog '{parts[0]}' does not exist")
            parts = parts[1:]
        if len(parts) > 2:
            raise self.wrong("<table>")
        return (parts[0], parts[1]) if len(parts) == 2 else ("", parts[0])

    def rest(self) -> str:
        """The text from here to the end, which is then reached."""
        text = self.sql[self.token.start : self.tokens[-1].end]
        self.at = len(self.tokens) - 1
        return text

    def inside(self) -> str:
        """The text between ``(`` here and its ``)``, stepping over both."""
        self.expect("(")
        start, depth = self.token.start, 1
        while not self.ended:
            token = self.token
            if token.kind == "mark" and token.text in "()":
                depth += 1 if token.text == "(" else -1
                if not depth:
                    self.at += 1
                    return self.sql[start : token.start]
            self.at += 1
        raise self.wrong(")")

    def finish(self) -> None:
        """Nothing may follow."""
        if not self.ended:
            raise self.wrong("<EOF>")

    def wrong(self, expected: str) -> SqlFailure:
        """The syntax error at this place."""
        before = self.sql[: self.token.start]
        line, column = before.count("\n") + 1, self.token.start - (before.rfind("\n") + 1) + 1
        found = self.sql[self.token.start : self.token.end] or "<EOF>"
        return SqlFailure(
            "SYNTAX_ERROR", f"line {line}:{column}: mismatched input '{found[:60]}'. Expecting: {expected}"
        )
