"""Messages of devices as they come: an MQTT client of the browser's over a signed WebSocket, and publishing.

What is subscribed to is decided by IAM like any client's connection.
https://docs.aws.amazon.com/iot/latest/developerguide/view-mqtt-messages.html
"""

from __future__ import annotations

from collections.abc import Mapping

import htpy as h
from markupsafe import Markup
from starlette.responses import JSONResponse, Response

from lakebed.console.asked import Asked, to
from lakebed.console.backend import Backend
from lakebed.console.figures import count
from lakebed.console.parts import act, button, notice, panel, table, time_of
from lakebed.console.shell import Page

CURRENT = "/console/iot"
_RETAINED = 50


async def page(backend: Backend, asked: Asked) -> Page:
    """Subscribe, publish, and what topics retain."""
    told = await backend.call("iot-data", "ListRetainedMessages", {"maxResults": _RETAINED}, backend.scope)
    now = backend.clock.now()
    rows = [
        (h.code[one["topic"]], count(one["payloadSize"]), one["qos"], time_of(now, one["lastModifiedTime"] / 1000))
        for one in told.get("retainedTopics", [])
    ]
    content = [
        notice("good", "Published to ", h.code[asked.get("sent")]) if asked.get("sent") else None,
        panel("Messages", _client(asked.get("filter") or "#"), note="from now on; retained ones at once"),
        panel("Publish", _publishing(backend, asked)),
        panel(
            "Retained",
            table(("Topic", "Bytes", "QoS", "Since"), rows, numbers=("Bytes",), nothing="No topic retains one."),
        ),
    ]
    lead = "What devices say, as any subscriber gets it."
    return Page("Live messages", lead, CURRENT, content, scripts=("mqtt.js",), crumbs=(("IoT", CURRENT),))


def _client(topics: str) -> Markup:
    form = h.form(".query-bar", data_subscribe="")[
        h.label(".wide")[
            "Topic filter ", h.input(type="text", name="filter", value=topics, required=True, maxlength="256")
        ],
        button("Subscribe"),
        h.span(".pill", data_state="off"),
        h.span(".muted", role="status"),
    ]
    grid = h.div(".scroll.records", hidden=True, tabindex="0")[
        h.table[h.thead[h.tr[[h.th(scope="col")[name] for name in ("When", "Topic", "Payload", "")]]], h.tbody]
    ]
    script = h.noscript[h.p(".nothing")["This part needs JavaScript."]]
    return Markup(f'<lb-mqtt src="/console/iot/socket.json">{form}{grid}{script}</lb-mqtt>')


def _publishing(backend: Backend, asked: Asked) -> h.Element:
    topic = asked.get("sent")
    return act(
        backend.token,
        "iot/publish",
        h.textarea(name="payload", rows="4", spellcheck="false", aria_label="Payload")['{"carrier": "UA"}'],
        h.div(".query-bar")[
            button("Publish", primary=True),
            h.label(".wide")["Topic ", h.input(type="text", name="topic", value=topic, required=True, maxlength="256")],
            h.label["QoS ", h.select(name="qos")[h.option["0"], h.option["1"]]],
            h.label[h.input(type="checkbox", name="retain", value="yes"), " retain"],
        ],
    )  # fmt: skip


async def publish(backend: Backend, form: Mapping[str, str]) -> str:
    """Publish the message of the form."""
    params = {
        "topic": form.get("topic", ""),
        "payload": form.get("payload", "").encode(),
        "qos": 1 if form.get("qos") == "1" else 0,
        "retain": form.get("retain") == "yes",
    }
    await backend.call("iot-data", "Publish", params, backend.scope)
    return to("iot/live", sent=form.get("topic"))


async def socket(backend: Backend, asked: Asked) -> Response:
    """``iot/socket.json``: where the page's client connects, signed for a few minutes."""
    del asked
    return JSONResponse({"url": backend.device_link(backend.scope)}, headers={"Cache-Control": "no-store"})
