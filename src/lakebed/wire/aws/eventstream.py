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
from lakebed.wire.aws.model import Shape

CONTENT_TYPE = "application/vnd.amazon.eventstream"
_LARGEST_PAYLOAD = 16 * 1024 * 1024
Encoded = tuple[str, bytes, dict[str, bytes]]  # content type, payload, the event's own headers
EventEncoder = Callable[[Mapping[str, Any]], Encoded]
StructureWriter = Callable[[Shape, dict[str, Shape]], Callable[[Mapping[str, Any]], bytes]]


def header_value(kind: str, value: Any) -> bytes:
    """A header's value by its shape's type: a byte that names the type, then the value."""
    if kind == "boolean":
        return b"\0" if value else b"\1"
    if kind in ("byte", "short", "integer", "long"):
        number, form = {"byte": (2, "!b"), "short": (3, "!h"), "integer": (4, "!i"), "long": (5, "!q")}[kind]
        return bytes((number,)) + struct.pack(form, value)
    if kind == "timestamp":
        return b"\x08" + struct.pack("!q", round(value * 1000))
    data: bytes = value if kind == "blob" else value.encode()
    return (b"\x06" if kind == "blob" else b"\x07") + struct.pack("!H", len(data)) + data


def encode_message(headers: Mapping[str, bytes], payload: bytes) -> bytes:
    """One message; the headers' values come from ``header_value``."""
    if len(payload) > _LARGEST_PAYLOAD:
        raise ValueError("an event is larger than a message may be")
    block = b"".join(bytes((len(name),)) + name.encode() + value for name, value in headers.items())
    prelude = struct.pack("!II", 16 + len(block) + len(payload), len(block))
    message = b"".join((prelude, struct.pack("!I", crc32(prelude)), block, payload))
    return message + struct.pack("!I", crc32(message))


def event_message(kind: str, encoded: Encoded) -> bytes:
    """A message of type ``event``."""
    return _message(":event-type", kind, "event", encoded)


def exception_message(kind: str, encoded: Encoded) -> bytes:
    """A message that ends a stream with a modelled exception."""
    return _message(":exception-type", kind, "exception", encoded)


def _message(kind_header: str, kind: str, message_type: str, encoded: Encoded) -> bytes:
    content_type, payload, own = encoded
    texts = {kind_header: kind, ":content-type": content_type, ":message-type": message_type}
    headers = {name: header_value("string", text) for name, text in texts.items() if text}
    return encode_message({**headers, **own}, payload)


def event_encoder(event: Shape, write_structure: StructureWriter, content_type: str) -> tuple[EventEncoder, bool]:
    """How one kind of event is encoded, and whether it is an exception: headers, one payload member, or a structure."""
    members = event.members
    headers = {name: member.type for name, member in members.items() if member.get("eventheader")}
    payload = next((name for name, member in members.items() if member.get("eventpayload")), None)
    write: Callable[[Mapping[str, Any]], bytes] | None = None
    if payload is None:
        rest = {name: member for name, member in members.items() if name not in headers}
        write = write_structure(event, rest) if rest else None
    elif members[payload].type not in ("blob", "string"):
        write = write_structure(members[payload], members[payload].members)

    def encode(values: Mapping[str, Any]) -> Encoded:
        own = {name: header_value(kind, values[name]) for name, kind in headers.items() if values.get(name) is not None}
        if payload is None:
            rest = {name: value for name, value in values.items() if name not in headers}
            if write is None and rest:
                raise ValueError(f"{event.name} has no members {sorted(rest)}")
            return (content_type, write(rest), own) if write is not None else ("", b"", own)
        if write is not None:
            return content_type, write(values.get(payload) or {}), own
        value = values.get(payload) or b""
        if isinstance(value, str):
            return "text/plain", value.encode(), own
        return "application/octet-stream", value, own

    return encode, bool(event.get("exception"))


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
