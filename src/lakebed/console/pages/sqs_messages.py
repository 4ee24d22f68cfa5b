"""A queue's oldest messages, looked at without receiving them: nothing is counted, hidden or moved by this page.

There is no such read in AWS's API (its console receives, and says so); the house hands one in as ``Backend.peek``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import htpy as h

from lakebed.console.backend import Backend
from lakebed.console.figures import count, size, span
from lakebed.console.parts import mapping, notice, panel, state, table, time_of
from lakebed.kernel.errors import AwsError
from lakebed.ports.queues import Waiting

_SHOWN, _BODY_CHARACTERS, _LINE_CHARACTERS = 20, 20_000, 120


def waiting(backend: Backend, arn: str, url: str) -> h.Element:
    """The panel."""
    try:
        found = backend.peek(arn, _SHOWN)
    except AwsError as refused:
        return panel("Messages", notice("error", f"{refused.error_code}. ", refused.message))
    now = backend.clock.now()
    rows = [
        (
            _body(one),
            _state(one, now),
            count(one.receives),
            time_of(now, one.sent),
            size(len(one.body.encode("utf-8", "replace"))),
            _attributes(one),
        )
        for one in found
    ]
    receive = f"aws sqs receive-message --queue-url {url}"
    return panel(
        "Messages",
        table(
            ("Body", "State", "Receives", "Sent", "Size", "Attributes"),
            rows,
            numbers=("Receives", "Size"),
            key="messages-table",
            nothing="No message is in this queue.",
        ),
        h.p(".muted")["Looked at, not received: their readers find them as they are. To take some: ", h.code[receive]]
        if rows
        else None,
        note=f"the oldest {_SHOWN}" if len(rows) == _SHOWN else "",
    )


def _body(one: Waiting) -> h.Element:
    line = " ".join(one.body[: 4 * _LINE_CHARACTERS].split())
    short = line if len(line) <= _LINE_CHARACTERS else f"{line[:_LINE_CHARACTERS]}…"
    return h.details(".message")[
        h.summary[h.code[short or "(blank)"]],
        h.pre(tabindex="0")[_indented(one.body[:_BODY_CHARACTERS])],
        h.p(".muted")[f"the first {count(_BODY_CHARACTERS)} of {count(len(one.body))} characters"]
        if len(one.body) > _BODY_CHARACTERS
        else None,
        h.p["Id ", h.code[one.message_id]],
    ]


def _indented(text: str) -> str:
    if text[:1] in ("{", "["):
        try:
            return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
        except (ValueError, RecursionError):
            pass
    return text


def _state(one: Waiting, now: float) -> h.Node:
    if one.visible_at <= now:
        return state("waiting")
    what = "in flight" if one.receives else "delayed"
    return [state(what), h.span(".muted")[f" for {span(one.visible_at - now)} more"]]


def _attributes(one: Waiting) -> h.Node:
    """The sender's own first; the system's, but for what has its own column, below."""
    own = {name: _value(value) for name, value in one.message_attributes.items()}
    told = ("SentTimestamp", "ApproximateReceiveCount")
    system = {name: value for name, value in one.attributes.items() if name not in told}
    if not one.receives:
        system.pop("ApproximateFirstReceiveTimestamp", None)
    label = ", ".join([*own, *([] if own else ["system"])])
    return h.details[h.summary[label[:60]], mapping({**own, **system})]


def _value(value: Mapping[str, Any]) -> str:
    text = value["StringValue"] if "StringValue" in value else repr(value.get("BinaryValue"))
    return f"{text} ({value.get('DataType')})"
