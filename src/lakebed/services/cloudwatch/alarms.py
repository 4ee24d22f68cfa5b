"""Metric alarms as values: what PutMetricAlarm accepts, and which state a row of datapoints means.

A state is decided on the ``EvaluationPeriods`` most recent real datapoints of the evaluation range, which reaches two
periods further back; only where there are fewer does the treatment of missing data count.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from lakebed.kernel.arn import parse
from lakebed.kernel.errors import AwsError, not_built
from lakebed.kernel.scope import Scope
from lakebed.services.cloudwatch import model, queries
from lakebed.services.cloudwatch.aggregate import SIMPLE, check_statistic
from lakebed.services.cloudwatch.model import DAY, HOUR

Alarm = dict[str, Any]
COMPARISONS: dict[str, tuple[Callable[[float, float], bool], str]] = {
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "LessThanThreshold": (operator.lt, "less than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
}
TREATMENTS = ("missing", "ignore", "breaching", "notBreaching")
ACTIONS = {"OK": "OKActions", "ALARM": "AlarmActions", "INSUFFICIENT_DATA": "InsufficientDataActions"}
LOOKED_BACK_MORE = 2
_ACTIONS_MAX = 5
_SHORT_PERIODS = (10, 20, 30)
_SIMPLE_MEMBERS = ("MetricName", "Namespace", "Dimensions", "Period", "Unit", "Statistic", "ExtendedStatistic")
_KEPT = (
    "AlarmName", "AlarmDescription", *ACTIONS.values(), *_SIMPLE_MEMBERS, "EvaluationPeriods", "Threshold",
    "ComparisonOperator", "Metrics", "EvaluateLowSampleCountPercentile", "TreatMissingData", "DatapointsToAlarm",
)  # fmt: skip


def _wrong(message: str) -> AwsError:
    return AwsError("ValidationError", message)


def defined(req: Mapping[str, Any], scope: Scope, now: float, previous: Alarm | None) -> Alarm:
    """The alarm a request defines; one that existed keeps its state."""
    for name in ("ComparisonOperator", "EvaluationPeriods", "Threshold"):
        if name not in req:
            raise _wrong(f"The parameter {name} is required.")
    if previous is not None and "AlarmRule" in previous:
        raise _wrong(f"{req['AlarmName']} is a composite alarm.")
    compare = req["ComparisonOperator"]
    if compare not in COMPARISONS:
        raise not_built("cloudwatch", "PutMetricAlarm", f"ComparisonOperator {compare} (anomaly detection)")
    if req.get("DatapointsToAlarm", 1) > req["EvaluationPeriods"]:
        raise _wrong("DatapointsToAlarm must be less than or equal to EvaluationPeriods.")
    if req.get("TreatMissingData", "missing") not in TREATMENTS:
        raise _wrong(f"Option {req['TreatMissingData']} for TreatMissingData is not one of {', '.join(TREATMENTS)}.")
    low_samples = req.get("EvaluateLowSampleCountPercentile", "evaluate")
    if low_samples == "ignore":
        raise not_built("cloudwatch", "PutMetricAlarm", "EvaluateLowSampleCountPercentile ignore")
    if low_samples != "evaluate":
        raise _wrong(f"Option {low_samples} for EvaluateLowSampleCountPercentile is not one of evaluate, ignore.")
    for member in ACTIONS.values():
        check_actions(req.get(member) or [], "PutMetricAlarm")
    period = _check_metrics(req)
    limit = 7 * DAY if period >= HOUR else DAY
    if period * req["EvaluationPeriods"] > limit:
        raise _wrong(
            f"Metrics cannot be checked across more than {limit // DAY} day{'s' * (limit > DAY)} "
            "(EvaluationPeriods * Period must be <= "
            f"{limit})."
        )
    made = {name: req[name] for name in _KEPT if name in req}
    state = previous or {
        "StateValue": "INSUFFICIENT_DATA", "StateReason": "Unchecked: Initial alarm creation",
        "StateUpdatedTimestamp": now, "StateTransitionedTimestamp": now,
    }  # fmt: skip
    kept = {name: value for name, value in state.items() if name.startswith("State")}
    return {
        **{member: [] for member in ACTIONS.values()}, "Dimensions": [], **made, **kept,
        "ActionsEnabled": req.get("ActionsEnabled", True), "AlarmArn": model.alarm_arn(scope, req["AlarmName"]),
        "AlarmConfigurationUpdatedTimestamp": now, "period": period,
    }  # fmt: skip


def check_actions(actions: Sequence[str], operation: str) -> None:
    """Raise unless each is an ARN of what this house can do at a change of state."""
    if len(actions) > _ACTIONS_MAX:
        raise _wrong(f"At most {_ACTIONS_MAX} actions can be given for a state.")
    for action in actions:
        arn = parse(action)
        if arn is None:
            raise _wrong(f"Invalid arn syntax: {action}")
        if arn.service not in ("sns", "lambda"):
            raise not_built("cloudwatch", operation, f"action on {arn.service}")


def _check_metrics(req: Mapping[str, Any]) -> int:
    """The period of the alarm's datapoints."""
    if "Metrics" in req:
        given = [name for name in _SIMPLE_MEMBERS if name in req]
        if given:
            raise _wrong(f"The parameters Metrics and {given[0]} are mutually exclusive.")
        asked = queries.checked("PutMetricAlarm", req["Metrics"])
        shown = [query for query in asked if query.shown]
        if len(shown) != 1 or len(asked) > 20:
            raise _wrong("Exactly one element of the metrics list (of at most 20) should return data.")
        periods = [query.period for query in asked if query.key is not None]
        if not periods:
            raise _wrong("At least one element of the metrics list must be a metric.")
        period = shown[0].period or max(periods)
    else:
        for name in ("MetricName", "Namespace", "Period"):
            if name not in req:
                raise _wrong(f"The parameter {name} is required.")
        if ("Statistic" in req) == ("ExtendedStatistic" in req):
            raise _wrong("Exactly one of Statistic and ExtendedStatistic must be given.")
        model.key_of(req["Namespace"], req["MetricName"], req.get("Dimensions") or ())
        if "ExtendedStatistic" in req and check_statistic("PutMetricAlarm", req["ExtendedStatistic"]) in SIMPLE:
            raise _wrong(f"The value {req['ExtendedStatistic']} for parameter ExtendedStatistic is invalid.")
        period = req["Period"]
    if period not in _SHORT_PERIODS and (period < 60 or period % 60):
        raise _wrong("Period must be 10, 20, 30 or a multiple of 60.")
    return int(period)


def queries_of(alarm: Alarm) -> list[dict[str, Any]]:
    """The alarm's metrics as queries."""
    if "Metrics" in alarm:
        return list(alarm["Metrics"])
    stat = {
        "Metric": {name: alarm[name] for name in ("Namespace", "MetricName", "Dimensions")},
        "Period": alarm["Period"], "Stat": alarm.get("Statistic") or alarm["ExtendedStatistic"],
    }  # fmt: skip
    if "Unit" in alarm:
        stat["Unit"] = alarm["Unit"]
    return [{"Id": "m1", "MetricStat": stat, "ReturnData": True}]


def decide(alarm: Mapping[str, Any], points: Sequence[float | None]) -> str | None:
    """The state the datapoints (oldest first, None where missing) mean; None: keep what it is."""
    periods = alarm["EvaluationPeriods"]
    needed = alarm.get("DatapointsToAlarm", periods)
    breaches, _ = COMPARISONS[alarm["ComparisonOperator"]]
    real = [point for point in points if point is not None][-periods:]
    breaching = sum(breaches(point, alarm["Threshold"]) for point in real)
    if breaching >= needed:
        return "ALARM"
    treatment = alarm.get("TreatMissingData", "missing")
    missing = periods - len(real)
    if treatment == "breaching":
        return "ALARM" if breaching + missing >= needed else "OK"
    if treatment == "notBreaching":
        return "OK"
    if treatment == "ignore":
        return None if missing and breaching == len(real) else "OK"
    if not real:
        return "INSUFFICIENT_DATA"
    return "ALARM" if missing and breaching == len(real) else "OK"


def reason(alarm: Mapping[str, Any], state: str, points: Sequence[tuple[int, float | None]]) -> str:
    """Why, for a person."""
    periods = alarm["EvaluationPeriods"]
    real = [(at, point) for at, point in points if point is not None][-periods:]
    if not real:
        treatment = alarm.get("TreatMissingData", "missing")
        if state == "INSUFFICIENT_DATA":
            return f"Insufficient Data: {periods} datapoint{'s were' if periods > 1 else ' was'} unknown."
        return f"Threshold Crossed: no datapoints were received for {periods} periods and missing data is {treatment}."
    breaches, words = COMPARISONS[alarm["ComparisonOperator"]]
    chosen = [(at, point) for at, point in real if breaches(point, alarm["Threshold"]) == (state == "ALARM")] or real
    shown = ", ".join(f"{point} ({datetime.fromtimestamp(at, UTC):%d/%m/%y %H:%M:%S})" for at, point in chosen[-5:])
    verb = ("were " if len(chosen) > 1 else "was ") + ("" if state == "ALARM" else "not ")
    return (
        f"Threshold Crossed: {len(chosen)} out of the last {periods} datapoints [{shown}] {verb}{words} the threshold "
        f"({alarm['Threshold']})."
    )


def iso(at: float) -> str:
    """As AWS writes times inside JSON."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{int(at * 1000) % 1000:03d}+0000"
