"""The real server with a switch at every point where an effect becomes durable or is told: a program of its own.

    LAKEBED_TEST_POINT="rename:after:objects#3" python -m tests.faults.server up --data …

dies by SIGKILL when that point is passed for the third time. Points are ``<what>:<before|after>:<where>``:

- open, write, sync, rename, unlink, sync_directory: the calls of ``lakebed.kernel.disk.System``; where: the log's service,
  ``objects``, ``drafts``, or the first folder of the path below the data directory;
- commit: SQLite's COMMIT; where: the package that opened the transaction (``s3``, ``mqtt``, ``outbox``, …);
- ack: the answer of an HTTP call; where: its service; for ``mqtt`` the bytes written to a device.

SIGUSR1 writes how often each was passed to ``points.json`` in the data directory. ``LAKEBED_TEST_CLOCK`` names a file with
a number of seconds the machine's clock is off by, read at every look at it. Segments are small here, so that they roll.
Nothing of this is in the product: the switch is put in from here, by replacing what the modules look up.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any

from lakebed.cli import main as cli
from lakebed.edge.aws import answer
from lakebed.edge.mqtt import connection
from lakebed.kernel import clock, db, disk, segments

POINT, CLOCK = "LAKEBED_TEST_POINT", "LAKEBED_TEST_CLOCK"
COUNTS = "points.json"
SEGMENT_BYTES = 32 << 10


class Switch:
    """Counts the passages of every point; the wanted one's n-th is the last thing this process does."""

    def __init__(self, wanted: str) -> None:
        self._point, _, nth = wanted.partition("#")
        self._nth = int(nth or 1)
        self.counts: Counter[str] = Counter()

    def passed(self, point: str) -> None:
        self.counts[point] += 1
        if point == self._point and self.counts[point] == self._nth:
            os.kill(os.getpid(), signal.SIGKILL)

    @contextmanager
    def around(self, what: str, where: str) -> Iterator[None]:
        """Both points of one act; the second only where it came off."""
        self.passed(f"{what}:before:{where}")
        yield
        self.passed(f"{what}:after:{where}")


class SwitchedSystem(disk.System):
    """The disk's calls."""

    def __init__(self, switch: Switch, data: Path) -> None:
        self._switch, self._data = switch, data.absolute()
        self._rooms: dict[int, str] = {}

    def _room(self, path: Path) -> str:
        try:
            parts = path.absolute().relative_to(self._data).parts
        except ValueError:
            return "elsewhere"
        if parts[0] == "log" and len(parts) > 1:
            return f"{parts[1]}-index" if ".idx" in parts[-1] else parts[1]
        return "drafts" if parts[:2] == ("objects", "drafts") else parts[0]

    def open(self, path: Path) -> int:
        with self._switch.around("open", self._room(path)):
            fd = super().open(path)
        self._rooms[fd] = self._room(path)
        return fd

    def write(self, fd: int, data: bytes) -> int:
        with self._switch.around("write", self._rooms[fd]):
            return super().write(fd, data)

    def sync(self, fd: int) -> None:
        with self._switch.around("sync", self._rooms[fd]):
            super().sync(fd)

    def rename(self, source: Path, target: Path) -> None:
        with self._switch.around("rename", self._room(target)):
            super().rename(source, target)

    def unlink(self, path: Path) -> None:
        with self._switch.around("unlink", self._room(path)):
            super().unlink(path)

    def sync_directory(self, path: Path) -> None:
        with self._switch.around("sync_directory", self._room(path / "x")):
            super().sync_directory(path)


def _connection(switch: Switch) -> type[sqlite3.Connection]:
    class SwitchedConnection(sqlite3.Connection):
        def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
            if sql != "COMMIT":
                return super().execute(sql, *parameters)
            with switch.around("commit", _owner(sys._getframe(1))):
                return super().execute(sql)

    return SwitchedConnection


def _owner(frame: FrameType | None) -> str:
    """The package whose code opened the transaction."""
    while frame is not None:
        parts = str(frame.f_globals.get("__name__", "")).split(".")
        if parts[0] == "lakebed" and parts[-1] != "db":
            return parts[2] if len(parts) > 2 and parts[1] in ("services", "edge", "kernel") else parts[-1]
        frame = frame.f_back
    return "nobody"


def _answers(switch: Switch, send: Callable[..., Any]) -> Callable[..., Any]:
    async def switched(self: Any, response: Any, service: str, *rest: Any) -> Any:
        with switch.around("ack", service or "nobody"):
            return await send(self, response, service, *rest)

    return switched


def _flushes(switch: Switch, flush: Callable[..., Any]) -> Callable[..., Any]:
    def switched(self: Any) -> None:
        with switch.around("ack", "mqtt"):
            flush(self)

    return switched


def _off_by(path: Path) -> SimpleNamespace:
    """``time`` for the kernel's clock, wrong by what the file says."""

    def wrong() -> float:
        return time.time() + float(path.read_text() or 0)

    return SimpleNamespace(time=wrong, monotonic=time.monotonic)


def main() -> int:
    """Put the switch in and be the server."""
    data = Path(sys.argv[sys.argv.index("--data") + 1])
    switch = Switch(os.environ.get(POINT, ""))
    system = SwitchedSystem(switch, data)
    disk.System = lambda: system  # type: ignore[assignment, misc]
    connect = sqlite3.connect
    made = _connection(switch)
    db.sqlite3 = SimpleNamespace(  # type: ignore[assignment]
        **{name: getattr(sqlite3, name) for name in dir(sqlite3) if not name.startswith("__")}
        | {"connect": lambda *given, **named: connect(*given, factory=made, **named)}
    )
    answer.Answers.send = _answers(switch, answer.Answers.send)  # type: ignore[method-assign]
    connection.Connection._flush = _flushes(switch, connection.Connection._flush)  # type: ignore[method-assign]
    assert segments.LogStore.__init__.__kwdefaults__ is not None
    segments.LogStore.__init__.__kwdefaults__["segment_bytes"] = SEGMENT_BYTES
    signal.signal(signal.SIGUSR1, lambda *_: (data / COUNTS).write_text(json.dumps(switch.counts)))
    if CLOCK in os.environ:
        clock.time = _off_by(Path(os.environ[CLOCK]))  # type: ignore[assignment]
    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
