"""Encryption at rest: what lies in the table, who may send and receive, and what a disabled key stops."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lakebed.kernel.errors import AwsError
from lakebed.kernel.scope import Principal
from lakebed.services import iam, kms, sqs
from tests.harness import ROOT, SCOPE, Harness

URL = "http://127.0.0.1:4566/000000000000/"


@pytest.fixture
async def house(harness: Harness) -> Harness:
    harness.add(iam.service, kms.service, sqs.service)
    await harness.start()
    return harness


async def attributes(house: Harness, name: str) -> dict[str, str]:
    told = await house.call("sqs", "GetQueueAttributes", QueueUrl=URL + name, AttributeNames=["All"])
    return dict(told["Attributes"])


async def send(house: Harness, name: str, body: str, **more: Any) -> dict[str, Any]:
    return await house.call("sqs", "SendMessage", QueueUrl=URL + name, MessageBody=body, **more)


async def receive(house: Harness, name: str, **more: Any) -> list[str]:
    told = await house.call("sqs", "ReceiveMessage", QueueUrl=URL + name, MaxNumberOfMessages=10, **more)
    return [message["Body"] for message in told.get("Messages", [])]


def stored(house: Harness) -> list[str]:
    return [row["body"] for row in house.kernel.db.all("SELECT body FROM sqs_message ORDER BY seq")]


async def refused(code: str, call: Any) -> None:
    with pytest.raises(AwsError) as caught:
        await call
    assert caught.value.error_code == code, caught.value


async def new_key(house: Harness, name: str = "q") -> str:
    key = str((await house.call("kms", "CreateKey"))["KeyMetadata"]["KeyId"])
    await house.call("sqs", "CreateQueue", QueueName=name, Attributes={"KmsMasterKeyId": key})
    return key


async def test_a_new_queue_seals_by_itself(house: Harness) -> None:
    await house.call("sqs", "CreateQueue", QueueName="q")
    assert (await attributes(house, "q"))["SqsManagedSseEnabled"] == "true"
    await send(house, "q", "a secret é")
    assert "secret" not in stored(house)[0]
    assert await receive(house, "q") == ["a secret é"]
    await house.call("sqs", "SetQueueAttributes", QueueUrl=URL + "q", Attributes={"SqsManagedSseEnabled": "false"})
    await send(house, "q", "plain")
    assert stored(house)[1] == "plain"


async def test_one_kind_at_a_time(house: Harness) -> None:
    key = await new_key(house)
    told = await attributes(house, "q")
    assert (told["KmsMasterKeyId"], told["SqsManagedSseEnabled"]) == (key, "false")
    assert told["KmsDataKeyReusePeriodSeconds"] == "300"
    both = {"KmsMasterKeyId": key, "SqsManagedSseEnabled": "true"}
    await refused("InvalidAttributeValue", house.call("sqs", "SetQueueAttributes", QueueUrl=URL + "q", Attributes=both))
    await house.call("sqs", "SetQueueAttributes", QueueUrl=URL + "q", Attributes={"SqsManagedSseEnabled": "true"})
    told = await attributes(house, "q")
    assert "KmsMasterKeyId" not in told
    assert told["SqsManagedSseEnabled"] == "true"


@pytest.mark.parametrize("name", ["q", "q.fifo"])
async def test_a_disabled_key_stops_senders_and_receivers_at_once(house: Harness, name: str) -> None:
    key = str((await house.call("kms", "CreateKey"))["KeyMetadata"]["KeyId"])
    fifo = {"FifoQueue": "true", "ContentBasedDeduplication": "true"} if name.endswith(".fifo") else {}
    await house.call("sqs", "CreateQueue", QueueName=name, Attributes={"KmsMasterKeyId": key, **fifo})
    group = {"MessageGroupId": "g"} if fifo else {}
    sent = await send(house, name, "one", **group)
    assert sent["MD5OfMessageBody"] == "f97c5d29941bfb1b2fdab0874906ab82"
    await send(house, name, "two", **group)
    assert not any(word in body for body in stored(house) for word in ("one", "two"))
    await house.call("kms", "DisableKey", KeyId=key)
    await refused("KMS.DisabledException", receive(house, name))
    await refused("KMS.DisabledException", send(house, name, "three", **group))
    assert (await attributes(house, name))["ApproximateNumberOfMessages"] == "2"
    await house.call("kms", "EnableKey", KeyId=key)
    assert await receive(house, name) == ["one", "two"]


async def test_senders_and_receivers_need_the_key(house: Harness) -> None:
    await new_key(house)
    made = (await house.call("iam", "CreateUser", UserName="bob"))["User"]
    allow = {"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    await house.call("iam", "PutUserPolicy", UserName="bob", PolicyName="p", PolicyDocument=document)
    bob = Principal("000000000000", made["Arn"], "user", made["UserId"], made["Arn"])
    await refused("KMS.AccessDeniedException", send(house, "q", "x", caller=bob))
    await send(house, "q", "x")
    await refused("KMS.AccessDeniedException", receive(house, "q", caller=bob))
    assert await receive(house, "q") == ["x"]
    await house.call("sqs", "SetQueueAttributes", QueueUrl=URL + "q", Attributes={"KmsMasterKeyId": "alias/nothing"})
    await refused("KMS.NotFoundException", send(house, "q", "y"))
    await house.call("sqs", "SetQueueAttributes", QueueUrl=URL + "q", Attributes={"KmsMasterKeyId": "alias/aws/sqs"})
    await send(house, "q", "y", caller=bob)  # the key of the service is for everyone of the account
    assert await receive(house, "q", caller=bob) == ["y"]


async def test_a_message_that_moves_stays_readable(house: Harness) -> None:
    await house.call("sqs", "CreateQueue", QueueName="dead", Attributes={"SqsManagedSseEnabled": "false"})
    key = await new_key(house)
    redrive = json.dumps({"deadLetterTargetArn": SCOPE.arn("sqs", "dead"), "maxReceiveCount": 1})
    await house.call("sqs", "SetQueueAttributes", QueueUrl=URL + "q", Attributes={"RedrivePolicy": redrive})
    await send(house, "q", "letter")
    assert await receive(house, "q", VisibilityTimeout=0) == ["letter"]
    assert await receive(house, "q") == []
    assert await receive(house, "dead", VisibilityTimeout=0) == ["letter"]
    await house.call("sqs", "DeleteQueue", QueueUrl=URL + "q")
    assert await receive(house, "dead", VisibilityTimeout=0) == ["letter"]
    await house.call("kms", "DisableKey", KeyId=key)
    await refused("KMS.DisabledException", receive(house, "dead"))


async def test_peeking_opens_what_is_sealed_and_changes_nothing(house: Harness) -> None:
    key = (await house.call("kms", "CreateKey"))["KeyMetadata"]["KeyId"]
    await house.call("sqs", "CreateQueue", QueueName="sealed", Attributes={"KmsMasterKeyId": key})
    await send(house, "sealed", "one")
    await send(house, "sealed", "later", DelaySeconds=9)
    arn = SCOPE.arn("sqs", "sealed")
    for _ in range(3):
        seen = house.ports.queues.peek(ROOT, arn, 10)
        assert [(one.body, one.receives) for one in seen] == [("one", 0), ("later", 0)]
    now = house.clock.now()
    assert [one.visible_at > now for one in seen] == [False, True]
    assert await receive(house, "sealed") == ["one"]
    assert house.ports.queues.peek(ROOT, arn, 1)[0].receives == 1
    await house.call("kms", "DisableKey", KeyId=key)
    with pytest.raises(AwsError) as caught:
        house.ports.queues.peek(ROOT, arn, 10)
    assert caught.value.error_code == "KmsDisabled"
    stranger = Principal("111111111111", "arn:aws:iam::111111111111:user/x", "user", "AIDA")
    with pytest.raises(AwsError):
        house.ports.queues.peek(stranger, arn, 10)
