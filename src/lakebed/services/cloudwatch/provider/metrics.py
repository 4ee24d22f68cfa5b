"""Metrics: put, read as statistics, listed.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lakebed.api import cloudwatch as api
from lakebed.kernel.scope import Scope
from lakebed.ports.service import Context, operation
from lakebed.services.cloudwatch import model
from lakebed.services.cloudwatch.aggregate import SIMPLE, Aggregate, check_statistic
from lakebed.services.cloudwatch.model import Key
from lakebed.services.cloudwatch.reading import Ledger, span
from lakebed.services.cloudwatch.store import Listed

_DATAPOINTS_MAX = 1440
_PAGE = 500
_SCANNED_MAX = 20_000


class MetricOperations:
    """Metrics and their statistics."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.k = ledger.k

    @operation("PutMetricData", refused=("EntityMetricData", "StrictEntityValidation"))
    async def put_metric_data(self, ctx: Context, req: api.PutMetricDataInput) -> None:
        """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html"""
        given = req.get("MetricData") or []
        if not given:
            raise api.MissingRequiredParameterException("The parameter MetricData is required.")
        data = model.accept(req["Namespace"], given, ctx.now)
        with self.k.db.tx() as tx:
            for datum in data:
                self.ledger.add(tx, ctx.scope, datum, ctx.now)

    @operation("GetMetricStatistics")
    async def get_metric_statistics(self, ctx: Context, req: api.GetMetricStatisticsInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricStatistics.html"""
        simple, extended = req.get("Statistics") or [], req.get("ExtendedStatistics") or []
        if not simple and not extended:
            raise api.InvalidParameterCombinationException(
                "At least one of the parameters Statistics or ExtendedStatistics must be specified."
            )
        for name in extended:
            if check_statistic("GetMetricStatistics", name) in SIMPLE:
                raise api.InvalidParameterValueException(
                    f"The value {name} for parameter ExtendedStatistics is invalid."
                )
        within = span(req["StartTime"], req["EndTime"], req["Period"], ctx.now)
        if within.points > _DATAPOINTS_MAX:
            raise api.InvalidParameterCombinationException(
                f"You have requested up to {within.points:,} datapoints, which exceeds the limit of {_DATAPOINTS_MAX:,}. "
                "You may reduce the datapoints requested by increasing Period, or decreasing the time range."
            )
        key = model.key_of(req["Namespace"], req["MetricName"], req.get("Dimensions") or ())
        found = self.ledger.by_unit(ctx.scope, key, req.get("Unit"), within)
        points = [_datapoint(at, unit, value, simple, extended) for (at, unit), value in sorted(found.items())]
        return {"Label": key.name, "Datapoints": points}

    @operation("ListMetrics", refused=("IncludeLinkedAccounts", "OwningAccount"))
    async def list_metrics(self, ctx: Context, req: api.ListMetricsInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_ListMetrics.html"""
        recent = "RecentlyActive" in req
        if recent and req["RecentlyActive"] != "PT3H":
            raise api.InvalidParameterValueException("The value of RecentlyActive must be PT3H.")
        since = ctx.now - (model.RECENT_SECONDS if recent else model.LISTED_SECONDS)
        found, behind = self._listed(ctx.scope, _read_token(req.get("NextToken")), since, req)
        result: dict[str, Any] = {"Metrics": [one.key.shown() for one in found]}
        if behind is not None:
            result["NextToken"] = str(behind)
        return result

    def _listed(
        self, scope: Scope, after: int, since: float, req: api.ListMetricsInput
    ) -> tuple[list[Listed], int | None]:
        """A page of series, and where to go on; work is bounded as the page is."""
        found: list[Listed] = []
        filters, scanned = req.get("Dimensions") or [], 0
        while True:
            page = self.ledger.series.listed(scope, after, since, _PAGE, req.get("Namespace"), req.get("MetricName"))
            for one in page:
                if len(found) == _PAGE:
                    return found, after
                if _matches(one.key, filters):
                    found.append(one)
                after = one.id
            scanned += len(page)
            if len(page) < _PAGE:
                return found, None
            if scanned >= _SCANNED_MAX:
                return found, after


def _matches(key: Key, filters: Sequence[api.DimensionFilter]) -> bool:
    dimensions = dict(key.dimensions)
    return all(
        one["Name"] in dimensions and one.get("Value", dimensions[one["Name"]]) == dimensions[one["Name"]]
        for one in filters
    )


def _read_token(token: str | None) -> int:
    if token is None:
        return 0
    if not (token.isascii() and token.isdigit() and len(token) < 19):
        raise api.InvalidParameterValueException("The value of NextToken is invalid.")
    return int(token)


def _datapoint(at: int, unit: str, value: Aggregate, simple: Sequence[str], extended: Sequence[str]) -> dict[str, Any]:
    point: dict[str, Any] = {"Timestamp": float(at), "Unit": unit}
    for name in simple:
        point[name] = value.statistic(name)
    known = {name: one for name in extended if (one := value.statistic(name)) is not None}
    if known:
        point["ExtendedStatistics"] = known
    return point
