"""Blobs: opaque immutable files under ``objects/``, found by id. What they mean (bucket, key, version) is a row elsewhere.

Write, then ``commit`` (the file gets its final name), then insert the row that names it: a crash between the two leaves a
file that no row names, which ``sweep`` removes at boot. Deleting goes the other way round: row first, file after. Readers
that hold a path of a deleted blob keep reading what they opened.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path

from lakebed.kernel.disk import AppendFile, Disk
from lakebed.kernel.ids import Ids

READ_CHUNK_BYTES = 256 << 10
_COPY_BYTES = 8 << 20


class BlobWriter:
    """A blob being written. Exactly one of ``commit`` and ``abort`` ends it."""

    def __init__(self, blob_id: str, draft: Path, target: Path, disk: Disk) -> None:
        self.id = blob_id
        self._draft, self._target, self._disk = draft, target, disk
        self._file: AppendFile = disk.open_append(draft)

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return self._file.size

    def write(self, chunk: bytes) -> None:
        """Append; keep chunks below a megabyte, the event loop waits for the page cache to take them."""
        self._file.append([chunk])

    async def commit(self) -> str:
        """Give the file its final name, durable as configured; the blob's id. OSError: it is dropped."""
        try:
            if self._disk.power_safe:
                await asyncio.to_thread(self._file.sync)
            self._file.close()
            self._disk.replace(self._draft, self._target)
        except OSError:
            self.abort()
            raise
        return self.id

    def abort(self) -> None:
        """Drop what was written."""
        self._file.close()
        self._disk.remove(self._draft)


class Blobs:
    """All blobs of a house in ``directory``, fanned out over 256 folders."""

    def __init__(self, directory: Path, disk: Disk, ids: Ids) -> None:
        self._directory, self._disk, self._ids = directory, disk, ids
        (directory / "drafts").mkdir(parents=True, exist_ok=True, mode=0o700)

    def create(self) -> BlobWriter:
        """Begin a new blob."""
        blob_id = self._ids.uuid().replace("-", "")
        return BlobWriter(blob_id, self._directory / "drafts" / blob_id, self.path(blob_id), self._disk)

    def path(self, blob_id: str) -> Path:
        """Where a committed blob lies; immutable while its row exists."""
        return self._directory / blob_id[:2] / blob_id

    def draft_path(self) -> Path:
        """A fresh path on the same file system, for a file that somebody else writes and ``adopt`` moves in."""
        return self._directory / "drafts" / f"{self._ids.uuid().replace('-', '')}.tmp"

    async def adopt(self, path: Path) -> str:
        """Move a finished file in; copied only where the file system makes that necessary. Its id."""
        blob_id = self._ids.uuid().replace("-", "")
        target = self.path(blob_id)
        if self._disk.power_safe:
            await asyncio.to_thread(_sync_path, path)
        try:
            self._disk.replace(path, target)
        except OSError as failure:
            if failure.errno != errno.EXDEV:
                raise
            writer = BlobWriter(blob_id, self._directory / "drafts" / blob_id, target, self._disk)
            await self._fill(writer, [path])
            self._disk.remove(path)
        return blob_id

    async def concatenate(self, blob_ids: Sequence[str]) -> str:
        """A new blob of several one after the other (CompleteMultipartUpload), copied off the event loop."""
        return await self._fill(self.create(), [self.path(blob_id) for blob_id in blob_ids])

    async def _fill(self, writer: BlobWriter, paths: Sequence[Path]) -> str:
        try:
            await asyncio.to_thread(_copy_into, paths, writer)
            return await writer.commit()
        except BaseException:
            writer.abort()
            raise

    async def read(self, blob_id: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from ``start`` to ``end`` (exclusive), in bounded chunks; FileNotFoundError when it is gone."""
        fd = os.open(self.path(blob_id), os.O_RDONLY | os.O_CLOEXEC)
        try:
            left = (os.fstat(fd).st_size if end is None else end) - start
            while left > 0:
                chunk = os.pread(fd, min(READ_CHUNK_BYTES, left), start)
                if not chunk:
                    raise OSError(f"blob {blob_id} is shorter than its row says")
                yield chunk
                start += len(chunk)
                left -= len(chunk)
        finally:
            os.close(fd)

    def delete(self, blob_ids: Iterable[str]) -> None:
        """Remove files whose rows are gone."""
        for blob_id in blob_ids:
            self._disk.remove(self.path(blob_id))

    def sweep(self, known: Iterable[str]) -> int:
        """At boot, before anyone writes: remove drafts and blobs that no row names; returns how many."""
        named, removed = set(known), 0
        for draft in (self._directory / "drafts").iterdir():
            self._disk.remove(draft)
            removed += 1
        for folder in self._directory.iterdir():
            if len(folder.name) != 2:
                continue
            for file in folder.iterdir():
                if file.name not in named:
                    self._disk.remove(file)
                    removed += 1
        return removed


def _copy_into(paths: Sequence[Path], writer: BlobWriter) -> None:
    for path in paths:
        with path.open("rb", buffering=0) as source:
            while chunk := source.read(_COPY_BYTES):
                writer.write(chunk)


def _sync_path(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
