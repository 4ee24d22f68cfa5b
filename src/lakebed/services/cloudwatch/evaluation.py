"""Evaluating alarms on the clock: state changes, their history, and their actions, in one transaction each.

An alarm is looked at once a period (at least once a minute for longer ones), a few seconds after the period ended so that
what was measured in it has been written. Actions go through the outbox; they run on a change of state only.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from lakebed.kernel.arn import parse
from lakebed.kernel.db import Tx
from lakebed.kernel.errors import AwsError
from lakebed.kernel.scope import Principal, Scope
from lakebed.ports.events import Events
from lakebed.ports.house import Ports
from lakebed.ports.topics import Topics
from lakebed.services.cloudwatch import alarms, composite, queries
from lakebed.services.cloudwatch.alarm_store import AlarmStore
from lakebed.services.cloudwatch.alarms import Alarm
from lakebed.services.cloudwatch.reading import Ledger

EVALUATION_TASK = "cloudwatch:alarms"
ACTION_TOPIC, EVENT_TOPIC = "cloudwatch:actions", "cloudwatch:events"
_AFTER_SECONDS = 5.0
_AT_ONCE = 100


def next_look(alarm: Alarm, now: float) -> float:
    """The next end of a period (or minute), and a little."""
    step = min(alarm["period"], 60)
    return float(math.floor((now - _AFTER_SECONDS) / step) * step + step + _AFTER_SECONDS)


class Evaluator:
    """The task, and the one place where an alarm changes its state."""

    name = EVALUATION_TASK
    period = 60.0

    def __init__(self, ledger: Ledger, p: Ports) -> None:
        self.ledger, self.p = ledger, p
        self.k = ledger.k
        self.alarms = AlarmStore(ledger.k.db)
        ledger.k.outbox.handle(ACTION_TOPIC, self._act)
        ledger.k.outbox.handle(EVENT_TOPIC, self._tell)

    async def activate(self) -> float | None:
        """Look at what is due, a bounded number at once."""
        now = self.k.clock.now()
        due = self.alarms.due(now, _AT_ONCE)
        for scope, alarm in due:
            with self.k.db.tx() as tx:
                self._look(tx, scope, alarm, now)
                self.alarms.due_again(tx, scope, alarm["AlarmName"], next_look(alarm, now))
        return now if len(due) == _AT_ONCE else self.alarms.next_due()

    def _look(self, tx: Tx, scope: Scope, alarm: Alarm, now: float) -> None:
        period = alarm["period"]
        end = math.floor(now / period) * period
        start = end - (alarm["EvaluationPeriods"] + alarms.LOOKED_BACK_MORE) * period
        try:
            asked = queries.checked("PutMetricAlarm", alarms.queries_of(alarm))
            (shown,) = [query for query in asked if query.shown]
            values = queries.Evaluation("PutMetricAlarm", self.ledger, scope, asked, (start, end)).series(shown)
        except AwsError as failure:
            self.change(tx, scope, alarm, "INSUFFICIENT_DATA", f"Evaluation failed: {failure.message}", "")
            return
        points = [(at, values.get(at)) for at in range(start, end, period)]
        state = alarms.decide(alarm, [value for _, value in points])
        if state is None or state == alarm["StateValue"]:
            return
        data = {
            "version": "1.0", "queryDate": alarms.iso(now), "startDate": alarms.iso(start), "period": period,
            "recentDatapoints": [value for _, value in points if value is not None], "threshold": alarm["Threshold"],
        }  # fmt: skip
        self.change(tx, scope, alarm, state, alarms.reason(alarm, state, points), msgspec.json.encode(data).decode())

    def change(self, tx: Tx, scope: Scope, alarm: Alarm, state: str, reason: str, data: str) -> None:
        """Set a state; where it is another one, note it and let the actions happen."""
        now, old = self.k.clock.now(), alarm["StateValue"]
        previous = {"value": old, "reason": alarm["StateReason"], "timestamp": alarm["StateUpdatedTimestamp"]}
        alarm |= {"StateValue": state, "StateReason": reason[:1023], "StateUpdatedTimestamp": now}
        alarm.pop("StateReasonData", None)
        if data:
            alarm["StateReasonData"] = data[:4000]
        if old != state:
            alarm["StateTransitionedTimestamp"] = now
        self.alarms.put(tx, scope, alarm)
        if old == state:
            return
        told = {"version": "1.0", "oldState": {"stateValue": old, "stateReason": previous["reason"]},
                "newState": {"stateValue": state, "stateReason": reason}}  # fmt: skip
        summary = f"Alarm updated from {old} to {state}"
        entry = "StateUpdate", summary, msgspec.json.encode(told).decode()
        self.alarms.note(tx, scope, alarm["AlarmName"], now, entry)
        where = {"account": scope.account, "region": scope.region, "partition": scope.partition}
        event = {**where, "alarm": alarm, "previous": previous, "id": self.k.ids.uuid()}
        self.k.outbox.emit(tx, EVENT_TOPIC, event)
        self.look_at_parents(tx, scope, alarm)
        if not alarm["ActionsEnabled"]:
            return
        for action in alarm.get(alarms.ACTIONS[state]) or []:
            self.k.outbox.emit(tx, ACTION_TOPIC, {**where, "action": action, "alarm": alarm, "previous": previous})

    def look_at_parents(self, tx: Tx, scope: Scope, alarm: Alarm) -> None:
        """The composite alarms that an alarm is part of: it changed, or is gone."""
        for other in self.alarms.composites(scope):
            if alarm["AlarmName"] in composite.parse(other["AlarmRule"]).children:
                self.look_at_composite(tx, scope, other, alarm["AlarmArn"])

    def look_at_composite(self, tx: Tx, scope: Scope, alarm: Alarm, cause: str) -> None:
        """Its rule over the states of the moment; ``cause`` is the ARN of the alarm that changed."""
        rule = composite.parse(alarm["AlarmRule"])
        found = [self.alarms.find(scope, name) for name in rule.children]
        states = {one["AlarmName"]: one["StateValue"] for one in found if one is not None}
        state = "ALARM" if rule.holds(states) else "OK"
        if state == alarm["StateValue"]:
            return
        at = alarms.iso(self.k.clock.now())
        children = [one for one in found if one is not None and (not cause or one["AlarmArn"] == cause)]
        told = "; ".join(f"{one['AlarmArn']} transitioned to {one['StateValue']} at {at}" for one in children[:10])
        data = {"triggeringAlarms": [
            {"arn": one["AlarmArn"], "state": {"value": one["StateValue"], "timestamp": at}} for one in children[:10]
        ]}  # fmt: skip
        why = told or f"{alarm['AlarmArn']} was created and its alarm rule evaluates to {state}"
        self.change(tx, scope, alarm, state, why, msgspec.json.encode(data).decode())

    async def _tell(self, message: dict[str, Any]) -> None:
        """The change as an event of EventBridge.

        https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-and-eventbridge.html
        """
        events: Events | None = getattr(self.p, "events", None)  # EventBridge may not be part of the house
        if events is None:
            return
        scope = Scope(message["account"], message["region"], message["partition"])
        alarm = message["alarm"]
        detail = for_function(scope, alarm, message["previous"])["alarmData"]
        await events.put(
            scope, "aws.cloudwatch", "CloudWatch Alarm State Change", detail,
            resources=[alarm["AlarmArn"]], event_id=message["id"],
        )  # fmt: skip

    async def _act(self, message: dict[str, Any]) -> None:
        """One action; what a target refuses is written to the history as failed and not tried again."""
        scope = Scope(message["account"], message["region"], message["partition"])
        alarm, action = message["alarm"], message["action"]
        outcome = "Successfully executed action"
        try:
            await self._reach(scope, alarm, action, message["previous"])
        except AwsError as failure:
            if (failure.http_status or failure.status) >= 500 and failure.error_code != "NotImplemented":
                raise
            outcome = f"Failed to execute action ({failure.error_code}: {failure.message[:200]})"
        data = {"actionState": outcome.split(" ")[0], "notificationResource": action, "stateUpdateTimestamp":
                int(alarm["StateUpdatedTimestamp"] * 1000)}  # fmt: skip
        with self.k.db.tx() as tx:
            entry = "Action", f"{outcome} {action}", msgspec.json.encode(data).decode()
            self.alarms.note(tx, scope, alarm["AlarmName"], self.k.clock.now(), entry)

    async def _reach(self, scope: Scope, alarm: Alarm, action: str, previous: dict[str, Any]) -> None:
        arn = parse(action)
        assert arn is not None, "checked when the alarm was made"
        if arn.service == "lambda":
            caller = _service(scope, "lambda.alarms.cloudwatch.amazonaws.com")
            payload = msgspec.json.encode(for_function(scope, alarm, previous))
            await self.p.functions.invoke_later(caller, action, payload, source_arn=alarm["AlarmArn"])
            return
        topics: Topics | None = getattr(self.p, "topics", None)  # SNS may not be part of the house
        if topics is None:
            raise AwsError("NotImplemented", "No SNS is part of this house.", status=501)
        text = msgspec.json.encode(for_topic(scope, alarm, previous)).decode()
        subject = f'{alarm["StateValue"]}: "{alarm["AlarmName"]}" in {scope.region}'
        caller = _service(scope, "cloudwatch.amazonaws.com")
        await topics.publish(caller, action, text, subject=subject[:100], source_arn=alarm["AlarmArn"])


def _service(scope: Scope, name: str) -> Principal:
    return Principal(scope.account, name, "service", name)


def for_function(scope: Scope, alarm: Alarm, previous: dict[str, Any]) -> dict[str, Any]:
    """What Lambda gets: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-actions-Lambda.html"""
    state = {"value": alarm["StateValue"], "reason": alarm["StateReason"],
             "timestamp": alarms.iso(alarm["StateUpdatedTimestamp"])}  # fmt: skip
    if "StateReasonData" in alarm:
        state["reasonData"] = alarm["StateReasonData"]
    configuration: dict[str, Any] = {"description": alarm.get("AlarmDescription", "")}
    if "AlarmRule" in alarm:
        configuration["alarmRule"] = alarm["AlarmRule"]
    else:
        configuration["metrics"] = [_metric(query) for query in alarms.queries_of(alarm)]
    return {
        "source": "aws.cloudwatch", "alarmArn": alarm["AlarmArn"], "accountId": scope.account,
        "time": alarms.iso(alarm["StateUpdatedTimestamp"]), "region": scope.region,
        "alarmData": {
            "alarmName": alarm["AlarmName"], "state": state,
            "previousState": {**previous, "timestamp": alarms.iso(previous["timestamp"])},
            "configuration": configuration,
        },
    }  # fmt: skip


def _metric(query: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {"id": query["Id"], "returnData": query.get("ReturnData", True)}
    if "Expression" in query:
        return made | {"expression": query["Expression"]}
    stat = query["MetricStat"]
    metric = {
        "namespace": stat["Metric"]["Namespace"], "name": stat["Metric"]["MetricName"],
        "dimensions": {one["Name"]: one["Value"] for one in stat["Metric"].get("Dimensions") or []},
    }  # fmt: skip
    return made | {"metricStat": {"metric": metric, "period": stat["Period"], "stat": stat["Stat"]}}


def for_topic(scope: Scope, alarm: Alarm, previous: dict[str, Any]) -> dict[str, Any]:
    """What SNS subscribers get, in the members AWS uses."""
    return {
        "AlarmName": alarm["AlarmName"], "AlarmDescription": alarm.get("AlarmDescription"), "AWSAccountId": scope.account,
        "AlarmConfigurationUpdatedTimestamp": alarms.iso(alarm["AlarmConfigurationUpdatedTimestamp"]),
        "NewStateValue": alarm["StateValue"], "NewStateReason": alarm["StateReason"],
        "StateChangeTime": alarms.iso(alarm["StateUpdatedTimestamp"]), "Region": scope.region,
        "AlarmArn": alarm["AlarmArn"], "OldStateValue": previous["value"],
        **{member: alarm.get(member) or [] for member in alarms.ACTIONS.values()},
        **({"AlarmRule": alarm["AlarmRule"]} if "AlarmRule" in alarm else {"Trigger": _trigger(alarm)}),
    }  # fmt: skip


def _trigger(alarm: Alarm) -> dict[str, Any]:
    trigger: dict[str, Any] = {
        "Period": alarm["period"], "EvaluationPeriods": alarm["EvaluationPeriods"],
        "ComparisonOperator": alarm["ComparisonOperator"], "Threshold": alarm["Threshold"],
        "TreatMissingData": alarm.get("TreatMissingData", "missing"),
    }  # fmt: skip
    if "DatapointsToAlarm" in alarm:
        trigger["DatapointsToAlarm"] = alarm["DatapointsToAlarm"]
    if "Metrics" in alarm:
        trigger["Metrics"] = alarm["Metrics"]
    else:
        trigger |= {"MetricName": alarm["MetricName"], "Namespace": alarm["Namespace"], "Unit": alarm.get("Unit"),
                    "Dimensions": [{"name": one["Name"], "value": one["Value"]} for one in alarm["Dimensions"]]}  # fmt: skip
        if "Statistic" in alarm:
            trigger |= {"StatisticType": "Statistic", "Statistic": alarm["Statistic"].upper()}
        else:
            trigger |= {"StatisticType": "ExtendedStatistic", "ExtendedStatistic": alarm["ExtendedStatistic"]}
    return trigger
