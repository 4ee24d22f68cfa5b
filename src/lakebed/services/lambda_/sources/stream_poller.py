"""The task of one Kinesis mapping: each shard in its order, one batch of it at a time, from a durable checkpoint.

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
from typing import Any

from lakebed.kernel.errors import AwsError
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Scope
from lakebed.ports.house import Ports
from lakebed.ports.runtime import Execution
from lakebed.ports.streams import StreamRecord, places, shard_of
from lakebed.services.lambda_.invoking import Event, Invoker
from lakebed.services.lambda_.model import FunctionVersion
from lakebed.services.lambda_.names import Reference, function_arn
from lakebed.services.lambda_.sources import events, filters
from lakebed.services.lambda_.sources.mapping import Mapping
from lakebed.services.lambda_.sources.queue_poller import record_result
from lakebed.services.lambda_.sources.store import Checkpoint, MappingStore
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
            if self.p.streams.finished(mapping.source, shard, at.offset):
                self._oldest.pop(place, None)
                continue
            wake = self._shard(mapping, version, place, at)
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
        records = self.p.streams.read(
            mapping.source, shard_of(place), at.offset, records_max=max(1, limit), bytes_max=_READ_BYTES_MAX
        )
        if at.until is not None:
            records = [record for record in records if record.offset < at.until] or records
        if not records:
            self._window_ends.pop(place, None)
            self._oldest.pop(place, None)
            return None
        self._oldest[place] = records[0].arrived
        ends = self._window_ends.setdefault(place, now + mapping.window)
        size = sum(len(record.data) for record in records)
        if (
            at.attempts == 0
            and at.until is None
            and len(records) < limit
            and size < _READ_BYTES_MAX // 2
            and now < ends
        ):
            return ends
        self._window_ends.pop(place, None)
        self._start(mapping, version, place, at, records)
        return None

    def _start(
        self, mapping: Mapping, version: FunctionVersion, place: str, at: Checkpoint, records: Sequence[StreamRecord]
    ) -> None:
        task = asyncio.create_task(self._run(mapping, version, place, at, records), name=f"{self.name}:{place}")
        self._running[place] = task

        def ended(finished: asyncio.Task[None]) -> None:
            self._running.pop(place, None)
            if not finished.cancelled() and (failure := finished.exception()) is not None:
                self.k.log.error("batch broke", mapping=self.uuid, shard=place, exc=failure)
                return  # the period tries again
            self.k.tasks.poke(self.name)

        task.add_done_callback(ended)

    async def _run(
        self, mapping: Mapping, version: FunctionVersion, place: str, at: Checkpoint, records: Sequence[StreamRecord]
    ) -> None:
        with self.k.clock.working():
            now = self.k.clock.now()
            old = [record for record in records if 0 <= mapping.age < now - record.arrived]
            if old:
                await self._give_up(mapping, version, place, old, "RecordAgeExceeded", at.attempts)
                self._save(place, Checkpoint(old[-1].offset + 1))
                return
            then = records[-1].offset + 1
            records = self._wanted(mapping, records)
            if not records:
                self._save(place, Checkpoint(then))
                return
            encoded = [
                events.stream_record(mapping.source, shard_of(place), version.role, record) for record in records
            ]
            count = events.fitting([len(one) for one in encoded])
            if count < len(records):
                records, encoded, then = records[:count], encoded[:count], records[count].offset
            named = Reference(self.scope, mapping.function, mapping.qualifier or None)
            self.k.meters.link(mapping.source, function_arn(self.scope, mapping.function), len(records))
            try:
                came = await self.invoker.run(
                    named, version, Event(events.event(encoded), self.k.ids.uuid(), records=len(records))
                )
            except AwsError as failure:
                record_result(self.store, self.scope, self.uuid, f"PROBLEM: {failure.error_code}: {failure.message}")
                self._save(place, Checkpoint(at.offset, at.attempts, at.until, self.k.clock.now() + 1.0))
                return
            if self._first_failed(mapping, came, records) is None:
                self._save(place, Checkpoint(then))
                record_result(self.store, self.scope, self.uuid, "OK")
                return
            await self._after_failure(mapping, version, place, at, records, came)

    def _wanted(self, mapping: Mapping, records: Sequence[StreamRecord]) -> list[StreamRecord]:
        """The records that pass the mapping's filters; the others are passed over."""
        wanted = [record for record in records if filters.passes_record(mapping.filters, record)]
        if len(wanted) < len(records):
            self.k.meters.drop(function_arn(self.scope, mapping.function), len(records) - len(wanted))
        return wanted

    async def _after_failure(
        self,
        mapping: Mapping,
        version: FunctionVersion,
        place: str,
        at: Checkpoint,
        records: Sequence[StreamRecord],
        came: Execution,
    ) -> None:
        first_failed = self._first_failed(mapping, came, records) or 0
        record_result(self.store, self.scope, self.uuid, "PROBLEM: Function call failed")
        offsets = [record.offset for record in records]
        then, given_up = after_failure(mapping, at, offsets, self.k.clock.now(), first_failed)
        if given_up:
            await self._give_up(mapping, version, place, records, "RetryAttemptsExhausted", at.attempts + 1, came)
        self._save(place, then)

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

    async def _give_up(
        self,
        mapping: Mapping,
        version: FunctionVersion,
        place: str,
        records: Sequence[StreamRecord],
        condition: str,
        attempts: int,
        came: Execution | None = None,
    ) -> None:
        """Records that will not be tried again: counted, logged, and told to the destination."""
        self.k.meters.drop(function_arn(self.scope, mapping.function), len(records))
        self.k.log.warning("batch given up", mapping=self.uuid, shard=place, reason=condition, records=len(records))
        if not mapping.on_failure:
            return
        first, last = records[0], records[-1]
        told: dict[str, Any] = {
            "requestContext": {
                "requestId": self.k.ids.uuid(),
                "functionArn": function_arn(self.scope, mapping.function, mapping.qualifier or None),
                "condition": condition,
                "approximateInvokeCount": attempts,
            },
            "version": "1.0",
            "timestamp": write_iso_millis(self.k.clock.now()),
            "KinesisBatchInfo": {
                "shardId": shard_of(place),
                "startSequenceNumber": first.sequence_number,
                "endSequenceNumber": last.sequence_number,
                "approximateArrivalOfFirstRecord": write_iso_millis(first.arrived),
                "approximateArrivalOfLastRecord": write_iso_millis(last.arrived),
                "batchSize": len(records),
                "streamArn": mapping.source,
            },
        }
        if came is not None:
            told["responseContext"] = {
                "statusCode": 200,
                "executedVersion": version.version,
                "functionError": came.error,
            }
        try:
            role = self.invoker.role_session(version, mapping.function)
            await self.p.queues.send(role, mapping.on_failure, [json.dumps(told)])
        except AwsError as failure:
            self.k.log.warning("destination failed", mapping=self.uuid, exc=failure)
