"""Pipelines: the live graph across services, with rate, total, lag and freshness on each node.

Links are the configured ones (rules, sources, destinations, notifications, mappings) and those records were seen to take.
The page is whole without script; ``<lb-flow>`` refreshes its texts each second from ``pipelines/flow.json``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import htpy as h
from markupsafe import Markup, escape
from starlette.responses import JSONResponse, Response

from lakebed.console.asked import Asked
from lakebed.console.backend import Backend
from lakebed.console.figures import ago, count, rate, size, span
from lakebed.console.graph import NODE_HEIGHT, NODE_WIDTH, lay_out, route, spark
from lakebed.console.parts import empty, panel
from lakebed.console.shell import Page

_SERVICES = {
    "iot": ("IoT Core", "IoT"), "kinesis": ("Kinesis stream", "KDS"), "firehose": ("Firehose", "KDF"),
    "s3": ("S3 bucket", "S3"), "sqs": ("SQS queue", "SQS"), "lambda": ("Lambda function", "λ"),
    "athena": ("Athena workgroup", "SQL"), "logs": ("CloudWatch log group", "LOG"), "glue": ("Glue table", "CAT"),
    "sns": ("SNS topic", "SNS"),
}  # fmt: skip
_SPARK_WIDTH, _SPARK_HEIGHT = 84, 20
_ARROW = (
    '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6" markerHeight="6" orient="auto">'
    '<path d="M0 0L8 4L0 8z" fill="context-stroke"/></marker></defs>'
)
_LEAD = (
    "Every hop of your data, from device to report: what comes in, what waits, how fresh it is. "
    "Counts go on over restarts."
)


@dataclass(frozen=True, slots=True)
class Node:
    """What a node shows. ``key`` is its id in the page."""

    arn: str
    key: str
    service: str
    glyph: str
    name: str
    counts: str
    fresh: str
    state: str
    history: str


def node_of(arn: str, meter: Mapping[str, Any] | None, now: float) -> Node:
    """A resource's texts from its meter; a resource nothing moved through yet has none."""
    parts = arn.split(":", 5)
    service, resource = (parts[2], parts[5]) if len(parts) == 6 else ("", arn)
    label, glyph = _SERVICES.get(service, (service or "resource", service[:3].upper()))
    name = resource.split("/", 1)[1] if "/" in resource and service != "s3" else resource
    name = name.removeprefix("function:")
    if service == "iot" and resource.startswith("client"):
        label, name, glyph = "Devices over MQTT", "all clients", "MQTT"
    key = "n" + hashlib.blake2s(arn.encode(), digest_size=6).hexdigest()
    if meter is None:
        return Node(arn, key, label, glyph, name, "nothing yet", "", "idle", spark([], _SPARK_WIDTH, _SPARK_HEIGHT))
    incoming, outgoing = meter["recordsIn"], meter["recordsOut"]
    last = max((at for at in (meter["lastIn"], meter["lastOut"]) if at is not None), default=None)
    texts = [ago(now, last)]
    if meter["waiting"]:
        texts.append(f"{count(meter['waiting'])} waiting")
    if meter["lagSeconds"]:
        texts.append(f"lag {span(meter['lagSeconds'])}")
    if meter["dropped"]:
        texts.append(f"{count(meter['dropped'])} dropped")
    if meter["errors"]:
        texts.append(f"{count(meter['errors'])} errors")
    moving = meter["rateIn"] + meter["rateOut"] > 0
    state = "failing" if meter["errors"] else "active" if moving else "idle"
    return Node(
        arn,
        key,
        label,
        glyph,
        name,
        f"{count(incoming)} in · {count(outgoing)} out",
        " · ".join(texts),
        state,
        spark(meter["historyIn"], _SPARK_WIDTH, _SPARK_HEIGHT),
    )


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes by ARN and links with the records seen on each; ``shape`` changes when nodes or links do."""

    nodes: dict[str, Node]
    links: dict[tuple[str, str], int]
    rates: dict[str, float]
    shape: str
    totals: dict[str, float]


def resource_of(arn: str) -> str:
    """The resource behind a qualified ARN: ``function:name:$LATEST`` and ``function:name:live`` are the function."""
    parts = arn.split(":")
    return ":".join(parts[:7]) if arn.startswith("arn:") and parts[2] == "lambda" and len(parts) == 8 else arn


def graph_of(flow: Mapping[str, Any]) -> Graph:
    """The flow view as a graph; resources without any link stand alone and are left out unless something moved."""
    meters, now = flow["resources"], flow["at"]
    links: dict[tuple[str, str], int] = {}
    for link in flow["links"]:
        pair = (resource_of(link["source"]), resource_of(link["target"]))
        links[pair] = links.get(pair, 0) + int(link.get("records") or 0)
    arns = {arn for pair in links for arn in pair} | {arn for arn in meters if not arn.startswith("arn:aws:logs")}
    nodes = {arn: node_of(arn, meters.get(arn), now) for arn in sorted(arns)}
    rates = {arn: meters[arn]["rateIn"] + meters[arn]["rateOut"] if arn in meters else 0.0 for arn in nodes}
    shape = hashlib.blake2s(repr((sorted(nodes), sorted(links))).encode(), digest_size=8).hexdigest()
    totals = {
        "resources": len(nodes),
        "rate": max((meter["rateIn"] for meter in meters.values()), default=0.0),
        "waiting": sum(meter["waiting"] or 0 for meter in meters.values()),
        "errors": sum(meter["errors"] for meter in meters.values()),
        "bytes": sum(meter["bytesIn"] for arn, meter in meters.items() if arn.startswith("arn:aws:s3")),
    }
    return Graph(nodes, links, rates, shape, totals)


def live(flow: Mapping[str, Any]) -> dict[str, Any]:
    """What ``<lb-flow>`` refreshes: texts, classes and sparklines by element id."""
    graph = graph_of(flow)
    texts, classes, sparks = dict(_kpis(graph)), {}, {}
    for node in graph.nodes.values():
        texts[f"{node.key}-counts"] = node.counts
        texts[f"{node.key}-fresh"] = node.fresh
        texts[f"{node.key}-rate"] = rate(graph.rates[node.arn])
        texts |= {f"{node.key}-row-{name}": texts[f"{node.key}-{name}"] for name in ("counts", "fresh", "rate")}
        classes[node.key] = f"node {node.state}"
        sparks[f"{node.key}-spark"] = node.history
    for number, ((source, target), records) in enumerate(sorted(graph.links.items())):
        classes[f"e{number}"] = _edge_class(graph, source, target)
        texts[f"e{number}-label"] = count(records) if records else ""
    return {"shape": graph.shape, "texts": texts, "classes": classes, "sparks": sparks}


async def live_flow(backend: Backend, _asked: Asked) -> Response:
    """``pipelines/flow.json``."""
    return JSONResponse(live(backend.flow(backend.scope)), headers={"Cache-Control": "no-store"})


async def page(backend: Backend, _asked: Asked) -> Page:
    """The page as the server draws it."""
    flow = backend.flow(backend.scope)
    graph = graph_of(flow)
    if not graph.nodes:
        content: h.Node = [
            empty(
                "No data has moved yet",
                "Build a pipeline with any AWS client, or let the demonstration carry a year of flights through one:",
                "lakebed demo",
            ),
            # The page draws itself anew as soon as there is something to see.
            Markup(f'<lb-flow src="/console/pipelines/flow.json" shape="{graph.shape}"></lb-flow>'),
        ]
    else:
        kpis = dict(_kpis(graph))
        content = [
            h.div(".kpis")[
                _kpi("Resources", "kpi-resources", kpis, "streams, queues, buckets …"),
                _kpi("Fastest hop now", "kpi-rate", kpis, "records per second, last 10 s"),
                _kpi("Waiting", "kpi-waiting", kpis, "records between two hops"),
                _kpi("Landed in S3", "kpi-bytes", kpis, "bytes written"),
                _kpi("Errors", "kpi-errors", kpis, "since this house was made"),
            ],
            panel(
                "Flow",
                Markup(
                    f'<lb-flow src="/console/pipelines/flow.json" shape="{graph.shape}"><div class="board" tabindex="0" '
                    f'role="img" aria-label="{escape(_spoken(graph))}">{_svg(graph)}</div></lb-flow>'
                ),
                note="records on each link; the small line is the last minute",
                actions=h.span("#flow-state.pill", data_state="live"),
            ),
            panel("Resources", _table(graph), note="the same, as a table"),
        ]
    return Page("Pipelines", _LEAD, "/console/pipelines", content)


def _kpis(graph: Graph) -> list[tuple[str, str]]:
    totals = graph.totals
    return [
        ("kpi-resources", count(totals["resources"])),
        ("kpi-rate", rate(totals["rate"])),
        ("kpi-waiting", count(totals["waiting"])),
        ("kpi-bytes", size(totals["bytes"])),
        ("kpi-errors", count(totals["errors"])),
    ]


def _kpi(label: str, key: str, values: Mapping[str, str], hint: str) -> h.Element:
    return h.div(".kpi")[h.div(".label")[label], h.div(".value", id=key)[values[key]], h.div(".hint")[hint]]


def _spoken(graph: Graph) -> str:
    names = [f"{graph.nodes[source].name} to {graph.nodes[target].name}" for source, target in sorted(graph.links)]
    return "Pipeline graph: " + "; ".join(names)


def _edge_class(graph: Graph, source: str, target: str) -> str:
    return "edge flowing" if graph.rates[source] > 0 and graph.rates[target] > 0 else "edge"


def _svg(graph: Graph) -> Markup:
    drawing = lay_out(list(graph.nodes), list(graph.links))
    places = {placed.arn: placed for placed in drawing.nodes}
    parts: list[str] = []
    detours = 0  # links that go around cards are kept apart by their number
    for number, ((source, target), records) in enumerate(sorted(graph.links.items())):
        if source not in places or target not in places:
            continue
        a, b = places[source], places[target]
        way = route(a, b, detours)
        detours += way.is_detour
        label = count(records) if records else ""
        parts.append(
            f'<path id="e{number}" class="{_edge_class(graph, source, target)}" d="{way.path}" marker-end="url(#arrow)"/>'
            f'<text id="e{number}-label" class="edge-label" x="{way.x}" y="{way.y}">{label}</text>'
        )
    parts += [_node(graph, graph.nodes[placed.arn], placed.x, placed.y) for placed in drawing.nodes]
    if drawing.left_out:
        parts.append(f'<text class="edge-label" x="80" y="12">and {drawing.left_out} more in the table</text>')
    return Markup(
        f'<svg width="{drawing.width}" height="{drawing.height}" viewBox="0 0 {drawing.width} {drawing.height}">'
        f"{_ARROW}{''.join(parts)}</svg>"
    )


def _node(graph: Graph, node: Node, x: int, y: int) -> str:
    name = node.name if len(node.name) <= 20 else node.name[:19] + "…"
    return (
        f'<g id="{node.key}" class="node {node.state}" transform="translate({x} {y})"><title>{escape(node.arn)}</title>'
        f'<rect class="card" width="{NODE_WIDTH}" height="{NODE_HEIGHT}" rx="12"/>'
        f'<rect class="glyph" x="12" y="12" width="34" height="26" rx="6"/>'
        f'<text class="glyph-text" x="29" y="29">{escape(node.glyph)}</text>'
        f'<text class="service" x="54" y="22">{escape(node.service)}</text>'
        f'<text class="name" x="54" y="38">{escape(name)}</text>'
        f'<text id="{node.key}-counts" class="count" x="12" y="60">{escape(node.counts)}</text>'
        f'<text id="{node.key}-rate" class="count" x="12" y="78">{rate(graph.rates[node.arn])}</text>'
        f'<path id="{node.key}-spark" class="spark" transform="translate({NODE_WIDTH - _SPARK_WIDTH - 12} 62)" '
        f'd="{node.history}"/>'
        f'<text id="{node.key}-fresh" class="fresh" x="12" y="95">{escape(node.fresh)}</text></g>'
    )


def _table(graph: Graph) -> h.Element:
    heading = h.tr[h.th["Service"], h.th["Resource"], h.th["Records"], h.th(".number")["Rate"], h.th["Freshness, lag"]]
    return h.div(".scroll")[
        h.table[
            h.thead[heading],
            h.tbody[
                [
                    h.tr[
                        h.td[node.service],
                        h.td(title=node.arn)[node.name],
                        h.td(id=f"{node.key}-row-counts")[node.counts],
                        h.td(".number", id=f"{node.key}-row-rate")[rate(graph.rates[node.arn])],
                        h.td(id=f"{node.key}-row-fresh")[node.fresh],
                    ]
                    for node in graph.nodes.values()
                ]
            ],
        ]
    ]
