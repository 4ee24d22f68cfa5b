"""Metadata tables (``"t$history"`` and the like) with Trino's columns, as Parquet. Runs in the child.

``COLUMNS`` are theirs by name; the rows are read from the metadata, the manifest list and the manifests.
https://docs.aws.amazon.com/athena/latest/ug/querying-iceberg-table-metadata.html,
https://trino.io/docs/current/connector/iceberg.html#metadata-tables
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.conversions import from_bytes
from pyiceberg.io.pyarrow import schema_to_pyarrow
from pyiceberg.manifest import DataFileContent
from pyiceberg.table.snapshots import ancestors_of
from pyiceberg.transforms import IdentityTransform

from lakebed.lake.tables import planning
from lakebed.lake.tables.metatables import COLUMNS
from lakebed.lake.types import Type, parse_hive
from lakebed.ports.sql import SqlFailure

Row = dict[str, Any]


def write(metadata: Any, io: Any, name: str, path: Any) -> int:
    """The rows of a metadata table into a file; how many there are."""
    columns = COLUMNS.get(name)
    if columns is None and name != "partitions":
        raise SqlFailure("TABLE_NOT_FOUND", f"there is no metadata table ${name}")
    if columns is None:
        schema, rows = _partitions(metadata, io)
    else:
        schema = pa.schema([(column, _arrow(parse_hive(kind))) for column, kind in columns])
        rows = list(_ROWS[name](metadata, io))
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)
    return len(rows)


def _moment(millis: int) -> datetime:
    return datetime.fromtimestamp(millis / 1000, UTC)


def _history(metadata: Any, io: Any) -> Iterator[Row]:
    del io
    current = metadata.current_snapshot()
    line = {each.snapshot_id for each in ancestors_of(current, metadata)} if current else set()
    for entry in metadata.snapshot_log:
        snapshot = metadata.snapshot_by_id(entry.snapshot_id)
        yield {
            "made_current_at": _moment(entry.timestamp_ms), "snapshot_id": entry.snapshot_id,
            "parent_id": snapshot.parent_snapshot_id if snapshot else None,
            "is_current_ancestor": entry.snapshot_id in line,
        }  # fmt: skip


def _snapshots(metadata: Any, io: Any) -> Iterator[Row]:
    del io
    for snapshot in metadata.snapshots:
        summary = snapshot.summary
        yield {
            "committed_at": _moment(snapshot.timestamp_ms), "snapshot_id": snapshot.snapshot_id,
            "parent_id": snapshot.parent_snapshot_id,
            "operation": summary.operation.value if summary else None, "manifest_list": snapshot.manifest_list,
            "summary": list(summary.additional_properties.items()) if summary else [],
        }  # fmt: skip


def _refs(metadata: Any, io: Any) -> Iterator[Row]:
    del io
    for name, ref in metadata.refs.items():
        yield {
            "name": name, "type": str(ref.snapshot_ref_type.value).upper(), "snapshot_id": ref.snapshot_id,
            "max_reference_age_in_ms": ref.max_ref_age_ms, "min_snapshots_to_keep": ref.min_snapshots_to_keep,
            "max_snapshot_age_in_ms": ref.max_snapshot_age_ms,
        }  # fmt: skip


def _manifests(metadata: Any, io: Any) -> Iterator[Row]:
    snapshot = metadata.current_snapshot()
    for manifest in snapshot.manifests(io) if snapshot else ():
        spec = metadata.specs()[manifest.partition_spec_id]
        kinds = [field.field_type for field in spec.partition_type(metadata.schema()).fields]
        yield {
            "path": manifest.manifest_path, "length": manifest.manifest_length,
            "partition_spec_id": manifest.partition_spec_id, "added_snapshot_id": manifest.added_snapshot_id,
            "added_data_files_count": manifest.added_files_count, "added_rows_count": manifest.added_rows_count,
            "existing_data_files_count": manifest.existing_files_count,
            "existing_rows_count": manifest.existing_rows_count,
            "deleted_data_files_count": manifest.deleted_files_count, "deleted_rows_count": manifest.deleted_rows_count,
            "partition_summaries": [
                {"contains_null": part.contains_null, "contains_nan": part.contains_nan,
                 "lower_bound": _bound(kind, part.lower_bound), "upper_bound": _bound(kind, part.upper_bound)}
                for kind, part in zip(kinds, manifest.partitions or [], strict=False)
            ],
        }  # fmt: skip


def _entries(metadata: Any, io: Any) -> Iterator[Any]:
    snapshot = metadata.current_snapshot()
    for manifest in snapshot.manifests(io) if snapshot else ():
        yield from manifest.fetch_manifest_entry(io, discard_deleted=True)


def _files(metadata: Any, io: Any) -> Iterator[Row]:
    schema = metadata.schema()
    for entry in _entries(metadata, io):
        file = entry.data_file
        yield {
            "content": int(file.content), "file_path": file.file_path, "file_format": file.file_format.value,
            "record_count": file.record_count, "file_size_in_bytes": file.file_size_in_bytes,
            "column_sizes": _pairs(file.column_sizes), "value_counts": _pairs(file.value_counts),
            "null_value_counts": _pairs(file.null_value_counts), "nan_value_counts": _pairs(file.nan_value_counts),
            "lower_bounds": _bounds(schema, file.lower_bounds), "upper_bounds": _bounds(schema, file.upper_bounds),
            "key_metadata": file.key_metadata, "split_offsets": file.split_offsets, "equality_ids": file.equality_ids,
        }  # fmt: skip


def _pairs(counts: Any) -> list[tuple[int, int]]:
    return sorted((counts or {}).items())


def _bounds(schema: Any, bounds: Any) -> list[tuple[int, str]]:
    made = []
    for field_id, raw in sorted((bounds or {}).items()):
        if field_id == planning.PATH_ID:
            made.append((field_id, raw.decode()))
        elif field_id == planning.POSITION_ID:
            made.append((field_id, str(int.from_bytes(raw, "little"))))
        else:
            try:
                made.append((field_id, _bound(schema.find_type(field_id), raw) or ""))
            except ValueError:  # a column that is dropped by now
                continue
    return made


def _bound(kind: Any, raw: bytes | None) -> str | None:
    if raw is None:
        return None
    return str(IdentityTransform().to_human_string(kind, from_bytes(kind, raw)))


def _partitions(metadata: Any, io: Any) -> tuple[pa.Schema, list[Row]]:
    """One row a partition: its values, counts, sizes; the ranges of the columns that are not partitioned by."""
    spec, schema = metadata.spec(), metadata.schema()
    kinds = spec.partition_type(schema)
    found: dict[Any, Row] = {}
    for entry in _entries(metadata, io):
        file = entry.data_file
        if file.spec_id != spec.spec_id or file.content != DataFileContent.DATA:
            continue
        row = found.setdefault(file.partition, {"record_count": 0, "file_count": 0, "total_size": 0})
        row["record_count"] += file.record_count
        row["file_count"] += 1
        row["total_size"] += file.file_size_in_bytes
        row["partition"] = {
            field.name: _value(field.field_type, file.partition[at]) for at, field in enumerate(kinds.fields)
        }
    listed = [("record_count", pa.int64()), ("file_count", pa.int64()), ("total_size", pa.int64())]
    if kinds.fields:
        listed = [("partition", schema_to_pyarrow(kinds, include_field_ids=False)), *listed]
    return pa.schema(listed), list(found.values())


def _value(kind: Any, value: Any) -> Any:
    name = str(kind)
    if value is None:
        return None
    if name == "date":
        return datetime.fromtimestamp(value * 86400, UTC).date() if isinstance(value, int) else value
    if name.startswith("timestamp") and isinstance(value, int):
        moment = datetime.fromtimestamp(value / 1_000_000, UTC)
        return moment if name.endswith("tz") else moment.replace(tzinfo=None)
    return value


def _arrow(kind: Type) -> pa.DataType:
    simple = {"varchar": pa.string(), "bigint": pa.int64(), "integer": pa.int32(), "boolean": pa.bool_(),
              "varbinary": pa.binary(), "timestamp with time zone": pa.timestamp("us", "UTC")}  # fmt: skip
    if kind.base == "array":
        return pa.list_(_arrow(kind.args[0]))
    if kind.base == "map":
        return pa.map_(_arrow(kind.args[0]), _arrow(kind.args[1]))
    if kind.base == "row":
        return pa.struct([(name, _arrow(part)) for name, part in kind.args])
    return simple[kind.base]


_ROWS: dict[str, Callable[[Any, Any], Iterator[Row]]] = {
    "history": _history, "snapshots": _snapshots, "refs": _refs, "manifests": _manifests, "files": _files,
}  # fmt: skip
