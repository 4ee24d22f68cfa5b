"""Aggregated records of the Kinesis Producer Library, taken apart. Pure.

https://github.com/awslabs/amazon-kinesis-producer/blob/master/aggregation-format.md: four magic bytes, a protobuf message
(partition keys, explicit hash keys, records that point into both tables), the MD5 of the message. Firehose takes aggregates
of a Kinesis source apart before anything else
(https://docs.aws.amazon.com/firehose/latest/dev/writing-with-kinesis-streams.html). What only looks like an aggregate (a
wrong digest or message) is an ordinary record.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import md5

MAGIC = b"\xf3\x89\x9a\xc2"
_DIGEST_BYTES = 16
_KEYS, _RECORDS = 1, 3
_KEY_INDEX, _DATA = 1, 3


class NotAnAggregateError(ValueError):
    """The bytes are no aggregate after all."""


def parts_of(record: bytes) -> list[tuple[str, bytes]] | None:
    """Partition key and data of each record inside an aggregate; None for an ordinary record."""
    if not record.startswith(MAGIC) or len(record) <= len(MAGIC) + _DIGEST_BYTES:
        return None
    message, digest = record[len(MAGIC) : -_DIGEST_BYTES], record[-_DIGEST_BYTES:]
    if md5(message, usedforsecurity=False).digest() != digest:
        return None
    try:
        keys: list[str] = []
        inner: list[bytes] = []
        for field, value in _fields(message):
            if field == _KEYS and isinstance(value, bytes):
                keys.append(value.decode())
            elif field == _RECORDS and isinstance(value, bytes):
                inner.append(value)
        return [_part(each, keys) for each in inner] or None
    except (NotAnAggregateError, UnicodeDecodeError, IndexError):
        return None


def _part(message: bytes, keys: list[str]) -> tuple[str, bytes]:
    place, data = 0, b""
    for field, value in _fields(message):
        if field == _KEY_INDEX and isinstance(value, int):
            place = value
        elif field == _DATA and isinstance(value, bytes):
            data = value
    return keys[place], data


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Field numbers and values of a message that has only varints and lengths."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, kind = tag >> 3, tag & 7
        value, at = _varint(message, at)
        if kind == 0:
            yield number, value
        elif kind == 2 and at + value <= len(message):
            yield number, message[at : at + value]
            at += value
        else:
            raise NotAnAggregateError


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(message) and shift < 64:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise NotAnAggregateError
