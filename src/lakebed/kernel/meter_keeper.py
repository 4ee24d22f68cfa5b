"""Meters through restarts: totals and seen links are written every few seconds and read back at boot.

They describe the flow, they do not account for it: a crash may lose the last seconds of counting (never a record). Rates,
lags and errors of the moment begin anew.
"""

from __future__ import annotations

from typing import Any

import msgspec

from lakebed.kernel.db import Database
from lakebed.kernel.meters import Meters

_KEY = "meters"
SECONDS = 5.0


class MeterKeeper:
    """The task that writes; ``restore`` once at boot, ``keep`` once more at the end."""

    name = "house:meters"
    period = SECONDS

    def __init__(self, db: Database, meters: Meters) -> None:
        self._db, self._meters = db, meters
        self._kept = b""

    def restore(self) -> None:
        """Continue counting where the last boot stopped."""
        row = self._db.one("SELECT value FROM house WHERE key=?", (_KEY,))
        if row is not None:
            document: dict[str, Any] = msgspec.json.decode(row["value"])
            self._meters.restore(document)

    def keep(self) -> None:
        """Write what changed since the last time."""
        content = msgspec.json.encode(self._meters.totals())
        if content != self._kept:
            with self._db.tx() as tx:
                tx.execute("INSERT OR REPLACE INTO house VALUES (?,?)", (_KEY, content.decode()))
            self._kept = content

    async def activate(self) -> float | None:
        self.keep()
        return None
