"""Firehose's operations and the rules of its configuration."""

from __future__ import annotations

from typing import Any

import pytest

from lakebed.kernel.errors import AwsError
from lakebed.ports.service import Link
from tests.harness import ROOT, SCOPE
from tests.services.firehose.conftest import ARN, BUCKET, ROLE, STREAM, House, processor
from tests.services.firehose.test_transformation import CONVERSION, PARTITIONED

ID = "destinationId-000000000001"


async def describe(house: House) -> dict[str, Any]:
    return dict((await house.call("DescribeDeliveryStream", DeliveryStreamName="d"))["DeliveryStreamDescription"])


async def test_a_delivery_stream_is_described_with_its_defaults(house: House) -> None:
    made = await house.call(
        "CreateDeliveryStream",
        DeliveryStreamName="d",
        S3DestinationConfiguration={"RoleARN": ROLE, "BucketARN": BUCKET},
        Tags=[{"Key": "a", "Value": "1"}],
    )
    assert made["DeliveryStreamARN"] == ARN
    described = await describe(house)
    assert (described["DeliveryStreamStatus"], described["VersionId"]) == ("ACTIVE", "1")
    (destination,) = described["Destinations"]
    assert destination["DestinationId"] == ID
    extended = destination["ExtendedS3DestinationDescription"]
    assert extended["BufferingHints"] == {"SizeInMBs": 5, "IntervalInSeconds": 300}
    assert extended["CompressionFormat"] == "UNCOMPRESSED"
    assert extended["EncryptionConfiguration"] == {"NoEncryptionConfig": "NoEncryption"}
    assert destination["S3DestinationDescription"]["BucketARN"] == BUCKET


async def test_lists_and_tags(house: House) -> None:
    await house.create()
    await house.harness.call("kinesis", "CreateStream", StreamName="s", ShardCount=1)
    for name in ("a", "z"):
        await house.call(
            "CreateDeliveryStream",
            DeliveryStreamName=name,
            DeliveryStreamType="KinesisStreamAsSource",
            KinesisStreamSourceConfiguration={"KinesisStreamARN": STREAM, "RoleARN": ROLE},
            ExtendedS3DestinationConfiguration={"RoleARN": ROLE, "BucketARN": BUCKET},
        )
    page = await house.call("ListDeliveryStreams", Limit=2)
    assert page == {"DeliveryStreamNames": ["a", "d"], "HasMoreDeliveryStreams": True}
    rest = await house.call("ListDeliveryStreams", ExclusiveStartDeliveryStreamName="d")
    assert rest == {"DeliveryStreamNames": ["z"], "HasMoreDeliveryStreams": False}
    only = await house.call("ListDeliveryStreams", DeliveryStreamType="DirectPut")
    assert only["DeliveryStreamNames"] == ["d"]
    links = house.harness.services["firehose"].topology(SCOPE)  # type: ignore[misc]
    assert Link(STREAM, ARN.replace("/d", "/a")) in links
    assert Link(ARN, BUCKET) in links
    await house.call("TagDeliveryStream", DeliveryStreamName="d", Tags=[{"Key": "x", "Value": "1"}, {"Key": "y"}])
    await house.call("UntagDeliveryStream", DeliveryStreamName="d", TagKeys=["x"])
    tags = await house.call("ListTagsForDeliveryStream", DeliveryStreamName="d")
    assert tags == {"Tags": [{"Key": "y", "Value": ""}], "HasMoreTags": False}


async def test_updates_merge_and_need_the_version(house: House) -> None:
    await house.create(Prefix="one/")
    change = {
        "DeliveryStreamName": "d",
        "DestinationId": ID,
        "ExtendedS3DestinationUpdate": {"CompressionFormat": "GZIP"},
    }
    wrong = await house.refusal("UpdateDestination", CurrentDeliveryStreamVersionId="2", **change)
    assert wrong == "ConcurrentModificationException"
    await house.call("UpdateDestination", CurrentDeliveryStreamVersionId="1", **change)
    described = await describe(house)
    extended = described["Destinations"][0]["ExtendedS3DestinationDescription"]
    assert (extended["CompressionFormat"], extended["Prefix"], described["VersionId"]) == ("GZIP", "one/", "2")
    following = await house.again()
    assert await describe(following) == described


async def test_deleting_ends_everything(house: House) -> None:
    await house.create()
    await house.put(b"x")
    await house.call("DeleteDeliveryStream", DeliveryStreamName="d")
    assert await house.refusal("PutRecord", DeliveryStreamName="d", Record={"Data": b"x"}) == (
        "ResourceNotFoundException"
    )
    assert house.harness.kernel.segments.names("firehose") == []
    await house.create()
    await house.clock.advance(100)
    assert house.buckets.objects == {}


async def test_puts_are_limited_as_in_aws(house: House) -> None:
    await house.create()
    records = [{"Data": b"x" * 1_000_000}] * 5
    assert await house.refusal("PutRecordBatch", DeliveryStreamName="d", Records=records) == "InvalidArgumentException"
    with pytest.raises(AwsError):
        await house.harness.ports.delivery.put(ROOT, ARN, [b"x"] * 501)
    await house.harness.ports.delivery.put(ROOT, ARN, [b"x"] * 500)
    answer = await house.call("PutRecordBatch", DeliveryStreamName="d", Records=[{"Data": b"x"}] * 3)
    assert answer["FailedPutCount"] == 0
    assert len({entry["RecordId"] for entry in answer["RequestResponses"]}) == 3
    await house.clock.advance(60)
    assert [len(body) for body in house.buckets.under("").values()] == [503]


async def test_a_kinesis_delivery_stream_takes_no_puts(house: House) -> None:
    await house.harness.call("kinesis", "CreateStream", StreamName="s", ShardCount=1)
    await house.create(STREAM)
    code = await house.refusal("PutRecord", DeliveryStreamName="d", Record={"Data": b"x"})
    assert code == "InvalidArgumentException"


@pytest.mark.parametrize(
    "destination",
    [
        {"Prefix": "!{timestamp:yyyy}/"},
        {"Prefix": "!{firehose:error-output-type}/", "ErrorOutputPrefix": "!{firehose:error-output-type}/"},
        {"Prefix": "!{timestamp:yyyy}/", "ErrorOutputPrefix": "errors/"},
        {"Prefix": "!{timestamp:bbb}/", "ErrorOutputPrefix": "!{firehose:error-output-type}/"},
        {"Prefix": "!{what:x}/", "ErrorOutputPrefix": "!{firehose:error-output-type}/"},
        {"Prefix": "!{partitionKeyFromLambda:a}/", "ErrorOutputPrefix": "!{firehose:error-output-type}/"},
        {"ErrorOutputPrefix": "!{timestamp:yyyy}/"},
        {"CustomTimeZone": "Mars/Base"},
        {"Prefix": "x" * 600},
        {"S3BackupMode": "Enabled"},
        {"DataFormatConversionConfiguration": {**CONVERSION, "SchemaConfiguration": {}}},
        {"DataFormatConversionConfiguration": CONVERSION},  # five megabytes are too few for it
        {**PARTITIONED, "BufferingHints": {"SizeInMBs": 64, "IntervalInSeconds": 60}},  # no function
        {**PARTITIONED, "ProcessingConfiguration": processor()},
        {"ProcessingConfiguration": processor(NumberOfRetries="many")},
        {"CloudWatchLoggingOptions": {"Enabled": True}},
        {"ProcessingConfiguration": {"Enabled": True, "Processors": [{"Type": "Decompression"}]}},
        {"ProcessingConfiguration": {"Enabled": True, "Processors": [{"Type": "RecordDeAggregation"}]}},
    ],
)
async def test_configurations_that_aws_refuses(house: House, destination: dict[str, Any]) -> None:
    with pytest.raises(AwsError) as caught:
        await house.create(**destination)
    assert caught.value.error_code == "InvalidArgumentException"


@pytest.mark.parametrize(
    ("destination", "named"),
    [
        (
            {
                "EncryptionConfiguration": {
                    "KMSEncryptionConfig": {"AWSKMSKeyARN": "arn:aws:kms:us-east-1:000000000000:key/k"}
                }
            },
            "KMSEncryptionConfig",
        ),
    ],
)
async def test_what_is_not_built_is_named(house: House, destination: dict[str, Any], named: str) -> None:
    with pytest.raises(AwsError, match=named) as caught:
        await house.create(**destination)
    assert caught.value.http_status == 501
