"""Reading a series: rows of all resolutions folded into periods, as GetMetricStatistics and GetMetricData want them.

The start is rounded down to the resolution that is still kept for its age; periods are counted from there.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricStatistics.html
"""

from __future__ import annotations

import math
from typing import NamedTuple

from lakebed.kernel.db import Tx
from lakebed.kernel.errors import AwsError
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Scope
from lakebed.services.cloudwatch.aggregate import Aggregate, merge
from lakebed.services.cloudwatch.model import DAY, HOUR, Datum, Key
from lakebed.services.cloudwatch.store import SeriesStore

_SHORT_PERIODS = (1, 5, 10, 20, 30)


class Range(NamedTuple):
    """A stretch of time in periods; ``start`` is rounded."""

    start: int
    end: float
    period: int

    @property
    def points(self) -> int:
        """How many periods begin in it."""
        return max(0, math.ceil((self.end - self.start) / self.period))


def span(start: float, end: float, period: int, now: float) -> Range:
    """The stretch a request asks for; its errors are AWS's."""
    if not start < end:
        raise AwsError("InvalidParameterValue", "The parameter StartTime must be less than the parameter EndTime.")
    if period not in _SHORT_PERIODS and period % 60:
        raise AwsError(
            "InvalidParameterValue",
            f"The value {period} for parameter Period is invalid: it must be 1, 5, 10, 20, 30 or a multiple of 60.",
        )
    age = now - start
    step = period if period < 60 else 60 if age < 15 * DAY else 300 if age < 63 * DAY else HOUR
    return Range(math.floor(start / step) * step, end, period)


class Ledger:
    """All series of the house, written and read."""

    def __init__(self, k: Kernel) -> None:
        self.k = k
        self.series = SeriesStore(k.db)

    def add(self, tx: Tx, scope: Scope, datum: Datum, now: float) -> None:
        """Add a datum to its minute, and to its second where it is of high resolution."""
        series = self.series.touch(tx, scope, datum.key, now)
        for tier in (1, 60) if datum.high_resolution else (60,):
            start = math.floor(datum.at / tier) * tier
            self.series.add(tx, scope, series, tier, start, datum.unit, datum.value)

    def by_unit(self, scope: Scope, key: Key, unit: str | None, within: Range) -> dict[tuple[int, str], Aggregate]:
        """Values by period and unit."""
        found: dict[tuple[int, str], Aggregate] = {}
        series = self.series.find(scope, key)
        if series is None:
            return found
        tiers = (1,) if within.period < 60 else (60, 300, 3600)
        for start, kept, value in self.series.spans(series, tiers, within.start, within.end):
            if unit is None or kept == unit:
                at = within.start + (start - within.start) // within.period * within.period, kept
                found[at] = merge(found[at], value) if at in found else value
        return found

    def by_period(self, scope: Scope, key: Key, unit: str | None, within: Range) -> dict[int, Aggregate]:
        """Values by period, whatever their units are."""
        found: dict[int, Aggregate] = {}
        for (at, _), value in sorted(self.by_unit(scope, key, unit, within).items()):
            found[at] = merge(found[at], value) if at in found else value
        return found
