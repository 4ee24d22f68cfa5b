"""Event filtering: which records of a source a function is to see. Pure.

A pattern is a JSON object of the record's shape whose leaves are lists of alternatives, in the language that EventBridge
speaks too (``lakebed.wire.aws.patterns``). A record passes when one of the mapping's patterns matches; a message that does
not is deleted, a stream record passed over. ``body`` (SQS) and ``data`` (Kinesis) are parsed as JSON where the pattern goes
into them; what is no JSON object then does not match.

https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventfiltering.html
https://docs.aws.amazon.com/lambda/latest/dg/with-sqs-filtering.html
https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis-filtering.html
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from lakebed.ports.queues import QueueMessage
from lakebed.ports.streams import StreamRecord
from lakebed.services.lambda_.model import invalid
from lakebed.wire.aws import patterns

FILTERS_MAX = 10
_Pattern = tuple[dict[str, Any], patterns.Matcher]


def check(given: Sequence[str], *, queue: bool) -> tuple[str, ...]:
    """The patterns, where all of them can be evaluated."""
    if len(given) > FILTERS_MAX:
        raise invalid(f"An event source mapping has at most {FILTERS_MAX} filters.")
    for pattern, _ in _compiled(tuple(given)):
        if queue and pattern.keys() - {"body", "$or"}:
            raise invalid("Invalid filter pattern definition: queues are filtered by body only.")
    return tuple(given)


def passes_message(given: tuple[str, ...], message: QueueMessage) -> bool:
    """Whether a function is to see a message."""
    return not given or any(_holds(one, {}, "body", message.body) for one in _compiled(given))


def passes_record(given: tuple[str, ...], record: StreamRecord) -> bool:
    """Whether a function is to see a stream record; patterns may name its metadata as well."""
    if not given:
        return True
    facts = {
        "kinesisSchemaVersion": "1.0",
        "partitionKey": record.partition_key,
        "sequenceNumber": record.sequence_number,
        "approximateArrivalTimestamp": record.arrived,
    }
    text = record.data.decode("utf-8", "replace")
    return any(_holds(one, facts, "data", text) for one in _compiled(given))


def _holds(compiled: _Pattern, facts: Mapping[str, Any], key: str, text: str) -> bool:
    pattern, matcher = compiled
    seen = _with_content(facts, key, text, pattern)
    return seen is not None and matcher(seen)


def _with_content(facts: Mapping[str, Any], key: str, text: str, pattern: dict[str, Any]) -> dict[str, Any] | None:
    """The record as the pattern looks at it: content as an object where the pattern has one, as text where it has not.

    None where the content is not of the pattern's kind: AWS drops such a record, whatever the pattern says.
    """
    try:
        parsed = msgspec.json.decode(text) if key in pattern or "$or" in pattern else None
    except (msgspec.DecodeError, RecursionError):
        parsed = None
    if isinstance(pattern.get(key), dict):
        return {**facts, key: parsed} if isinstance(parsed, dict) else None
    if key in pattern and isinstance(parsed, dict | list):
        return None
    return {**facts, key: parsed if isinstance(parsed, dict) else text}


@functools.lru_cache(maxsize=1024)
def _compiled(given: tuple[str, ...]) -> tuple[_Pattern, ...]:
    return tuple(_parsed(text) for text in given)


def _parsed(text: str) -> _Pattern:
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise invalid(f"Invalid filter pattern definition. {text[:200]}")
    if not found:
        return found, lambda _: True
    try:
        return found, patterns.compile_text(text)
    except patterns.PatternError as failure:
        raise invalid(f"Invalid filter pattern definition. {failure}") from None
