"""The lock of a data directory: one process owns it, for as long as it lives.

``flock`` goes with the process, kill -9 included, so that no lock is ever left behind.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import TextIO


class LockedError(Exception):
    """Another Lakebed owns the data directory."""


def hold(data: Path) -> TextIO:
    """Take the lock; keep what is returned open. LockedError where somebody else has it."""
    lock = os.fdopen(os.open(data / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise LockedError(f"another Lakebed runs on {data}") from None
    return lock
