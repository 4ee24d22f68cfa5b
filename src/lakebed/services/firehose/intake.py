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
from lakebed.services.firehose import frames, transform
from lakebed.services.firehose.aggregates import MAGIC, parts_of
from lakebed.services.firehose.buffers import Buffers
from lakebed.services.firehose.destinations import s3
from lakebed.services.firehose.expansion import Opened, expanded
from lakebed.services.firehose.journal import Journal
from lakebed.services.firehose.model import DeliveryStream
from lakebed.services.firehose.outlets import Outlets
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

    def __init__(self, k: Kernel, p: Ports, journal: Journal, outlets: Outlets, settings: FirehoseSettings) -> None:
        self._k, self._p, self._journal, self._settings = k, p, journal, settings
        self._seals, self._telemetry = outlets.seals, outlets.telemetry
        self.behind_ms: float | None = None
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
        if stream.source.stream_arn:
            more = self._batch and self._full(rule)
            self.behind_ms = (now - self._batch[-1].arrived) * 1000 if more else 0.0
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
        sorted_out = await self._processed(stream, parameters)
        if sorted_out is None:
            return self._retry_at
        try:
            await self._append(stream, buffers, sorted_out, parameters)
        except AwsError as failure:  # KMS gives no key to seal with
            self._journal.failed(stream, failure.error_code, failure.message)
            return now + _READ_AGAIN_SECONDS
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
            mark, open_data = stream.sealed_mark, self._seals.opener(stream)
            self._take(
                [
                    SourceRecord(open_data(data[len(mark) :]) if data.startswith(mark) else data, arrived, offset)
                    for offset, arrived, data in found
                ],
                ahead,
            )

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
                self._fill_from_shard(principal, arn, place, rule, ahead)
            if self._full(rule):
                return
            if parents_finished and not streams.finished(arn, shard, ahead.get(place, 0)):
                parents_finished = self._is_open(arn, shard)

    def _fill_from_shard(self, principal: Principal, arn: str, place: str, rule: Rule, ahead: dict[str, int]) -> None:
        read, shard = self._p.streams.read, shard_of(place)
        ahead.setdefault(place, 0)
        while not self._full(rule):
            room = rule.size - self._size
            found = read(arn, shard, ahead[place], records_max=self._places, bytes_max=room, principal=principal)
            if not found:
                return
            self._take([each for record in found for each in _taken_apart(record, place)], ahead)

    def _is_open(self, arn: str, shard: str) -> bool:
        """An open shard has no children yet, so nobody need wait for it."""
        return not self._p.streams.finished(arn, shard, 1 << 62)

    async def _processed(
        self, stream: DeliveryStream, parameters: Mapping[str, str] | None
    ) -> list[tuple[SourceRecord, Outcome]] | None:
        """What becomes of each record of the batch; None while the function's invocation is to be tried again."""
        if not stream.transforms:
            return [(record, Outcome(record.data, {})) for record in self._batch]
        opened = expanded(self._batch, stream.steps) if stream.steps else [Opened(record) for record in self._batch]
        good = [each.record for each in opened if each.failure is None]
        if "Decompression" in s3.processors_of(stream.destination):
            failed = len(opened) - len(good)
            names = ("OutputDecompressedRecords.Success", "OutputDecompressedRecords.Failed")
            self._telemetry.put(stream, dict(zip(names, (len(good), failed), strict=True)))
        if parameters is None or not good:
            outcomes = [Outcome(record.data, {}) for record in good]
        else:
            payload = transform.event(
                self._k.ids.uuid(), stream.arn, stream.source.stream_arn, stream.scope.region, good
            )
            if len(payload) > transform.PAYLOAD_BYTES_MAX and self._halve():
                return await self._processed(stream, parameters)
            made = await self._outcomes(stream, parameters, payload, len(good))
            if made is None:
                return None
            outcomes = made
        left = iter(outcomes)
        return [(each.record, each.failure or next(left)) for each in opened]

    async def _outcomes(
        self, stream: DeliveryStream, parameters: Mapping[str, str], payload: bytes, count: int
    ) -> list[Outcome] | None:
        """What the function makes of the records; None while its invocation is to be tried again."""
        if len(payload) > transform.PAYLOAD_BYTES_MAX:
            return transform.all_failed(
                count, "Lambda.InvokeError", "The record exceeds Lambda's request limit of 6 MB."
            )
        clock, arn, began = self._k.clock, parameters["LambdaArn"], self._k.clock.monotonic()
        try:
            role = parameters.get("RoleArn") or stream.destination.get("RoleARN") or stream.storage["RoleARN"]
            principal = self._principal(stream, role)
            end = await self._p.functions.invoke(principal, arn, payload, source_arn=stream.arn)
            code, message = "Lambda.FunctionError", end.payload.decode("utf-8", "replace")[:1000]
            if end.error is None:
                self._attempts += 1
                self._k.meters.link(stream.arn, arn, count)
                took = (clock.monotonic() - began) * 1000
                values = {"ExecuteProcessing.Success": 1, "ExecuteProcessing.Duration": took}
                self._telemetry.put(stream, {**values, "SucceedProcessing.Records": count})
                return transform.outcomes(end.payload, count)
        except AwsError as failure:
            code, message = f"Lambda.{failure.error_code}", failure.message
        self._attempts += 1
        self._journal.failed(stream, code, message, processor=arn)
        self._telemetry.put(stream, {"ExecuteProcessing.Success": 0})
        if self._attempts > int(parameters["NumberOfRetries"]):
            return transform.all_failed(count, code, message)
        self._retry_at = clock.now() + min(2.0 ** (self._attempts - 1), 60.0)
        return None

    def _halve(self) -> bool:
        """Keep the first half of the batch; the records behind it are read again later. False where it has no half."""
        half = len(self._batch) // 2
        while half and self._batch[half].sub:  # an aggregate is read again whole or not at all
            half -= 1
        if not half:
            return False
        kept = self._batch[:half]
        assert self._ahead is not None
        for record in reversed(self._batch[len(kept) :]):
            self._ahead[record.place] = record.offset
        self._batch, self._size = kept, sum(len(record.data) for record in kept)
        return True

    async def _append(
        self,
        stream: DeliveryStream,
        buffers: Buffers,
        sorted_out: Sequence[tuple[SourceRecord, Outcome]],
        parameters: Mapping[str, str] | None,
    ) -> None:
        assert self._ahead is not None
        batch, now = self._batch, self._k.clock.now()
        made = [frames.note(self._ahead, now)]
        dropped, seal = 0, self._seals.sealer(stream)
        if stream.backed_up:
            made += [frames.made(frames.BACKUP, record.arrived, record.data, seal) for record in batch]
        if not stream.transforms:
            made += [frames.made(frames.DATA, record.arrived, record.data, seal) for record in batch]
        else:
            sorter = Sorter(stream, buffers, self._attempts, now, parameters, seal)
            made += [frame for pair in sorted_out if (frame := sorter.frame(*pair))]
            dropped = sorter.dropped
        await self._k.segments.log(stream.buffer_log).append(made)
        self._batch, size = [], self._size
        self._size, self._attempts, self._retry_at = 0, 0, 0.0
        if stream.source.stream_arn:
            taken = sum(1 for record in batch if not record.sub)
            self._k.meters.out(stream.source.stream_arn, taken, size, to=stream.arn)
            self._k.meters.into(stream.arn, len(batch), size)
            names = ("DataReadFromKinesisStream.Records", "DataReadFromKinesisStream.Bytes")
            self._telemetry.put(stream, dict(zip(names, (taken, size), strict=True)))
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
