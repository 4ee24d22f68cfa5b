"""What filters do with events as they arrive: metrics are published, subscriptions written to the outbox in the same
transaction as the events, so that what was acknowledged is also delivered.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/MonitoringLogData.html
https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from lakebed.kernel.db import Tx
from lakebed.kernel.kernel import Kernel
from lakebed.ports.house import Ports
from lakebed.services.logs.columns import Columns, number_in
from lakebed.services.logs.filter_store import FilterStore
from lakebed.services.logs.model import Event, Group, Stream, event_id
from lakebed.services.logs.pattern import Matcher, compile_pattern, selected

SUBSCRIPTION_TOPIC = "logs:subscriptions"
# Compressed and encoded, a batch must fit into an asynchronous invocation (256 KB) even where it does not compress.
_BATCH_BYTES = 180_000
_BATCH_EVENTS = 10_000


class _Compiled(NamedTuple):
    name: str
    body: dict[str, Any]
    matches: Matcher
    value_of: Callable[[str, str], str | None]


class Filters:
    """All filters of the house, compiled when first needed."""

    def __init__(self, k: Kernel, p: Ports) -> None:
        self.k, self.p = k, p
        self.store = FilterStore(k.db)
        self._compiled: dict[tuple[int, str], list[_Compiled]] = {}

    def forget(self, group_id: int) -> None:
        """A filter of the group changed."""
        self._compiled.pop((group_id, "metric"), None)
        self._compiled.pop((group_id, "subscription"), None)

    def apply(self, tx: Tx, group: Group, stream: Stream, events: Sequence[Event]) -> None:
        """Events were written in ``tx``."""
        for one in self._of(group.id, "subscription"):
            met = [event for event in events if one.matches(event.message)]
            for batch in _batches(met):
                message = {
                    "account": group.scope.account, "region": group.scope.region, "group": group.name,
                    "stream": stream.name, "filter": one.name, "destination": one.body["destinationArn"],
                    "role": one.body.get("roleArn"), "distribution": one.body.get("distribution", "ByLogStream"),
                    "events": [
                        {"id": event_id(event), "timestamp": event.timestamp, "message": event.message}
                        for event in batch
                    ],
                }  # fmt: skip
                self.k.outbox.emit(tx, SUBSCRIPTION_TOPIC, message)
        for one in self._of(group.id, "metric"):
            self._measure(group, one, events)

    def _measure(self, group: Group, one: _Compiled, events: Sequence[Event]) -> None:
        for transformation in one.body["metricTransformations"]:
            name, unit = transformation["metricName"], transformation.get("unit", "None")
            found = False
            for event in events:
                if not one.matches(event.message):
                    continue
                found = True
                value = _number(transformation["metricValue"], event.message, one)
                dimensions = _dimensions(transformation.get("dimensions") or {}, event.message, one)
                if value is not None and dimensions is not None:
                    point = name, dimensions, value, unit
                    at = event.timestamp / 1000
                    self.p.metrics.put(group.scope, transformation["metricNamespace"], [point], at=at)
            if not found and "defaultValue" in transformation:
                point = name, {}, transformation["defaultValue"], unit
                at = events[-1].timestamp / 1000
                self.p.metrics.put(group.scope, transformation["metricNamespace"], [point], at=at)

    def _of(self, group_id: int, kind: str) -> list[_Compiled]:
        found = self._compiled.get((group_id, kind))
        if found is None:
            rows = self.store.of_group(group_id, kind)
            found = [
                _Compiled(name, body, compile_pattern(body["filterPattern"]), value_of(body["filterPattern"]))
                for name, body in rows
            ]
            if len(self._compiled) > 10_000:
                self._compiled.clear()
            self._compiled[group_id, kind] = found
        return found


def value_of(pattern: str) -> Callable[[str, str], str | None]:
    """How a selector (``$.path`` or ``$column``) is read from a message that met the pattern."""
    text = pattern.strip()
    if not text.startswith("["):
        return selected
    columns = Columns(text)
    return lambda selector, message: (columns.values(message) or {}).get(selector.removeprefix("$"))


def _number(value: str, message: str, one: _Compiled) -> float | None:
    text = one.value_of(value, message) if value.startswith("$") else value
    return None if text is None else number_in(text)


def _dimensions(wanted: Mapping[str, str], message: str, one: _Compiled) -> dict[str, str] | None:
    """None where a dimension has no value: AWS then publishes nothing."""
    found = {name: one.value_of(selector, message) for name, selector in wanted.items()}
    kept = {name: value[:1024] for name, value in found.items() if value}
    return kept if len(kept) == len(wanted) else None


def _batches(events: Sequence[Event]) -> Iterator[list[Event]]:
    batch: list[Event] = []
    size = 0
    for event in events:
        length = len(event.message.encode()) + 100
        if batch and (size + length > _BATCH_BYTES or len(batch) == _BATCH_EVENTS):
            yield batch
            batch, size = [], 0
        batch.append(event)
        size += length
    if batch:
        yield batch
