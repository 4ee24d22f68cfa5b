"""Dead letters on their way back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lakebed.kernel.errors import AwsError
from lakebed.services.sqs import service
from tests.harness import ACCOUNT, ENDPOINT, SCOPE, Harness

DEAD = SCOPE.arn("sqs", "dead")


@pytest.fixture
async def sqs(harness: Harness) -> Harness:
    """A queue whose five messages all went to its dead-letter queue."""
    harness.add(service)
    await harness.start()
    await harness.call("sqs", "CreateQueue", QueueName="dead")
    policy = json.dumps({"deadLetterTargetArn": DEAD, "maxReceiveCount": 1})
    await harness.call("sqs", "CreateQueue", QueueName="orders", Attributes={"RedrivePolicy": policy})
    for number in range(5):
        await harness.call("sqs", "SendMessage", QueueUrl=url("orders"), MessageBody=str(number))
    await harness.call("sqs", "ReceiveMessage", QueueUrl=url("orders"), MaxNumberOfMessages=10)
    await harness.clock.advance(31)
    await harness.call("sqs", "ReceiveMessage", QueueUrl=url("orders"))
    assert await depth(harness, "dead") == 5
    return harness


def url(name: str) -> str:
    return f"{ENDPOINT}/{ACCOUNT}/{name}"


async def depth(house: Harness, name: str) -> int:
    told = await house.call(
        "sqs", "GetQueueAttributes", QueueUrl=url(name), AttributeNames=["ApproximateNumberOfMessages"]
    )
    return int(told["Attributes"]["ApproximateNumberOfMessages"])


async def test_back_to_where_they_came_from(sqs: Harness) -> None:
    await sqs.call("sqs", "StartMessageMoveTask", SourceArn=DEAD)
    await sqs.clock.settle()
    assert (await depth(sqs, "orders"), await depth(sqs, "dead")) == (5, 0)
    (task,) = (await sqs.call("sqs", "ListMessageMoveTasks", SourceArn=DEAD))["Results"]
    assert (task["Status"], task["ApproximateNumberOfMessagesMoved"]) == ("COMPLETED", 5)
    assert "TaskHandle" not in task
    got = await sqs.call("sqs", "ReceiveMessage", QueueUrl=url("orders"), AttributeNames=["All"])
    assert got["Messages"][0]["Attributes"]["ApproximateReceiveCount"] == "1"


async def test_a_rate_and_cancelling(sqs: Harness) -> None:
    await sqs.call("sqs", "CreateQueue", QueueName="other")
    other = SCOPE.arn("sqs", "other")
    started: dict[str, Any] = await sqs.call(
        "sqs", "StartMessageMoveTask", SourceArn=DEAD, DestinationArn=other, MaxNumberOfMessagesPerSecond=2
    )
    await sqs.clock.settle()
    with pytest.raises(AwsError, match="already a task"):
        await sqs.call("sqs", "StartMessageMoveTask", SourceArn=DEAD)
    await sqs.clock.advance(1)
    assert await depth(sqs, "other") == 4
    cancelled = await sqs.call("sqs", "CancelMessageMoveTask", TaskHandle=started["TaskHandle"])
    assert cancelled["ApproximateNumberOfMessagesMoved"] == 4
    await sqs.clock.advance(5)
    assert (await depth(sqs, "other"), await depth(sqs, "dead")) == (4, 1)
    with pytest.raises(AwsError, match="Only active"):
        await sqs.call("sqs", "CancelMessageMoveTask", TaskHandle=started["TaskHandle"])


async def test_refusals_and_failure(sqs: Harness) -> None:
    for source, code in (
        (SCOPE.arn("sqs", "orders"), "InvalidParameterValue"),
        (SCOPE.arn("sqs", "no"), "ResourceNotFoundException"),
    ):
        with pytest.raises(AwsError) as failure:
            await sqs.call("sqs", "StartMessageMoveTask", SourceArn=source)
        assert failure.value.error_code == code
    await sqs.call("sqs", "SendMessage", QueueUrl=url("dead"), MessageBody="from nowhere")
    await sqs.call("sqs", "StartMessageMoveTask", SourceArn=DEAD)
    await sqs.clock.settle()
    (task,) = (await sqs.call("sqs", "ListMessageMoveTasks", SourceArn=DEAD))["Results"]
    assert (task["Status"], task["FailureReason"]) == ("FAILED", "CouldNotDetermineMessageSource")
    assert (await depth(sqs, "orders"), await depth(sqs, "dead")) == (5, 1)
