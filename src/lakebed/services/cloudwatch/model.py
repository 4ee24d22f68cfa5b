"""Series, what PutMetricData accepts, and how long which resolution is kept.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_concepts.html (metrics retention)
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from lakebed.api import cloudwatch as api
from lakebed.kernel.errors import AwsError
from lakebed.kernel.scope import Scope
from lakebed.services.cloudwatch.aggregate import Aggregate, of_statistics, of_values

HOUR, DAY = 3600, 86_400
# Seconds a row of a tier spans, and the age at which it goes: removed (1, 3600) or rolled up into the next.
KEPT_SECONDS = {1: 3 * HOUR, 60: 15 * DAY, 300: 63 * DAY, 3600: 455 * DAY}
ROLLED_INTO = {60: 300, 300: 3600}
RECENT_SECONDS = 3 * HOUR
LISTED_SECONDS = 14 * DAY
DATA_MAX = 1000
VALUES_MAX = 150
DIMENSIONS_MAX = 30
_OLDEST, _NEWEST = 14 * DAY, 2 * HOUR
_MAGNITUDE_MAX = 2.0**360


class Key(NamedTuple):
    """A series: what is measured, of what. ``dimensions`` is in order of names."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...]

    @property
    def text(self) -> str:
        """The dimensions as the store compares them."""
        return msgspec.json.encode(self.dimensions).decode()

    def shown(self) -> dict[str, Any]:
        """As Metric."""
        return {"Namespace": self.namespace, "MetricName": self.name, "Dimensions": shown_dimensions(self.dimensions)}


class Datum(NamedTuple):
    """One accepted element of PutMetricData."""

    key: Key
    at: float
    unit: str
    high_resolution: bool
    value: Aggregate


def shown_dimensions(dimensions: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    """As a list of Dimension."""
    return [{"Name": name, "Value": value} for name, value in dimensions]


def key_of(namespace: str, name: str, dimensions: Sequence[Mapping[str, Any]]) -> Key:
    """The series a request names."""
    if len(dimensions) > DIMENSIONS_MAX:
        raise AwsError(
            "InvalidParameterValue", f"The collection Dimensions must not have a size greater than {DIMENSIONS_MAX}."
        )
    pairs = sorted((str(one["Name"]), str(one["Value"])) for one in dimensions)
    for part in (namespace, name, *(text for pair in pairs for text in pair)):
        if not part.strip() or not part.isascii() or not part.isprintable():
            raise AwsError("InvalidParameterValue", f"The value {part!r} must be printable ASCII and not only spaces.")
    if namespace.startswith(":") or any(one.startswith(":") for one, _ in pairs):
        raise AwsError("InvalidParameterValue", "A namespace or the name of a dimension must not begin with a colon.")
    if len({one for one, _ in pairs}) < len(pairs):
        raise AwsError("InvalidParameterValue", "The collection Dimensions must not name a dimension twice.")
    return Key(namespace, name, tuple(pairs))


def accept(namespace: str, given: Sequence[Mapping[str, Any]], now: float) -> list[Datum]:
    """Check a request as a whole."""
    if namespace.startswith("AWS/"):
        raise api.InvalidParameterValueException("The value AWS/ for parameter Namespace is invalid.")
    if len(given) > DATA_MAX:
        raise api.InvalidParameterValueException(
            f"The collection MetricData must not have a size greater than {DATA_MAX}."
        )
    return [_datum(namespace, datum, f"MetricData.member.{at}", now) for at, datum in enumerate(given, 1)]


def _datum(namespace: str, given: Mapping[str, Any], where: str, now: float) -> Datum:
    at = float(given.get("Timestamp", now))
    if not math.isfinite(at) or at < now - _OLDEST:
        raise api.InvalidParameterValueException(
            f"The parameter {where}.Timestamp must specify a time no more than two weeks in the past."
        )
    if at > now + _NEWEST:
        raise api.InvalidParameterValueException(
            f"The parameter {where}.Timestamp must specify a time within two hours of now."
        )
    resolution = given.get("StorageResolution", 60)
    if resolution not in (1, 60):
        raise api.InvalidParameterValueException(
            f"The value {resolution} for parameter {where}.StorageResolution is invalid: it must be 1 or 60."
        )
    key = key_of(namespace, given["MetricName"], given.get("Dimensions") or ())
    return Datum(key, at, given.get("Unit", "None"), resolution == 1, _value(given, where))


def _value(given: Mapping[str, Any], where: str) -> Aggregate:
    kinds = [kind for kind in ("Value", "Values", "StatisticValues") if kind in given]
    if not kinds:
        raise api.MissingRequiredParameterException(
            f"At least one of the parameters {where}.Value, {where}.Values or {where}.StatisticValues must be specified."
        )
    if len(kinds) > 1:
        raise api.InvalidParameterCombinationException(
            f"The parameters {where}.{kinds[0]} and {where}.{kinds[1]} are mutually exclusive and you have specified both."
        )
    if "Counts" in given and kinds != ["Values"]:
        raise api.InvalidParameterCombinationException(f"The parameter {where}.Counts needs {where}.Values.")
    if kinds == ["StatisticValues"]:
        return _statistics(given["StatisticValues"], where)
    values = [float(value) for value in (given["Values"] if kinds == ["Values"] else [given["Value"]])]
    counts = [float(count) for count in given.get("Counts") or [1.0] * len(values)]
    if not values:
        raise api.InvalidParameterValueException(f"The collection {where}.Values must not be empty.")
    if len(values) > VALUES_MAX:
        raise api.InvalidParameterValueException(
            f"The collection {where}.Values must not have a size greater than {VALUES_MAX}."
        )
    if len(counts) != len(values):
        raise api.InvalidParameterValueException(
            f"The parameters {where}.Values and {where}.Counts must be of same size."
        )
    _check(values, f"{where}.{kinds[0]}")
    _check(counts, f"{where}.Counts", positive=True)
    return of_values(values, counts)


def _statistics(given: Mapping[str, float], where: str) -> Aggregate:
    count, total, low, high = (float(given[name]) for name in ("SampleCount", "Sum", "Minimum", "Maximum"))
    _check([total, low, high], f"{where}.StatisticValues")
    _check([count], f"{where}.StatisticValues.SampleCount", positive=True)
    if low > high:
        raise api.InvalidParameterValueException(f"{where}.StatisticValues: Minimum must not exceed Maximum.")
    return of_statistics(count, total, low, high)


def _check(values: Sequence[float], where: str, *, positive: bool = False) -> None:
    for value in values:
        if not math.isfinite(value) or abs(value) > _MAGNITUDE_MAX or (positive and value <= 0):
            raise api.InvalidParameterValueException(f"The value {value} for parameter {where} is invalid.")


def check_tags(tags: Mapping[str, str]) -> None:
    """At most 50."""
    if len(tags) > 50:
        raise AwsError("ValidationError", "A resource can have no more than 50 tags.")


def alarm_arn(scope: Scope, name: str) -> str:
    """The ARN of an alarm."""
    return scope.arn("cloudwatch", f"alarm:{name}")


def dashboard_arn(scope: Scope, name: str) -> str:
    """The ARN of a dashboard, which has no region."""
    return scope.global_arn("cloudwatch", f"dashboard/{name}")
