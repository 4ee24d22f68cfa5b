"""On-demand streams: capacity follows the peak, warm throughput is a floor, a stream distributes records itself."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from lakebed.services.kinesis import model
from lakebed.services.kinesis.model import HASH_MAX, Stream
from lakebed.services.kinesis.scaling import Peak, scaled, wanted_shards
from lakebed.services.kinesis.telemetry import Written
from tests.harness import SCOPE, Harness
from tests.services.kinesis.test_operations import house, refusal

ON_DEMAND = {"StreamMode": "ON_DEMAND"}


def stream_of(count: int) -> Stream:
    shards = model.even_shards(count, 0.0)
    return Stream(SCOPE, "d", "u" * 22, b"", "ON_DEMAND", 0.0, 24, 1024, {}, shards)


@given(st.integers(1, 40), st.integers(1, 200), st.dictionaries(st.integers(0, 39), st.floats(0, 10), max_size=10))
def test_a_step_covers_the_hash_space_and_at_most_doubles(count: int, target: int, loads: dict[int, float]) -> None:
    stream = stream_of(count)
    made = scaled(stream, target, loads, {shard.number: 0 for shard in stream.open_shards}, 5.0)
    ends = made.range_ends
    assert ends[-1] == HASH_MAX
    assert [shard.hash_start for shard in made.open_shards] == [0, *(end + 1 for end in ends[:-1])]
    if target >= count:
        assert len(ends) == min(target, 2 * count)
    else:
        assert max(target, -(-count // 2)) <= len(ends) <= count


def test_twice_the_peak_fits() -> None:
    assert wanted_shards(Peak(0, 0), 0, 200) == 4
    assert wanted_shards(Peak(3 << 20, 0), 0, 200) == 6
    assert wanted_shards(Peak(0, 3500), 0, 200) == 7
    assert wanted_shards(Peak(1 << 30, 0), 0, 200) == 200
    assert wanted_shards(Peak(0, 0), 9, 200) == 9


async def test_a_stream_grows_with_its_traffic_and_shrinks_after_thirty_days(harness: Harness) -> None:
    await house(harness)
    await harness.call("kinesis", "CreateStream", StreamName="d", StreamModeDetails=ON_DEMAND)

    async def count() -> int:
        told = await harness.call("kinesis", "DescribeStreamSummary", StreamName="d")
        return int(told["StreamDescriptionSummary"]["OpenShardCount"])

    from lakebed.services.kinesis.store import StreamStore

    stream = StreamStore(harness.kernel.db).require(SCOPE, "d")
    scaling = next(task for task in harness.services["kinesis"].tasks if task.name == "kinesis-scaling")
    telemetry = scaling._telemetry  # type: ignore[attr-defined]
    telemetry.put(stream, "PutRecords", {1: Written(60, 60 * (10 << 20), 0)}, 0, 0.0)
    await harness.clock.advance(15 * 60)
    assert await count() == 20
    busiest = (await harness.call("kinesis", "ListShards", StreamName="d"))["Shards"]
    assert sum(shard.get("ParentShardId") == "shardId-000000000001" for shard in busiest) == 2
    await harness.clock.advance(31 * 86_400)
    assert await count() == 4
    await harness.call("kinesis", "PutRecord", StreamName="d", PartitionKey="k", Data=b"still")


async def test_warm_throughput_needs_a_commitment(harness: Harness) -> None:
    await house(harness)
    await harness.call("kinesis", "CreateStream", StreamName="d", StreamModeDetails=ON_DEMAND)
    warm = {"StreamName": "d", "WarmThroughputMiBps": 20}
    assert await refusal(harness, "UpdateStreamWarmThroughput", **warm) == "ValidationException"
    on = {"MinimumThroughputBillingCommitment": {"Status": "ENABLED"}}
    off = {"MinimumThroughputBillingCommitment": {"Status": "DISABLED"}}
    told = (await harness.call("kinesis", "UpdateAccountSettings", **on))["MinimumThroughputBillingCommitment"]
    assert told["Status"] == "ENABLED"
    made = await harness.call("kinesis", "UpdateStreamWarmThroughput", **warm)
    assert made["WarmThroughput"] == {"TargetMiBps": 20, "CurrentMiBps": 4}
    await harness.clock.settle()
    told = (await harness.call("kinesis", "DescribeStreamSummary", StreamName="d"))["StreamDescriptionSummary"]
    assert told["WarmThroughput"] == {"TargetMiBps": 20, "CurrentMiBps": 20}
    ended = (await harness.call("kinesis", "UpdateAccountSettings", **off))["MinimumThroughputBillingCommitment"]
    assert ended["Status"] == "ENABLED_UNTIL_EARLIEST_ALLOWED_END"
    await harness.clock.advance(86_401)
    told = (await harness.call("kinesis", "DescribeAccountSettings"))["MinimumThroughputBillingCommitment"]
    assert told["Status"] == "DISABLED"
    assert await refusal(harness, "UpdateStreamWarmThroughput", **warm) == "ValidationException"
    provisioned = {"StreamName": "s", "WarmThroughputMiBps": 20}
    assert await refusal(harness, "UpdateStreamWarmThroughput", **provisioned) == "ValidationException"


async def test_auto_distribution_spreads_one_key(harness: Harness) -> None:
    await house(harness)
    await harness.call(
        "kinesis", "CreateStream", StreamName="d", StreamModeDetails=ON_DEMAND, RecordDistributionStrategy="AUTO"
    )
    entries = [{"Data": b"x", "PartitionKey": "same"}, *({"Data": b"y"} for _ in range(7))]
    put = await harness.call("kinesis", "PutRecords", StreamName="d", Records=entries)
    assert Counter(Counter(record["ShardId"] for record in put["Records"]).values()) == {2: 4}
    arn = "arn:aws:kinesis:us-east-1:000000000000:stream/d"
    await harness.call(
        "kinesis",
        "UpdateStreamRecordDistributionStrategy",
        StreamARN=arn,
        RecordDistributionStrategy="USER_PARTITION_KEY",
    )
    assert await refusal(harness, "PutRecord", StreamName="d", Data=b"x") == "InvalidArgumentException"
