"""Tumbling windows: a stream's records by the minute (or whatever) they arrived in, with a state that is handed on. Pure.

Windows lie on multiples of their length since the epoch. A batch never reaches over the end of its window; what the
function returns as ``state`` comes back with the next batch of the same window and shard. When the window is over, an
invocation without records is its last.

https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-windows.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from lakebed.ports.streams import StreamRecord
from lakebed.wire.aws.scalars import write_iso

STATE_BYTES_MAX = 1 << 20


class Window(msgspec.Struct, frozen=True):
    """An open window of a shard, and its state as JSON."""

    start: float
    length: int
    state: bytes = b"{}"

    @property
    def end(self) -> float:
        """The first moment that belongs to the next window."""
        return self.start + self.length


def window_of(record: StreamRecord, length: int) -> Window:
    """The window a record arrived in."""
    return Window(float(int(record.arrived) // length * length), length)


def within(window: Window, records: Sequence[StreamRecord]) -> list[StreamRecord]:
    """The first records that belong to a window (a record that came late counts to the one that is open)."""
    found: list[StreamRecord] = []
    for record in records:
        if record.arrived >= window.end:
            break
        found.append(record)
    return found


def is_over(window: Window, following: Sequence[StreamRecord], now: float) -> bool:
    """Whether nothing more can come into a window: a later record is there, or the time has passed."""
    if following:
        return following[0].arrived >= window.end
    return now >= window.end + 1.0


def members(window: Window, source: str, shard: str, *, final: bool, early: bool = False) -> dict[str, Any]:
    """What stands beside ``Records`` in the event."""
    return {
        "window": {"start": write_iso(window.start), "end": write_iso(window.end)},
        "state": json.loads(window.state),
        "shardId": shard,
        "eventSourceARN": source,
        "isFinalInvokeForWindow": final,
        "isWindowTerminatedEarly": early,
    }


def after(window: Window, payload: bytes) -> Window | None:
    """The window with the state a function returned; None where that is none, or is too large: then it ends early."""
    try:
        told = json.loads(payload)
    except ValueError:
        return None
    state = told.get("state") if isinstance(told, Mapping) else None
    if not isinstance(state, Mapping):
        return None
    packed = json.dumps(state).encode()
    return msgspec.structs.replace(window, state=packed) if len(packed) <= STATE_BYTES_MAX else None
