"""Alarms: defined, described, switched, set.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
"""

from __future__ import annotations

from typing import Any

import msgspec

from lakebed.api import cloudwatch as api
from lakebed.kernel.errors import AwsError
from lakebed.kernel.scope import Scope
from lakebed.ports.service import Context, Request, operation
from lakebed.services.cloudwatch import alarms, composite, model
from lakebed.services.cloudwatch.alarms import Alarm
from lakebed.services.cloudwatch.evaluation import EVALUATION_TASK, Evaluator, next_look

ALARMS_MAX = 5000
_PAGE = 100


def alarm_arns(scope: Scope, req: Request) -> list[str]:
    """What a permission is asked for."""
    names = req.get("AlarmNames") or [req.get("AlarmName") or "*"]
    return [model.alarm_arn(scope, name) for name in names]


class AlarmOperations:
    """Metric alarms and their history."""

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator
        self.alarms = evaluator.alarms
        self.k = evaluator.k

    @operation(
        "PutMetricAlarm",
        resource=alarm_arns,
        refused=(
            "ThresholdMetricId", "EvaluationWindow", "WarmUpConfiguration", "EvaluationCriteria", "EvaluationInterval",
            "ActionConfiguration",
        ),
    )  # fmt: skip
    async def put_metric_alarm(self, ctx: Context, req: api.PutMetricAlarmInput) -> None:
        """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html"""
        tags = {tag["Key"]: tag["Value"] for tag in req.get("Tags") or []}
        model.check_tags(tags)
        with self.k.db.tx() as tx:
            previous = self.alarms.find(ctx.scope, req["AlarmName"])
            if previous is None and self.alarms.count(ctx.scope) >= ALARMS_MAX:
                raise api.LimitExceededFault(f"At most {ALARMS_MAX} alarms can exist in an account and region.")
            alarm = alarms.defined(req, ctx.scope, ctx.now, previous)
            self.alarms.insert(tx, ctx.scope, alarm, tags, next_look(alarm, ctx.now))
            self.note(tx, ctx, alarm, "created" if previous is None else "updated")
            tx.after_commit(lambda: self.k.tasks.poke(EVALUATION_TASK))

    @operation("DescribeAlarms", resource=alarm_arns)
    async def describe_alarms(self, ctx: Context, req: api.DescribeAlarmsInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html"""
        names, prefix = req.get("AlarmNames"), req.get("AlarmNamePrefix", "")
        if names and prefix:
            raise AwsError("ValidationError", "AlarmNames and AlarmNamePrefix cannot both be given.")
        limit, after = req.get("MaxRecords", _PAGE), req.get("NextToken", "")
        found: list[Alarm] = []
        related = self._related(ctx.scope, req)
        if related is not None:
            names = [*related, ""]  # never empty: an empty list would mean all
        if names:
            known = [self.alarms.find(ctx.scope, name) for name in sorted(set(names)) if name > after]
            found = [alarm for alarm in known if alarm is not None]
        else:
            found = self.alarms.after(ctx.scope, prefix, after, ALARMS_MAX)
        types = req.get("AlarmTypes") or (["MetricAlarm", "CompositeAlarm"] if related is not None else ["MetricAlarm"])
        found = [alarm for alarm in found if _type(alarm) in types]
        state, action = req.get("StateValue"), req.get("ActionPrefix", "")
        found = [
            alarm for alarm in found
            if (state is None or alarm["StateValue"] == state)
            and (not action or any(one.startswith(action) for member in alarms.ACTIONS.values() for one in alarm[member]))
        ]  # fmt: skip
        result: dict[str, Any] = {
            f"{kind}s": [_shown(alarm) for alarm in found[:limit] if _type(alarm) == kind]
            for kind in ("MetricAlarm", "CompositeAlarm")
        }
        if len(found) > limit:
            result["NextToken"] = found[limit - 1]["AlarmName"]
        return result

    @operation("DescribeAlarmsForMetric")
    async def describe_alarms_for_metric(self, ctx: Context, req: api.DescribeAlarmsForMetricInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarmsForMetric.html"""
        key = model.key_of(req["Namespace"], req["MetricName"], req.get("Dimensions") or ())
        told = []
        for alarm in self.alarms.after(ctx.scope, "", "", ALARMS_MAX):
            if "MetricName" not in alarm:
                continue
            same = all(
                alarm.get(name) == req.get(name)
                for name in ("Statistic", "ExtendedStatistic", "Period", "Unit") if name in req
            )  # fmt: skip
            if same and model.key_of(alarm["Namespace"], alarm["MetricName"], alarm["Dimensions"]) == key:
                told.append(_shown(alarm))
        return {"MetricAlarms": told}

    @operation("DescribeAlarmHistory", resource=alarm_arns, refused=("AlarmContributorId",))
    async def describe_alarm_history(self, ctx: Context, req: api.DescribeAlarmHistoryInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarmHistory.html"""
        token = req.get("NextToken", "0")
        if not (token.isascii() and token.isdigit() and len(token) < 10):
            raise api.InvalidNextToken("The value of NextToken is invalid.")
        passed, limit = int(token), req.get("MaxRecords", _PAGE)
        types = req.get("AlarmTypes") or ["MetricAlarm", "CompositeAlarm"]
        rows = self.alarms.history(
            ctx.scope, req.get("AlarmName"), req.get("HistoryItemType"),
            (req.get("StartDate", 0.0), req.get("EndDate", 1e12)), (passed, limit + 1),
            ascending=req.get("ScanBy") == "TimestampAscending",
        )  # fmt: skip
        items = [
            {"AlarmName": row["name"], "AlarmType": self._type_of(ctx.scope, row["name"]), "Timestamp": row["at"],
             "HistoryItemType": row["type"], "HistorySummary": row["summary"], "HistoryData": row["data"]} for row in rows[:limit]
        ]  # fmt: skip
        items = [item for item in items if item["AlarmType"] in types]
        return {"AlarmHistoryItems": items} | ({"NextToken": str(passed + limit)} if len(rows) > limit else {})

    @operation("SetAlarmState", resource=alarm_arns)
    async def set_alarm_state(self, ctx: Context, req: api.SetAlarmStateInput) -> None:
        """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_SetAlarmState.html"""
        data = req.get("StateReasonData", "")
        if data:
            try:
                msgspec.json.decode(data.encode("utf-8", "replace"))
            except (msgspec.DecodeError, RecursionError):
                raise api.InvalidFormatFault("StateReasonData was not valid JSON") from None
        with self.k.db.tx() as tx:
            alarm = self.alarms.find(ctx.scope, req["AlarmName"])
            if alarm is None:
                raise api.ResourceNotFound(f"The alarm {req['AlarmName']} does not exist")
            self.evaluator.change(tx, ctx.scope, alarm, req["StateValue"], req["StateReason"], data)

    @operation("EnableAlarmActions", resource=alarm_arns)
    async def enable_alarm_actions(self, ctx: Context, req: api.EnableAlarmActionsInput) -> None:
        """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_EnableAlarmActions.html"""
        self._switch(ctx, req["AlarmNames"], enabled=True)

    @operation("DisableAlarmActions", resource=alarm_arns)
    async def disable_alarm_actions(self, ctx: Context, req: api.DisableAlarmActionsInput) -> None:
        """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DisableAlarmActions.html"""
        self._switch(ctx, req["AlarmNames"], enabled=False)

    @operation("DeleteAlarms", resource=alarm_arns)
    async def delete_alarms(self, ctx: Context, req: api.DeleteAlarmsInput) -> None:
        """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DeleteAlarms.html"""
        with self.k.db.tx() as tx:
            for name in req["AlarmNames"]:
                if (alarm := self.alarms.find(ctx.scope, name)) is not None:
                    self.note(tx, ctx, alarm, "deleted")
                    self.alarms.delete(tx, ctx.scope, name)
                    self.evaluator.look_at_parents(tx, ctx.scope, alarm)

    def _related(self, scope: Scope, req: api.DescribeAlarmsInput) -> list[str] | None:
        """Names of a composite alarm's children, or of the composite alarms a child is part of; None where none is asked."""
        child, parent = req.get("ParentsOfAlarmName"), req.get("ChildrenOfAlarmName")
        if child is None and parent is None:
            return None
        if child is not None and parent is not None:
            raise AwsError("ValidationError", "ChildrenOfAlarmName and ParentsOfAlarmName cannot both be given.")
        found = self.alarms.find(scope, child or parent or "")
        if found is None:
            raise api.ResourceNotFound(f"The alarm {child or parent} does not exist")
        if parent is not None:
            return list(composite.parse(found["AlarmRule"]).children) if "AlarmRule" in found else []
        return [
            one["AlarmName"]
            for one in self.alarms.composites(scope)
            if child in composite.parse(one["AlarmRule"]).children
        ]

    def _switch(self, ctx: Context, names: list[str], *, enabled: bool) -> None:
        with self.k.db.tx() as tx:
            for name in names:
                alarm = self.alarms.find(ctx.scope, name)
                if alarm is not None and alarm["ActionsEnabled"] != enabled:
                    alarm["ActionsEnabled"] = enabled
                    self.alarms.put(tx, ctx.scope, alarm)
                    self.note(tx, ctx, alarm, "updated")

    def _type_of(self, scope: Scope, name: str) -> str:
        return _type(self.alarms.find(scope, name) or {})

    def note(self, tx: Any, ctx: Context, alarm: Alarm, what: str) -> None:
        """An alarm's configuration changed."""
        data = msgspec.json.encode({"version": "1.0", "type": what.title(), what + "Alarm": _shown(alarm)}).decode()
        entry = "ConfigurationUpdate", f'Alarm "{alarm["AlarmName"]}" {what}', data
        self.alarms.note(tx, ctx.scope, alarm["AlarmName"], ctx.now, entry)


def _type(alarm: Alarm) -> str:
    return "CompositeAlarm" if "AlarmRule" in alarm else "MetricAlarm"


def _shown(alarm: Alarm) -> dict[str, Any]:
    """As DescribeAlarms tells it."""
    return {name: value for name, value in alarm.items() if name != "period"}
