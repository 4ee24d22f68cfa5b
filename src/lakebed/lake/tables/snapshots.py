"""A new snapshot: manifests, their list, and the updates that put it on the main branch.

pyiceberg's own producers write data manifests only; this one writes delete manifests too, takes files of either kind out,
and gives rewritten files the sequence number of what they replace. Small manifests are merged once there are a hundred.
Everything named here comes from the caller (ids, time), so that a change can be made anew over another state.
https://iceberg.apache.org/spec/#manifests, #snapshots
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pyiceberg.manifest import (
    DataFile,
    ManifestContent,
    ManifestEntry,
    ManifestEntryStatus,
    ManifestFile,
    ManifestWriter,
    ManifestWriterV1,
    ManifestWriterV2,
    write_manifest_list,
)
from pyiceberg.table.refs import SnapshotRefType
from pyiceberg.table.snapshots import Operation, Snapshot, SnapshotSummaryCollector, Summary, update_snapshot_summaries
from pyiceberg.table.update import AddSnapshotUpdate, SetSnapshotRefUpdate

from lakebed.ports.sql import SqlFailure

_CODEC = "deflate"
_MERGE_AT = 100
_MERGED_BYTES_MAX = 8 << 20


@dataclass(frozen=True, slots=True)
class Names:
    """What makes a change's files and ids its own."""

    uuid: str
    snapshot_id: int
    now_ms: int


@dataclass(slots=True)
class Change:
    """What happens to a table's files. ``sequence`` is the data sequence number rewritten files keep."""

    operation: Operation
    added: list[DataFile] = field(default_factory=list)
    added_deletes: list[DataFile] = field(default_factory=list)
    removed: set[str] = field(default_factory=set)
    removed_deletes: set[str] = field(default_factory=set)
    sequence: int | None = None


class _DeleteManifestWriter(ManifestWriterV2):  # type: ignore[misc]  # pyiceberg is not looked into
    """A manifest of delete files."""

    def content(self) -> ManifestContent:
        return ManifestContent.DELETES

    @property
    def _meta(self) -> dict[str, str]:
        return {**super()._meta, "content": "deletes"}


class Producer:
    """Writes one snapshot."""

    def __init__(self, metadata: Any, io: Any, names: Names) -> None:
        if metadata.format_version > 2:
            raise SqlFailure("NOT_SUPPORTED", f"writing Iceberg format version {metadata.format_version} is not built")
        self._metadata, self._io, self._names = metadata, io, names
        self._numbers = itertools.count()
        self._taken: list[DataFile] = []

    def updates(self, change: Change) -> tuple[Any, ...]:
        """Write the manifests; the updates that add the snapshot and make it the current one."""
        metadata, names = self._metadata, self._names
        parent = metadata.current_snapshot()
        manifests = [*self._added(change), *self._kept(parent, change)]
        location = f"{self._directory()}/snap-{names.snapshot_id}-0-{names.uuid}.avro"
        sequence = metadata.next_sequence_number() if metadata.format_version > 1 else 0
        with write_manifest_list(
            format_version=metadata.format_version,
            output_file=self._io.new_output(location),
            snapshot_id=names.snapshot_id,
            parent_snapshot_id=parent.snapshot_id if parent else None,
            sequence_number=sequence,
            avro_compression=_CODEC,
        ) as writer:
            writer.add_manifests(self._merged(manifests))
        snapshot = Snapshot(
            snapshot_id=names.snapshot_id,
            parent_snapshot_id=parent.snapshot_id if parent else None,
            sequence_number=sequence,
            timestamp_ms=max(names.now_ms, metadata.last_updated_ms),
            manifest_list=location,
            summary=self._summary(parent, change),
            schema_id=metadata.current_schema_id,
        )
        return (
            AddSnapshotUpdate(snapshot=snapshot),
            SetSnapshotRefUpdate(ref_name="main", type=SnapshotRefType.BRANCH, snapshot_id=names.snapshot_id),
        )

    def _directory(self) -> str:
        given = self._metadata.properties.get("write.metadata.path")
        return str(given or f"{self._metadata.location.rstrip('/')}/metadata").rstrip("/")

    def _writer(self, spec_id: int, content: ManifestContent) -> ManifestWriter:
        metadata = self._metadata
        output = self._io.new_output(f"{self._directory()}/{self._names.uuid}-m{next(self._numbers)}.avro")
        kind: Any = _DeleteManifestWriter if content == ManifestContent.DELETES else ManifestWriterV2
        if metadata.format_version == 1:
            if content == ManifestContent.DELETES:
                raise SqlFailure(
                    "NOT_SUPPORTED", "rows of an Iceberg table of format version 1 cannot be deleted; upgrade it to 2"
                )
            kind = ManifestWriterV1
        return kind(metadata.specs()[spec_id], metadata.schema(), output, self._names.snapshot_id, _CODEC)

    def _written(self, spec_id: int, content: ManifestContent, entries: Iterable[ManifestEntry]) -> ManifestFile:
        with self._writer(spec_id, content) as writer:
            for entry in entries:
                writer.add_entry(entry)
        return writer.to_manifest_file()

    def _added(self, change: Change) -> list[ManifestFile]:
        made = []
        for content, files in ((ManifestContent.DATA, change.added), (ManifestContent.DELETES, change.added_deletes)):
            by_spec: dict[int, list[ManifestEntry]] = defaultdict(list)
            for file in files:
                by_spec[file.spec_id].append(
                    ManifestEntry.from_args(
                        status=ManifestEntryStatus.ADDED,
                        snapshot_id=self._names.snapshot_id,
                        sequence_number=change.sequence if content == ManifestContent.DATA else None,
                        file_sequence_number=None,
                        data_file=file,
                    )
                )
            made += [self._written(spec_id, content, entries) for spec_id, entries in by_spec.items()]
        return made

    def _kept(self, parent: Any, change: Change) -> list[ManifestFile]:
        kept = []
        for manifest in parent.manifests(self._io) if parent else ():
            wanted = change.removed if manifest.content == ManifestContent.DATA else change.removed_deletes
            live = manifest.has_added_files() or manifest.has_existing_files()
            if not live:
                continue
            entries = manifest.fetch_manifest_entry(self._io, discard_deleted=True) if wanted else []
            if not any(entry.data_file.file_path in wanted for entry in entries):
                kept.append(manifest)
                continue
            gone = [entry.data_file for entry in entries if entry.data_file.file_path in wanted]
            self._taken += gone
            again = [_again(entry, wanted, self._names.snapshot_id) for entry in entries]
            kept.append(self._written(manifest.partition_spec_id, manifest.content, again))
        missing = (change.removed | change.removed_deletes) - {file.file_path for file in self._taken}
        if missing:
            raise SqlFailure("ICEBERG_COMMIT_ERROR", f"Missing required files to delete: {sorted(missing)[0]}")
        return kept

    def _merged(self, manifests: list[ManifestFile]) -> list[ManifestFile]:
        groups: dict[tuple[int, Any], list[ManifestFile]] = defaultdict(list)
        for manifest in manifests:
            small = manifest.manifest_length < _MERGED_BYTES_MAX and not manifest.deleted_files_count
            if small and manifest.added_snapshot_id != self._names.snapshot_id:
                groups[manifest.partition_spec_id, manifest.content].append(manifest)
        for (spec_id, content), group in groups.items():
            if len(group) < _MERGE_AT:
                continue
            entries = [
                _again(entry, set(), self._names.snapshot_id)
                for manifest in group
                for entry in manifest.fetch_manifest_entry(self._io, discard_deleted=True)
            ]
            paths = {manifest.manifest_path for manifest in group}
            manifests = [manifest for manifest in manifests if manifest.manifest_path not in paths]
            manifests.append(self._written(spec_id, content, entries))
        return manifests

    def _summary(self, parent: Any, change: Change) -> Summary:
        metadata, collector = self._metadata, SnapshotSummaryCollector()
        specs, schema = metadata.specs(), metadata.schema()
        for file in [*change.added, *change.added_deletes]:
            collector.add_file(data_file=file, partition_spec=specs[file.spec_id], schema=schema)
        for file in self._taken:
            collector.remove_file(data_file=file, partition_spec=specs[file.spec_id], schema=schema)
        # pyiceberg sums up the three operations it writes itself; a replacement counts as an overwrite does.
        counted = Operation.OVERWRITE if change.operation == Operation.REPLACE else change.operation
        made = update_snapshot_summaries(
            summary=Summary(operation=counted, **collector.build()),
            previous_summary=parent.summary if parent is not None else None,
        )
        return Summary(operation=change.operation, **{key: made[key] for key in made.additional_properties})


def _again(entry: ManifestEntry, gone: set[str], snapshot_id: int) -> ManifestEntry:
    """A live entry as the next manifest holds it."""
    deleted = entry.data_file.file_path in gone
    return ManifestEntry.from_args(
        status=ManifestEntryStatus.DELETED if deleted else ManifestEntryStatus.EXISTING,
        snapshot_id=snapshot_id if deleted else entry.snapshot_id,
        sequence_number=entry.sequence_number,
        file_sequence_number=entry.file_sequence_number,
        data_file=entry.data_file,
    )
