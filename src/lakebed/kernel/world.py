"""Lakebed's own time, kept through restarts: it never falls back, whatever an administrator or the machine's clock does.

Leases, order, retention and visibility depend on time that only moves forward. One row (``house`` table) holds the offset
somebody asked for, the scale, and how far time was when a task last looked. While Lakebed runs its time is monotonic, and a
jump of the machine's clock changes nothing; at the next start it is the machine's plus the offset, or where it had come to
if that is later. So a clock that was set back hides nothing for an hour, and one that was wrong for a while is forgotten.
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
    offset, scale, reached = _read(str(row["value"]))
    clock = SystemClock(offset=offset, scale=scale)
    clock.advance(max(0.0, reached - clock.now()))
    return clock


def _read(value: str) -> tuple[float, float, float]:
    """Offset, scale, how far time was; rows of earlier versions lack the last."""
    offset, scale, *rest = map(float, value.split())
    return offset, scale, rest[0] if rest else 0.0


class WorldClock:
    """The task that keeps the offset, and the administrator's two handles."""

    name = "house:clock"
    period = 5.0

    def __init__(self, db: Database, clock: SystemClock) -> None:
        self._db, self._clock = db, clock
        row = db.one("SELECT value FROM house WHERE key=?", (_KEY,))
        self._offset = clock.offset if row is None else _read(str(row["value"]))[0]

    def advance(self, seconds: float) -> None:
        """Move forward, durably before anyone can act on it."""
        with self._db.tx() as tx:
            self._keep(tx, self._offset + seconds, self._clock.scale, self._clock.now() + seconds)
        self._clock.advance(seconds)

    def set_scale(self, scale: float) -> None:
        """Let time run faster or slower from here on."""
        self._clock.set_scale(scale)
        with self._db.tx() as tx:
            self._keep(tx, self._clock.offset, scale, self._clock.now())

    async def activate(self) -> float | None:
        clock = self._clock
        # Ahead by two periods: after a crash time may jump forward a little, never back.
        ahead = 2 * self.period if clock.scale > 1 else 0.0
        with self._db.tx() as tx:
            self._keep(tx, clock.offset + ahead if clock.scale != 1 else self._offset, clock.scale, clock.now())
        return None

    def _keep(self, tx: Tx, offset: float, scale: float, reached: float) -> None:
        tx.execute("INSERT OR REPLACE INTO house VALUES (?,?)", (_KEY, f"{offset:.3f} {scale:g} {reached:.3f}"))
        self._offset = offset
