"""Composite alarms: their rules, their states, and what a change of state tells."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakebed.kernel.errors import AwsError
from lakebed.services import cloudwatch, events, kms, sns, sqs
from lakebed.services.cloudwatch.composite import parse
from tests.harness import SCOPE, Harness

SIMPLE = {
    "Namespace": "n", "MetricName": "m", "Period": 60, "Statistic": "Sum", "EvaluationPeriods": 1, "Threshold": 1.0,
    "ComparisonOperator": "GreaterThanThreshold", "TreatMissingData": "ignore",
}  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("ALARM(a)", True),
        ("OK(a)", False),
        ('ALARM("a") AND OK(b)', True),
        ("ALARM(b) OR NOT ALARM(c)", True),
        ("NOT (ALARM(a) OR TRUE)", False),
        ("TRUE OR ALARM(a) AND FALSE", True),
        ("INSUFFICIENT_DATA('c')", True),
        ("ALARM(arn:aws:cloudwatch:us-east-1:000000000000:alarm:a)", True),
        ("OK(nothing) OR ALARM(nothing)", False),
    ],
)
def test_rules(rule: str, expected: bool) -> None:
    assert parse(rule).holds({"a": "ALARM", "b": "OK", "c": "INSUFFICIENT_DATA"}) is expected


@pytest.mark.parametrize(
    "rule", ["", "ALARM", "ALARM()", "ALARM(a", "(ALARM(a)", "ALARM(a) ALARM(b)", "AND", "NOT", "x", "TRUE)", "(" * 300]
)
def test_what_is_no_rule(rule: str) -> None:
    with pytest.raises(AwsError, match="ValidationError"):
        parse(rule)


@given(st.text("()ANDORTUE \"'a", max_size=30))
def test_any_text_is_a_rule_or_refused(text: str) -> None:
    try:
        made = parse(text)
    except AwsError as refused:
        assert refused.error_code == "ValidationError"
        return
    assert made.holds({}) in (True, False)


@pytest.fixture
async def house(harness: Harness) -> Harness:
    harness.add(kms.service, sqs.service, sns.service, cloudwatch.service, events.service)
    await harness.start()
    return harness


async def call(house: Harness, operation: str, **params: Any) -> dict[str, Any]:
    told = await house.call("cloudwatch", operation, **params)
    await house.clock.settle()
    return told


async def state(house: Harness, name: str) -> str:
    told = await call(house, "DescribeAlarms", AlarmNames=[name], AlarmTypes=["CompositeAlarm"])
    return str(told["CompositeAlarms"][0]["StateValue"])


async def messages(house: Harness, queue: str) -> list[dict[str, Any]]:
    url = f"http://127.0.0.1:4566/000000000000/{queue}"
    told = await house.call("sqs", "ReceiveMessage", QueueUrl=url, MaxNumberOfMessages=10)
    return [json.loads(message["Body"]) for message in told.get("Messages", [])]


async def set_state(house: Harness, name: str, value: str) -> None:
    await call(house, "SetAlarmState", AlarmName=name, StateValue=value, StateReason="test")


async def test_a_composite_follows_its_children(house: Harness) -> None:
    await house.call("sqs", "CreateQueue", QueueName="q")
    topic = (await house.call("sns", "CreateTopic", Name="t"))["TopicArn"]
    await house.call(
        "sns", "Subscribe", TopicArn=topic, Protocol="sqs", Endpoint=SCOPE.arn("sqs", "q"),
        Attributes={"RawMessageDelivery": "true"},
    )  # fmt: skip
    for name in ("a", "b"):
        await call(house, "PutMetricAlarm", AlarmName=name, **SIMPLE)
    await call(house, "PutCompositeAlarm", AlarmName="both", AlarmRule="ALARM(a) AND ALARM(b)", AlarmActions=[topic])
    await call(house, "PutCompositeAlarm", AlarmName="top", AlarmRule="ALARM(both)")
    assert await state(house, "both") == "OK"
    await set_state(house, "a", "ALARM")
    assert await state(house, "both") == "OK"
    await set_state(house, "b", "ALARM")
    assert [await state(house, "both"), await state(house, "top")] == ["ALARM", "ALARM"]
    (told,) = await messages(house, "q")
    assert (told["AlarmRule"], told["NewStateValue"]) == ("ALARM(a) AND ALARM(b)", "ALARM")
    parents = await call(house, "DescribeAlarms", ParentsOfAlarmName="a")
    assert [alarm["AlarmName"] for alarm in parents["CompositeAlarms"]] == ["both"]
    children = await call(house, "DescribeAlarms", ChildrenOfAlarmName="both")
    assert [alarm["AlarmName"] for alarm in children["MetricAlarms"]] == ["a", "b"]
    assert (await call(house, "DescribeAlarms"))["CompositeAlarms"] == []
    await call(house, "DeleteAlarms", AlarmNames=["b"])
    assert [await state(house, "both"), await state(house, "top")] == ["OK", "OK"]


async def test_a_circle_is_refused(house: Harness) -> None:
    await call(house, "PutCompositeAlarm", AlarmName="a", AlarmRule="ALARM(b)")
    for name, rule in (("b", "ALARM(a)"), ("c", "OK(c)"), ("d", "nonsense")):
        with pytest.raises(AwsError, match="ValidationError"):
            await call(house, "PutCompositeAlarm", AlarmName=name, AlarmRule=rule)


async def test_a_change_of_state_is_an_event(house: Harness) -> None:
    await house.call("sqs", "CreateQueue", QueueName="q")
    pattern = {"source": ["aws.cloudwatch"], "detail": {"state": {"value": ["ALARM"]}}}
    await house.call("events", "PutRule", Name="r", EventPattern=json.dumps(pattern))
    await house.call("events", "PutTargets", Rule="r", Targets=[{"Id": "1", "Arn": SCOPE.arn("sqs", "q")}])
    await call(house, "PutMetricAlarm", AlarmName="a", **SIMPLE)
    await set_state(house, "a", "OK")
    await set_state(house, "a", "ALARM")
    (event,) = await messages(house, "q")
    assert event["detail-type"] == "CloudWatch Alarm State Change"
    assert event["resources"] == [SCOPE.arn("cloudwatch", "alarm:a")]
    assert event["detail"]["previousState"]["value"] == "OK"
    assert event["detail"]["configuration"]["metrics"][0]["metricStat"]["metric"]["name"] == "m"
