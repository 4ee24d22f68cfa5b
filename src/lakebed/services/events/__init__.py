"""Amazon EventBridge: buses, rules that pick events by pattern or by the clock, and targets they go to, at least once.

Follows https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-what-is.html. ``exchange`` matches an event and keeps it
with a row for each target, in one transaction; ``work`` carries it there in the form ``transform`` gives it, with the
target's retries and dead letters (``targets``), fires schedules (``schedule``) and replays archives. The pattern language is
``wire.aws.patterns``. ``provider/`` is the API, ``port`` what other services tell of themselves.

Refused by name: targets that do not exist in this house (API destinations, Step Functions, ECS, …), partner sources,
global endpoints, encryption and logging of buses (see docs/deviations/events.md).
"""

from __future__ import annotations

from collections.abc import Sequence

from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Scope
from lakebed.ports.house import Ports
from lakebed.ports.service import Link, Service, operations_of
from lakebed.services.events.exchange import Exchange
from lakebed.services.events.port import DefaultBus
from lakebed.services.events.provider.archives import ArchiveOperations
from lakebed.services.events.provider.buses import BusOperations
from lakebed.services.events.provider.putting import PuttingOperations
from lakebed.services.events.provider.rules import RuleOperations
from lakebed.services.events.work import Archives, Deliveries, Schedules

_TOPOLOGY_RULES_MAX = 1000


def service(k: Kernel, p: Ports) -> Service:
    """Wire EventBridge; sets ``p.events``, needs the ports of its targets when it delivers."""
    k.db.migrate("events", "lakebed.services.events", k.clock)
    exchange = Exchange(k, p)
    p.events = DefaultBus(exchange)

    def topology(scope: Scope) -> Sequence[Link]:
        links = []
        for rule in exchange.rules.everywhere(scope, _TOPOLOGY_RULES_MAX):
            bus = scope.arn("events", f"event-bus/{rule.bus}")
            for target in exchange.rules.targets(rule):
                links.append(Link(bus, target.arn, rule.name))
                if target.dead_letters:
                    links.append(Link(bus, target.dead_letters, "dead letters"))
        return links

    providers = (
        BusOperations(exchange), RuleOperations(exchange), PuttingOperations(exchange), ArchiveOperations(exchange)
    )  # fmt: skip
    return Service(
        "events",
        operations_of(*providers, prefix="events"),
        tasks=[Deliveries(exchange), Schedules(exchange), Archives(exchange)],
        topology=topology,
    )
