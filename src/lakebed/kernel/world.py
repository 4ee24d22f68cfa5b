"""Lakebed's own time, kept through restarts: a clock that was advanced or scaled never falls back.

Leases, order, retention and visibility depend on time that only moves forward, so the offset is a row (``house`` table)
and a task renews it while the clock runs faster than the machine's.
"""

from __future__ import annotations

from lakebed.kernel.clock import SystemClock
from lakebed.kernel.db import Database, Tx

_KEY = "clock"


def open_clock(db: Database) -> SystemClock:
    """The machine's clock with the offset and scale this data directory was left with."""
    row = db.one("SELECT value FROM house WHERE key=?", (_KEY,))
    if row is None:
        return SystemClock()
    offset, scale = map(float, str(row["value"]).split())
    return SystemClock(offset=offset, scale=scale)


class WorldClock:
    """The task that keeps the offset, and the administrator's two handles."""

    name = "house:clock"
    period = 5.0

    def __init__(self, db: Database, clock: SystemClock) -> None:
        self._db, self._clock = db, clock
        self._kept = 0.0

    def advance(self, seconds: float) -> None:
        """Move forward, durably before anyone can act on it."""
        with self._db.tx() as tx:
            self._keep(tx, self._clock.offset + seconds, self._clock.scale)
        self._clock.advance(seconds)

    def set_scale(self, scale: float) -> None:
        """Let time run faster or slower from here on."""
        self._clock.set_scale(scale)
        with self._db.tx() as tx:
            self._keep(tx, self._clock.offset, scale)

    async def activate(self) -> float | None:
        if abs(self._clock.offset - self._kept) > 1.0:
            with self._db.tx() as tx:
                # Ahead by two periods: after a crash time may jump forward a little, never back.
                ahead = 2 * self.period if self._clock.scale > 1 else 0.0
                self._keep(tx, self._clock.offset + ahead, self._clock.scale)
        return None

    def _keep(self, tx: Tx, offset: float, scale: float) -> None:
        tx.execute("INSERT OR REPLACE INTO house VALUES (?,?)", (_KEY, f"{offset:.3f} {scale:g}"))
        self._kept = offset
