"""GetMetricData: many metrics and expressions in one call, in pages of datapoints.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html
"""

from __future__ import annotations

import re
from typing import Any

from lakebed.api import cloudwatch as api
from lakebed.kernel.errors import AwsError
from lakebed.ports.service import Context, operation
from lakebed.services.cloudwatch import queries
from lakebed.services.cloudwatch.reading import Ledger

_DATAPOINTS_MAX = 100_800
_ZONE = re.compile(r"[+-](0\d|1[0-4])[0-5]\d")


class DataOperations:
    """Values of queries."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    @operation("GetMetricData")
    async def get_metric_data(self, ctx: Context, req: api.GetMetricDataInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html"""
        zone = (req.get("LabelOptions") or {}).get("Timezone", "+0000")
        if not _ZONE.fullmatch(zone):
            raise AwsError("ValidationError", f"The value {zone} for parameter LabelOptions.Timezone is invalid.")
        limit = req.get("MaxDatapoints", _DATAPOINTS_MAX)
        if not 1 <= limit <= _DATAPOINTS_MAX:
            raise AwsError("ValidationError", f"MaxDatapoints must be between 1 and {_DATAPOINTS_MAX}.")
        if not req["StartTime"] < req["EndTime"]:
            raise AwsError("ValidationError", "The parameter StartTime must be less than the parameter EndTime.")
        asked = queries.checked("GetMetricData", req["MetricDataQueries"])
        stretch = req["StartTime"], req["EndTime"]
        evaluation = queries.Evaluation("GetMetricData", self.ledger, ctx.scope, asked, stretch)
        descending = req.get("ScanBy", "TimestampDescending") == "TimestampDescending"
        full = [(query, sorted(evaluation.series(query).items(), reverse=descending)) for query in asked if query.shown]
        return _paged(full, _read_token(req.get("NextToken")), limit)


def _paged(full: list[tuple[queries.Query, list[tuple[int, float]]]], start: int, limit: int) -> dict[str, Any]:
    """The datapoints from ``start`` on, counted over all results."""
    results: list[dict[str, Any]] = []
    passed, end = 0, start + limit
    for query, points in full:
        first, last = max(0, start - passed), max(0, end - passed)
        chosen = points[first:last]
        if chosen or (not points and start == 0):
            results.append({
                "Id": query.id, "Label": query.label, "Timestamps": [float(at) for at, _ in chosen],
                "Values": [value for _, value in chosen],
                "StatusCode": "PartialData" if last < len(points) else "Complete",
            })  # fmt: skip
        passed += len(points)
    told: dict[str, Any] = {"MetricDataResults": results, "Messages": []}
    if end < passed:
        told["NextToken"] = str(end)
    return told


def _read_token(token: str | None) -> int:
    if token is None:
        return 0
    if not (token.isascii() and token.isdigit() and len(token) < 12):
        raise api.InvalidNextToken("The value of NextToken is invalid.")
    return int(token)
