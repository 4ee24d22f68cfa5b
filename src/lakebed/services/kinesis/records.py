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
from collections.abc import Mapping, Sequence
from hashlib import md5
from typing import NamedTuple

from lakebed.api import kinesis as api
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Principal
from lakebed.kernel.segment import LogRecord
from lakebed.kernel.segments import SegmentLog
from lakebed.services.kinesis.limits import Limits
from lakebed.services.kinesis.model import BY_US, HASH_MAX, Shard, Stream
from lakebed.services.kinesis.sealing import Seals
from lakebed.services.kinesis.telemetry import Telemetry, Written

PUT_RECORDS_MAX = 500
PUT_BYTES_MAX = 10 << 20
_TURNS_MAX = 10_000
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


def decode(raw: bytes) -> tuple[str, bytes]:
    """Partition key and data of a logged record, once it is opened."""
    explicit, key = _HEAD.unpack_from(raw)
    start = _HEAD_BYTES + key
    return raw[_HEAD_BYTES:start].decode(), raw[start + explicit :]


def _written(
    shards: Sequence[Shard], slots: Sequence[int], batches: Mapping[int, Sequence[bytes]], errors: Mapping[int, str]
) -> dict[int, Written]:
    """What a call wrote, by shard number."""
    throttled: dict[int, int] = {}
    for slot in slots:
        if slot < 0:
            throttled[-1 - slot] = throttled.get(-1 - slot, 0) + 1
    made = {}
    for slot in {*batches, *throttled}:
        batch = () if slot in errors else batches.get(slot, ())
        made[shards[slot].number] = Written(len(batch), sum(map(len, batch)), throttled.get(slot, 0))
    return made


class Records:
    """Puts and reads of all streams; also wakes those who wait for a stream's records."""

    def __init__(self, k: Kernel, limits: Limits, seals: Seals, telemetry: Telemetry) -> None:
        self._k, self.limits, self.seals, self.telemetry = k, limits, seals, telemetry
        self._turns: dict[str, int] = {}
        self._subscribers: dict[str, dict[str, None]] = {}
        self._watchers: dict[str, set[asyncio.Event]] = {}

    async def put(
        self, principal: Principal, stream: Stream, entries: Sequence[Entry], operation: str, *, limited: bool = True
    ) -> list[Placed]:
        """Append every entry the limits allow; the answers in the order of the entries. Durable when this returns.

        ``limited=False`` after ``check_limits``. KMS's errors where the stream is encrypted and its key gives none.
        """
        began = self._k.clock.monotonic()
        seal = self.seals.sealer(principal, stream)
        slots, batches = self._sort(stream, entries, limited=limited and self.limits.enforced)
        shards = stream.open_shards
        errors: dict[int, str] = {}
        places: dict[int, int] = {}
        touched: SegmentLog | None = None
        for slot, batch in batches.items():
            log = self._k.segments.log(stream.log_name(shards[slot]))
            try:
                places[slot] = log.append_unsynced(batch if seal is None else [seal(record) for record in batch])
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
        failed = self._count(stream, batches, errors)
        written = _written(shards, slots, batches, errors)
        self.telemetry.put(stream, operation, written, failed, self._k.clock.monotonic() - began)
        return answers

    def _sort(
        self, stream: Stream, entries: Sequence[Entry], *, limited: bool
    ) -> tuple[list[int], dict[int, list[bytes]]]:
        """For each entry the slot of its shard (``-1 - slot``: throttled), and what to append by slot."""
        ends, pack, slots = stream.range_ends, _HEAD.pack, []
        batches: dict[int, list[bytes]] = {}
        single, ours, shards = len(ends) == 1, stream.distribution == BY_US, stream.open_shards
        for partition_key, data, explicit in entries:
            key = partition_key.encode()
            hashed = explicit.encode() if explicit else b""
            if single:
                slot = 0
            elif ours:
                slot = self._turn(stream, len(ends))
            elif explicit:
                slot = bisect_left(ends, int(explicit))
            else:
                slot = bisect_left(ends, int.from_bytes(md5(key, usedforsecurity=False).digest(), "big"))
            if limited and not self.limits.may_write((stream.uid, shards[slot].number), len(key) + len(data)):
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

    def _turn(self, stream: Stream, count: int) -> int:
        """The next shard of a stream whose records we distribute."""
        if len(self._turns) > _TURNS_MAX:
            self._turns.clear()
        turn = self._turns[stream.uid] = self._turns.get(stream.uid, 0) + 1
        return turn % count

    def check_limits(self, stream: Stream, entries: Sequence[Entry]) -> None:
        """Count the entries against their shards' limits, or raise and count none.

        A batch goes where the second is not used up yet, also beyond the limit: else a large one would never go.
        """
        if not self.limits.enforced:
            return
        slots, batches = self._sort(stream, entries, limited=False)
        shards = stream.open_shards
        uses = {slot: self.limits.writing((stream.uid, shards[slot].number)) for slot in batches}
        for slot, use in uses.items():
            if use.full:
                raise api.ProvisionedThroughputExceededException(
                    f"Rate exceeded for shard {shards[slot].id} in stream {stream.name} under account "
                    f"{stream.scope.account}."
                )
        for slot, entry in zip(slots, entries, strict=True):
            uses[slot].add(1, len(entry.partition_key.encode()) + len(entry.data))

    def _count(self, stream: Stream, batches: dict[int, list[bytes]], errors: dict[int, str]) -> int:
        """Tell the meters; how many records met an error."""
        records = size = failed = 0
        for slot, batch in batches.items():
            if slot in errors:
                failed += len(batch)
            else:
                records += len(batch)
                size += sum(map(len, batch))
        if failed:
            self._k.meters.error(stream.arn, failed)
        if records:
            self._k.meters.into(stream.arn, records, size)
            self.woken(stream.arn)
        return failed

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
    if not entry.partition_key and stream.distribution != BY_US:
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
