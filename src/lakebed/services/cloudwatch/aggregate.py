"""What is kept of the values of a span of time: count, sum, extremes, and a bounded histogram for percentiles.

Up to ``POINTS_MAX`` distinct values are kept exactly; past that neighbours that lie closest are merged into their weighted
mean, so a percentile is off by at most the width of a merged neighbourhood. A statistic set tells no distribution: unless
all its samples are equal there are no percentiles for its span, and none where a value is negative.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_concepts.html#Percentiles
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from lakebed.kernel.errors import AwsError, not_built

POINTS_MAX = 100
SIMPLE = ("SampleCount", "Average", "Sum", "Minimum", "Maximum")
_PERCENTILE = re.compile(r"p(\d{1,3}(?:\.\d{1,10})?)")
_OTHER = re.compile(r"(?i)(tm|wm|tc|ts|pr)\d*(\(.*\))?(\.\d+)?|tm\d+(\.\d+)?|iqm")
Points = tuple[tuple[float, float], ...]


class Aggregate(NamedTuple):
    """``points`` are (value, count) pairs in order of values; None where the distribution is not known."""

    samples: float
    total: float
    low: float
    high: float
    points: Points | None

    def statistic(self, name: str) -> float | None:
        """One of AWS's statistics, None where it is not available for this span."""
        if name == "SampleCount":
            return self.samples
        if name == "Sum":
            return self.total
        if name == "Minimum":
            return self.low
        if name == "Maximum":
            return self.high
        if name == "Average":
            return self.total / self.samples if self.samples else None
        if self.points is None or self.low < 0 or not self.samples:
            return None
        return percentile(self.points, float(name[1:]), self.low, self.high)


def of_values(values: Sequence[float], counts: Sequence[float]) -> Aggregate:
    """Values with how often each was seen."""
    total = math.fsum(value * count for value, count in zip(values, counts, strict=True))
    return Aggregate(math.fsum(counts), total, min(values), max(values), bounded(zip(values, counts, strict=True)))


def of_statistics(count: float, total: float, low: float, high: float) -> Aggregate:
    """A statistic set: distribution known only where every sample is the same."""
    return Aggregate(count, total, low, high, ((low, count),) if low == high or count == 1 else None)


def merge(first: Aggregate, second: Aggregate) -> Aggregate:
    """Both spans together."""
    known = first.points is not None and second.points is not None
    return Aggregate(
        first.samples + second.samples,
        first.total + second.total,
        min(first.low, second.low),
        max(first.high, second.high),
        bounded((*first.points, *second.points)) if known and first.points and second.points else None,
    )


def bounded(pairs: Iterable[tuple[float, float]]) -> Points:
    """Equal values added up, in order, at most ``POINTS_MAX`` of them."""
    seen: dict[float, float] = {}
    for value, count in pairs:
        seen[value] = seen.get(value, 0.0) + count
    points = sorted(seen.items())
    while len(points) > POINTS_MAX:
        points = _thinned(points, len(points) - POINTS_MAX)
    return tuple(points)


def _thinned(points: list[tuple[float, float]], excess: int) -> list[tuple[float, float]]:
    """Merge up to ``excess`` pairs of neighbours, the relatively closest first, none of them twice."""

    def gap(at: int) -> float:
        left, right = points[at][0], points[at + 1][0]
        return (right - left) / max(abs(left), abs(right))

    taken: set[int] = set()
    for at in sorted(range(len(points) - 1), key=gap):
        if len(taken) == excess:
            break
        if at not in taken and at - 1 not in taken and at + 1 not in taken:
            taken.add(at)
    kept: list[tuple[float, float]] = []
    at = 0
    while at < len(points):
        value, count = points[at]
        if at in taken:
            other, weight = points[at + 1]
            both = count + weight
            kept.append((value * (count / both) + other * (weight / both) if both else value, both))
            at += 2
        else:
            kept.append((value, count))
            at += 1
    return kept


def percentile(points: Points, percent: float, low: float, high: float) -> float:
    """The smallest value with at least ``percent`` of the samples at or below it."""
    if percent <= 0:
        return low
    if percent >= 100:
        return high
    wanted = math.fsum(count for _, count in points) * percent / 100
    reached = 0.0
    for value, count in points:
        reached += count
        if reached >= wanted - 1e-9:
            return value
    return high


def check_statistic(operation: str, name: str) -> str:
    """A statistic as we compute it; trimmed ones are refused by name, nonsense as AWS does."""
    if name in SIMPLE:
        return name
    found = _PERCENTILE.fullmatch(name)
    if found and float(found[1]) <= 100:
        return name
    if _OTHER.fullmatch(name):
        raise not_built("cloudwatch", operation, f"statistic {name}")
    raise AwsError("InvalidParameterValue", f"The value {name} for parameter Stat is invalid.")
