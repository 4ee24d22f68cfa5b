"""What crosses accounts: resource policies, tags and limits of consumers; shard-level metrics; the limits of reads."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from lakebed.kernel.errors import AwsError
from lakebed.kernel.scope import Principal, Scope
from lakebed.ports.metrics import Point
from tests.harness import REGION, Harness, OpenIdentity
from tests.services.kinesis.test_operations import ARN, house, iterator, refusal

OTHER = Scope("111111111111", REGION)
STRANGER = Principal(
    "111111111111", "arn:aws:iam::111111111111:root", "root", "111111111111", "arn:aws:iam::111111111111:root"
)


def policy(resource: str = ARN, action: str | list[str] = "kinesis:PutRecord", **more: Any) -> str:
    statement = {"Effect": "Allow", "Principal": {"AWS": STRANGER.arn}, "Action": action, "Resource": resource, **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


class StrictIdentity(OpenIdentity):
    """Within an account everything is allowed; from outside what the resource's policy names."""

    def authorise(self, principal: Principal, action: str, resource: str, **more: Any) -> None:
        if principal.account == more["resource_account"]:
            return
        text = more.get("resource_policy") or "{}"
        for statement in json.loads(text).get("Statement", []):
            actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            if action in actions:
                return
        raise AwsError("AccessDeniedException", f"{principal.arn} {action}", status=400)


async def test_a_stream_is_shared_by_its_policy(harness: Harness) -> None:
    harness.ports.identity = StrictIdentity()  # type: ignore[assignment]
    await house(harness)
    put = {"StreamARN": ARN, "PartitionKey": "k", "Data": b"x", "caller": STRANGER, "place": OTHER}
    assert await refusal(harness, "PutRecord", **put) == "AccessDeniedException"
    await harness.call("kinesis", "PutResourcePolicy", ResourceARN=ARN, Policy=policy())
    assert json.loads((await harness.call("kinesis", "GetResourcePolicy", ResourceARN=ARN))["Policy"])["Statement"]
    assert (await harness.call("kinesis", "PutRecord", **put))["ShardId"] == "shardId-000000000000"
    at = await iterator(harness)
    read = {"ShardIterator": at, "caller": STRANGER, "place": OTHER}
    assert await refusal(harness, "GetRecords", **read) == "InvalidArgumentException"
    assert await refusal(harness, "GetRecords", StreamARN=ARN, **read) == "AccessDeniedException"
    shared = policy(action=["kinesis:GetRecords", "kinesis:DeleteStream"])
    await harness.call("kinesis", "PutResourcePolicy", ResourceARN=ARN, Policy=shared)
    assert (await harness.call("kinesis", "GetRecords", StreamARN=ARN, **read))["Records"][0]["Data"] == b"x"
    stranger: dict[str, Any] = {"StreamARN": ARN, "caller": STRANGER, "place": OTHER}
    assert await refusal(harness, "DeleteStream", **stranger) == "AccessDeniedException"
    await harness.call("kinesis", "DeleteResourcePolicy", ResourceARN=ARN)
    assert await refusal(harness, "GetRecords", StreamARN=ARN, **read) == "AccessDeniedException"
    assert await refusal(harness, "DeleteResourcePolicy", ResourceARN=ARN) == "ResourceNotFoundException"


@pytest.mark.parametrize("wrong", [
    "no", "[]", "{}", policy(resource="arn:aws:kinesis:us-east-1:000000000000:stream/other"), policy(action="s3:GetObject"),
    policy(Effect="Maybe"), policy(Principal=None),
])  # fmt: skip
async def test_wrong_policies_are_refused(harness: Harness, wrong: str) -> None:
    await house(harness)
    assert await refusal(harness, "PutResourcePolicy", ResourceARN=ARN, Policy=wrong) == "InvalidArgumentException"


async def test_consumers_have_tags_and_policies(harness: Harness) -> None:
    await house(harness)
    made = await harness.call(
        "kinesis", "RegisterStreamConsumer", StreamARN=ARN, ConsumerName="c", Tags={"team": "blue", "cost": "1"}
    )
    arn = made["Consumer"]["ConsumerARN"]
    await harness.call("kinesis", "TagResource", ResourceARN=arn, Tags={"cost": "2"})
    await harness.call("kinesis", "UntagResource", ResourceARN=arn, TagKeys=["team"])
    assert (await harness.call("kinesis", "ListTagsForResource", ResourceARN=arn))["Tags"] == [
        {"Key": "cost", "Value": "2"}
    ]
    text = policy(resource=arn, action="kinesis:SubscribeToShard")
    await harness.call("kinesis", "PutResourcePolicy", ResourceARN=arn, Policy=text)
    assert (await harness.call("kinesis", "GetResourcePolicy", ResourceARN=arn))["Policy"] == text
    assert (await harness.call("kinesis", "GetResourcePolicy", ResourceARN=ARN))["Policy"] == "{}"


class Points:
    def __init__(self) -> None:
        self.put_points: list[tuple[str, Mapping[str, str], float]] = []

    def put(self, scope: Scope, namespace: str, points: Sequence[Point], *, at: float | None = None) -> None:
        self.put_points += [(name, of, value) for name, of, value, _ in points]

    def total(self, name: str, **of: str) -> float:
        return sum(value for known, dimensions, value in self.put_points if known == name and dict(dimensions) == of)


async def test_shard_metrics_are_published_while_enabled(harness: Harness) -> None:
    points = harness.ports.metrics = Points()
    await house(harness)
    put = {"StreamName": "s", "PartitionKey": "k", "Data": b"12345"}
    await harness.call("kinesis", "PutRecord", **put)
    made = await harness.call("kinesis", "EnableEnhancedMonitoring", StreamName="s", ShardLevelMetrics=["ALL"])
    assert (made["CurrentShardLevelMetrics"], len(made["DesiredShardLevelMetrics"])) == ([], 7)
    await harness.call("kinesis", "DisableEnhancedMonitoring", StreamName="s", ShardLevelMetrics=["IncomingBytes"])
    await harness.call("kinesis", "PutRecord", **put)
    await harness.call("kinesis", "GetRecords", ShardIterator=await iterator(harness))
    shard = {"StreamName": "s", "ShardId": "shardId-000000000000"}
    assert points.total("PutRecord.Success", StreamName="s") == 2
    assert points.total("GetRecords.Records", StreamName="s") == 2
    assert (points.total("IncomingRecords", **shard), points.total("OutgoingRecords", **shard)) == (1, 2)
    assert points.total("IncomingBytes", **shard) == 0
    described = (await harness.call("kinesis", "DescribeStream", StreamName="s"))["StreamDescription"]
    assert len(described["EnhancedMonitoring"][0]["ShardLevelMetrics"]) == 6


async def test_reads_are_limited_where_that_is_set(harness: Harness) -> None:
    await house(harness, enforce_shard_limits=True)
    at = await iterator(harness)
    for _ in range(5):
        await harness.call("kinesis", "GetRecords", ShardIterator=at)
    assert await refusal(harness, "GetRecords", ShardIterator=at) == "ProvisionedThroughputExceededException"
    for _ in range(6):
        await harness.clock.advance(1)
        await harness.call("kinesis", "PutRecord", StreamName="s", PartitionKey="k", Data=b"x" * (1 << 19))
        await harness.call("kinesis", "PutRecord", StreamName="s", PartitionKey="k", Data=b"x" * 500_000)
    at = await iterator(harness)
    read = await harness.call("kinesis", "GetRecords", ShardIterator=at)
    assert len(read["Records"]) == 12
    await harness.clock.advance(2.5)
    assert await refusal(harness, "GetRecords", ShardIterator=at) == "ProvisionedThroughputExceededException"
    await harness.clock.advance(0.6)
    await harness.call("kinesis", "GetRecords", ShardIterator=at, Limit=1)


async def test_looking_in_the_console_is_not_consuming(harness: Harness) -> None:
    await house(harness)
    await harness.call("kinesis", "PutRecord", StreamName="s", PartitionKey="k", Data=b"x")
    context = harness.context("kinesis", "GetRecords")
    from dataclasses import replace

    seen = replace(context, headers={"user-agent": "lakebed-loopback"})
    handler = harness.services["kinesis"].operations["GetRecords"].handler
    found = await handler(seen, {"ShardIterator": await iterator(harness)})
    assert len(found["Records"]) == 1
    meters: Any = harness.kernel.meters.snapshot()["resources"]
    assert meters[ARN]["recordsOut"] == 0
