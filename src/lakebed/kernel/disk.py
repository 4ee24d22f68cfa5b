"""Disk: the one seam through which Lakebed's own files (segments, blobs, zips) are written, renamed, synced, removed.

A test hands in a ``System`` whose calls fail, write short or are forgotten at a power cut (tests/kernel/faults.py), so
that the code here is what is tried. SQLite keeps its own seam (its VFS) and reading needs none. What an acknowledgement
means is decided here once: with ``power_safe`` a commit waits for the platter, without it a write that reached the
operating system survives kill -9 of this process, and files are synced in the background.

An fsync that failed is final for its file (the kernel may have dropped the dirty pages): ``DiskFailedError`` is raised on
every later use of it. A write that failed is not: what came through of it is cut off, at the latest before the next one.
"""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Protocol


class DiskFailedError(OSError):
    """This file can not be trusted any more; it must be reopened and recovered."""


_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM}
_SQLITE_FULL, _SQLITE_IOERR, _SQLITE_READONLY, _SQLITE_CANTOPEN = 13, 10, 8, 14


def is_trouble(failure: BaseException) -> bool:
    """Whether the machine failed (a full or broken disk, no descriptor left) and not the code: it may pass."""
    if isinstance(failure, sqlite3.OperationalError):
        code = getattr(failure, "sqlite_errorcode", 0) & 0xFF
        return code in (_SQLITE_FULL, _SQLITE_IOERR, _SQLITE_READONLY, _SQLITE_CANTOPEN)
    return isinstance(failure, OSError) and failure.errno in _NO_ROOM


class System:
    """The operating system's calls that change a disk: everything that can fail, and nothing else."""

    def open(self, path: Path) -> int:
        """Open for writing, made with mode 0600 when absent."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def write(self, fd: int, data: bytes) -> int:
        """Write at the file's position; how many bytes were taken."""
        return os.write(fd, data)

    def truncate(self, fd: int, size: int) -> None:
        """Cut to ``size``."""
        os.ftruncate(fd, size)

    def sync(self, fd: int) -> None:
        """The file's content and size are on the medium when this returns."""
        os.fdatasync(fd) if hasattr(os, "fdatasync") else os.fsync(fd)

    def make_directory(self, path: Path) -> None:
        """One directory, mode 0700."""
        path.mkdir(mode=0o700, exist_ok=True)

    def rename(self, source: Path, target: Path) -> None:
        """Atomically, over what is there."""
        source.replace(target)

    def unlink(self, path: Path) -> None:
        """Remove a file; absent is fine."""
        path.unlink(missing_ok=True)

    def sync_directory(self, path: Path) -> None:
        """The directory's names are on the medium when this returns."""
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


class AppendFile(Protocol):
    """An open file that only grows."""

    @property
    def size(self) -> int:
        """Bytes written so far."""
        ...

    def append(self, pieces: Sequence[bytes]) -> None:
        """Write all pieces at the end; on failure what was written of them is cut off again.

        Where even that fails, it is cut off by the next append, of nothing if need be.
        """
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
        """Rename atomically over ``target``, whose parents are made; ``power_safe``: the directory is synced as well."""
        ...

    def write_atomic(self, path: Path, content: bytes) -> None:
        """Write a small file whole: another name, sync where ``power_safe``, rename."""
        ...

    def remove(self, path: Path) -> None:
        """Unlink, or remove a directory with all that is in it; absent is fine."""
        ...

    @property
    def is_held(self) -> bool:
        """Whether a block of ``held`` runs."""
        ...

    def held(self) -> AbstractContextManager[None]:
        """While the block runs nothing is removed (a backup reads); what was to be removed goes at its end."""
        ...


class _File:
    def __init__(self, system: System, path: Path, truncate_to: int | None) -> None:
        self._system, self._path = system, path
        self._fd = system.open(path)
        try:
            if truncate_to is not None:
                system.truncate(self._fd, truncate_to)
            self._size = os.lseek(self._fd, 0, os.SEEK_END)
        except OSError:
            os.close(self._fd)
            raise
        self._failed = self._torn = False
        self._closing = threading.Lock()  # a sync in a thread must not meet a descriptor that was closed meanwhile

    @property
    def size(self) -> int:
        return self._size

    def append(self, pieces: Sequence[bytes]) -> None:
        self._check()
        if self._torn:
            self._mend()
        blob = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        written = 0
        try:
            while written < len(blob):
                written += self._system.write(self._fd, blob[written:] if written else blob)
        except OSError:
            with suppress(OSError):  # a disk that takes nothing at all: the next append finds it torn
                self._mend()
            raise
        self._size += written

    def _mend(self) -> None:
        self._torn = True
        self._system.truncate(self._fd, self._size)
        os.lseek(self._fd, self._size, os.SEEK_SET)
        self._torn = False

    def sync(self) -> None:
        with self._closing:
            self._check()
            if self._fd < 0:
                return  # whoever closed it synced it, or does not want it any more
            try:
                self._system.sync(self._fd)
            except OSError:
                # Never again: a second fsync may report success for pages that the first one dropped.
                self._failed = True
                raise

    def close(self) -> None:
        with self._closing:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1

    def _check(self) -> None:
        if self._failed:
            raise DiskFailedError(errno.EIO, "an earlier sync failed, restart to recover", str(self._path))


class LocalDisk:
    """The machine's disk."""

    def __init__(self, *, power_safe: bool = False, system: System | None = None) -> None:
        self.power_safe = power_safe
        self._system = system or System()
        self._holders = 0
        self._doomed: list[Path] = []

    def open_append(self, path: Path, *, truncate_to: int | None = None) -> AppendFile:
        self._make_directories(path.parent)
        is_new = not path.exists()
        file = _File(self._system, path, truncate_to)
        if is_new and self.power_safe:
            try:
                # A synced file whose name is not on the medium is lost all the same.
                self._system.sync_directory(path.parent)
            except OSError:
                file.close()
                self._system.unlink(path)
                raise
        return file

    def replace(self, source: Path, target: Path) -> None:
        self._make_directories(target.parent)
        self._system.rename(source, target)
        if self.power_safe:
            self._system.sync_directory(target.parent)

    def write_atomic(self, path: Path, content: bytes) -> None:
        draft = path.with_name(f".{path.name}.draft")
        self._system.unlink(draft)
        try:
            file = self.open_append(draft)
            try:
                file.append([content])
                if self.power_safe:
                    file.sync()
            finally:
                file.close()
            self.replace(draft, path)
        except OSError:
            with suppress(OSError):
                self._system.unlink(draft)
            raise

    def remove(self, path: Path) -> None:
        if self._holders:
            self._doomed.append(path)
        elif path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            self._system.unlink(path)

    @property
    def is_held(self) -> bool:
        return self._holders > 0

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

    def _make_directories(self, directory: Path) -> None:
        missing = []
        while not directory.is_dir():
            missing.append(directory)
            directory = directory.parent
        for made in reversed(missing):
            self._system.make_directory(made)
            if self.power_safe:
                try:
                    self._system.sync_directory(made.parent)
                except OSError:
                    with suppress(OSError):
                        made.rmdir()  # so that who tries again syncs its name again
                    raise
