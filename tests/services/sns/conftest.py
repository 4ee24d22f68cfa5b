"""A topic with its neighbours: real SQS, functions and delivery streams that only remember."""

from __future__ import annotations

from typing import Any

import pytest

from lakebed.kernel.errors import AwsError
from lakebed.services import sns, sqs
from tests.harness import ACCOUNT, ENDPOINT, SCOPE, Harness

TOPIC = SCOPE.arn("sns", "news")
QUEUE = SCOPE.arn("sqs", "inbox")


class FakeFunctions:
    """Remembers events; ``failures`` are raised first."""

    def __init__(self) -> None:
        self.events: list[tuple[str, bytes, str | None]] = []
        self.failures: list[AwsError] = []

    async def invoke_later(
        self, principal: Any, function_arn: str, payload: bytes, *, source_arn: str | None = None
    ) -> str:
        if self.failures:
            raise self.failures.pop(0)
        self.events.append((function_arn, payload, source_arn))
        return "request"


class FakeDelivery:
    """Remembers records."""

    def __init__(self) -> None:
        self.records: list[tuple[str, str, bytes]] = []

    async def put(self, principal: Any, delivery_stream_arn: str, records: list[bytes]) -> None:
        self.records += [(principal.arn, delivery_stream_arn, record) for record in records]


class World:
    """The house and short names for what tests do often."""

    def __init__(self, harness: Harness) -> None:
        self.harness, self.clock = harness, harness.clock
        self.functions, self.delivery = FakeFunctions(), FakeDelivery()
        harness.ports.functions, harness.ports.delivery = self.functions, self.delivery  # type: ignore[assignment]
        harness.add(sqs.service, sns.service)

    async def call(self, operation: str, **params: Any) -> dict[str, Any]:
        return await self.harness.call("sns", operation, **params)

    async def subscribe(
        self, protocol: str = "sqs", endpoint: str = QUEUE, topic: str = TOPIC, **attributes: str
    ) -> str:
        made = await self.call("Subscribe", TopicArn=topic, Protocol=protocol, Endpoint=endpoint, Attributes=attributes)
        return str(made["SubscriptionArn"])

    async def publish(self, message: str, **more: Any) -> dict[str, Any]:
        told = await self.call("Publish", **{"TopicArn": TOPIC, "Message": message, **more})
        await self.clock.settle()
        return told

    async def queue(self, name: str, **attributes: str) -> str:
        await self.harness.call("sqs", "CreateQueue", QueueName=name, Attributes=attributes)
        return SCOPE.arn("sqs", name)

    async def inbox(self, name: str = "inbox") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        url = f"{ENDPOINT}/{ACCOUNT}/{name}"
        while True:
            got = await self.harness.call(
                "sqs", "ReceiveMessage", QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["All"],
                MessageAttributeNames=["All"],
            )  # fmt: skip
            if "Messages" not in got:
                return found
            found += got["Messages"]
            for message in got["Messages"]:
                await self.harness.call("sqs", "DeleteMessage", QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


@pytest.fixture
async def world(harness: Harness) -> World:
    made = World(harness)
    await harness.start()
    await made.call("CreateTopic", Name="news")
    await made.queue("inbox")
    return made
