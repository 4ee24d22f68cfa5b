"""The data plane: records into shard logs and out again, for the API and for the port alike.

A record in a shard's log is a short head (lengths), its partition key, its explicit hash key if it had one, its data;
arrival time and offset belong to the log. A call appends once for each shard it touches and waits once for all of them,
so an acknowledged record is durable and a key's records keep their order whoever put them.

Retention (https://docs.aws.amazon.com/streams/latest/dev/kinesis-extended-retention.html): a record older than the
stream's period is never returned, even while its segment file still stands.
"""

from __future__ import annotations

import asyncio
import struct
from bisect import bisect_left
from collections.abc import Sequence
from hashlib import md5
from typing import NamedTuple

from lakebed.api import kinesis as api
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.segment import LogRecord
from lakebed.kernel.segments import SegmentLog
from lakebed.services.kinesis.model import HASH_MAX, Shard, Stream
from lakebed.services.kinesis.settings import KinesisSettings

PUT_RECORDS_MAX = 500
PUT_BYTES_MAX = 10 << 20
SHARD_BYTES_PER_SECOND, SHARD_RECORDS_PER_SECOND = 1 << 20, 1000
_USED_MAX = 10_000  # shards whose use within this second is remembered
_HEAD = struct.Struct(">BH")
_HEAD_BYTES = _HEAD.size
THROTTLED = "ProvisionedThroughputExceededException"


class Entry(NamedTuple):
    """A record to put."""

    partition_key: str
    data: bytes
    explicit_hash_key: str | None = None


class Placed(NamedTuple):
    """Where a record went, or why it did not (``error``)."""

    shard: Shard
    sequence_number: str
    error: str = ""


def encode(key: bytes, explicit: bytes, data: bytes) -> bytes:
    """A record as its shard's log holds it."""
    return _HEAD.pack(len(explicit), len(key)) + key + explicit + data


def decode(record: LogRecord) -> tuple[str, bytes]:
    """Partition key and data of a logged record."""
    explicit, key = _HEAD.unpack_from(record.data)
    start = _HEAD_BYTES + key
    return record.data[_HEAD_BYTES:start].decode(), record.data[start + explicit :]


class Records:
    """Puts and reads of all streams; also wakes those who wait for a stream's records."""

    def __init__(self, k: Kernel, settings: KinesisSettings) -> None:
        self._k = k
        self._limited = settings.enforce_shard_limits
        self._used: dict[tuple[str, int], list[int]] = {}
        self._subscribers: dict[str, dict[str, None]] = {}
        self._watchers: dict[str, set[asyncio.Event]] = {}

    async def put(self, stream: Stream, entries: Sequence[Entry], *, limited: bool = True) -> list[Placed]:
        """Append every entry the limits allow; the answers in the order of the entries. Durable when this returns.

        ``limited=False`` after ``check_limits``.
        """
        slots, batches = self._sort(stream, entries, limited=limited and self._limited)
        shards = stream.open_shards
        errors: dict[int, str] = {}
        places: dict[int, int] = {}
        touched: SegmentLog | None = None
        for slot, batch in batches.items():
            log = self._k.segments.log(stream.log_name(shards[slot]))
            try:
                places[slot] = log.append_unsynced(batch)
                touched = log
            except OSError as failure:
                self._k.log.warning("append failed", stream=stream.arn, shard=shards[slot].id, exc=failure)
                errors[slot] = "InternalFailure"
        if touched is not None and self._k.disk.power_safe:
            await self._k.segments.committed(touched)
        answers = []
        for slot in slots:
            if slot < 0:
                answers.append(Placed(shards[-1 - slot], "", THROTTLED))
            elif slot in errors:
                answers.append(Placed(shards[slot], "", errors[slot]))
            else:
                offset = places[slot]
                places[slot] = offset + 1
                answers.append(Placed(shards[slot], shards[slot].sequence_number(offset)))
        self._count(stream, batches, errors)
        return answers

    def _sort(
        self, stream: Stream, entries: Sequence[Entry], *, limited: bool
    ) -> tuple[list[int], dict[int, list[bytes]]]:
        """For each entry the slot of its shard (``-1 - slot``: throttled), and what to append by slot."""
        ends, pack, slots = stream.range_ends, _HEAD.pack, []
        batches: dict[int, list[bytes]] = {}
        single = len(ends) == 1
        for partition_key, data, explicit in entries:
            key = partition_key.encode()
            hashed = explicit.encode() if explicit else b""
            if single:
                slot = 0
            elif explicit:
                slot = bisect_left(ends, int(explicit))
            else:
                slot = bisect_left(ends, int.from_bytes(md5(key, usedforsecurity=False).digest(), "big"))
            if limited and not self._may_write(stream, slot, len(key) + len(data)):
                slots.append(-1 - slot)
                continue
            slots.append(slot)
            record = pack(len(hashed), len(key)) + key + hashed + data
            batch = batches.get(slot)
            if batch is None:
                batches[slot] = [record]
            else:
                batch.append(record)
        return slots, batches

    def check_limits(self, stream: Stream, entries: Sequence[Entry]) -> None:
        """Count the entries against their shards' limits, or raise and count none.

        A batch goes where the second is not used up yet, also beyond the limit: else a large one would never go.
        """
        if not self._limited:
            return
        slots, batches = self._sort(stream, entries, limited=False)
        uses = {slot: self._use(stream, slot) for slot in batches}
        for slot, (_, records, size) in uses.items():
            if records >= SHARD_RECORDS_PER_SECOND or size >= SHARD_BYTES_PER_SECOND:
                raise api.ProvisionedThroughputExceededException(
                    f"Rate exceeded for shard {stream.open_shards[slot].id} in stream {stream.name} under account "
                    f"{stream.scope.account}."
                )
        for slot, entry in zip(slots, entries, strict=True):
            uses[slot][1] += 1
            uses[slot][2] += len(entry.partition_key.encode()) + len(entry.data)

    def _use(self, stream: Stream, slot: int) -> list[int]:
        """[second, records, bytes] of a shard in the second that is now."""
        second = int(self._k.clock.now())
        if len(self._used) > _USED_MAX:
            self._used.clear()
        used = self._used.setdefault((stream.uid, stream.open_shards[slot].number), [second, 0, 0])
        if used[0] != second:
            used[:] = [second, 0, 0]
        return used

    def _may_write(self, stream: Stream, slot: int, size: int) -> bool:
        used = self._use(stream, slot)
        if used[1] >= SHARD_RECORDS_PER_SECOND or used[2] + size > SHARD_BYTES_PER_SECOND:
            return False
        used[1] += 1
        used[2] += size
        return True

    def _count(self, stream: Stream, batches: dict[int, list[bytes]], errors: dict[int, str]) -> None:
        records = size = 0
        for slot, batch in batches.items():
            if slot in errors:
                self._k.meters.error(stream.arn, len(batch))
            else:
                records += len(batch)
                size += sum(map(len, batch))
        if records:
            self._k.meters.into(stream.arn, records, size)
            self.woken(stream.arn)

    def log(self, stream: Stream, shard: Shard) -> SegmentLog:
        """A shard's log."""
        return self._k.segments.log(stream.log_name(shard))

    def read(self, stream: Stream, shard: Shard, offset: int, records_max: int, bytes_max: int) -> list[LogRecord]:
        """Records from ``offset`` on that retention still keeps."""
        log = self.log(stream, shard)
        horizon = self._k.clock.now() - stream.retention_hours * 3600
        found = log.read(offset, records_max=records_max, bytes_max=bytes_max)
        if found and found[0].arrived < horizon:
            found = log.read(log.offset_at(horizon), records_max=records_max, bytes_max=bytes_max)
        return found

    def trim_horizon(self, stream: Stream, shard: Shard) -> int:
        """The offset of the oldest record that retention still keeps; the tip where there is none."""
        log = self.log(stream, shard)
        horizon = self._k.clock.now() - stream.retention_hours * 3600
        oldest = log.read(log.first_offset, records_max=1, bytes_max=1)
        if not oldest:
            return log.next_offset
        return oldest[0].offset if oldest[0].arrived >= horizon else log.offset_at(horizon)

    def tip(self, stream: Stream, shard: Shard) -> int:
        """The offset of the next record."""
        return self.log(stream, shard).next_offset

    def at(self, stream: Stream, shard: Shard, timestamp: float) -> int:
        """The offset of the first record that arrived at or after ``timestamp`` and is still kept."""
        return max(self.log(stream, shard).offset_at(timestamp), self.trim_horizon(stream, shard))

    def behind(self, stream: Stream, shard: Shard, offset: int) -> int:
        """Milliseconds a reader at ``offset`` is behind the tip; 0 only where nothing is left to read."""
        waiting = self.read(stream, shard, offset, 1, 1)
        return max(int((self._k.clock.now() - waiting[0].arrived) * 1000), 1) if waiting else 0

    def watch(self, arn: str, changed: asyncio.Event) -> None:
        """Set ``changed`` at each put into the stream, until ``unwatch``."""
        self._watchers.setdefault(arn, set()).add(changed)

    def unwatch(self, arn: str, changed: asyncio.Event) -> None:
        """Stop setting it."""
        watchers = self._watchers.get(arn, set())
        watchers.discard(changed)
        if not watchers:
            self._watchers.pop(arn, None)

    def subscribe(self, arn: str, task: str) -> None:
        """Poke ``task`` at each put into the stream."""
        self._subscribers.setdefault(arn, {})[task] = None

    def unsubscribe(self, arn: str, task: str) -> None:
        """Stop poking."""
        waiting = self._subscribers.get(arn, {})
        waiting.pop(task, None)
        if not waiting:
            self._subscribers.pop(arn, None)

    def woken(self, arn: str) -> None:
        """Wake everyone who waits: there are records, or shards were closed and opened."""
        for task in self._subscribers.get(arn, ()):
            self._k.tasks.poke(task)
        for changed in self._watchers.get(arn, ()):
            changed.set()


def check_entry(stream: Stream, entry: Entry) -> None:
    """Raise for a record the stream does not take, with AWS's words."""
    if not entry.partition_key:
        raise api.InvalidArgumentException("PartitionKey is required for stream " + stream.name)
    size = len(entry.data) + len(entry.partition_key.encode())
    if size > stream.record_kib_max << 10:
        raise api.InvalidArgumentException(
            f"Record size exceeds the limit of {stream.record_kib_max << 10} bytes for stream {stream.name} under "
            f"account {stream.scope.account}."
        )
    if entry.explicit_hash_key is not None and int(entry.explicit_hash_key) > HASH_MAX:
        raise api.InvalidArgumentException(
            f"Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. Specified value was "
            f"{entry.explicit_hash_key}"
        )
