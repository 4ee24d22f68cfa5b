"""Files lent to engines. The port hands out the paths of immutable blobs, which an embedded engine in another process opens
when it gets to them; an overwrite or delete in between must not pull the file away from under a query.

So the files of a bucket from which a path was lent within the last ten minutes are not removed at once when their rows
go, but ten minutes later. Everywhere else they go right after the commit. What waits is in memory only: after a crash the
sweep at boot finds those files, as no row names them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from lakebed.kernel.kernel import Kernel

LENT_SECONDS = 600.0
_BATCH = 500


class Lending:
    """Also the task that removes what waited long enough."""

    name = "s3.lent"
    period = 3600.0

    def __init__(self, k: Kernel) -> None:
        self._k = k
        self._lent_until: dict[str, float] = {}  # by bucket; bounded by their number
        self._waiting: deque[tuple[float, str]] = deque()

    def lend(self, bucket: str) -> None:
        """A path in this bucket leaves the house."""
        self._lent_until[bucket] = self._k.clock.now() + LENT_SECONDS

    def retire(self, bucket: str, blobs: Iterable[str]) -> None:
        """Rows are gone and durable about it: remove their files, now or when nobody can be about to open them."""
        now = self._k.clock.now()
        if self._lent_until.get(bucket, 0.0) <= now:
            self._lent_until.pop(bucket, None)
            self._k.blobs.delete(blobs)
        else:
            self._waiting.extend((now + LENT_SECONDS, blob) for blob in blobs)
            self._k.tasks.poke(self.name)

    @property
    def waiting(self) -> int:
        """Files that no row names and that are still there."""
        return len(self._waiting)

    async def activate(self) -> float | None:
        """Remove what is due, some at a time."""
        now = self._k.clock.now()
        due: list[str] = []
        while self._waiting and self._waiting[0][0] <= now and len(due) < _BATCH:
            due.append(self._waiting.popleft()[1])
        self._k.blobs.delete(due)
        return self._waiting[0][0] if self._waiting else None
