"""Conversion: records to columnar files, off the event loop. Built by engines/sql_duckdb, used by Firehose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Conversion:
    """One file to make. ``source`` holds one JSON object a line; ``columns`` are (name, Hive type) in table order.

    Keys match columns case-insensitively unless ``case_insensitive`` is off; ``rename`` maps a JSON key to a column name.
    ``dots_to_underscores`` takes ``a.b`` for ``a_b``. Timestamps are read by ``timestamp_formats`` (Joda's patterns, or
    ``millis``), in order, where there are any. Values that do not fit their column's type reject the record.
    ``format``: parquet or orc; ``compression``: snappy, gzip, zstd, uncompressed, of ORC zlib, snappy, none; ``options``
    are ORC's by their names in API_OrcSerDe. ORC needs pyarrow (``lakebed[lake]``).
    """

    source: Path
    target: Path
    columns: Sequence[tuple[str, str]]
    format: str = "parquet"
    compression: str = "snappy"
    row_group_bytes: int = 128 << 20
    case_insensitive: bool = True
    rename: Mapping[str, str] = field(default_factory=dict)
    dots_to_underscores: bool = False
    timestamp_formats: Sequence[str] = ()
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Converted:
    """What came of it: rows written, and (line number from 0, reason) of every rejected record."""

    rows: int
    rejected: Sequence[tuple[int, str]]


class Converter(Protocol):
    """Runs in the engine's own process; bounded; AwsError InternalFailure when the engine died (safe to try again)."""

    async def convert(self, job: Conversion) -> Converted:
        """Write ``job.target`` whole (rows may be 0: then no file is written)."""
        ...
