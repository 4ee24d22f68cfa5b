"""Streams: make, describe, list, keep longer, delete.

https://docs.aws.amazon.com/kinesis/latest/APIReference/API_CreateStream.html. A stream is ACTIVE at once (deviation): there
is nothing to wait for, and AWS's waiters are content.
"""

from __future__ import annotations

from dataclasses import replace

from lakebed.api import kinesis as api
from lakebed.kernel.errors import not_built
from lakebed.kernel.kernel import Kernel
from lakebed.ports.service import Context, operation
from lakebed.services.kinesis import model
from lakebed.services.kinesis.consumers import ConsumerStore
from lakebed.services.kinesis.model import Stream
from lakebed.services.kinesis.provider.naming import stream_arn, stream_name
from lakebed.services.kinesis.records import Records
from lakebed.services.kinesis.settings import KinesisSettings
from lakebed.services.kinesis.store import StreamStore

_LIST_DEFAULT = 100
_RECORD_KIB_MIN, _RECORD_KIB_MAX = 1024, 10240


class StreamOperations:
    """Operations on whole streams."""

    def __init__(
        self,
        k: Kernel,
        store: StreamStore,
        consumers: ConsumerStore,
        records: Records,
        settings: KinesisSettings,
    ) -> None:
        self.k, self.store, self.consumers, self.records, self.settings = k, store, consumers, records, settings

    @operation("CreateStream", resource=stream_arn, refused=("WarmThroughputMiBps",))
    async def create_stream(self, ctx: Context, req: api.CreateStreamInput) -> None:
        """https://docs.aws.amazon.com/kinesis/latest/APIReference/API_CreateStream.html"""
        if req.get("RecordDistributionStrategy", "USER_PARTITION_KEY") != "USER_PARTITION_KEY":
            raise not_built("kinesis", "CreateStream", "RecordDistributionStrategy AUTO")
        mode = req["StreamModeDetails"]["StreamMode"] if "StreamModeDetails" in req else "PROVISIONED"
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
            tags={},
            shards=model.even_shards(count, ctx.now),
        )
        stream = model.with_tags(stream, req.get("Tags") or {})
        with self.k.db.tx() as tx:
            self.store.insert(tx, stream)

    def _shard_count(self, ctx: Context, mode: str, asked: int | None) -> int:
        if mode == "ON_DEMAND":
            if asked is not None:
                raise api.ValidationException("ShardCount must not be specified for streams in ON_DEMAND mode.")
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

    @operation("DeleteStream", resource=stream_arn, refused=("StreamId",))
    async def delete_stream(self, ctx: Context, req: api.DeleteStreamInput) -> None:
        """https://docs.aws.amazon.com/kinesis/latest/APIReference/API_DeleteStream.html"""
        stream = self._require(ctx, req)
        if self.consumers.of(stream) and not req.get("EnforceConsumerDeletion"):
            raise api.ResourceInUseException(
                f"Stream {stream.name} under account {ctx.scope.account} has registered consumers; set "
                "EnforceConsumerDeletion to delete them with it."
            )
        with self.k.db.tx() as tx:
            self.store.delete(tx, stream)
            tx.after_commit(lambda: self.k.segments.delete(f"kinesis/{stream.uid}"))
        self.records.woken(stream.arn)

    @operation("DescribeStream", resource=stream_arn, refused=("StreamId",))
    async def describe_stream(self, ctx: Context, req: api.DescribeStreamInput) -> api.DescribeStreamOutput:
        """https://docs.aws.amazon.com/kinesis/latest/APIReference/API_DescribeStream.html"""
        stream = self._require(ctx, req)
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
                "EnhancedMonitoring": [{"ShardLevelMetrics": []}],
                "EncryptionType": "NONE",
            }
        }

    @operation("DescribeStreamSummary", resource=stream_arn, refused=("StreamId",))
    async def describe_stream_summary(
        self, ctx: Context, req: api.DescribeStreamSummaryInput
    ) -> api.DescribeStreamSummaryOutput:
        """https://docs.aws.amazon.com/kinesis/latest/APIReference/API_DescribeStreamSummary.html"""
        stream = self._require(ctx, req)
        return {
            "StreamDescriptionSummary": {
                "StreamName": stream.name,
                "StreamARN": stream.arn,
                "StreamStatus": "ACTIVE",
                "StreamModeDetails": {"StreamMode": stream.mode},
                "RetentionPeriodHours": stream.retention_hours,
                "StreamCreationTimestamp": stream.created_at,
                "EnhancedMonitoring": [{"ShardLevelMetrics": []}],
                "EncryptionType": "NONE",
                "OpenShardCount": len(stream.open_shards),
                "ConsumerCount": len(self.consumers.of(stream)),
                "MaxRecordSizeInKiB": stream.record_kib_max,
                "RecordDistributionStrategy": "USER_PARTITION_KEY",
            }
        }

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

    @operation("IncreaseStreamRetentionPeriod", resource=stream_arn, refused=("StreamId",))
    async def increase_retention(self, ctx: Context, req: api.IncreaseStreamRetentionPeriodInput) -> None:
        """https://docs.aws.amazon.com/kinesis/latest/APIReference/API_IncreaseStreamRetentionPeriod.html"""
        stream, hours = self._require(ctx, req), _checked_hours(req["RetentionPeriodHours"])
        if hours < stream.retention_hours:
            raise api.InvalidArgumentException(
                f"Requested retention period ({hours} hours) for stream {stream.name} can not be shorter than existing "
                f"retention period ({stream.retention_hours} hours). Use DecreaseRetentionPeriod API."
            )
        self._update(replace(stream, retention_hours=hours))

    @operation("DecreaseStreamRetentionPeriod", resource=stream_arn, refused=("StreamId",))
    async def decrease_retention(self, ctx: Context, req: api.DecreaseStreamRetentionPeriodInput) -> None:
        """https://docs.aws.amazon.com/kinesis/latest/APIReference/API_DecreaseStreamRetentionPeriod.html"""
        stream, hours = self._require(ctx, req), _checked_hours(req["RetentionPeriodHours"])
        if hours > stream.retention_hours:
            raise api.InvalidArgumentException(
                f"Requested retention period ({hours} hours) for stream {stream.name} can not be longer than existing "
                f"retention period ({stream.retention_hours} hours). Use IncreaseRetentionPeriod API."
            )
        self._update(replace(stream, retention_hours=hours))
        self.k.tasks.poke("kinesis-retention")

    @operation("UpdateMaxRecordSize", resource=stream_arn, refused=("StreamId",))
    async def update_max_record_size(self, ctx: Context, req: api.UpdateMaxRecordSizeInput) -> None:
        """https://docs.aws.amazon.com/kinesis/latest/APIReference/API_UpdateMaxRecordSize.html"""
        stream = self._require(ctx, req)
        self._update(replace(stream, record_kib_max=_checked_record_size(req["MaxRecordSizeInKiB"])))

    @operation("UpdateStreamMode", resource=stream_arn, refused=("StreamId", "WarmThroughputMiBps"))
    async def update_stream_mode(self, ctx: Context, req: api.UpdateStreamModeInput) -> None:
        """The shards stay as they are; they may be split and merged again once the mode is PROVISIONED.

        https://docs.aws.amazon.com/kinesis/latest/APIReference/API_UpdateStreamMode.html
        """
        self._update(replace(self._require(ctx, req), mode=req["StreamModeDetails"]["StreamMode"]))

    @operation("DescribeLimits")
    async def describe_limits(self, ctx: Context, _req: api.DescribeLimitsInput) -> api.DescribeLimitsOutput:
        """https://docs.aws.amazon.com/kinesis/latest/APIReference/API_DescribeLimits.html"""
        open_now, on_demand = self.store.counts(ctx.scope)
        return {
            "ShardLimit": self.settings.shards_max,
            "OpenShardCount": open_now,
            "OnDemandStreamCount": on_demand,
            "OnDemandStreamCountLimit": 50,
        }

    def _require(self, ctx: Context, req: object) -> Stream:
        return self.store.require(ctx.scope, stream_name(ctx.scope, req))  # type: ignore[arg-type]  # every input's TypedDict

    def _update(self, stream: Stream) -> None:
        with self.k.db.tx() as tx:
            self.store.update(tx, stream)


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
