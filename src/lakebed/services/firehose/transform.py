"""Data transformation by a Lambda function: the event, the contract of its answer, and the records it fails. Pure.

https://docs.aws.amazon.com/firehose/latest/dev/data-transformation.html: every recordId comes back once with a result Ok,
Dropped or ProcessingFailed; ``data`` is base64; ``metadata.partitionKeys`` feeds dynamic partitioning. What fails goes to
the error prefix as JSON lines
(https://docs.aws.amazon.com/firehose/latest/dev/data-transformation-failure-handling.html).
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from lakebed.ports.streams import shard_of

PAYLOAD_BYTES_MAX = 6 << 20  # Lambda's quota for a synchronous invocation, both ways
FAILED = "processing-failed"


class SourceRecord(NamedTuple):
    """A record as its source gave it, and where it was there; from ``place`` on only from a Kinesis stream.

    ``sub`` counts within an aggregate, whose records all have its offset and sequence number.
    """

    data: bytes
    arrived: float
    offset: int
    place: str = ""
    partition_key: str = ""
    sequence_number: str = ""
    sub: int = 0


class Outcome(NamedTuple):
    """What became of a record: ``data`` None where it was dropped, ``code`` set where it failed."""

    data: bytes | None
    keys: Mapping[str, str]
    code: str = ""
    message: str = ""
    error_type: str = "processing-failed"


def event(invocation_id: str, stream_arn: str, source_arn: str, region: str, batch: Sequence[SourceRecord]) -> bytes:
    """The event a transformation function gets."""
    records = []
    for number, record in enumerate(batch):
        entry: dict[str, Any] = {
            "recordId": record_id(number),
            "approximateArrivalTimestamp": int(record.arrived * 1000),
            "data": b64encode(record.data).decode(),
        }
        if source_arn:
            entry["kinesisRecordMetadata"] = {
                "sequenceNumber": record.sequence_number,
                "subsequenceNumber": record.sub,
                "partitionKey": record.partition_key,
                "shardId": shard_of(record.place),
                "approximateArrivalTimestamp": int(record.arrived * 1000),
            }
        records.append(entry)
    whole: dict[str, Any] = {
        "invocationId": invocation_id,
        "deliveryStreamArn": stream_arn,
        "region": region,
        "records": records,
    }
    if source_arn:
        whole["sourceKinesisStreamArn"] = source_arn
    return msgspec.json.encode(whole)


def record_id(number: int) -> str:
    """The id a record has within one invocation, of the length AWS's have."""
    return f"{number:056d}"


def outcomes(payload: bytes, count: int) -> list[Outcome]:
    """What the function's answer says of each of the ``count`` records."""
    if len(payload) > PAYLOAD_BYTES_MAX:
        return all_failed(count, "Lambda.FunctionError", "The response of the function exceeds 6 MB.")
    try:
        answer = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        answer = None
    listed = answer.get("records") if isinstance(answer, dict) else None
    if not isinstance(listed, list):
        return all_failed(
            count, "Lambda.JsonProcessingException", "The function's response is no JSON object with a list of records."
        )
    found: dict[str, Any] = {}
    doubled: set[str] = set()
    for entry in listed:
        identity = entry.get("recordId") if isinstance(entry, dict) else None
        if isinstance(identity, str):
            if identity in found:
                doubled.add(identity)
            found[identity] = entry
    return [_outcome(record_id(number), found, doubled) for number in range(count)]


def all_failed(count: int, code: str, message: str) -> list[Outcome]:
    """The same failure for every record of an invocation."""
    return [Outcome(None, {}, code, message)] * count


def _outcome(identity: str, found: Mapping[str, Any], doubled: set[str]) -> Outcome:
    entry = found.get(identity)
    if entry is None:
        return Outcome(None, {}, "Lambda.MissingRecordId", "The function did not return this record's recordId.")
    if identity in doubled:
        return Outcome(
            None, {}, "Lambda.DuplicatedRecordId", "The function returned this record's recordId repeatedly."
        )
    result = entry.get("result")
    if result == "Dropped":
        return Outcome(None, {})
    if result != "Ok":
        known = result == "ProcessingFailed"
        return Outcome(
            None,
            {},
            "Lambda.ProcessingFailedStatus" if known else "Lambda.JsonProcessingException",
            "The function set the status of the record to ProcessingFailed."
            if known
            else "The function returned a result other than Ok, Dropped and ProcessingFailed.",
        )
    try:
        data = b64decode(entry.get("data") or "", validate=True)
    except (binascii.Error, TypeError, ValueError):
        return Outcome(None, {}, "Lambda.JsonProcessingException", "The record's data is not base64.")
    metadata = entry.get("metadata")
    keys = metadata.get("partitionKeys") if isinstance(metadata, dict) else None
    return Outcome(data, {str(k): str(v) for k, v in keys.items()} if isinstance(keys, dict) else {})


def error_line(
    record: SourceRecord, outcome: Outcome, *, attempts: int, now: float, lambda_arn: str, source_arn: str
) -> bytes:
    """The JSON line that tells of a failed record under the error prefix."""
    line: dict[str, Any] = {
        "attemptsMade": attempts,
        "arrivalTimestamp": int(record.arrived * 1000),
        "errorCode": outcome.code,
        "errorMessage": outcome.message,
        "attemptEndingTimestamp": int(now * 1000),
        "rawData": b64encode(record.data).decode(),
    }
    if lambda_arn:
        line["lambdaArn"] = lambda_arn
    if source_arn:
        line["sequenceNumber"] = record.sequence_number
    return msgspec.json.encode(line) + b"\n"
