"""What a queue's page does: send a message, move dead letters back, stop moving them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import htpy as h

from lakebed.console.asked import to
from lakebed.console.backend import Backend
from lakebed.console.figures import count, moment
from lakebed.console.parts import act, button, panel, state, table


def sending(backend: Backend, url: str) -> h.Element:
    """The form that sends."""
    is_fifo = url.endswith(".fifo")
    return panel(
        "Send a message",
        act(
            backend.token,
            "sqs/send",
            h.textarea(name="body", rows="4", required=True, aria_label="Body", placeholder='{"a": 1}'),
            h.div(".query-bar")[
                button("Send", primary=True),
                h.label["Group ", h.input(type="text", name="group", required=is_fifo, size="16")] if is_fifo else None,
                h.label["Deduplication id ", h.input(type="text", name="deduplication", size="16")]
                if is_fifo
                else h.label["Seen after ", h.input(type="number", name="delay", min="0", max="900", size="4"), " s"],
            ],
            url=url,
        ),
    )


async def send(backend: Backend, form: Mapping[str, str]) -> str:
    """Send the message of the form."""
    url = form.get("url", "")
    params: dict[str, Any] = {"QueueUrl": url, "MessageBody": form.get("body", "")}
    if form.get("group"):
        params["MessageGroupId"] = form["group"]
    if form.get("deduplication"):
        params["MessageDeduplicationId"] = form["deduplication"]
    if form.get("delay", "").isascii() and form.get("delay", "").isdigit():
        params["DelaySeconds"] = int(form["delay"])
    sent = await backend.call("sqs", "SendMessage", params, backend.scope)
    return to("sqs/queue", url=url, sent=sent["MessageId"])


async def moving(backend: Backend, arn: str, url: str) -> h.Element:
    """A dead-letter queue: its messages go back to where they came from, and how far earlier moves got."""
    answer = await backend.call("sqs", "ListMessageMoveTasks", {"SourceArn": arn, "MaxResults": 10}, backend.scope)
    tasks = answer.get("Results", [])
    rows = [
        (
            moment(one["StartedTimestamp"] / 1000),
            state(one["Status"]),
            count(one.get("ApproximateNumberOfMessagesMoved", 0)),
            count(one.get("ApproximateNumberOfMessagesToMove", 0)),
            h.code[one.get("DestinationArn", "where each came from")],
            act(backend.token, "sqs/redrive-stop", button("Stop"), url=url, task=one["TaskHandle"])
            if one["Status"] == "RUNNING" and one.get("TaskHandle")
            else one.get("FailureReason", ""),
        )
        for one in tasks
    ]
    columns = ("Begun", "State", "Moved", "To move", "To", "")
    return panel(
        "Send dead letters back",
        act(backend.token, "sqs/redrive", button("Move all of them to where they came from"), url=url, arn=arn),
        table(columns, rows, numbers=("Moved", "To move"), nothing="None was moved yet."),
    )


async def redrive(backend: Backend, form: Mapping[str, str]) -> str:
    """Begin to move the messages of a dead-letter queue back."""
    await backend.call("sqs", "StartMessageMoveTask", {"SourceArn": form.get("arn", "")}, backend.scope)
    return to("sqs/queue", url=form.get("url"))


async def stop_redrive(backend: Backend, form: Mapping[str, str]) -> str:
    """Stop a move."""
    await backend.call("sqs", "CancelMessageMoveTask", {"TaskHandle": form.get("task", "")}, backend.scope)
    return to("sqs/queue", url=form.get("url"))
