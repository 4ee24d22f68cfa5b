"""The metadata tables of an Iceberg table: ``"t$history"`` and its like, their columns as (name, Hive type).

``partitions`` is not among ``COLUMNS``: its first column is a row of the table's own partition fields.
https://docs.aws.amazon.com/athena/latest/ug/querying-iceberg-table-metadata.html
"""

from __future__ import annotations

_MOMENT = "timestamp with time zone"
_COUNTS = "map<int,bigint>"
COLUMNS: dict[str, list[tuple[str, str]]] = {
    "history": [
        ("made_current_at", _MOMENT),
        ("snapshot_id", "bigint"),
        ("parent_id", "bigint"),
        ("is_current_ancestor", "boolean"),
    ],
    "snapshots": [
        ("committed_at", _MOMENT),
        ("snapshot_id", "bigint"),
        ("parent_id", "bigint"),
        ("operation", "string"),
        ("manifest_list", "string"),
        ("summary", "map<string,string>"),
    ],
    "refs": [
        ("name", "string"),
        ("type", "string"),
        ("snapshot_id", "bigint"),
        ("max_reference_age_in_ms", "bigint"),
        ("min_snapshots_to_keep", "int"),
        ("max_snapshot_age_in_ms", "bigint"),
    ],
    "manifests": [
        ("path", "string"),
        ("length", "bigint"),
        ("partition_spec_id", "int"),
        ("added_snapshot_id", "bigint"),
        ("added_data_files_count", "int"),
        ("added_rows_count", "bigint"),
        ("existing_data_files_count", "int"),
        ("existing_rows_count", "bigint"),
        ("deleted_data_files_count", "int"),
        ("deleted_rows_count", "bigint"),
        (
            "partition_summaries",
            "array<struct<contains_null:boolean,contains_nan:boolean,lower_bound:string,upper_bound:string>>",
        ),
    ],
    "files": [
        ("content", "int"),
        ("file_path", "string"),
        ("file_format", "string"),
        ("record_count", "bigint"),
        ("file_size_in_bytes", "bigint"),
        ("column_sizes", _COUNTS),
        ("value_counts", _COUNTS),
        ("null_value_counts", _COUNTS),
        ("nan_value_counts", _COUNTS),
        ("lower_bounds", "map<int,string>"),
        ("upper_bounds", "map<int,string>"),
        ("key_metadata", "binary"),
        ("split_offsets", "array<bigint>"),
        ("equality_ids", "array<int>"),
    ],
}
NAMES = (*COLUMNS, "partitions")


def split(name: str) -> tuple[str, str]:
    """``t$history`` as (``t``, ``history``); any other name with no metadata table."""
    table, mark, what = name.rpartition("$")
    return (table, what) if mark and table and what in NAMES else (name, "")
