"""Topic rules. https://docs.aws.amazon.com/iot/latest/developerguide/iot-rules.html

A rule is compiled when it is created, so that what its SQL or its actions cannot do is said then and not at the first
message; the roles it is handed are checked with iam:PassRole.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

from lakebed.api import iot as api
from lakebed.kernel.errors import not_built
from lakebed.kernel.scope import Scope
from lakebed.ports.service import Context, Request, operation
from lakebed.services.iot.acting import SERVICE
from lakebed.services.iot.model import Rule
from lakebed.services.iot.sql.lexer import SqlError
from lakebed.services.iot.state import TAGS_MAX, Core
from lakebed.wire.mqtt.topics import is_filter, matches

_PAGE = 25
_ACTIONS_MAX = 10
_RULES_MAX = 1000
_SQL_VERSIONS = ("2016-03-23", "beta")


def rule_arn(scope: Scope, req: Request) -> str:
    """The rule an operation is on."""
    return scope.arn("iot", f"rule/{req['ruleName']}")


class RuleOperations:
    """See the module."""

    def __init__(self, core: Core) -> None:
        self.core, self.store = core, core.store

    @operation("CreateTopicRule", resource=rule_arn)
    async def create_topic_rule(self, ctx: Context, req: api.CreateTopicRuleRequest) -> None:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_CreateTopicRule.html"""
        rule = self._checked(ctx, req["ruleName"], dict(req["topicRulePayload"]), ctx.now)
        tags = dict(parse_qsl(req.get("tags", ""), keep_blank_values=True))
        if len(tags) > TAGS_MAX:
            raise api.InvalidRequestException(f"A rule can have {TAGS_MAX} tags.")
        with self.store.db.tx() as tx:
            if self.store.rule(ctx.scope, rule.name) is not None:
                raise api.ResourceAlreadyExistsException(f"Rule already exists: {rule.name}")
            if len(self.store.rules(ctx.scope, "", _RULES_MAX)) >= _RULES_MAX:
                raise api.InvalidRequestException(f"An account can have {_RULES_MAX} rules.")
            self.store.put_rule(tx, rule)
            self.store.put_tags(tx, ctx.scope, rule.arn, tags)
            tx.after_commit(lambda: self.core.engine.changed(ctx.scope))

    @operation("ReplaceTopicRule", resource=rule_arn)
    async def replace_topic_rule(self, ctx: Context, req: api.ReplaceTopicRuleRequest) -> None:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_ReplaceTopicRule.html"""
        created = self._require(ctx.scope, req["ruleName"]).created
        self._put(self._checked(ctx, req["ruleName"], dict(req["topicRulePayload"]), created))

    @operation("GetTopicRule", resource=rule_arn)
    async def get_topic_rule(self, ctx: Context, req: api.GetTopicRuleRequest) -> api.GetTopicRuleResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_GetTopicRule.html"""
        rule = self._require(ctx.scope, req["ruleName"])
        payload: dict[str, Any] = dict(rule.payload)
        told: Any = {
            "ruleName": rule.name,
            "createdAt": rule.created,
            "description": "",
            "awsIotSqlVersion": "2016-03-23",
            **payload,
            "ruleDisabled": rule.is_disabled,
        }
        return {"ruleArn": rule.arn, "rule": told}

    @operation("ListTopicRules")
    async def list_topic_rules(self, ctx: Context, req: api.ListTopicRulesRequest) -> api.ListTopicRulesResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_ListTopicRules.html"""
        limit, disabled, topic = req.get("maxResults", _PAGE), req.get("ruleDisabled"), req.get("topic")
        found = [
            rule
            for rule in self.store.rules(ctx.scope, req.get("nextToken", ""), _RULES_MAX)
            if (disabled is None or rule.is_disabled == disabled)
            and (topic is None or rule.topic_filter == topic or matches(rule.topic_filter, topic))
        ]
        rules: list[api.TopicRuleListItem] = [
            {
                "ruleArn": rule.arn,
                "ruleName": rule.name,
                "topicPattern": rule.topic_filter,
                "createdAt": rule.created,
                "ruleDisabled": rule.is_disabled,
            }
            for rule in found[:limit]
        ]
        answer: api.ListTopicRulesResponse = {"rules": rules}
        if len(found) > limit:
            answer["nextToken"] = found[limit - 1].name
        return answer

    @operation("DeleteTopicRule", resource=rule_arn)
    async def delete_topic_rule(self, ctx: Context, req: api.DeleteTopicRuleRequest) -> None:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_DeleteTopicRule.html: absent is no error."""
        with self.store.db.tx() as tx:
            self.store.delete_rule(tx, ctx.scope, req["ruleName"])
            self.store.delete_tags(tx, ctx.scope, rule_arn(ctx.scope, dict(req)))
            tx.after_commit(lambda: self.core.engine.changed(ctx.scope))

    @operation("EnableTopicRule", resource=rule_arn)
    async def enable_topic_rule(self, ctx: Context, req: api.EnableTopicRuleRequest) -> None:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_EnableTopicRule.html"""
        self._put(self._require(ctx.scope, req["ruleName"])._replace(is_disabled=False))

    @operation("DisableTopicRule", resource=rule_arn)
    async def disable_topic_rule(self, ctx: Context, req: api.DisableTopicRuleRequest) -> None:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_DisableTopicRule.html"""
        self._put(self._require(ctx.scope, req["ruleName"])._replace(is_disabled=True))

    def _checked(self, ctx: Context, name: str, payload: dict[str, Any], created: float) -> Rule:
        """The rule, compiled once to see that it can be, with the right to pass its roles."""
        if len(payload["actions"]) > _ACTIONS_MAX:
            raise api.InvalidRequestException(f"A rule can have {_ACTIONS_MAX} actions.")
        version = payload.get("awsIotSqlVersion", "2016-03-23")
        if version == "2015-10-08":
            raise not_built("iot", "CreateTopicRule", "awsIotSqlVersion 2015-10-08")
        if version not in _SQL_VERSIONS:
            raise api.InvalidRequestException(f"Unsupported SQL version {version}.")
        rule = Rule(ctx.scope, name, payload, "", bool(payload.pop("ruleDisabled", False)), created)
        try:
            compiled = self.core.engine.compile(rule)
        except SqlError as wrong:
            raise api.SqlParseException(str(wrong)) from None
        topic_filter = compiled.statement.topic_filter
        if topic_filter and not is_filter(topic_filter):
            raise api.SqlParseException(f"FROM names a malformed topic filter: {topic_filter}")
        for role_arn in (*_roles(payload), *compiled.statement.roles):
            self.core.p.identity.check_pass_role(ctx.principal, role_arn, SERVICE)
        return rule._replace(topic_filter=topic_filter)

    def _put(self, rule: Rule) -> None:
        with self.store.db.tx() as tx:
            self.store.put_rule(tx, rule)
            tx.after_commit(lambda: self.core.engine.changed(rule.scope))

    def _require(self, scope: Scope, name: str) -> Rule:
        rule = self.store.rule(scope, name)
        if rule is None:
            # AWS answers UnauthorizedException (403) for a rule that does not exist.
            raise api.UnauthorizedException(f"Access to topic rule '{name}' was denied")
        return rule


def _roles(payload: dict[str, Any]) -> Iterator[str]:
    for action in (*payload["actions"], payload.get("errorAction") or {}):
        for parameters in action.values():
            if isinstance(parameters, dict) and parameters.get("roleArn"):
                yield parameters["roleArn"]
