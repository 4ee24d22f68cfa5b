"""SNS: topics, and one topic with its subscriptions, their filters, and a form that publishes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import htpy as h

from lakebed.console.asked import Asked, to
from lakebed.console.backend import Backend
from lakebed.console.figures import count
from lakebed.console.parts import act, button, cost, empty, facts, mapping, notice, pages, panel, table, tiles, time_of
from lakebed.console.prices import SNS_MILLION, requests
from lakebed.console.shell import Page
from lakebed.console.traffic import meter_of, meters_of, tiles_of

CURRENT = "/console/sns"


async def topics(backend: Backend, asked: Asked) -> Page:
    """All topics of the region."""
    params = {"NextToken": asked.get("token")} if asked.get("token") else {}
    answer = await backend.call("sns", "ListTopics", params, backend.scope)
    lead = "Topics hand each message to everyone who subscribed."
    found = [one["TopicArn"] for one in answer.get("Topics", [])]
    if not found:
        text = "A topic takes one message and gives it to queues, functions and delivery streams. Make one:"
        return Page(
            "SNS", lead, CURRENT, empty(f"No topic in {backend.scope.region}", text, "aws sns create-topic --name news")
        )
    meters, rows = meters_of(backend), []
    for arn in found:
        meter = meters.get(arn, {})
        rows.append(
            (
                h.a(href=to("sns/topic", topic=arn))[arn.rpartition(":")[2]],
                count(meter.get("recordsIn", 0)),
                count(meter.get("recordsOut", 0)),
                count(meter.get("errors", 0)),
                time_of(backend.clock.now(), meter.get("lastIn")),
            )
        )
    columns = ("Topic", "Published", "Handed on", "Errors", "Last message")
    following = asked.again(token=answer["NextToken"]) if answer.get("NextToken") else None
    content = panel(
        "Topics",
        table(columns, rows, numbers=columns[1:4], key="topics-table"),
        pages(asked.again(token=None) if asked.get("token") else None, following),
    )
    return Page("SNS", lead, CURRENT, content)


async def topic(backend: Backend, asked: Asked) -> Page:
    """One topic."""
    arn = asked.get("topic")
    told = (await backend.call("sns", "GetTopicAttributes", {"TopicArn": arn}, backend.scope))["Attributes"]
    meter = meter_of(backend, arn)
    details = [
        ("ARN", h.code[arn]),
        ("Kind", "FIFO" if told.get("FifoTopic") == "true" else "standard"),
        ("Display name", told.get("DisplayName") or "—"),
        ("Subscriptions", f"{told.get('SubscriptionsConfirmed', '0')}, {told.get('SubscriptionsPending', '0')} pending"),
        cost(requests(meter["recordsIn"], SNS_MILLION), "for the messages so far; queues and functions are free to deliver to"),
    ]  # fmt: skip
    content = [
        notice("good", "Published. ", h.code[asked.get("sent")]) if asked.get("sent") else None,
        tiles(tiles_of(backend, arn)),
        panel("Topic", facts(details)),
        await _subscriptions(backend, asked, arn),
        _publishing(backend, arn, is_fifo=told.get("FifoTopic") == "true"),
        panel("All attributes", mapping(told)),
    ]
    name = arn.rpartition(":")[2]
    return Page(name, "Who gets its messages, and which.", CURRENT, content, crumbs=(("SNS", CURRENT),))


async def _subscriptions(backend: Backend, asked: Asked, arn: str) -> h.Element:
    params = {"TopicArn": arn} | ({"NextToken": asked.get("token")} if asked.get("token") else {})
    answer = await backend.call("sns", "ListSubscriptionsByTopic", params, backend.scope)
    rows = []
    for one in answer.get("Subscriptions", []):
        told: dict[str, Any] = {}
        if one["SubscriptionArn"].startswith("arn:"):
            params = {"SubscriptionArn": one["SubscriptionArn"]}
            told = (await backend.call("sns", "GetSubscriptionAttributes", params, backend.scope))["Attributes"]
        filtered = told.get("FilterPolicy")
        rows.append(
            (
                one["Protocol"],
                h.code[one["Endpoint"]],
                h.code[json.dumps(json.loads(filtered))] if filtered else "all messages",
                "as it came" if told.get("RawMessageDelivery") == "true" else "in an envelope",
            )
        )
    following = asked.again(token=answer["NextToken"]) if answer.get("NextToken") else None
    columns = ("Protocol", "Endpoint", "Gets", "Delivered")
    return panel("Subscriptions", table(columns, rows, nothing="Nobody: what is published goes nowhere."),
                 pages(asked.again(token=None) if asked.get("token") else None, following))  # fmt: skip


def _publishing(backend: Backend, arn: str, *, is_fifo: bool) -> h.Element:
    fields = [
        h.label["Group ", h.input(type="text", name="group", required=True, size="16")],
        h.label["Deduplication id ", h.input(type="text", name="deduplication", size="16")],
    ]
    return panel(
        "Publish",
        act(
            backend.token,
            "sns/publish",
            h.textarea(name="message", rows="4", required=True, aria_label="Message"),
            h.div(".query-bar")[
                button("Publish", primary=True),
                h.label["Subject ", h.input(type="text", name="subject", size="24", maxlength="100")],
                fields if is_fifo else None,
            ],
            topic=arn,
        ),
    )


async def publish(backend: Backend, form: Mapping[str, str]) -> str:
    """Publish the message of the form."""
    params = {"TopicArn": form.get("topic", ""), "Message": form.get("message", "")}
    for field, member in (
        ("subject", "Subject"),
        ("group", "MessageGroupId"),
        ("deduplication", "MessageDeduplicationId"),
    ):
        if form.get(field):
            params[member] = form[field]
    sent = await backend.call("sns", "Publish", params, backend.scope)
    return to("sns/topic", topic=form.get("topic"), sent=sent["MessageId"])
