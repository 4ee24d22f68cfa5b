"""Rules and their targets.

https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from lakebed.api import events as api
from lakebed.kernel.errors import AwsError
from lakebed.ports.service import Context, operation
from lakebed.services.events.exchange import SCHEDULE_TASK, compiled
from lakebed.services.events.model import (
    DEFAULT,
    DISABLED,
    ENABLED,
    RULES_MAX,
    SERVICE,
    TARGETS_MAX,
    Bus,
    Rule,
    Target,
    invalid,
    with_tags,
)  # fmt: skip
from lakebed.services.events.provider.desk import Desk, limit, named_rule, page, start
from lakebed.services.events.targets import checked
from lakebed.wire.aws import schedule
from lakebed.wire.aws.patterns import PatternError

_NAME = re.compile(r"[.\-_A-Za-z0-9]{1,64}", re.ASCII)
_rule = named_rule("Name")
_rule_of_targets = named_rule("Rule")


def check_pattern(text: str) -> None:
    """Raise unless ``text`` is an event pattern."""
    try:
        compiled(text)
    except PatternError as wrong:
        raise api.InvalidEventPatternException(f"Event pattern is not valid. Reason: {wrong}") from None


class RuleOperations(Desk):
    """Operations on rules and targets."""

    @operation("PutRule", resource=_rule)
    async def put_rule(self, ctx: Context, req: api.PutRuleRequest) -> api.PutRuleResponse:
        """https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html"""
        bus, name = self.bus(ctx, req.get("EventBusName")), req["Name"]
        self._check(bus, req)
        if role := req.get("RoleArn", ""):
            self.p.identity.check_pass_role(ctx.principal, role, SERVICE)
        before = self.exchange.rules.find(bus.scope, bus.name, name)
        if before is None and self.exchange.rules.count(bus.scope, bus.name) >= RULES_MAX:
            raise api.LimitExceededException("The requested resource exceeds the maximum number allowed.")
        state, text = req.get("State", ENABLED), req.get("ScheduleExpression", "")
        rule = Rule(
            bus.scope, bus.name, name,
            made=before.made if before else ctx.now,
            pattern=req.get("EventPattern", ""),
            schedule=text,
            state=state,
            description=req.get("Description", ""),
            role=role,
            creator=before.creator if before else ctx.principal.account,
            tags=before.tags if before else with_tags({}, req.get("Tags") or []),
            due=schedule.parse(text).after(ctx.now) if text and state != DISABLED else None,
        )  # fmt: skip
        if before is not None and before.schedule == text and before.due is not None and rule.due is not None:
            rule = msgspec.structs.replace(rule, due=before.due)  # the same schedule goes on
        self._put(rule)
        return {"RuleArn": rule.arn}

    def _check(self, bus: Bus, req: api.PutRuleRequest) -> None:
        if not _NAME.fullmatch(req["Name"]):
            raise invalid(f"Rule name '{req['Name'][:64]}' is not valid.")
        if not req.get("EventPattern") and not req.get("ScheduleExpression"):
            raise invalid("Parameter(s) EventPattern or ScheduleExpression must be specified.")
        if req.get("EventPattern"):
            check_pattern(req["EventPattern"])
        if text := req.get("ScheduleExpression"):
            if bus.name != DEFAULT:
                raise invalid("ScheduleExpression is supported only on the default event bus.")
            try:
                schedule.parse(text)
            except schedule.ScheduleError:
                raise invalid("Parameter ScheduleExpression is not valid.") from None

    def _put(self, rule: Rule) -> None:
        with self.k.db.tx() as tx:
            self.exchange.rules.put(tx, rule)
            tx.after_commit(lambda: self.k.tasks.poke(SCHEDULE_TASK))
        self.exchange.forget(rule.scope, rule.bus)

    @operation("DeleteRule", resource=_rule)
    async def delete_rule(self, ctx: Context, req: api.DeleteRuleRequest) -> None:
        """https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_DeleteRule.html. `Force` is for rules that a
        service manages; there are none."""
        bus = self.bus(ctx, req.get("EventBusName"))
        rule = self.exchange.rules.find(bus.scope, bus.name, req["Name"])
        if rule is None:
            return
        if self.exchange.rules.targets(rule):
            raise invalid("Rule can't be deleted since it has targets.")
        with self.k.db.tx() as tx:
            self.exchange.rules.delete(tx, rule)
        self.exchange.forget(rule.scope, rule.bus)

    @operation("DescribeRule", resource=_rule)
    async def describe_rule(self, ctx: Context, req: api.DescribeRuleRequest) -> api.DescribeRuleResponse:
        """https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_DescribeRule.html"""
        rule = self.rule(ctx, req["Name"], req.get("EventBusName"))
        return {**_listed(rule), "CreatedBy": rule.creator}  # type: ignore[typeddict-item]

    @operation("EnableRule", resource=_rule)
    async def enable_rule(self, ctx: Context, req: api.EnableRuleRequest) -> None:
        """https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_EnableRule.html"""
        rule = self.rule(ctx, req["Name"], req.get("EventBusName"))
        due = rule.due
        if rule.schedule and due is None:
            due = schedule.parse(rule.schedule).after(ctx.now)
        self._put(msgspec.structs.replace(rule, state=ENABLED, due=due))

    @operation("DisableRule", resource=_rule)
    async def disable_rule(self, ctx: Context, req: api.DisableRuleRequest) -> None:
        """https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_DisableRule.html"""
        rule = self.rule(ctx, req["Name"], req.get("EventBusName"))
        self._put(msgspec.structs.replace(rule, state=DISABLED, due=None))

    @operation("ListRules", resource=lambda scope, _: scope.arn("events", "rule/*"))
    async def list_rules(self, ctx: Context, req: api.ListRulesRequest) -> api.ListRulesResponse:
        """https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_ListRules.html"""
        bus, size = self.bus(ctx, req.get("EventBusName")), limit(req)
        found = self.exchange.rules.after(bus.scope, bus.name, req.get("NamePrefix", ""), start(req), size + 1)
        shown, more = page(found, size, lambda rule: rule.name)
        return {"Rules": [_listed(rule) for rule in shown], **more}  # type: ignore[typeddict-item]

    @operation("ListRuleNamesByTarget", resource=lambda scope, _: scope.arn("events", "rule/*"))
    async def list_rule_names_by_target(
        self, ctx: Context, req: api.ListRuleNamesByTargetRequest
    ) -> api.ListRuleNamesByTargetResponse:
        """https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_ListRuleNamesByTarget.html"""
        bus, size = self.bus(ctx, req.get("EventBusName")), limit(req)
        found = self.exchange.rules.names_by_target(bus.scope, bus.name, req["TargetArn"], start(req), size + 1)
        shown, more = page(found, size, lambda name: name)
        return {"RuleNames": list(shown), **more}  # type: ignore[typeddict-item]

    @operation("PutTargets", resource=_rule_of_targets)
    async def put_targets(self, ctx: Context, req: api.PutTargetsRequest) -> api.PutTargetsResponse:
        """https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutTargets.html"""
        rule = self.rule(ctx, req["Rule"], req.get("EventBusName"))
        targets = [checked(entry) for entry in req["Targets"]]
        if len({target.id for target in targets}) < len(targets):
            raise invalid("Target ids must be unique.")
        known = {target.id for target in self.exchange.rules.targets(rule)}
        if len(known | {target.id for target in targets}) > TARGETS_MAX:
            raise api.LimitExceededException("The requested resource exceeds the maximum number allowed.")
        failed: list[api.PutTargetsResultEntry] = []
        accepted: list[Target] = []
        for target in targets:
            try:
                if target.role:
                    self.p.identity.check_pass_role(ctx.principal, target.role, SERVICE)
                accepted.append(target)
            except AwsError as refused:
                failed.append({"TargetId": target.id, "ErrorCode": refused.error_code, "ErrorMessage": refused.message})
        with self.k.db.tx() as tx:
            for target in accepted:
                self.exchange.rules.put_target(tx, rule, target)
        self.exchange.forget(rule.scope, rule.bus)
        return {"FailedEntryCount": len(failed), "FailedEntries": failed}

    @operation("RemoveTargets", resource=_rule_of_targets)
    async def remove_targets(self, ctx: Context, req: api.RemoveTargetsRequest) -> api.RemoveTargetsResponse:
        """https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_RemoveTargets.html. `Force` is for rules that a
        service manages; there are none."""
        rule = self.rule(ctx, req["Rule"], req.get("EventBusName"))
        with self.k.db.tx() as tx:
            for target_id in req["Ids"]:
                self.exchange.rules.delete_target(tx, rule, target_id)
        self.exchange.forget(rule.scope, rule.bus)
        return {"FailedEntryCount": 0, "FailedEntries": []}

    @operation("ListTargetsByRule", resource=_rule_of_targets)
    async def list_targets_by_rule(
        self, ctx: Context, req: api.ListTargetsByRuleRequest
    ) -> api.ListTargetsByRuleResponse:
        """https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_ListTargetsByRule.html"""
        rule, size, after = self.rule(ctx, req["Rule"], req.get("EventBusName")), limit(req), start(req)
        found = [target for target in self.exchange.rules.targets(rule) if target.id > after]
        shown: Sequence[Target]
        shown, more = page(found, size, lambda target: target.id)
        told = [{"Id": target.id, "Arn": target.arn, **target.settings} for target in shown]
        return {"Targets": told, **more}  # type: ignore[typeddict-item]


def _listed(rule: Rule) -> dict[str, Any]:
    told: dict[str, Any] = {"Name": rule.name, "Arn": rule.arn, "State": rule.state, "EventBusName": rule.bus}
    optional = {
        "EventPattern": rule.pattern,
        "ScheduleExpression": rule.schedule,
        "Description": rule.description,
        "RoleArn": rule.role,
    }
    return told | {name: value for name, value in optional.items() if value}
