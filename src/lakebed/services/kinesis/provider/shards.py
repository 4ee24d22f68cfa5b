"""Shards: list, split, merge, and a whole stream's number of them.

https://docs.aws.amazon.com/streams/latest/dev/kinesis-using-sdk-java-resharding.html. Resharding is done at once, in one
transaction: parents close at the end of their logs, children open empty.
"""

from __future__ import annotations

from lakebed.api import kinesis as api
from lakebed.kernel.kernel import Kernel
from lakebed.ports.service import Context, operation
from lakebed.services.kinesis import model, tokens
from lakebed.services.kinesis.access import Access
from lakebed.services.kinesis.model import Shard, Stream
from lakebed.services.kinesis.provider.naming import stream_arn, token_uid
from lakebed.services.kinesis.records import Records
from lakebed.services.kinesis.settings import KinesisSettings
from lakebed.services.kinesis.store import StreamStore

_LIST_MAX = 1000  # AWS's default; at most 10,000 may be asked for


class ShardOperations:
    """Operations on shards. The permission is asked for by ``Access``, in the handler."""

    def __init__(
        self, k: Kernel, access: Access, store: StreamStore, records: Records, settings: KinesisSettings
    ) -> None:
        self.k, self.access, self.store, self.records, self.settings = k, access, store, records, settings

    @operation("ListShards", action=None, refused=("StreamId",))  # a token names the stream
    async def list_shards(self, ctx: Context, req: api.ListShardsInput) -> api.ListShardsOutput:
        """https://docs.aws.amazon.com/kinesis/latest/APIReference/API_ListShards.html"""
        stream, position = self._listing(ctx, req)
        limit = req.get("MaxResults", _LIST_MAX)
        horizon = max(position.filter_time, ctx.now - stream.retention_hours * 3600)
        shards = [
            shard
            for shard in stream.shards
            if shard.number > position.after and _passes(shard, position.filter_kind, horizon)
        ]
        result: api.ListShardsOutput = {"Shards": [shard.describe() for shard in shards[:limit]]}
        if len(shards) > limit:
            following = position._replace(after=shards[limit - 1].number, issued=ctx.now)
            result["NextToken"] = tokens.pack_list(following, stream.secret)
        return result

    def _listing(self, ctx: Context, req: api.ListShardsInput) -> tuple[Stream, tokens.ListPosition]:
        """The stream to list, and from where under which filter."""
        if "NextToken" in req:
            if "StreamName" in req or "ExclusiveStartShardId" in req or "StreamCreationTimestamp" in req:
                raise api.InvalidArgumentException("NextToken and StreamName cannot be provided together.")
            stream = self.store.by_uid(token_uid(req, "NextToken"))
            position = tokens.open_list(req["NextToken"], stream.secret) if stream else None
            if stream is None or position is None or stream.scope.region != ctx.scope.region:
                raise api.InvalidArgumentException("NextToken is invalid.")
            if ctx.now - position.issued > tokens.LIFE_SECONDS:
                raise api.ExpiredNextTokenException("The provided NextToken has expired.")
            return self.access.known_stream(ctx, stream, "ListShards"), position
        stream = self.access.stream(ctx, req, "ListShards")
        if "StreamCreationTimestamp" in req and abs(req["StreamCreationTimestamp"] - stream.created_at) >= 1:
            raise api.ResourceNotFoundException(f"Stream {stream.name} under account {ctx.scope.account} not found.")
        chosen = req.get("ShardFilter")
        kind, after = (chosen["Type"] if chosen else "FROM_TRIM_HORIZON"), req.get("ExclusiveStartShardId")
        if chosen and kind == "AFTER_SHARD_ID":
            after = chosen.get("ShardId")
            if after is None:
                raise api.InvalidArgumentException("ShardId must be provided for ShardFilter type AFTER_SHARD_ID.")
        if kind in ("AT_TIMESTAMP", "FROM_TIMESTAMP") and (not chosen or "Timestamp" not in chosen):
            raise api.InvalidArgumentException(f"Timestamp must be provided for ShardFilter type {kind}.")
        at = chosen.get("Timestamp", 0.0) if chosen else 0.0
        return stream, tokens.ListPosition(stream.uid, _number(after), ctx.now, kind, at)

    @operation("SplitShard", action=None, resource=stream_arn, refused=("StreamId",))
    async def split_shard(self, ctx: Context, req: api.SplitShardInput) -> None:
        """https://docs.aws.amazon.com/kinesis/latest/APIReference/API_SplitShard.html"""
        stream = self._provisioned(ctx, self.access.stream(ctx, req, "SplitShard"), additional=1)
        shard = stream.shard(req["ShardToSplit"])
        end = self.records.tip(stream, shard)
        self._reshard(model.split(stream, shard, int(req["NewStartingHashKey"]), end, ctx.now))

    @operation("MergeShards", action=None, resource=stream_arn, refused=("StreamId",))
    async def merge_shards(self, ctx: Context, req: api.MergeShardsInput) -> None:
        """https://docs.aws.amazon.com/kinesis/latest/APIReference/API_MergeShards.html"""
        stream = self._provisioned(ctx, self.access.stream(ctx, req, "MergeShards"), additional=0)
        pair = [stream.shard(req["ShardToMerge"]), stream.shard(req["AdjacentShardToMerge"])]
        ends = [self.records.tip(stream, shard) for shard in pair]
        self._reshard(model.merge(stream, pair[0], pair[1], ends, ctx.now))

    @operation("UpdateShardCount", action=None, resource=stream_arn, refused=("StreamId",))
    async def update_shard_count(self, ctx: Context, req: api.UpdateShardCountInput) -> api.UpdateShardCountOutput:
        """https://docs.aws.amazon.com/kinesis/latest/APIReference/API_UpdateShardCount.html"""
        target = req["TargetShardCount"]
        stream = self.access.stream(ctx, req, "UpdateShardCount")
        current = len(stream.open_shards)
        stream = self._provisioned(ctx, stream, additional=target - current)
        if not -(-current // 2) <= target <= current * 2:
            raise api.LimitExceededException(
                f"UpdateShardCount cannot scale {'up over double' if target > current else 'down below half'} your "
                f"current open shard count. Current open shard count: {current} Target shard count: {target}"
            )
        if target != current:
            ends = {shard.number: self.records.tip(stream, shard) for shard in stream.open_shards}
            self._reshard(model.rescale(stream, target, ends, ctx.now))
        return {
            "StreamName": stream.name,
            "StreamARN": stream.arn,
            "CurrentShardCount": current,
            "TargetShardCount": target,
        }

    def _provisioned(self, ctx: Context, stream: Stream, *, additional: int) -> Stream:
        if stream.mode != "PROVISIONED":
            raise api.ValidationException(
                f"Request is invalid. Stream {stream.name} under account {ctx.scope.account} is in On-Demand mode."
            )
        open_now, _ = self.store.counts(ctx.scope)
        if additional > 0 and open_now + additional > self.settings.shards_max:
            raise api.LimitExceededException(
                f"This request would exceed the shard limit for the account {ctx.scope.account} in {ctx.scope.region}. "
                f"Current shard count for the account: {open_now}. Limit: {self.settings.shards_max}."
            )
        return stream

    def _reshard(self, stream: Stream) -> None:
        with self.k.db.tx() as tx:
            self.store.update_shards(tx, stream)
        self.records.woken(stream.arn)


def _passes(shard: Shard, kind: str, at: float) -> bool:
    """Whether a shard belongs into a listing (``at`` is never before the trim horizon)."""
    if kind == "AT_LATEST":
        return shard.closed_at is None
    still_open = shard.closed_at is None or shard.closed_at >= at
    if kind in ("AT_TIMESTAMP", "AT_TRIM_HORIZON"):
        # The trim horizon lies before the stream's creation for a young stream: its first shards were open there.
        return still_open and (shard.opened_at <= at or (kind == "AT_TRIM_HORIZON" and shard.parent is None))
    return still_open


def _number(shard_id: str | None) -> int:
    if shard_id is None:
        return -1
    digits = shard_id.removeprefix("shardId-")
    if not digits.isdigit() or len(digits) > 18:
        raise api.InvalidArgumentException(f"Invalid shard id {shard_id}.")
    return int(digits)
