"""Regular expressions in linear time: a stranger's pattern must not stop the house, so RE2 runs it.

https://docs.aws.amazon.com/iot/latest/developerguide/iot-sql-functions.html#iot-func-regex-matches. Look-around and back
references, which RE2 does not have, are refused when the rule is made where the pattern is a literal; a pattern that comes
out of the message and is none makes the result UNDEFINED.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from lakebed.services.iot.sql.values import UNDEFINED, Env, text

_PATTERN_MAX = 1024
_RESULT_MAX = 262_144
_MEMORY_MAX = 1 << 20
_GROUP = re.compile(r"\\(.)|\$(\d)")


@lru_cache(maxsize=256)
def compiled(pattern: str) -> Any:
    """The pattern as RE2 runs it; ValueError where it is none."""
    import re2

    if len(pattern) > _PATTERN_MAX:
        raise ValueError(f"a pattern can have {_PATTERN_MAX} characters")
    options = re2.Options()
    options.max_mem, options.log_errors = _MEMORY_MAX, False
    try:
        return re2.compile(pattern, options)
    except re2.error as wrong:
        raise ValueError(str(wrong)) from None


def matches(_env: Env, whole: Any, pattern: Any) -> Any:
    """Whether the pattern is found anywhere in the text."""
    return compiled(text(pattern)).search(text(whole)) is not None


def substring(_env: Env, whole: Any, pattern: Any) -> Any:
    """The first match."""
    found = compiled(text(pattern)).search(text(whole))
    return UNDEFINED if found is None else found.group(0)


def replace(_env: Env, whole: Any, pattern: Any, replacement: Any) -> Any:
    """Every match replaced; ``$1`` stands for a group."""
    given = text(replacement)

    def fill(match: Any) -> str:
        def part(found: re.Match[str]) -> str:
            return found[1] if found[1] is not None else match.group(int(found[2])) or ""

        return _GROUP.sub(part, given)

    try:
        replaced: str = compiled(text(pattern)).sub(fill, text(whole))
    except IndexError:
        return UNDEFINED  # a group that the pattern does not have
    return replaced[:_RESULT_MAX]
