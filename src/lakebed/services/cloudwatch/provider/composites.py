"""Composite alarms: defined; all else about them is with the other alarms.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutCompositeAlarm.html
"""

from __future__ import annotations

from lakebed.api import cloudwatch as api
from lakebed.kernel.scope import Scope
from lakebed.ports.service import Context, operation
from lakebed.services.cloudwatch import composite, model
from lakebed.services.cloudwatch.composite import NEVER
from lakebed.services.cloudwatch.provider.alarms import ALARMS_MAX, AlarmOperations, alarm_arns


class CompositeOperations:
    """PutCompositeAlarm."""

    def __init__(self, others: AlarmOperations) -> None:
        self.others, self.alarms, self.evaluator, self.k = others, others.alarms, others.evaluator, others.k

    @operation(
        "PutCompositeAlarm",
        resource=alarm_arns,
        refused=(
            "ActionsSuppressor", "ActionsSuppressorWaitPeriod", "ActionsSuppressorExtensionPeriod", "ActionConfiguration",
        ),
    )  # fmt: skip
    async def put_composite_alarm(self, ctx: Context, req: api.PutCompositeAlarmInput) -> None:
        """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutCompositeAlarm.html"""
        tags = {tag["Key"]: tag["Value"] for tag in req.get("Tags") or []}
        model.check_tags(tags)
        with self.k.db.tx() as tx:
            previous = self.alarms.find(ctx.scope, req["AlarmName"])
            if previous is None and self.alarms.count(ctx.scope) >= ALARMS_MAX:
                raise api.LimitExceededFault(f"At most {ALARMS_MAX} alarms can exist in an account and region.")
            alarm = composite.defined(req, ctx.scope, ctx.now, previous)
            self._check_no_circle(ctx.scope, alarm["AlarmName"], alarm["AlarmRule"])
            self.alarms.insert(tx, ctx.scope, alarm, tags, NEVER)
            self.others.note(tx, ctx, alarm, "created" if previous is None else "updated")
            self.evaluator.look_at_composite(tx, ctx.scope, alarm, "")

    def _check_no_circle(self, scope: Scope, name: str, rule: str) -> None:
        """An alarm that waited for itself would never settle."""
        waiting, seen = list(composite.parse(rule).children), set()
        while waiting:
            child = waiting.pop()
            if child == name:
                raise composite.wrong(f"AlarmRule of {name} depends on {name} itself.")
            found = self.alarms.find(scope, child) if child not in seen else None
            seen.add(child)
            if found is not None and "AlarmRule" in found:
                waiting += composite.parse(found["AlarmRule"]).children
