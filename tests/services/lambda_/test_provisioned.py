"""Provisioned concurrency, recursive loops, destinations of every kind, dead letters with their attributes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lakebed.kernel.errors import AwsError
from lakebed.services.lambda_ import recursion
from tests.services.lambda_.conftest import Lab
from tests.services.lambda_.fakes import DEAD

ARN = "arn:aws:lambda:us-east-1:000000000000:function:fn"


async def published(lab: Lab) -> None:
    await lab.create()
    await lab.call("PublishVersion", FunctionName="fn")
    await lab.call("CreateAlias", FunctionName="fn", Name="live", FunctionVersion="1")


async def put(lab: Lab, count: int, qualifier: str = "live") -> dict[str, Any]:
    return await lab.call(
        "PutProvisionedConcurrencyConfig", FunctionName="fn", Qualifier=qualifier, ProvisionedConcurrentExecutions=count
    )


async def test_workers_are_kept_for_an_alias(lab: Lab) -> None:
    await published(lab)
    assert (await put(lab, 3))["Status"] == "IN_PROGRESS"
    await lab.clock.advance(1)
    got = await lab.call("GetProvisionedConcurrencyConfig", FunctionName="fn", Qualifier="live")
    assert (got["Status"], got["AvailableProvisionedConcurrentExecutions"]) == ("READY", 3)
    assert list(lab.runtime.kept.values()) == [3]
    listed = await lab.call("ListProvisionedConcurrencyConfigs", FunctionName="fn")
    assert listed["ProvisionedConcurrencyConfigs"][0]["FunctionArn"] == f"{ARN}:live"
    await lab.call("UpdateFunctionConfiguration", FunctionName="fn", Timeout=9)
    await lab.call("PublishVersion", FunctionName="fn")
    await lab.call("UpdateAlias", FunctionName="fn", Name="live", FunctionVersion="2")
    await lab.clock.advance(1)
    assert sorted(lab.runtime.kept.values()) == [0, 3]  # the alias took its workers along
    await lab.call("DeleteProvisionedConcurrencyConfig", FunctionName="fn", Qualifier="live")
    await lab.clock.advance(1)
    assert set(lab.runtime.kept.values()) == {0}
    with pytest.raises(AwsError) as absent:
        await lab.call("GetProvisionedConcurrencyConfig", FunctionName="fn", Qualifier="live")
    assert absent.value.error_code == "ProvisionedConcurrencyConfigNotFoundException"


async def test_what_can_not_be_provisioned(lab: Lab) -> None:
    await published(lab)
    with pytest.raises(AwsError, match="unpublished"):
        await put(lab, 1, "$LATEST")
    await put(lab, 1)
    with pytest.raises(AwsError, match="same version"):
        await put(lab, 1, "1")
    await lab.call("PutFunctionConcurrency", FunctionName="fn", ReservedConcurrentExecutions=2)
    with pytest.raises(AwsError, match="reservedConcurrentExecution"):
        await put(lab, 3)
    lab.runtime.room = 1
    await put(lab, 2)
    await lab.clock.advance(1)
    got = await lab.call("GetProvisionedConcurrencyConfig", FunctionName="fn", Qualifier="live")
    assert got["Status"] == "FAILED"
    assert "room for 1 of 2" in got["StatusReason"]


def test_lineage_counts() -> None:
    header = ""
    for number in range(1, 20):
        header, entries = recursion.entered(header, ARN, "f" * 32)
        assert entries == number
        header, _ = recursion.entered(header, "another", "e" * 32)
    assert header.startswith("Root=1-ffffffff-")
    assert recursion.entered("Root=1-2-3; Lineage=<script>", ARN, "a" * 32)[1] == 1


async def test_a_loop_is_stopped(lab: Lab) -> None:
    await lab.create()
    header = ""
    for _ in range(recursion.ENTRIES_MAX):
        header, _ = recursion.entered(header, ARN, "f" * 32)
    functions = lab.harness.ports.functions
    from tests.harness import ROOT

    await lab.call(
        "PutFunctionEventInvokeConfig", FunctionName="fn", DestinationConfig={"OnFailure": {"Destination": DEAD}}
    )
    await functions.invoke_later(ROOT, ARN, b"{}", trace=header)
    await lab.clock.advance(1)
    assert not lab.runtime.events
    [record] = map(json.loads, lab.queues.bodies(DEAD))
    assert record["requestContext"]["condition"] == "RecursiveInvocation"
    assert (await lab.call("GetFunctionRecursionConfig", FunctionName="fn"))["RecursiveLoop"] == "Terminate"
    await lab.call("PutFunctionRecursionConfig", FunctionName="fn", RecursiveLoop="Allow")
    await functions.invoke_later(ROOT, ARN, b"{}", trace=header)
    await lab.clock.advance(1)
    assert len(lab.runtime.events) == 1


class Told:
    """Topics, buses and buckets that remember."""

    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []

    async def publish(self, principal: Any, topic_arn: str, message: str, **_: Any) -> str:
        self.heard.append((topic_arn, message))
        return "id"

    async def put(self, *given: Any, **_: Any) -> None:
        self.heard.append(given)


@pytest.mark.parametrize(
    "target",
    [
        "arn:aws:sns:us-east-1:000000000000:t",
        "arn:aws:events:us-east-1:000000000000:event-bus/default",
        "arn:aws:events:us-east-1:000000000000:event-bus/mine",
        "arn:aws:s3:::bucket",
    ],
)
async def test_destinations(lab: Lab, target: str) -> None:
    ports: Any = lab.harness.ports
    told = Told()
    ports.topics = ports.events = ports.objects = told
    await lab.create()
    await lab.call(
        "PutFunctionEventInvokeConfig", FunctionName="fn", MaximumRetryAttempts=0,
        DestinationConfig={"OnFailure": {"Destination": target}},
    )  # fmt: skip

    def fail(_: Any) -> None:
        raise ValueError("no")

    lab.runtime.behave = fail
    await lab.call("Invoke", FunctionName="fn", InvocationType="Event", Payload=b"[1]")
    await lab.clock.advance(1)
    [heard] = told.heard
    if ":sns:" in target:
        assert json.loads(heard[1])["requestContext"]["condition"] == "RetriesExhausted"
    elif ":events:" in target:
        assert heard[1:3] == ("lambda", "Lambda Function Invocation Result - Failure")
        assert heard[3]["requestPayload"] == [1]
    else:
        assert heard[2].startswith("aws/lambda/async/fn/")
        assert json.loads(heard[3])["responsePayload"]["errorType"] == "ValueError"


async def test_destinations_that_can_not_be(lab: Lab) -> None:
    await lab.create()
    for side, target in (
        ("OnSuccess", "arn:aws:s3:::b"),
        ("OnFailure", "arn:aws:kinesis:us-east-1:000000000000:stream/s"),
    ):
        with pytest.raises(AwsError, match="not valid"):
            await lab.call(
                "PutFunctionEventInvokeConfig", FunctionName="fn", DestinationConfig={side: {"Destination": target}}
            )


async def test_dead_letters_say_why(lab: Lab) -> None:
    await lab.create(DeadLetterConfig={"TargetArn": DEAD})
    await lab.call("PutFunctionEventInvokeConfig", FunctionName="fn", MaximumRetryAttempts=0)

    def fail(_: Any) -> None:
        raise ValueError("no")

    lab.runtime.behave = fail
    await lab.call("Invoke", FunctionName="fn", InvocationType="Event", Payload=b"[1]")
    await lab.clock.advance(1)
    [message] = lab.queues.sent
    told = {name: one["StringValue"] for name, one in message.attributes.items()}
    assert (message.body, told["ErrorCode"], told["ErrorMessage"]) == ("[1]", "200", "no")
    assert told["RequestID"]
