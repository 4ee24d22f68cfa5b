"""Delivery: sealed buffers into S3, each exactly once as far as a crash allows.

An object is first planned (which records, which key: one transaction), then put, then marked. A crash after the plan puts
the same records under the same key again; a crash after the put does so over the object that is there; after the mark there
is nothing left to do. So no record is lost and no second object appears. A put that fails stays planned and is tried again
with backoff on the clock; its lane waits, other lanes go on. Where the destination has a retry duration (an HTTP endpoint, a
partitioned bucket) and it is over, the records go to the error prefix as JSON lines (``spill.py``). What could not be put for
as long as AWS keeps it (24 hours, a Kinesis source's retention) is given up: logged and counted as dropped.
https://docs.aws.amazon.com/firehose/latest/dev/basic-deliver.html#retry
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from lakebed.kernel import outward
from lakebed.kernel.errors import AwsError
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Principal
from lakebed.ports.house import Ports
from lakebed.services.firehose import conversion, drafts, frames, packing, prefix, spill
from lakebed.services.firehose.buffers import Buffer, Buffers
from lakebed.services.firehose.destinations import Settings, http_endpoint, s3
from lakebed.services.firehose.drafts import Draft
from lakebed.services.firehose.intake import SERVICE
from lakebed.services.firehose.journal import Journal
from lakebed.services.firehose.model import DeliveryStream, Plan
from lakebed.services.firehose.outlets import Outlets
from lakebed.services.firehose.store import DeliveryStore

_OBJECTS_AT_ONCE = 64
_BACKOFF_SECONDS_MAX = 300.0
_KEPT_SECONDS = 24 * 3600.0
Key = tuple[str, int]


class Failure(NamedTuple):
    """A lane that does not get through: how often it failed, when to try again, when it failed first."""

    times: int
    retry_at: float
    since: float


class Delivery:
    """One delivery stream's puts; owned by its pump."""

    def __init__(
        self, k: Kernel, p: Ports, store: DeliveryStore, journal: Journal, outlets: Outlets, plans: Sequence[Plan]
    ) -> None:
        self._k, self._p, self._store, self._journal, self._outlets = k, p, store, journal, outlets
        self._plans: dict[Key, Plan] = {(plan.lane, plan.first): plan for plan in plans}
        self._failures: dict[str, Failure] = {}

    async def run(self, stream: DeliveryStream, buffers: Buffers) -> float | None:
        """Deliver what is sealed and may be tried now. Returns when to come again; now for "more at once"."""
        self._plan(stream, buffers.sealed)
        now = self._k.clock.now()
        waiting = {lane for lane, failure in self._failures.items() if failure.retry_at > now}
        ready = [b for b in buffers.sealed if b.lane not in waiting][:_OBJECTS_AT_ONCE]
        if ready:
            await self._deliver(stream, buffers, ready)
        if any(buffer.lane not in self._failures for buffer in buffers.sealed):
            return now
        return min((failure.retry_at for failure in self._failures.values()), default=None)

    def _plan(self, stream: DeliveryStream, sealed: Sequence[Buffer]) -> None:
        fresh = [_planned(self._k, stream, b) for b in sealed if (b.lane, b.first) not in self._plans]
        if fresh:
            self._store.plan(stream, fresh)
            self._plans.update({(plan.lane, plan.first): plan for plan in fresh})

    async def _deliver(self, stream: DeliveryStream, buffers: Buffers, ready: Sequence[Buffer]) -> None:
        plans = [self._plans[buffer.lane, buffer.first] for buffer in ready]
        log = self._k.segments.log(stream.buffer_log)
        try:
            made = await drafts.build(self._k, log, plans, self._outlets.seals.opener(stream))
        except AwsError as failure:  # KMS opens nothing
            for buffer, plan in zip(ready, plans, strict=True):
                self._failed(stream, buffer.lane, failure)
                if not self._is_kept(stream, plan):
                    self._give_up(stream, buffers, buffer)
            return
        failed: set[str] = set()
        try:
            for buffer, draft in zip(ready, made, strict=True):
                if buffer.lane in failed:
                    continue  # a lane's objects follow each other
                try:
                    rejected = await self._put(stream, draft)
                except (AwsError, OSError) as failure:
                    if not await self._survived(stream, buffers, buffer, draft, failure):
                        failed.add(buffer.lane)
                    continue
                self._mark(stream, buffers, buffer, rejected)
        finally:
            for draft in made:
                draft.discard()

    async def _survived(
        self, stream: DeliveryStream, buffers: Buffers, buffer: Buffer, draft: Draft, problem: AwsError | OSError
    ) -> bool:
        """After a failure: whether the buffer is done with all the same, as errors or given up."""
        failure = self._failed(stream, buffer.lane, problem)
        plan = draft.plan
        duration = spill.retry_seconds(stream, plan)
        final = isinstance(problem, AwsError) and problem.error_code == "HttpEndpoint.RequestTooLarge"
        if duration is not None and (final or self._k.clock.now() >= failure.since + duration):
            try:
                await self._spill(stream, plan, problem, failure.times)
            except (AwsError, OSError) as other:
                self._journal.failed(stream, *_told(other))
            else:
                self._end(stream, buffers, buffer)
                self._k.meters.error(stream.arn, buffer.records)
                return True
        elif duration is not None:  # the last attempt is made when the duration ends, not a backoff later
            retry_at = min(failure.retry_at, failure.since + duration)
            self._failures[buffer.lane] = failure._replace(retry_at=retry_at)
        if self._is_kept(stream, plan):
            return False
        self._give_up(stream, buffers, buffer)
        return True

    async def _spill(self, stream: DeliveryStream, plan: Plan, problem: AwsError | OSError, attempts: int) -> None:
        """Put the plan's records under the error prefix, unless they all go to the backup bucket anyway."""
        if stream.kind == http_endpoint.KIND and plan.settings["S3BackupMode"] == "AllData":
            return
        log = self._k.segments.log(stream.buffer_log)
        opener = self._outlets.seals.opener(stream)
        path = await spill.write(self._k, drafts.records_of(log, plan, opener), *_told(problem), attempts)
        try:
            principal = self._principal(stream, stream.storage["RoleARN"])
            await self._put_file(principal, stream.storage, plan.error_key, path)
        finally:
            path.unlink(missing_ok=True)

    def _is_kept(self, stream: DeliveryStream, plan: Plan) -> bool:
        """Whether any of the records is still of an age to be tried again."""
        kept = _KEPT_SECONDS
        if stream.source.stream_arn:
            with suppress(AwsError):  # a stream that is gone has no retention
                kept = self._p.streams.facts(stream.source.stream_arn).retention_seconds
        youngest = plan.started + float(plan.settings["BufferingHints"]["IntervalInSeconds"])
        return self._k.clock.now() < youngest + kept

    def _give_up(self, stream: DeliveryStream, buffers: Buffers, buffer: Buffer) -> None:
        self._end(stream, buffers, buffer)
        self._k.meters.drop(stream.arn, buffer.records)
        self._journal.failed(
            stream, "S3.RetentionExceeded", f"{buffer.records} records are not delivered: {buffer.lane}"
        )

    def _end(self, stream: DeliveryStream, buffers: Buffers, buffer: Buffer) -> Plan:
        """The buffer's records are done with: their plan and, where nothing else needs it, their log may go."""
        buffers.done(buffer)
        self._store.mark(stream, buffer, buffers)
        self._failures.pop(buffer.lane, None)
        plan = self._plans.pop((buffer.lane, buffer.first))
        self._k.segments.log(stream.buffer_log).trim_before(buffers.watermark())
        if "" in buffers.positions:
            self._k.segments.log(stream.source_log).trim_before(buffers.positions[""])
        return plan

    def _mark(self, stream: DeliveryStream, buffers: Buffers, buffer: Buffer, rejected: int) -> None:
        plan = self._end(stream, buffers, buffer)
        backup = not frames.is_data(buffer.lane)
        if frames.is_error(buffer.lane):
            self._k.meters.error(stream.arn, buffer.records)
            return
        self._outlets.telemetry.delivered(
            stream, records=buffer.records - rejected, size=buffer.size, oldest=buffer.oldest, backup=backup
        )
        if backup:
            self._k.meters.link(stream.arn, plan.settings["BucketARN"], buffer.records)
            return
        self._k.meters.out(stream.arn, buffer.records - rejected, buffer.size, to=stream.goes_to)
        if rejected:
            self._k.meters.error(stream.arn, rejected)

    async def _put(self, stream: DeliveryStream, draft: Draft) -> int:
        """Put the draft's object, converted where that is configured; how many records were rejected by that."""
        plan = draft.plan
        if frames.is_data(plan.lane) and stream.kind == http_endpoint.KIND:
            await self._post(stream, plan)
            return 0
        principal = self._principal(stream, plan.settings["RoleARN"])
        schema = s3.conversion_schema(plan.settings) if frames.is_data(plan.lane) else None
        if schema is None:
            await self._put_file(principal, plan.settings, plan.key, draft.path)
            return 0
        reader = self._principal(stream, schema["RoleARN"])
        result = await conversion.convert(self._p, self._k, stream, plan, draft.path, reader)
        try:
            if result.rejected:
                log = self._k.segments.log(stream.buffer_log)
                opener = self._outlets.seals.opener(stream)
                errors = conversion.write_rejected(self._k, drafts.records_of(log, plan, opener), stream, plan, result)
                try:
                    await self._put_file(principal, plan.settings, plan.error_key, errors)
                finally:
                    errors.unlink(missing_ok=True)
            if result.rows:
                await self._put_file(principal, plan.settings, plan.key, result.path)
        finally:
            result.path.unlink(missing_ok=True)
        self._outlets.telemetry.put(
            stream,
            {"SucceedConversion.Records": result.rows, "FailedConversion.Records": len(result.rejected)},
        )
        return len(result.rejected)

    async def _post(self, stream: DeliveryStream, plan: Plan) -> None:
        """POST the plan's records to its endpoint; each attempt has the same request id."""
        settings = plan.settings
        opener = self._outlets.seals.opener(stream)
        records = [frame.data for frame in drafts.records_of(self._k.segments.log(stream.buffer_log), plan, opener)]
        if delimiter := s3.delimiter(settings):
            records = [record + delimiter for record in records]
        key = self._outlets.secrets.open(
            settings["EndpointConfiguration"].get(http_endpoint.ACCESS_KEY, ""), stream.uid
        )
        now = self._k.clock.now()
        with self._k.clock.working():
            body = await asyncio.to_thread(http_endpoint.body_of, plan.key, now, records, settings)
            headers = http_endpoint.headers_of(plan.key, stream.arn, settings, key)
            url = settings["EndpointConfiguration"]["Url"]
            reply = await outward.post(url, headers, body, self._outlets.doors)
        http_endpoint.check_answer(plan.key, *reply)

    async def _put_file(self, principal: Principal, settings: Settings, key: str, path: Path) -> None:
        await self._p.objects.put_file(principal, s3.bucket_of(settings), key, path)

    def _failed(self, stream: DeliveryStream, lane: str, problem: AwsError | OSError) -> Failure:
        now = self._k.clock.now()
        before = self._failures.get(lane, Failure(0, 0.0, now))
        wait = min(2.0 ** min(before.times, 10), _BACKOFF_SECONDS_MAX)
        made = self._failures[lane] = Failure(before.times + 1, now + wait, before.since)
        self._journal.failed(stream, *_told(problem))
        self._outlets.telemetry.failed(stream, backup=not frames.is_data(lane))
        return made

    def _principal(self, stream: DeliveryStream, role_arn: str) -> Principal:
        return self._p.identity.service_session(role_arn, SERVICE, session_name=stream.name)


def _told(problem: AwsError | OSError) -> tuple[str, str]:
    """Code and message of a failure, as error logs and error objects tell it."""
    if not isinstance(problem, AwsError):
        return "S3.InternalError", "The object could not be written."
    code = problem.error_code
    return (code if "." in code else f"S3.{code}"), problem.message


def _planned(k: Kernel, stream: DeliveryStream, buffer: Buffer) -> Plan:
    """Decide on a buffer's object. Times are those of its oldest record, as AWS's."""
    settings = stream.settings_of(buffer.lane)
    to_endpoint = stream.kind == http_endpoint.KIND and frames.is_data(buffer.lane)
    placed = stream.storage if to_endpoint else settings
    at = datetime.fromtimestamp(buffer.oldest, prefix.zone(placed.get("CustomTimeZone", "")))
    name = f"{stream.name}-{stream.version}-{at:%Y-%m-%d-%H-%M-%S}-{k.ids.uuid()}"
    error_type = buffer.lane.partition(":")[2] if frames.is_error(buffer.lane) else spill.error_type(stream, settings)
    moment = prefix.Moment(at, frames.lane_keys(buffer.lane), error_type, lambda: k.ids.token(11))
    own, errors = placed.get("Prefix", ""), placed.get("ErrorOutputPrefix", "")
    error_key = prefix.evaluate_error(errors, own, moment) + name
    if to_endpoint:
        key = k.ids.uuid()  # the request's id, the same at every attempt
    elif frames.is_error(buffer.lane):
        key = error_key
    else:
        key = prefix.evaluate(own, moment) + name + _extension(settings)
    return Plan(
        lane=buffer.lane,
        first=buffer.first,
        upto=buffer.upto,
        records=buffer.records,
        size=buffer.size,
        started=buffer.started,
        oldest=buffer.oldest,
        key=key,
        error_key=error_key,
        settings=dict(settings),
    )


def _extension(settings: Settings) -> str:
    """FileExtension, else what the content is."""
    if given := settings.get("FileExtension"):
        return str(given)
    if s3.conversion_schema(settings) is not None:
        return f".{s3.converted_format(settings)}"
    return packing.EXTENSIONS[settings["CompressionFormat"]]
