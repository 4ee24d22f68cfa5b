"""Intake: from the source (a Kinesis stream, or what was put for transformation) through the function into the buffer log.

A batch is read, transformed where a Lambda processor is configured, and appended together with the note that says how far
the source is read now: one append, whole or absent. The batch in hand is in memory (at most 4 MiB) and nowhere else; after
a crash it is read again. A Kinesis source begins at LATEST when the delivery stream is created
(https://docs.aws.amazon.com/firehose/latest/dev/writing-with-kinesis-streams.html), and a shard is not read before all
closed shards listed ahead of it are finished, so the order of a key survives resharding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from lakebed.kernel.errors import AwsError
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Principal
from lakebed.ports.house import Ports
from lakebed.ports.streams import StreamRecord, places, shard_of
from lakebed.services.firehose import destination as s3
from lakebed.services.firehose import frames, transform
from lakebed.services.firehose.aggregates import MAGIC, parts_of
from lakebed.services.firehose.buffers import Buffers
from lakebed.services.firehose.journal import Journal
from lakebed.services.firehose.model import DeliveryStream
from lakebed.services.firehose.settings import FirehoseSettings
from lakebed.services.firehose.sorting import Sorter
from lakebed.services.firehose.transform import Outcome, SourceRecord

SERVICE = "firehose.amazonaws.com"
_BATCH_RECORDS, _BATCH_BYTES = 10_000, 4 << 20
_READ_AGAIN_SECONDS = 10.0
_POLL_SECONDS = 0.05
_DIRECT = ""  # the one "shard" of the source log


class Rule(NamedTuple):
    """When a batch is complete."""

    size: int
    interval: float


class Intake:
    """One delivery stream's intake; owned by its pump."""

    def __init__(self, k: Kernel, p: Ports, journal: Journal, settings: FirehoseSettings) -> None:
        self._k, self._p, self._journal, self._settings = k, p, journal, settings
        self._batch: list[SourceRecord] = []
        self._size = self._limit = 0
        self._ahead: dict[str, int] | None = None
        self._attempts, self._retry_at = 0, 0.0

    @property
    def room(self) -> int:
        """Bytes the batch that is being collected still takes; 0 where the next record begins one."""
        return self._limit - self._size if self._batch else 0

    async def run(self, stream: DeliveryStream, buffers: Buffers) -> float | None:
        """Move one batch if it is complete. Returns when to come again: now for "there may be more"."""
        now = self._k.clock.now()
        if self._k.segments.log(stream.buffer_log).size_bytes > self._settings.backlog_bytes_max:
            return now + _READ_AGAIN_SECONDS
        parameters = s3.lambda_parameters(stream.destination)
        rule = _rule(parameters)
        self._limit = rule.size
        if self._ahead is None:
            self._ahead = dict(buffers.positions)
        before = len(self._batch)
        try:
            self._fill(stream, rule, self._ahead)
        except AwsError as failure:
            self._journal.failed(stream, "Source." + failure.error_code, failure.message)
            return now + _READ_AGAIN_SECONDS
        again = self._listen(stream, busy=len(self._batch) > before)
        if not self._batch:
            return None
        due = self._batch[0].arrived + rule.interval
        if self._full(rule):
            again = now
        elif due > now >= self._batch[0].arrived:
            return due if again is None else min(due, again)
        if self._retry_at > now:
            return self._retry_at
        outcomes = await self._outcomes(stream, parameters) if parameters else None
        if parameters and outcomes is None:
            return self._retry_at
        await self._append(stream, buffers, outcomes, parameters)
        return again

    def _listen(self, stream: DeliveryStream, *, busy: bool) -> float | None:
        """While a stream's records flow, look again soon instead of being woken by each put; when to look again.

        Nothing is missed: between an empty read and this there is no await.
        """
        if not stream.source.stream_arn:
            return None
        if not busy:
            self._p.streams.subscribe(stream.source.stream_arn, stream.task)
            return None
        self._p.streams.unsubscribe(stream.source.stream_arn, stream.task)
        return self._k.clock.now() + _POLL_SECONDS

    def _fill(self, stream: DeliveryStream, rule: Rule, ahead: dict[str, int]) -> None:
        """Read on until the batch is complete or the source is at its tip."""
        if stream.source.stream_arn:
            self._fill_from_kinesis(stream, rule, ahead)
            return
        log = self._k.segments.log(stream.source_log)
        while not self._full(rule):
            found = log.read(ahead.get(_DIRECT, 0), records_max=self._places, bytes_max=rule.size - self._size)
            if not found:
                return
            self._take([SourceRecord(data, arrived, offset) for offset, arrived, data in found], ahead)

    @property
    def _places(self) -> int:
        return _BATCH_RECORDS - len(self._batch)

    def _full(self, rule: Rule) -> bool:
        return self._size >= rule.size or self._places <= 0

    def _take(self, records: Sequence[SourceRecord], ahead: dict[str, int]) -> None:
        self._batch += records
        self._size += sum(len(record.data) for record in records)
        ahead[records[-1].place] = records[-1].offset + 1

    def _fill_from_kinesis(self, stream: DeliveryStream, rule: Rule, ahead: dict[str, int]) -> None:
        arn, streams = stream.source.stream_arn, self._p.streams
        principal = self._principal(stream, stream.source.role_arn)
        self._p.identity.authorise(principal, "kinesis:GetRecords", arn)
        parents_finished = True
        shards = places(streams, arn)
        for gone in ahead.keys() - shards.keys():
            del ahead[gone]
        for place, shard in shards.items():
            if place in ahead or parents_finished:
                self._fill_from_shard(arn, place, rule, ahead)
            if self._full(rule):
                return
            if parents_finished and not streams.finished(arn, shard, ahead.get(place, 0)):
                parents_finished = self._is_open(arn, shard)

    def _fill_from_shard(self, arn: str, place: str, rule: Rule, ahead: dict[str, int]) -> None:
        read, shard = self._p.streams.read, shard_of(place)
        ahead.setdefault(place, 0)
        while not self._full(rule):
            found = read(arn, shard, ahead[place], records_max=self._places, bytes_max=rule.size - self._size)
            if not found:
                return
            self._take([each for record in found for each in _taken_apart(record, place)], ahead)

    def _is_open(self, arn: str, shard: str) -> bool:
        """An open shard has no children yet, so nobody need wait for it."""
        return not self._p.streams.finished(arn, shard, 1 << 62)

    async def _outcomes(self, stream: DeliveryStream, parameters: Mapping[str, str]) -> list[Outcome] | None:
        """What the function makes of the batch; None while its invocation is to be tried again."""
        batch, clock = self._batch, self._k.clock
        payload = transform.event(self._k.ids.uuid(), stream.arn, stream.source.stream_arn, stream.scope.region, batch)
        arn = parameters["LambdaArn"]
        if len(payload) > transform.PAYLOAD_BYTES_MAX:
            return await self._outcomes_by_halves(stream, parameters)
        try:
            principal = self._principal(stream, parameters.get("RoleArn") or stream.destination["RoleARN"])
            end = await self._p.functions.invoke(principal, arn, payload, source_arn=stream.arn)
            code, message = "Lambda.FunctionError", end.payload.decode("utf-8", "replace")[:1000]
            if end.error is None:
                self._attempts += 1
                return transform.outcomes(end.payload, len(batch))
        except AwsError as failure:
            code, message = f"Lambda.{failure.error_code}", failure.message
        self._attempts += 1
        self._journal.failed(stream, code, message, processor=arn)
        if self._attempts > int(parameters["NumberOfRetries"]):
            return transform.all_failed(len(batch), code, message)
        self._retry_at = clock.now() + min(2.0 ** (self._attempts - 1), 60.0)
        return None

    async def _outcomes_by_halves(self, stream: DeliveryStream, parameters: Mapping[str, str]) -> list[Outcome] | None:
        """A batch whose event is over Lambda's limit: the records behind the first half are read again later."""
        half = len(self._batch) // 2
        while half and self._batch[half].sub:  # an aggregate is read again whole or not at all
            half -= 1
        if not half:
            count = len(self._batch)
            return transform.all_failed(
                count, "Lambda.InvokeError", "The record exceeds Lambda's request limit of 6 MB."
            )
        kept = self._batch[:half]
        assert self._ahead is not None
        for record in reversed(self._batch[len(kept) :]):
            self._ahead[record.place] = record.offset
        self._batch, self._size = kept, sum(len(record.data) for record in kept)
        return await self._outcomes(stream, parameters)

    async def _append(
        self,
        stream: DeliveryStream,
        buffers: Buffers,
        outcomes: Sequence[Outcome] | None,
        parameters: Mapping[str, str] | None,
    ) -> None:
        assert self._ahead is not None
        batch, now = self._batch, self._k.clock.now()
        made = [frames.note(self._ahead, now)]
        dropped = 0
        if stream.backed_up:
            made += [frames.head(frames.BACKUP, record.arrived) + record.data for record in batch]
        if not stream.transforms:
            heads: dict[float, bytes] = {}
            for record in batch:
                head = heads.get(record.arrived)
                if head is None:
                    head = heads[record.arrived] = frames.head(frames.DATA, record.arrived)
                made.append(head + record.data)
        else:
            sorter = Sorter(stream, buffers, self._attempts, now, parameters)
            if outcomes is None:
                outcomes = [Outcome(record.data, {}) for record in batch]
            made += [frame for pair in zip(batch, outcomes, strict=True) if (frame := sorter.frame(*pair))]
            dropped = sorter.dropped
        await self._k.segments.log(stream.buffer_log).append(made)
        self._batch, size = [], self._size
        self._size, self._attempts, self._retry_at = 0, 0, 0.0
        if stream.source.stream_arn:
            taken = sum(1 for record in batch if not record.sub)
            self._k.meters.out(stream.source.stream_arn, taken, size, to=stream.arn)
            self._k.meters.into(stream.arn, len(batch), size)
        if dropped:
            self._k.meters.drop(stream.arn, dropped)

    def _principal(self, stream: DeliveryStream, role_arn: str) -> Principal:
        return self._p.identity.service_session(role_arn, SERVICE, session_name=stream.name)


def _taken_apart(record: StreamRecord, place: str) -> list[SourceRecord]:
    """The records of a stream's record: itself, unless it is an aggregate."""
    data, arrived, offset, number = record.data, record.arrived, record.offset, record.sequence_number
    parts = parts_of(data) if data.startswith(MAGIC) else None
    if parts is None:
        return [SourceRecord(data, arrived, offset, place, record.partition_key, number)]
    return [SourceRecord(part, arrived, offset, place, key, number, sub) for sub, (key, part) in enumerate(parts)]


def _rule(parameters: Mapping[str, str] | None) -> Rule:
    if parameters is None:
        return Rule(_BATCH_BYTES, 0.0)
    return Rule(int(float(parameters["BufferSizeInMBs"]) * (1 << 20)), float(parameters["BufferIntervalInSeconds"]))
