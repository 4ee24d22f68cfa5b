"""Meters: what flowed through each resource, for the Pipelines page and ``/_lakebed/flow``.

Totals and a ring of one-second buckets for rates; in memory and bounded (``meter_keeper`` carries the totals over a
restart). They describe the flow, they are not the records' accounts (those are the logs, tables and objects themselves).
``into``/``out`` take the resource's ARN; ``link`` says that records went from one resource to another.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lakebed.kernel.clock import Clock

_RING_SECONDS = 60
_RESOURCES_MAX = 5000
_KEPT = ("records_in", "records_out", "bytes_in", "bytes_out", "errors", "dropped", "last_in", "last_out")


@dataclass(slots=True)
class Meter:
    """Counters of one resource. ``lag_seconds`` is how far its reader is behind, where the resource knows."""

    records_in: int = 0
    records_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    errors: int = 0
    dropped: int = 0
    last_in: float | None = None
    last_out: float | None = None
    lag_seconds: float | None = None
    waiting: int | None = None
    ring_in: list[int] = field(default_factory=lambda: [0] * _RING_SECONDS)
    ring_out: list[int] = field(default_factory=lambda: [0] * _RING_SECONDS)
    ring_second: int = 0

    def turn(self, second: int) -> None:
        """Clear the buckets between the last use and ``second``."""
        gap = min(second - self.ring_second, _RING_SECONDS)
        for step in range(gap):
            slot = (second - step) % _RING_SECONDS
            self.ring_in[slot] = self.ring_out[slot] = 0
        if gap > 0:
            self.ring_second = second


class Meters:
    """Meters by ARN, and the links seen between them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._meters: OrderedDict[str, Meter] = OrderedDict()
        self._links: OrderedDict[tuple[str, str], int] = OrderedDict()

    def into(self, arn: str, records: int = 1, size_bytes: int = 0) -> None:
        """Records entered the resource."""
        meter, now = self._at(arn)
        meter.records_in += records
        meter.bytes_in += size_bytes
        meter.last_in = now
        meter.ring_in[int(now) % _RING_SECONDS] += records

    def out(self, arn: str, records: int = 1, size_bytes: int = 0, *, to: str | None = None) -> None:
        """Records left the resource, ``to`` another one where that is known."""
        meter, now = self._at(arn)
        meter.records_out += records
        meter.bytes_out += size_bytes
        meter.last_out = now
        meter.ring_out[int(now) % _RING_SECONDS] += records
        if to is not None:
            self.link(arn, to, records)

    def link(self, source: str, target: str, records: int = 0) -> None:
        """Records went from ``source`` to ``target``."""
        self._links[source, target] = self._links.get((source, target), 0) + records
        if len(self._links) > _RESOURCES_MAX:
            self._links.popitem(last=False)

    def error(self, arn: str, count: int = 1) -> None:
        """Something failed at the resource."""
        self._at(arn)[0].errors += count

    def drop(self, arn: str, records: int = 1) -> None:
        """Records were deliberately discarded (a rule's WHERE, a transform's Dropped)."""
        self._at(arn)[0].dropped += records

    def lag(self, arn: str, *, seconds: float | None = None, waiting: int | None = None) -> None:
        """How far the reader is behind: age of the oldest unread record, and how many wait."""
        meter, _ = self._at(arn)
        meter.lag_seconds, meter.waiting = seconds, waiting

    def snapshot(self) -> dict[str, object]:
        """Everything, as plain JSON values; rates are records per second over the last ten full seconds."""
        now = self._clock.now()
        second = int(now)
        resources: dict[str, object] = {}
        for arn, meter in self._meters.items():
            meter.turn(second)
            slots = [(second - back) % _RING_SECONDS for back in range(1, 11)]
            history = [(second - back) % _RING_SECONDS for back in range(_RING_SECONDS - 1, 0, -1)]
            resources[arn] = {
                "recordsIn": meter.records_in,
                "recordsOut": meter.records_out,
                "bytesIn": meter.bytes_in,
                "bytesOut": meter.bytes_out,
                "errors": meter.errors,
                "dropped": meter.dropped,
                "lastIn": meter.last_in,
                "lastOut": meter.last_out,
                "lagSeconds": meter.lag_seconds,
                "waiting": meter.waiting,
                "rateIn": sum(meter.ring_in[slot] for slot in slots) / 10,
                "rateOut": sum(meter.ring_out[slot] for slot in slots) / 10,
                "historyIn": [meter.ring_in[slot] for slot in history],
            }
        links = [
            {"source": source, "target": target, "records": records}
            for (source, target), records in self._links.items()
        ]
        return {"at": now, "resources": resources, "links": links}

    def totals(self) -> dict[str, Any]:
        """What survives a restart: counts and last times by resource, and the links seen."""
        return {
            "meters": {arn: [getattr(meter, name) for name in _KEPT] for arn, meter in self._meters.items()},
            "links": [[source, target, records] for (source, target), records in self._links.items()],
        }

    def restore(self, document: Mapping[str, Any]) -> None:
        """Take back what ``totals`` gave."""
        for arn, values in document["meters"].items():
            meter = self._meters[arn] = Meter(ring_second=int(self._clock.now()))
            for name, value in zip(_KEPT, values, strict=True):
                setattr(meter, name, value)
        for source, target, records in document["links"]:
            self._links[source, target] = records

    def clear(self) -> None:
        """Forget everything (reset)."""
        self._meters.clear()
        self._links.clear()

    def _at(self, arn: str) -> tuple[Meter, float]:
        now = self._clock.now()
        meter = self._meters.get(arn)
        if meter is None:
            meter = self._meters[arn] = Meter(ring_second=int(now))
            if len(self._meters) > _RESOURCES_MAX:
                self._meters.popitem(last=False)
        meter.turn(int(now))
        return meter, now
