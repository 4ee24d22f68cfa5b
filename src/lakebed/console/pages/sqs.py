"""SQS: queues, and one with its counts, its oldest messages (looked at, not received), and what can be done."""

from __future__ import annotations

import json
from typing import Any

import htpy as h

from lakebed.console.asked import Asked, to
from lakebed.console.backend import Backend
from lakebed.console.figures import count, moment, span
from lakebed.console.pages.sqs_actions import moving, sending
from lakebed.console.pages.sqs_messages import waiting
from lakebed.console.parts import cost, empty, facts, mapping, notice, pages, panel, table, tiles, time_of
from lakebed.console.prices import SQS_MILLION, requests
from lakebed.console.shell import Page
from lakebed.console.traffic import meter_of, tiles_of

CURRENT = "/console/sqs"
_QUEUES = 100
_WAITING = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)


async def queues(backend: Backend, asked: Asked) -> Page:
    """All queues of the region."""
    params: dict[str, Any] = {"MaxResults": _QUEUES} | ({"NextToken": asked.get("token")} if asked.get("token") else {})
    answer = await backend.call("sqs", "ListQueues", params, backend.scope)
    lead = "Queues hold messages until a reader has dealt with them."
    urls = answer.get("QueueUrls") or []
    if not urls:
        text = "A queue takes what S3 tells of new objects, or what any client sends, to a function. Make one:"
        command = "aws sqs create-queue --queue-name arrivals"
        return Page("SQS", lead, CURRENT, empty(f"No queue in {backend.scope.region}", text, command))
    rows = []
    for url in urls:
        name = url.rpartition("/")[2]
        told = await backend.call(
            "sqs", "GetQueueAttributes", {"QueueUrl": url, "AttributeNames": [*_WAITING, "QueueArn"]}, backend.scope
        )
        attributes = told["Attributes"]
        meter = meter_of(backend, attributes["QueueArn"])
        rows.append(
            (
                h.a(href=to("sqs/queue", url=url))[name],
                *(count(int(attributes[kind])) for kind in _WAITING),
                count(meter["recordsIn"]),
                count(meter["recordsOut"]),
                time_of(backend.clock.now(), meter["lastIn"]),
            )
        )
    columns = ("Queue", "Waiting", "In flight", "Delayed", "Sent", "Dealt with", "Last sent")
    following = asked.again(token=answer["NextToken"]) if answer.get("NextToken") else None
    content = panel(
        "Queues",
        table(columns, rows, numbers=columns[1:-1], key="queues-table"),
        pages(asked.again(token=None) if asked.get("token") else None, following),
    )
    return Page("SQS", lead, CURRENT, content)


async def queue(backend: Backend, asked: Asked) -> Page:
    """One queue."""
    url = asked.get("url")
    params = {"QueueUrl": url, "AttributeNames": ["All"]}
    told = (await backend.call("sqs", "GetQueueAttributes", params, backend.scope))["Attributes"]
    arn = told["QueueArn"]
    meter = meter_of(backend, arn)
    # A message is sent, received and deleted: three requests where nothing is batched.
    price = requests(meter["recordsIn"] + 2 * meter["recordsOut"], SQS_MILLION)
    details = [
        ("URL", h.code[url]),
        ("ARN", h.code[arn]),
        ("Hidden while read", span(int(told["VisibilityTimeout"]))),
        ("Kept for", span(int(told["MessageRetentionPeriod"]))),
        ("Delay", span(delay) if (delay := int(told["DelaySeconds"])) else "none"),
        ("Long polling", span(wait) if (wait := int(told["ReceiveMessageWaitTimeSeconds"])) else "off"),
        ("Made", moment(float(told["CreatedTimestamp"]))),
        cost(price, "for the messages so far, unbatched"),
    ]  # fmt: skip
    counts = [("Waiting", "to be received"), ("In flight", "received, not deleted"), ("Delayed", "not to be seen yet")]
    heads = [(name, count(int(told[kind])), hint) for (name, hint), kind in zip(counts, _WAITING, strict=True)]
    sources = await backend.call("sqs", "ListDeadLetterSourceQueues", {"QueueUrl": url}, backend.scope)
    feeding = [one.rpartition("/")[2] for one in sources.get("queueUrls", [])]
    content = [
        notice("good", "Sent. ", h.code[asked.get("sent")]) if asked.get("sent") else None,
        tiles([*heads, *tiles_of(backend, arn)[:3]]),
        panel("Queue", facts(details)),
        panel(
            "Dead letters",
            facts(
                [
                    ("Messages that fail go to", _redrive(told.get("RedrivePolicy"))),
                    ("Takes failed messages of", ", ".join(feeding) or "nobody"),
                ]
            ),
        ),
        waiting(backend, arn, url),
        sending(backend, url),
        await moving(backend, arn, url) if feeding else None,
        panel("All attributes", mapping(told)),
    ]  # fmt: skip
    name = url.rpartition("/")[2]
    return Page(name, "What waits, what moves, how it is set.", CURRENT, content, crumbs=(("SQS", CURRENT),))


def _redrive(text: str | None) -> h.Node:
    if not text:
        return "nowhere: they stay until they are too old"
    policy = json.loads(text)
    return h.code[f"{policy.get('deadLetterTargetArn')} after {policy.get('maxReceiveCount')} receives"]
