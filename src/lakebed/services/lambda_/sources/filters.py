"""Event filtering: which records of a source a function is to see. Pure.

A pattern is a JSON object of the record's shape whose leaves are lists of alternatives. A record passes when one of the
mapping's patterns matches; a message that does not is deleted, a stream record passed over. ``body`` (SQS) and ``data``
(Kinesis) are parsed as JSON where the pattern goes into them; what is no JSON object then does not match.

Built: equality, null, ``prefix``, ``suffix``, ``equals-ignore-case``, ``anything-but`` (a value, several, a prefix),
``numeric``, ``exists``, ``$or``. Anything else is refused when the mapping is made.

https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventfiltering.html
https://docs.aws.amazon.com/lambda/latest/dg/with-sqs-filtering.html
https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis-filtering.html
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from lakebed.ports.queues import QueueMessage
from lakebed.ports.streams import StreamRecord
from lakebed.services.lambda_.model import invalid

FILTERS_MAX = 10
_DEPTH_MAX = 30
_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_Pattern = dict[str, Any]


def check(patterns: Sequence[str], *, queue: bool) -> tuple[str, ...]:
    """The patterns, where all of them can be evaluated."""
    if len(patterns) > FILTERS_MAX:
        raise invalid(f"An event source mapping has at most {FILTERS_MAX} filters.")
    for pattern in _compiled(tuple(patterns)):
        if queue and pattern.keys() - {"body"}:
            raise invalid("Invalid filter pattern definition: queues are filtered by body only.")
    return tuple(patterns)


def passes_message(patterns: tuple[str, ...], message: QueueMessage) -> bool:
    """Whether a function is to see a message."""
    return not patterns or any(
        _matches(pattern, _with_content({}, "body", message.body, pattern)) for pattern in _compiled(patterns)
    )


def passes_record(patterns: tuple[str, ...], record: StreamRecord) -> bool:
    """Whether a function is to see a stream record; patterns may name its metadata as well."""
    if not patterns:
        return True
    facts = {
        "kinesisSchemaVersion": "1.0",
        "partitionKey": record.partition_key,
        "sequenceNumber": record.sequence_number,
        "approximateArrivalTimestamp": record.arrived,
    }
    text = record.data.decode("utf-8", "replace")
    return any(_matches(pattern, _with_content(facts, "data", text, pattern)) for pattern in _compiled(patterns))


def _with_content(facts: dict[str, Any], key: str, text: str, pattern: _Pattern) -> dict[str, Any]:
    """The record as the pattern looks at it: content as an object where the pattern has one, as text where it has not."""
    content: Any = text
    parsed: Any = None
    if key in pattern or "$or" in pattern:
        try:
            parsed = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError):
            parsed = None
    if isinstance(pattern.get(key), dict):
        if not isinstance(parsed, dict):
            return {}  # nothing to look into: only ``exists: false`` could match, and AWS drops such a record
        content = parsed
    elif key in pattern and isinstance(parsed, dict | list):
        return {}
    elif isinstance(parsed, dict):
        content = parsed
    return {**facts, key: content}


def _matches(pattern: _Pattern, value: Any) -> bool:
    if not value and pattern:
        return False
    return _object(pattern, value)


def _object(pattern: _Pattern, value: Any) -> bool:
    fields = value if isinstance(value, dict) else {}
    for key, wanted in pattern.items():
        if key == "$or":
            if not any(_object(one, value) for one in wanted):
                return False
        elif isinstance(wanted, dict):
            inner = fields.get(key)
            if not any(_object(wanted, one) for one in (inner if isinstance(inner, list) else [inner])):
                return False
        elif not any(_leaf(rule, key in fields, fields.get(key)) for rule in wanted):
            return False
    return True


def _leaf(rule: Any, present: bool, value: Any) -> bool:
    if isinstance(rule, dict) and "exists" in rule:
        return (present and not isinstance(value, dict)) is rule["exists"]
    if not present:
        return False
    return any(_scalar(rule, one) for one in (value if isinstance(value, list) else [value]))


def _scalar(rule: Any, value: Any) -> bool:
    if not isinstance(rule, dict):
        return _equal(rule, value)
    [(name, wanted)] = rule.items()
    if name == "anything-but":
        if isinstance(wanted, dict):
            return not _scalar(wanted, value)
        return not any(_equal(one, value) for one in (wanted if isinstance(wanted, list) else [wanted]))
    if name == "numeric":
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return all(_COMPARISONS[sign](value, limit) for sign, limit in zip(wanted[::2], wanted[1::2], strict=True))
    if not isinstance(value, str):
        return False
    if name == "prefix":
        return value.startswith(wanted)
    if name == "suffix":
        return value.endswith(wanted)
    return value.casefold() == str(wanted).casefold()


def _equal(one: Any, other: Any) -> bool:
    return isinstance(one, bool) is isinstance(other, bool) and bool(one == other)


@functools.lru_cache(maxsize=1000)
def _compiled(patterns: tuple[str, ...]) -> tuple[_Pattern, ...]:
    return tuple(_compile(pattern) for pattern in patterns)


def _compile(text: str) -> _Pattern:
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        found = None
    if not isinstance(found, dict) or not _sound(found, 0):
        raise invalid(f"Invalid filter pattern definition. {text[:200]}")
    return found


def _sound(pattern: Any, depth: int) -> bool:
    if not isinstance(pattern, dict) or depth > _DEPTH_MAX:
        return False
    for key, wanted in pattern.items():
        if key == "$or":
            if not isinstance(wanted, list) or not wanted or not all(_sound(one, depth + 1) for one in wanted):
                return False
        elif isinstance(wanted, dict):
            if not wanted or not _sound(wanted, depth + 1):
                return False
        elif not isinstance(wanted, list) or not wanted or not all(_sound_rule(rule) for rule in wanted):
            return False
    return True


def _sound_rule(rule: Any) -> bool:
    if not isinstance(rule, dict):
        return not isinstance(rule, list)
    if len(rule) != 1:
        return False
    [(name, wanted)] = rule.items()
    if name == "exists":
        return isinstance(wanted, bool)
    if name in ("prefix", "suffix", "equals-ignore-case"):
        return isinstance(wanted, str)
    if name == "numeric":
        return _sound_numeric(wanted)
    if name == "anything-but":
        if isinstance(wanted, dict):
            return list(wanted) == ["prefix"] and isinstance(wanted["prefix"], str)
        values = wanted if isinstance(wanted, list) else [wanted]
        return bool(values) and all(isinstance(one, str | int | float) for one in values)
    return False


def _sound_numeric(wanted: Any) -> bool:
    if not isinstance(wanted, list) or len(wanted) not in (2, 4):
        return False
    return all(
        sign in _COMPARISONS and isinstance(limit, int | float) and not isinstance(limit, bool)
        for sign, limit in zip(wanted[::2], wanted[1::2], strict=True)
    )
