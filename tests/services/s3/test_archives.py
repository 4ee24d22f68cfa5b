"""Archived classes on the clock: transitions, reads that must wait, restored copies and their events."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.harness import ROOT, Harness
from tests.services.s3.conftest import Call, refused

DAY = 86_400


async def test_an_archive_is_read_after_a_restore(s3: Call, harness: Harness) -> None:
    await s3(
        "PutBucketNotificationConfiguration", Bucket="shelf", NotificationConfiguration={"EventBridgeConfiguration": {}}
    )
    await s3("PutObject", Bucket="shelf", Key="k", Body=b"cold", StorageClass="GLACIER")
    assert (await refused(s3("GetObject", Bucket="shelf", Key="k"))).error_code == "InvalidObjectState"
    assert (await refused(harness.ports.objects.head(ROOT, "shelf", "k"))).error_code == "InvalidObjectState"
    assert (await refused(s3("CopyObject", Bucket="shelf", Key="c", CopySource="shelf/k"))).http_status == 403
    request = {"Days": 1, "GlacierJobParameters": {"Tier": "Expedited"}}
    await s3("RestoreObject", Bucket="shelf", Key="k", RestoreRequest=request)
    assert (await s3("HeadObject", Bucket="shelf", Key="k"))["Restore"] == 'ongoing-request="true"'
    again = s3("RestoreObject", Bucket="shelf", Key="k", RestoreRequest=request)
    assert (await refused(again)).error_code == "RestoreAlreadyInProgress"
    await harness.clock.advance(301)
    assert (await s3("GetObject", Bucket="shelf", Key="k"))["Body"] == b"cold"
    assert 'ongoing-request="false", expiry-date=' in (await s3("HeadObject", Bucket="shelf", Key="k"))["Restore"]
    listed = await s3("ListObjectsV2", Bucket="shelf", OptionalObjectAttributes=["RestoreStatus"])
    assert listed["Contents"][0]["RestoreStatus"]["IsRestoreInProgress"] is False
    await harness.clock.advance(3 * DAY)
    assert (await refused(s3("GetObject", Bucket="shelf", Key="k"))).error_code == "InvalidObjectState"
    bus: Any = harness.ports.events
    kinds = [event[1] for event in bus.put_events]
    assert kinds == [
        "Object Created", "Object Restore Initiated", "Object Restore Completed", "Object Restore Expired",
    ]  # fmt: skip
    assert bus.put_events[0][2]["object"]["size"] == 4
    assert len({event[4] for event in bus.put_events}) == 4


@pytest.mark.parametrize(
    ("key", "request_", "code"),
    [
        ("warm", {"Days": 1}, "InvalidObjectState"),
        ("deep", {"Days": 1, "GlacierJobParameters": {"Tier": "Expedited"}}, "InvalidArgument"),
        ("deep", {"Days": 0}, "InvalidArgument"),
        ("deep", {}, "MalformedXML"),
        ("deep", {"Days": 1, "Type": "SELECT"}, "NotImplemented"),
    ],
)
async def test_wrong_restores(s3: Call, key: str, request_: dict[str, Any], code: str) -> None:
    await s3("PutObject", Bucket="shelf", Key="warm", Body=b"")
    await s3("PutObject", Bucket="shelf", Key="deep", Body=b"", StorageClass="DEEP_ARCHIVE")
    assert (await refused(s3("RestoreObject", Bucket="shelf", Key=key, RestoreRequest=request_))).error_code == code


async def test_transitions_go_from_warm_to_cold(s3: Call, harness: Harness) -> None:
    queue = {"QueueArn": "arn:aws:sqs:us-east-1:000000000000:q", "Events": ["s3:LifecycleTransition"]}
    await s3(
        "PutBucketNotificationConfiguration", Bucket="shelf", NotificationConfiguration={"QueueConfigurations": [queue]}
    )
    for key, size in (("large", 200 << 10), ("small", 10)):
        await s3("PutObject", Bucket="shelf", Key=key, Body=b"x" * size)
    transitions = [{"Days": 30, "StorageClass": "STANDARD_IA"}, {"Days": 60, "StorageClass": "DEEP_ARCHIVE"}]
    rule = {"ID": "r", "Status": "Enabled", "Filter": {"Prefix": ""}, "Transitions": transitions}
    await s3("PutBucketLifecycleConfiguration", Bucket="shelf", LifecycleConfiguration={"Rules": [rule]})
    told = await s3("GetBucketLifecycleConfiguration", Bucket="shelf")
    assert told["Rules"] == [rule]
    assert told["TransitionDefaultMinimumObjectSize"] == "all_storage_classes_128K"

    async def classes() -> dict[str, str]:
        return {entry["Key"]: entry["StorageClass"] for entry in (await s3("ListObjects", Bucket="shelf"))["Contents"]}

    await harness.clock.advance(32 * DAY)
    assert await classes() == {"large": "STANDARD_IA", "small": "STANDARD"}
    await harness.clock.advance(30 * DAY)
    assert await classes() == {"large": "DEEP_ARCHIVE", "small": "STANDARD"}
    queues: Any = harness.ports.queues
    events = [json.loads(body) for _, body in queues.sent if "Records" in body]
    moved = [event["Records"][0]["lifecycleEventData"]["transitionEventData"] for event in events]
    assert moved == [{"destinationStorageClass": "STANDARD_IA"}, {"destinationStorageClass": "DEEP_ARCHIVE"}]
