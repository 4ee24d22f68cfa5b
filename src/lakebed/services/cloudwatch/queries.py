"""Queries of metric data: metrics by statistic and expressions over them, checked and computed for a stretch of time.

GetMetricData and alarms on several metrics share them.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDataQuery.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from lakebed.kernel.errors import AwsError, not_built
from lakebed.kernel.scope import Scope
from lakebed.services.cloudwatch import mathematics, model
from lakebed.services.cloudwatch.aggregate import check_statistic
from lakebed.services.cloudwatch.mathematics import Series, Times, Value
from lakebed.services.cloudwatch.model import Key
from lakebed.services.cloudwatch.reading import Ledger, span

QUERIES_MAX = 500
_POINTS_MAX = 500_000
_ID = re.compile(r"[a-z][A-Za-z0-9_]*")
_NESTING_MAX = 20


class Query(NamedTuple):
    """A checked query; ``key`` and ``stat`` are of a metric, ``expression`` of the other kind."""

    id: str
    label: str
    shown: bool
    period: int
    key: Key | None
    stat: str
    unit: str | None
    expression: str


def checked(operation: str, given: Sequence[Mapping[str, Any]]) -> list[Query]:
    """The queries of a request, or AWS's error."""
    if not given or len(given) > QUERIES_MAX:
        raise AwsError("ValidationError", f"Between 1 and {QUERIES_MAX} MetricDataQueries must be given.")
    queries = [_query(operation, one) for one in given]
    ids = [query.id for query in queries]
    if len(set(ids)) < len(ids):
        raise AwsError("ValidationError", "The ids of MetricDataQueries must be unique.")
    for query in queries:
        for name in mathematics.names_in(query.expression) - set(ids):
            raise mathematics.invalid(query.expression, f"{name} is not the id of a query")
    return queries


def _query(operation: str, given: Mapping[str, Any]) -> Query:
    if not _ID.fullmatch(given["Id"]):
        raise AwsError(
            "ValidationError", f"The value {given['Id']} for parameter Id is not matching the expected pattern."
        )
    if ("MetricStat" in given) == ("Expression" in given):
        raise AwsError("ValidationError", f"Exactly one of MetricStat and Expression must be given for {given['Id']}.")
    if "AccountId" in given:
        raise not_built("cloudwatch", operation, "AccountId of another account's metrics")
    label = given.get("Label", "")
    if "${" in label:
        raise not_built("cloudwatch", operation, "dynamic labels")
    shown = given.get("ReturnData", True)
    if "Expression" in given:
        if "SEARCH(" in given["Expression"].replace(" ", "").upper():
            raise not_built("cloudwatch", operation, "SEARCH expressions")
        return Query(
            given["Id"], label or given["Id"], shown, given.get("Period", 0), None, "", None, given["Expression"]
        )
    stat = given["MetricStat"]
    metric = stat["Metric"]
    if "Namespace" not in metric or "MetricName" not in metric:
        raise AwsError("ValidationError", f"The metric of {given['Id']} needs Namespace and MetricName.")
    key = model.key_of(metric["Namespace"], metric["MetricName"], metric.get("Dimensions") or ())
    name = check_statistic(operation, stat["Stat"])
    return Query(given["Id"], label or key.name, shown, stat["Period"], key, name, stat.get("Unit"), "")


class Evaluation:
    """The values of a set of queries over one stretch of time, each computed when first asked for."""

    def __init__(
        self, operation: str, ledger: Ledger, scope: Scope, queries: Sequence[Query], stretch: tuple[float, float]
    ) -> None:
        self._operation, self._ledger, self._scope = operation, ledger, scope
        self._queries = {query.id: query for query in queries}
        self._start, self._end = stretch
        self._now = ledger.k.clock.now()
        self._values: dict[str, Value] = {}
        self._busy: list[str] = []
        metrics = [query.period for query in queries if query.key is not None]
        self._period = max(metrics, default=60)
        points = sum(span(self._start, self._end, period, self._now).points for period in metrics)
        if points > _POINTS_MAX:
            raise AwsError(
                "ValidationError", f"The request asks for {points:,} datapoints; at most {_POINTS_MAX:,} can be."
            )

    def series(self, query: Query) -> Series:
        """What a query yields as one series; an array is refused as the result."""
        value = self._value(query.id)
        if isinstance(value, dict):
            return value
        if isinstance(value, list):
            raise not_built("cloudwatch", self._operation, f"{query.id}: an array of series as a result")
        if isinstance(value, str):
            raise mathematics.invalid(query.expression, "it is a string")
        within = span(self._start, self._end, query.period or self._period, self._now)
        if within.points > _POINTS_MAX:
            raise AwsError("ValidationError", f"At most {_POINTS_MAX:,} datapoints can be asked for.")
        return {at: float(value) for at in Times(*within).all()}

    def _value(self, query_id: str) -> Value:
        if query_id not in self._values:
            if query_id in self._busy or len(self._busy) >= _NESTING_MAX:
                raise mathematics.invalid(
                    self._queries[query_id].expression, "it depends on itself or is nested too deeply"
                )
            self._busy.append(query_id)
            self._values[query_id] = self._computed(self._queries[query_id])
            self._busy.pop()
        return self._values[query_id]

    def _computed(self, query: Query) -> Value:
        if query.key is not None:
            within = span(self._start, self._end, query.period, self._now)
            values = self._ledger.by_period(self._scope, query.key, query.unit, within)
            found = {at: value.statistic(query.stat) for at, value in sorted(values.items())}
            return {at: value for at, value in found.items() if value is not None}
        period = query.period or self._period
        within = span(self._start, self._end, period, self._now)
        if within.points > _POINTS_MAX:
            raise AwsError("ValidationError", f"At most {_POINTS_MAX:,} datapoints can be asked for.")
        names = mathematics.names_in(query.expression)
        known = {name: self._value(name) for name in names}
        metrics: dict[str, Series] = {}
        if "METRICS" in query.expression:
            for other in self._queries.values():
                value = self._value(other.id) if other.key is not None else None
                if isinstance(value, dict):
                    metrics[other.id] = value
        return mathematics.evaluate(self._operation, query.expression, known, metrics, Times(*within))
