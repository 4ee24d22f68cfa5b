"""Clocks: the only module that reads the machine's time or sleeps.

Everything that waits (Firehose buffers, visibility timeouts, leases, retention) asks a ``Clock``, so a test moves
fifteen minutes in a millisecond and ``lakebed clock advance`` does the same to a running server.

``now`` is float epoch seconds, UTC, of Lakebed's world; ``wall`` is the machine's own time, used only where a client's
clock is compared with ours (SigV4 skew); ``monotonic`` measures durations and is never moved.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Protocol


class Clock(Protocol):
    """What the rest of Lakebed may know of time."""

    def now(self) -> float:
        """Epoch seconds of Lakebed's world."""
        ...

    def wall(self) -> float:
        """Epoch seconds of the machine."""
        ...

    def monotonic(self) -> float:
        """Seconds for measuring durations."""
        ...

    async def sleep_until(self, when: float) -> None:
        """Return when ``now() >= when``."""
        ...

    def working(self) -> AbstractContextManager[None]:
        """Mark work in flight: ``with clock.working(): ...``. A manual clock does not move past it."""
        ...


_NO_WORK: AbstractContextManager[None] = nullcontext()


class SystemClock:
    """The machine's time, which an administrator may shift (``advance``) or speed up (``scale``)."""

    def __init__(self, *, offset: float = 0.0, scale: float = 1.0) -> None:
        self._base_world = time.time() + offset
        self._base_monotonic = time.monotonic()
        self._scale = scale
        self._moved = asyncio.Event()

    @property
    def scale(self) -> float:
        """World seconds that pass in one second of the machine."""
        return self._scale

    @property
    def offset(self) -> float:
        """Seconds Lakebed's world is ahead of the machine."""
        return self.now() - time.time()

    def now(self) -> float:
        return self._base_world + (time.monotonic() - self._base_monotonic) * self._scale

    def wall(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def working(self) -> AbstractContextManager[None]:
        return _NO_WORK

    def advance(self, seconds: float) -> None:
        """Move forward; sleepers whose time has come wake. Going back is refused: leases and order depend on it."""
        if seconds < 0:
            raise ValueError("the clock only moves forward")
        self._rebase(self.now() + seconds, self._scale)

    def set_scale(self, scale: float) -> None:
        """Let ``scale`` world seconds pass in each second of the machine (0.001 to 100,000)."""
        if not 0.001 <= scale <= 100_000:
            raise ValueError("scale must be between 0.001 and 100000")
        self._rebase(self.now(), scale)

    def _rebase(self, world: float, scale: float) -> None:
        self._base_world, self._base_monotonic, self._scale = world, time.monotonic(), scale
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    async def sleep_until(self, when: float) -> None:
        while (left := when - self.now()) > 0:
            with suppress(TimeoutError):
                # The event wakes us early when the world's time was moved; the loop then looks again.
                await asyncio.wait_for(self._moved.wait(), min(left / self._scale, 3600.0))


class ManualClock:
    """A clock that stands still until told; ``advance`` wakes sleepers in due order and returns when all is quiet."""

    def __init__(self, start: float = 1_750_000_000.0) -> None:
        self._now = start
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()
        self._in_flight = 0

    def now(self) -> float:
        return self._now

    def wall(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def working(self) -> AbstractContextManager[None]:
        return self._count()

    @contextmanager
    def _count(self) -> Iterator[None]:
        self._in_flight += 1
        try:
            yield
        finally:
            self._in_flight -= 1

    async def sleep_until(self, when: float) -> None:
        if when <= self._now:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (when, next(self._order), future))
        await future

    async def settle(self) -> None:
        """Return when nothing is in flight and every ready callback has run."""
        quiet = 0
        while quiet < 20:
            # Work in flight sits in threads and child processes: give them real time; otherwise just yield.
            await asyncio.sleep(0.001 if self._in_flight else 0)
            quiet = 0 if self._in_flight else quiet + 1

    async def advance(self, seconds: float) -> None:
        """Move forward, stopping at each sleeper's due time so that what it starts sees the right ``now``."""
        if seconds < 0:
            raise ValueError("the clock only moves forward")
        target = self._now + seconds
        await self.settle()
        while self._sleepers and self._sleepers[0][0] <= target:
            due, _, future = heapq.heappop(self._sleepers)
            self._now = max(self._now, due)
            if not future.done():
                future.set_result(None)
                await self.settle()
        self._now = target
        await self.settle()
