"""Alarms on the manual clock; the documented tables of missing data as an oracle."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lakebed.kernel.errors import AwsError
from lakebed.kernel.scope import Principal
from lakebed.services.cloudwatch import service
from lakebed.services.cloudwatch.alarms import decide
from tests.harness import SCOPE, Harness

FUNCTION = SCOPE.arn("lambda", "function:f")


class Functions:
    """Remembers what was invoked."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, bytes, str | None]] = []

    async def invoke_later(
        self, principal: Principal, function_arn: str, payload: bytes, *, source_arn: str | None = None
    ) -> str:
        self.calls.append((principal.arn, function_arn, payload, source_arn))
        return "id"


class Topics:
    """Remembers what was published; refuses topics it does not have."""

    def __init__(self) -> None:
        self.published: list[tuple[str, str, str | None, dict[str, Any]]] = []

    async def publish(
        self, principal: Principal, topic_arn: str, message: str, *, subject: str = "", structure: str = "",
        source_arn: str | None = None,
    ) -> str:  # fmt: skip
        if not topic_arn.endswith(":t"):
            raise AwsError("NotFoundException", "Topic does not exist", status=404)
        self.published.append((principal.arn, subject + structure, source_arn, json.loads(message)))
        return "id"


@pytest.fixture
async def house(harness: Harness) -> Harness:
    harness.ports.functions = Functions()  # type: ignore[assignment]
    harness.ports.topics = Topics()  # type: ignore[assignment]
    harness.add(service)
    await harness.start()
    await harness.clock.advance(60 - harness.clock.now() % 60)
    return harness


# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
@pytest.mark.parametrize(
    ("points", "needed", "expected"),
    [
        ("0-X-X", 3, ("OK", "OK", "OK", "OK")),
        ("----0", 3, ("OK", "OK", "OK", "OK")),
        ("-----", 3, ("INSUFFICIENT_DATA", None, "ALARM", "OK")),
        ("0XX-X", 3, ("ALARM",) * 4),
        ("--X--", 3, ("ALARM", None, "ALARM", "OK")),
        ("0-X-X", 2, ("ALARM",) * 4),
        ("00X0X", 2, ("ALARM",) * 4),
        ("0-X--", 2, ("OK", "OK", "ALARM", "OK")),
        ("----0", 2, ("OK", "OK", "ALARM", "OK")),
        ("---X-", 2, ("ALARM", None, "ALARM", "OK")),
    ],
)
def test_missing_data(points: str, needed: int, expected: tuple[str | None, ...]) -> None:
    values = [{"0": 0.0, "X": 9.0, "-": None}[point] for point in points]
    alarm = {
        "EvaluationPeriods": 3,
        "DatapointsToAlarm": needed,
        "Threshold": 5.0,
        "ComparisonOperator": "GreaterThanThreshold",
    }
    found = tuple(
        decide({**alarm, "TreatMissingData": treatment}, values)
        for treatment in ("missing", "ignore", "breaching", "notBreaching")
    )
    assert found == expected


async def make(house: Harness, **more: Any) -> None:
    alarm = {
        "AlarmName": "hot", "Namespace": "App", "MetricName": "t", "Statistic": "Maximum", "Period": 60,
        "EvaluationPeriods": 2, "DatapointsToAlarm": 2, "Threshold": 10.0, "ComparisonOperator": "GreaterThanThreshold",
        "AlarmActions": [FUNCTION], **more,
    }  # fmt: skip
    await house.call("cloudwatch", "PutMetricAlarm", **alarm)


async def measure(house: Harness, value: float) -> None:
    await house.call("cloudwatch", "PutMetricData", Namespace="App", MetricData=[{"MetricName": "t", "Value": value}])


async def state(house: Harness) -> str:
    (alarm,) = (await house.call("cloudwatch", "DescribeAlarms", AlarmNames=["hot"]))["MetricAlarms"]
    return str(alarm["StateValue"])


async def test_an_alarm_goes_through_its_states(house: Harness) -> None:
    await make(house)
    assert await state(house) == "INSUFFICIENT_DATA"
    await house.clock.advance(1)
    for value, expected in ((5.0, "OK"), (11.0, "OK"), (12.0, "ALARM"), (13.0, "ALARM"), (1.0, "OK")):
        await measure(house, value)
        await house.clock.advance(66)
        assert await state(house) == expected, value
        await house.clock.advance(54)
    await house.clock.advance(600)
    assert await state(house) == "INSUFFICIENT_DATA"
    calls = house.ports.functions.calls  # type: ignore[attr-defined]
    assert [(caller, target, source) for caller, target, _, source in calls] == [
        ("lambda.alarms.cloudwatch.amazonaws.com", FUNCTION, SCOPE.arn("cloudwatch", "alarm:hot"))
    ]
    history = await house.call("cloudwatch", "DescribeAlarmHistory", AlarmName="hot", HistoryItemType="StateUpdate")
    summaries = [item["HistorySummary"] for item in history["AlarmHistoryItems"]]
    assert summaries == [
        "Alarm updated from OK to INSUFFICIENT_DATA", "Alarm updated from ALARM to OK", "Alarm updated from OK to ALARM",
        "Alarm updated from INSUFFICIENT_DATA to OK",
    ]  # fmt: skip


async def test_a_state_set_by_hand_lasts_until_the_next_look(house: Harness) -> None:
    await make(house, TreatMissingData="notBreaching")
    await house.call("cloudwatch", "SetAlarmState", AlarmName="hot", StateValue="ALARM", StateReason="try")
    await house.clock.advance(1)
    assert await state(house) == "ALARM"
    assert len(house.ports.functions.calls) == 1  # type: ignore[attr-defined]
    await house.clock.advance(120)
    assert await state(house) == "OK"
    await house.call("cloudwatch", "DisableAlarmActions", AlarmNames=["hot"])
    await house.call("cloudwatch", "SetAlarmState", AlarmName="hot", StateValue="ALARM", StateReason="try")
    await house.clock.advance(1)
    assert len(house.ports.functions.calls) == 1  # type: ignore[attr-defined]


async def test_topics_are_told(house: Harness) -> None:
    await make(house, AlarmActions=[SCOPE.arn("sns", "t"), SCOPE.arn("sns", "gone")])
    await house.call("cloudwatch", "SetAlarmState", AlarmName="hot", StateValue="ALARM", StateReason="try")
    await house.clock.advance(1)
    ((caller, subject, source, told),) = house.ports.topics.published  # type: ignore[attr-defined]
    assert (caller, source) == ("cloudwatch.amazonaws.com", SCOPE.arn("cloudwatch", "alarm:hot"))
    assert subject == 'ALARM: "hot" in us-east-1'
    assert (told["NewStateValue"], told["OldStateValue"], told["Trigger"]["Statistic"]) == (
        "ALARM", "INSUFFICIENT_DATA", "MAXIMUM",
    )  # fmt: skip
    history = await house.call("cloudwatch", "DescribeAlarmHistory", AlarmName="hot", HistoryItemType="Action")
    assert sorted(item["HistorySummary"].split(" ")[0] for item in history["AlarmHistoryItems"]) == [
        "Failed",
        "Successfully",
    ]


async def test_an_alarm_on_an_expression(house: Harness) -> None:
    metric = {"Metric": {"Namespace": "App", "MetricName": "t"}, "Period": 60, "Stat": "Sum"}
    await house.call(
        "cloudwatch", "PutMetricAlarm", AlarmName="hot", EvaluationPeriods=1, Threshold=10.0,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        Metrics=[{"Id": "m", "MetricStat": metric, "ReturnData": False}, {"Id": "e", "Expression": "m * 5"}],
    )  # fmt: skip
    await measure(house, 2.0)
    await house.clock.advance(70)
    assert await state(house) == "ALARM"


async def test_what_is_refused(house: Harness) -> None:
    for wrong, code in (
        ({"ComparisonOperator": "GreaterThanUpperThreshold"}, "NotImplemented"),
        ({"AlarmActions": ["arn:aws:automate:us-east-1:ec2:stop"]}, "NotImplemented"),
        ({"AlarmActions": ["x"]}, "ValidationError"),
        ({"DatapointsToAlarm": 3}, "ValidationError"),
        ({"TreatMissingData": "x"}, "ValidationError"),
        ({"Period": 45}, "ValidationError"),
        ({"EvaluationPeriods": 1441}, "ValidationError"),
    ):
        with pytest.raises(AwsError) as failure:
            await make(house, **wrong)
        assert failure.value.error_code == code
    assert (await house.call("cloudwatch", "DescribeAlarms"))["MetricAlarms"] == []


async def test_described_by_metric_and_deleted(house: Harness) -> None:
    await make(house, Tags=[{"Key": "a", "Value": "b"}])
    found = await house.call("cloudwatch", "DescribeAlarmsForMetric", Namespace="App", MetricName="t")
    assert [alarm["AlarmName"] for alarm in found["MetricAlarms"]] == ["hot"]
    arn = found["MetricAlarms"][0]["AlarmArn"]
    assert (await house.call("cloudwatch", "ListTagsForResource", ResourceARN=arn))["Tags"] == [
        {"Key": "a", "Value": "b"}
    ]
    await house.call("cloudwatch", "DeleteAlarms", AlarmNames=["hot", "none"])
    assert (await house.call("cloudwatch", "DescribeAlarms"))["MetricAlarms"] == []
