"""Trying a function with an event of one's own: the answer, the error, the log's end, the time and what it would cost."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from typing import Any

import htpy as h

from lakebed.console.asked import to
from lakebed.console.backend import Backend
from lakebed.console.pages.functions_events import EVENTS
from lakebed.console.parts import act, button, cost, facts, panel, state
from lakebed.console.prices import lambda_run
from lakebed.console.shell import Page

CURRENT = "/console/lambda"
_REPORT = re.compile(r"Billed Duration: (\d+) ms\s+Memory Size: (\d+) MB(?:\s+Max Memory Used: (\d+) MB)?")


def trying(backend: Backend, function: str, event: str = "") -> h.Element:
    """The form: an event, and examples of what services send."""
    return panel(
        "Try it",
        act(
            backend.token,
            "lambda/test",
            h.textarea(name="event", rows="8", spellcheck="false", aria_label="Event", data_examples="event-example")[
                event or EVENTS["Empty"]
            ],
            h.div(".query-bar")[
                button("Invoke", primary=True),
                h.label[
                    "Begin with ",
                    h.select("#event-example", name="example")[
                        [h.option(value=text, data_text=text)[name] for name, text in EVENTS.items()]
                    ],
                ],
            ],
            function=function,
        ),
        note="runs it for real, as its role",
    )


async def run(backend: Backend, form: Mapping[str, str]) -> Page:
    """Invoke the function of the form and show what came of it."""
    name, event = form.get("function", ""), form.get("event", "").strip()
    params: dict[str, Any] = {"FunctionName": name, "Payload": (event or "null").encode(), "LogType": "Tail"}
    answer = await backend.call("lambda", "Invoke", params, backend.scope)
    body = answer.get("Payload") or b""
    text = (body if isinstance(body, bytes) else b"".join([piece async for piece in body])).decode("utf-8", "replace")
    log = base64.b64decode(answer.get("LogResult", "")).decode("utf-8", "replace")
    told: list[tuple[str, h.Node]] = [
        ("Outcome", state("FAILED" if answer.get("FunctionError") else "SUCCEEDED")),
        ("Version", answer.get("ExecutedVersion", "$LATEST")),
    ]
    if found := _REPORT.search(log):
        milliseconds, memory = int(found[1]), int(found[2])
        told.append(("Billed", f"{milliseconds} ms at {memory} MB"))
        if found[3]:
            told.append(("Memory used", f"{found[3]} MB"))
        told.append(cost(lambda_run(milliseconds, memory), "for this invocation: the request and its time"))
    content = [
        panel("Answer", facts(told), h.pre(tabindex="0")[_pretty(text)]),
        panel("The end of its log", h.pre(tabindex="0")[log or "It wrote nothing."]),
        trying(backend, name, event),
    ]
    crumbs = (("Lambda", CURRENT), (name, to("lambda/function", function=name)))
    return Page("Try it", "What the function made of the event.", CURRENT, content, crumbs=crumbs)


def _pretty(text: str) -> str:
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text
