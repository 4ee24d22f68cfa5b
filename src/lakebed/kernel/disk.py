"""Disk: the one seam through which Lakebed's own files (segments, blobs, zips) are written, renamed, synced, removed.

A test hands in a ``Disk`` that fails, tears or drops writes by a seed. SQLite keeps its own seam (its VFS) and reading
needs none. What an acknowledgement means is decided here once: with ``power_safe`` a commit waits for the platter, without
it a write that reached the operating system survives kill -9 of this process, and files are synced in the background.

An fsync that failed is final for its file (the kernel may have dropped the dirty pages): ``DiskFailedError`` is raised on
every later use of it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol


class DiskFailedError(OSError):
    """This file can not be trusted any more; it must be reopened and recovered."""


class AppendFile(Protocol):
    """An open file that only grows."""

    @property
    def size(self) -> int:
        """Bytes written so far."""
        ...

    def append(self, pieces: Sequence[bytes]) -> None:
        """Write all pieces at the end; on failure what was written of them is cut off again."""
        ...

    def sync(self) -> None:
        """Return when everything appended is on the medium. Blocking: call it in a thread."""
        ...

    def close(self) -> None:
        """Close; appended data stays."""
        ...


class Disk(Protocol):
    """File operations that change something."""

    power_safe: bool

    def open_append(self, path: Path, *, truncate_to: int | None = None) -> AppendFile:
        """Open or create for appending, after cutting to ``truncate_to`` bytes where given. Parents are made."""
        ...

    def replace(self, source: Path, target: Path) -> None:
        """Rename atomically over ``target``; with ``power_safe`` the directory is synced as well."""
        ...

    def write_atomic(self, path: Path, content: bytes) -> None:
        """Write a small file whole: another name, sync where ``power_safe``, rename."""
        ...

    def remove(self, path: Path) -> None:
        """Unlink, or remove a directory with all that is in it; absent is fine."""
        ...

    def held(self) -> AbstractContextManager[None]:
        """While the block runs nothing is removed (a backup reads); what was to be removed goes at its end."""
        ...


class _File:
    def __init__(self, path: Path, truncate_to: int | None) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if truncate_to is not None:
            os.ftruncate(self._fd, truncate_to)
        self._size = os.lseek(self._fd, 0, os.SEEK_END)
        self._failed = False

    @property
    def size(self) -> int:
        return self._size

    def append(self, pieces: Sequence[bytes]) -> None:
        if self._failed:
            raise DiskFailedError(f"{self._path} failed before")
        blob = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        written = 0
        try:
            while written < len(blob):
                written += os.write(self._fd, blob[written:] if written else blob)
        except OSError:
            try:
                os.ftruncate(self._fd, self._size)
                os.lseek(self._fd, self._size, os.SEEK_SET)
            except OSError:
                self._failed = True
            raise
        self._size += written

    def sync(self) -> None:
        try:
            os.fdatasync(self._fd) if hasattr(os, "fdatasync") else os.fsync(self._fd)
        except OSError:
            self._failed = True
            raise

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class LocalDisk:
    """The machine's disk."""

    def __init__(self, *, power_safe: bool = False) -> None:
        self.power_safe = power_safe
        self._holders = 0
        self._doomed: list[Path] = []

    def open_append(self, path: Path, *, truncate_to: int | None = None) -> AppendFile:
        return _File(path, truncate_to)

    def replace(self, source: Path, target: Path) -> None:
        source.replace(target)
        if self.power_safe:
            directory = os.open(target.parent, os.O_RDONLY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)

    def write_atomic(self, path: Path, content: bytes) -> None:
        draft = path.with_name(f".{path.name}.draft")
        draft.unlink(missing_ok=True)
        file = self.open_append(draft)
        try:
            file.append([content])
            if self.power_safe:
                file.sync()
        finally:
            file.close()
        self.replace(draft, path)

    def remove(self, path: Path) -> None:
        if self._holders:
            self._doomed.append(path)
        elif path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)

    @contextmanager
    def held(self) -> Iterator[None]:
        self._holders += 1
        try:
            yield
        finally:
            self._holders -= 1
            if not self._holders:
                doomed, self._doomed = self._doomed, []
                for path in doomed:
                    self.remove(path)
