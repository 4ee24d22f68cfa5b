"""Enhanced fan-out: consumers, and records that are pushed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from botocore.eventstream import EventStreamBuffer

from lakebed.kernel.errors import AwsError
from lakebed.wire.aws.codec import codec
from tests.harness import Harness, _model, _request
from tests.services.kinesis.test_operations import ARN, house, refusal

FIRST = "shardId-000000000000"


async def register(harness: Harness, name: str = "c") -> str:
    made = await harness.call("kinesis", "RegisterStreamConsumer", StreamARN=ARN, ConsumerName=name)
    assert made["Consumer"]["ConsumerStatus"] == "ACTIVE"
    return str(made["Consumer"]["ConsumerARN"])


async def subscribe(harness: Harness, consumer: str, kind: str = "TRIM_HORIZON") -> AsyncIterator[dict[str, Any]]:
    """The events as the operation gives them; a stream that stays open cannot be joined by ``call``."""
    request = {"ConsumerARN": consumer, "ShardId": FIRST, "StartingPosition": {"Type": kind}}
    handler = harness.services["kinesis"].operations["SubscribeToShard"].handler
    result = await handler(harness.context("kinesis", "SubscribeToShard"), request)
    events: AsyncIterator[dict[str, Any]] = result["EventStream"]
    return events


async def put(harness: Harness, *data: bytes) -> None:
    records = [{"Data": each, "PartitionKey": "k"} for each in data]
    await harness.call("kinesis", "PutRecords", StreamName="s", Records=records)


def data_of(event: dict[str, Any]) -> list[bytes]:
    return [record["Data"] for record in event["SubscribeToShardEvent"]["Records"]]


async def test_consumers_are_kept(harness: Harness) -> None:
    await house(harness)
    consumer = await register(harness)
    assert consumer == f"{ARN}/consumer/c:1750000000"
    await register(harness, "d")
    assert await refusal(harness, "RegisterStreamConsumer", StreamARN=ARN, ConsumerName="c") == "ResourceInUseException"
    described = await harness.call("kinesis", "DescribeStreamConsumer", ConsumerARN=consumer)
    assert described["ConsumerDescription"]["StreamARN"] == ARN
    page = await harness.call("kinesis", "ListStreamConsumers", StreamARN=ARN, MaxResults=1)
    rest = await harness.call("kinesis", "ListStreamConsumers", StreamARN=ARN, NextToken=page["NextToken"])
    assert [each["ConsumerName"] for each in page["Consumers"] + rest["Consumers"]] == ["c", "d"]
    summary = await harness.call("kinesis", "DescribeStreamSummary", StreamName="s")
    assert summary["StreamDescriptionSummary"]["ConsumerCount"] == 2
    assert await refusal(harness, "DeleteStream", StreamName="s") == "ResourceInUseException"
    await harness.call("kinesis", "DeregisterStreamConsumer", StreamARN=ARN, ConsumerName="d")
    assert await refusal(harness, "DescribeStreamConsumer", StreamARN=ARN, ConsumerName="d") == (
        "ResourceNotFoundException"
    )
    await harness.call("kinesis", "DeleteStream", StreamName="s", EnforceConsumerDeletion=True)


async def test_records_are_pushed_as_they_come(harness: Harness) -> None:
    await house(harness)
    events = await subscribe(harness, await register(harness))
    await put(harness, b"a", b"b")
    assert data_of(await anext(events)) == [b"a", b"b"]
    assert data_of(await anext(events)) == []
    waiting = asyncio.ensure_future(anext(events))
    await harness.clock.settle()
    assert not waiting.done()
    await put(harness, b"c")
    event = (await waiting)["SubscribeToShardEvent"]
    assert [record["Data"] for record in event["Records"]] == [b"c"]
    assert event["MillisBehindLatest"] == 0
    assert data_of(await anext(events)) == []
    waiting = asyncio.ensure_future(anext(events))
    await harness.clock.advance(5)
    assert data_of(await waiting) == []
    await events.aclose()  # type: ignore[attr-defined]  # it is a generator
    at = await harness.call(
        "kinesis", "GetShardIterator", StreamName="s", ShardId=FIRST, ShardIteratorType="AFTER_SEQUENCE_NUMBER",
        StartingSequenceNumber=event["ContinuationSequenceNumber"],
    )  # fmt: skip
    await put(harness, b"d")
    following = await harness.call("kinesis", "GetRecords", ShardIterator=at["ShardIterator"])
    assert [record["Data"] for record in following["Records"]] == [b"d"]


async def test_a_later_subscription_ends_the_first(harness: Harness) -> None:
    await house(harness)
    consumer = await register(harness)
    first = await subscribe(harness, consumer)
    assert data_of(await anext(first)) == []
    with pytest.raises(AwsError, match="ResourceInUse"):
        await subscribe(harness, consumer)
    await harness.clock.advance(5)
    second = await subscribe(harness, consumer)
    with pytest.raises(StopAsyncIteration):
        await anext(first)
    assert data_of(await anext(second)) == []
    await harness.call("kinesis", "DeregisterStreamConsumer", ConsumerARN=consumer)
    with pytest.raises(StopAsyncIteration):
        await anext(second)


async def test_it_ends_after_five_minutes_and_at_the_end_of_a_shard(harness: Harness) -> None:
    await house(harness)
    consumer = await register(harness)

    async def collect(events: AsyncIterator[dict[str, Any]]) -> list[dict[str, Any]]:
        return [event["SubscribeToShardEvent"] async for event in events]

    collecting = asyncio.ensure_future(collect(await subscribe(harness, consumer, "LATEST")))
    await harness.clock.advance(299)
    assert not collecting.done()
    await harness.clock.advance(1)
    assert len(await collecting) == 60
    await put(harness, b"a")
    await harness.call("kinesis", "SplitShard", StreamName="s", ShardToSplit=FIRST, NewStartingHashKey="5")
    (last,) = await collect(await subscribe(harness, consumer))
    assert [record["Data"] for record in last["Records"]] == [b"a"]
    assert len(last["ChildShards"]) == 2


async def test_events_on_the_wire(harness: Harness) -> None:
    await house(harness)
    consumer = await register(harness)
    await put(harness, b"a")
    await harness.call("kinesis", "SplitShard", StreamName="s", ShardToSplit=FIRST, NewStartingHashKey="5")
    params = {"ConsumerARN": consumer, "ShardId": FIRST, "StartingPosition": {"Type": "TRIM_HORIZON"}}
    wire, request = codec("kinesis"), _request(_model("kinesis"), "SubscribeToShard", params)
    match = wire.identify(request)
    assert match is not None
    result = (
        await harness.services["kinesis"]
        .operations["SubscribeToShard"]
        .handler(harness.context("kinesis", "SubscribeToShard"), wire.parse(match, request))
    )
    response = wire.serialise(match, result, "request-id")
    assert not isinstance(response.body, bytes)
    buffer = EventStreamBuffer()
    async for piece in response.body:
        buffer.add_data(piece)
    initial, event = list(buffer)
    assert initial.headers[":event-type"] == "initial-response"
    assert event.headers[":event-type"] == "SubscribeToShardEvent"
    payload = json.loads(event.payload)
    assert [record["Data"] for record in payload["Records"]] == ["YQ=="]
