"""The tasks of EventBridge: deliveries with their retries, schedules, archives and replays.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-event-delivery.html
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
"""

from __future__ import annotations

import msgspec

from lakebed.kernel.errors import AwsError
from lakebed.ports.queues import Outgoing
from lakebed.services.events.exchange import ARCHIVE_TASK, DELIVERY_TASK, SCHEDULE_TASK, Exchange
from lakebed.services.events.flow_store import Due
from lakebed.services.events.model import Event, Replay, Rule, Target, service_principal
from lakebed.services.events.targets import Carrier, is_transient
from lakebed.wire.aws import schedule

_AT_ONCE, _RULES_AT_ONCE, _REPLAYED_AT_ONCE = 64, 50, 200
_MISSED_SECONDS_MAX = 86_400.0
_REPLAYS_KEPT_SECONDS = 90 * 86_400.0


class Deliveries:
    """Carries events to targets; a target that fails waits with growing pauses and stands in nobody's way."""

    name = DELIVERY_TASK
    period = 60.0

    def __init__(self, exchange: Exchange) -> None:
        self._exchange, self.k, self.p = exchange, exchange.k, exchange.p
        self._carrier = Carrier(exchange)

    async def activate(self) -> float | None:
        """Deliver what is due; woken when the next is."""
        flow, now = self._exchange.flow, self.k.clock.now()
        done: list[Due] = []
        current: Due | None = None
        try:
            for current in flow.due(now, _AT_ONCE):
                if await self._deliver(current):
                    done.append(current)
                current = None
        finally:
            with self.k.db.tx() as tx:
                flow.finish(tx, done)
                if current is not None:  # something unforeseen: not in the others' way
                    flow.postpone(tx, current, now + 20.0)
        return flow.next_due()

    async def _deliver(self, one: Due) -> bool:
        """True once there is nothing more to do; else it was postponed."""
        rule = self._exchange.rules.find(one.scope, one.bus, one.rule)
        target = self._exchange.rules.target(rule, one.target) if rule is not None else None
        event = self._exchange.flow.event(one.event)
        if rule is None or target is None or event is None:
            return True
        self._exchange.measure(rule, "RetryInvocationAttempts" if one.attempts else "Invocations")
        try:
            await self._carrier.hand_over(rule, target, event)
        except AwsError as failure:
            return await self._failed(one, rule, target, event, failure)
        self.k.meters.link(rule.scope.arn("events", f"event-bus/{rule.bus}"), target.arn, 1)
        return True

    async def _failed(self, one: Due, rule: Rule, target: Target, event: Event, failure: AwsError) -> bool:
        now, exhausted = self.k.clock.now(), ""
        if is_transient(failure):
            due = now + min(2.0 ** min(one.attempts, 9), 300.0) * (0.5 + self.k.ids.uniform() / 2)
            if one.attempts >= target.attempts_max:
                exhausted = "MaximumRetryAttempts"
            elif due - one.started > target.age_max:
                exhausted = "MaximumEventAgeInSeconds"
            else:
                with self.k.db.tx() as tx:
                    self._exchange.flow.postpone(tx, one, due)
                return False
        self._exchange.measure(rule, "FailedInvocations")
        self.k.meters.error(rule.scope.arn("events", f"event-bus/{rule.bus}"))
        self.k.log.warning("event undeliverable", rule=rule.arn, target=target.arn, exc=failure)
        if target.dead_letters:
            await self._bury(rule, target, event, _reasons(rule, target, failure, one.attempts, exhausted))
        return True

    async def _bury(self, rule: Rule, target: Target, event: Event, reasons: dict[str, dict[str, str]]) -> None:
        try:
            await self.p.queues.deliver(
                service_principal(rule.scope), target.dead_letters, [Outgoing(event.text(), reasons)],
                source_arn=rule.arn,
            )  # fmt: skip
        except AwsError as refused:
            self._exchange.measure(rule, "InvocationsFailedToBeSentToDlq")
            self.k.log.warning("dead letter lost", rule=rule.arn, queue=target.dead_letters, exc=refused)
            return
        self._exchange.measure(rule, "InvocationsSentToDlq")


def _reasons(rule: Rule, target: Target, failure: AwsError, attempts: int, exhausted: str) -> dict[str, dict[str, str]]:
    """The attributes of a dead letter."""
    told = {
        "RULE_ARN": rule.arn,
        "TARGET_ARN": target.arn,
        "ERROR_CODE": failure.error_code,
        "ERROR_MESSAGE": failure.message[:1024] or failure.error_code,
        "RETRY_ATTEMPTS": str(attempts),
    }
    if exhausted:
        told["EXHAUSTED_RETRY_CONDITION"] = exhausted
    return {
        name: {"DataType": "Number" if name == "RETRY_ATTEMPTS" else "String", "StringValue": value}
        for name, value in told.items()
    }


class Schedules:
    """Fires rules by their schedule. A run that was missed is made up for, up to a day's; older ones are passed over."""

    name = SCHEDULE_TASK
    period = 3600.0

    def __init__(self, exchange: Exchange) -> None:
        self._exchange, self.k = exchange, exchange.k

    async def activate(self) -> float | None:
        """Fire what is due; woken when the next is."""
        now = self.k.clock.now()
        for rule in self._exchange.rules.due(now, _RULES_AT_ONCE):
            assert rule.due is not None, "only rules with a date are due"
            following = schedule.parse(rule.schedule).after(rule.due)
            if following is not None and now - following > _MISSED_SECONDS_MAX:
                following = schedule.parse(rule.schedule).after(now)
            event = Event(rule.scope, self.k.ids.uuid(), "aws.events", "Scheduled Event", "{}", rule.due, [rule.arn])
            with self.k.db.tx() as tx:
                self._exchange.fire(tx, rule, event)
                self._exchange.rules.put(tx, msgspec.structs.replace(rule, due=following))
        return self._exchange.rules.next_due()


class Archives:
    """Puts archived events again for replays, and drops what archives no longer keep."""

    name = ARCHIVE_TASK
    period = 3600.0

    def __init__(self, exchange: Exchange) -> None:
        self._exchange, self.k = exchange, exchange.k

    async def activate(self) -> float | None:
        """A bounded part of every replay; ``now`` while one goes on."""
        now, more = self.k.clock.now(), False
        for replay in self._exchange.archives.running():
            more = self._go_on(replay, now) or more
        with self.k.db.tx() as tx:
            self._exchange.archives.forget_replays(tx, now - _REPLAYS_KEPT_SECONDS)
            for archive in self._exchange.archives.keeping():
                more = self._exchange.flow.prune(tx, archive, now - archive.days * 86_400.0) > 0 or more
        return now if more else None

    def _go_on(self, replay: Replay, now: float) -> bool:
        archive = self._exchange.archives.find(replay.scope, replay.archive)
        bus = self._exchange.buses.find(replay.scope, replay.bus)
        if archive is None or bus is None:
            state = {"state": "FAILED", "reason": "The archive or its event bus was deleted.", "ended": now}
            self._keep(msgspec.structs.replace(replay, **state))
            return False
        after = (replay.at, replay.number) if replay.at else (replay.begin, -1)
        found = self._exchange.flow.archived(archive, after, replay.end, _REPLAYED_AT_ONCE)
        events = [msgspec.structs.replace(event, replay=replay.name, hops=0) for _, _, event in found]
        with self.k.db.tx():  # the events and the place behind them, both or neither
            if events:
                self._exchange.put(bus, events, only=replay.rules)
                replay = msgspec.structs.replace(replay, at=found[-1][0], number=found[-1][1])
            if len(found) < _REPLAYED_AT_ONCE:
                replay = msgspec.structs.replace(replay, state="COMPLETED", ended=now)
            self._keep(replay)
        return replay.state == "RUNNING"

    def _keep(self, replay: Replay) -> None:
        with self.k.db.tx() as tx:
            self._exchange.archives.put_replay(tx, replay)
