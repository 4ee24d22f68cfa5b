"""A Lambda mapping on a FIFO queue: batches keep the order of groups, and no group is with two batches at once."""

from __future__ import annotations

from typing import Any

from lakebed.services import lambda_, sqs
from tests.harness import ACCOUNT, ENDPOINT, SCOPE, Harness
from tests.services.lambda_.fakes import ROLE, FakeLogs, FakeObjects, FakeRuntime, zipped

URL = f"{ENDPOINT}/{ACCOUNT}/q.fifo"


async def house_with_mapping(harness: Harness, runtime: FakeRuntime) -> None:
    ports: Any = harness.ports
    ports.runtime, ports.logs, ports.objects = runtime, FakeLogs(), FakeObjects()
    harness.add(sqs.service, lambda_.service)
    await harness.start()
    settings = {"FifoQueue": "true", "ContentBasedDeduplication": "true", "VisibilityTimeout": "30"}
    await harness.call("sqs", "CreateQueue", QueueName="q.fifo", Attributes=settings)
    await harness.call(
        "lambda", "CreateFunction", FunctionName="fn", Runtime="python3.12", Role=ROLE, Handler="app.handler",
        Code={"ZipFile": zipped("def handler(e, c): return e")},
    )  # fmt: skip


async def start_mapping(harness: Harness, batch: int) -> None:
    await harness.call(
        "lambda", "CreateEventSourceMapping", EventSourceArn=SCOPE.arn("sqs", "q.fifo"), FunctionName="fn", BatchSize=batch
    )  # fmt: skip


async def send(harness: Harness, group: str, number: int, size: int = 0) -> None:
    body = f"{group}{number}".ljust(size, ".")
    await harness.call("sqs", "SendMessage", QueueUrl=URL, MessageBody=body, MessageGroupId=group)


def bodies(event: Any) -> list[str]:
    return [record["body"].rstrip(".") for record in event["Records"]]


async def test_batches_keep_groups_in_order_and_failures_come_again_first(harness: Harness) -> None:
    runtime, failures = FakeRuntime(), ["A1"]

    def behave(event: Any) -> Any:
        if failures and failures[0] in bodies(event):
            raise ValueError(failures.pop())
        return None

    runtime.behave = behave
    await house_with_mapping(harness, runtime)
    for number in range(4):
        for group in "AB":
            await send(harness, group, number)
    await start_mapping(harness, 2)
    for _ in range(20):
        await harness.clock.advance(5)
    seen = [bodies(event) for event in runtime.events]
    in_a = [body for batch in seen for body in batch if body.startswith("A")]
    assert in_a == ["A0", "A1", "A0", "A1", "A2", "A3"], "what failed comes again before what follows it"
    assert [body for batch in seen for body in batch if body.startswith("B")] == ["B0", "B1", "B2", "B3"]
    (record, *_) = runtime.events[0]["Records"]
    assert {"MessageGroupId", "MessageDeduplicationId", "SequenceNumber"} <= set(record["attributes"])


async def test_a_batch_too_large_does_not_split_a_group_over_two_invocations(harness: Harness) -> None:
    runtime = FakeRuntime()
    failures = ["first"]

    def behave(event: Any) -> Any:
        if failures:
            raise ValueError(failures.pop())
        return None

    runtime.behave = behave
    await house_with_mapping(harness, runtime)
    for number in range(8):
        await send(harness, "A", number, size=1_000_000)
    await start_mapping(harness, 10)
    for _ in range(20):
        await harness.clock.advance(5)
    seen = [bodies(event) for event in runtime.events]
    assert seen[0] == seen[1], "the part that failed comes again first"
    assert [body for batch in seen[1:] for body in batch] == [f"A{number}" for number in range(8)]
