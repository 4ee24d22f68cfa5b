"""Streams: make, describe, list, keep longer, delete.

https://docs.aws.amazon.com/kinesis/latest/APIReference/API_CreateStream.html. A stream is ACTIVE at once (deviation): there
is nothing to wait for, and AWS's waiters are content.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypedDict

from lakebed.api import kinesis as api
from lakebed.kernel.kernel import Kernel
from lakebed.ports.service import Context, operation
from lakebed.services.kinesis import model
from lakebed.services.kinesis.access import Access
from lakebed.services.kinesis.consumers import ConsumerStore
from lakebed.services.kinesis.model import Stream
from lakebed.services.kinesis.provider.naming import stream_arn
from lakebed.services.kinesis.provider.throughput import checked_distribution, checked_warm
from lakebed.services.kinesis.records import Records
from lakebed.services.kinesis.settings import KinesisSettings
from lakebed.services.kinesis.store import StreamStore
from lakebed.services.kinesis.throughput import CommitmentStore

_LIST_DEFAULT = 100
_RECORD_KIB_MIN, _RECORD_KIB_MAX = 1024, 10240


class _Encryption(TypedDict, total=False):
    EncryptionType: str
    KeyId: str


class StreamOperations:
    """Operations on whole streams. The permission on one is asked for by ``Access``, in the handler."""

    def __init__(
        self,
        k: Kernel,
        access: Access,
        store: StreamStore,
        consumers: ConsumerStore,
        records: Records,
        settings: KinesisSettings,
    ) -> None:
        self.k, self.access, self.store, self.consumers, self.records = k, access, store, consumers, records
        self.settings, self.commitments = settings, CommitmentStore(k.db)

    @operation("CreateStream", resource=stream_arn)
    async def create_stream(self, ctx: Context, req: api.CreateStreamInput) -> None:
        """https://docs.aws.amazon.com/kinesis/latest/APIReference/API_CreateStream.html"""
        mode = req["StreamModeDetails"]["StreamMode"] if "StreamModeDetails" in req else model.PROVISIONED
        distribution = checked_distribution(mode, req.get("RecordDistributionStrategy", model.BY_KEY))
        warm = self._warm(ctx, mode, req)
        count = self._shard_count(ctx, mode, req.get("ShardCount"))
        record_kib_max = _checked_record_size(req.get("MaxRecordSizeInKiB", _RECORD_KIB_MIN))
        if self.store.find(ctx.scope, req["StreamName"]) is not None:
            raise api.ResourceInUseException(
                f"Stream {req['StreamName']} under account {ctx.scope.account} already exists."
            )
        stream = Stream(
            scope=ctx.scope,
            name=req["StreamName"],
            uid=self.k.ids.token(22).lower(),
            secret=self.k.ids.secret(32),
            mode=mode,
            created_at=ctx.now,
            retention_hours=model.RETENTION_HOURS_MIN,
            record_kib_max=record_kib_max,
            tags=model.with_tags({}, req.get("Tags") or {}, req["StreamName"], ctx.scope.account),
            shards=model.even_shards(max(count, warm), ctx.now),
            distribution=distribution,
            warm_mibps=warm,
        )
        with self.k.db.tx() as tx:
            self.store.insert(tx, stream)

    def _warm(self, ctx: Context, mode: str, req: api.CreateStreamInput | api.UpdateStreamModeInput) -> int:
        if "WarmThroughputMiBps" not in req:
            return 0
        return checked_warm(self.commitments, self.settings, ctx, mode, req["WarmThroughputMiBps"])

    def _shard_count(self, ctx: Context, mode: str, asked: int | None) -> int:
        if mode == "ON_DEMAND":
            if asked is not None:
                raise api.ValidationException("ShardCount must not be specified for streams in ON_DEMAND mode.")
            if self.store.counts(ctx.scope)[1] >= self.settings.on_demand_streams_max:
                raise api.LimitExceededException(
                    f"Account {ctx.scope.account} already has {self.settings.on_demand_streams_max} streams in ON_DEMAND mode."
                )
            return model.ON_DEMAND_SHARDS
        if asked is None:
            raise api.ValidationException("ShardCount must be specified for streams in PROVISIONED mode.")
        open_now, _ = self.store.counts(ctx.scope)
        if open_now + asked > self.settings.shards_max:
            raise api.LimitExceededException(
                f"This request would exceed the shard limit for the account {ctx.scope.account} in {ctx.scope.region}. "
                f"Current shard count for the account: {open_now}. Limit: {self.settings.shards_max}. Number of "
                f"additional shards that would have resulted from this request: {asked}."
            )
        return asked

    @operation("DeleteStream", action=None, resource=stream_arn, refused=("StreamId",))
    async def delete_stream(self, ctx: Context, req: api.DeleteStreamInput) -> None:
        """https://docs.aws.amazon.com/kinesis/latest/APIReference/API_DeleteStream.html"""
        stream = self.access.stream(ctx, req, "DeleteStream")
        if self.consumers.of(stream) and not req.get("EnforceConsumerDeletion"):
            raise api.ResourceInUseException(
                f"Stream {stream.name} under account {ctx.scope.account} has registered consumers; set "
                "EnforceConsumerDeletion to delete them with it."
            )
        with self.k.db.tx() as tx:
            self.store.delete(tx, stream)
            tx.after_commit(lambda: self.k.segments.delete(f"kinesis/{stream.uid}"))
        self.records.woken(stream.arn)

    @operation("DescribeStream", action=None, resource=stream_arn, refused=("StreamId",))
    async def describe_stream(self, ctx: Context, req: api.DescribeStreamInput) -> api.DescribeStreamOutput:
        """https://docs.aws.amazon.com/kinesis/latest/APIReference/API_DescribeStream.html"""
        stream = self.access.stream(ctx, req, "DescribeStream")
        after, limit = req.get("ExclusiveStartShardId", ""), min(req.get("Limit", _LIST_DEFAULT), 10000)
        shards = [shard for shard in stream.shards if shard.id > after]
        return {
            "StreamDescription": {
                "StreamName": stream.name,
                "StreamARN": stream.arn,
                "StreamStatus": "ACTIVE",
                "StreamModeDetails": {"StreamMode": stream.mode},
                "Shards": [shard.describe() for shard in shards[:limit]],
                "HasMoreShards": len(shards) > limit,
                "RetentionPeriodHours": stream.retention_hours,
                "StreamCreationTimestamp": stream.created_at,
                "EnhancedMonitoring": [{"ShardLevelMetrics": list(stream.metrics)}],
                **_encryption(stream),
            }
        }

    @operation("DescribeStreamSummary", action=None, resource=stream_arn, refused=("StreamId",))
    async def describe_stream_summary(
        self, ctx: Context, req: api.DescribeStreamSummaryInput
    ) -> api.DescribeStreamSummaryOutput:
        """https://docs.aws.amazon.com/kinesis/latest/APIReference/API_DescribeStreamSummary.html"""
        stream = self.access.stream(ctx, req, "DescribeStreamSummary")
        summary: api.StreamDescriptionSummary = {
            "StreamName": stream.name,
            "StreamARN": stream.arn,
            "StreamStatus": "ACTIVE",
            "StreamModeDetails": {"StreamMode": stream.mode},
            "RetentionPeriodHours": stream.retention_hours,
            "StreamCreationTimestamp": stream.created_at,
            "EnhancedMonitoring": [{"ShardLevelMetrics": list(stream.metrics)}],
            "EncryptionType": "KMS" if stream.key_id else "NONE",
            "OpenShardCount": len(stream.open_shards),
            "ConsumerCount": len(self.consumers.of(stream)),
            "MaxRecordSizeInKiB": stream.record_kib_max,
        }
        if stream.key_id:
            summary["KeyId"] = stream.key_id
        if stream.mode == model.ON_DEMAND:
            summary["RecordDistributionStrategy"] = stream.distribution
            if self.commitments.is_on(stream.scope, ctx.now):
                current = len(stream.open_shards)
                summary["WarmThroughput"] = {"TargetMiBps": max(stream.warm_mibps, current), "CurrentMiBps": current}
        return {"StreamDescriptionSummary": summary}

    @operation("ListStreams")
    async def list_streams(self, ctx: Context, req: api.ListStreamsInput) -> api.ListStreamsOutput:
        """The token is the last name: names are no secret from someone who may list them.

        https://docs.aws.amazon.com/kinesis/latest/APIReference/API_ListStreams.html
        """
        limit = min(req.get("Limit", _LIST_DEFAULT), 10000)
        after = req.get("NextToken") or req.get("ExclusiveStartStreamName", "")
        names = self.store.names(ctx.scope, after, limit + 1)
        page = [self.store.require(ctx.scope, name) for name in names[:limit]]
        result: api.ListStreamsOutput = {
            "StreamNames": [stream.name for stream in page],
            "HasMoreStreams": len(names) > limit,
            "StreamSummaries": [
                {
                    "StreamName": stream.name,
                    "StreamARN": stream.arn,
                    "StreamStatus": "ACTIVE",
                    "StreamModeDetails": {"StreamMode": stream.mode},
                    "StreamCreationTimestamp": stream.created_at,
                }
                for stream in page
            ],
        }
        if len(names) > limit:
            result["NextToken"] = page[-1].name
        return result

    @operation("IncreaseStreamRetentionPeriod", action=None, resource=stream_arn, refused=("StreamId",))
    async def increase_retention(self, ctx: Context, req: api.IncreaseStreamRetentionPeriodInput) -> None:
        """https://docs.aws.amazon.com/kinesis/latest/APIReference/API_IncreaseStreamRetentionPeriod.html"""
        stream, hours = (
            self.access.stream(ctx, req, "IncreaseStreamRetentionPeriod"),
            _checked_hours(req["RetentionPeriodHours"]),
        )
        if hours < stream.retention_hours:
            raise api.InvalidArgumentException(
                f"Requested retention period ({hours} hours) for stream {stream.name} can not be shorter than existing "
                f"retention period ({stream.retention_hours} hours). Use DecreaseRetentionPeriod API."
            )
        self._update(replace(stream, retention_hours=hours))

    @operation("DecreaseStreamRetentionPeriod", action=None, resource=stream_arn, refused=("StreamId",))
    async def decrease_retention(self, ctx: Context, req: api.DecreaseStreamRetentionPeriodInput) -> None:
        """https://docs.aws.amazon.com/kinesis/latest/APIReference/API_DecreaseStreamRetentionPeriod.html"""
        stream, hours = (
            self.access.stream(ctx, req, "DecreaseStreamRetentionPeriod"),
            _checked_hours(req["RetentionPeriodHours"]),
        )
        if hours > stream.retention_hours:
            raise api.InvalidArgumentException(
                f"Requested retention period ({hours} hours) for stream {stream.name} can not be longer than existing "
                f"retention period ({stream.retention_hours} hours). Use IncreaseRetentionPeriod API."
            )
        self._update(replace(stream, retention_hours=hours))
        self.k.tasks.poke("kinesis-retention")

    @operation("UpdateMaxRecordSize", action=None, resource=stream_arn, refused=("StreamId",))
    async def update_max_record_size(self, ctx: Context, req: api.UpdateMaxRecordSizeInput) -> None:
        """https://docs.aws.amazon.com/kinesis/latest/APIReference/API_UpdateMaxRecordSize.html"""
        stream = self.access.stream(ctx, req, "UpdateMaxRecordSize")
        self._update(replace(stream, record_kib_max=_checked_record_size(req["MaxRecordSizeInKiB"])))

    @operation("UpdateStreamMode", action=None, resource=stream_arn, refused=("StreamId",))
    async def update_stream_mode(self, ctx: Context, req: api.UpdateStreamModeInput) -> None:
        """The shards stay as they are until on-demand scaling looks at them; they may be split and merged again once the
        mode is PROVISIONED.

        https://docs.aws.amazon.com/kinesis/latest/APIReference/API_UpdateStreamMode.html
        """
        stream, mode = self.access.stream(ctx, req, "UpdateStreamMode"), req["StreamModeDetails"]["StreamMode"]
        if mode == model.ON_DEMAND:
            warm = self._warm(ctx, mode, req)
            self._update(replace(stream, mode=mode, warm_mibps=warm or stream.warm_mibps))
        elif "WarmThroughputMiBps" in req:
            raise api.ValidationException("WarmThroughputMiBps is only valid when the mode becomes ON_DEMAND.")
        else:
            self._update(replace(stream, mode=mode, warm_mibps=0, distribution=model.BY_KEY))
        self.k.tasks.poke("kinesis-scaling")

    @operation("DescribeLimits")
    async def describe_limits(self, ctx: Context, _req: api.DescribeLimitsInput) -> api.DescribeLimitsOutput:
        """https://docs.aws.amazon.com/kinesis/latest/APIReference/API_DescribeLimits.html"""
        open_now, on_demand = self.store.counts(ctx.scope)
        return {
            "ShardLimit": self.settings.shards_max,
            "OpenShardCount": open_now,
            "OnDemandStreamCount": on_demand,
            "OnDemandStreamCountLimit": self.settings.on_demand_streams_max,
        }

    def _update(self, stream: Stream) -> None:
        with self.k.db.tx() as tx:
            self.store.update(tx, stream)


def _encryption(stream: Stream) -> _Encryption:
    return {"EncryptionType": "KMS", "KeyId": stream.key_id} if stream.key_id else {"EncryptionType": "NONE"}


def _checked_hours(hours: int) -> int:
    if hours < model.RETENTION_HOURS_MIN:
        raise api.InvalidArgumentException(
            f"Minimum allowed retention period is {model.RETENTION_HOURS_MIN} hours. Requested retention period "
            f"({hours} hours) is too short."
        )
    if hours > model.RETENTION_HOURS_MAX:
        raise api.InvalidArgumentException(
            f"Maximum allowed retention period is {model.RETENTION_HOURS_MAX} hours. Requested retention period "
            f"({hours} hours) is too long."
        )
    return hours


def _checked_record_size(kib: int) -> int:
    if not _RECORD_KIB_MIN <= kib <= _RECORD_KIB_MAX:
        raise api.ValidationException(
            f"MaxRecordSizeInKiB must be between {_RECORD_KIB_MIN} and {_RECORD_KIB_MAX}, but was {kib}."
        )
    return kib
