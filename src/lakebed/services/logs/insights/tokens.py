"""The words of a query. A slash begins a regular expression where an operand may stand, and divides elsewhere.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax.html
"""

from __future__ import annotations

import re
from typing import NamedTuple

from lakebed.api import logs as api

_TOKENS_MAX = 5000
_TOKEN = re.compile(
    r"""(?P<space>\s+|\#[^\n]*)|(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|`(?P<quoted>[^`"\\]+)`
    |(?P<duration>\d+(?:ms|s|m|h|d|w)\b)|(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|\.\d+)|(?P<name>[A-Za-z_@][\w@.]*)
    |(?P<sign>\|\||&&|=~|!=|<=|>=|[|,()\[\]=<>+\-*/%^])""",
    re.VERBOSE,
)
_REGEX = re.compile(r"/((?:[^/\\\n]|\\.)+)/")
# After these a slash begins a regular expression.
_BEFORE_OPERAND = {"|", ",", "(", "[", "=", "=~", "!=", "<", ">", "<=", ">=", "+", "-", "*", "^", "%"}
_WORDS_BEFORE = {"like", "parse", "and", "or", "not", "in", "by", "filter"}


class Token(NamedTuple):
    """``kind`` is name, quoted, string, number, duration, sign or regex."""

    kind: str
    text: str
    at: int


def malformed(message: str) -> api.MalformedQueryException:
    """AWS's error for a query it cannot read."""
    return api.MalformedQueryException(message)


def tokens_of(text: str) -> list[Token]:
    """All of a query's words."""
    found: list[Token] = []
    at = 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if text[at] == "/" and _operand_next(found) and (expression := _REGEX.match(text, at)):
            found.append(Token("regex", expression[1], at))
            at = expression.end()
            continue
        if token is None or token.lastgroup is None:
            raise malformed(f"unexpected symbol found {text[at]} at position {at}")
        if token.lastgroup == "string":
            found.append(Token("string", re.sub(r"\\([\"'\\])", r"\1", token[0][1:-1]), at))
        elif token.lastgroup != "space":
            found.append(Token(token.lastgroup, token[token.lastgroup], at))
        at = token.end()
        if len(found) > _TOKENS_MAX:
            raise malformed("the query is too long")
    return found


def _operand_next(found: list[Token]) -> bool:
    if not found:
        return True
    last = found[-1]
    if last.kind == "sign":
        return last.text in _BEFORE_OPERAND
    if last.kind == "name" and last.text.lower() in _WORDS_BEFORE:
        return True
    # `parse @message /…/`: the field of a parse is followed by its pattern.
    before = found[-2] if len(found) > 1 else None
    return last.kind in ("name", "quoted") and before is not None and before.kind == "name" and before.text == "parse"


class Reader:
    """A cursor over the words of one query."""

    def __init__(self, text: str) -> None:
        self._tokens = tokens_of(text)
        self._at = 0

    @property
    def done(self) -> bool:
        """Nothing is left."""
        return self._at >= len(self._tokens)

    def peek(self) -> Token:
        """The next word, an empty one at the end."""
        return Token("end", "", -1) if self.done else self._tokens[self._at]

    def next(self) -> Token:
        """Take the next word."""
        token = self.peek()
        if token.kind == "end":
            raise malformed("unexpected end of query")
        self._at += 1
        return token

    def sign(self, *signs: str) -> str | None:
        """Take one of these signs, if it is next."""
        token = self.peek()
        if token.kind == "sign" and token.text in signs:
            self._at += 1
            return token.text
        return None

    def word(self, *words: str) -> str | None:
        """Take one of these keywords, if it is next."""
        token = self.peek()
        if token.kind == "name" and token.text.lower() in words:
            self._at += 1
            return token.text.lower()
        return None

    def expect(self, sign: str) -> None:
        """Take this sign."""
        if self.sign(sign) is None:
            raise malformed(f"{sign} is expected, not {self.peek().text or 'the end of the query'}")

    def text_since(self, start: int) -> str:
        """The words from a place on as one text: the name of an expression without alias."""
        return "".join(
            f" {token.text} " if token.kind == "name" and token.text.lower() in ("and", "or") else token.text
            for token in self._tokens[start : self._at]
        )

    def taken(self, text: str) -> bool:
        """Take the words that together are ``text``, if they are next."""
        start, seen = self._at, ""
        while not self.done and len(seen) < len(text):
            seen += self.next().text
        if seen != text:
            self._at = start
        return seen == text

    @property
    def place(self) -> int:
        """Where the cursor stands."""
        return self._at
