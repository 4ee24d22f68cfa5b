"""Inspection: what a file holds, told from its first bytes or its footer. Built by engines/sql_duckdb, used by crawlers.

Classification goes as Glue's crawlers do it: custom classifiers in their order, then the built-in ones in theirs
(https://docs.aws.amazon.com/glue/latest/dg/add-classifier.html). At most a megabyte of text is looked at (JSON: ten).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class Suspect:
    """A file to look at; ``key`` is its name, whose ending may tell its compression."""

    path: str
    key: str
    size: int


@dataclass(frozen=True, slots=True)
class Inspected:
    """``classification`` is the classifier's (UNKNOWN: none knew it); ``columns`` are (name, Hive type).

    ``options`` say how it is read: ``delimiter``, ``quote``, ``header`` (1), ``serde`` of CSV; ``json_path``; ``row_tag``;
    ``grok``, ``custom_patterns``; ``avro_schema``. ``records`` is exact for columnar files, else an estimate by the sample.
    """

    classification: str = UNKNOWN
    compression: str = "none"
    columns: Sequence[tuple[str, str]] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    records: int = 0


Classifier = Mapping[str, Any]  # ``kind`` grok, xml, json or csv, and Glue's members of that classifier
