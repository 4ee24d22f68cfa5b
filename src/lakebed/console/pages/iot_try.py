"""A rule's SQL tried on a message: what its actions would get, with none of them run.

AWS's API has no such call; the house hands one in as ``Backend.attempt``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import htpy as h

from lakebed.console.backend import Backend
from lakebed.console.figures import size
from lakebed.console.parts import act, button, notice, panel
from lakebed.console.shell import Page
from lakebed.kernel.errors import AwsError

CURRENT = "/console/iot"
SQL = "SELECT carrier, delay, topic(2) AS airport\nFROM 'airports/+/departures'\nWHERE delay > 15"
_TOPIC, _PAYLOAD = "airports/JFK/departures", '{"carrier": "UA", "delay": 42}'


def trying(
    backend: Backend, sql: str, *, topic: str = _TOPIC, payload: str = _PAYLOAD, verdict: h.Node = None
) -> h.Element:
    """The form, and what came of it."""
    return panel(
        "Try a rule",
        verdict,
        act(
            backend.token,
            "iot/try",
            h.label["SQL ", h.textarea(name="sql", rows="4", spellcheck="false", required=True)[sql]],
            h.label["Payload ", h.textarea(name="payload", rows="4", spellcheck="false")[payload]],
            h.div(".query-bar")[
                button("Try it", primary=True),
                h.label(".wide")["Topic ", h.input(type="text", name="topic", value=topic, required=True, maxlength="256")],
            ],
        ),
        note="no action is run and nothing is published",
    )  # fmt: skip


def topic_for(topic_filter: str) -> str:
    """A topic the filter takes, to begin with."""
    parts = [{"+": "x", "#": "x"}.get(part, part) for part in topic_filter.split("/")]
    return "/".join(parts) or _TOPIC


async def attempt(backend: Backend, form: Mapping[str, str]) -> Page:
    """Try the rule of the form."""
    sql, topic, payload = form.get("sql", ""), form.get("topic", ""), form.get("payload", "")
    if not (sql and topic):
        raise AwsError("InvalidRequestException", "A trial wants the SQL of a rule and the topic of a message.")
    try:
        made = backend.attempt(backend.scope, sql, topic, payload.encode())
    except AwsError as wrong:
        verdict: h.Node = notice("error", f"{wrong.error_code}. ", wrong.message)
    else:
        verdict = _verdict(made.is_of_topic, made.payload)
    content = trying(backend, sql, topic=topic, payload=payload, verdict=verdict)
    lead = "What a rule would hand to its actions."
    return Page("Try a rule", lead, CURRENT, content, crumbs=(("IoT", CURRENT),))


def _verdict(is_of_topic: bool, payload: bytes | None) -> h.Node:
    if not is_of_topic:
        return notice("info", "It does not take this message. ", "The topic is not one that FROM names.")
    if payload is None:
        return notice("info", "It does not take this message. ", "WHERE does not hold, or SELECT finds nothing.")
    return [
        notice("good", "It takes this message. ", f"Its actions would get these {size(len(payload))}:"),
        h.pre(tabindex="0")[_text(payload)],
    ]


def _text(payload: bytes) -> str:
    try:
        return json.dumps(json.loads(payload), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return payload.decode("utf-8", "backslashreplace")
