"""Emptying a data directory so that a crash leaves either all of its state or none of it.

    emptying.empty(data, names, disk)     # marked, moved aside, unmarked: quick, whatever the sizes
    emptying.is_begun(data)               # at boot: a crash came between; call ``empty`` again before anything is opened
    emptying.delete_aside(data)           # blocking: in a thread

The marker is a small file written atomically, ``begun`` before the first move and ``done`` after the last; it is never
unlinked, because a name whose removal was not synced could come back after a power cut and empty the new state.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from lakebed.kernel.disk import Disk

MARKER, ASIDE = ".emptying", ".aside"


def empty(data: Path, names: Iterable[str], disk: Disk) -> None:
    """Move ``names`` (files and directories; absent is fine) out of ``data``. Nothing of theirs may be open for writing."""
    disk.write_atomic(data / MARKER, b"begun\n")
    (data / ASIDE).mkdir(mode=0o700, exist_ok=True)
    target = Path(tempfile.mkdtemp(dir=data / ASIDE))
    for name in names:
        if (data / name).exists():
            (data / name).rename(target / name)
    disk.write_atomic(data / MARKER, b"done\n")


def is_begun(data: Path) -> bool:
    """Whether an emptying did not come to its end."""
    try:
        return (data / MARKER).read_bytes() == b"begun\n"
    except FileNotFoundError:
        return False


def delete_aside(data: Path) -> None:
    """Delete what was moved aside. What cannot be deleted now is tried again the next time."""
    aside = data / ASIDE
    for folder in list(aside.iterdir()) if aside.is_dir() else ():
        shutil.rmtree(folder, ignore_errors=True)
