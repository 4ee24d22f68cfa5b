"""Drafts: the files that become objects, written from the buffer log in one pass for many objects at once.

Buffers are offsets, so an object's content is read from the log when it is due; lanes that are due together (partitions
whose time came) share the pass. Joining and compressing happen in a thread. The same plan always gives the same bytes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from lakebed.kernel.disk import AppendFile
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.segment import LogRecord
from lakebed.kernel.segments import SegmentLog
from lakebed.services.firehose import frames, packing
from lakebed.services.firehose.destinations import s3
from lakebed.services.firehose.frames import HEAD_BYTES
from lakebed.services.firehose.model import Plan
from lakebed.services.firehose.sealing import Open

_READ_RECORDS, _READ_BYTES = 20_000, 4 << 20
_UNREADABLE = b"!"  # a line no JSON parser takes: keeps line numbers and lets the converter reject the record


class Draft:
    """The file of one plan."""

    def __init__(self, k: Kernel, plan: Plan) -> None:
        self.plan = plan
        self.path: Path = k.blobs.draft_path()
        self._file: AppendFile = k.disk.open_append(self.path)
        is_data = frames.is_data(plan.lane)
        self._lines = is_data and s3.conversion_schema(plan.settings) is not None
        self._delimiter = s3.delimiter(plan.settings) if is_data else b""
        form = "UNCOMPRESSED" if frames.is_error(plan.lane) else plan.settings.get("CompressionFormat", "UNCOMPRESSED")
        self._packer = packing.packer(form)
        self.pieces: list[bytes] = []

    def write(self) -> None:
        """Put the pieces collected so far into the file. Runs in a thread."""
        pieces, self.pieces = self.pieces, []
        if self._lines:
            body = b"\n".join([_line(piece) for piece in pieces]) + b"\n" if pieces else b""
        elif self._delimiter and pieces:
            body = self._delimiter.join(pieces) + self._delimiter
        else:
            body = b"".join(pieces)
        if self._packer is not None:
            body = self._packer.compress(body)
        if body:
            self._file.append([body])

    def finish(self) -> None:
        """Everything is written. Runs in a thread."""
        self.write()
        if self._packer is not None:
            self._file.append([self._packer.flush()])
        self._file.close()

    def discard(self) -> None:
        """Remove the file if it is still there."""
        self._file.close()
        self.path.unlink(missing_ok=True)


async def build(k: Kernel, log: SegmentLog, plans: Sequence[Plan], open_data: Open) -> list[Draft]:
    """The drafts of plans, in their order; the caller discards them. KMS's errors where a sealed record does not open."""
    drafts = [Draft(k, plan) for plan in plans]
    try:
        for part in _walk(log, min(plan.first for plan in plans), max(plan.upto for plan in plans)):
            _distribute(part, drafts, open_data)
            with k.clock.working():
                await asyncio.to_thread(_each, drafts, Draft.write)
        with k.clock.working():
            await asyncio.to_thread(_each, drafts, Draft.finish)
    except BaseException:
        for draft in drafts:
            draft.discard()
        raise
    return drafts


def records_of(log: SegmentLog, plan: Plan, open_data: Open) -> Iterator[frames.Frame]:
    """The plan's records, one by one, as they were buffered."""
    for part in _walk(log, plan.first, plan.upto):
        for record in part:
            if record.offset < plan.upto and frames.lane_of(record.data) == plan.lane:
                yield frames.decode(record.data, open_data)


def _walk(log: SegmentLog, first: int, upto: int) -> Iterator[list[LogRecord]]:
    while first < upto:
        part = log.read(first, records_max=min(_READ_RECORDS, upto - first), bytes_max=_READ_BYTES)
        if not part:
            raise OSError(f"the buffer log ends at {first}, before {upto}")
        yield part
        first = part[-1].offset + 1


def _distribute(part: Sequence[LogRecord], drafts: Sequence[Draft], open_data: Open) -> None:
    """Hand each record to the draft whose lane and offsets it has."""
    lanes: dict[bytes, list[Draft]] = {}
    for draft in reversed(drafts):
        lanes.setdefault(draft.plan.lane.encode(), []).append(draft)
    unpack = frames.unpack_head
    for offset, _, raw in part:
        size, _ = unpack(raw)
        end = HEAD_BYTES + (size & frames.LANE_BYTES)
        queue = lanes.get(raw[HEAD_BYTES:end])
        while queue and offset >= queue[-1].plan.upto:
            queue.pop()
        if queue and offset >= queue[-1].plan.first:
            queue[-1].pieces.append(open_data(raw[end:]) if size & frames.SEALED else raw[end:])


def _each(drafts: Sequence[Draft], method: object) -> None:
    for draft in drafts:
        method(draft)  # type: ignore[operator]  # one of Draft's methods


def _line(record: bytes) -> bytes:
    """A record as one line of JSON; what is no single JSON value becomes a line that no parser takes."""
    stripped = record.strip()
    if b"\n" not in stripped and b"\r" not in stripped:
        return stripped or _UNREADABLE
    try:
        return msgspec.json.format(stripped, indent=-1)
    except (msgspec.DecodeError, RecursionError):
        return _UNREADABLE
