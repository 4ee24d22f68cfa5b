"""Rows into data files, deleted positions into delete files. Runs in the child.

Rows come as one Parquet file the SQL engine wrote; they are cast to the table's schema, split by its partition spec and
written by pyiceberg, a bounded number of rows at a time. One delete file is written for each data file that loses rows.
https://iceberg.apache.org/spec/#position-delete-files
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyiceberg.io.pyarrow import _dataframe_to_data_files, schema_to_pyarrow
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat

from lakebed.lake.tables.planning import PATH_ID, POSITION_ID
from lakebed.lake.tables.snapshots import Names
from lakebed.ports.sql import SqlFailure

_CHUNK_BYTES = 128 << 20
_BATCH_ROWS = 131_072
_PARTITIONS_MAX = 100  # https://docs.aws.amazon.com/athena/latest/ug/ctas-insert-into.html
ROW_FILE, ROW_POSITION, ACTION = "lb_file", "lb_pos", "lb_action"


def tame(metadata: Any) -> Any:
    """The metadata without the properties by which a table could name code to load or another writer."""
    kept = {
        key: value
        for key, value in metadata.properties.items()
        if key not in ("write.py-location-provider.impl", "write.format.default")
    }
    return metadata.model_copy(update={"properties": kept})


def data_files(metadata: Any, io: Any, source: Path, names: Names) -> list[DataFile]:
    """The rows of ``source`` as data files of the table."""
    wanted = schema_to_pyarrow(metadata.schema(), include_field_ids=False)
    partitioned = not metadata.spec().is_unpartitioned()
    metadata, counter, made = tame(metadata), itertools.count(), list[DataFile]()
    partitions: set[Any] = set()
    for table in _chunks(source, wanted):
        for file in _dataframe_to_data_files(metadata, table, io, uuid.UUID(names.uuid), counter):
            file.spec_id = metadata.default_spec_id
            made.append(file)
            partitions.add(file.partition)
        if partitioned and len(partitions) > _PARTITIONS_MAX:
            raise SqlFailure(
                "ICEBERG_TOO_MANY_OPEN_PARTITIONS",
                f"Exceeded limit of {_PARTITIONS_MAX} open writers for partitions.",
            )
    return made


def _chunks(source: Path, wanted: pa.Schema) -> Iterator[pa.Table]:
    with pq.ParquetFile(source) as file:
        held: list[pa.RecordBatch] = []
        size = 0
        for batch in file.iter_batches(_BATCH_ROWS, columns=wanted.names):
            held.append(batch)
            size += batch.nbytes
            if size >= _CHUNK_BYTES:
                yield _cast(pa.Table.from_batches(held), wanted)
                held, size = [], 0
        if held:
            yield _cast(pa.Table.from_batches(held), wanted)


def _cast(table: pa.Table, wanted: pa.Schema) -> pa.Table:
    columns = []
    for field in wanted:
        column = table.column(field.name)
        if not field.nullable and column.null_count:
            raise SqlFailure("CONSTRAINT_VIOLATION", f"NULL value not allowed for NOT NULL column: {field.name}")
        columns.append(column.cast(field.type))
    return pa.Table.from_arrays(columns, schema=wanted)


def deleted(rows: pa.Table) -> dict[int, Any]:
    """The positions to delete in each file, sorted; a row hit twice is a MERGE that matched it twice."""
    rows = rows.select([ROW_FILE, ROW_POSITION]).filter(pc.is_valid(rows.column(ROW_FILE)))
    rows = rows.sort_by([(ROW_FILE, "ascending"), (ROW_POSITION, "ascending")])
    found: dict[int, Any] = {}
    first = 0
    for counted in pc.value_counts(rows.column(ROW_FILE)).to_pylist():  # in order, since the rows are sorted
        number, count = counted["values"], counted["counts"]
        positions = rows.column(ROW_POSITION).slice(first, count).combine_chunks()
        first += count
        if len(pc.unique(positions)) != len(positions):
            raise SqlFailure(
                "MERGE_TARGET_ROW_MULTIPLE_MATCHES", "One MERGE target table row matched more than one source row"
            )
        found[number] = positions
    return found


def delete_file(metadata: Any, io: Any, data: DataFile, positions: Any, place: tuple[Names, int]) -> DataFile:
    """A position delete file for one data file."""
    names, number = place
    location = f"{data_directory(metadata)}/{names.uuid}-{number:05d}-deletes.parquet"
    path = data.file_path
    schema = pa.schema(
        [
            pa.field("file_path", pa.string(), nullable=False, metadata={"PARQUET:field_id": str(PATH_ID)}),
            pa.field("pos", pa.int64(), nullable=False, metadata={"PARQUET:field_id": str(POSITION_ID)}),
        ]
    )
    table = pa.Table.from_arrays(
        [pa.repeat(pa.scalar(path), len(positions)), positions.cast(pa.int64())], schema=schema
    )
    output = io.new_output(location)
    with output.create() as stream:
        pq.write_table(table, stream, compression="zstd")
    low, high = int(positions[0].as_py()), int(positions[-1].as_py())
    made = DataFile.from_args(
        content=DataFileContent.POSITION_DELETES,
        file_path=location,
        file_format=FileFormat.PARQUET,
        partition=data.partition,
        record_count=len(positions),
        file_size_in_bytes=len(output),
        column_sizes={},
        value_counts={PATH_ID: len(positions), POSITION_ID: len(positions)},
        null_value_counts={PATH_ID: 0, POSITION_ID: 0},
        nan_value_counts={},
        lower_bounds={PATH_ID: path.encode(), POSITION_ID: low.to_bytes(8, "little")},
        upper_bounds={PATH_ID: path.encode(), POSITION_ID: high.to_bytes(8, "little")},
        key_metadata=None,
        split_offsets=[4],
        equality_ids=None,
        sort_order_id=None,
    )
    made.spec_id = data.spec_id
    return made


def data_directory(metadata: Any) -> str:
    """Where a table's files go."""
    given = metadata.properties.get("write.data.path") or metadata.properties.get("write.object-storage.path")
    return str(given or f"{metadata.location.rstrip('/')}/data").rstrip("/")
