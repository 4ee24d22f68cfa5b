"""Shard iterators and list tokens: opaque to clients, checked by us.

A token is packed fields and a truncated HMAC with a secret that belongs to the stream, base64. It holds when it was
made: both kinds live five minutes
(https://docs.aws.amazon.com/kinesis/latest/APIReference/API_GetShardIterator.html). Iterators survive a restart, and a
stream that was deleted and made again does not accept the old one's.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import struct
from typing import NamedTuple

LIFE_SECONDS = 300.0
_ITERATOR = struct.Struct(">B22sQqd")
_MAC_BYTES = 16
_KIND_ITERATOR, _KIND_LIST = 1, 2


class Position(NamedTuple):
    """What a shard iterator says: the next offset to read of a shard of the stream ``uid``, made at ``issued``."""

    uid: str
    shard: int
    offset: int
    issued: float


class ListPosition(NamedTuple):
    """What a ListShards token says: go on behind shard ``after``, under the filter packed in ``rest``."""

    uid: str
    after: int
    issued: float
    filter_kind: str
    filter_time: float


_LIST = struct.Struct(">B22sqd20sd")


def pack_iterator(position: Position, secret: bytes) -> str:
    """The text of an iterator."""
    body = _ITERATOR.pack(_KIND_ITERATOR, position.uid.encode(), position.shard, position.offset, position.issued)
    return _sealed(body, secret)


def peek_uid(text: str) -> str | None:
    """Whose token this claims to be; nothing else of it may be believed before it is checked with that secret."""
    body = _body(text)
    return None if body is None or len(body) < 23 + _MAC_BYTES else body[1:23].decode("ascii", "replace")


def open_iterator(text: str, secret: bytes) -> Position | None:
    """The position of a genuine iterator, else None."""
    body = _checked(text, secret)
    if body is None or len(body) != _ITERATOR.size or body[0] != _KIND_ITERATOR:
        return None
    _, uid, shard, offset, issued = _ITERATOR.unpack(body)
    return Position(uid.decode(), shard, offset, issued)


def pack_list(position: ListPosition, secret: bytes) -> str:
    """The text of a ListShards token."""
    body = _LIST.pack(
        _KIND_LIST,
        position.uid.encode(),
        position.after,
        position.issued,
        position.filter_kind.encode(),
        position.filter_time,
    )
    return _sealed(body, secret)


def open_list(text: str, secret: bytes) -> ListPosition | None:
    """The position of a genuine list token, else None."""
    body = _checked(text, secret)
    if body is None or len(body) != _LIST.size or body[0] != _KIND_LIST:
        return None
    _, uid, after, issued, kind, at = _LIST.unpack(body)
    return ListPosition(uid.decode(), after, issued, kind.rstrip(b"\0").decode(), at)


def _sealed(body: bytes, secret: bytes) -> str:
    return base64.b64encode(body + _mac(body, secret)).decode()


def _checked(text: str, secret: bytes) -> bytes | None:
    whole = _body(text)
    if whole is None or len(whole) <= _MAC_BYTES:
        return None
    body, mac = whole[:-_MAC_BYTES], whole[-_MAC_BYTES:]
    return body if hmac.compare_digest(mac, _mac(body, secret)) else None


def _body(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def _mac(body: bytes, secret: bytes) -> bytes:
    return hmac.digest(secret, body, "sha256")[:_MAC_BYTES]
