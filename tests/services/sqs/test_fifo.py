"""FIFO queues through the wire."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from lakebed.kernel.errors import AwsError
from lakebed.services.sqs import service
from tests.harness import ACCOUNT, ENDPOINT, ROOT, SCOPE, Harness

URL = f"{ENDPOINT}/{ACCOUNT}/orders.fifo"
ARN = SCOPE.arn("sqs", "orders.fifo")


@pytest.fixture
async def sqs(harness: Harness) -> Harness:
    harness.add(service)
    await harness.start()
    await create(harness, "orders.fifo", ContentBasedDeduplication="true")
    return harness


async def create(sqs: Harness, name: str, **attributes: str) -> None:
    await sqs.call("sqs", "CreateQueue", QueueName=name, Attributes={"FifoQueue": "true", **attributes})


async def fails(code: str, call: Any) -> str:
    with pytest.raises(AwsError) as failure:
        await call
    assert failure.value.error_code == code, failure.value
    return failure.value.message


async def send(sqs: Harness, body: str, group: str, **more: Any) -> dict[str, Any]:
    return await sqs.call("sqs", "SendMessage", QueueUrl=URL, MessageBody=body, MessageGroupId=group, **more)


async def receive(sqs: Harness, limit: int = 10, **more: Any) -> list[dict[str, Any]]:
    got = await sqs.call(
        "sqs", "ReceiveMessage", QueueUrl=URL, MaxNumberOfMessages=limit, AttributeNames=["All"], **more
    )
    return got.get("Messages", [])


async def delete(sqs: Harness, message: dict[str, Any]) -> None:
    await sqs.call("sqs", "DeleteMessage", QueueUrl=URL, ReceiptHandle=message["ReceiptHandle"])


def bodies(messages: list[dict[str, Any]]) -> list[str]:
    return [message["Body"] for message in messages]


async def test_names_and_attributes(sqs: Harness) -> None:
    made = sqs.call("sqs", "CreateQueue", QueueName="plain", Attributes={"FifoQueue": "true"})
    assert ".fifo suffix" in await fails("InvalidParameterValue", made)
    await fails("InvalidParameterValue", sqs.call("sqs", "CreateQueue", QueueName="a.fifo"))
    for name, value in (("ContentBasedDeduplication", "true"), ("DeduplicationScope", "queue"), ("FifoQueue", "false")):
        made = sqs.call("sqs", "CreateQueue", QueueName="plain", Attributes={name: value})
        await fails("InvalidAttributeName", made)
    await fails("InvalidAttributeValue", create(sqs, "b.fifo", FifoThroughputLimit="perMessageGroupId"))
    await create(sqs, "b.fifo", FifoThroughputLimit="perMessageGroupId", DeduplicationScope="messageGroup")
    change = sqs.call("sqs", "SetQueueAttributes", QueueUrl=URL, Attributes={"FifoQueue": "false"})
    await fails("InvalidAttributeValue", change)
    told = (await sqs.call("sqs", "GetQueueAttributes", QueueUrl=URL, AttributeNames=["All"]))["Attributes"]
    assert (told["FifoQueue"], told["ContentBasedDeduplication"], told["DeduplicationScope"]) == (
        "true",
        "true",
        "queue",
    )
    assert told["FifoThroughputLimit"] == "perQueue"


async def test_what_a_message_needs(sqs: Harness) -> None:
    await create(sqs, "strict.fifo")
    strict = URL.replace("orders", "strict")
    await fails("MissingParameter", sqs.call("sqs", "SendMessage", QueueUrl=strict, MessageBody="x"))
    call = sqs.call("sqs", "SendMessage", QueueUrl=strict, MessageBody="x", MessageGroupId="g")
    assert "ContentBasedDeduplication" in await fails("InvalidParameterValue", call)
    await fails("InvalidParameterValue", send(sqs, "x", "a b"))
    await fails("InvalidParameterValue", send(sqs, "x", "g", MessageDeduplicationId="é"))
    await fails("InvalidParameterValue", send(sqs, "x", "g", DelaySeconds=3))
    await send(sqs, "x", "g", DelaySeconds=0)
    await sqs.call("sqs", "CreateQueue", QueueName="plain")
    plain = f"{ENDPOINT}/{ACCOUNT}/plain"
    call = sqs.call("sqs", "SendMessage", QueueUrl=plain, MessageBody="x", MessageDeduplicationId="d")
    await fails("InvalidParameterValue", call)
    await sqs.call("sqs", "SendMessage", QueueUrl=plain, MessageBody="x", MessageGroupId="tenant")


async def test_duplicates_within_five_minutes(sqs: Harness) -> None:
    first = await send(sqs, "same", "g")
    await sqs.clock.advance(299)
    assert {**first} == await send(sqs, "same", "other")
    (message,) = await receive(sqs)
    assert message["Attributes"]["SequenceNumber"] == first["SequenceNumber"]
    assert len(message["Attributes"]["MessageDeduplicationId"]) == 64
    await delete(sqs, message)
    assert (await send(sqs, "same", "g"))["MessageId"] == first["MessageId"]
    assert await receive(sqs) == []
    await sqs.clock.advance(1)
    later = await send(sqs, "same", "g")
    assert later["SequenceNumber"] > first["SequenceNumber"]
    assert bodies(await receive(sqs)) == ["same"]


async def test_groups_batches_and_receipts(sqs: Harness) -> None:
    entries = [
        {"Id": f"e{number}", "MessageBody": body, "MessageGroupId": group}
        for number, (body, group) in enumerate([("a1", "A"), ("b1", "B"), ("a2", "A"), ("a1", "A"), ("bad", "no good")])
    ]
    answer = await sqs.call("sqs", "SendMessageBatch", QueueUrl=URL, Entries=entries)
    told = {entry["Id"]: entry for entry in answer["Successful"]}
    assert told["e0"]["MessageId"] == told["e3"]["MessageId"]
    assert [entry["Id"] for entry in answer["Failed"]] == ["e4"]
    first = await receive(sqs, 1)
    assert bodies(first) == ["a1"]
    second = await receive(sqs)
    assert bodies(second) == ["b1"]
    poll = asyncio.create_task(receive(sqs, 1, WaitTimeSeconds=20))
    await sqs.clock.advance(1)
    assert not poll.done()
    await delete(sqs, first[0])
    await sqs.clock.settle()
    assert bodies(await poll) == ["a2"]
    await sqs.clock.advance(40)
    message = await fails("InvalidParameterValue", delete(sqs, second[0]))
    assert message.endswith("The receipt handle has expired.")
    await delete(sqs, first[0])


async def test_attempts_repeat(sqs: Harness) -> None:
    for number in range(4):
        await send(sqs, f"{number}", "g")
    first = await receive(sqs, 2, ReceiveRequestAttemptId="once")
    assert first == await receive(sqs, 2, ReceiveRequestAttemptId="once")
    assert await receive(sqs, 2, ReceiveRequestAttemptId="other") == []
    await delete(sqs, first[0])
    await delete(sqs, first[1])
    assert bodies(await receive(sqs, 2, ReceiveRequestAttemptId="once")) == ["2", "3"]
    await fails("InvalidParameterValue", receive(sqs, 1, ReceiveRequestAttemptId="é"))


async def test_dead_letters_and_back_in_order(sqs: Harness) -> None:
    await sqs.call("sqs", "CreateQueue", QueueName="plain")
    await create(sqs, "dead.fifo")
    plain = json.dumps({"deadLetterTargetArn": SCOPE.arn("sqs", "plain"), "maxReceiveCount": 1})
    change = sqs.call("sqs", "SetQueueAttributes", QueueUrl=URL, Attributes={"RedrivePolicy": plain})
    assert "same type" in await fails("InvalidParameterValue", change)
    dead = SCOPE.arn("sqs", "dead.fifo")
    policy = json.dumps({"deadLetterTargetArn": dead, "maxReceiveCount": 1})
    await sqs.call("sqs", "SetQueueAttributes", QueueUrl=URL, Attributes={"RedrivePolicy": policy})
    for number in range(5):
        await send(sqs, f"{number}", "g")
    assert bodies(await receive(sqs, 3)) == ["0", "1", "2"]
    await sqs.clock.advance(31)
    assert bodies(await receive(sqs, 1)) == ["3"]
    await fails(
        "InvalidParameterValue",
        sqs.call("sqs", "StartMessageMoveTask", SourceArn=dead, DestinationArn=SCOPE.arn("sqs", "plain")),
    )
    await sqs.call("sqs", "StartMessageMoveTask", SourceArn=dead)
    await sqs.clock.settle()
    await sqs.clock.advance(31)
    got = await receive(sqs)
    assert bodies(got) == ["4", "0", "1", "2"], "redriven messages come behind what waits; 3 had its one receive"
    assert got[1]["Attributes"]["MessageGroupId"] == "g"


async def test_purge_delay_and_retention(sqs: Harness) -> None:
    await sqs.call(
        "sqs", "SetQueueAttributes", QueueUrl=URL, Attributes={"DelaySeconds": "5", "MessageRetentionPeriod": "60"}
    )
    await send(sqs, "late", "g")
    assert await receive(sqs) == []
    await sqs.clock.advance(5)
    assert bodies(await receive(sqs, VisibilityTimeout=0)) == ["late"]
    await sqs.clock.advance(56)
    assert await receive(sqs) == []
    await send(sqs, "purged", "g")
    await sqs.call("sqs", "PurgeQueue", QueueUrl=URL)
    await send(sqs, "purged", "g")
    await sqs.clock.advance(6)
    assert bodies(await receive(sqs)) == ["purged"]
    await sqs.clock.advance(1800)
    for table in ("sqs_message", "sqs_group", "sqs_deduplication", "sqs_attempt"):
        assert sqs.kernel.db.all(f"SELECT * FROM {table}") == [], table


async def test_in_flight_limit(sqs: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lakebed.services.sqs.model.FIFO_IN_FLIGHT_MAX", 2)
    for number in range(3):
        await send(sqs, f"{number}", f"g{number}")
    got = await receive(sqs)
    assert bodies(got) == ["0", "1"]
    await fails("OverLimit", receive(sqs))
    await delete(sqs, got[0])
    assert bodies(await receive(sqs)) == ["2"]


async def test_other_services_see_groups(sqs: Harness) -> None:
    queues = sqs.ports.queues
    for body, group in (("a1", "A"), ("a2", "A"), ("b1", "B")):
        await send(sqs, body, group)
    got = queues.receive(ROOT, ARN, 1)
    assert (got[0].body, got[0].attributes["MessageGroupId"]) == ("a1", "A")
    others = queues.receive(ROOT, ARN, 10)
    assert [message.body for message in others] == ["b1"]
    queues.release(ARN, [got[0].receipt_handle])
    assert [message.body for message in queues.receive(ROOT, ARN, 10)] == ["a1", "a2"]
    assert queues.next_visible_at(ARN) == sqs.clock.now() + 30


async def test_every_statement_walks_an_index(sqs: Harness) -> None:
    seen: list[str] = []
    connection = sqs.kernel.db._connection
    connection.set_trace_callback(seen.append)
    for number in range(3):
        await send(sqs, f"{number}", "g", MessageDeduplicationId=f"d{number}")
    first = await receive(sqs, 2, ReceiveRequestAttemptId="once")
    await receive(sqs, 2, ReceiveRequestAttemptId="once")
    await delete(sqs, first[0])
    sqs.ports.queues.release(ARN, [first[1]["ReceiptHandle"]])
    await sqs.clock.advance(3600)
    await sqs.call("sqs", "DeleteQueue", QueueUrl=URL)
    await sqs.clock.settle()
    connection.set_trace_callback(None)
    tables = ("sqs_message", "sqs_group", "sqs_deduplication", "sqs_attempt")
    statements = [
        sql for sql in dict.fromkeys(seen) if any(table in sql for table in tables) and not sql.startswith("--")
    ]
    assert len(statements) > 15
    for sql in statements:
        for row in connection.execute(f"EXPLAIN QUERY PLAN {sql.replace('Inf', '9e999')}"):
            assert "TEMP B-TREE" not in row["detail"], (sql, row["detail"])
            assert not row["detail"].startswith("SCAN sqs"), (sql, row["detail"])
