"""Backup and restore of a whole data directory, consistent while the house runs.

At one instant (no await in between) the database is copied by SQLite's online backup and the length of every log file is
noted; removals are held back until the archive is written. Blobs are immutable and logs only grow, so whatever is read
later belongs to that instant. The archive is a plain tar: ``state.db``, ``log/``, ``objects/`` and the small files beside
them, with ``manifest.json`` last: an archive without it is not whole.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from lakebed.kernel.db import Database
from lakebed.kernel.disk import Disk
from lakebed.kernel.emptying import ASIDE, MARKER

_FORMAT = 1
# What a running process owns and the next one makes anew.
_NOT_KEPT = {
    "lock", "address.json", "state.db", "state.db-wal", "state.db-shm", "children", "scratch", MARKER, ASIDE
}  # fmt: skip


class BackupError(Exception):
    """The archive cannot be written or is not what it claims to be; the message is for the operator."""


async def write_backup(data: Path, target: Path, db: Database, disk: Disk) -> dict[str, int]:
    """Write ``target`` (another name until it is whole); returns counts of files and bytes."""
    if target.resolve().is_relative_to(data.resolve()):
        raise BackupError("the backup must not lie inside the data directory")
    scratch = data / "scratch"
    scratch.mkdir(exist_ok=True, mode=0o700)
    copy = scratch / "backup.db"
    copy.unlink(missing_ok=True)
    with disk.held():
        db.backup(copy)
        sizes = {path: path.stat().st_size for path in _files(data)}
        try:
            return await asyncio.to_thread(_archive, data, copy, target, sizes)
        finally:
            copy.unlink(missing_ok=True)


def restore_backup(archive: Path, data: Path) -> dict[str, int]:
    """Unpack into ``data``, which must be absent or empty. Paths that leave it are refused."""
    if data.exists() and any(data.iterdir()):
        raise BackupError(f"{data} is not empty")
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    import tarfile  # a megabyte that a house without backups does without

    try:
        with tarfile.open(archive, "r:") as tar:
            tar.extractall(data, filter="data")
        manifest = json.loads((data / "manifest.json").read_text("utf-8"))
    except (tarfile.TarError, OSError, ValueError) as failure:
        raise BackupError(f"{archive} is not a whole backup: {failure}") from None
    if manifest.get("format") != _FORMAT:
        raise BackupError(f"{archive} has format {manifest.get('format')}, this Lakebed reads {_FORMAT}")
    for name, size in manifest["files"].items():
        path = data / name
        if not path.is_file() or path.stat().st_size != size:
            raise BackupError(f"{archive} lacks {name} or holds it cut short")
    (data / "manifest.json").unlink()
    return {"files": len(manifest["files"]), "bytes": sum(manifest["files"].values())}


def _files(data: Path) -> list[Path]:
    return [
        path
        for path in sorted(data.rglob("*"))
        if path.is_file() and path.relative_to(data).parts[0] not in _NOT_KEPT and "drafts" not in path.parts
    ]


def _archive(data: Path, copy: Path, target: Path, sizes: dict[Path, int]) -> dict[str, int]:
    import tarfile

    draft = target.with_name(f".{target.name}.draft")
    names: dict[str, int] = {}
    try:
        with tarfile.open(draft, "w", format=tarfile.PAX_FORMAT) as tar:
            for path, size, name in [
                (copy, copy.stat().st_size, "state.db"),
                *((path, size, str(path.relative_to(data))) for path, size in sizes.items()),
            ]:
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode, entry.mtime = size, 0o600, int(path.stat().st_mtime)
                with path.open("rb") as source:
                    tar.addfile(entry, source)
                names[name] = size
            manifest = data / "scratch" / "manifest.json"
            manifest.write_text(json.dumps({"format": _FORMAT, "files": names}), "utf-8")
            tar.add(manifest, "manifest.json")
            manifest.unlink()
        draft.replace(target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    return {"files": len(names), "bytes": sum(names.values())}
