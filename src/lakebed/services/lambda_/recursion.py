"""Recursive loops: a function that, by way of a queue or another function, calls itself without end. Pure.

The trace header travels with a request: Lambda gives it to a function, the SDK sends it along, a queue keeps it with the
message (``AWSTraceHeader``). Its ``Lineage`` counts how often each function was entered on the way; a function that is
entered more than sixteen times is stopped, unless it is set to ``Allow``.

https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

ENTRIES_MAX = 16
_FUNCTIONS_MAX = 32
_LINEAGE = re.compile(r"1:([0-9a-f]{8}):(\d{1,5})")
_HEADER_CHARS_MAX = 2048


def entered(header: str, function_arn: str, fresh: str) -> tuple[str, int]:
    """The header to hand on, and how often the function was entered with it; ``fresh`` is the id of a new trace."""
    fields = _fields(header)
    counts = _lineage(fields.get("Lineage", ""))
    mark = hashlib.sha256(function_arn.encode()).hexdigest()[:8]
    counts[mark] = counts.pop(mark, 0) + 1
    kept = list(counts.items())[-_FUNCTIONS_MAX:]
    root = fields.get("Root") or f"1-{fresh[:8]}-{fresh[8:32]}"
    lineage = "|".join(f"1:{name}:{count}" for name, count in kept)
    parent, sampled = fields.get("Parent") or fresh[:16], fields.get("Sampled") or "0"
    return f"Root={root};Parent={parent};Sampled={sampled};Lineage={lineage}", counts[mark]


def furthest(headers: Iterable[str]) -> str:
    """Of several messages' headers the one that came the longest way."""
    return max(headers, key=lambda one: sum(_lineage(_fields(one).get("Lineage", "")).values()), default="")


def _fields(header: str) -> dict[str, str]:
    found = {}
    for part in header[:_HEADER_CHARS_MAX].split(";"):
        name, equals, value = part.strip().partition("=")
        if equals and re.fullmatch(r"[A-Za-z0-9:|_.-]{1,1024}", value):
            found[name] = value
    return found


def _lineage(text: str) -> dict[str, int]:
    return {mark: int(count) for mark, count in _LINEAGE.findall(text)[-_FUNCTIONS_MAX:]}
