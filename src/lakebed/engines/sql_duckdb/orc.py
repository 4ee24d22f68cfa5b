"""ORC files in the engine process: DuckDB's rows through Arrow into pyarrow's ORC writer, batch by batch.

https://docs.aws.amazon.com/firehose/latest/APIReference/API_OrcSerDe.html. pyarrow belongs to ``lakebed[lake]`` and is
imported here alone, in the child process; without it the conversion is refused, naming the extra.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lakebed.ports.sql import SqlFailure

_BATCH_ROWS = 10_000
_STRIPE_BYTES = 64 << 20


def write(connection: Any, select: str, target: Path, compression: str, options: dict[str, Any]) -> None:
    """Write the rows of a statement."""
    try:
        from pyarrow import orc
    except ImportError:
        raise SqlFailure("NOT_SUPPORTED", "ORC needs pyarrow: install lakebed[lake]") from None
    import pyarrow

    batches = connection.execute(select).to_arrow_reader(_BATCH_ROWS)
    schema = batches.schema
    bloom = [schema.get_field_index(name.lower()) for name in options.get("BloomFilterColumns", ())]
    writer = orc.ORCWriter(
        str(target),
        file_version="0.11" if options.get("FormatVersion") == "V0_11" else "0.12",
        stripe_size=int(options.get("StripeSizeBytes", _STRIPE_BYTES)),
        compression={"none": "uncompressed"}.get(compression, compression),
        row_index_stride=int(options.get("RowIndexStride", 10_000)),
        padding_tolerance=float(options.get("PaddingTolerance", 0.05)) if options.get("EnablePadding") else 0.0,
        dictionary_key_size_threshold=float(options.get("DictionaryKeyThreshold", 0.0)),
        bloom_filter_columns=[place for place in bloom if place >= 0] or None,
        bloom_filter_fpp=float(options.get("BloomFilterFalsePositiveProbability", 0.05)),
    )
    try:
        for batch in batches:
            writer.write(pyarrow.Table.from_batches([batch]))
    finally:
        writer.close()
