"""The exchange: an event put on a bus is matched with the bus's rules and kept, with a row for each target, in one
transaction. What PutEvents confirmed survives a kill; ``work`` carries it to the targets.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rules.html
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache

import msgspec

from lakebed.kernel.db import Tx
from lakebed.kernel.errors import AwsError
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Principal, Scope
from lakebed.ports.house import Ports
from lakebed.services.events.flow_store import FlowStore
from lakebed.services.events.model import HOPS_MAX, RULES_MAX, Bus, Event, Rule, Target, no_bus
from lakebed.services.events.store import ArchiveStore, BusStore, RuleStore
from lakebed.wire.aws import patterns

DELIVERY_TASK, SCHEDULE_TASK, ARCHIVE_TASK = "events:delivery", "events:schedules", "events:archives"
_WAITING_MAX = 2_000_000
_BUSES_KNOWN_MAX = 1_000
_SEEN_SECONDS = 86_400.0
compiled = lru_cache(maxsize=4096)(patterns.compile_text)
Wanted = tuple[Rule, patterns.Matcher | None, list[Target]]


class Exchange:
    """All buses of the house."""

    def __init__(self, k: Kernel, p: Ports) -> None:
        self.k, self.p = k, p
        self.buses, self.rules, self.archives = BusStore(k.db), RuleStore(k.db), ArchiveStore(k.db)
        self.flow = FlowStore(k.db)
        self._known: dict[tuple[Scope, str], list[Wanted]] = {}

    def authorised(self, principal: Principal, bus: tuple[Scope, str], facts: Mapping[str, str]) -> Bus:
        """The bus, once ``principal`` may put an event of these facts on it."""
        scope, name = bus
        found = self.buses.find(scope, name)
        self.p.identity.authorise(
            principal,
            "events:PutEvents",
            scope.arn("events", f"event-bus/{name}"),
            conditions=facts,
            resource_policy=found.policy if found else None,
            resource_account=scope.account,
        )
        if found is None:
            raise no_bus(name)
        return found

    def put(self, bus: Bus, events: Sequence[Event], *, only: Collection[str] = (), is_repeatable: bool = True) -> None:
        """Durable when this returns. ``only`` names rules where a replay is not for all; an event of a service whose id
        was seen is dropped."""
        if self.flow.waiting_at_most() > _WAITING_MAX:
            raise AwsError("ThrottlingException", "Too many events wait for their targets.", status=429)
        now = self.k.clock.now()
        with self.k.db.tx() as tx:
            for event in events:
                if is_repeatable or self.flow.is_new(tx, bus.scope, event.id, now):
                    self._put(tx, bus, event, only, now)
            if not is_repeatable:
                self.flow.forget(tx, now - _SEEN_SECONDS)
            tx.after_commit(lambda: self.k.tasks.poke(DELIVERY_TASK))
        self.k.meters.into(bus.arn, len(events), sum(len(event.detail) for event in events))

    def _put(self, tx: Tx, bus: Bus, event: Event, only: Collection[str], now: float) -> None:
        document = event.document()
        to: list[tuple[Rule, Target]] = []
        for rule, matches, targets in self._wanted(bus):
            if matches is None or (only and rule.name not in only) or not matches(document):
                continue
            self.measure(rule, "MatchedEvents", "TriggeredRules")
            to += [(rule, target) for target in targets]
        if to:
            if event.hops >= HOPS_MAX:
                self.k.log.warning("event travelled too far", id=event.id, bus=bus.arn)
                return
            self.flow.add(tx, msgspec.structs.replace(event, ingested=now), to, now)
        if event.replay:
            return
        for archive in self.archives.of_place(bus.scope):
            if archive.bus == bus.name and (not archive.pattern or compiled(archive.pattern)(document)):
                self.flow.keep(tx, archive, event, now)

    def fire(self, tx: Tx, rule: Rule, event: Event) -> None:
        """An event for one rule's targets alone: its schedule came."""
        targets = self.rules.targets(rule)
        self.measure(rule, "TriggeredRules")
        if targets:
            self.flow.add(tx, event, [(rule, target) for target in targets], self.k.clock.now())
            tx.after_commit(lambda: self.k.tasks.poke(DELIVERY_TASK))

    def _wanted(self, bus: Bus) -> list[Wanted]:
        key = (bus.scope, bus.name)
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _BUSES_KNOWN_MAX:
                self._known.clear()
            rules = self.rules.after(bus.scope, bus.name, "", "", RULES_MAX)
            found = self._known[key] = [
                (rule, compiled(rule.pattern) if rule.pattern else None, self.rules.targets(rule))
                for rule in rules
                if rule.is_enabled
            ]
        return found

    def forget(self, scope: Scope, bus: str) -> None:
        """Something about the bus's rules or targets changed."""
        self._known.pop((scope, bus), None)

    def measure(self, rule: Rule, *names: str, value: float = 1.0) -> None:
        """EventBridge's metrics of a rule.

        https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-monitoring.html
        """
        dimensions = {"RuleName": rule.name} if rule.bus == "default" else {
            "EventBusName": rule.bus, "RuleName": rule.name}  # fmt: skip
        points = [(name, dimensions, value, "Count") for name in names]
        self.p.metrics.put(rule.scope, "AWS/Events", points + [(name, {}, value, "Count") for name in names])
