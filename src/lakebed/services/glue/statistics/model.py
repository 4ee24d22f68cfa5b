"""What is counted of a column, as SQL of Athena's dialect, and Glue's shape of the answer.

A column's Hive type decides: LONG (integers, and timestamps as seconds, as Hive keeps them), DOUBLE, DECIMAL, DATE, STRING,
BINARY, BOOLEAN. Arrays, maps and structs have no statistics in Glue either.
https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-catalog-column-statistics.html
"""

from __future__ import annotations

import calendar
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from lakebed.api import glue as api

_KINDS = {
    "tinyint": "LONG", "smallint": "LONG", "int": "LONG", "integer": "LONG", "bigint": "LONG", "timestamp": "LONG",
    "float": "DOUBLE", "double": "DOUBLE", "decimal": "DECIMAL", "date": "DATE", "string": "STRING", "varchar": "STRING",
    "char": "STRING", "binary": "BINARY", "boolean": "BOOLEAN",
}  # fmt: skip
_MEMBERS = {kind: f"{kind.capitalize()}ColumnStatisticsData" for kind in set(_KINDS.values())}
WIDTH = 4  # expressions of a column


def kind_of(hive_type: str) -> str | None:
    """The statistics' type for a column's, None where it has none."""
    return _KINDS.get(hive_type.lower().partition("(")[0].strip())


def check(given: Mapping[str, Any]) -> None:
    """The data of a statistic stands in the member its type names, and nowhere else."""
    data = given["StatisticsData"]
    if set(data) != {"Type", _MEMBERS[data["Type"]]}:
        raise api.InvalidInputException(f"Statistics of the type {data['Type']} need {_MEMBERS[data['Type']]} alone.")


def expressions(name: str, hive_type: str) -> list[str]:
    """What is selected of a column: always ``WIDTH`` expressions, the first the number of nulls."""
    column = '"' + name.replace('"', '""') + '"'
    nulls, distinct = f"count(*) - count({column})", f"count(DISTINCT {column})"
    kind = kind_of(hive_type)
    if kind in ("STRING", "BINARY"):
        counted = distinct if kind == "STRING" else "0"
        return [nulls, counted, f"max(length({column}))", f"avg(CAST(length({column}) AS double))"]
    if kind == "BOOLEAN":
        return [nulls, "0", f"count_if({column})", f"count_if(NOT {column})"]
    low, high = f"min({column})", f"max({column})"
    if hive_type.lower() == "timestamp":
        low, high = (f"CAST(floor(to_unixtime({one})) AS bigint)" for one in (low, high))
    return [nulls, distinct, low, high]


def shaped(name: str, hive_type: str, values: Sequence[str | None], now: float) -> dict[str, Any]:
    """A ColumnStatistics out of the values of ``expressions``."""
    kind = kind_of(hive_type)
    assert kind is not None, "a column without statistics is not counted"
    nulls, distinct, first, second = values
    data: dict[str, Any] = {"NumberOfNulls": int(nulls or 0)}
    if kind == "BOOLEAN":
        data |= {"NumberOfTrues": int(first or 0), "NumberOfFalses": int(second or 0)}
    elif kind in ("STRING", "BINARY"):
        data |= {"MaximumLength": int(first or 0), "AverageLength": float(second or 0)}
    elif first is not None and second is not None:
        data |= {"MinimumValue": _value(kind, first), "MaximumValue": _value(kind, second)}
    if kind not in ("BOOLEAN", "BINARY"):
        data["NumberOfDistinctValues"] = int(distinct or 0)
    return {
        "ColumnName": name,
        "ColumnType": hive_type,
        "AnalyzedTime": now,
        "StatisticsData": {"Type": kind, _MEMBERS[kind]: data},
    }


def _value(kind: str, text: str) -> Any:
    if kind == "LONG":
        return int(text)
    if kind == "DOUBLE":
        return float(text.replace("Infinity", "inf"))
    if kind == "DATE":
        return float(calendar.timegm(date.fromisoformat(text).timetuple()))
    number = Decimal(text)
    scale = -int(number.as_tuple().exponent)
    unscaled = int(number.scaleb(scale))
    return {"UnscaledValue": unscaled.to_bytes(unscaled.bit_length() // 8 + 1, "big", signed=True), "Scale": scale}
