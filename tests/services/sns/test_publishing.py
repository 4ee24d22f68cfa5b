"""From Publish to the endpoints: forms, filters, retries, dead letters, order, a crash in between."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from lakebed.kernel.errors import AwsError
from lakebed.services import sns, sqs
from lakebed.services.sns.envelope import signed_text
from tests.harness import ROOT, SCOPE, Harness
from tests.services.sns.conftest import QUEUE, TOPIC, World
from tests.services.sns.test_topics import fails

FUNCTION = SCOPE.arn("lambda", "function:report")
ATTRIBUTES = {
    "kind": {"DataType": "String", "StringValue": "x"},
    "raw": {"DataType": "Binary", "BinaryValue": b"\x00\x01"},
}


@pytest.mark.parametrize("version", ["1", "2"])
async def test_a_queue_receives_the_signed_envelope(world: World, version: str) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    await world.call("SetTopicAttributes", TopicArn=TOPIC, AttributeName="SignatureVersion", AttributeValue=version)
    arn = await world.subscribe()
    sent = await world.publish("héllo", Subject="Greeting", MessageAttributes=ATTRIBUTES)
    (message,) = await world.inbox()
    told = json.loads(message["Body"])
    assert told["Type"] == "Notification"
    assert (told["MessageId"], told["TopicArn"], told["Subject"]) == (sent["MessageId"], TOPIC, "Greeting")
    assert (told["Message"], told["SignatureVersion"]) == ("héllo", version)
    assert told["Timestamp"] == "2025-06-15T15:06:40.000Z"
    assert told["MessageAttributes"]["raw"] == {"Type": "Binary", "Value": "AAE="}
    assert told["UnsubscribeURL"].endswith(f"?Action=Unsubscribe&SubscriptionArn={arn}")
    certificate = x509.load_pem_x509_certificate((await world.harness.ports.topics.signing_certificate()).encode())
    key = certificate.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    key.verify(
        base64.b64decode(told["Signature"]), signed_text(told).encode(), padding.PKCS1v15(),
        hashes.SHA256() if version == "2" else hashes.SHA1(),
    )  # fmt: skip


async def test_raw_delivery_and_structures(world: World) -> None:
    await world.subscribe(RawMessageDelivery="true")
    await world.subscribe("lambda", FUNCTION)
    bodies = {"default": "all", "sqs": "for queues", "http": "nobody"}
    await world.publish(json.dumps(bodies), MessageStructure="json", MessageAttributes=ATTRIBUTES)
    (message,) = await world.inbox()
    assert message["Body"] == "for queues"
    assert message["MessageAttributes"] == ATTRIBUTES
    ((function, payload, source),) = world.functions.events
    assert (function, source) == (FUNCTION, TOPIC)
    (record,) = json.loads(payload)["Records"]
    assert (record["EventSource"], record["EventVersion"]) == ("aws:sns", "1.0")
    assert record["EventSubscriptionArn"].startswith(f"{TOPIC}:")
    assert record["Sns"]["Message"] == "all"
    assert record["Sns"]["Subject"] is None
    assert {"SigningCertUrl", "UnsubscribeUrl"} <= set(record["Sns"])


async def test_a_delivery_stream(world: World) -> None:
    stream, role = SCOPE.arn("firehose", "deliverystream/d"), "arn:aws:iam::000000000000:role/sns"
    await world.subscribe("firehose", stream, SubscriptionRoleArn=role, RawMessageDelivery="true")
    await world.publish("record")
    ((who, where, record),) = world.delivery.records
    assert (where, record) == (stream, b"record\n")
    assert ":assumed-role/sns/" in who


async def test_what_is_no_message(world: World) -> None:
    for params in (
        {"Message": ""}, {"Subject": "two\nlines"}, {"Subject": "x" * 101}, {"MessageStructure": "xml"},
        {"MessageStructure": "json"}, {"MessageStructure": "json", "Message": '{"sqs": "x"}'},
        {"Message": "x" * 262_145}, {"MessageDeduplicationId": "d"},
    ):  # fmt: skip
        await fails("InvalidParameter", world.publish(**{"message": "x", **params}))
    for value in (
        {"DataType": "Text", "StringValue": "x"},
        {"DataType": "String"},
        {"DataType": "Number", "StringValue": "x"},
    ):
        await fails("ParameterValueInvalid", world.publish("x", MessageAttributes={"a": value}))
    await fails("NotImplemented", world.call("Publish", PhoneNumber="+1", Message="x"))
    await fails("InvalidParameter", world.call("Publish", Message="x"))
    assert (await world.call("Publish", TargetArn=TOPIC, Message="x"))["MessageId"]


async def test_filters_choose(world: World) -> None:
    await world.subscribe(FilterPolicy='{"kind": [{"prefix": "x"}]}')
    other = await world.queue("bodies")
    await world.subscribe(endpoint=other, FilterPolicy='{"n": {"m": [1]}}', FilterPolicyScope="MessageBody")
    await world.publish('{"n": {"m": 1}}')
    await world.publish("no json", MessageAttributes=ATTRIBUTES)
    assert [json.loads(one["Body"])["Message"] for one in await world.inbox()] == ["no json"]
    assert [json.loads(one["Body"])["Message"] for one in await world.inbox("bodies")] == ['{"n": {"m": 1}}']


async def test_batches(world: World) -> None:
    await world.subscribe(RawMessageDelivery="true")
    entries = [{"Id": "a", "Message": "1"}, {"Id": "b", "Message": ""}, {"Id": "c", "Message": "3"}]
    told = await world.call("PublishBatch", TopicArn=TOPIC, PublishBatchRequestEntries=entries)
    assert [one["Id"] for one in told["Successful"]] == ["a", "c"]
    assert [one["Id"] for one in told["Failed"]] == ["b"]
    await world.clock.settle()
    assert sorted(one["Body"] for one in await world.inbox()) == ["1", "3"]
    for code, entries in (
        ("EmptyBatchRequest", []),
        ("BatchEntryIdsNotDistinct", [{"Id": "a", "Message": "1"}] * 2),
        ("InvalidBatchEntryId", [{"Id": "a b", "Message": "1"}]),
        ("TooManyEntriesInBatchRequest", [{"Id": f"a{number}", "Message": "1"} for number in range(11)]),
        ("BatchRequestTooLong", [{"Id": f"a{number}", "Message": "1" * 200_000} for number in range(2)]),
    ):
        await fails(code, world.call("PublishBatch", TopicArn=TOPIC, PublishBatchRequestEntries=entries))


async def test_one_that_waits_delays_no_other(world: World) -> None:
    await world.subscribe("lambda", FUNCTION)
    await world.subscribe()
    world.functions.failures = [AwsError("TooManyRequestsException", "later", status=429)] * 5
    await world.publish("x")
    assert len(await world.inbox()) == 1
    assert world.functions.events == []
    await world.clock.advance(1)
    await world.clock.advance(1)
    assert len(world.functions.events) == 1
    assert world.harness.kernel.db.all("SELECT * FROM sns_message") == []


async def test_client_errors_end_in_the_dead_letter_queue(world: World) -> None:
    dead = json.dumps({"deadLetterTargetArn": await world.queue("dead")})
    await world.subscribe(endpoint=f"{QUEUE}-gone", RedrivePolicy=dead, RawMessageDelivery="true")
    await world.subscribe("lambda", FUNCTION, RedrivePolicy=dead)
    world.functions.failures = [AwsError("ResourceNotFoundException", "gone", status=404)]
    await world.publish("lost", MessageAttributes=ATTRIBUTES)
    letters = sorted(await world.inbox("dead"), key=lambda one: len(one["Body"]))
    assert letters[0]["Body"] == "lost"
    assert letters[0]["MessageAttributes"] == ATTRIBUTES
    assert json.loads(letters[1]["Body"])["Message"] == "lost"
    assert world.harness.kernel.db.all("SELECT * FROM sns_delivery") == []


async def test_fifo_topics_keep_order_and_drop_duplicates(world: World) -> None:
    topic = (await world.call("CreateTopic", Name="t.fifo", Attributes={"FifoTopic": "true"}))["TopicArn"]
    fifo = await world.queue("inbox.fifo", FifoQueue="true")
    await world.subscribe(endpoint=fifo, topic=topic)
    await world.subscribe(endpoint=QUEUE, topic=topic, RawMessageDelivery="true")
    await fails("InvalidParameter", world.subscribe("lambda", FUNCTION, topic=topic))
    await fails("InvalidParameter", world.publish("x", TopicArn=topic))
    await fails("InvalidParameter", world.publish("x", TopicArn=topic, MessageGroupId="g"))
    told = []
    for number in (1, 2, 2, 3):
        told.append(
            await world.publish(f"{number}", TopicArn=topic, MessageGroupId="g", MessageDeduplicationId=f"d{number}")
        )
    assert told[1] == told[2]
    assert told[0]["SequenceNumber"] < told[1]["SequenceNumber"] < told[3]["SequenceNumber"]
    got = await world.inbox("inbox.fifo")
    assert [json.loads(one["Body"])["Message"] for one in got] == ["1", "2", "3"]
    assert got[0]["Attributes"]["MessageGroupId"] == "g"
    assert json.loads(got[0]["Body"])["SequenceNumber"] == told[0]["SequenceNumber"]
    assert sorted(one["Body"] for one in await world.inbox()) == ["1", "2", "3"]
    await world.clock.advance(301)
    assert (await world.publish("2", TopicArn=topic, MessageGroupId="g", MessageDeduplicationId="d2")) != told[1]


async def test_other_services_publish(world: World) -> None:
    await world.subscribe(RawMessageDelivery="true")
    topics = world.harness.ports.topics
    topics.check_destination(ROOT, TOPIC)
    await topics.publish(ROOT, TOPIC, "from inside", subject="S")
    await world.clock.settle()
    assert [one["Body"] for one in await world.inbox()] == ["from inside"]
    with pytest.raises(AwsError):
        topics.check_destination(ROOT, f"{TOPIC}x")


async def test_what_was_confirmed_survives_a_crash(tmp_path: Path) -> None:
    first = Harness(tmp_path)
    world = World(first)  # its tasks never run: a crash right after the answer
    await world.call("CreateTopic", Name="news")
    await world.queue("inbox")
    await world.subscribe(RawMessageDelivery="true")
    told: dict[str, Any] = await world.call("Publish", TopicArn=TOPIC, Message="kept")
    assert told["MessageId"]
    first.kernel.db.close()
    second = Harness(tmp_path, first.clock)
    second.add(sqs.service, sns.service)
    await second.start()
    await second.clock.settle()
    got = await second.call("sqs", "ReceiveMessage", QueueUrl="http://h/000000000000/inbox")
    assert [one["Body"] for one in got["Messages"]] == ["kept"]
    await second.stop()


async def test_a_neighbour_publishes_attributes(world: World) -> None:
    await world.subscribe()
    attributes = {"RequestID": {"DataType": "String", "StringValue": "r"}}
    await world.harness.ports.topics.publish(ROOT, TOPIC, "dead", attributes=attributes)
    await world.clock.settle()
    (message,) = await world.inbox()
    assert json.loads(message["Body"])["MessageAttributes"] == {"RequestID": {"Type": "String", "Value": "r"}}
