"""AWS's own metrics, derived once a minute from what the meters saw: no service needs to know of CloudWatch for them.
Those of whole services that tell more (Firehose, Lambda, most of Kinesis) publish through the port themselves.

Each point is the difference of a meter between two looks, put into the minute that just ended; so ``Sum`` is AWS's, while
``SampleCount`` (requests on AWS) is 1 and averages, extremes and percentiles are those of minutes. Gauges are as they stood
at the end of the minute. What a meter does not tell apart is left out rather than guessed: docs/deviations/cloudwatch.md
lists both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lakebed.kernel.arn import Arn, parse
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Scope
from lakebed.ports.metrics import Metrics, Point

Change = Mapping[str, float]
_COUNTERS = ("recordsIn", "recordsOut", "bytesIn", "bytesOut", "errors", "dropped")


class Vended:
    """The task."""

    name = "cloudwatch:vended"
    period = 60.0

    def __init__(self, k: Kernel, metrics: Metrics) -> None:
        self._k, self._metrics = k, metrics
        self._before: dict[str, Change] = {}
        self._minute = math.floor(k.clock.now() / 60)

    async def activate(self) -> float | None:
        """At the beginning of each minute, what happened in the one before."""
        minute = math.floor(self._k.clock.now() / 60)
        if minute > self._minute:
            self._minute = minute
            self._publish(minute * 60.0 - 60.0)
        return (minute + 1) * 60.0

    def _publish(self, at: float) -> None:
        snapshot: Any = self._k.meters.snapshot()
        moved_in, moved_out = _moves(snapshot["links"])
        before, self._before = self._before, {}
        for text, meter in snapshot["resources"].items():
            self._before[text] = counted = {name: float(meter[name]) for name in _COUNTERS}
            counted |= {"movedIn": moved_in.get(text, 0.0), "movedOut": moved_out.get(text, 0.0)}
            last = before.get(text, {})
            change = {
                name: value - last.get(name, 0.0) if value >= last.get(name, 0.0) else value
                for name, value in counted.items()
            }
            arn = parse(text)
            made = None if arn is None else _MADE.get(arn.service)
            if arn is None or made is None:
                continue
            change |= {"lag": meter["lagSeconds"], "waiting": meter["waiting"]}
            points = made(arn, change)
            if points:
                scope = Scope(arn.account, arn.region, arn.partition)
                self._metrics.put(scope, _NAMESPACES[arn.service], points, at=at)


def _moves(links: Sequence[Mapping[str, Any]]) -> tuple[dict[str, float], dict[str, float]]:
    """Messages moved from queue to queue: by target, by source."""
    moved_in: dict[str, float] = {}
    moved_out: dict[str, float] = {}
    for link in links:
        if ":sqs:" in link["source"] and ":sqs:" in link["target"]:
            moved_in[link["target"]] = moved_in.get(link["target"], 0.0) + link["records"]
            moved_out[link["source"]] = moved_out.get(link["source"], 0.0) + link["records"]
    return moved_in, moved_out


def _kinesis(arn: Arn, change: Mapping[str, Any]) -> list[Point]:
    dimensions = {"StreamName": arn.resource.removeprefix("stream/")}
    if "/" in dimensions["StreamName"]:
        return []
    return _counts(dimensions, change, {
        "recordsIn": ("IncomingRecords", "Count"), "bytesIn": ("IncomingBytes", "Bytes"),
    })  # fmt: skip


def _sqs(arn: Arn, change: Mapping[str, Any]) -> list[Point]:
    dimensions = {"QueueName": arn.resource}
    # Moves between queues (dead letters and back) are neither sent nor deleted.
    counted = {"sent": change["recordsIn"] - change["movedIn"], "deleted": change["recordsOut"] - change["movedOut"]}
    points = _counts(
        dimensions,
        counted,
        {"sent": ("NumberOfMessagesSent", "Count"), "deleted": ("NumberOfMessagesDeleted", "Count")},
    )
    if change["lag"] is not None:
        points.append(("ApproximateAgeOfOldestMessage", dimensions, float(change["lag"]), "Seconds"))
    return points


def _logs(arn: Arn, change: Mapping[str, Any]) -> list[Point]:
    dimensions = {"LogGroupName": arn.resource.removeprefix("log-group:")}
    return _counts(
        dimensions, change, {"recordsIn": ("IncomingLogEvents", "None"), "bytesIn": ("IncomingBytes", "Bytes")}
    )


def _iot(arn: Arn, change: Mapping[str, Any]) -> list[Point]:
    kind, _slash, name = arn.resource.partition("/")
    return _counts({"RuleName": name}, change, {"recordsIn": ("TopicMatch", "Count")}) if kind == "rule" else []


def _counts(
    dimensions: Mapping[str, str], change: Mapping[str, Any], named: Mapping[str, tuple[str, str]]
) -> list[Point]:
    return [
        (metric, dimensions, float(change[counter]), unit)
        for counter, (metric, unit) in named.items() if change[counter] > 0
    ]  # fmt: skip


_MADE: dict[str, Callable[[Arn, Mapping[str, Any]], list[Point]]] = {
    "kinesis": _kinesis, "sqs": _sqs, "logs": _logs, "iot": _iot,
}  # fmt: skip
_NAMESPACES = {
    "kinesis": "AWS/Kinesis", "sqs": "AWS/SQS", "logs": "AWS/Logs", "iot": "AWS/IoT",
}  # fmt: skip
