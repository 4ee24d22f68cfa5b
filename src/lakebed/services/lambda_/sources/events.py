"""The documents a function gets from a queue or a stream, and what it answers about single records. Pure.

https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html
https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html (partial batch responses)
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from lakebed.kernel.arn import parse
from lakebed.ports.queues import QueueMessage
from lakebed.ports.streams import StreamRecord

EVENT_BYTES_MAX = 6 * 1024 * 1024
ENVELOPE_BYTES = 64


def queue_record(source: str, message: QueueMessage) -> bytes:
    """One message, as JSON."""
    return msgspec.json.encode(
        {
            "messageId": message.message_id,
            "receiptHandle": message.receipt_handle,
            "body": message.body,
            "attributes": message.attributes,
            "messageAttributes": {name: _attribute(given) for name, given in message.message_attributes.items()},
            "md5OfBody": message.md5,
            "eventSource": "aws:sqs",
            "eventSourceARN": source,
            "awsRegion": _region(source),
        }
    )


def stream_record(source: str, shard: str, role: str, record: StreamRecord) -> bytes:
    """One record, as JSON."""
    return msgspec.json.encode(
        {
            "kinesis": {
                "kinesisSchemaVersion": "1.0",
                "partitionKey": record.partition_key,
                "sequenceNumber": record.sequence_number,
                "data": base64.b64encode(record.data).decode(),
                "approximateArrivalTimestamp": round(record.arrived, 3),
            },
            "eventSource": "aws:kinesis",
            "eventVersion": "1.0",
            "eventID": f"{shard}:{record.sequence_number}",
            "eventName": "aws:kinesis:record",
            "invokeIdentityArn": role,
            "awsRegion": _region(source),
            "eventSourceARN": source,
        }
    )


def event(records: Sequence[bytes], beside: Mapping[str, Any] | None = None) -> bytes:
    """The document around encoded records; ``beside`` are further members."""
    more = b"," + msgspec.json.encode(beside)[1:] if beside else b"}"
    return b'{"Records":[' + b",".join(records) + b"]" + more


def fitting(sizes: Sequence[int]) -> int:
    """How many of the first records fit one event; at least one."""
    total = ENVELOPE_BYTES
    for count, size in enumerate(sizes):
        total += size + 1
        if total > EVENT_BYTES_MAX and count:
            return count
    return len(sizes)


def failed_items(payload: bytes, known: Sequence[str]) -> list[str] | None:
    """The identifiers a partial batch response names; None where the whole batch counts as failed.

    Nothing, null and an empty list mean that all went well; an unknown or empty identifier, or another shape, that all
    failed.
    """
    try:
        answer = msgspec.json.decode(payload or b"null")
    except msgspec.DecodeError:
        return None
    if answer is None or answer == "":
        return []
    if not isinstance(answer, dict):
        return None if not isinstance(answer, str | int | float | bool) else []
    items = answer.get("batchItemFailures")
    if items is None:
        return []
    if not isinstance(items, list):
        return None
    found = []
    for item in items:
        identifier = item.get("itemIdentifier") if isinstance(item, Mapping) else None
        if not isinstance(identifier, str) or identifier not in known:
            return None
        found.append(identifier)
    return found


def _attribute(given: Any) -> dict[str, Any]:
    """A message attribute in the event's spelling, whichever spelling it came in."""
    fields = dict(given) if isinstance(given, Mapping) else {"StringValue": str(given), "DataType": "String"}
    found: dict[str, Any] = {}
    text = fields.get("StringValue", fields.get("stringValue"))
    binary = fields.get("BinaryValue", fields.get("binaryValue"))
    if text is not None:
        found["stringValue"] = text
    if binary is not None:
        found["binaryValue"] = base64.b64encode(binary).decode() if isinstance(binary, bytes) else binary
    found["stringListValues"], found["binaryListValues"] = [], []
    found["dataType"] = fields.get("DataType", fields.get("dataType", "String"))
    return found


def _region(source: str) -> str:
    arn = parse(source)
    return arn.region if arn else ""
