"""SQS through the wire: what boto3 sees."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from lakebed.kernel.errors import AwsError
from lakebed.kernel.scope import Principal
from lakebed.services.sqs import service
from lakebed.services.sqs.digest import md5_of_attributes
from tests.harness import ACCOUNT, ENDPOINT, ROOT, SCOPE, Harness

URL = f"{ENDPOINT}/{ACCOUNT}/orders"


@pytest.fixture
async def sqs(harness: Harness) -> Harness:
    harness.add(service)
    await harness.start()
    await harness.call("sqs", "CreateQueue", QueueName="orders")
    return harness


async def fails(code: str, call: Any) -> str:
    with pytest.raises(AwsError) as failure:
        await call
    assert failure.value.error_code.removeprefix("AWS.SimpleQueueService.") == code
    return failure.value.message


async def test_create_is_idempotent_and_names_are_checked(sqs: Harness) -> None:
    again = await sqs.call("sqs", "CreateQueue", QueueName="orders", Attributes={"DelaySeconds": "0"})
    assert again["QueueUrl"] == URL
    message = await fails(
        "QueueAlreadyExists", sqs.call("sqs", "CreateQueue", QueueName="orders", Attributes={"DelaySeconds": "5"})
    )
    assert message.endswith("different value for attribute DelaySeconds")
    await fails("InvalidParameterValue", sqs.call("sqs", "CreateQueue", QueueName="no spaces"))
    await fails(
        "InvalidAttributeValue",
        sqs.call("sqs", "CreateQueue", QueueName="b", Attributes={"VisibilityTimeout": "43201"}),
    )
    assert (await sqs.call("sqs", "GetQueueUrl", QueueName="orders"))["QueueUrl"] == URL
    await fails("NonExistentQueue", sqs.call("sqs", "GetQueueUrl", QueueName="absent"))


async def test_listing_pages(sqs: Harness) -> None:
    for number in range(5):
        await sqs.call("sqs", "CreateQueue", QueueName=f"page-{number}")
    seen, token = [], {}
    while True:
        page = await sqs.call("sqs", "ListQueues", QueueNamePrefix="page-", MaxResults=2, **token)
        seen += page["QueueUrls"]
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    assert [url.rsplit("/", 1)[1] for url in seen] == [f"page-{number}" for number in range(5)]
    assert "QueueUrls" not in await sqs.call("sqs", "ListQueues", QueueNamePrefix="none")


async def test_send_receive_delete_with_attributes(sqs: Harness) -> None:
    attributes = {
        "kind": {"DataType": "String", "StringValue": "x"},
        "kind.sub": {"DataType": "Number.int", "StringValue": "7"},
        "raw": {"DataType": "Binary", "BinaryValue": b"\x00\x01"},
    }
    sent = await sqs.call("sqs", "SendMessage", QueueUrl=URL, MessageBody="hé", MessageAttributes=attributes)
    assert sent["MD5OfMessageAttributes"] == md5_of_attributes(attributes)
    elsewhere = f"https://sqs.us-east-1.amazonaws.com/{ACCOUNT}/orders"
    got = await sqs.call(
        "sqs",
        "ReceiveMessage",
        QueueUrl=elsewhere,
        MessageSystemAttributeNames=["All"],
        MessageAttributeNames=["kind.*"],
    )
    (message,) = got["Messages"]
    assert message["Body"] == "hé"
    assert message["MD5OfBody"] == sent["MD5OfMessageBody"]
    assert set(message["MessageAttributes"]) == {"kind", "kind.sub"}
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"
    assert message["Attributes"]["SentTimestamp"] == str(int(sqs.clock.now() * 1000))
    assert "Messages" not in await sqs.call("sqs", "ReceiveMessage", QueueUrl=URL)
    counts = (await sqs.call("sqs", "GetQueueAttributes", QueueUrl=URL, AttributeNames=["All"]))["Attributes"]
    assert counts["ApproximateNumberOfMessagesNotVisible"] == "1"
    await sqs.call("sqs", "DeleteMessage", QueueUrl=URL, ReceiptHandle=message["ReceiptHandle"])
    await sqs.call("sqs", "DeleteMessage", QueueUrl=URL, ReceiptHandle=message["ReceiptHandle"])
    await sqs.clock.advance(31)
    assert "Messages" not in await sqs.call("sqs", "ReceiveMessage", QueueUrl=URL)
    await fails("ReceiptHandleIsInvalid", sqs.call("sqs", "DeleteMessage", QueueUrl=URL, ReceiptHandle="rubbish"))


def test_digest_is_the_documented_one() -> None:
    # moto and LocalStack publish this pair for the same attributes; boto3's own checks agree with it.
    assert md5_of_attributes({"timestamp": {"DataType": "Number", "StringValue": "1493147359900"}}) == (
        "235c5c510d26fb653d073faed50ae77c"
    )


async def test_long_poll_returns_on_arrival_on_visibility_and_at_its_end(sqs: Harness) -> None:
    poll = asyncio.create_task(sqs.call("sqs", "ReceiveMessage", QueueUrl=URL, WaitTimeSeconds=20))
    await sqs.clock.advance(5)
    assert not poll.done()
    await sqs.call("sqs", "SendMessage", QueueUrl=URL, MessageBody="late", DelaySeconds=3)
    await sqs.clock.advance(2)
    assert not poll.done()
    await sqs.clock.advance(1)
    assert (await poll)["Messages"][0]["Body"] == "late"
    again = asyncio.create_task(
        sqs.call("sqs", "ReceiveMessage", QueueUrl=URL, WaitTimeSeconds=20, VisibilityTimeout=100)
    )
    await sqs.clock.advance(20)
    assert await again == {}
    await sqs.clock.advance(10)
    assert (await sqs.call("sqs", "ReceiveMessage", QueueUrl=URL))["Messages"]


async def test_a_poll_ends_with_its_queue(sqs: Harness) -> None:
    poll = asyncio.create_task(sqs.call("sqs", "ReceiveMessage", QueueUrl=URL, WaitTimeSeconds=20))
    await sqs.clock.settle()
    await sqs.call("sqs", "DeleteQueue", QueueUrl=URL)
    assert await fails("NonExistentQueue", poll) == "The specified queue does not exist."


async def test_batches_and_their_errors(sqs: Harness) -> None:
    async def send(*ids: str, body: str = "x") -> Any:
        entries = [{"Id": entry, "MessageBody": body} for entry in ids]
        return await sqs.call("sqs", "SendMessageBatch", QueueUrl=URL, Entries=entries)

    await fails("EmptyBatchRequest", send())
    await fails("TooManyEntriesInBatchRequest", send(*map(str, range(11))))
    await fails("BatchEntryIdsNotDistinct", send("a", "a"))
    await fails("InvalidBatchEntryId", send("a b"))
    await fails("BatchRequestTooLong", send("a", "b", body="x" * 600_000))
    mixed = await sqs.call(
        "sqs",
        "SendMessageBatch",
        QueueUrl=URL,
        Entries=[{"Id": "good", "MessageBody": "x"}, {"Id": "bad", "MessageBody": "\u0000"}],
    )
    assert [entry["Id"] for entry in mixed["Successful"]] == ["good"]
    assert mixed["Failed"][0]["Code"] == "InvalidMessageContents"
    await send("a", "b")
    got = await sqs.call("sqs", "ReceiveMessage", QueueUrl=URL, MaxNumberOfMessages=10)
    handles = [message["ReceiptHandle"] for message in got["Messages"]]
    changed = await sqs.call(
        "sqs",
        "ChangeMessageVisibilityBatch",
        QueueUrl=URL,
        Entries=[{"Id": "0", "ReceiptHandle": handles[0], "VisibilityTimeout": 0}],
    )
    assert changed == {"Successful": [{"Id": "0"}]}
    gone = await sqs.call(
        "sqs",
        "DeleteMessageBatch",
        QueueUrl=URL,
        Entries=[{"Id": str(at), "ReceiptHandle": handle} for at, handle in enumerate([*handles[1:], "rubbish"])],
    )
    assert len(gone["Successful"]) == 2
    assert gone["Failed"][0]["Code"] == "ReceiptHandleIsInvalid"


async def test_dead_letters(sqs: Harness) -> None:
    await sqs.call("sqs", "CreateQueue", QueueName="dead")
    policy = json.dumps({"deadLetterTargetArn": SCOPE.arn("sqs", "dead"), "maxReceiveCount": "1"})
    await sqs.call("sqs", "SetQueueAttributes", QueueUrl=URL, Attributes={"RedrivePolicy": policy})
    sources = await sqs.call("sqs", "ListDeadLetterSourceQueues", QueueUrl=f"{ENDPOINT}/{ACCOUNT}/dead")
    assert sources["queueUrls"] == [URL]
    await sqs.call("sqs", "SendMessage", QueueUrl=URL, MessageBody="poison")
    await sqs.call("sqs", "ReceiveMessage", QueueUrl=URL)
    await sqs.clock.advance(31)
    assert "Messages" not in await sqs.call("sqs", "ReceiveMessage", QueueUrl=URL)
    got = await sqs.call("sqs", "ReceiveMessage", QueueUrl=f"{ENDPOINT}/{ACCOUNT}/dead", AttributeNames=["All"])
    assert got["Messages"][0]["Attributes"]["DeadLetterQueueSourceArn"] == SCOPE.arn("sqs", "orders")
    topology = sqs.services["sqs"].topology
    assert topology is not None
    assert [link.target for link in topology(SCOPE)] == [SCOPE.arn("sqs", "dead")]
    missing = json.dumps({"deadLetterTargetArn": SCOPE.arn("sqs", "none"), "maxReceiveCount": 1})
    await fails(
        "InvalidParameterValue",
        sqs.call("sqs", "SetQueueAttributes", QueueUrl=URL, Attributes={"RedrivePolicy": missing}),
    )


async def test_purge_retention_and_the_discarded(sqs: Harness) -> None:
    await sqs.call("sqs", "SetQueueAttributes", QueueUrl=URL, Attributes={"MessageRetentionPeriod": "60"})
    await sqs.call("sqs", "SendMessage", QueueUrl=URL, MessageBody="a")
    await sqs.call("sqs", "PurgeQueue", QueueUrl=URL)
    await fails("PurgeQueueInProgress", sqs.call("sqs", "PurgeQueue", QueueUrl=URL))
    await sqs.clock.settle()
    assert sqs.kernel.db.all("SELECT * FROM sqs_message") == []
    await sqs.call("sqs", "SendMessage", QueueUrl=URL, MessageBody="b")
    await sqs.clock.advance(61)
    assert "Messages" not in await sqs.call("sqs", "ReceiveMessage", QueueUrl=URL)
    await sqs.clock.advance(900)
    assert sqs.kernel.db.all("SELECT * FROM sqs_message") == []


async def test_permissions_write_the_policy_and_the_policy_is_asked(sqs: Harness) -> None:
    asked: list[tuple[str, str, str | None]] = []

    class Identity:
        def authorise(self, principal: Principal, action: str, resource: str, **more: Any) -> None:
            asked.append((action, resource, more.get("resource_policy")))
            if principal.kind == "service" and not more.get("resource_policy"):
                raise AwsError("AccessDeniedException", "no", status=403)

    sqs.ports.identity = Identity()  # type: ignore[assignment]
    visitor = Principal(ACCOUNT, "s3.amazonaws.com", "service", "s3.amazonaws.com")
    arn = SCOPE.arn("sqs", "orders")
    await fails("AccessDeniedException", sqs.ports.queues.send(visitor, arn, ["x"], source_arn="arn:aws:s3:::b"))
    await sqs.call(
        "sqs", "AddPermission", QueueUrl=URL, Label="l", AWSAccountIds=["111122223333"], Actions=["SendMessage"]
    )
    await sqs.ports.queues.send(visitor, arn, ["x"], source_arn="arn:aws:s3:::b")
    assert asked[-1][0] == "sqs:SendMessage"
    assert json.loads(asked[-1][2] or "")["Statement"][0]["Resource"] == arn
    await sqs.call("sqs", "RemovePermission", QueueUrl=URL, Label="l")
    await fails("InvalidParameterValue", sqs.call("sqs", "RemovePermission", QueueUrl=URL, Label="l"))
    told = await sqs.call("sqs", "GetQueueAttributes", QueueUrl=URL, AttributeNames=["Policy"])
    assert told == {}


async def test_limits_of_members(sqs: Harness) -> None:
    wrong = [
        ("ReceiveMessage", {"MaxNumberOfMessages": 11}),
        ("ReceiveMessage", {"WaitTimeSeconds": 21}),
        ("ReceiveMessage", {"VisibilityTimeout": 43201}),
        ("SendMessage", {"MessageBody": "x", "DelaySeconds": 901}),
        ("SendMessage", {"MessageBody": "x" * 1_048_577}),
        (
            "SendMessage",
            {"MessageBody": "x", "MessageAttributes": {"AWS.x": {"DataType": "String", "StringValue": "y"}}},
        ),
    ]
    for operation, params in wrong:
        assert await fails("InvalidParameterValue", sqs.call("sqs", operation, QueueUrl=URL, **params))
    for url in ("http://somewhere/orders", "http://[/000000000000/orders"):
        await fails("InvalidAddress", sqs.call("sqs", "ReceiveMessage", QueueUrl=url))


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("RedrivePolicy", '{"deadLetterTargetArn":[],"maxReceiveCount":1}'),
        ("RedrivePolicy", '{"deadLetterTargetArn":"x","maxReceiveCount":[1]}'),
        ("RedriveAllowPolicy", '{"redrivePermission":"byQueue","sourceQueueArns":5}'),
        ("RedriveAllowPolicy", '{"redrivePermission":"denyAll","sourceQueueArns":["x"]}'),
        ("Policy", "[]"),
        ("Policy", '{"Statement":"x"}'),
        ("Policy", "[" * 5000),
        ("VisibilityTimeout", "9" * 5000),
        ("DelaySeconds", "-1"),
    ],
)
async def test_hostile_attributes_are_refused(sqs: Harness, attribute: str, value: str) -> None:
    with pytest.raises(AwsError, match=r"[Ii]nvalid|can't create"):
        await sqs.call("sqs", "SetQueueAttributes", QueueUrl=URL, Attributes={attribute: value})


async def test_the_port_pokes_and_releases(sqs: Harness) -> None:
    queues, arn, pokes = sqs.ports.queues, SCOPE.arn("sqs", "orders"), []

    class Poller:
        name, period = "test:poller", 1e9

        async def activate(self) -> None:
            pokes.append(sqs.clock.now())

    sqs.kernel.tasks.add(Poller())
    queues.subscribe(arn, "test:poller")
    await sqs.clock.settle()
    pokes.clear()
    await queues.send(ROOT, arn, ["one", "two"])
    await sqs.clock.settle()
    assert len(pokes) == 1
    taken = queues.receive(ROOT, arn, 100)
    assert [message.body for message in taken] == ["one", "two"]
    await sqs.clock.advance(29)
    count = len(pokes)
    await sqs.clock.advance(1)
    assert len(pokes) == count + 1
    again = queues.receive(ROOT, arn, 100, visibility_seconds=500)
    assert {message.attributes["ApproximateReceiveCount"] for message in again} == {"2"}
    queues.release(arn, [again[0].receipt_handle, taken[1].receipt_handle])
    assert queues.next_visible_at(arn) == sqs.clock.now()
    queues.delete(ROOT, arn, [message.receipt_handle for message in again])
    assert queues.next_visible_at(arn) is None


async def test_messages_survive_a_restart(tmp_path: Path) -> None:
    first = Harness(tmp_path / "house")
    first.add(service)
    await first.start()
    await first.call("sqs", "CreateQueue", QueueName="orders", tags={"a": "b"})
    await first.call("sqs", "SendMessage", QueueUrl=URL, MessageBody="kept")
    await first.stop()
    second = Harness(tmp_path / "house", first.clock)
    second.add(service)
    await second.start()
    assert (await second.call("sqs", "ReceiveMessage", QueueUrl=URL))["Messages"][0]["Body"] == "kept"
    assert (await second.call("sqs", "ListQueueTags", QueueUrl=URL))["Tags"] == {"a": "b"}
    await second.stop()
