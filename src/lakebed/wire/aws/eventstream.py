"""Event streams of answers (``application/vnd.amazon.eventstream``): messages with typed headers and two CRCs.

A message is: total length, headers' length, CRC-32 of these eight bytes, headers, payload, CRC-32 of all before it.
https://smithy.io/2.0/aws/amazon-eventstream.html. A JSON protocol sends the other members of the result first, as an
``initial-response``. An ``AwsError`` raised by the iterator ends the stream as an exception message.
"""

from __future__ import annotations

import struct
from binascii import crc32
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from lakebed.kernel.errors import AwsError

CONTENT_TYPE = "application/vnd.amazon.eventstream"
_STRING = 7
_LARGEST_PAYLOAD = 16 * 1024 * 1024
Encoded = tuple[str, bytes]  # content type and payload
EventEncoder = Callable[[Mapping[str, Any]], Encoded]


def encode_message(headers: Mapping[str, str], payload: bytes) -> bytes:
    """One message; all our headers are strings."""
    if len(payload) > _LARGEST_PAYLOAD:
        raise ValueError("an event is larger than a message may be")
    block = b"".join(
        bytes((len(name),)) + name.encode() + bytes((_STRING,)) + struct.pack("!H", len(text)) + text
        for name, text in ((name, value.encode()) for name, value in headers.items())
    )
    prelude = struct.pack("!II", 16 + len(block) + len(payload), len(block))
    message = b"".join((prelude, struct.pack("!I", crc32(prelude)), block, payload))
    return message + struct.pack("!I", crc32(message))


def event_message(kind: str, encoded: Encoded) -> bytes:
    """A message of type ``event``."""
    headers = {":event-type": kind, ":content-type": encoded[0], ":message-type": "event"}
    return encode_message({name: value for name, value in headers.items() if value}, encoded[1])


def exception_message(kind: str, encoded: Encoded) -> bytes:
    """A message that ends a stream with a modelled exception."""
    headers = {":exception-type": kind, ":content-type": encoded[0], ":message-type": "exception"}
    return encode_message(headers, encoded[1])


async def encode_stream(
    events: AsyncIterator[Mapping[str, Any]],
    encoders: Mapping[str, tuple[EventEncoder, bool]],
    initial: bytes | None,
    describe: Callable[[AwsError], tuple[str, Encoded]],
) -> AsyncIterator[bytes]:
    """Messages for events ``{name: members}``; ``encoders`` says for each name how, and whether it is an exception."""
    if initial is not None:
        yield initial
    try:
        async for event in events:
            for kind, members in event.items():
                encode, is_exception = encoders[kind]
                encoded = encode(members)
                yield exception_message(kind, encoded) if is_exception else event_message(kind, encoded)
    except AwsError as error:
        kind, encoded = describe(error)
        yield exception_message(kind, encoded)
