"""What a file holds: Glue's classifiers over the first bytes or the footer of a file, in the engine's own process.

The order is Glue's (https://docs.aws.amazon.com/glue/latest/dg/add-classifier.html): the custom classifiers as given, then
Avro, ORC, Parquet, JSON, XML, the logs, CSV. BSON and Ion are not known (no light library reads them), so their files are
UNKNOWN. Strangers' text meets regular expressions and parsers here only, where it can be killed.
"""

from __future__ import annotations

from typing import Any

from lakebed.engines.sql_duckdb.inspection import columnar, csv_text, json_text, logs, xml_text
from lakebed.engines.sql_duckdb.inspection.sample import Sample, open_sample
from lakebed.engines.sql_duckdb.instance import Instances
from lakebed.ports.inspection import UNKNOWN

_TEXT = (json_text.classify, xml_text.classify, logs.classify, csv_text.classify)
_CUSTOM = {
    "grok": logs.classify_custom, "xml": xml_text.classify_custom, "json": json_text.classify_custom,
    "csv": csv_text.classify_custom,
}  # fmt: skip


def inspect(instances: Instances, request: dict[str, Any]) -> list[dict[str, Any]]:
    """One answer for each file."""
    return [_one(instances, file, request["classifiers"]) for file in request["files"]]


def _one(instances: Instances, file: dict[str, Any], classifiers: list[dict[str, Any]]) -> dict[str, Any]:
    unknown: dict[str, Any] = {"classification": UNKNOWN}
    try:
        columns = columnar.classify(instances, file["path"])
        if columns is not None:
            return columns
        sample = open_sample(file["path"], file["key"], file["size"])
        if sample is None or not sample.data.strip():
            return unknown
        found = _text(sample, classifiers)
    except (OSError, RecursionError):  # gone, truncated, or nested beyond reason: no crawl fails by one file
        return unknown
    if found is None:
        return {**unknown, "compression": sample.compression}
    return {**found, "compression": sample.compression}


def _text(sample: Sample, classifiers: list[dict[str, Any]]) -> dict[str, Any] | None:
    for one in classifiers:
        found = _CUSTOM[one["kind"]](sample, one)
        if found is not None:
            return found
    for classify in _TEXT:
        found = classify(sample)
        if found is not None:
            return found
    return None
