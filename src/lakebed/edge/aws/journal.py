"""The journal: a row for every call, in batches, so that a trivial call does not pay for a commit of its own.

Rows are written half a second after the first waiting one, or at 500 rows: **a crash may lose the last half second of
the journal** (never of anything a client was told). The table is bounded by ``[admin] journal_rows_max``; request and
response bodies, secrets and signatures are not in it.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from lakebed.kernel.db import Database
from lakebed.kernel.log import Log

FLUSH_SECONDS = 0.5
BATCH_ROWS = 500
WAITING_ROWS_MAX = 10_000


class Entry(NamedTuple):
    """One call, in the order of the table's columns after ``id``."""

    at: float
    request_id: str
    account: str
    region: str
    principal: str
    service: str
    operation: str
    resource: str
    status: int
    error: str
    duration_ms: float
    bytes_in: int
    bytes_out: int
    user_agent: str


_INSERT = f"INSERT INTO journal ({', '.join(Entry._fields)}) VALUES ({', '.join('?' * len(Entry._fields))})"  # noqa: S608 - our own column names
_SELECT = f"SELECT id, {', '.join(Entry._fields)} FROM journal"  # noqa: S608


class Journal:
    """Collects entries and writes them on a short timer of the event loop."""

    def __init__(self, db: Database, log: Log, rows_max: int) -> None:
        self._db, self._log, self._rows_max = db, log, rows_max
        self._waiting: list[Entry] = []
        self._timer: asyncio.TimerHandle | None = None
        self._written = 0

    def add(self, entry: Entry) -> None:
        """Note a call; dropped when the journal is off, or when the disk refuses and ten thousand wait already."""
        if not self._rows_max or len(self._waiting) >= WAITING_ROWS_MAX:
            return
        self._waiting.append(entry)
        if len(self._waiting) >= BATCH_ROWS:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.flush)

    def flush(self) -> None:
        """Write what waits, and trim the table now and then."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        try:
            with self._db.tx() as tx:
                tx.executemany(_INSERT, waiting)
                self._written += len(waiting)
                if self._written >= BATCH_ROWS:
                    self._written = 0
                    tx.execute("DELETE FROM journal WHERE id <= (SELECT max(id) FROM journal) - ?", (self._rows_max,))
        except Exception as failure:  # whatever the disk does, a call must not fail for its journal row
            self._log.warning("journal rows lost", count=len(waiting), exc=failure)

    def read(
        self, *, before: int | None = None, limit: int = 100, service: str = "", errors: bool = False
    ) -> list[dict[str, object]]:
        """The newest rows first, for the console and ``/_lakebed/journal``."""
        self.flush()
        rows = self._db.all(
            f"{_SELECT} WHERE (? IS NULL OR id < ?) AND (? = '' OR service = ?) AND (? = 0 OR error <> '')"
            " ORDER BY id DESC LIMIT ?",
            (before, before, service, service, int(errors), limit),
        )
        return [dict(row) for row in rows]
