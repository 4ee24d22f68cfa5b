"""Delivery: sealed buffers into S3, each exactly once as far as a crash allows.

An object is first planned (which records, which key: one transaction), then put, then marked. A crash after the plan puts
the same records under the same key again; a crash after the put does so over the object that is there; after the mark there
is nothing left to do. So no record is lost and no second object appears. A put that fails stays planned and is tried again
with backoff on the clock; its lane waits, other lanes go on. What could not be put for as long as AWS keeps it (24 hours, a
Kinesis source's retention) is given up: logged and counted as dropped.
https://docs.aws.amazon.com/firehose/latest/dev/basic-deliver.html#retry
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from lakebed.kernel.errors import AwsError
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Principal
from lakebed.ports.house import Ports
from lakebed.services.firehose import conversion, drafts, frames, prefix
from lakebed.services.firehose import destination as s3
from lakebed.services.firehose.buffers import Buffer, Buffers
from lakebed.services.firehose.drafts import Draft
from lakebed.services.firehose.intake import SERVICE
from lakebed.services.firehose.journal import Journal
from lakebed.services.firehose.model import DeliveryStream, Plan
from lakebed.services.firehose.store import DeliveryStore

_OBJECTS_AT_ONCE = 64
_BACKOFF_SECONDS_MAX = 300.0
_KEPT_SECONDS = 24 * 3600.0
Key = tuple[str, int]


class Delivery:
    """One delivery stream's puts; owned by its pump."""

    def __init__(self, k: Kernel, p: Ports, store: DeliveryStore, journal: Journal, plans: Sequence[Plan]) -> None:
        self._k, self._p, self._store, self._journal = k, p, store, journal
        self._plans: dict[Key, Plan] = {(plan.lane, plan.first): plan for plan in plans}
        self._failures: dict[str, tuple[int, float]] = {}  # lane -> how often, when to try again

    async def run(self, stream: DeliveryStream, buffers: Buffers) -> float | None:
        """Deliver what is sealed and may be tried now. Returns when to come again; now for "more at once"."""
        self._plan(stream, buffers.sealed)
        now = self._k.clock.now()
        ready = [b for b in buffers.sealed if self._failures.get(b.lane, (0, 0.0))[1] <= now][:_OBJECTS_AT_ONCE]
        if ready:
            await self._deliver(stream, buffers, ready)
        if any(buffer.lane not in self._failures for buffer in buffers.sealed):
            return now
        return min((at for _, at in self._failures.values()), default=None)

    def _plan(self, stream: DeliveryStream, sealed: Sequence[Buffer]) -> None:
        fresh = [_planned(self._k, stream, b) for b in sealed if (b.lane, b.first) not in self._plans]
        if fresh:
            self._store.plan(stream, fresh)
            self._plans.update({(plan.lane, plan.first): plan for plan in fresh})

    async def _deliver(self, stream: DeliveryStream, buffers: Buffers, ready: Sequence[Buffer]) -> None:
        plans = [self._plans[buffer.lane, buffer.first] for buffer in ready]
        log = self._k.segments.log(stream.buffer_log)
        made = await drafts.build(self._k, log, plans)
        failed: set[str] = set()
        try:
            for buffer, draft in zip(ready, made, strict=True):
                if buffer.lane in failed:
                    continue  # a lane's objects follow each other
                try:
                    rejected = await self._put(stream, draft)
                except (AwsError, OSError) as failure:
                    self._failed(stream, buffer.lane, failure)
                    if self._is_kept(stream, draft.plan):
                        failed.add(buffer.lane)
                    else:
                        self._give_up(stream, buffers, buffer)
                    continue
                self._mark(stream, buffers, buffer, rejected)
        finally:
            for draft in made:
                draft.discard()

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
        bucket = self._end(stream, buffers, buffer).settings["BucketARN"]
        if frames.is_data(buffer.lane):
            self._k.meters.out(stream.arn, buffer.records - rejected, buffer.size, to=bucket)
            if rejected:
                self._k.meters.error(stream.arn, rejected)
        elif frames.is_error(buffer.lane):
            self._k.meters.error(stream.arn, buffer.records)
        else:
            self._k.meters.link(stream.arn, bucket, buffer.records)

    async def _put(self, stream: DeliveryStream, draft: Draft) -> int:
        """Put the draft's object, converted where that is configured; how many records were rejected by that."""
        plan = draft.plan
        principal = self._principal(stream, plan.settings["RoleARN"])
        schema = s3.conversion_schema(plan.settings) if frames.is_data(plan.lane) else None
        if schema is None:
            await self._put_file(principal, plan, plan.key, draft.path)
            return 0
        reader = self._principal(stream, schema["RoleARN"])
        result = await conversion.convert(self._p, self._k, stream, plan, draft.path, reader)
        try:
            if result.rejected:
                log = self._k.segments.log(stream.buffer_log)
                errors = conversion.write_rejected(self._k, log, stream, plan, result)
                try:
                    await self._put_file(principal, plan, plan.error_key, errors)
                finally:
                    errors.unlink(missing_ok=True)
            if result.rows:
                await self._put_file(principal, plan, plan.key, result.path)
        finally:
            result.path.unlink(missing_ok=True)
        return len(result.rejected)

    async def _put_file(self, principal: Principal, plan: Plan, key: str, path: Path) -> None:
        await self._p.objects.put_file(principal, s3.bucket_of(plan.settings), key, path)

    def _failed(self, stream: DeliveryStream, lane: str, failure: AwsError | OSError) -> None:
        times = self._failures.get(lane, (0, 0.0))[0] + 1
        wait = min(2.0 ** min(times - 1, 10), _BACKOFF_SECONDS_MAX)
        self._failures[lane] = (times, self._k.clock.now() + wait)
        code = failure.error_code if isinstance(failure, AwsError) else "InternalError"
        message = failure.message if isinstance(failure, AwsError) else "The object could not be written."
        self._journal.failed(stream, f"S3.{code}", message)

    def _principal(self, stream: DeliveryStream, role_arn: str) -> Principal:
        return self._p.identity.service_session(role_arn, SERVICE, session_name=stream.name)


def _planned(k: Kernel, stream: DeliveryStream, buffer: Buffer) -> Plan:
    """Decide on a buffer's object. Times are those of its oldest record, as AWS's."""
    settings = stream.settings_of(buffer.lane)
    at = datetime.fromtimestamp(buffer.oldest, prefix.zone(settings.get("CustomTimeZone", "")))
    name = f"{stream.name}-{stream.version}-{at:%Y-%m-%d-%H-%M-%S}-{k.ids.uuid()}"
    error_type = buffer.lane.partition(":")[2] if frames.is_error(buffer.lane) else conversion.FAILED
    moment = prefix.Moment(at, frames.lane_keys(buffer.lane), error_type, lambda: k.ids.token(11))
    own, errors = settings.get("Prefix", ""), settings.get("ErrorOutputPrefix", "")
    error_key = prefix.evaluate_error(errors, own, moment) + name
    key = error_key if frames.is_error(buffer.lane) else prefix.evaluate(own, moment) + name + _extension(settings)
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


def _extension(settings: s3.Settings) -> str:
    """FileExtension, else what the content is."""
    if given := settings.get("FileExtension"):
        return str(given)
    if s3.conversion_schema(settings) is not None:
        return ".parquet"
    return ".gz" if settings["CompressionFormat"] == "GZIP" else ""
