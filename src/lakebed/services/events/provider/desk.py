"""From a request to its bus and rule: what every provider of EventBridge starts from, with ARNs and pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from lakebed.api import events as api
from lakebed.kernel.scope import Scope
from lakebed.ports.service import Context
from lakebed.services.events.exchange import Exchange
from lakebed.services.events.model import Bus, Rule, bus_place, invalid, no_bus, rule_arn
from lakebed.wire.aws.pages import opened, sealed

_Row = TypeVar("_Row")
_PAGE_MAX = 100


class Desk:
    """What every provider starts from."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange, self.k, self.p = exchange, exchange.k, exchange.p

    def bus(self, ctx: Context, text: str | None) -> Bus:
        """The bus of a request, of the caller's own account and region."""
        scope, name = bus_place(ctx.scope, text)
        found = self.exchange.buses.find(scope, name) if scope == ctx.scope else None
        if found is None:
            raise no_bus(name)
        return found

    def rule(self, ctx: Context, name: str, bus_text: str | None) -> Rule:
        """The rule of a request."""
        bus = self.bus(ctx, bus_text)
        found = self.exchange.rules.find(bus.scope, bus.name, name)
        if found is None:
            raise api.ResourceNotFoundException(f"Rule {name} does not exist on EventBus {bus.name}.")
        return found


def named_bus(member: str) -> Any:
    """The resource of an operation on a bus."""

    def resource(scope: Scope, request: Mapping[str, Any]) -> str:
        place, name = bus_place(scope, request.get(member))
        return place.arn("events", f"event-bus/{name}")

    return resource


def named_rule(member: str) -> Any:
    """The resource of an operation on a rule."""

    def resource(scope: Scope, request: Mapping[str, Any]) -> str:
        place, bus = bus_place(scope, request.get("EventBusName"))
        return rule_arn(place, bus, request[member])

    return resource


def start(req: Mapping[str, Any]) -> str:
    """Where a page begins."""
    return opened(req.get("NextToken"), str, "", invalid("NextToken is invalid"))


def limit(req: Mapping[str, Any]) -> int:
    """How many a page holds."""
    return min(int(req.get("Limit") or _PAGE_MAX), _PAGE_MAX)


def page(rows: Sequence[_Row], size: int, name: Any) -> tuple[Sequence[_Row], dict[str, str]]:
    """A page of ``size`` where more were read, and its token."""
    if len(rows) <= size:
        return rows, {}
    return rows[:size], {"NextToken": sealed(name(rows[size - 1]))}
