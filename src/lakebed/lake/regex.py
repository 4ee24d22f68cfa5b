r"""Java's regular expressions in Python's spelling, for patterns that need a backtracking engine.

Look-around, back references, possessive quantifiers and atomic groups are alike in both; classes are ASCII in both (the
pattern is compiled with ``re.ASCII``). What is spelled otherwise is rewritten; what Python cannot say is refused
(https://docs.oracle.com/en/java/javase/17/docs/api/java.base/java/util/regex/Pattern.html). Such an engine may take for
ever, so it runs in a process that is killed when the statement's time is over, never in the server's own.
"""

from __future__ import annotations

import re

from lakebed.ports.sql import SqlFailure

_POSIX = {"Lower": "a-z", "Upper": "A-Z", "Alpha": "a-zA-Z", "Digit": "0-9", "Alnum": "a-zA-Z0-9", "XDigit": "0-9a-fA-F",
          "Punct": r"!-/:-@\[-`{-~", "Space": r" \t\n\x0b\f\r", "Blank": r" \t", "ASCII": r"\x00-\x7f",
          "Graph": "!-~", "Print": " -~", "Cntrl": r"\x00-\x1f\x7f"}  # fmt: skip
_PATTERN_CHARS_MAX = 20_000
_PIECE = re.compile(
    r"\\Q(?P<quoted>.*?)(?:\\E|$)|\\p\{(?:Is)?(?P<posix>\w+)\}|\\P\{(?:Is)?(?P<no_posix>\w+)\}|(?P<escaped>\\.)"
    r"|(?P<named>\(\?<(?=[A-Za-z]))|(?P<class>\[\^?\]?)|(?P<end>\])|(?P<other>.)",
    re.DOTALL,
)


def compiled(java: str, *, flags: int = 0) -> re.Pattern[str]:
    """A pattern for Python's engine; SqlFailure where it is none, or none that Python can say."""
    try:
        return re.compile(_translated(java), flags | re.ASCII)
    except (re.error, RecursionError, OverflowError):
        raise SqlFailure("INVALID_FUNCTION_ARGUMENT", f"Invalid regular expression: {java[:200]}") from None


def _translated(java: str) -> str:
    if len(java) > _PATTERN_CHARS_MAX:
        raise SqlFailure("INVALID_FUNCTION_ARGUMENT", "the regular expression is too long")
    made, inside = [], 0
    for match in _PIECE.finditer(java):
        kind, text = match.lastgroup, match.group()
        if kind == "class":
            if inside:
                raise SqlFailure("NOT_SUPPORTED", "character classes within classes are not built")
            inside = 1
        elif kind == "end":
            inside = 0
        elif kind == "quoted":
            text = re.escape(match.group("quoted"))
        elif kind in ("posix", "no_posix"):
            text = _class(match.group(kind), negated=kind == "no_posix", inside=bool(inside))
        elif kind == "named":
            text = "(?P<" if not inside else text
        elif kind == "escaped":
            text = _ESCAPES.get(text, text)
        elif inside and text == "&" and java[match.end() : match.end() + 1] == "&":
            raise SqlFailure("NOT_SUPPORTED", "intersections of character classes are not built")
        made.append(text)
    return "".join(made)


_ESCAPES = {r"\z": r"\Z", r"\Z": r"(?=\n?\Z)", r"\h": r"[ \t\xa0]", r"\e": r"\x1b", r"\R": r"(?:\r\n|[\n\x0b\f\r])"}


def _class(name: str, *, negated: bool, inside: bool) -> str:
    members = _POSIX.get(name) or {"L": None, "N": None}.get(name)
    if members is None or (negated and inside):
        raise SqlFailure("NOT_SUPPORTED", f"the character class {name} is not built")
    return members if inside else f"[{'^' if negated else ''}{members}]"
