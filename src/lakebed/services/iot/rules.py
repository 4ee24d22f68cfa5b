"""The rule engine: which rules a message meets, what they select, and their actions run in order.

Messages of one call are taken together: each matching rule filters and selects all of them, then runs each of its
actions once over the whole batch, so that a thousand messages become one put to a stream. An action that fails for some
messages hands those to the rule's error action (https://docs.aws.amazon.com/iot/latest/developerguide/rule-error-handling.html)
and is counted and logged. Throttling is retried and thereby slows the device down; a full disk ends the batch, so that
the device keeps what was not taken.

Republished messages meet rules again, as on AWS; after ``_HOPS_MAX`` rules in a row the message is dropped as a loop.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from lakebed.kernel.errors import AwsError
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Scope
from lakebed.ports.devices import NO_PROPERTIES, IngestUnavailableError, MessageProperties, PublishedMessage
from lakebed.ports.house import Ports
from lakebed.ports.service import Link
from lakebed.services.iot.acting import Action, Failure, Selected
from lakebed.services.iot.actions import compile_action
from lakebed.services.iot.event_log import EventLog
from lakebed.services.iot.lookups import Lookups
from lakebed.services.iot.model import Rule
from lakebed.services.iot.sql.lexer import SqlError
from lakebed.services.iot.sql.outside import Calls
from lakebed.services.iot.sql.parser import Statement, parse
from lakebed.services.iot.sql.values import Env
from lakebed.services.iot.store import IotStore
from lakebed.wire.mqtt.topics import matches

_HOPS_MAX = 8
_ROUNDS_MAX = 6
_RULES_MAX = 1000
_REMEMBERED_MAX = 4096
_BASIC_INGEST = "$aws/rules/"


@dataclass(frozen=True, slots=True)
class Compiled:
    """A rule ready to run."""

    rule: Rule
    statement: Statement
    actions: tuple[Action, ...]
    error_action: Action | None


class RuleEngine:
    """Rules of all accounts, compiled when first met after a change."""

    def __init__(self, k: Kernel, p: Ports, store: IotStore) -> None:
        self._k, self._p, self._store = k, p, store
        self._lookups, self.log = Lookups(k, p, store), EventLog(k, p)
        self._compiled: dict[Scope, list[Compiled]] = {}
        self._matching: dict[tuple[Scope, str], list[Compiled]] = {}

    def changed(self, scope: Scope) -> None:
        """A rule of the scope was created, replaced, switched or deleted."""
        self._compiled.pop(scope, None)
        self._matching.clear()

    def compile(self, rule: Rule) -> Compiled:
        """SqlError or AwsError where a part of the rule is wrong or not built."""
        error = rule.payload.get("errorAction")
        return Compiled(
            rule,
            parse(rule.payload["sql"]),
            tuple(compile_action(action, rule, self._k, self._p) for action in rule.payload["actions"]),
            compile_action(error, rule, self._k, self._p) if error else None,
        )

    def links(self, scope: Scope) -> list[Link]:
        """Devices to rules to the targets that do not depend on the message."""
        broker = scope.arn("iot", "client/*")
        found: list[Link] = []
        for compiled in self._rules(scope):
            found.append(Link(broker, compiled.rule.arn, compiled.statement.topic_filter))
            found += [
                Link(compiled.rule.arn, action.target, action.kind)
                for action in compiled.actions
                if action.target is not None
            ]
        return found

    async def run(
        self,
        scope: Scope,
        messages: Sequence[PublishedMessage],
        *,
        client_id: str = "",
        principal: str = "",
        source_ip: str = "",
    ) -> None:
        """Run the scope's rules on messages of one sender, in order; durable when it returns."""
        envs = [
            Env(
                message.topic, message.payload, scope, client_id, principal, message.received_at, self._k.ids,
                source_ip, message.properties,
            )
            for message in messages
        ]  # fmt: skip
        await self._run(scope, envs, 0)

    async def _run(self, scope: Scope, envs: Sequence[Env], hops: int) -> None:
        broker = scope.arn("iot", "client/*")
        self._k.meters.into(broker, len(envs), sum(len(env.raw) for env in envs))
        by_rule: dict[str, tuple[Compiled, list[Env]]] = {}
        for env in envs:
            for compiled in self._rules_for(scope, env.topic):
                by_rule.setdefault(compiled.rule.name, (compiled, []))[1].append(env)
        for compiled, met in by_rule.values():
            size = sum(len(env.raw) for env in met)
            self._k.meters.out(broker, len(met), size, to=compiled.rule.arn)
            self._k.meters.into(compiled.rule.arn, len(met), size)
            self._count(compiled.rule, "TopicMatch", len(met))
            await self._run_rule(compiled, met, hops)

    def _rules_for(self, scope: Scope, topic: str) -> list[Compiled]:
        found = self._matching.get((scope, topic))
        if found is None:
            rules = self._rules(scope)
            if topic.startswith(_BASIC_INGEST):
                name = topic[len(_BASIC_INGEST) :].partition("/")[0]
                found = [compiled for compiled in rules if compiled.rule.name == name]
                if not found:
                    points = [("RuleNotFound", {"RuleName": name}, 1.0, "Count")]
                    self._p.metrics.put(scope, "AWS/IoT", points)
            else:
                found = [
                    compiled
                    for compiled in rules
                    if compiled.statement.topic_filter and matches(compiled.statement.topic_filter, topic)
                ]
            if len(self._matching) >= _REMEMBERED_MAX:
                self._matching.clear()
            self._matching[scope, topic] = found
        return found

    def _rules(self, scope: Scope) -> list[Compiled]:
        compiled = self._compiled.get(scope)
        if compiled is None:
            compiled = self._compiled[scope] = []
            for rule in self._store.rules(scope, "", _RULES_MAX):
                if rule.is_disabled:
                    continue
                try:
                    compiled.append(self.compile(rule))
                except (SqlError, AwsError) as wrong:  # kept by an earlier Lakebed that read it otherwise
                    self._k.log.warning("rule not usable", rule=rule.arn, detail=str(wrong))
                    self._k.meters.error(rule.arn)
        return compiled

    async def _run_rule(self, compiled: Compiled, envs: Sequence[Env], hops: int) -> None:
        selected: list[Selected] = []
        for env in envs:
            try:
                payload = await self._select(compiled, env)
            except (TypeError, ValueError, ArithmeticError, RecursionError) as wrong:
                # One message that an expression can not cope with must not hold up the device's others.
                self._k.log.warning("rule not evaluated", rule=compiled.rule.arn, topic=env.topic, exc=wrong)
                self._k.meters.error(compiled.rule.arn)
                self._count(compiled.rule, "ParseError", 1)
                continue
            if payload is not None:
                selected.append(Selected(env, payload))
        if len(selected) < len(envs):
            self._k.meters.drop(compiled.rule.arn, len(envs) - len(selected))
        if not selected:
            return
        failures: dict[int, list[Failure]] = {}
        for action in compiled.actions:
            failed = await self._run_action(action, selected, hops)
            for failure in failed:
                failures.setdefault(failure.place, []).append(failure)
            lost = len({failure.place for failure in failed})
            self._count(compiled.rule, "Success", len(selected) - lost, action.kind)
            self._count(compiled.rule, "Failure", lost, action.kind)
        if failures:
            await self._report(compiled, selected, failures, hops)

    async def _select(self, compiled: Compiled, env: Env) -> bytes | None:
        """What the statement makes of a message; evaluated again while it waits for functions it calls."""
        statement = compiled.statement
        env.reach, env.variables = self._lookups, {}
        calls = env.calls = Calls()
        for _ in range(_ROUNDS_MAX):
            payload = statement.result(env) if statement.accepts(env) else None
            if not calls.wanted:
                return payload
            await self._lookups.call_functions(compiled.rule, calls)
        raise ValueError("aws_lambda is called with other arguments each time")

    async def _run_action(self, action: Action, selected: Sequence[Selected], hops: int) -> Sequence[Failure]:
        """The failures; what succeeded is durable. OSError is the disk's and nobody's mistake."""
        try:
            outcome = await action.run(selected)
        except OSError as failure:
            raise IngestUnavailableError(str(failure)) from failure
        if outcome.republished:
            await self._republish(action.rule.scope, outcome.republished, hops)
        return outcome.failures

    async def _republish(self, scope: Scope, envs: Sequence[Env], hops: int) -> None:
        if hops + 1 >= _HOPS_MAX:
            self._k.log.warning("republish loop", topic=envs[0].topic, hops=hops)
            self._k.meters.error(scope.arn("iot", "client/*"), len(envs))
            return
        await self._run(scope, envs, hops + 1)

    async def _report(
        self, compiled: Compiled, selected: Sequence[Selected], failures: dict[int, list[Failure]], hops: int
    ) -> None:
        rule = compiled.rule
        self._k.meters.error(rule.arn, len(failures))
        first = next(iter(failures.values()))[0]
        self._k.log.warning(
            "rule action failed", rule=rule.arn, action=first.action, detail=first.message, messages=len(failures)
        )
        for index, failed in failures.items():
            topic = selected[index].env.topic
            facts = {
                "topicName": topic,
                "ruleName": rule.name,
                "ruleAction": failed[0].action,
                "reason": failed[0].message,
            }
            self.log.note(rule.scope, "ERROR", "RuleExecution", "Failure", facts)
        if compiled.error_action is None:
            return
        reports = []
        for index, failed in failures.items():
            env = selected[index].env
            body = {
                "ruleName": rule.name,
                "topic": env.topic,
                "cloudwatchTraceId": env.trace(),
                "clientId": env.client_id or "N/A",
                "base64OriginalPayload": base64.b64encode(env.raw).decode(),
                "failures": [
                    {"failedAction": one.action, "failedResource": one.resource, "errorMessage": one.message}
                    for one in failed
                ],
            }
            reports.append(Selected(env, msgspec.json.encode(body)))
        unreported = await self._run_action(compiled.error_action, reports, hops)
        lost = len({failure.place for failure in unreported})
        self._count(rule, "ErrorActionSuccess", len(reports) - lost)
        self._count(rule, "ErrorActionFailure", lost)
        for failure in unreported:
            self._k.log.warning("error action failed", rule=rule.arn, action=failure.action, detail=failure.message)
            break

    def _count(self, rule: Rule, name: str, count: int, kind: str = "") -> None:
        """https://docs.aws.amazon.com/iot/latest/developerguide/metrics_dimensions.html#rules-metrics"""
        if count:
            dimensions = {"RuleName": rule.name, **({"ActionType": kind[0].upper() + kind[1:]} if kind else {})}
            self._p.metrics.put(rule.scope, "AWS/IoT", [(name, dimensions, float(count), "Count")])

    async def tell(self, scope: Scope, topic: str, payload: bytes) -> None:
        """A message of the service itself (shadows, jobs) at QoS 1: to subscribers and through the rules."""
        try:
            await self._p.broker.publish(scope, topic, payload, qos=1)
        except ValueError as wrong:  # a long thing name and a long shadow name: nobody can subscribe to it either
            self._k.log.info("not told", topic=topic, detail=str(wrong))
            return
        await self.run(scope, [PublishedMessage(topic, payload, 1, False, self._k.clock.now())])

    async def publish(
        self,
        scope: Scope,
        topic: str,
        payload: bytes,
        *,
        qos: int,
        retain: bool,
        properties: MessageProperties = NO_PROPERTIES,
        principal: str = "",
    ) -> None:
        """A message from the HTTP API: to subscribers and through the rules. ValueError: a limit was broken."""
        await self._p.broker.publish(scope, topic, payload, qos=qos, retain=retain, properties=properties)
        message = PublishedMessage(topic, payload, qos, retain, self._k.clock.now(), properties)
        try:
            await self.run(scope, [message], principal=principal)
        except IngestUnavailableError as failure:
            raise AwsError("ServiceUnavailableException", str(failure), status=503) from failure
