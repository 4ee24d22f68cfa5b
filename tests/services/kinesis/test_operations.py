"""Kinesis as a client sees it, through both codecs, on a manual clock."""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lakebed.kernel.errors import AwsError
from lakebed.services import kinesis
from lakebed.services.kinesis.model import HASH_MAX
from tests.harness import ROOT, Harness, make_kernel

ARN = "arn:aws:kinesis:us-east-1:000000000000:stream/s"


async def house(harness: Harness, shards: int = 1, **settings: Any) -> Harness:
    if settings:
        harness.kernel.settings.services["kinesis"] = settings
    harness.add(kinesis.service)
    await harness.start()
    await harness.call("kinesis", "CreateStream", StreamName="s", ShardCount=shards)
    return harness


async def iterator(
    harness: Harness, shard: str = "shardId-000000000000", kind: str = "TRIM_HORIZON", **more: Any
) -> str:
    made = await harness.call(
        "kinesis", "GetShardIterator", StreamName="s", ShardId=shard, ShardIteratorType=kind, **more
    )
    return str(made["ShardIterator"])


async def drain(harness: Harness, shard: str = "shardId-000000000000", limit: int = 10_000) -> list[bytes]:
    at: str | None = await iterator(harness, shard)
    found: list[bytes] = []
    while at is not None:
        answer = await harness.call("kinesis", "GetRecords", ShardIterator=at, Limit=limit)
        found += [record["Data"] for record in answer["Records"]]
        at = answer.get("NextShardIterator")
        if answer["MillisBehindLatest"] == 0 and at is not None:
            break
    return found


async def refusal(harness: Harness, operation: str, **params: Any) -> str:
    with pytest.raises(AwsError) as caught:
        await harness.call("kinesis", operation, **params)
    return caught.value.error_code


async def test_a_stream_is_described(harness: Harness) -> None:
    await house(harness, 3)
    described = (await harness.call("kinesis", "DescribeStream", StreamName="s", Limit=2))["StreamDescription"]
    assert described["StreamARN"] == ARN
    assert described["StreamStatus"] == "ACTIVE"
    assert [shard["ShardId"] for shard in described["Shards"]] == ["shardId-000000000000", "shardId-000000000001"]
    assert described["HasMoreShards"] is True
    rest = await harness.call("kinesis", "DescribeStream", StreamARN=ARN, ExclusiveStartShardId="shardId-000000000001")
    (last,) = rest["StreamDescription"]["Shards"]
    assert last["HashKeyRange"]["EndingHashKey"] == str(HASH_MAX)
    summary = await harness.call("kinesis", "DescribeStreamSummary", StreamName="s")
    assert summary["StreamDescriptionSummary"]["OpenShardCount"] == 3
    assert (await harness.call("kinesis", "DescribeLimits"))["OpenShardCount"] == 3


async def test_lists_are_paged(harness: Harness) -> None:
    await house(harness, 5)
    for name in ("a", "b", "t"):
        await harness.call("kinesis", "CreateStream", StreamName=name, StreamModeDetails={"StreamMode": "ON_DEMAND"})
    page = await harness.call("kinesis", "ListStreams", Limit=3)
    assert (page["StreamNames"], page["HasMoreStreams"]) == (["a", "b", "s"], True)
    assert (await harness.call("kinesis", "ListStreams", NextToken=page["NextToken"]))["StreamNames"] == ["t"]
    shards = await harness.call("kinesis", "ListShards", StreamName="s", MaxResults=3)
    more = await harness.call("kinesis", "ListShards", NextToken=shards["NextToken"], MaxResults=3)
    assert [s["ShardId"][-1] for s in shards["Shards"] + more["Shards"]] == list("01234")
    assert "NextToken" not in more
    await harness.clock.advance(301)
    assert await refusal(harness, "ListShards", NextToken=shards["NextToken"]) == "ExpiredNextTokenException"


async def test_what_is_put_is_read_in_order(harness: Harness) -> None:
    await house(harness)
    await harness.call("kinesis", "PutRecord", StreamName="s", Data=b"0", PartitionKey="k")
    answer = await harness.call(
        "kinesis",
        "PutRecords",
        StreamARN=ARN,
        Records=[{"Data": str(n).encode(), "PartitionKey": "k"} for n in range(1, 50)],
    )
    assert answer["FailedRecordCount"] == 0
    numbers = [int(record["SequenceNumber"]) for record in answer["Records"]]
    assert numbers == sorted(set(numbers))
    await harness.ports.streams.put(ROOT, ARN, [("k", b"50")])
    assert await drain(harness, limit=7) == [str(n).encode() for n in range(51)]
    meter: Any = harness.kernel.meters.snapshot()["resources"]
    assert meter[ARN]["recordsIn"] == 51


async def test_iterators_begin_where_they_say(harness: Harness) -> None:
    await house(harness)
    numbers = []
    for n in range(3):
        put = await harness.call("kinesis", "PutRecord", StreamName="s", Data=b"%d" % n, PartitionKey="k")
        numbers.append(put["SequenceNumber"])
        await harness.clock.advance(10)

    async def first(kind: str, **more: Any) -> bytes | None:
        answer = await harness.call("kinesis", "GetRecords", ShardIterator=await iterator(harness, kind=kind, **more))
        return answer["Records"][0]["Data"] if answer["Records"] else None

    start = harness.clock.now() - 30
    assert await first("AT_SEQUENCE_NUMBER", StartingSequenceNumber=numbers[1]) == b"1"
    assert await first("AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=numbers[1]) == b"2"
    assert await first("AT_TIMESTAMP", Timestamp=start + 5) == b"1"
    assert await first("AT_TIMESTAMP", Timestamp=start) == b"0"
    assert await first("LATEST") is None
    for wrong in ("1" * 56, "5"):
        assert (
            await refusal(
                harness,
                "GetShardIterator",
                StreamName="s",
                ShardId="shardId-000000000000",
                ShardIteratorType="AT_SEQUENCE_NUMBER",
                StartingSequenceNumber=wrong,
            )
            == "InvalidArgumentException"
        )


async def test_iterators_expire_and_cannot_be_forged(harness: Harness) -> None:
    await house(harness)
    at = await iterator(harness)
    assert await refusal(harness, "GetRecords", ShardIterator="A" * 100) == "InvalidArgumentException"
    assert await refusal(harness, "GetRecords", ShardIterator="nonsense!") == "InvalidArgumentException"
    await harness.clock.advance(301)
    assert await refusal(harness, "GetRecords", ShardIterator=at) == "ExpiredIteratorException"
    at = await iterator(harness)
    await harness.call("kinesis", "DeleteStream", StreamName="s")
    await harness.call("kinesis", "CreateStream", StreamName="s", ShardCount=1)
    assert await refusal(harness, "GetRecords", ShardIterator=at) == "InvalidArgumentException"


async def test_keys_and_explicit_hashes_choose_the_shard(harness: Harness) -> None:
    await house(harness, 4)
    by_key = [{"Data": b"x", "PartitionKey": f"key-{n % 20}"} for n in range(200)]
    answer = await harness.call("kinesis", "PutRecords", StreamName="s", Records=by_key)
    places: dict[str, set[str]] = {}
    for record, result in zip(by_key, answer["Records"], strict=True):
        places.setdefault(str(record["PartitionKey"]), set()).add(result["ShardId"])
    assert all(len(shards) == 1 for shards in places.values())
    assert len(Counter(result["ShardId"] for result in answer["Records"])) == 4
    put = await harness.call(
        "kinesis", "PutRecord", StreamName="s", Data=b"", PartitionKey="k", ExplicitHashKey=str(HASH_MAX)
    )
    assert put["ShardId"] == "shardId-000000000003"
    assert (
        await refusal(
            harness, "PutRecord", StreamName="s", Data=b"", PartitionKey="k", ExplicitHashKey=str(HASH_MAX + 1)
        )
        == "InvalidArgumentException"
    )


async def test_splitting_and_merging_drain_parents_into_children(harness: Harness) -> None:
    await house(harness)
    await harness.call("kinesis", "PutRecord", StreamName="s", Data=b"old", PartitionKey="k")
    await harness.call(
        "kinesis", "SplitShard", StreamName="s", ShardToSplit="shardId-000000000000", NewStartingHashKey=str(1 << 127)
    )
    put = await harness.call("kinesis", "PutRecord", StreamName="s", Data=b"new", PartitionKey="k")
    assert put["ShardId"] in ("shardId-000000000001", "shardId-000000000002")
    answer = await harness.call("kinesis", "GetRecords", ShardIterator=await iterator(harness))
    assert [record["Data"] for record in answer["Records"]] == [b"old"]
    assert "NextShardIterator" not in answer
    assert [child["ShardId"][-1] for child in answer["ChildShards"]] == ["1", "2"]
    assert harness.ports.streams.finished(ARN, "shardId-000000000000", 1)
    await harness.call(
        "kinesis",
        "MergeShards",
        StreamName="s",
        ShardToMerge="shardId-000000000001",
        AdjacentShardToMerge="shardId-000000000002",
    )
    shards = (await harness.call("kinesis", "ListShards", StreamName="s"))["Shards"]
    assert shards[3]["ParentShardId"] == "shardId-000000000001"
    assert shards[3]["AdjacentParentShardId"] == "shardId-000000000002"
    assert "EndingSequenceNumber" in shards[0]["SequenceNumberRange"]
    latest = await harness.call("kinesis", "ListShards", StreamName="s", ShardFilter={"Type": "AT_LATEST"})
    assert [shard["ShardId"][-1] for shard in latest["Shards"]] == ["3"]
    await harness.call("kinesis", "UpdateShardCount", StreamName="s", TargetShardCount=2, ScalingType="UNIFORM_SCALING")
    summary = await harness.call("kinesis", "DescribeStreamSummary", StreamName="s")
    assert summary["StreamDescriptionSummary"]["OpenShardCount"] == 2
    assert (
        await refusal(harness, "UpdateShardCount", StreamName="s", TargetShardCount=5, ScalingType="UNIFORM_SCALING")
        == "LimitExceededException"
    )
    await harness.clock.advance(25 * 3600)
    left = (await harness.call("kinesis", "ListShards", StreamName="s"))["Shards"]
    assert [shard["ShardId"][-1] for shard in left] == ["4", "5"]


async def test_retention_hides_and_removes_what_is_old(harness: Harness) -> None:
    await house(harness)
    await harness.call("kinesis", "IncreaseStreamRetentionPeriod", StreamName="s", RetentionPeriodHours=48)
    await harness.call("kinesis", "PutRecord", StreamName="s", Data=b"a", PartitionKey="k")
    await harness.clock.advance(47 * 3600)
    await harness.call("kinesis", "PutRecord", StreamName="s", Data=b"b", PartitionKey="k")
    assert await drain(harness) == [b"a", b"b"]
    await harness.clock.advance(2 * 3600)
    assert await drain(harness) == [b"b"]
    await harness.call("kinesis", "DecreaseStreamRetentionPeriod", StreamName="s", RetentionPeriodHours=24)
    await harness.clock.advance(23 * 3600)
    assert await drain(harness) == []
    for operation, hours in (
        ("IncreaseStreamRetentionPeriod", 9000),
        ("DecreaseStreamRetentionPeriod", 23),
        ("DecreaseStreamRetentionPeriod", 25),
    ):
        code = await refusal(harness, operation, StreamName="s", RetentionPeriodHours=hours)
        assert code == "InvalidArgumentException"


async def test_tags(harness: Harness) -> None:
    await house(harness)
    await harness.call("kinesis", "AddTagsToStream", StreamName="s", Tags={"a": "1", "b": "2"})
    await harness.call("kinesis", "TagResource", ResourceARN=ARN, Tags={"c": "3"})
    await harness.call("kinesis", "RemoveTagsFromStream", StreamName="s", TagKeys=["a"])
    page = await harness.call("kinesis", "ListTagsForStream", StreamName="s", Limit=1)
    assert page == {"Tags": [{"Key": "b", "Value": "2"}], "HasMoreTags": True}
    await harness.call("kinesis", "UntagResource", ResourceARN=ARN, TagKeys=["b"])
    assert (await harness.call("kinesis", "ListTagsForResource", ResourceARN=ARN))["Tags"] == [
        {"Key": "c", "Value": "3"}
    ]


async def test_modes(harness: Harness) -> None:
    await house(harness)
    await harness.call("kinesis", "UpdateStreamMode", StreamARN=ARN, StreamModeDetails={"StreamMode": "ON_DEMAND"})
    split = {"StreamName": "s", "ShardToSplit": "shardId-000000000000", "NewStartingHashKey": "5"}
    assert await refusal(harness, "SplitShard", **split) == "ValidationException"
    assert (await harness.call("kinesis", "DescribeLimits"))["OnDemandStreamCount"] == 1
    await harness.call("kinesis", "UpdateStreamMode", StreamARN=ARN, StreamModeDetails={"StreamMode": "PROVISIONED"})
    await harness.call("kinesis", "SplitShard", **split)


async def test_mistakes_are_answered_as_aws_does(harness: Harness) -> None:
    await house(harness)
    assert await refusal(harness, "CreateStream", StreamName="s", ShardCount=1) == "ResourceInUseException"
    assert await refusal(harness, "DescribeStream", StreamName="gone") == "ResourceNotFoundException"
    assert await refusal(harness, "DescribeStream") == "InvalidArgumentException"
    assert await refusal(harness, "DescribeStream", StreamARN=ARN.replace("0000:", "0001:")) in (
        "ResourceNotFoundException",
    )
    assert await refusal(harness, "CreateStream", StreamName="t", ShardCount=501) == "LimitExceededException"
    big = {"StreamName": "s", "PartitionKey": "k", "Data": b"x" * (1 << 20)}
    assert await refusal(harness, "PutRecord", **big) == "InvalidArgumentException"
    await harness.call("kinesis", "UpdateMaxRecordSize", StreamARN=ARN, MaxRecordSizeInKiB=2048)
    await harness.call("kinesis", "PutRecord", **big)
    records = [{"Data": b"x" * (1 << 20), "PartitionKey": "k"}] * 11
    assert await refusal(harness, "PutRecords", StreamName="s", Records=records) == "InvalidArgumentException"
    dry = {"StreamName": "s", "PartitionKey": "k", "Data": b"dry", "DryRun": True}
    assert await refusal(harness, "PutRecord", **dry) == "DryRunOperationException"
    assert b"dry" not in await drain(harness)


async def test_shard_limits_refuse_part_of_a_batch(harness: Harness) -> None:
    await house(harness, enforce_shard_limits=True)
    records = [{"Data": b"x" * 10_000, "PartitionKey": "k"}] * 150
    answer = await harness.call("kinesis", "PutRecords", StreamName="s", Records=records)
    assert answer["FailedRecordCount"] == 46
    assert answer["Records"][-1]["ErrorCode"] == "ProvisionedThroughputExceededException"
    one = {"StreamName": "s", "PartitionKey": "k", "Data": b"x" * 10_000}
    assert await refusal(harness, "PutRecord", **one) == "ProvisionedThroughputExceededException"
    await harness.clock.advance(1)
    await harness.call("kinesis", "PutRecord", **one)
    assert len(await drain(harness)) == 105


async def test_everything_acknowledged_survives_a_restart(tmp_path: Path) -> None:
    first = await house(Harness(tmp_path), 2)
    records = [{"Data": b"%d" % n, "PartitionKey": f"k{n}"} for n in range(100)]
    await first.call("kinesis", "PutRecords", StreamName="s", Records=records)
    at = await iterator(first)
    second = Harness(tmp_path, first.clock)  # as after kill -9: nothing was closed
    second.add(kinesis.service)
    await second.start()
    found = await drain(second) + await drain(second, "shardId-000000000001")
    assert sorted(found, key=int) == [b"%d" % n for n in range(100)]
    assert (await second.call("kinesis", "GetRecords", ShardIterator=at))["Records"]
    await first.stop()
    await second.stop()


async def test_concurrent_puts_keep_the_order_of_each_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where acknowledgements wait for the disk, puts overlap: numbers stay unique, and each batch stays in order."""
    monkeypatch.setattr("tests.harness.make_kernel", partial(make_kernel, power_safe=True))
    harness = await house(Harness(tmp_path), 2)

    async def put(writer: int) -> list[int]:
        numbers = []
        for turn in range(5):
            records = [{"Data": b"%d %d" % (writer, turn * 10 + n), "PartitionKey": f"w{writer}"} for n in range(10)]
            answer = await harness.call("kinesis", "PutRecords", StreamName="s", Records=records)
            numbers += [int(record["SequenceNumber"]) for record in answer["Records"]]
        return numbers

    batches = await asyncio.gather(*(put(writer) for writer in range(8)))
    assert len({number for numbers in batches for number in numbers}) == 400
    assert all(numbers == sorted(numbers) for numbers in batches)
    found = [record.split() for shard in range(2) for record in await drain(harness, f"shardId-{shard:012d}")]
    for writer in range(8):
        own = [int(n) for who, n in found if int(who) == writer]
        assert own == list(range(50))
    await harness.stop()


async def test_the_port_appends_all_or_none(harness: Harness) -> None:
    await house(harness, 2, enforce_shard_limits=True)
    put = harness.ports.streams.put
    await put(ROOT, ARN, [("k", b"x" * 10_000)] * 150)  # more than a second's worth, in a second of its own
    full, other = await drain(harness), await drain(harness, "shardId-000000000001")
    assert sorted((len(full), len(other))) == [0, 150]
    both = [(f"k{n}", b"y") for n in range(50)]
    with pytest.raises(AwsError, match="ProvisionedThroughputExceededException"):
        await put(ROOT, ARN, [*both, ("k", b"x")])
    assert len(await drain(harness)) + len(await drain(harness, "shardId-000000000001")) == 150
    await harness.clock.advance(1)
    await put(ROOT, ARN, both)
    assert len(await drain(harness)) + len(await drain(harness, "shardId-000000000001")) == 200
