"""The task of one stream mapping: each shard in its order, from a durable checkpoint, one batch of it at a time or, with a
ParallelizationFactor, one of each lane (``lanes.py``); with a tumbling window each with its state (``tumbling.py``).

A batch that fails is tried again (halved first, where asked) until it succeeds, its retries are used up or its records are
too old; the shard waits meanwhile. A shard begins when every closed shard listed before it (parents come before children)
has been read to its end. The checkpoint is written after the function succeeded: at least once.

https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-batchfailurereporting.html
https://docs.aws.amazon.com/lambda/latest/dg/kinesis-on-failure-destination.html
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from lakebed.kernel.errors import AwsError
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Scope
from lakebed.ports.house import Ports
from lakebed.ports.runtime import Execution
from lakebed.ports.streams import StreamRecord, places, shard_of
from lakebed.services.lambda_.destinations import Destinations, Notice
from lakebed.services.lambda_.invoking import Event, Invoker
from lakebed.services.lambda_.model import FunctionVersion
from lakebed.services.lambda_.names import Reference, function_arn
from lakebed.services.lambda_.sources import events, filters, tumbling
from lakebed.services.lambda_.sources.lanes import Round, split
from lakebed.services.lambda_.sources.mapping import Mapping
from lakebed.services.lambda_.sources.queue_poller import counted, record_result
from lakebed.services.lambda_.sources.store import Checkpoint, MappingStore
from lakebed.services.lambda_.sources.tumbling import Window
from lakebed.wire.aws.scalars import write_iso_millis

_PROBLEM_SECONDS = 10.0
_PAUSE_SECONDS_MAX = 60.0
_READ_BYTES_MAX = 4_400_000  # base64 makes 5.9 MB of it


def first_checkpoints(ports: Ports, mapping: Mapping) -> dict[str, Checkpoint]:
    """Where a new mapping begins in each shard there is now."""
    return {
        place: Checkpoint(ports.streams.position(mapping.source, shard, mapping.starting, mapping.starting_at))
        for place, shard in places(ports.streams, mapping.source).items()
    }


def after_failure(
    mapping: Mapping, at: Checkpoint, offsets: Sequence[int], now: float, first_failed: int = 0
) -> tuple[Checkpoint, bool]:
    """Where to go on after a failed batch, and whether it was given up. Pure.

    ``first_failed`` is the place of the first record that failed: what lies before it is done.
    """
    if first_failed:
        return Checkpoint(offsets[first_failed], 1, None, now + 1.0), False
    attempts = at.attempts + 1
    if mapping.bisect and len(offsets) > 1:
        return Checkpoint(at.offset, at.attempts, offsets[len(offsets) // 2], now + 1.0), False
    if 0 <= mapping.retries < attempts:
        return Checkpoint(offsets[-1] + 1), True
    pause = min(2.0 ** min(attempts - 1, 10), _PAUSE_SECONDS_MAX)
    return Checkpoint(at.offset, attempts, at.until, now + pause), False


@dataclass(frozen=True, slots=True)
class Batch:
    """Records of a shard on their way to the function; ``final`` closes a tumbling window and has none."""

    place: str
    at: Checkpoint
    records: Sequence[StreamRecord]
    window: Window | None = None
    final: bool = False
    lane: int | None = None


@dataclass(frozen=True, slots=True)
class Came:
    """What a function made of a batch; ``then`` is the offset behind it."""

    execution: Execution
    records: Sequence[StreamRecord]
    then: int


@dataclass(frozen=True, slots=True)
class Loss:
    """Records that are given up, and why."""

    records: Sequence[StreamRecord]
    condition: str
    attempts: int
    came: Execution | None = None


class StreamPoller:
    """A kernel Task; ``stop`` ends the batches under way."""

    period = 20.0

    def __init__(
        self, kernel: Kernel, ports: Ports, invoker: Invoker, store: MappingStore, of: tuple[Scope, Mapping]
    ) -> None:
        self.k, self.p, self.invoker, self.store = kernel, ports, invoker, store
        self.scope, mapping = of
        self.uuid, self.name = mapping.uuid, mapping.task
        self._running: dict[str, asyncio.Task[None]] = {}
        self._window_ends: dict[str, float] = {}
        self._rounds: dict[str, Round] = {}
        self._destinations = Destinations(kernel, ports)
        self._oldest: dict[str, float] = {}  # arrival of the first unread record, by shard

    async def activate(self) -> float | None:
        """Start a batch of every shard that has one; woken by the stream, a window's or a pause's end, or an ended batch."""
        mapping = self.store.get(self.scope, self.uuid)
        if mapping is None or not mapping.enabled:
            self._window_ends.clear()
            return None
        try:
            return self._poll(mapping)
        except AwsError as failure:
            record_result(self.store, self.scope, self.uuid, f"PROBLEM: {failure.error_code}: {failure.message}")
            return self.k.clock.now() + _PROBLEM_SECONDS

    @property
    def busy(self) -> bool:
        """Whether batches are under way."""
        return bool(self._running)

    async def stop(self) -> None:
        """End the batches under way; their checkpoints stay."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _poll(self, mapping: Mapping) -> float | None:
        version = self.invoker.resolve(Reference(self.scope, mapping.function, mapping.qualifier or None))
        role = self.invoker.role_session(version, mapping.function)
        self.p.identity.authorise(role, "kinesis:GetRecords", mapping.source)
        shards = places(self.p.streams, mapping.source)
        checkpoints = self._known(mapping, shards)
        wakes = []
        for place, shard in shards.items():
            at = checkpoints[place]
            if self.p.streams.finished(mapping.source, shard, at.offset) and at.window is None:
                self._oldest.pop(place, None)
                continue
            in_lanes = mapping.parallel > 1 or place in self._rounds
            wake = (self._lanes if in_lanes else self._shard)(mapping, version, place, at)
            if wake is not None:
                wakes.append(wake)
            tip = self.p.streams.position(mapping.source, shard, "LATEST")
            if self.p.streams.finished(mapping.source, shard, tip):
                break  # a closed shard that is not read to its end: its children come later in the list
        behind = self.k.clock.now() - min(self._oldest.values(), default=self.k.clock.now())
        self.k.meters.lag(function_arn(self.scope, mapping.function), seconds=max(0.0, behind))
        return min(wakes, default=None)

    def _known(self, mapping: Mapping, shards: dict[str, str]) -> dict[str, Checkpoint]:
        """Checkpoints of all shards: one that appeared later is read from its beginning."""
        known = self.store.checkpoints(self.scope, self.uuid)
        fresh = [place for place in shards if place not in known]
        gone = [place for place in known if place not in shards]
        for place in gone:
            self._oldest.pop(place, None)
            self._window_ends.pop(place, None)
            self._rounds.pop(place, None)
        if fresh or gone:
            with self.k.db.tx() as tx:
                for place in fresh:
                    start = self.p.streams.position(mapping.source, shards[place], "TRIM_HORIZON")
                    known[place] = Checkpoint(start)
                    self.store.put_checkpoint(tx, self.scope, self.uuid, place, known[place])
                self.store.forget_checkpoints(tx, self.scope, self.uuid, gone)
        return known

    def _shard(self, mapping: Mapping, version: FunctionVersion, place: str, at: Checkpoint) -> float | None:
        """Start the next batch of a shard, or say when to look again."""
        now = self.k.clock.now()
        if place in self._running:
            return None
        if at.retry_at > now:
            return at.retry_at
        limit = mapping.batch_size if at.until is None else min(mapping.batch_size, at.until - at.offset)
        records = self._read(mapping, version, place, at, max(1, limit))
        if at.until is not None:
            records = [record for record in records if record.offset < at.until] or records
        window = at.window
        if window is not None and tumbling.is_over(window, records, now):
            self._start(mapping, version, Batch(place, at, (), window, final=True))
            return None
        if not records:
            return None if window is None else window.end + 1.0
        if mapping.tumbling:
            window = window or tumbling.window_of(records[0], mapping.tumbling)
            records = tumbling.within(window, records) or records[:1]
        if (ends := self._gathers(mapping, place, at, records, limit)) is not None:
            return ends
        self._start(mapping, version, Batch(place, at, records, window))
        return None

    def _lanes(self, mapping: Mapping, version: FunctionVersion, place: str, at: Checkpoint) -> float | None:
        """Start the next batch of each lane, or say when to look again."""
        now, lanes = self.k.clock.now(), self._rounds.get(place)
        if lanes is None:
            if place in self._running:
                return None
            limit = mapping.batch_size * mapping.parallel
            records = self._read(mapping, version, place, at, limit)
            if not records:
                return None
            if (ends := self._gathers(mapping, place, at, records, limit)) is not None:
                return ends
            lanes = self._rounds[place] = split(records, mapping.parallel)
        wakes = []
        for number, lane in lanes.lanes.items():
            records = lane.rest(mapping.batch_size)
            if not records or f"{place}#{number}" in self._running:
                continue
            if lane.at.retry_at > now:
                wakes.append(lane.at.retry_at)
                continue
            self._start(mapping, version, Batch(place, lane.at, records, lane=number))
        return min(wakes, default=None)

    def _read(
        self, mapping: Mapping, version: FunctionVersion, place: str, at: Checkpoint, limit: int
    ) -> Sequence[StreamRecord]:
        role = self.invoker.role_session(version, mapping.function)
        records = self.p.streams.read(
            mapping.source, shard_of(place), at.offset, records_max=limit, bytes_max=_READ_BYTES_MAX, principal=role
        )
        if not records:
            self._window_ends.pop(place, None)
            self._oldest.pop(place, None)
        else:
            self._oldest[place] = records[0].arrived
        return records

    def _gathers(
        self, mapping: Mapping, place: str, at: Checkpoint, records: Sequence[StreamRecord], limit: int
    ) -> float | None:
        """Until when to wait for more; None where the batch is to go."""
        now = self.k.clock.now()
        ends = self._window_ends.setdefault(place, now + mapping.window)
        size = sum(len(record.data) for record in records)
        is_first = at.attempts == 0 and at.until is None
        if is_first and len(records) < limit and size < _READ_BYTES_MAX // 2 and now < ends:
            return ends
        self._window_ends.pop(place, None)
        return None

    def _start(self, mapping: Mapping, version: FunctionVersion, batch: Batch) -> None:
        key = batch.place if batch.lane is None else f"{batch.place}#{batch.lane}"
        task = asyncio.create_task(self._run(mapping, version, batch), name=f"{self.name}:{key}")
        self._running[key] = task

        def ended(finished: asyncio.Task[None]) -> None:
            self._running.pop(key, None)
            if not finished.cancelled() and (failure := finished.exception()) is not None:
                self.k.log.error("batch broke", mapping=self.uuid, shard=batch.place, exc=failure)
                return  # the period tries again
            self.k.tasks.poke(self.name)

        task.add_done_callback(ended)

    async def _run(self, mapping: Mapping, version: FunctionVersion, batch: Batch) -> None:
        with self.k.clock.working():
            now, at, records = self.k.clock.now(), batch.at, batch.records
            old = [record for record in records if 0 <= mapping.age < now - record.arrived]
            if old:
                await self._give_up(mapping, version, batch, Loss(old, "RecordAgeExceeded", at.attempts))
                self._finish(batch, Checkpoint(old[-1].offset + 1, window=batch.window))
                return
            then = records[-1].offset + 1 if records else at.offset
            records = self._wanted(mapping, records)
            if not records and not batch.final:
                self._finish(batch, Checkpoint(then, window=batch.window))
                return
            shard = shard_of(batch.place)
            encoded = [events.stream_record(mapping.source, shard, version.role, record) for record in records]
            count = events.fitting([len(one) for one in encoded])
            if count < len(records):
                records, encoded, then = records[:count], encoded[:count], records[count].offset
            beside = None
            if batch.window is not None:
                beside = tumbling.members(batch.window, mapping.source, shard, final=batch.final)
            came = await self._invoke(mapping, version, records, events.event(encoded, beside))
            if came is None:  # throttled, or not to be run: tried again, and no retry
                self._finish(batch, msgspec.structs.replace(at, retry_at=self.k.clock.now() + 1.0))
                return
            await self._after(mapping, version, batch, Came(came, records, then))

    async def _invoke(
        self, mapping: Mapping, version: FunctionVersion, records: Sequence[StreamRecord], payload: bytes
    ) -> Execution | None:
        named = Reference(self.scope, mapping.function, mapping.qualifier or None)
        self.k.meters.link(mapping.source, function_arn(self.scope, mapping.function), len(records))
        if records:
            age = (self.k.clock.now() - records[-1].arrived) * 1000
            of = {"FunctionName": mapping.function}
            self.p.metrics.put(self.scope, "AWS/Lambda", [("IteratorAge", of, max(0.0, age), "Milliseconds")])
        counted(self.p, self.scope, mapping, "InvokedEventCount", len(records))
        try:
            return await self.invoker.run(named, version, Event(payload, self.k.ids.uuid(), records=len(records)))
        except AwsError as failure:
            record_result(self.store, self.scope, self.uuid, f"PROBLEM: {failure.error_code}: {failure.message}")
            return None

    async def _after(self, mapping: Mapping, version: FunctionVersion, batch: Batch, came: Came) -> None:
        """Go on behind what succeeded; try the rest again, or give it up."""
        first_failed = self._first_failed(mapping, came.execution, came.records)
        window = batch.window
        if window is not None and not batch.final and first_failed is None:
            window = tumbling.after(window, came.execution.payload)
            first_failed = 0 if window is None else None
        if first_failed is None:
            self._finish(batch, Checkpoint(came.then, window=None if batch.final else window))
            record_result(self.store, self.scope, self.uuid, "OK")
            return
        record_result(self.store, self.scope, self.uuid, "PROBLEM: Function call failed")
        counted(self.p, self.scope, mapping, "FailedInvokeEventCount", len(came.records))
        offsets = [record.offset for record in came.records] or [batch.at.offset - 1]
        then, given_up = after_failure(mapping, batch.at, offsets, self.k.clock.now(), first_failed)
        if given_up:
            loss = Loss(came.records, "RetryAttemptsExhausted", batch.at.attempts + 1, came.execution)
            await self._give_up(mapping, version, batch, loss)
        kept = None if batch.final and given_up else batch.window
        self._finish(batch, msgspec.structs.replace(then, window=kept))

    def _finish(self, batch: Batch, checkpoint: Checkpoint) -> None:
        """A batch's end: of the shard, or of one lane of its round."""
        if batch.lane is None:
            self._save(batch.place, checkpoint)
            return
        lanes = self._rounds.get(batch.place)
        if lanes is None:
            return
        lanes.lanes[batch.lane].at = checkpoint
        if lanes.is_done():
            del self._rounds[batch.place]
            self._save(batch.place, Checkpoint(lanes.end))

    def _wanted(self, mapping: Mapping, records: Sequence[StreamRecord]) -> list[StreamRecord]:
        """The records that pass the mapping's filters; the others are passed over."""
        wanted = [record for record in records if filters.passes_record(mapping.filters, record)]
        counted(self.p, self.scope, mapping, "PolledEventCount", len(records))
        if len(wanted) < len(records):
            counted(self.p, self.scope, mapping, "FilteredOutEventCount", len(records) - len(wanted))
            self.k.meters.drop(function_arn(self.scope, mapping.function), len(records) - len(wanted))
        return wanted

    def _first_failed(self, mapping: Mapping, came: Execution, records: Sequence[StreamRecord]) -> int | None:
        if came.error:
            return 0
        if not mapping.report_failures:
            return None
        numbers = [record.sequence_number for record in records]
        failed = events.failed_items(came.payload, numbers)
        if failed is None:
            return 0
        return min((numbers.index(number) for number in failed), default=None)

    def _save(self, place: str, checkpoint: Checkpoint) -> None:
        with self.k.db.tx() as tx:
            self.store.put_checkpoint(tx, self.scope, self.uuid, place, checkpoint)

    async def _give_up(self, mapping: Mapping, version: FunctionVersion, batch: Batch, loss: Loss) -> None:
        """Records that will not be tried again: counted, logged, and told to the destination."""
        records, shard = loss.records, shard_of(batch.place)
        arn = function_arn(self.scope, mapping.function, mapping.qualifier or None)
        self.k.meters.drop(function_arn(self.scope, mapping.function), len(records))
        counted(self.p, self.scope, mapping, "DroppedEventCount", len(records))
        self.k.log.warning(
            "batch given up", mapping=self.uuid, shard=shard, reason=loss.condition, records=len(records)
        )
        if not mapping.on_failure or not records:
            return
        told = loss_record(self.k, mapping, (arn, shard), loss)
        if loss.came is not None:
            told["responseContext"] = {
                "statusCode": 200, "executedVersion": version.version, "functionError": loss.came.error,
            }  # fmt: skip
        if (
            mapping.on_failure.startswith("arn:") and ":s3:::" in mapping.on_failure
        ):  # a bucket gets the records as well
            encoded = [events.stream_record(mapping.source, shard, version.role, record) for record in records]
            told["payload"] = events.event(encoded).decode()
        try:
            role = self.invoker.role_session(version, mapping.function)
        except AwsError as failure:
            self.k.log.warning("destination failed", mapping=self.uuid, exc=failure)
            return
        notice = Notice(json.dumps(told), self.scope, arn, folder=f"{mapping.uuid}/{shard}")
        if await self._destinations.try_to(role, mapping.on_failure, notice):
            counted(self.p, self.scope, mapping, "OnFailureDestinationDeliveredEventCount", len(records))


def loss_record(kernel: Kernel, mapping: Mapping, where: tuple[str, str], loss: Loss) -> dict[str, Any]:
    """What a destination is told of records that were given up; ``where`` is the function's ARN and the shard."""
    first, last = loss.records[0], loss.records[-1]
    return {
        "requestContext": {
            "requestId": kernel.ids.uuid(),
            "functionArn": where[0],
            "condition": loss.condition,
            "approximateInvokeCount": loss.attempts,
        },
        "version": "1.0",
        "timestamp": write_iso_millis(kernel.clock.now()),
        "KinesisBatchInfo": {
            "shardId": where[1],
            "startSequenceNumber": first.sequence_number,
            "endSequenceNumber": last.sequence_number,
            "approximateArrivalOfFirstRecord": write_iso_millis(first.arrived),
            "approximateArrivalOfLastRecord": write_iso_millis(last.arrived),
            "batchSize": len(loss.records),
            "streamArn": mapping.source,
        },
    }
