"""What goes over a child's pipes: four bytes of length, then msgpack; a request, then ``result`` or ``failure``."""

from __future__ import annotations

from typing import Any

import msgspec

FRAME_BYTES_MAX = 64 << 20


def pack(message: Any) -> bytes:
    """A message as it goes over the pipe."""
    body = msgspec.msgpack.encode(message)
    if len(body) > FRAME_BYTES_MAX:
        raise ValueError("frame too long")
    return len(body).to_bytes(4, "big") + body


def size_of(head: bytes) -> int:
    """The length a frame's head promises."""
    size = int.from_bytes(head, "big")
    if size > FRAME_BYTES_MAX:
        raise ValueError("frame too long")
    return size
