"""Enhanced fan-out: registered consumers, and records pushed to them.

https://docs.aws.amazon.com/kinesis/latest/APIReference/API_SubscribeToShard.html. A subscription pushes records as they are
put, and an empty event every five seconds so that a quiet stream's consumer knows where it is; it ends after five minutes, at
the end of a closed shard, or when the same consumer subscribes again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

from lakebed.api import kinesis as api
from lakebed.kernel.arn import parse
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Scope
from lakebed.ports.service import Context, operation
from lakebed.services.kinesis.consumers import (
    CONSUMERS_MAX,
    SUBSCRIPTION_SECONDS,
    Consumer,
    ConsumerStore,
    Subscription,
    Subscriptions,
)
from lakebed.services.kinesis.model import Shard, Stream
from lakebed.services.kinesis.provider.naming import stream_arn, stream_name
from lakebed.services.kinesis.reading import children, start, to_record
from lakebed.services.kinesis.records import Records
from lakebed.services.kinesis.store import StreamStore

_HEARTBEAT_SECONDS = 5.0
_EVENT_RECORDS_MAX, _EVENT_BYTES_MAX = 10_000, 2 << 20


def consumer_arn(scope: Scope, request: Mapping[str, Any]) -> str:
    """What a permission on a consumer is asked for: its ARN, or what of it is known."""
    if "ConsumerARN" in request:
        return str(request["ConsumerARN"])
    return f"{stream_arn(scope, request)}/consumer/{request.get('ConsumerName', '*')}:*"


class ConsumerOperations:
    """Operations on consumers."""

    def __init__(self, k: Kernel, store: StreamStore, consumers: ConsumerStore, records: Records) -> None:
        self.k, self.store, self.consumers, self.records = k, store, consumers, records
        self.subscriptions = Subscriptions()

    @operation("RegisterStreamConsumer", resource=stream_arn, refused=("StreamId", "Tags"))
    async def register(self, ctx: Context, req: api.RegisterStreamConsumerInput) -> api.RegisterStreamConsumerOutput:
        """https://docs.aws.amazon.com/kinesis/latest/APIReference/API_RegisterStreamConsumer.html"""
        stream = self.store.require(ctx.scope, stream_name(ctx.scope, req))
        known = self.consumers.of(stream)
        if any(consumer.name == req["ConsumerName"] for consumer in known):
            raise api.ResourceInUseException(
                f"Consumer {req['ConsumerName']} under stream {stream.arn} already exists for account {ctx.scope.account}."
            )
        if len(known) >= CONSUMERS_MAX:
            raise api.LimitExceededException(f"A stream may have at most {CONSUMERS_MAX} consumers.")
        consumer = Consumer(stream.arn, req["ConsumerName"], ctx.now)
        with self.k.db.tx() as tx:
            self.consumers.insert(tx, stream, consumer)
        return {"Consumer": consumer.describe()}

    @operation("DeregisterStreamConsumer", resource=consumer_arn, refused=("StreamId",))
    async def deregister(self, ctx: Context, req: api.DeregisterStreamConsumerInput) -> None:
        """https://docs.aws.amazon.com/kinesis/latest/APIReference/API_DeregisterStreamConsumer.html"""
        stream, consumer = self._require(ctx, req)
        with self.k.db.tx() as tx:
            self.consumers.delete(tx, stream, consumer)
        self.subscriptions.end_all(consumer.arn)

    @operation("DescribeStreamConsumer", resource=consumer_arn, refused=("StreamId",))
    async def describe(self, ctx: Context, req: api.DescribeStreamConsumerInput) -> api.DescribeStreamConsumerOutput:
        """https://docs.aws.amazon.com/kinesis/latest/APIReference/API_DescribeStreamConsumer.html"""
        stream, consumer = self._require(ctx, req)
        shape = consumer.describe()
        return {
            "ConsumerDescription": {
                "ConsumerName": shape["ConsumerName"],
                "ConsumerARN": shape["ConsumerARN"],
                "ConsumerStatus": shape["ConsumerStatus"],
                "ConsumerCreationTimestamp": shape["ConsumerCreationTimestamp"],
                "StreamARN": stream.arn,
            }
        }

    @operation("ListStreamConsumers", resource=stream_arn, refused=("StreamId",))
    async def list(self, ctx: Context, req: api.ListStreamConsumersInput) -> api.ListStreamConsumersOutput:
        """The token is the last name.

        https://docs.aws.amazon.com/kinesis/latest/APIReference/API_ListStreamConsumers.html
        """
        stream = self.store.require(ctx.scope, stream_name(ctx.scope, req))
        if "StreamCreationTimestamp" in req and abs(req["StreamCreationTimestamp"] - stream.created_at) >= 1:
            raise api.ResourceNotFoundException(f"Stream {stream.name} under account {ctx.scope.account} not found.")
        after, limit = req.get("NextToken", ""), req.get("MaxResults", 100)
        found = [consumer for consumer in self.consumers.of(stream) if consumer.name > after]
        result: api.ListStreamConsumersOutput = {"Consumers": [consumer.describe() for consumer in found[:limit]]}
        if len(found) > limit:
            result["NextToken"] = found[limit - 1].name
        return result

    @operation("SubscribeToShard", resource=consumer_arn, refused=("StreamId",))
    async def subscribe(self, ctx: Context, req: api.SubscribeToShardInput) -> api.SubscribeToShardOutput:
        """https://docs.aws.amazon.com/kinesis/latest/APIReference/API_SubscribeToShard.html"""
        stream, consumer = self._require(ctx, req)
        shard = stream.shard(req["ShardId"])
        position = req["StartingPosition"]
        offset = start(
            self.records,
            stream,
            shard,
            position["Type"],
            sequence_number=position.get("SequenceNumber"),
            timestamp=position.get("Timestamp"),
            now=ctx.now,
        )
        if req.get("DryRun"):
            raise api.DryRunOperationException("The request was rejected because the DryRun parameter was specified.")
        subscription = self.subscriptions.begin(consumer.arn, shard.id, ctx.now)
        return {"EventStream": self._push(stream, shard, offset, consumer, subscription)}

    async def _push(
        self, stream: Stream, shard: Shard, offset: int, consumer: Consumer, subscription: Subscription
    ) -> AsyncIterator[dict[str, Any]]:
        """The events of a subscription."""
        ends = subscription.began + SUBSCRIPTION_SECONDS
        self.records.watch(stream.arn, subscription.changed)
        try:
            while not subscription.ended and self.k.clock.now() < ends:
                subscription.changed.clear()
                found = self.store.by_uid(stream.uid)
                if found is None:
                    raise api.ResourceNotFoundException(f"Stream {stream.name} is gone.")
                event, offset, finished = self._event(found, found.shard(shard.id), offset)
                yield {"SubscribeToShardEvent": event}
                if finished:
                    return
                if not event["Records"]:
                    await self._wait(subscription.changed, min(self.k.clock.now() + _HEARTBEAT_SECONDS, ends))
        finally:
            self.records.unwatch(stream.arn, subscription.changed)
            self.subscriptions.closed(consumer.arn, shard.id, subscription)

    def _event(self, stream: Stream, shard: Shard, offset: int) -> tuple[api.SubscribeToShardEvent, int, bool]:
        """What is there from ``offset`` on, where to go on, and whether the shard ends here."""
        found = self.records.read(stream, shard, offset, _EVENT_RECORDS_MAX, _EVENT_BYTES_MAX)
        if found:
            offset = found[-1].offset + 1
            self.k.meters.out(stream.arn, len(found), sum(len(record.data) for record in found))
        event: api.SubscribeToShardEvent = {
            "Records": [to_record(shard, record) for record in found],
            "ContinuationSequenceNumber": shard.sequence_number(offset - 1),
            "MillisBehindLatest": self.records.behind(stream, shard, offset),
        }
        finished = shard.end_offset is not None and offset >= shard.end_offset
        if finished:
            event["ChildShards"] = children(stream, shard)
        return event, offset, finished

    async def _wait(self, changed: asyncio.Event, until: float) -> None:
        """Return when something changed, or at ``until``."""
        waits = (asyncio.ensure_future(changed.wait()), asyncio.ensure_future(self.k.clock.sleep_until(until)))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()

    def _require(self, ctx: Context, req: Mapping[str, Any]) -> tuple[Stream, Consumer]:
        """The consumer a request names, by its ARN or by stream and name."""
        arn = req.get("ConsumerARN")
        if arn is None and ("StreamARN" not in req or "ConsumerName" not in req):
            raise api.InvalidArgumentException(
                "Either ConsumerARN or both StreamARN and ConsumerName must be provided."
            )
        stream_part = arn.rpartition("/consumer/")[0] if arn is not None else req["StreamARN"]
        if parse(stream_part) is None:
            raise api.InvalidArgumentException(f"Invalid ConsumerARN {arn}.")
        stream = self.store.require(ctx.scope, stream_name(ctx.scope, {"StreamARN": stream_part}))
        for consumer in self.consumers.of(stream):
            if arn in (None, consumer.arn) and req.get("ConsumerName", consumer.name) == consumer.name:
                return stream, consumer
        raise api.ResourceNotFoundException(
            f"Consumer {arn or req['ConsumerName']} under account {ctx.scope.account} not found."
        )
