"""Enhanced fan-out: registered consumers, and records pushed to them.

https://docs.aws.amazon.com/kinesis/latest/APIReference/API_SubscribeToShard.html. A subscription pushes records as they are
put, and an empty event every five seconds so that a quiet stream's consumer knows where it is; it ends after five minutes, at
the end of a closed shard, or when the same consumer subscribes again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from lakebed.api import kinesis as api
from lakebed.kernel.errors import AwsError
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Principal
from lakebed.ports.service import Context, operation
from lakebed.services.kinesis import model
from lakebed.services.kinesis.access import Access
from lakebed.services.kinesis.consumers import (
    CONSUMERS_MAX,
    SUBSCRIPTION_SECONDS,
    Consumer,
    ConsumerStore,
    Subscription,
    Subscriptions,
)
from lakebed.services.kinesis.model import Shard, Stream
from lakebed.services.kinesis.provider.naming import consumer_arn, stream_arn
from lakebed.services.kinesis.reading import children, start, to_record
from lakebed.services.kinesis.records import Records
from lakebed.services.kinesis.store import StreamStore

_HEARTBEAT_SECONDS = 5.0
_EVENT_RECORDS_MAX, _EVENT_BYTES_MAX = 10_000, 2 << 20


class ConsumerOperations:
    """Operations on consumers. The permission is asked for by ``Access``, in the handler."""

    def __init__(
        self, k: Kernel, access: Access, store: StreamStore, consumers: ConsumerStore, records: Records
    ) -> None:
        self.k, self.access, self.store, self.consumers, self.records = k, access, store, consumers, records
        self.subscriptions = Subscriptions()

    @operation("RegisterStreamConsumer", action=None, resource=stream_arn, refused=("StreamId",))
    async def register(self, ctx: Context, req: api.RegisterStreamConsumerInput) -> api.RegisterStreamConsumerOutput:
        """https://docs.aws.amazon.com/kinesis/latest/APIReference/API_RegisterStreamConsumer.html"""
        stream = self.access.stream(ctx, req, "RegisterStreamConsumer")
        known = self.consumers.of(stream)
        if any(consumer.name == req["ConsumerName"] for consumer in known):
            raise api.ResourceInUseException(
                f"Consumer {req['ConsumerName']} under stream {stream.arn} already exists for account {ctx.scope.account}."
            )
        if len(known) >= CONSUMERS_MAX:
            raise api.LimitExceededException(f"A stream may have at most {CONSUMERS_MAX} consumers.")
        tags = model.with_tags({}, req.get("Tags") or {}, stream.name, stream.scope.account)
        consumer = Consumer(stream.arn, req["ConsumerName"], ctx.now, tags)
        with self.k.db.tx() as tx:
            self.consumers.insert(tx, stream, consumer)
        return {"Consumer": consumer.describe()}

    @operation("DeregisterStreamConsumer", action=None, resource=consumer_arn, refused=("StreamId",))
    async def deregister(self, ctx: Context, req: api.DeregisterStreamConsumerInput) -> None:
        """https://docs.aws.amazon.com/kinesis/latest/APIReference/API_DeregisterStreamConsumer.html"""
        stream, consumer = self.access.consumer(ctx, req, "DeregisterStreamConsumer")
        with self.k.db.tx() as tx:
            self.consumers.delete(tx, stream, consumer)
        self.subscriptions.end_all(consumer.arn)

    @operation("DescribeStreamConsumer", action=None, resource=consumer_arn, refused=("StreamId",))
    async def describe(self, ctx: Context, req: api.DescribeStreamConsumerInput) -> api.DescribeStreamConsumerOutput:
        """https://docs.aws.amazon.com/kinesis/latest/APIReference/API_DescribeStreamConsumer.html"""
        stream, consumer = self.access.consumer(ctx, req, "DescribeStreamConsumer")
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

    @operation("ListStreamConsumers", action=None, resource=stream_arn, refused=("StreamId",))
    async def list(self, ctx: Context, req: api.ListStreamConsumersInput) -> api.ListStreamConsumersOutput:
        """The token is the last name.

        https://docs.aws.amazon.com/kinesis/latest/APIReference/API_ListStreamConsumers.html
        """
        stream = self.access.stream(ctx, req, "ListStreamConsumers")
        if "StreamCreationTimestamp" in req and abs(req["StreamCreationTimestamp"] - stream.created_at) >= 1:
            raise api.ResourceNotFoundException(f"Stream {stream.name} under account {ctx.scope.account} not found.")
        after, limit = req.get("NextToken", ""), req.get("MaxResults", 100)
        found = [consumer for consumer in self.consumers.of(stream) if consumer.name > after]
        result: api.ListStreamConsumersOutput = {"Consumers": [consumer.describe() for consumer in found[:limit]]}
        if len(found) > limit:
            result["NextToken"] = found[limit - 1].name
        return result

    @operation("SubscribeToShard", action=None, resource=consumer_arn, refused=("StreamId",))
    async def subscribe(self, ctx: Context, req: api.SubscribeToShardInput) -> api.SubscribeToShardOutput:
        """https://docs.aws.amazon.com/kinesis/latest/APIReference/API_SubscribeToShard.html"""
        stream, consumer = self.access.consumer(ctx, req, "SubscribeToShard")
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
        try:
            subscription = self.subscriptions.begin(consumer.arn, shard.id, ctx.now)
        except AwsError:
            self.records.telemetry.subscribed(stream, consumer.name, refused=True)
            raise
        self.records.telemetry.subscribed(stream, consumer.name)
        return {"EventStream": self._push(ctx.principal, stream, shard, offset, consumer, subscription)}

    async def _push(
        self,
        principal: Principal,
        stream: Stream,
        shard: Shard,
        offset: int,
        consumer: Consumer,
        subscription: Subscription,
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
                event, offset, finished = self._event(principal, found, found.shard(shard.id), offset)
                self._told(found, shard, consumer, event)
                yield {"SubscribeToShardEvent": event}
                if finished:
                    return
                if not event["Records"]:
                    await self._wait(subscription.changed, min(self.k.clock.now() + _HEARTBEAT_SECONDS, ends))
        finally:
            self.records.unwatch(stream.arn, subscription.changed)
            self.subscriptions.closed(consumer.arn, shard.id, subscription)

    def _event(
        self, principal: Principal, stream: Stream, shard: Shard, offset: int
    ) -> tuple[api.SubscribeToShardEvent, int, bool]:
        """What is there from ``offset`` on, where to go on, and whether the shard ends here."""
        found = self.records.read(stream, shard, offset, _EVENT_RECORDS_MAX, _EVENT_BYTES_MAX)
        if found:
            offset = found[-1].offset + 1
        open_record = self.records.seals.opener(principal, stream)
        event: api.SubscribeToShardEvent = {
            "Records": [to_record(shard, record, open_record) for record in found],
            "ContinuationSequenceNumber": shard.sequence_number(offset - 1),
            "MillisBehindLatest": self.records.behind(stream, shard, offset),
        }
        finished = shard.end_offset is not None and offset >= shard.end_offset
        if finished:
            event["ChildShards"] = children(stream, shard)
        return event, offset, finished

    def _told(self, stream: Stream, shard: Shard, consumer: Consumer, event: api.SubscribeToShardEvent) -> None:
        records = event["Records"]
        size = sum(len(record["Data"]) for record in records)
        if records:
            self.k.meters.out(stream.arn, len(records), size)
        behind = event["MillisBehindLatest"]
        self.records.telemetry.pushed(stream, shard, consumer.name, len(records), size, behind)

    async def _wait(self, changed: asyncio.Event, until: float) -> None:
        """Return when something changed, or at ``until``."""
        waits = (asyncio.ensure_future(changed.wait()), asyncio.ensure_future(self.k.clock.sleep_until(until)))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
