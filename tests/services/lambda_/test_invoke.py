"""Invocation: synchronous, asynchronous with retries and destinations, and through the port."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from lakebed.kernel.errors import AwsError
from tests.harness import ROOT
from tests.services.lambda_.conftest import Lab
from tests.services.lambda_.fakes import DEAD

ARN = "arn:aws:lambda:us-east-1:000000000000:function:fn"


def body(answer: dict[str, Any]) -> Any:
    return json.loads(answer["Payload"].read())


def boom(event: Any) -> Any:
    raise ValueError("boom")


async def test_request_and_response(lab: Lab) -> None:
    await lab.create()
    context = base64.b64encode(b'{"custom": {"a": 1}}').decode()
    came = await lab.call("Invoke", FunctionName="fn", Payload=b'{"a": 1}', LogType="Tail", ClientContext=context)
    assert (came["StatusCode"], body(came), came["ExecutedVersion"]) == (200, {"a": 1}, "$LATEST")
    assert "FunctionError" not in came
    assert b"hello" in base64.b64decode(came["LogResult"])
    assert ("/aws/lambda/fn", "2026/01/01/[$LATEST]abc", "hello") in lab.logs.lines
    call = lab.runtime.calls[0]
    assert call["circumstances"].client_context == {"custom": {"a": 1}}
    assert call["credentials"]["AWS_ACCESS_KEY_ID"] == "ASIATEST"
    resource = lab.harness.kernel.meters.snapshot()["resources"][ARN]  # type: ignore[index]
    assert resource["recordsIn"] == 1


async def test_function_error(lab: Lab) -> None:
    await lab.create()
    lab.runtime.behave = boom
    came = await lab.call("Invoke", FunctionName="fn")
    assert (came["StatusCode"], came["FunctionError"]) == (200, "Unhandled")
    assert body(came)["errorType"] == "ValueError"


async def test_bad_payloads(lab: Lab) -> None:
    await lab.create()
    with pytest.raises(AwsError) as refused:
        await lab.call("Invoke", FunctionName="fn", Payload=b"{nope")
    assert refused.value.error_code == "InvalidRequestContentException"
    with pytest.raises(AwsError) as refused:
        await lab.call("Invoke", FunctionName="fn", Payload=b'"' + b"x" * (6 << 20) + b'"')
    assert refused.value.error_code == "RequestTooLargeException"
    with pytest.raises(AwsError) as refused:
        await lab.call("Invoke", FunctionName="fn", InvocationType="Event", Payload=b'"' + b"x" * (1 << 20) + b'"')
    assert refused.value.error_code == "RequestTooLargeException"
    assert not lab.runtime.events


async def test_dry_run(lab: Lab) -> None:
    await lab.create()
    assert (await lab.call("Invoke", FunctionName="fn", InvocationType="DryRun"))["StatusCode"] == 204
    assert not lab.runtime.events


async def test_event_is_retried_after_one_and_two_minutes(lab: Lab) -> None:
    await lab.create(DeadLetterConfig={"TargetArn": DEAD})
    lab.runtime.behave = boom
    came = await lab.call("Invoke", FunctionName="fn", InvocationType="Event", Payload=b'{"n": 1}')
    assert came["StatusCode"] == 202
    await lab.clock.advance(0)
    assert len(lab.runtime.events) == 1
    await lab.clock.advance(59)
    assert len(lab.runtime.events) == 1
    await lab.clock.advance(2)
    assert len(lab.runtime.events) == 2
    await lab.clock.advance(118)
    assert len(lab.runtime.events) == 2
    await lab.clock.advance(3)
    assert len(lab.runtime.events) == 3
    assert len({call["request_id"] for call in lab.runtime.calls}) == 1
    await lab.clock.advance(1000)
    assert len(lab.runtime.events) == 3
    assert lab.queues.bodies(DEAD) == ['{"n": 1}']


async def test_event_is_durable_until_it_ends(lab: Lab) -> None:
    await lab.create()
    await lab.call("PutFunctionConcurrency", FunctionName="fn", ReservedConcurrentExecutions=0)
    await lab.call("Invoke", FunctionName="fn", InvocationType="Event")
    await lab.clock.advance(100)
    rows = lab.harness.kernel.db.all("SELECT * FROM lambda_later")
    assert len(rows) == 1
    assert rows[0]["throttles"] > 2
    await lab.call("DeleteFunctionConcurrency", FunctionName="fn")
    await lab.clock.advance(400)
    assert lab.runtime.events == [{}]
    assert not lab.harness.kernel.db.all("SELECT * FROM lambda_later")


async def test_destinations_and_maximum_age(lab: Lab) -> None:
    await lab.create()
    config = {
        "FunctionName": "fn",
        "MaximumRetryAttempts": 0,
        "DestinationConfig": {"OnFailure": {"Destination": DEAD}},
    }
    told = await lab.call("PutFunctionEventInvokeConfig", **config)
    assert told["FunctionArn"] == f"{ARN}:$LATEST"
    assert (await lab.call("GetFunctionEventInvokeConfig", FunctionName="fn"))["MaximumRetryAttempts"] == 0
    lab.runtime.behave = boom
    await lab.call("Invoke", FunctionName="fn", InvocationType="Event", Payload=b"[1]")
    await lab.clock.advance(1)
    [record] = map(json.loads, lab.queues.bodies(DEAD))
    assert record["requestContext"]["condition"] == "RetriesExhausted"
    assert record["requestContext"]["approximateInvokeCount"] == 1
    assert record["requestPayload"] == [1]
    assert record["responsePayload"]["errorMessage"] == "boom"
    await lab.call("UpdateFunctionEventInvokeConfig", FunctionName="fn", MaximumEventAgeInSeconds=60)
    await lab.call("PutFunctionConcurrency", FunctionName="fn", ReservedConcurrentExecutions=0)
    await lab.call("Invoke", FunctionName="fn", InvocationType="Event")
    await lab.clock.advance(200)
    assert json.loads(lab.queues.bodies(DEAD)[1])["requestContext"]["condition"] == "EventAgeExceeded"
    await lab.call("DeleteFunctionEventInvokeConfig", FunctionName="fn")
    with pytest.raises(AwsError, match="doesn't have an EventInvokeConfig"):
        await lab.call("GetFunctionEventInvokeConfig", FunctionName="fn")


async def test_port(lab: Lab) -> None:
    await lab.create()
    functions = lab.harness.ports.functions
    came = await functions.invoke(ROOT, ARN, b'{"x": 2}')
    assert (came.payload, came.error) == (b'{"x": 2}', None)
    await functions.invoke_later(ROOT, f"{ARN}:$LATEST", b"1", source_arn="arn:aws:s3:::b")
    await lab.clock.advance(1)
    assert lab.runtime.events == [{"x": 2}, 1]
    with pytest.raises(AwsError, match="Function not found"):
        functions.check_destination(ROOT, f"{ARN}x")


async def test_the_arn_a_function_is_told_has_no_qualifier_of_its_own(lab: Lab) -> None:
    await lab.create()
    await lab.call("Invoke", FunctionName="fn")
    await lab.call("Invoke", FunctionName="fn", InvocationType="Event")
    await lab.clock.advance(1)
    await lab.call("Invoke", FunctionName="fn", Qualifier="$LATEST")
    assert [call["circumstances"].arn for call in lab.runtime.calls] == [ARN, ARN, f"{ARN}:$LATEST"]
