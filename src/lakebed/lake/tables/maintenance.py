"""Expiry of snapshots, and what a table still leads to. Runs in the child.

https://docs.aws.amazon.com/athena/latest/ug/vacuum-statement.html, https://iceberg.apache.org/docs/latest/maintenance/
"""

from __future__ import annotations

from typing import Any

from pyiceberg.table.snapshots import ancestors_of
from pyiceberg.table.update import RemoveSnapshotsUpdate


def expiry(metadata: Any, request: dict[str, Any]) -> tuple[tuple[Any, ...], list[int]]:
    """Remove snapshots older than ``before_ms`` but for the last ``keep`` of main, and what branches and tags hold."""
    current = metadata.current_snapshot()
    if current is None:
        return (), []
    main = [snapshot.snapshot_id for snapshot in ancestors_of(current, metadata)]
    kept = set(main[: max(1, request["keep"])])
    for name, ref in metadata.refs.items():
        if name != "main":
            head = metadata.snapshot_by_id(ref.snapshot_id)
            kept |= {ref.snapshot_id}
            if ref.snapshot_ref_type == "branch":
                kept |= {each.snapshot_id for each in ancestors_of(head, metadata)}
    gone = [
        snapshot.snapshot_id
        for snapshot in metadata.snapshots
        if snapshot.timestamp_ms < request["before_ms"] and snapshot.snapshot_id not in kept
    ]
    return ((RemoveSnapshotsUpdate(snapshot_ids=gone),) if gone else ()), gone


def reachable(metadata: Any, io: Any, metadata_location: str, metadata_files: int) -> set[str]:
    """Every location the metadata leads to, with the last ``metadata_files`` metadata files before it."""
    found = {metadata_location}
    log = [entry.metadata_file for entry in metadata.metadata_log]
    found |= set(log[max(0, len(log) - metadata_files) :])
    found |= {each.statistics_path for each in [*metadata.statistics, *metadata.partition_statistics]}
    seen: set[str] = set()
    for snapshot in metadata.snapshots:
        if snapshot.manifest_list:
            found.add(snapshot.manifest_list)
        for manifest in snapshot.manifests(io):
            if manifest.manifest_path in seen:
                continue
            seen.add(manifest.manifest_path)
            for entry in manifest.fetch_manifest_entry(io, discard_deleted=True):
                found.add(entry.data_file.file_path)
    return found | seen
