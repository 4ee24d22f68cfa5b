"""Lifecycle rules: what is taken, what they end, when, and what they leave."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lakebed.kernel.errors import AwsError
from lakebed.services.s3.model import lifecycle
from tests.harness import Harness
from tests.services.s3.conftest import Call, FakeQueues, leftovers, refused

DAY = 86_400


def rule(**actions: Any) -> dict[str, Any]:
    return {"ID": "r", "Status": "Enabled", "Filter": {"Prefix": ""}} | actions


async def put_rules(s3: Call, *rules: dict[str, Any]) -> None:
    await s3("PutBucketLifecycleConfiguration", Bucket="shelf", LifecycleConfiguration={"Rules": list(rules)})


async def keys(s3: Call) -> list[str]:
    return [entry["Key"] for entry in (await s3("ListObjectsV2", Bucket="shelf")).get("Contents", [])]


def test_days_end_at_midnight() -> None:
    assert lifecycle.due(10.5 * DAY, 3) == 14 * DAY
    assert lifecycle.due(10 * DAY, 1) == 12 * DAY


@pytest.mark.parametrize(
    "bad",
    [
        rule(),
        rule(Expiration={"Days": 0}),
        rule(Expiration={"Days": 1, "ExpiredObjectDeleteMarker": True}),
        rule(Expiration={"Date": 1.0}),
        rule(Expiration={"Days": 1}, Filter={"Prefix": "a", "ObjectSizeLessThan": 5}),
        rule(Expiration={"Days": 1}, Prefix="a"),
        rule(AbortIncompleteMultipartUpload={"DaysAfterInitiation": 1}, Filter={"Tag": {"Key": "a", "Value": "b"}}),
        rule(Transitions=[{"Days": 1, "StorageClass": "STANDARD_IA"}]),
        rule(Transitions=[{"Days": 9, "StorageClass": "GLACIER"}], Expiration={"Days": 9}),
        rule(Transitions=[{"Days": 9, "StorageClass": "STANDARD"}]),
    ],
)
def test_bad_rules(bad: dict[str, Any]) -> None:
    with pytest.raises(AwsError):
        lifecycle.parse_configuration([bad], ["new"])


async def test_what_is_put_is_told(s3: Call) -> None:
    assert (
        await refused(s3("GetBucketLifecycleConfiguration", Bucket="shelf"))
    ).error_code == "NoSuchLifecycleConfiguration"
    both = {"And": {"Prefix": "p/", "ObjectSizeGreaterThan": 10, "Tags": [{"Key": "a", "Value": "1"}]}}
    rules = [
        rule(Filter=both, Expiration={"Days": 3}),
        rule(ID="s", NoncurrentVersionExpiration={"NoncurrentDays": 2, "NewerNoncurrentVersions": 1}),
        rule(ID="t", AbortIncompleteMultipartUpload={"DaysAfterInitiation": 7}, Status="Disabled"),
    ]
    await put_rules(s3, *rules)
    assert (await s3("GetBucketLifecycleConfiguration", Bucket="shelf"))["Rules"] == rules
    await s3("DeleteBucketLifecycle", Bucket="shelf")
    assert (await refused(s3("GetBucketLifecycleConfiguration", Bucket="shelf"))).http_status == 404


async def test_objects_expire_by_prefix_size_and_tag(s3: Call, harness: Harness) -> None:
    queue = "arn:aws:sqs:us-east-1:000000000000:events"
    entry = {"QueueArn": queue, "Events": ["s3:LifecycleExpiration:*"]}
    await s3(
        "PutBucketNotificationConfiguration", Bucket="shelf", NotificationConfiguration={"QueueConfigurations": [entry]}
    )
    tags = [{"Key": "keep", "Value": "no"}]
    await put_rules(
        s3,
        rule(ID="a", Filter={"Prefix": "tmp/"}, Expiration={"Days": 1}),
        rule(ID="b", Filter={"And": {"Prefix": "", "Tags": tags, "ObjectSizeGreaterThan": 2}}, Expiration={"Days": 2}),
    )
    put = await s3("PutObject", Bucket="shelf", Key="tmp/x", Body=b"x")
    assert 'rule-id="a"' in put["Expiration"]
    assert 'rule-id="a"' in (await s3("HeadObject", Bucket="shelf", Key="tmp/x"))["Expiration"]
    await s3("PutObject", Bucket="shelf", Key="big", Body=b"xxx", Tagging="keep=no")
    await s3("PutObject", Bucket="shelf", Key="small", Body=b"xx", Tagging="keep=no")
    await s3("PutObject", Bucket="shelf", Key="untagged", Body=b"xxx")
    await harness.clock.advance(DAY)
    assert "tmp/x" in await keys(s3), "the day is rounded up to midnight"
    await harness.clock.advance(DAY)
    assert await keys(s3) == ["big", "small", "untagged"]
    await harness.clock.advance(DAY)
    assert await keys(s3) == ["small", "untagged"]
    assert await leftovers(harness) == 0
    queues = harness.ports.queues
    assert isinstance(queues, FakeQueues)
    records = [json.loads(body)["Records"][0] for _, body in queues.sent if "Records" in body]
    assert [(found["eventName"], found["s3"]["object"]["key"]) for found in records] == [
        ("LifecycleExpiration:Delete", "tmp/x"), ("LifecycleExpiration:Delete", "big"),
    ]  # fmt: skip
    assert records[0]["userIdentity"] == {"principalId": "s3.amazonaws.com"}


async def test_versions_expire(s3: Call, harness: Harness) -> None:
    await s3("PutBucketVersioning", Bucket="shelf", VersioningConfiguration={"Status": "Enabled"})
    for body in (b"1", b"2", b"3", b"4"):
        await s3("PutObject", Bucket="shelf", Key="k", Body=body)
    await put_rules(s3, rule(NoncurrentVersionExpiration={"NoncurrentDays": 1, "NewerNoncurrentVersions": 1}))
    await harness.clock.advance(3 * DAY)
    versions = (await s3("ListObjectVersions", Bucket="shelf"))["Versions"]
    assert len(versions) == 2, "the current one and the newest noncurrent one stay"
    assert (await s3("GetObject", Bucket="shelf", Key="k"))["Body"] == b"4"
    await put_rules(s3, rule(Expiration={"Days": 1}), rule(ID="n", NoncurrentVersionExpiration={"NoncurrentDays": 1}))
    await harness.clock.advance(5 * DAY)
    left = await s3("ListObjectVersions", Bucket="shelf")
    assert not left.get("Versions")
    assert not left.get("DeleteMarkers"), "a marker that hides nothing any more goes too"


async def test_uploads_are_aborted(s3: Call, harness: Harness) -> None:
    await put_rules(s3, rule(AbortIncompleteMultipartUpload={"DaysAfterInitiation": 1}))
    upload = await s3("CreateMultipartUpload", Bucket="shelf", Key="k")
    await s3("UploadPart", Bucket="shelf", Key="k", UploadId=upload["UploadId"], PartNumber=1, Body=b"x")
    await harness.clock.advance(3 * DAY)
    assert not (await s3("ListMultipartUploads", Bucket="shelf")).get("Uploads")
    assert await leftovers(harness) == 0


async def test_many_objects_in_several_buckets(s3: Call, harness: Harness) -> None:
    await s3("CreateBucket", Bucket="later")
    for bucket in ("shelf", "later"):
        await s3("PutBucketLifecycleConfiguration", Bucket=bucket,
                 LifecycleConfiguration={"Rules": [rule(Expiration={"Days": 1})]})  # fmt: skip
    for number in range(700):
        await s3("PutObject", Bucket="shelf", Key=f"{number:04d}", Body=b"")
    await s3("PutObject", Bucket="later", Key="one", Body=b"")
    await harness.clock.advance(2 * DAY)
    assert await keys(s3) == []
    assert (await s3("ListObjectsV2", Bucket="later"))["KeyCount"] == 0
