"""Buffers: which records of the log wait for which object, as offsets and counts. Pure and bounded by the lanes open.

A buffer opens with its lane's first record and is due when its bytes reach the lane's size or its age the interval
(https://docs.aws.amazon.com/firehose/latest/dev/buffering-hints.html). A lane's buffers follow each other without gaps,
so "this lane is delivered up to offset n" says everything a restart must know.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from lakebed.kernel.segment import LogRecord
from lakebed.services.firehose import frames
from lakebed.services.firehose.frames import HEAD_BYTES


class Hints(NamedTuple):
    """When a lane's buffer is due."""

    size_bytes: int
    interval: float


@dataclass(slots=True)
class Buffer:
    """Records of a lane with offsets from ``first`` to ``upto`` (exclusive); other lanes' records lie between them."""

    lane: str
    first: int
    started: float
    oldest: float
    upto: int = 0
    size: int = 0
    records: int = 0


@dataclass(slots=True)
class Buffers:
    """The state of one delivery stream's buffering, rebuilt from the log at a start."""

    scanned: int
    delivered: dict[str, int]
    open: dict[str, Buffer] = field(default_factory=dict)
    sealed: list[Buffer] = field(default_factory=list)
    positions: dict[str, int] = field(default_factory=dict)

    def take(self, records: Sequence[LogRecord], hints: Callable[[str], Hints]) -> None:
        """Assign records read at ``scanned`` to their buffers; a buffer that reaches its size is sealed."""
        by_name: dict[bytes, tuple[Buffer, int]] = {}
        unpack = frames.unpack_head
        for offset, arrived, raw in records:
            size, source_time = unpack(raw)
            end = HEAD_BYTES + (size & frames.LANE_BYTES)
            name = raw[HEAD_BYTES:end]
            known = by_name.get(name)
            if known is None:
                known = self._buffer(name.decode(), offset, arrived, source_time, hints)
                if known is None:
                    if name == b"note":
                        self.positions = frames.positions_of(LogRecord(offset, arrived, raw)) or self.positions
                    continue
                by_name[name] = known
            buffer, limit = known
            buffer.size += len(raw) - end
            buffer.records += 1
            buffer.upto = offset + 1
            if source_time < buffer.oldest:
                buffer.oldest = source_time
            if buffer.size >= limit:
                self.sealed.append(self.open.pop(buffer.lane))
                del by_name[name]
        if records:
            self.scanned = records[-1].offset + 1

    def _buffer(
        self, lane: str, offset: int, arrived: float, source_time: float, hints: Callable[[str], Hints]
    ) -> tuple[Buffer, int] | None:
        """The lane's open buffer and its size limit; None for a note and for what is delivered already."""
        if lane == frames.NOTE or offset < self.delivered.get(lane, 0):
            return None
        buffer = self.open.get(lane)
        if buffer is None:
            buffer = self.open[lane] = Buffer(lane, offset, arrived, source_time)
        return buffer, hints(lane).size_bytes

    def seal_due(self, now: float, hints: Callable[[str], Hints]) -> None:
        """Seal the buffers whose time has come, oldest first."""
        # A buffer that was begun in the future (the machine's clock was set back) does not wait for it to come again.
        due = [
            buffer
            for buffer in self.open.values()
            if buffer.started + hints(buffer.lane).interval <= now or buffer.started > now
        ]
        for buffer in sorted(due, key=lambda each: each.started):
            self.sealed.append(self.open.pop(buffer.lane))

    def next_due(self, hints: Callable[[str], Hints]) -> float | None:
        """When the next open buffer's time comes."""
        return min((buffer.started + hints(buffer.lane).interval for buffer in self.open.values()), default=None)

    def done(self, buffer: Buffer) -> None:
        """The buffer is delivered."""
        self.sealed.remove(buffer)
        self.delivered[buffer.lane] = buffer.upto
        mark = self.watermark()
        for lane in [lane for lane, upto in self.delivered.items() if upto <= mark]:
            del self.delivered[lane]

    def watermark(self) -> int:
        """Every record below is delivered."""
        return min([self.scanned, *(buffer.first for buffer in (*self.open.values(), *self.sealed))])

    def oldest(self) -> float | None:
        """When the oldest undelivered record arrived."""
        return min((buffer.oldest for buffer in (*self.open.values(), *self.sealed)), default=None)

    def waiting(self) -> int:
        """Undelivered records, copies for the backup not counted."""
        held = (*self.open.values(), *self.sealed)
        return sum(buffer.records for buffer in held if buffer.lane != frames.BACKUP)

    def partitions(self) -> set[str]:
        """Data lanes that hold undelivered records."""
        return {buffer.lane for buffer in (*self.open.values(), *self.sealed) if frames.is_data(buffer.lane)}


def restored(watermark: int, delivered: Mapping[str, int], planned: Sequence[Buffer]) -> Buffers:
    """The buffers of a stream as its tables tell; the log from ``watermark`` on must then be taken."""
    upto = dict(delivered)
    for buffer in planned:
        upto[buffer.lane] = max(upto.get(buffer.lane, 0), buffer.upto)
    return Buffers(scanned=watermark, delivered=upto, sealed=list(planned))
