"""A disk that fails by plan, and a power cut that forgets what was not synced.

``FaultyDisk`` is the real ``LocalDisk`` on a ``System`` that counts its calls: the n-th of a kind fails once (ENOSPC, EIO,
a short write), or every one from there on. ``cut()`` plays a power failure the strictest way POSIX allows: bytes after the
last sync of a file are gone or garbage, names after the last sync of their directory are undone. Make it with a seed: the
same seed gives the same garbage.
"""

from __future__ import annotations

import errno
import os
import random
import shutil
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from lakebed.kernel.disk import LocalDisk, System


@dataclass(slots=True)
class Fault:
    """``kind``: write, sync, rename, truncate, open, sync_directory. ``at`` counts its calls from 1."""

    kind: str
    at: int
    error: int = errno.EIO
    short: int | None = None  # a write takes only so many bytes; no error
    lasting: bool = False


@dataclass(slots=True)
class _Names:
    """What a directory must undo at a cut, newest last: (made path, what lay there before or None, moved from or None)."""

    pending: list[tuple[Path, bytes | None, Path | None]] = field(default_factory=list)


class FaultySystem(System):
    """Counts, fails, and remembers what is not on the medium yet."""

    def __init__(self, seed: int = 0) -> None:
        self.random = random.Random(seed)
        self.faults: list[Fault] = []
        self.counts: Counter[str] = Counter()
        self._paths: dict[int, Path] = {}
        self.synced: dict[Path, int] = {}
        self._names: dict[Path, _Names] = {}

    def _step(self, kind: str) -> Fault | None:
        self.counts[kind] += 1
        for fault in self.faults:
            due = self.counts[kind] >= fault.at if fault.lasting else self.counts[kind] == fault.at
            if fault.kind == kind and due:
                if fault.short is None:
                    raise OSError(fault.error, os.strerror(fault.error))
                return fault
        return None

    def open(self, path: Path) -> int:
        self._step("open")
        if not path.exists():
            self._names.setdefault(path.parent, _Names()).pending.append((path, None, None))
            self.synced[path] = 0
        fd = super().open(path)
        self._paths[fd] = path
        self.synced.setdefault(path, path.stat().st_size)
        return fd

    def write(self, fd: int, data: bytes) -> int:
        fault = self._step("write")
        return super().write(fd, data[: fault.short] if fault else data)

    def truncate(self, fd: int, size: int) -> None:
        self._step("truncate")
        super().truncate(fd, size)
        path = self._paths[fd]
        self.synced[path] = min(self.synced[path], size)

    def sync(self, fd: int) -> None:
        self._step("sync")
        path = self._paths[fd]
        self.synced[path] = os.fstat(fd).st_size

    def make_directory(self, path: Path) -> None:
        super().make_directory(path)
        self._names.setdefault(path.parent, _Names()).pending.append((path, None, None))

    def rename(self, source: Path, target: Path) -> None:
        self._step("rename")
        before = target.read_bytes() if target.exists() else None
        super().rename(source, target)
        self.synced[target] = self.synced.pop(source, target.stat().st_size)
        # Never undone by its old directory alone: the file stands in one of the two places.
        pending = self._names.setdefault(source.parent, _Names()).pending
        pending[:] = [entry for entry in pending if entry[0] != source]
        self._names.setdefault(target.parent, _Names()).pending.append((target, before, source))

    def sync_directory(self, path: Path) -> None:
        self._step("sync_directory")
        self._names.pop(path, None)

    def cut(self) -> None:
        """The power fails: what nobody synced is gone, or not what was written."""
        for path, size in self.synced.items():
            if path.is_file() and path.stat().st_size > size:
                lost = path.stat().st_size - size
                kept = self.random.choice((0, self.random.randrange(lost), lost))
                garbage = self.random.choice((True, False))
                content = path.read_bytes()
                tail = self.random.randbytes(kept) if garbage else content[size : size + kept]
                path.write_bytes(content[:size] + tail)
        for names in self._names.values():
            for path, before, source in reversed(names.pending):
                self._undo(path, before, source)
        self._names.clear()

    @staticmethod
    def _undo(path: Path, before: bytes | None, source: Path | None) -> None:
        if not path.exists():
            return
        if path.is_dir():
            shutil.rmtree(path)
        elif source is not None and source.parent.is_dir():
            path.replace(source)
        else:
            path.unlink()
        if before is not None:
            path.write_bytes(before)


class FaultyDisk(LocalDisk):
    """``lakebed.kernel.disk.Disk`` on a ``FaultySystem``."""

    def __init__(self, seed: int = 0, *, power_safe: bool = False, faults: tuple[Fault, ...] = ()) -> None:
        self.faulty = FaultySystem(seed)
        self.faulty.faults.extend(faults)
        super().__init__(power_safe=power_safe, system=self.faulty)

    def cut(self) -> None:
        """A power cut. Throw every object that used this disk away and open the files with a new one."""
        self.faulty.cut()
