"""CloudWatch alarms: their states and why, what they watch, and what they did."""

from __future__ import annotations

from typing import Any

import htpy as h

from lakebed.console.asked import Asked, to
from lakebed.console.backend import Backend
from lakebed.console.figures import moment
from lakebed.console.parts import empty, facts, pages, panel, state, table, time_of
from lakebed.console.shell import Page

CURRENT = "/console/alarms"
_ALARMS, _EVENTS = 100, 50


async def listing(backend: Backend, asked: Asked) -> Page:
    """All alarms of the region, those that ring first."""
    params: dict[str, Any] = {"MaxRecords": _ALARMS, "AlarmTypes": ["MetricAlarm", "CompositeAlarm"]}
    if asked.get("token"):
        params["NextToken"] = asked.get("token")
    answer = await backend.call("cloudwatch", "DescribeAlarms", params, backend.scope)
    found = [*answer.get("MetricAlarms", []), *answer.get("CompositeAlarms", [])]
    lead = "Each watches a metric and tells somebody when it leaves its bounds."
    if not found:
        text = "An alarm compares a metric with a threshold, period by period. Make one:"
        command = (
            "aws cloudwatch put-metric-alarm --alarm-name late --namespace AWS/Kinesis \\\n"
            "  --metric-name GetRecords.IteratorAgeMilliseconds --dimensions Name=StreamName,Value=clicks \\\n"
            "  --statistic Maximum --period 60 --evaluation-periods 1 \\\n"
            "  --threshold 60000 --comparison-operator GreaterThanThreshold"
        )
        return Page("Alarms", lead, CURRENT, empty(f"No alarm in {backend.scope.region}", text, command))
    order = {"ALARM": 0, "INSUFFICIENT_DATA": 1, "OK": 2}
    rows = [
        (
            h.a(href=to("alarms/alarm", alarm=one["AlarmName"]))[one["AlarmName"]],
            state(one["StateValue"]),
            h.code[condition(one)],
            "on" if one.get("ActionsEnabled") else "off",
            time_of(backend.clock.now(), one.get("StateUpdatedTimestamp")),
        )
        for one in sorted(found, key=lambda one: (order.get(one["StateValue"], 3), one["AlarmName"]))
    ]
    following = asked.again(token=answer["NextToken"]) if answer.get("NextToken") else None
    content = panel(
        "Alarms",
        table(("Alarm", "State", "Rings when", "Actions", "Since"), rows, key="alarms-table"),
        pages(asked.again(token=None) if asked.get("token") else None, following),
    )
    return Page("Alarms", lead, CURRENT, content)


_SIGNS = {
    "GreaterThanThreshold": ">",
    "GreaterThanOrEqualToThreshold": "≥",
    "LessThanThreshold": "<",
    "LessThanOrEqualToThreshold": "≤",
}


def condition(alarm: dict[str, Any]) -> str:
    """What an alarm waits for, in a line."""
    if "AlarmRule" in alarm:
        return str(alarm["AlarmRule"])
    what = alarm.get("MetricName") or "an expression"
    statistic = alarm.get("Statistic") or alarm.get("ExtendedStatistic")
    left = f"{statistic}({what})" if statistic else what
    sign = _SIGNS.get(alarm["ComparisonOperator"], alarm["ComparisonOperator"])
    points, periods = alarm.get("DatapointsToAlarm", alarm["EvaluationPeriods"]), alarm["EvaluationPeriods"]
    return f"{left} {sign} {alarm.get('Threshold', 0):g}, {points} of {periods} × {alarm.get('Period', 60)} s"


async def alarm(backend: Backend, asked: Asked) -> Page:
    """One alarm."""
    name = asked.get("alarm")
    params = {"AlarmNames": [name], "AlarmTypes": ["MetricAlarm", "CompositeAlarm"]}
    answer = await backend.call("cloudwatch", "DescribeAlarms", params, backend.scope)
    found = [*answer.get("MetricAlarms", []), *answer.get("CompositeAlarms", [])]
    crumbs = (("Alarms", CURRENT),)
    if not found:
        text = "It may have been deleted, or be in another region."
        missing = empty("There is no such alarm", text, "aws cloudwatch describe-alarms")
        return Page(name or "—", "", CURRENT, missing, crumbs=crumbs)
    told = found[0]
    details: list[tuple[str, h.Node]] = [
        ("State", state(told["StateValue"])),
        ("Why", told.get("StateReason") or "—"),
        ("Rings when", h.code[condition(told)]),
        ("Missing data", told.get("TreatMissingData", "missing")),
        ("Description", told.get("AlarmDescription") or "—"),
        ("ARN", h.code[told["AlarmArn"]]),
    ]
    if told.get("Namespace"):
        details.insert(3, ("Metric", h.a(href=to("metrics", namespace=told["Namespace"]))[told["Namespace"]]))
        dimensions = ", ".join(f"{one['Name']}={one['Value']}" for one in told.get("Dimensions", []))
        details.insert(4, ("Dimensions", dimensions or "—"))
    actions = [
        (kind, h.code[arn])
        for kind, member in (("ALARM", "AlarmActions"), ("OK", "OKActions"), ("no data", "InsufficientDataActions"))
        for arn in told.get(member, [])
    ]
    history = await backend.call(
        "cloudwatch", "DescribeAlarmHistory", {"AlarmName": name, "MaxRecords": _EVENTS}, backend.scope
    )
    rows = [
        (moment(one["Timestamp"]), one["HistoryItemType"], one["HistorySummary"])
        for one in history.get("AlarmHistoryItems", [])
    ]
    content = [
        panel("Alarm", facts(details)),
        panel("Tells", table(("When it turns", "Whom"), actions, nothing="Nobody.")),
        panel("History", table(("When", "What", "Summary"), rows, nothing="Nothing happened yet.")),
    ]
    return Page(name, "What it watches and what it did.", CURRENT, content, crumbs=crumbs)
