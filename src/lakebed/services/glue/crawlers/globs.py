"""Exclusions: glob patterns over the path below the include path.

``*`` and ``?`` stay within a folder, ``**`` does not; ``[a-z]``, ``[!a]`` and ``{a,b}``; a backslash escapes. Matched in
linear time, so that no pattern stalls the house. https://docs.aws.amazon.com/glue/latest/dg/define-crawler.html#crawler-data-stores-exclude
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from lakebed.api import glue as api

_PIECE = re.compile(
    r"\\(?P<escaped>.)|(?P<deep>\*\*)|(?P<star>\*)|(?P<one>\?)|\[(?P<not>!)?(?P<set>[^\]/]+)\]|(?P<text>.)", re.DOTALL
)


def matcher(patterns: Sequence[str]) -> Callable[[str], bool]:
    """Whether a path is excluded; InvalidInputException for a pattern that is none."""
    if not patterns:
        return lambda _: False
    import re2

    text = "|".join(f"(?:{_regex(pattern)})" for pattern in patterns)
    try:
        found = re2.compile(f"(?s){text}")
    except re2.error:
        raise api.InvalidInputException(f"Invalid exclusion patterns: {', '.join(patterns)[:200]}") from None
    return lambda path: found.fullmatch(path) is not None


def _regex(pattern: str) -> str:
    made, depth = [], 0
    for match in _PIECE.finditer(pattern):
        kind, text = match.lastgroup, match.group()
        if kind == "deep":
            made.append(".*")
        elif kind == "star":
            made.append("[^/]*")
        elif kind == "one":
            made.append("[^/]")
        elif kind == "set":
            inner = match.group("set").replace("\\", "\\\\").replace("[", "\\[").replace("^", "\\^")
            made.append(f"[{'^' if match.group('not') else ''}{inner}]")
        elif kind == "escaped":
            made.append(re.escape(match.group("escaped")))
        elif text == "{":
            depth += 1
            made.append("(?:")
        elif text == "}" and depth:
            depth -= 1
            made.append(")")
        elif text == "," and depth:
            made.append("|")
        else:
            made.append(re.escape(text))
    if depth:
        raise api.InvalidInputException(f"Invalid exclusion pattern: {pattern[:200]}")
    return "".join(made)
