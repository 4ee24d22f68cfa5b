"""Append-only logs on segment files: the storage under Kinesis shards, Firehose buffers and MQTT sessions.

``append`` returns once the records are as durable as configured: handed to the operating system (they survive kill -9;
files are synced within a second), or, power safe, after a ``fdatasync`` that all appends of the moment share (group
commit). Readers see only what is durable in that sense. Offsets count records from 0 and never repeat. Retention unlinks
whole segments; recovery scans the newest one and cuts a torn end. Why files and not a table: ADR 0003.
"""

from __future__ import annotations

import asyncio
import errno
import sys
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from lakebed.kernel.clock import Clock
from lakebed.kernel.disk import AppendFile, Disk, DiskFailedError
from lakebed.kernel.segment import LogRecord, Segment, frame

SEGMENT_BYTES = 64 << 20
_CURSORS_MAX = 64


class SegmentLog:
    """One log. Get it from ``LogStore.log``; all methods belong to the event loop."""

    def __init__(self, store: LogStore, directory: Path) -> None:
        self._store, self._directory = store, directory
        self._segments = [Segment(path, int(path.stem)) for path in sorted(directory.glob("*.log"))]
        for segment, following in zip(self._segments, self._segments[1:], strict=False):
            if not segment.load_index():
                segment.recover_sealed(following.base)
        if self._segments:
            self._segments[-1].scan()
        if not self._segments:
            self._segments.append(Segment(directory / f"{0:020d}.log", 0))
        self._file: AppendFile | None = None
        self._cursors: OrderedDict[int, tuple[Segment, int]] = OrderedDict()
        self.readable_end = self.next_offset
        self.failure: OSError | None = None

    @property
    def first_offset(self) -> int:
        """The oldest offset still kept."""
        return self._segments[0].base

    @property
    def next_offset(self) -> int:
        """What the next record gets."""
        return self._segments[-1].end

    @property
    def size_bytes(self) -> int:
        """Bytes of all segments."""
        return sum(segment.size for segment in self._segments)

    async def append(self, records: Sequence[bytes]) -> int:
        """Append records together; the first one's offset, once they are durable.

        OSError where they are not promised: a reader sees none of them before the next start, which may recover them
        if only their sync failed. After a failed sync the log takes nothing more (DiskFailedError) until then.
        """
        base = self.append_unsynced(records)
        if self._store.disk.power_safe:
            await self._store.committed(self)
        return base

    def append_unsynced(self, records: Sequence[bytes]) -> int:
        """Append without waiting for the medium; ``LogStore.committed`` follows before anything is promised."""
        if self.failure is not None:
            raise DiskFailedError(errno.EIO, f"failed before ({self.failure})", str(self._directory))
        segment = self._segments[-1]
        if segment.size >= self._store.segment_bytes:
            segment = self._roll()
        if self._file is None:
            self._file = self._store.disk.open_append(segment.path, truncate_to=segment.size)
        arrived = self._store.clock.now()
        base, blob = segment.end, frame(segment.end, arrived, records)
        self._file.append([blob])
        segment.note(len(blob), len(records), arrived)
        self._store.dirty[self] = None
        if not self._store.disk.power_safe:
            self.readable_end = segment.end
        return base

    def read(self, offset: int, *, records_max: int, bytes_max: int) -> list[LogRecord]:
        """Records from ``offset`` (or the first still kept) on; empty at the tip. At least one where there is one."""
        offset = max(offset, self.first_offset)
        found: list[LogRecord] = []
        while offset < self.readable_end and len(found) < records_max:
            cursor = self._cursors.pop(offset, None)
            segment = cursor[0] if cursor else self._segment_of(offset)
            position = cursor[1] if cursor else segment.position_of(offset)
            part, position = segment.read(offset, position, self.readable_end, records_max - len(found), bytes_max)
            found += part
            if not part:
                break
            offset = part[-1].offset + 1
            bytes_max -= sum(len(record.data) for record in part)
            if offset < segment.end:
                self._cursors[offset] = (segment, position)
                if len(self._cursors) > _CURSORS_MAX:
                    self._cursors.popitem(last=False)
                break
            if bytes_max <= 0:
                break  # no cursor: what comes next is in the next segment
        return found

    def offset_at(self, timestamp: float) -> int:
        """The first offset whose record arrived at or after ``timestamp``; the tip where there is none."""
        for segment in self._segments:
            if segment.last_arrived < timestamp:
                continue
            offset = segment.offset_near(timestamp)
            while records := self._read_within(segment, offset):
                for record in records:
                    if record.arrived >= timestamp:
                        return record.offset
                offset = records[-1].offset + 1
        return self.next_offset

    def trim_older(self, arrived_before: float) -> None:
        """Unlink segments all of whose records arrived before; the newest is rolled first where that is so for it."""
        newest = self._segments[-1]
        if newest.end > newest.base and newest.last_arrived < arrived_before:
            self._roll()
        self._drop(lambda segment: segment.last_arrived < arrived_before)

    def trim_before(self, offset: int) -> None:
        """Unlink segments that hold nothing at or after ``offset``; the newest is rolled once it is large enough."""
        newest = self._segments[-1]
        if newest.end <= offset and newest.size >= self._store.segment_bytes // 8:
            self._roll()
        self._drop(lambda segment: segment.end <= offset)

    def sync(self) -> None:
        """Blocking, from any thread: put what was appended on the medium."""
        file = self._file  # the loop may roll meanwhile: then it has synced this one itself
        if file is not None:
            file.sync()

    def close(self) -> None:
        """Close files; the log can be opened again."""
        if self._file is not None:
            self._file.close()
            self._file = None
        for segment in self._segments:
            segment.close()

    def _read_within(self, segment: Segment, offset: int) -> list[LogRecord]:
        if offset >= segment.end:
            return []
        return segment.read(offset, segment.position_of(offset), segment.end, 1000, 1 << 20)[0]

    def _segment_of(self, offset: int) -> Segment:
        return self._segments[bisect_right(self._segments, offset, key=lambda segment: segment.base) - 1]

    def _roll(self) -> Segment:
        if self._file is not None:
            self._file.append([])  # a sealed segment ends where its last frame does
            try:
                self._file.sync()
            except OSError as failure:
                self.failure = failure
                raise
            self._file.close()
            self._file = None
        self._segments[-1].save_index(self._store.disk)
        segment = Segment(self._directory / f"{self.next_offset:020d}.log", self.next_offset)
        self._store.disk.open_append(segment.path).close()
        self._segments.append(segment)
        return segment

    def _drop(self, is_dead: Callable[[Segment], bool]) -> None:
        while len(self._segments) > 1 and is_dead(self._segments[0]):
            segment = self._segments.pop(0)
            segment.close()
            self._store.disk.remove(segment.path)
            self._store.disk.remove(segment.path.with_suffix(".idx"))
            self._cursors.clear()


class LogStore:
    """All logs of a house below ``directory``; names may contain slashes. Bounded by what its users create."""

    def __init__(self, directory: Path, disk: Disk, clock: Clock, *, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._directory, self.disk, self.clock, self.segment_bytes = directory, disk, clock, segment_bytes
        self._logs: dict[str, SegmentLog] = {}
        self.dirty: dict[SegmentLog, None] = {}
        self._waiting: asyncio.Future[None] | None = None
        self._committing: asyncio.Task[None] | None = None
        self._flushing = asyncio.Lock()
        self._failures = 0

    def log(self, name: str) -> SegmentLog:
        """Open (recovering) or create a log."""
        found = self._logs.get(name)
        if found is None:
            found = self._logs[name] = SegmentLog(self, self._directory / name)
        return found

    def names(self, prefix: str) -> list[str]:
        """Names of logs on disk below ``prefix/``."""
        root = self._directory / prefix
        found = {str(path.parent.relative_to(self._directory)) for path in root.rglob("*.log")}
        return sorted(found)

    def delete(self, name: str) -> None:
        """Remove a log and every log below its name."""
        for known in [known for known in self._logs if known == name or known.startswith(f"{name}/")]:
            log = self._logs.pop(known)
            self.dirty.pop(log, None)
            log.close()
        self.disk.remove(self._directory / name)

    async def committed(self, _log: SegmentLog) -> None:
        """Return when everything appended so far is on the medium; appends of the moment share one sync.

        OSError when any sync failed meanwhile: its pages may have been anybody's.
        """
        failures = self._failures
        if self._waiting is None:
            self._waiting = asyncio.get_running_loop().create_future()
        waiting = self._waiting
        if self._committing is None or self._committing.done():
            self._committing = asyncio.create_task(self._commit_loop())
        await asyncio.shield(waiting)
        if self._failures != failures:
            raise DiskFailedError(errno.EIO, "a sync failed; restart to recover", str(self._directory))

    @property
    def failed(self) -> list[str]:
        """Names of logs that take nothing more until a restart, for the operator."""
        return sorted(name for name, log in self._logs.items() if log.failure is not None)

    async def flush(self) -> None:
        """Sync every log that was appended to since the last time; OSError, after all were tried, when one failed.

        One at a time: who finds nothing to sync must not overtake the sync that is under way for it.
        """
        async with self._flushing:
            logs, self.dirty = list(self.dirty), {}
            ends = [log.next_offset for log in logs]
            if not logs:
                return
            with self.clock.working():
                outcomes = await asyncio.to_thread(_sync_all, logs)
            for log, end, failure in zip(logs, ends, outcomes, strict=True):
                if failure is None and log.failure is None:
                    log.readable_end = max(log.readable_end, end)
                elif failure is not None:
                    log.failure = log.failure or failure
            failed = [failure for failure in outcomes if failure is not None]
            if failed:
                self._failures += 1
                raise failed[0]

    async def _commit_loop(self) -> None:
        while self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            # A failure is told by the count: every waiter looks at it, whichever flush met it.
            with suppress(OSError):
                await self.flush()
            if not waiting.done():
                waiting.set_result(None)

    def discard(self) -> None:
        """Close everything without syncing: the files are about to be removed (reset)."""
        for log in self._logs.values():
            log.close()
        self._logs.clear()
        self.dirty = {}

    def close(self) -> None:
        """Sync and close everything."""
        for log in self._logs.values():
            try:
                log.sync()
            except OSError as failure:
                print(f"lakebed: {failure}", file=sys.stderr)  # noqa: T201 - the log stream is already closed
            log.close()
        self._logs.clear()


def _sync_all(logs: Sequence[SegmentLog]) -> list[OSError | None]:
    outcomes: list[OSError | None] = []
    for log in logs:
        try:
            log.sync()
            outcomes.append(None)
        except OSError as failure:
            outcomes.append(failure)
    return outcomes
