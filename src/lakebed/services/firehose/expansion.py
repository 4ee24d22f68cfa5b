"""Processors that open records before anything else sees them: decompression, log messages, records in a record. Pure.

In AWS's order: ``Decompression`` (GZIP), ``CloudWatchLogProcessing`` (the messages of a subscription's payload, a line each;
control messages vanish), ``RecordDeAggregation`` (JSON values that follow each other, or parts between delimiters).
https://docs.aws.amazon.com/firehose/latest/dev/writing-with-cloudwatch-logs-decompression.html,
https://docs.aws.amazon.com/firehose/latest/dev/dynamic-partitioning-multirecord-deaggergation.html. A record that does not
open goes to the error prefix as it came. What a record may become is bounded: 10 MiB and 10,000 parts.
"""

from __future__ import annotations

import json
import zlib
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from lakebed.api import firehose as api
from lakebed.services.firehose.transform import FAILED, Outcome, SourceRecord

OPENED_BYTES_MAX = 10 << 20
PARTS_MAX = 10_000
DECOMPRESSION_FAILED = "decompression-failed"
KINDS = ("Decompression", "CloudWatchLogProcessing", "RecordDeAggregation")
_GZIP = 31
_SPACE = " \t\r\n"
Parameters = Mapping[str, str]


class ExpansionError(Exception):
    """A record that does not open: code, message, and the error type of its prefix."""

    def __init__(self, code: str, message: str, error_type: str = FAILED) -> None:
        super().__init__(message)
        self.outcome = Outcome(None, {}, code, message, error_type)


class Opened(NamedTuple):
    """A record after expansion; ``failure`` set where it did not open."""

    record: SourceRecord
    failure: Outcome | None = None


Step = Callable[[bytes], Sequence[bytes]]


def steps_of(processors: Mapping[str, Parameters]) -> list[Step]:
    """What is done to each record, by the active processors' parameters."""
    found: list[Step] = []
    if "Decompression" in processors:
        found.append(_decompressed)
    if "CloudWatchLogProcessing" in processors:
        found.append(_messages)
    if "RecordDeAggregation" in processors:
        found.append(_parts(processors["RecordDeAggregation"]))
    return found


def check(kind: str, parameters: Parameters) -> None:
    """AWS's rules for a processor's parameters."""
    allowed = {
        "Decompression": {"CompressionFormat"}, "CloudWatchLogProcessing": {"DataMessageExtraction"},
        "RecordDeAggregation": {"SubRecordType", "Delimiter"},
    }[kind]  # fmt: skip
    if unknown := set(parameters) - allowed:
        raise api.InvalidArgumentException(f"Parameter {min(unknown)} is not valid for the {kind} processor.")
    if kind == "Decompression" and parameters.get("CompressionFormat") != "GZIP":
        raise api.InvalidArgumentException("CompressionFormat of the Decompression processor must be GZIP.")
    if kind == "CloudWatchLogProcessing" and parameters.get("DataMessageExtraction", "").lower() != "true":
        raise api.InvalidArgumentException("DataMessageExtraction must be true.")
    if kind == "RecordDeAggregation":
        _parts(parameters)


def expanded(batch: Sequence[SourceRecord], steps: Sequence[Step]) -> list[Opened]:
    """Every record of a batch, opened. Parts count on in ``sub`` from where their record stands."""
    made: list[Opened] = []
    for record in batch:
        try:
            parts = _opened(record.data, steps)
        except ExpansionError as failure:
            made.append(Opened(record, failure.outcome))
            continue
        made += [Opened(record._replace(data=part, sub=record.sub + place)) for place, part in enumerate(parts)]
    return made


def _opened(data: bytes, steps: Sequence[Step]) -> Sequence[bytes]:
    parts: Sequence[bytes] = (data,)
    for step in steps:
        parts = [each for part in parts for each in step(part)]
        if len(parts) > PARTS_MAX or sum(map(len, parts)) > OPENED_BYTES_MAX:
            raise ExpansionError("Expansion.TooLarge", "The record opens to more than 10 MiB or 10,000 parts.")
    return parts


def _decompressed(data: bytes) -> Sequence[bytes]:
    pieces, left = [], OPENED_BYTES_MAX
    try:
        while data:
            opener = zlib.decompressobj(_GZIP)
            pieces.append(opener.decompress(data, left + 1))
            left -= len(pieces[-1])
            if left < 0:
                raise ExpansionError(
                    "Decompression.TooLarge", "The record opens to more than 10 MiB.", DECOMPRESSION_FAILED
                )
            if not opener.eof:
                raise zlib.error("the data ends too early")  # noqa: TRY301 - as any other damage
            data = opener.unused_data
    except zlib.error as failure:
        raise ExpansionError(
            "Decompression.Failed", f"The record is no GZIP: {failure}.", DECOMPRESSION_FAILED
        ) from None
    return (b"".join(pieces),)


def _messages(data: bytes) -> Sequence[bytes]:
    try:
        payload = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        payload = None
    if isinstance(payload, dict) and payload.get("messageType") == "CONTROL_MESSAGE":
        return ()
    events = payload.get("logEvents") if isinstance(payload, dict) else None
    if not isinstance(events, list):
        raise ExpansionError(
            "CloudWatchLogProcessing.Failed", "The record is no payload of a CloudWatch Logs subscription."
        )
    lines = [str(event["message"]) for event in events if isinstance(event, dict) and "message" in event]
    text = "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)
    return (text.encode("utf-8", "replace"),) if text else ()


def _parts(parameters: Parameters) -> Step:
    kind, delimiter = parameters.get("SubRecordType", ""), parameters.get("Delimiter", "")
    if kind == "JSON" and not delimiter:
        return _json_values
    if kind == "DELIMITED" and delimiter:
        between = _delimiter(delimiter)
        return lambda data: [part for part in data.split(between) if part]
    raise api.InvalidArgumentException(
        "RecordDeAggregation needs SubRecordType JSON, or SubRecordType DELIMITED with a Delimiter."
    )


def _delimiter(text: str) -> bytes:
    """AWS takes the delimiter in base64; what is none is taken as it stands."""
    try:
        return b64decode(text, validate=True) or text.encode()
    except (Base64Error, ValueError):
        return text.encode()


def _json_values(data: bytes) -> Sequence[bytes]:
    decode = json.JSONDecoder().raw_decode
    found: list[bytes] = []
    try:
        text = data.decode()
        at = 0
        while True:
            while at < len(text) and text[at] in _SPACE:
                at += 1
            if at == len(text):
                return found
            if text[at] != "{":
                raise ValueError(text[at])  # noqa: TRY301 - as what the decoder refuses
            _, end = decode(text, at)
            found.append(text[at:end].encode())
            at = end
    except (ValueError, RecursionError):
        raise ExpansionError("RecordDeAggregation.Failed", "The record is no sequence of JSON objects.") from None
