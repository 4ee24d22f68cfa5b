"""Topics with a KMS key, and delivery status in CloudWatch Logs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lakebed.kernel.errors import AwsError
from lakebed.services import kms, logs, sns, sqs
from tests.harness import SCOPE, Harness

QUEUE = "http://127.0.0.1:4566/000000000000/q"
ROLE = "arn:aws:iam::000000000000:role/feedback"


@pytest.fixture
async def house(harness: Harness) -> Harness:
    harness.add(kms.service, logs.service, sqs.service, sns.service)
    await harness.start()
    await harness.call("sqs", "CreateQueue", QueueName="q")
    return harness


async def topic(house: Harness, endpoint: str = "q", **attributes: str) -> str:
    arn = str((await house.call("sns", "CreateTopic", Name="t", Attributes=attributes))["TopicArn"])
    await house.call(
        "sns", "Subscribe", TopicArn=arn, Protocol="sqs", Endpoint=SCOPE.arn("sqs", endpoint),
        Attributes={"RawMessageDelivery": "true"},
    )  # fmt: skip
    return arn


async def received(house: Harness) -> list[str]:
    await house.clock.settle()
    told = await house.call("sqs", "ReceiveMessage", QueueUrl=QUEUE, MaxNumberOfMessages=10)
    return [message["Body"] for message in told.get("Messages", [])]


async def test_messages_wait_sealed_and_a_disabled_key_holds_them(house: Harness) -> None:
    key = (await house.call("kms", "CreateKey"))["KeyMetadata"]["KeyId"]
    arn = await topic(house, KmsMasterKeyId=key)
    assert (await house.call("sns", "GetTopicAttributes", TopicArn=arn))["Attributes"]["KmsMasterKeyId"] == key
    await house.call("sns", "Publish", TopicArn=arn, Message="a secret")
    (row,) = house.kernel.db.all("SELECT body FROM sns_message")
    assert b"secret" not in row["body"]
    await house.call("kms", "DisableKey", KeyId=key)
    assert await received(house) == []
    with pytest.raises(AwsError) as refused:
        await house.call("sns", "Publish", TopicArn=arn, Message="another")
    assert refused.value.error_code == "KMSDisabled"
    await house.call("kms", "EnableKey", KeyId=key)
    await house.clock.advance(25)
    assert await received(house) == ["a secret"]
    assert house.kernel.db.all("SELECT 1 FROM sns_message") == []


async def lines(house: Harness, group: str) -> list[dict[str, Any]]:
    found = await house.call("logs", "FilterLogEvents", logGroupName=group)
    return [json.loads(event["message"]) for event in found["events"]]


async def test_delivery_status_is_logged(house: Harness) -> None:
    asked = {
        "SQSSuccessFeedbackRoleArn": ROLE, "SQSSuccessFeedbackSampleRate": "100", "SQSFailureFeedbackRoleArn": ROLE,
    }  # fmt: skip
    arn = await topic(house, **asked)
    sent = await house.call("sns", "Publish", TopicArn=arn, Message="x")
    assert await received(house) == ["x"]
    (line,) = await lines(house, "sns/us-east-1/000000000000/t")
    assert (line["status"], line["notification"]["messageId"]) == ("SUCCESS", sent["MessageId"])
    assert line["delivery"]["destination"] == SCOPE.arn("sqs", "q")
    await house.call("sqs", "DeleteQueue", QueueUrl=QUEUE)
    await house.call("sns", "Publish", TopicArn=arn, Message="y")
    await house.clock.settle()
    (line,) = await lines(house, "sns/us-east-1/000000000000/t/Failure")
    assert (line["status"], line["delivery"]["statusCode"]) == ("FAILURE", 400)
