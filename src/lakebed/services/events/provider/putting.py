"""PutEvents and TestEventPattern.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html. One entry that is wrong fails alone; the others
are put. The sum of all entries is bounded.
"""

from __future__ import annotations

import json
from typing import Any

from lakebed.api import events as api
from lakebed.kernel.scope import Scope
from lakebed.ports.service import Context, operation
from lakebed.services.events.exchange import compiled
from lakebed.services.events.model import Bus, Event, bus_place, invalid
from lakebed.services.events.provider.desk import Desk
from lakebed.services.events.provider.rules import check_pattern
from lakebed.services.events.targets import put_facts

_BYTES_MAX = 1_048_576
_REQUIRED = ("Source", "DetailType", "Detail")


class _EntryError(Exception):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.entry: api.PutEventsResultEntry = {"ErrorCode": code, "ErrorMessage": message}


class PuttingOperations(Desk):
    """Operations with events."""

    @operation("PutEvents", action=None, refused=("EndpointId",))
    async def put_events(self, ctx: Context, req: api.PutEventsRequest) -> api.PutEventsResponse:
        """https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html"""
        entries = req["Entries"]
        if sum(_size(entry) for entry in entries) > _BYTES_MAX:
            raise invalid("Total size of the entries in the request is over the limit.")
        places = [bus_place(ctx.scope, entry.get("EventBusName")) for entry in entries]
        told: list[api.PutEventsResultEntry] = []
        accepted: list[tuple[Bus, Event]] = []
        for entry, place in zip(entries, places, strict=True):
            try:
                event = self._event(ctx, place[0], entry)
                accepted.append((self._bus(ctx, place, event), event))
                told.append({"EventId": event.id})
            except _EntryError as wrong:
                told.append(wrong.entry)
        with self.k.db.tx():  # the answer speaks of all of them
            for bus, event in accepted:
                self.exchange.put(bus, [event])
        return {"FailedEntryCount": len(entries) - len(accepted), "Entries": told}

    def _bus(self, ctx: Context, place: tuple[Scope, str], event: Event) -> Bus:
        try:
            return self.exchange.authorised(ctx.principal, place, put_facts(event))
        except api.ResourceNotFoundException as missing:
            raise _EntryError("InvalidArgument", missing.message) from None

    def _event(self, ctx: Context, scope: Scope, entry: api.PutEventsRequestEntry) -> Event:
        """An event of the caller. A wrong entry is told after the permission: nothing of it can be denied by its facts."""
        for name in _REQUIRED:
            if not entry.get(name):
                self._authorise_nothing(ctx, scope, entry)
                raise _EntryError(
                    "InvalidArgument", f"Parameter {name} is not valid. Reason: {name} is a required argument."
                )
        if entry["Source"].lower().startswith("aws."):
            self._authorise_nothing(ctx, scope, entry)
            raise _EntryError("NotAuthorizedForSourceException", "Not authorized for the source.")
        try:
            is_object = isinstance(json.loads(entry["Detail"]), dict)
        except (ValueError, RecursionError):
            is_object = False
        if not is_object:
            self._authorise_nothing(ctx, scope, entry)
            raise _EntryError("MalformedDetail", "Detail is malformed.")
        own = Scope(ctx.principal.account, ctx.scope.region, ctx.scope.partition)
        return Event(
            own, self.k.ids.uuid(), entry["Source"], entry["DetailType"], entry["Detail"].strip(),
            entry.get("Time", ctx.now), list(entry.get("Resources") or []),
        )  # fmt: skip

    def _authorise_nothing(self, ctx: Context, scope: Scope, entry: api.PutEventsRequestEntry) -> None:
        """A stranger learns that they may not, before what is wrong."""
        place = bus_place(scope, entry.get("EventBusName"))
        facts = {"events:source": entry.get("Source", ""), "events:detail-type": entry.get("DetailType", "")}
        try:
            self.exchange.authorised(ctx.principal, place, facts)
        except api.ResourceNotFoundException as missing:
            raise _EntryError("InvalidArgument", missing.message) from None

    @operation("TestEventPattern")
    async def check_event_against_pattern(
        self, _: Context, req: api.TestEventPatternRequest
    ) -> api.TestEventPatternResponse:
        """https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_TestEventPattern.html"""
        check_pattern(req["EventPattern"])
        try:
            event: Any = json.loads(req["Event"])
        except (ValueError, RecursionError):
            raise invalid("Parameter Event is not valid.") from None
        missing = {"id", "account", "source", "time", "region", "resources", "detail-type"} - set(event or ())
        if not isinstance(event, dict) or missing:
            raise invalid("Parameter Event is not valid.")
        return {"Result": compiled(req["EventPattern"])(event)}


def _size(entry: api.PutEventsRequestEntry) -> int:
    """Bytes as AWS counts them.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html#eb-putevent-size
    """
    texts = [entry.get(name, "") for name in ("Source", "DetailType", "Detail")] + list(entry.get("Resources") or [])
    return sum(len(str(text).encode("utf-8", "surrogatepass")) for text in texts) + (14 if "Time" in entry else 0)
