"""Changes of a table by name: each makes the files of a new state and tells the new metadata. Runs in the child.

``create``  schema (Iceberg JSON), spec, order, location, properties; perhaps ``rows`` to begin with (CTAS)
``append``  rows: a Parquet file
``delta``   rows with ``lb_file`` and ``lb_pos``: the positions that go, and (``insert``) rows that come
``rewrite`` rows that replace ``files`` (OPTIMIZE)
``evolve``  edits of the schema and the properties, see ``evolution``
``expire``  snapshots by age and number, see ``maintenance``
``apply``   requirements and updates of the REST protocol, over a table or none

https://iceberg.apache.org/spec/, https://github.com/apache/iceberg/blob/main/open-api/rest-catalog-open-api.yaml
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import TypeAdapter, ValidationError
from pyiceberg.exceptions import CommitFailedException, NoSuchTableError
from pyiceberg.exceptions import ValidationError as PyicebergValidationError
from pyiceberg.partitioning import PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.serializers import FromInputFile
from pyiceberg.table.metadata import TableMetadataV1, new_table_metadata
from pyiceberg.table.snapshots import Operation
from pyiceberg.table.sorting import UNSORTED_SORT_ORDER, SortOrder
from pyiceberg.table.update import TableRequirement, TableUpdate, update_table_metadata

from lakebed.lake.tables import evolution, maintenance, planning, writing
from lakebed.lake.tables.files import HouseFiles
from lakebed.lake.tables.snapshots import Change, Names, Producer
from lakebed.ports.sql import SqlFailure

Facts = dict[str, Any]
_VERSION = re.compile(r"/(\d{1,9})-[^/]*\.metadata\.json(?:\.gz)?$")


class Stage:
    """One change at work."""

    def __init__(self, io: HouseFiles, base_location: str | None, request: dict[str, Any]) -> None:
        self.io, self.base_location, self.request = io, base_location, request
        self.names = Names(request["uuid"], request["snapshot_id"], request["now_ms"])
        self.facts: Facts = {}
        self.base: Any = load(io, base_location) if base_location else None

    def finished(self, metadata: Any) -> dict[str, Any]:
        """Write the metadata file, the last of the change."""
        version = 0
        if self.base_location:
            found = _VERSION.search(self.base_location)
            version = int(found.group(1)) + 1 if found else 1
        given = metadata.properties.get("write.metadata.path")
        directory = str(given or f"{metadata.location.rstrip('/')}/metadata").rstrip("/")
        location = f"{directory}/{version:05d}-{self.names.uuid}.metadata.json"
        text = metadata.model_dump_json(exclude_none=True)
        with self.io.new_output(location).create() as stream:
            stream.write(text.encode())
        return {
            "metadata_location": location,
            "files": [[name, str(path)] for name, path in self.io.written.items()],
            "metadata": msgspec.json.decode(text),
            "facts": self.facts,
        }

    def updated(self, updates: tuple[Any, ...]) -> Any:
        """The base with updates applied, its log and its clock kept."""
        made = update_table_metadata(self.base, updates, False, self.base_location)
        return made.model_copy(update={"last_updated_ms": max(self.names.now_ms, self.base.last_updated_ms)})

    def snapshot(self, change: Change) -> Any:
        """The base with one snapshot more."""
        made = self.updated(Producer(self.base, self.io, self.names).updates(change))
        self.facts["snapshot_id"] = self.names.snapshot_id
        return made


def load(io: Any, location: str) -> Any:
    """The metadata at a location."""
    try:
        return FromInputFile.table_metadata(io.new_input(location))
    except (ValidationError, ValueError, UnicodeDecodeError, OSError) as wrong:
        if isinstance(wrong, FileNotFoundError):
            raise SqlFailure(
                "ICEBERG_MISSING_METADATA", f"Metadata not found in metadata location: {location}"
            ) from None
        raise SqlFailure("ICEBERG_INVALID_METADATA", f"Invalid metadata file: {location}") from None


def _create(stage: Stage) -> Any:
    request = stage.request
    try:
        schema = Schema.model_validate(request["schema"])
        spec = PartitionSpec.model_validate(request["spec"]) if request.get("spec") else PartitionSpec()
        order = SortOrder.model_validate(request["order"]) if request.get("order") else UNSORTED_SORT_ORDER
        made = new_table_metadata(schema, spec, order, request["location"].rstrip("/"), dict(request["properties"]),
                                  table_uuid=request["uuid"])  # fmt: skip
        made.spec().check_compatible(made.schema())
    except (ValueError, TypeError, KeyError, AttributeError, PyicebergValidationError) as wrong:
        raise SqlFailure("INVALID_ARGUMENTS", f"The table's definition is not valid: {str(wrong)[:500]}") from None
    stage.base = made.model_copy(update={"last_updated_ms": stage.names.now_ms})
    if not request.get("rows"):
        return stage.base
    return _append(stage)


def _append(stage: Stage) -> Any:
    if not Path(stage.request["rows"]).exists():
        files = []
    else:
        files = writing.data_files(stage.base, stage.io, Path(stage.request["rows"]), stage.names)
    stage.facts["rows"] = sum(file.record_count for file in files)
    return stage.snapshot(Change(Operation.APPEND, added=files))


def _delta(stage: Stage) -> Any:
    """DELETE, UPDATE and MERGE: rows that went by position, rows that came."""
    source = Path(stage.request["rows"])
    names = [writing.ROW_FILE, writing.ROW_POSITION, *((writing.ACTION,) if stage.request["acts"] else ())]
    rows = pq.read_table(source, columns=names)
    positions = writing.deleted(rows)
    change = Change(Operation.OVERWRITE)
    found = {
        entry.data_file.file_path: (entry.data_file, applied)
        for entry, applied in planning.scan(stage.base, stage.io, None).entries
    }
    for number, places in positions.items():
        location = stage.request["locations"][number]
        data, applied = found[location]
        if len(places) == data.record_count and not applied:
            change.removed.add(location)  # nothing is left of it
        else:
            made = writing.delete_file(stage.base, stage.io, data, places, (stage.names, len(change.added_deletes)))
            change.added_deletes.append(made)
    if stage.request["insert"] and _comes(rows):
        change.added = writing.data_files(stage.base, stage.io, _coming(source, rows), stage.names)
    else:
        change.operation = Operation.DELETE
    stage.facts["deleted"] = sum(len(places) for places in positions.values())
    stage.facts["inserted"] = sum(file.record_count for file in change.added)
    return stage.snapshot(change)


def _comes(rows: Any) -> bool:
    """Whether any row is written anew: all of an UPDATE's, of a MERGE's those that are no deletes (action 1)."""
    if writing.ACTION not in rows.column_names:
        return bool(rows.num_rows)
    return bool(pc.any(pc.not_equal(rows.column(writing.ACTION), 1)).as_py())


def _coming(source: Path, rows: Any) -> Path:
    if writing.ACTION not in rows.column_names:
        return source
    target = source.with_name("coming.parquet")
    with pq.ParquetFile(source) as file, pq.ParquetWriter(target, file.schema_arrow) as writer:
        for batch in file.iter_batches():
            writer.write_batch(batch.filter(pc.not_equal(batch.column(writing.ACTION), 1)))
    return target


def _rewrite(stage: Stage) -> Any:
    """OPTIMIZE: the rows of some files, without what was deleted of them, in fewer files."""
    files = set(stage.request["files"])
    plan = planning.scan(stage.base, stage.io, None)
    source = Path(stage.request["rows"])
    added = writing.data_files(stage.base, stage.io, source, stage.names) if source.exists() else []
    used: dict[str, bool] = {}
    for entry, applied in plan.entries:
        for delete in applied:
            stays = entry.data_file.file_path not in files
            used[delete.file_path] = used.get(delete.file_path, False) or stays
    parent = stage.base.current_snapshot()
    change = Change(
        Operation.REPLACE,
        added=added,
        removed=files,
        removed_deletes={path for path, stays in used.items() if not stays},
        sequence=parent.sequence_number if stage.base.format_version > 1 else None,
    )
    return stage.snapshot(change)


def _evolve(stage: Stage) -> Any:
    return stage.updated(evolution.updates(stage.base, stage.io, stage.request))


def _expire(stage: Stage) -> Any:
    updates, expired = maintenance.expiry(stage.base, stage.request)
    stage.facts["expired"] = expired
    return stage.updated(updates) if updates else stage.base


def _apply(stage: Stage) -> Any:
    """A commit of the REST protocol."""
    requirements = _validated(list[TableRequirement], stage.request["requirements"])
    updates = _validated(list[TableUpdate], stage.request["updates"])
    for requirement in requirements:
        try:
            requirement.validate(stage.base)
        except CommitFailedException as wrong:
            raise SqlFailure("ICEBERG_COMMIT_ERROR", str(wrong)) from None
    try:
        if stage.base is None:
            nothing = TableMetadataV1.model_construct(last_column_id=-1, schema=Schema())
            made = update_table_metadata(nothing, tuple(updates), True, None)
            return made.model_copy(update={"last_updated_ms": stage.names.now_ms})
        gone = [each for each in updates if each.action == "remove-properties"]
        for each in gone:
            each.removals = [key for key in each.removals if key in stage.base.properties]
        made = update_table_metadata(stage.base, tuple(updates), False, stage.base_location)
    except (ValueError, KeyError, NoSuchTableError, NotImplementedError) as wrong:
        raise SqlFailure("INVALID_ARGUMENTS", str(wrong)) from None
    stage.facts["added"] = [each.snapshot.snapshot_id for each in updates if each.action == "add-snapshot"]
    return made


def _validated(kind: Any, given: Any) -> Any:
    try:
        return TypeAdapter(kind).validate_json(msgspec.json.encode(given))
    except ValidationError as wrong:
        first = wrong.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise SqlFailure("INVALID_ARGUMENTS", f"{place}: {first['msg']}") from None


STAGES: dict[str, Callable[[Stage], Any]] = {
    "create": _create, "append": _append, "delta": _delta, "rewrite": _rewrite, "evolve": _evolve, "expire": _expire,
    "apply": _apply,
}  # fmt: skip
