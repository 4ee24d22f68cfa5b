"""What a delivery stream's buffer log holds: records that know their lane, and notes of how far the source was read.

A lane is what ends up in one object together: ``data`` (with the partition key values behind it where partitioning is
on), ``backup`` (records as they came), ``error:<type>`` (finished JSON lines for the error prefix). A note is appended
in the same append as the records it speaks of, and an append is whole or absent after a crash: so no record is taken
from the source twice or never.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec

from lakebed.kernel.segment import LogRecord

_HEAD = struct.Struct(">Hd")
HEAD_BYTES = _HEAD.size
SEALED, LANE_BYTES = 0x8000, 0x7FFF  # the first number of a head: whether the body is sealed, and how long the lane is
DATA, BACKUP, NOTE = "data", "backup", "note"
_NOTE = NOTE.encode()
unpack_head = _HEAD.unpack_from
Seal = Callable[[bytes], bytes] | None


class Frame(NamedTuple):
    """A buffered record: its lane, when it arrived at its source, its bytes."""

    lane: str
    arrived: float
    data: bytes


def head(lane: str, arrived: float, *, sealed: bool = False) -> bytes:
    """What stands before a record's data in the log."""
    name = lane.encode()
    return _HEAD.pack(len(name) | (SEALED if sealed else 0), arrived) + name


def made(lane: str, arrived: float, data: bytes, seal: Seal) -> bytes:
    """A record as it is logged, its body sealed where there is a seal."""
    return head(lane, arrived) + data if seal is None else head(lane, arrived, sealed=True) + seal(data)


def note(positions: Mapping[str, int], now: float) -> bytes:
    """A note: the source is read up to these positions, everything appended with this note included."""
    return head(NOTE, now) + msgspec.json.encode(dict(positions))


def decode(raw: bytes, open_data: Callable[[bytes], bytes]) -> Frame:
    """A logged record, opened where it is sealed."""
    size, arrived = _HEAD.unpack_from(raw)
    end = HEAD_BYTES + (size & LANE_BYTES)
    return Frame(raw[HEAD_BYTES:end].decode(), arrived, open_data(raw[end:]) if size & SEALED else raw[end:])


def lane_of(raw: bytes) -> str:
    """A logged record's lane, which needs no key."""
    size, _ = _HEAD.unpack_from(raw)
    return raw[HEAD_BYTES : HEAD_BYTES + (size & LANE_BYTES)].decode()


def positions_of(record: LogRecord) -> dict[str, int] | None:
    """What a note says; None for any other record."""
    size, _ = _HEAD.unpack_from(record.data)
    if record.data[HEAD_BYTES : HEAD_BYTES + size] != _NOTE:
        return None
    return msgspec.json.decode(record.data[HEAD_BYTES + size :], type=dict[str, int])


def data_lane(keys: Mapping[str, str]) -> str:
    """The lane of records with these partition key values."""
    return DATA if not keys else f"{DATA}:{msgspec.json.encode(dict(keys)).decode()}"


def lane_keys(lane: str) -> dict[str, str]:
    """The partition key values of a data lane."""
    _, _, text = lane.partition(":")
    return msgspec.json.decode(text, type=dict[str, str]) if lane.startswith(f"{DATA}:") else {}


def error_lane(error_type: str) -> str:
    """The lane of an error type's JSON lines."""
    return f"error:{error_type}"


def is_error(lane: str) -> bool:
    """Whether the lane goes to the error prefix."""
    return lane.startswith("error:")


def is_data(lane: str) -> bool:
    """Whether the lane goes to the destination proper."""
    return lane == DATA or lane.startswith(f"{DATA}:")
