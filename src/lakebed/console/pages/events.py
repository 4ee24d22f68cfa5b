"""EventBridge: buses and their rules; one rule with its targets; trying a pattern on an event, and sending one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import htpy as h

from lakebed.console.asked import Asked, to
from lakebed.console.backend import Backend
from lakebed.console.figures import count
from lakebed.console.parts import act, button, facts, notice, pages, panel, state, table, tiles
from lakebed.console.shell import Page
from lakebed.console.traffic import meter_of, tiles_of
from lakebed.kernel.errors import AwsError

CURRENT = "/console/events"
_RULES = 50
_EVENT = """{
  "source": "app.orders",
  "detail-type": "order placed",
  "detail": {"amount": 12}
}"""
_PATTERN = '{"source": ["app.orders"], "detail": {"amount": [{"numeric": [">", 10]}]}}'


async def page(backend: Backend, asked: Asked) -> Page:
    """The buses, and the rules of one."""
    buses = (await backend.call("events", "ListEventBuses", {"Limit": 100}, backend.scope)).get("EventBuses", [])
    bus = asked.get("bus") or "default"
    params: dict[str, Any] = {"EventBusName": bus, "Limit": _RULES}
    if asked.get("token"):
        params["NextToken"] = asked.get("token")
    answer = await backend.call("events", "ListRules", params, backend.scope)
    rows = []
    for one in answer.get("Rules", []):
        meter = meter_of(backend, one["Arn"])
        rows.append(
            (
                h.a(href=to("events/rule", rule=one["Name"], bus=bus))[one["Name"]],
                state(one["State"]),
                h.code[one.get("ScheduleExpression") or _short(one.get("EventPattern", ""))],
                count(meter["recordsIn"]),
                count(meter["recordsOut"]),
                count(meter["errors"]),
            )
        )
    columns = ("Rule", "State", "Runs on", "Matched", "Handed on", "Errors")
    following = asked.again(token=answer["NextToken"]) if answer.get("NextToken") else None
    content = [
        notice("good", "Sent. ", h.code[asked.get("sent")]) if asked.get("sent") else None,
        panel("Buses", table(("Bus", "ARN"), [(h.a(href=to("events", bus=one["Name"]))[one["Name"]], h.code[one["Arn"]])
                                              for one in buses])),
        panel(
            f"Rules of {bus}",
            table(columns, rows, numbers=columns[3:], key="rules-table", nothing="No rule: what is sent here goes nowhere."),
            pages(asked.again(token=None) if asked.get("token") else None, following),
        ),
        _sending(backend, bus),
        trying(backend, _PATTERN, _EVENT),
    ]  # fmt: skip
    return Page("EventBridge", "Events of services and programs, and the rules that hand them on.", CURRENT, content)


def _short(pattern: str) -> str:
    text = " ".join(pattern.split())
    return text if len(text) < 90 else f"{text[:90]}…"


async def rule(backend: Backend, asked: Asked) -> Page:
    """One rule."""
    name, bus = asked.get("rule"), asked.get("bus") or "default"
    told = await backend.call("events", "DescribeRule", {"Name": name, "EventBusName": bus}, backend.scope)
    targets = await backend.call("events", "ListTargetsByRule", {"Rule": name, "EventBusName": bus}, backend.scope)
    rows = [
        (
            one["Id"],
            h.code[one["Arn"]],
            h.code[json.dumps(one.get("InputTransformer") or one.get("InputPath") or one.get("Input") or "the event")],
            h.code[one.get("DeadLetterConfig", {}).get("Arn", "—")],
        )
        for one in targets.get("Targets", [])
    ]
    pattern = told.get("EventPattern", "")
    content = [
        tiles(tiles_of(backend, told["Arn"])),
        panel(
            "Rule",
            facts(
                [
                    ("ARN", h.code[told["Arn"]]),
                    ("State", state(told["State"])),
                    ("Schedule", told.get("ScheduleExpression") or "—"),
                    ("Bus", h.a(href=to("events", bus=bus))[bus]),
                    ("Description", told.get("Description") or "—"),
                ]
            ),
        ),
        panel("Pattern", h.pre(tabindex="0")[json.dumps(json.loads(pattern), indent=2)]) if pattern else None,
        panel("Targets", table(("Id", "Target", "Gets", "Dead letters"), rows, nothing="None.")),
        trying(backend, pattern, _EVENT) if pattern else None,
    ]
    lead = "Which events it takes, and where they go."
    return Page(name, lead, CURRENT, content, crumbs=(("EventBridge", CURRENT),))


def trying(backend: Backend, pattern: str, event: str, verdict: h.Node = None) -> h.Element:
    """A pattern and an event, and whether they match."""
    return panel(
        "Try a pattern",
        verdict,
        act(
            backend.token,
            "events/try",
            h.textarea(name="pattern", rows="4", spellcheck="false", aria_label="Pattern")[pattern],
            h.textarea(name="event", rows="6", spellcheck="false", aria_label="Event")[event],
            h.div(".query-bar")[button("Does it match?")],
        ),
    )


async def attempt(backend: Backend, form: Mapping[str, str]) -> Page:
    """Whether the event of the form matches its pattern; the members every event has are added where they are missing."""
    scope, now = backend.scope, "2013-01-01T00:00:00Z"
    usual = {"id": "1", "account": scope.account, "time": now, "region": scope.region, "resources": [], "detail-type": "x",
             "source": "x", "detail": {}}  # fmt: skip
    try:
        event = usual | dict(json.loads(form.get("event", "")))
    except (ValueError, TypeError, RecursionError):
        raise AwsError("InvalidEventPatternException", "The event is not a JSON object.") from None
    params = {"EventPattern": form.get("pattern", ""), "Event": json.dumps(event)}
    matches = (await backend.call("events", "TestEventPattern", params, backend.scope))["Result"]
    verdict = notice("good", "It matches.") if matches else notice("info", "It does not match.")
    content = trying(backend, form.get("pattern", ""), form.get("event", ""), verdict)
    return Page(
        "Try a pattern", "Whether a rule would take an event.", CURRENT, content, crumbs=(("EventBridge", CURRENT),)
    )


def _sending(backend: Backend, bus: str) -> h.Element:
    return panel(
        "Send an event",
        act(
            backend.token,
            "events/send",
            h.textarea(name="detail", rows="4", spellcheck="false", aria_label="Detail")['{"amount": 12}'],
            h.div(".query-bar")[
                button("Send", primary=True),
                h.label["Source ", h.input(type="text", name="source", value="app.orders", required=True, size="20")],
                h.label["Detail type ", h.input(type="text", name="kind", value="order placed", required=True, size="20")],
            ],
            bus=bus,
        ),
    )  # fmt: skip


async def send(backend: Backend, form: Mapping[str, str]) -> str:
    """Put the event of the form on its bus."""
    entry = {
        "Source": form.get("source", ""),
        "DetailType": form.get("kind", ""),
        "Detail": form.get("detail", ""),
        "EventBusName": form.get("bus") or "default",
    }
    answer = await backend.call("events", "PutEvents", {"Entries": [entry]}, backend.scope)
    told = answer["Entries"][0]
    if told.get("ErrorCode"):
        raise AwsError(told["ErrorCode"], told.get("ErrorMessage", ""))
    return to("events", bus=form.get("bus"), sent=told["EventId"])
