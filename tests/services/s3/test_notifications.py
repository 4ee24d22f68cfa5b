"""Event notifications: configuration, matching, the event's JSON, delivery at least once, dead letters."""

from __future__ import annotations

import json
from typing import Any

from tests.harness import Harness
from tests.services.s3.conftest import Call, FakeFunctions, FakeQueues, FakeTopics, caller_of, refused

QUEUE = "arn:aws:sqs:us-east-1:000000000000:events"
OTHER_QUEUE = "arn:aws:sqs:us-east-1:000000000000:other"
FUNCTION = "arn:aws:lambda:us-east-1:000000000000:function:report"


def queue(*events: str, arn: str = QUEUE, **rules: str) -> dict[str, Any]:
    entry: dict[str, Any] = {"QueueArn": arn, "Events": list(events or ["s3:ObjectCreated:*"])}
    if rules:
        entry["Filter"] = {"Key": {"FilterRules": [{"Name": name, "Value": value} for name, value in rules.items()]}}
    return entry


def topic(name: str) -> dict[str, Any]:
    return {"Id": name, "TopicArn": f"arn:aws:sns:us-east-1:000000000000:{name}", "Events": ["s3:ObjectCreated:*"]}


async def configure(s3: Call, *entries: dict[str, Any], **more: Any) -> None:
    await s3(
        "PutBucketNotificationConfiguration",
        Bucket="shelf",
        NotificationConfiguration={"QueueConfigurations": list(entries), **more},
    )


def queues(harness: Harness) -> FakeQueues:
    found = harness.ports.queues
    assert isinstance(found, FakeQueues)
    return found


async def events(harness: Harness) -> list[tuple[str, dict[str, Any]]]:
    """What arrived, without test events; oldest first."""
    await harness.clock.settle()
    received = [(arn, json.loads(body)) for arn, body in queues(harness).sent]
    return [(arn, body["Records"][0]) for arn, body in received if "Records" in body]


async def test_the_test_event_and_the_configuration(s3: Call, harness: Harness) -> None:
    await configure(s3, queue(prefix="in/", suffix=".json") | {"Id": "mine"})
    probe = json.loads(queues(harness).sent[0][1])
    assert (probe["Event"], probe["Bucket"], probe["Service"]) == ("s3:TestEvent", "shelf", "Amazon S3")
    assert queues(harness).principals[0] == ("s3.amazonaws.com", "arn:aws:s3:::shelf")
    told = await s3("GetBucketNotificationConfiguration", Bucket="shelf")
    assert told["QueueConfigurations"] == [queue(prefix="in/", suffix=".json") | {"Id": "mine"}]
    await configure(s3)
    assert "QueueConfigurations" not in await s3("GetBucketNotificationConfiguration", Bucket="shelf")


async def test_topics_are_notified(s3: Call, harness: Harness) -> None:
    topics = harness.ports.topics
    assert isinstance(topics, FakeTopics)
    await configure(s3, TopicConfigurations=[topic("news")])
    told = await s3("GetBucketNotificationConfiguration", Bucket="shelf")
    assert told["TopicConfigurations"] == [topic("news")]
    await s3("PutObject", Bucket="shelf", Key="a", Body=b"hello")
    await harness.clock.settle()
    (probe, event) = topics.published
    assert json.loads(probe[2])["Event"] == "s3:TestEvent"
    assert event[:2] == ("arn:aws:sns:us-east-1:000000000000:news", "Amazon S3 Notification")
    assert json.loads(event[2])["Records"][0]["s3"]["object"]["key"] == "a"


async def test_an_event_is_what_aws_sends(s3: Call, harness: Harness) -> None:
    await configure(s3, queue() | {"Id": "mine"})
    put = await s3("PutObject", Bucket="shelf", Key="in/a b+ü.json", Body=b"hello")
    [(arn, record)] = await events(harness)
    assert arn == QUEUE
    assert record["eventVersion"] == "2.1"
    assert record["eventSource"] == "aws:s3"
    assert record["awsRegion"] == "us-east-1"
    assert record["eventTime"] == "2025-06-15T15:06:40.000Z"
    assert record["eventName"] == "ObjectCreated:Put"
    assert record["userIdentity"] == {"principalId": "AWS:000000000000"}
    assert record["requestParameters"] == {"sourceIPAddress": "127.0.0.1"}
    assert set(record["responseElements"]) == {"x-amz-request-id", "x-amz-id-2"}
    told = record["s3"]
    assert (told["s3SchemaVersion"], told["configurationId"]) == ("1.0", "mine")
    assert told["bucket"]["name"] == "shelf"
    assert told["bucket"]["arn"] == "arn:aws:s3:::shelf"
    assert told["object"]["key"] == "in/a+b%2B%C3%BC.json"
    assert told["object"]["size"] == 5
    assert told["object"]["eTag"] == put["ETag"].strip('"')
    assert len(told["object"]["sequencer"]) == 18
    assert "versionId" not in told["object"]


async def test_every_cause_has_its_name(s3: Call, harness: Harness) -> None:
    await configure(s3, queue("s3:ObjectCreated:*", "s3:ObjectRemoved:*", "s3:ObjectTagging:*"))
    await s3("PutObject", Bucket="shelf", Key="a", Body=b"x")
    await s3("CopyObject", Bucket="shelf", Key="b", CopySource="shelf/a")
    upload = await s3("CreateMultipartUpload", Bucket="shelf", Key="c")
    part = await s3("UploadPart", Bucket="shelf", Key="c", UploadId=upload["UploadId"], PartNumber=1, Body=b"x")
    await s3(
        "CompleteMultipartUpload", Bucket="shelf", Key="c", UploadId=upload["UploadId"],
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
    )  # fmt: skip
    await s3("PutObjectTagging", Bucket="shelf", Key="a", Tagging={"TagSet": []})
    await s3("DeleteObject", Bucket="shelf", Key="a")
    await s3("DeleteObject", Bucket="shelf", Key="never there")
    await s3("PutBucketVersioning", Bucket="shelf", VersioningConfiguration={"Status": "Enabled"})
    await s3("DeleteObjects", Bucket="shelf", Delete={"Objects": [{"Key": "b"}]})
    seen = [(record["eventName"], record["s3"]["object"]) for _, record in await events(harness)]
    assert [name for name, _ in seen] == [
        "ObjectCreated:Put", "ObjectCreated:Copy", "ObjectCreated:CompleteMultipartUpload", "ObjectTagging:Put",
        "ObjectRemoved:Delete", "ObjectRemoved:DeleteMarkerCreated",
    ]  # fmt: skip
    assert seen[4][1].keys() == {"key", "sequencer"}
    assert seen[5][1].keys() == {"key", "eTag", "versionId", "sequencer"}
    sequencers = [told["sequencer"] for name, told in seen if "Tagging" not in name]
    assert sequencers == sorted(set(sequencers))


async def test_filters_choose(s3: Call, harness: Harness) -> None:
    await configure(
        s3,
        queue(prefix="in/", suffix=".json"),
        queue(prefix="in/", suffix=".csv", arn=OTHER_QUEUE),
        queue("s3:ObjectRemoved:Delete", arn=OTHER_QUEUE),
        LambdaFunctionConfigurations=[{"LambdaFunctionArn": FUNCTION, "Events": ["s3:ObjectCreated:Put"], "Filter": {
            "Key": {"FilterRules": [{"Name": "prefix", "Value": "out/"}]}}}],
    )  # fmt: skip
    for key in ("in/1.json", "in/2.csv", "in/3.txt", "1.json", "out/r.json"):
        await s3("PutObject", Bucket="shelf", Key=key, Body=b"x")
    seen = [(arn, record["s3"]["object"]["key"]) for arn, record in await events(harness)]
    assert seen == [(QUEUE, "in/1.json"), (OTHER_QUEUE, "in/2.csv")]
    functions = harness.ports.functions
    assert isinstance(functions, FakeFunctions)
    assert [json.loads(body)["Records"][0]["s3"]["object"]["key"] for _, body in functions.invoked] == ["out/r.json"]


async def test_bad_configurations(s3: Call, harness: Harness) -> None:
    overlapping = await refused(configure(s3, queue(prefix="a"), queue("s3:ObjectCreated:Put", prefix="ab")))
    assert overlapping.error_code == "InvalidArgument"
    assert "suffixes" in overlapping.message
    for entry in (
        queue(arn="arn:aws:sqs:us-east-1:000000000000:events.fifo"),
        queue(arn="arn:aws:sqs:eu-west-1:000000000000:events"),
        queue(arn="nonsense"),
        {**queue(), "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": v} for v in "ab"]}}},
    ):
        assert (await refused(configure(s3, entry))).error_code == "InvalidArgument"
    queues(harness).missing.add(QUEUE)
    gone = await refused(configure(s3, queue()))
    assert (gone.error_code, gone.message) == (
        "InvalidArgument", "Unable to validate the following destination configurations",
    )  # fmt: skip
    await s3(
        "PutBucketNotificationConfiguration", Bucket="shelf", SkipDestinationValidation=True,
        NotificationConfiguration={"QueueConfigurations": [queue()]},
    )  # fmt: skip
    for name in ("missing", "events.fifo"):
        wrong = refused(configure(s3, TopicConfigurations=[topic(name)]))
        assert (await wrong).error_code == "InvalidArgument"
    assert (await refused(configure(s3, queue("s3:Replication:*")))).http_status == 501


async def test_a_failing_queue_is_tried_again(s3: Call, harness: Harness) -> None:
    await configure(s3, queue())
    queues(harness).failing = 2
    await s3("PutObject", Bucket="shelf", Key="k", Body=b"x")
    assert await events(harness) == []
    await harness.clock.advance(60)
    assert [record["s3"]["object"]["key"] for _, record in await events(harness)] == ["k"]


async def test_a_vanished_queue_goes_to_the_dead_letters(s3: Call, harness: Harness) -> None:
    await configure(s3, queue(prefix="a"), queue(prefix="b", arn=OTHER_QUEUE))
    queues(harness).missing.add(QUEUE)
    await s3("PutObject", Bucket="shelf", Key="a", Body=b"x")
    await s3("PutObject", Bucket="shelf", Key="b", Body=b"x")
    assert [arn for arn, _ in await events(harness)] == [OTHER_QUEUE], "one dead destination held up another"
    buried = harness.kernel.db.all("SELECT * FROM s3_undelivered")
    assert [(row["target"], json.loads(row["body"])["Records"][0]["eventName"]) for row in buried] == [
        (QUEUE, "ObjectCreated:Put")
    ]
    assert harness.kernel.outbox.backlog() == {}


async def test_an_event_survives_a_crash(s3: Call, harness: Harness) -> None:
    """The object and its event are one transaction: a house that dies before delivery delivers after the restart."""
    await configure(s3, queue())
    await harness.kernel.tasks.stop()
    await s3("PutObject", Bucket="shelf", Key="k", Body=b"x")
    from lakebed.services import s3 as package

    reopened = Harness(harness.kernel.data, harness.clock)
    reopened.ports.queues = FakeQueues()  # type: ignore[assignment]
    reopened.add(package.service)
    await reopened.start()
    assert [record["s3"]["object"]["key"] for _, record in await events(reopened)] == ["k"]
    assert (await caller_of(reopened)("GetObject", Bucket="shelf", Key="k"))["Body"] == b"x"
    await reopened.stop()


async def test_the_graph_knows_the_links(s3: Call, harness: Harness) -> None:
    from tests.harness import SCOPE

    await configure(s3, queue())
    topology = harness.services["s3"].topology
    assert topology is not None
    assert [(link.source, link.target) for link in topology(SCOPE)] == [("arn:aws:s3:::shelf", QUEUE)]
