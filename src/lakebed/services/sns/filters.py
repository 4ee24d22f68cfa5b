"""Filter policies: which messages a subscription wants. The language is ``wire.aws.patterns``; here are SNS's limits of it,
and how a message looks to a filter.

https://docs.aws.amazon.com/sns/latest/dg/sns-subscription-filter-policies.html
https://docs.aws.amazon.com/sns/latest/dg/string-value-matching.html, numeric-value-matching.html, attribute-key-matching.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lakebed.services.sns.model import array_of
from lakebed.wire.aws import patterns

KEYS_MAX, COMBINATIONS_MAX, POLICY_BYTES_MAX = 5, 150, 262_144
FilterError = patterns.PatternError
Filter = patterns.Matcher


def parse(text: str, *, of_body: bool) -> Filter | None:
    """The filter, None for an empty policy (everything passes)."""
    if len(text.encode("utf-8", "surrogatepass")) > POLICY_BYTES_MAX:
        raise FilterError("Filter policy is too long")
    try:
        policy = json.loads(text)
    except (ValueError, RecursionError):
        raise FilterError("failed to parse JSON.") from None
    if not isinstance(policy, dict):
        raise FilterError("failed to parse JSON. Filter policy must be an object.")
    if not policy:
        return None
    keys, combinations = _measure(policy, depth=1)
    if keys > KEYS_MAX:
        raise FilterError(f"Filter policy can not have more than {KEYS_MAX} keys")
    if combinations > COMBINATIONS_MAX:
        raise FilterError("Filter policy is too complex")
    return patterns.compile_object(policy, patterns.SNS, nested=of_body)


def _measure(policy: Mapping[str, Any], depth: int) -> tuple[int, int]:
    """(keys at the leaves, product of the numbers of values; a value counts once for each level it lies deep)."""
    keys, combinations = 0, 1
    if depth > 50:
        raise FilterError("Filter policy is too complex")
    for name, value in policy.items():
        if name == "$or" and isinstance(value, list):
            found = [_measure(one, depth) for one in value if isinstance(one, dict)]
            keys += sum(one for one, _ in found)
            combinations *= max(1, sum(one for _, one in found))
        elif isinstance(value, dict):
            inner, product = _measure(value, depth + 1)
            keys, combinations = keys + inner, combinations * product
        else:
            keys, combinations = keys + 1, combinations * max(1, len(value) if isinstance(value, list) else 1) * depth
    return keys, combinations


def values_of(attributes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Message attributes as a filter sees them; binary ones only exist."""
    found: dict[str, Any] = {}
    for name, value in attributes.items():
        kind = value["DataType"]
        if kind == "String.Array":
            found[name] = array_of(value["StringValue"])
        elif kind.startswith("Number"):
            number = float(value["StringValue"])
            found[name] = int(number) if number.is_integer() else number
        elif kind.startswith("Binary"):
            found[name] = value["BinaryValue"]
        else:
            found[name] = value["StringValue"]
    return found


def body_of(text: str) -> Any:
    """A message body as a filter sees it: not a JSON object, nothing passes (None)."""
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None
