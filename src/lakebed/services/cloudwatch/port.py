"""Metrics of other services, added up in memory and written at most once a second. Implements ports.metrics."""

from __future__ import annotations

import math
from collections.abc import Sequence

from lakebed.kernel.errors import AwsError
from lakebed.kernel.scope import Scope
from lakebed.ports.metrics import Point
from lakebed.services.cloudwatch.aggregate import bounded, of_values
from lakebed.services.cloudwatch.evaluation import Evaluator
from lakebed.services.cloudwatch.model import DIMENSIONS_MAX, Datum, Key
from lakebed.services.cloudwatch.reading import Ledger

FLUSH_TASK = "cloudwatch:flush"
_SERIES_MAX = 20_000
_DISTINCT_MAX = 1000
_WRITTEN_AT_ONCE = 2000
_Place = tuple[Scope, Key, str, int]


class Publisher:
    """Implements ``lakebed.ports.metrics.Metrics``; also the task that writes what was published."""

    name = FLUSH_TASK
    period = 60.0

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._k = ledger.k
        self._waiting: dict[_Place, dict[float, float]] = {}
        self._not_before = 0.0
        self.evaluator: Evaluator  # set when the service is wired: alarms need metrics, and metrics set alarms

    def put(self, scope: Scope, namespace: str, points: Sequence[Point], *, at: float | None = None) -> None:
        """See the port."""
        minute = math.floor((self._k.clock.now() if at is None else at) / 60) * 60
        for name, dimensions, value, unit in points:
            place = scope, Key(namespace, name, tuple(sorted(dimensions.items())[:DIMENSIONS_MAX])), unit, minute
            values = self._waiting.get(place)
            if values is None:
                if len(self._waiting) >= _SERIES_MAX:
                    continue
                values = self._waiting[place] = {}
            if math.isfinite(value):
                values[value] = values.get(value, 0.0) + 1.0
                if len(values) > _DISTINCT_MAX:
                    self._waiting[place] = dict(bounded(values.items()))
        self._k.tasks.poke(FLUSH_TASK)

    def set_alarm_state(self, scope: Scope, name: str, state: str, reason: str) -> None:
        """See the port."""
        with self._k.db.tx() as tx:
            alarm = self.evaluator.alarms.find(scope, name)
            if alarm is None:
                raise AwsError("ResourceNotFound", f"The alarm {name} does not exist", status=404)
            self.evaluator.change(tx, scope, alarm, state, reason, "")

    async def activate(self) -> float | None:
        """Write, unless that was done less than a second ago."""
        now = self._k.clock.now()
        if self._waiting and now < self._not_before:
            return self._not_before
        self._not_before = now + 1.0
        self.flush()
        return now if self._waiting else None

    def flush(self) -> None:
        """Write a bounded number of series now."""
        if not self._waiting:
            return
        now = self._k.clock.now()
        with self._k.db.tx() as tx:
            for place in list(self._waiting)[:_WRITTEN_AT_ONCE]:
                values = self._waiting.pop(place)
                if not values:
                    continue
                scope, key, unit, minute = place
                value = of_values(list(values), list(values.values()))
                self._ledger.add(tx, scope, Datum(key, minute, unit, False, value), now)

    async def stop(self) -> None:
        """Leave nothing behind."""
        while self._waiting:
            self.flush()
