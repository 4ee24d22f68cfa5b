"""Rule actions that tell people or watch: sns, cloudwatchMetric, cloudwatchAlarm.

https://docs.aws.amazon.com/iot/latest/developerguide/sns-rule-action.html,
https://docs.aws.amazon.com/iot/latest/developerguide/cloudwatch-metrics-rule-action.html,
https://docs.aws.amazon.com/iot/latest/developerguide/cloudwatch-alarms-rule-action.html
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from lakebed.api import iot as api
from lakebed.kernel.errors import AwsError
from lakebed.services.iot.acting import Action, Maker, Outcome, Selected
from lakebed.services.iot.sql.template import compile_template

_STATES = ("OK", "ALARM", "INSUFFICIENT_DATA")


def sns(given: Mapping[str, Any], make: Maker) -> Action:
    """Publish to a topic."""
    role, target = given["roleArn"], given["targetArn"]
    structure = "json" if given.get("messageFormat", "RAW") == "JSON" else ""
    fill = compile_template(target)

    async def send(arn: str, item: Selected) -> str:
        text = item.payload.decode("utf-8", "replace")
        await make.p.topics.publish(make.assume(role), arn, text, structure=structure)
        return arn

    async def run(selected: Sequence[Selected]) -> Outcome:
        return await make.each("SnsAction", selected, fill, send)

    return make.action("sns", None if "${" in target else target, role, run)


def metric(given: Mapping[str, Any], make: Maker) -> Action:
    """One data point for each message."""
    role = given["roleArn"]
    name, space, value, unit = (
        compile_template(given[key]) for key in ("metricName", "metricNamespace", "metricValue", "metricUnit")
    )
    stamp = compile_template(given.get("metricTimestamp") or "")

    async def send(filled: str, item: Selected) -> str:
        namespace = space(item.env)
        if namespace.startswith("AWS/"):
            raise AwsError("InvalidParameterValue", "A metric's namespace may not begin with AWS/.")
        try:
            number, written = float(value(item.env)), stamp(item.env)
            at = float(written) if written else item.env.now
        except ValueError:
            raise AwsError("InvalidParameterValue", "The metric's value or timestamp is not a number.") from None
        if not math.isfinite(number) or not math.isfinite(at):
            raise AwsError("InvalidParameterValue", "The metric's value or timestamp is not finite.")
        make.p.identity.authorise(
            make.assume(role), "cloudwatch:PutMetricData", "*", conditions={"cloudwatch:namespace": namespace}
        )
        make.p.metrics.put(make.scope, namespace, [(filled, {}, number, unit(item.env))], at=at)
        return make.scope.arn("cloudwatch", f"metric/{namespace}")

    async def run(selected: Sequence[Selected]) -> Outcome:
        return await make.each("CloudwatchMetricAction", selected, name, send)

    return make.action("cloudwatchMetric", None, role, run)


def alarm(given: Mapping[str, Any], make: Maker) -> Action:
    """Set the state of an alarm."""
    role = given["roleArn"]
    state, reason = given["stateValue"], compile_template(given["stateReason"])
    if "${" not in state and state not in _STATES:
        raise api.InvalidRequestException(f"stateValue must be one of {', '.join(_STATES)}.")
    name, state_of = compile_template(given["alarmName"]), compile_template(state)

    async def send(filled: str, item: Selected) -> str:
        arn = make.scope.arn("cloudwatch", f"alarm:{filled}")
        value = state_of(item.env)
        if value not in _STATES:
            raise AwsError("InvalidParameterValue", f"{value[:64]} is no state of an alarm.")
        make.p.identity.authorise(make.assume(role), "cloudwatch:SetAlarmState", arn)
        make.p.metrics.set_alarm_state(make.scope, filled, value, reason(item.env))
        return arn

    async def run(selected: Sequence[Selected]) -> Outcome:
        return await make.each("CloudwatchAlarmAction", selected, name, send)

    return make.action("cloudwatchAlarm", None, role, run)
