"""Buffers are flushed by size and time, exactly; objects are named and filled as AWS does; meters balance."""

from __future__ import annotations

import gzip
import re

import pytest

from lakebed.kernel.errors import AwsError
from tests.services.firehose.conftest import ARN, BUCKET, ROLE, STREAM, House


async def test_a_buffer_of_sixty_seconds_is_flushed_at_sixty_seconds(house: House) -> None:
    await house.create(interval=60)
    await house.put(b"one\n")
    await house.clock.advance(30)
    await house.put(b"two\n")
    await house.clock.advance(29.999)
    assert house.buckets.objects == {}
    await house.clock.advance(0.001)
    ((key, body),) = house.buckets.under("").items()
    assert body == b"one\ntwo\n"
    assert re.fullmatch(r"2025/06/15/15/d-1-2025-06-15-15-06-40-[0-9a-f-]{36}", key)
    assert house.buckets.principals == {ROLE}
    await house.put(b"three\n")
    await house.clock.advance(59.9)
    assert len(house.buckets.objects) == 1
    await house.clock.advance(0.1)
    assert len(house.buckets.objects) == 2


async def test_a_buffer_that_is_full_does_not_wait(house: House) -> None:
    await house.create(size=1, interval=900)
    await house.put(*[b"x" * 1000] * 1048)
    assert house.buckets.objects == {}
    await house.put(*[b"x" * 1000] * 2)
    (body,) = house.buckets.under("").values()
    assert len(body) == 1_049_000  # the record that fills the buffer is the last in it
    await house.clock.advance(900)
    assert sorted(map(len, house.buckets.under("").values())) == [1000, 1_049_000]


async def test_no_interval_delivers_at_once(house: House) -> None:
    await house.create(interval=0)
    await house.put(b"now")
    assert list(house.buckets.under("").values()) == [b"now"]


async def test_a_kinesis_source_is_read_from_its_tip_in_order(house: House) -> None:
    await house.harness.call("kinesis", "CreateStream", StreamName="s", ShardCount=3)
    await house.put_stream(("k", b"before"))
    await house.create(STREAM, interval=60)
    await house.put_stream(*[(f"k{n % 7}", f"{n % 7}:{n}\n".encode()) for n in range(700)])
    await house.clock.advance(60)
    (body,) = house.buckets.under("").values()
    lines = body.decode().split()
    assert len(lines) == 700
    for key in range(7):
        own = [int(line.split(":")[1]) for line in lines if line.startswith(f"{key}:")]
        assert own == sorted(own)
    source, sink = house.meter(STREAM), house.meter()
    assert source["recordsIn"] == 701
    assert source["recordsOut"] == sink["recordsIn"] == sink["recordsOut"] == 700
    assert sink["waiting"] == 0
    links = house.harness.kernel.meters.snapshot()["links"]
    assert {"source": STREAM, "target": ARN, "records": 700} in links  # type: ignore[operator]
    assert {"source": ARN, "target": BUCKET, "records": 700} in links  # type: ignore[operator]


async def test_resharding_loses_nothing_and_keeps_order(house: House) -> None:
    await house.harness.call("kinesis", "CreateStream", StreamName="s", ShardCount=1)
    await house.create(STREAM, interval=60)
    await house.put_stream(*[("k", b"%d\n" % n) for n in range(10)])
    await house.harness.call(
        "kinesis", "SplitShard", StreamName="s", ShardToSplit="shardId-000000000000", NewStartingHashKey=str(1 << 100)
    )
    await house.put_stream(*[("k", b"%d\n" % n) for n in range(10, 20)])
    await house.clock.advance(60)
    assert b"".join(house.buckets.under("").values()) == b"".join(b"%d\n" % n for n in range(20))


async def test_compression_delimiter_extension_and_time_zone(house: House) -> None:
    await house.create(
        CompressionFormat="GZIP",
        CustomTimeZone="Asia/Tokyo",
        Prefix="in/!{timestamp:yyyy-MM-dd'T'HH}/",
        ErrorOutputPrefix="out/!{firehose:error-output-type}/",
        ProcessingConfiguration={"Enabled": True, "Processors": [{"Type": "AppendDelimiterToRecord"}]},
    )
    await house.put(b"a", b"b")
    await house.clock.advance(60)
    ((key, body),) = house.buckets.under("").items()
    assert key.startswith("in/2025-06-16T00/d-1-2025-06-16-00-06-40-")
    assert key.endswith(".gz")
    assert gzip.decompress(body) == b"a\nb\n"
    await house.call(
        "UpdateDestination",
        DeliveryStreamName="d",
        CurrentDeliveryStreamVersionId="1",
        DestinationId="destinationId-000000000001",
        ExtendedS3DestinationUpdate={"FileExtension": ".txt.gz"},
    )
    await house.put(b"c")
    await house.clock.advance(60)
    assert any(re.search(r"/d-2-.*\.txt\.gz$", key) for key in house.buckets.under(""))


async def test_a_bucket_that_fails_is_tried_until_it_does_not(house: House) -> None:
    await house.create(CloudWatchLoggingOptions={"Enabled": True, "LogGroupName": "group", "LogStreamName": "stream"})
    await house.put(b"kept")
    house.buckets.broken = AwsError("NoSuchBucket", "The specified bucket does not exist")
    await house.clock.advance(600)
    assert house.buckets.objects == {}
    assert house.meter()["waiting"] == 1
    assert house.meter()["lagSeconds"] >= 300
    assert house.logs.events[0][:2] == ("group", "stream")
    assert '"errorCode":"S3.NoSuchBucket"' in house.logs.events[0][2]
    house.buckets.broken = None
    await house.put(b"later")
    await house.clock.advance(300)
    assert sorted(house.buckets.under("").values()) == [b"kept", b"later"]
    assert house.meter()["waiting"] == 0


@pytest.mark.parametrize(("source", "hours"), [("", 24), (STREAM, 30)])
async def test_what_can_not_be_delivered_is_given_up(house: House, source: str, hours: int) -> None:
    if source:
        await house.harness.call("kinesis", "CreateStream", StreamName="s", ShardCount=1)
        await house.harness.call("kinesis", "IncreaseStreamRetentionPeriod", StreamName="s", RetentionPeriodHours=hours)
    await house.create(source)
    house.buckets.broken = AwsError("NoSuchBucket", "The specified bucket does not exist")
    put = house.put_stream(("k", b"old")) if source else house.put(b"old")
    await put
    await house.clock.advance(hours * 3600)
    assert (house.meter()["waiting"], house.meter()["dropped"]) == (1, 0)
    await house.clock.advance(600)
    assert (house.meter()["waiting"], house.meter()["dropped"]) == (0, 1)
    house.buckets.broken = None
    await (house.put_stream(("k", b"new")) if source else house.put(b"new"))
    await house.clock.advance(60)
    assert list(house.buckets.under("").values()) == [b"new"]


async def test_a_source_made_again_is_read_from_its_beginning(house: House) -> None:
    for text in (b"first", b"again"):
        await house.harness.call("kinesis", "CreateStream", StreamName="s", ShardCount=1)
        if text == b"first":
            await house.create(STREAM)
        await house.put_stream(("k", text + b" 1\n"), ("k", text + b" 2\n"))
        await house.clock.advance(60)
        await house.harness.call("kinesis", "DeleteStream", StreamName="s")
    assert list(house.buckets.under("").values()) == [b"first 1\nfirst 2\n", b"again 1\nagain 2\n"]
    house = await house.again()
    await house.harness.call("kinesis", "CreateStream", StreamName="s", ShardCount=1)
    await house.put_stream(("k", b"third"))
    await house.clock.advance(60)
    assert list(house.buckets.under("").values())[2:] == [b"third"]
    await house.harness.stop()


async def test_source_records_are_backed_up(house: House) -> None:
    await house.create(
        S3BackupMode="Enabled",
        S3BackupConfiguration={
            "RoleARN": ROLE,
            "BucketARN": "arn:aws:s3:::raw",
            "Prefix": "b/",
            "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 10},
        },
    )
    await house.put(b"a", b"b")
    await house.clock.advance(10)
    assert list(house.buckets.under("b/2025/", "raw").values()) == [b"ab"]
    await house.clock.advance(50)
    assert list(house.buckets.under("").values()) == [b"ab"]
    assert house.meter()["recordsOut"] == 2
    update = {"DeliveryStreamName": "d", "DestinationId": "destinationId-000000000001"}
    code = await house.refusal(
        "UpdateDestination",
        CurrentDeliveryStreamVersionId="1",
        ExtendedS3DestinationUpdate={"S3BackupMode": "Disabled"},
        **update,
    )
    assert code == "InvalidArgumentException"
    await house.call(
        "UpdateDestination",
        CurrentDeliveryStreamVersionId="1",
        ExtendedS3DestinationUpdate={"S3BackupUpdate": {"Prefix": "c/", "CompressionFormat": "GZIP"}},
        **update,
    )
    await house.put(b"c")
    await house.clock.advance(10)
    ((key, body),) = house.buckets.under("c/2025/", "raw").items()
    assert key.endswith(".gz")
    assert gzip.decompress(body) == b"c"


async def test_the_disk_is_given_back(house: House) -> None:
    house.harness.kernel.segments.segment_bytes = 100_000
    await house.create(size=1, interval=60)
    for _ in range(10):
        await house.put(*[b"x" * 1000] * 200)
        await house.clock.advance(60)
    kernel = house.harness.kernel
    (name,) = kernel.segments.names("firehose")
    assert kernel.segments.log(name).size_bytes < 300_000
    assert sum(map(len, house.buckets.under("").values())) == 2_000_000
