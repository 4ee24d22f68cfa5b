"""Which files a scan reads, with the deletes that apply to each. Runs in the child.

pyiceberg's planner leaves out manifests by their partition ranges and files by partition and column bounds; deletes are
matched here, since it knows no equality deletes: a position delete applies to files of its partition that are not newer,
an equality delete to files that are older, of its partition or, where its spec has no fields, of the whole table.
https://iceberg.apache.org/spec/#scan-planning
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from itertools import chain
from typing import Any

from pyiceberg import expressions as on
from pyiceberg.conversions import from_bytes
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat, ManifestEntry
from pyiceberg.schema import Schema
from pyiceberg.table import ManifestGroupPlanner
from pyiceberg.types import DoubleType, FloatType, PrimitiveType, StringType

from lakebed.lake.tables.predicates import COMPARISONS, Tree
from lakebed.ports.sql import SqlFailure

PATH_ID, POSITION_ID = 2147483546, 2147483545
_EVERYWHERE: Any = object()


@dataclass(slots=True)
class Scan:
    """Data files, each with the deletes that apply to it."""

    entries: list[tuple[ManifestEntry, list[DataFile]]] = field(default_factory=list)


def at_snapshot(metadata: Any, snapshot_id: int | None) -> Any:
    """The metadata with the schema and snapshot of that time as its current ones."""
    if snapshot_id is None:
        return metadata
    snapshot = metadata.snapshot_by_id(snapshot_id)
    if snapshot is None:
        raise SqlFailure("INVALID_ARGUMENTS", f"Iceberg snapshot ID does not exists: {snapshot_id}")
    schema = snapshot.schema_id if snapshot.schema_id is not None else metadata.current_schema_id
    return metadata.model_copy(update={"current_schema_id": schema, "current_snapshot_id": snapshot_id})


def scan(metadata: Any, io: Any, predicate: Tree) -> Scan:
    """The files of the current snapshot that may hold rows the predicate wants."""
    snapshot = metadata.current_snapshot()
    if snapshot is None:
        return Scan()
    planner = ManifestGroupPlanner(metadata, io, row_filter=expression(predicate, metadata.schema()))
    made, deletes = Scan(), _Deletes(metadata)
    data: list[ManifestEntry] = []
    for entry in chain.from_iterable(planner.plan_manifest_entries(snapshot.manifests(io))):
        if entry.data_file.content == DataFileContent.DATA:
            data.append(entry)
        else:
            deletes.add(entry)
    made.entries = [(entry, deletes.of(entry)) for entry in data]
    return made


def told(metadata: Any, found: Scan) -> dict[str, Any]:
    """A scan as the server hears it: files and deletes, these by their places."""
    places: dict[str, int] = {}
    deletes: list[Any] = []
    files = []
    for entry, applied in found.entries:
        at = []
        for file in applied:
            if file.file_path not in places:
                places[file.file_path] = len(deletes)
                ids = list(file.equality_ids or ()) if file.content == DataFileContent.EQUALITY_DELETES else []
                deletes.append([file.file_path, file.file_size_in_bytes, ids])
            at.append(places[file.file_path])
        data = entry.data_file
        files.append([data.file_path, data.file_size_in_bytes, data.record_count, data.file_format.value.lower(),
                      group_of(metadata, data), at])  # fmt: skip
    return {"files": files, "deletes": deletes}


def group_of(metadata: Any, file: DataFile) -> str:
    """A file's partition by name: files of one group may become one file."""
    spec = metadata.specs()[file.spec_id]
    return f"{file.spec_id}/{spec.partition_to_path(file.partition, metadata.schema())}" if spec.fields else ""


class _Deletes:
    """Delete files by where they apply."""

    def __init__(self, metadata: Any) -> None:
        self._specs = metadata.specs()
        self._positions: dict[Any, list[tuple[int, DataFile, bytes, bytes]]] = defaultdict(list)
        self._equalities: dict[Any, list[tuple[int, DataFile]]] = defaultdict(list)

    def add(self, entry: ManifestEntry) -> None:
        file, sequence = entry.data_file, entry.sequence_number or 0
        if file.file_format == FileFormat.PUFFIN:
            raise SqlFailure("NOT_SUPPORTED", "deletion vectors of Iceberg format version 3 are not built in Lakebed")
        if file.file_format != FileFormat.PARQUET:
            raise SqlFailure("NOT_SUPPORTED", f"delete files in {file.file_format.value} are not built in Lakebed")
        place = (file.spec_id, file.partition)
        if file.content == DataFileContent.EQUALITY_DELETES:
            self._equalities[place if self._specs[file.spec_id].fields else _EVERYWHERE].append((sequence, file))
            return
        low, high = (file.lower_bounds or {}).get(PATH_ID), (file.upper_bounds or {}).get(PATH_ID)
        self._positions[place].append((sequence, file, low or b"", high or b"\xff"))

    def of(self, entry: ManifestEntry) -> list[DataFile]:
        file, sequence = entry.data_file, entry.sequence_number or 0
        place, path = (file.spec_id, file.partition), file.file_path.encode()
        found = [
            delete
            for at, delete, low, high in self._positions.get(place, ())
            if at >= sequence and low <= path and (path <= high or path.startswith(high))
        ]
        for where in (place, _EVERYWHERE):
            found += [delete for at, delete in self._equalities.get(where, ()) if at > sequence]
        return found


def bound_path(file: DataFile) -> str | None:
    """The one data file a position delete file speaks of, if its bounds tell."""
    low, high = (file.lower_bounds or {}).get(PATH_ID), (file.upper_bounds or {}).get(PATH_ID)
    return str(from_bytes(StringType(), low)) if low is not None and low == high else None


def expression(tree: Tree, schema: Schema) -> Any:
    """pyiceberg's expression of a tree; what cannot be said there is true."""
    if tree is None:
        return on.AlwaysTrue()
    word = tree[0]
    if word in ("and", "or"):
        made = [expression(part, schema) for part in tree[1:]]
        return (on.And if word == "and" else on.Or)(*made) if len(made) > 1 else made[0]
    try:
        name = schema.find_column_name(schema.find_field(tree[1], case_sensitive=False).field_id)
        kind = schema.find_field(tree[1], case_sensitive=False).field_type
    except ValueError:
        return on.AlwaysTrue()
    if name is None or not isinstance(kind, PrimitiveType):
        return on.AlwaysTrue()
    if word in ("null", "notnull"):
        return on.IsNull(name) if word == "null" else on.NotNull(name)
    try:
        if word == "in":
            return on.In(name, [_value(value, kind) for value in tree[2]])
        if word == "starts":
            return on.StartsWith(name, tree[2]) if isinstance(kind, StringType) else on.AlwaysTrue()
        of = dict(zip(COMPARISONS, (on.LessThan, on.LessThanOrEqual, on.EqualTo, on.GreaterThan, on.GreaterThanOrEqual,
                                    on.NotEqualTo), strict=True))  # fmt: skip
        made = of[word](name, _value(tree[2], kind))
        made.bind(schema, case_sensitive=True)
    except (ValueError, TypeError, InvalidOperation):
        return on.AlwaysTrue()
    return made


def _value(text: str, kind: PrimitiveType) -> Any:
    name = str(kind)
    if name in ("int", "long"):
        return int(text)
    if isinstance(kind, FloatType | DoubleType):
        return float(text)
    if name.startswith("decimal"):
        return Decimal(text)
    if name == "boolean":
        return text.lower() == "true"
    if name == "timestamp":
        return text.replace(" ", "T")
    if name == "timestamptz":
        moment = text.replace(" ", "T", 1)
        return f"{moment}:00" if moment[-3] in "+-" else moment
    return text
