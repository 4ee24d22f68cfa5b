"""CloudWatch metrics: namespaces, their metrics, and up to eight of them drawn over a stretch of time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import htpy as h

from lakebed.console.asked import Asked, to
from lakebed.console.backend import Backend
from lakebed.console.charts import curves
from lakebed.console.figures import count, span
from lakebed.console.parts import chart, empty, pages, panel, table
from lakebed.console.shell import Page

CURRENT = "/console/metrics"
_DRAWN_MAX, _PAGES_MAX = 8, 10
_STATISTICS = ("Sum", "Average", "Minimum", "Maximum", "SampleCount", "p50", "p90", "p99")
_SPANS = {"1": 60, "3": 60, "12": 300, "24": 300, "168": 3600, "720": 21_600}  # hours: seconds of a period


async def page(backend: Backend, asked: Asked) -> Page:
    """The namespaces; of one, its metrics and what is drawn of them."""
    namespace = asked.get("namespace")
    lead = "What the services and your programs measured, minute by minute."
    if not namespace:
        return Page("Metrics", lead, CURRENT, await _namespaces(backend))
    params: dict[str, Any] = {"Namespace": namespace}
    if asked.get("token"):
        params["NextToken"] = asked.get("token")
    answer = await backend.call("cloudwatch", "ListMetrics", params, backend.scope)
    chosen = _chosen(asked)
    rows = [
        (
            h.a(href=asked.again(draw=_toggled(chosen, one), token=asked.get("token")))[
                "Take away" if _key(one) in chosen else "Draw"
            ],
            one["MetricName"],
            ", ".join(f"{each['Name']}={each['Value']}" for each in one.get("Dimensions", [])) or "—",
        )
        for one in answer.get("Metrics", [])
    ]
    following = asked.again(token=answer["NextToken"]) if answer.get("NextToken") else None
    content = [
        await _drawn(backend, asked, namespace, chosen),
        panel(
            "Metrics",
            table(("", "Metric", "Dimensions"), rows, key="metrics-table"),
            pages(asked.again(token=None) if asked.get("token") else None, following),
            note=f"up to {_DRAWN_MAX} are drawn at once",
        ),
    ]
    return Page(namespace, lead, CURRENT, content, scripts=("chart.js",), crumbs=(("Metrics", CURRENT),))


async def _namespaces(backend: Backend) -> h.Node:
    found: dict[str, int] = {}
    params: dict[str, Any] = {}
    for _ in range(_PAGES_MAX):
        answer = await backend.call("cloudwatch", "ListMetrics", params, backend.scope)
        for one in answer.get("Metrics", []):
            found[one["Namespace"]] = found.get(one["Namespace"], 0) + 1
        if not answer.get("NextToken"):
            break
        params = {"NextToken": answer["NextToken"]}
    if not found:
        text = "The services write theirs once a minute when something happens; any program can write its own:"
        command = "aws cloudwatch put-metric-data --namespace App --metric-name Orders --value 3"
        return empty(f"No metric in {backend.scope.region}", text, command)
    rows = [
        (h.a(href=to("metrics", namespace=name))[name], count(number), "AWS" if name.startswith("AWS/") else "your own")
        for name, number in sorted(found.items())
    ]
    return panel("Namespaces", table(("Namespace", "Metrics", "Of"), rows, numbers=("Metrics",), key="namespaces"))


def _key(metric: dict[str, Any]) -> str:
    dimensions = [[each["Name"], each["Value"]] for each in metric.get("Dimensions", [])]
    return json.dumps([metric["MetricName"], sorted(dimensions)], separators=(",", ":"))


def _chosen(asked: Asked) -> list[str]:
    try:
        given = json.loads(asked.get("draw") or "[]")
        if not isinstance(given, list):
            return []
        return [key for key in given if isinstance(key, str) and _parts(key)][:_DRAWN_MAX]
    except (ValueError, RecursionError):
        return []


def _parts(key: str) -> tuple[str, list[dict[str, str]]] | None:
    """A metric's name and dimensions, None for a key nobody of us made."""
    try:
        name, dimensions = json.loads(key)
        dimensions = [tuple(one) for one in dimensions if isinstance(one, list)]
        return str(name), [{"Name": str(one), "Value": str(value)} for one, value in dimensions]
    except (ValueError, TypeError, RecursionError):
        return None


def _toggled(chosen: Sequence[str], metric: dict[str, Any]) -> str:
    key = _key(metric)
    keys = [one for one in chosen if one != key] if key in chosen else [*chosen, key][-_DRAWN_MAX:]
    return json.dumps(keys, separators=(",", ":")) if keys else ""


async def _drawn(backend: Backend, asked: Asked, namespace: str, chosen: Sequence[str]) -> h.Node:
    hours = asked.get("hours") if asked.get("hours") in _SPANS else "3"
    statistic = asked.get("statistic") if asked.get("statistic") in _STATISTICS else "Sum"
    form = h.form(".filters", method="get", action="/console/metrics")[
        [h.input(type="hidden", name=name, value=asked.get(name)) for name in ("namespace", "draw", "token")],
        h.label["Statistic ", h.select(name="statistic")[
            [h.option(value=name, selected=name == statistic)[name] for name in _STATISTICS]]],
        h.label["of the last ", h.select(name="hours")[
            [h.option(value=one, selected=one == hours)[span(int(one) * 3600)] for one in _SPANS]]],
        h.button(".button", type="submit")["Draw"],
    ]  # fmt: skip
    if not chosen:
        return [form, panel("Nothing is drawn yet", h.p(".nothing")["Choose metrics below."])]
    found = await read(backend, namespace, chosen, statistic, int(hours))
    note = f"{statistic} of {_SPANS[hours] // 60 or 1} min, UTC"
    return [form, panel("Course", chart(found, tall=len(chosen) > 4), note=note)]


async def read(
    backend: Backend, namespace: str, keys: Sequence[str], statistic: str, hours: int
) -> dict[str, Any]:  # fmt: skip
    """The option of a chart with one line for each metric."""
    period, now = _SPANS[str(hours)], backend.clock.now()
    queries = []
    for number, key in enumerate(keys):
        parts = _parts(key)
        assert parts is not None
        metric = {"Namespace": namespace, "MetricName": parts[0], "Dimensions": parts[1]}
        stat = {"Metric": metric, "Period": period, "Stat": statistic}
        queries.append({"Id": f"m{number}", "MetricStat": stat})
    params = {
        "MetricDataQueries": queries,
        "StartTime": now - hours * 3600,
        "EndTime": now + period,
        "ScanBy": "TimestampAscending",
    }
    answer = await backend.call("cloudwatch", "GetMetricData", params, backend.scope)
    lines = {}
    for one in answer["MetricDataResults"]:
        name, dimensions = _parts(keys[int(one["Id"][1:])]) or ("", [])
        label = f"{name} {' '.join(each['Value'] for each in dimensions)}".strip()
        lines[label] = list(zip(one["Timestamps"], one["Values"], strict=True))
    return curves(lines, lambda at: datetime.fromtimestamp(at, UTC).isoformat())
