"""Removing the files of versions and parts whose rows are gone.

Not on the path of the request: unlinking a large file takes its time, so files go in a thread, batch by batch, right
after the commit that made them nameless. And not always at once: the port hands out the paths of immutable blobs, which
an embedded engine in another process opens when it gets to them, and an overwrite or delete in between must not pull the
file away from under a query. The files of a bucket from which a path was lent within the last ten minutes therefore stay
for ten more. What waits is in memory only: after a crash the sweep at boot finds those files, as no row names them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable

from lakebed.kernel.kernel import Kernel

LENT_SECONDS = 600.0
_BATCH = 500


class Removal:
    """Also the task that does it."""

    name = "s3.removal"
    period = 3600.0

    def __init__(self, k: Kernel) -> None:
        self._k = k
        self._lent_until: dict[str, float] = {}  # by bucket; bounded by their number
        self._due: deque[str] = deque()
        self._later: deque[tuple[float, str]] = deque()

    def lend(self, bucket: str) -> None:
        """A path in this bucket leaves the house."""
        self._lent_until[bucket] = self._k.clock.now() + LENT_SECONDS

    def retire(self, bucket: str, blobs: Iterable[str]) -> None:
        """Rows are gone and durable about it: remove their files, now or when nobody can be about to open them."""
        now = self._k.clock.now()
        if self._lent_until.get(bucket, 0.0) <= now:
            self._lent_until.pop(bucket, None)
            self._due.extend(blobs)
        else:
            self._later.extend((now + LENT_SECONDS, blob) for blob in blobs)
        self._k.tasks.poke(self.name)

    async def remove_due(self) -> None:
        """One batch. A request that made many files nameless awaits this between its own batches."""
        now = self._k.clock.now()
        while self._later and self._later[0][0] <= now:
            self._due.append(self._later.popleft()[1])
        batch = [self._due.popleft() for _ in range(min(_BATCH, len(self._due)))]
        if batch:
            with self._k.clock.working():
                await asyncio.to_thread(self._k.blobs.delete, batch)

    async def activate(self) -> float | None:
        """Remove what is due, some at a time."""
        await self.remove_due()
        if self._due:
            return self._k.clock.now()
        return self._later[0][0] if self._later else None
