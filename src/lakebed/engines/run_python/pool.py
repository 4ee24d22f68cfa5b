"""Which worker serves whom: warm reuse, a cap per function and in all, fair waiting, idle retirement.

A call takes the warm worker of its spec that was used last, else a new one while there is room, else the place of the
worker that has been idle longest; otherwise it waits in one queue, first come first served except where the first may not
run (its function is at its own cap). A worker that somebody killed is noticed at once and not handed out again.
"""

from __future__ import annotations

import asyncio
import itertools
import shutil
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lakebed.engines.run_python.runtimes import Launch
from lakebed.engines.run_python.settings import RunPythonSettings
from lakebed.engines.run_python.worker_process import WorkerProcess
from lakebed.kernel.errors import AwsError
from lakebed.kernel.kernel import Kernel
from lakebed.ports.runtime import FunctionSpec


@dataclass(slots=True)
class _Waiter:
    spec: FunctionSpec
    concurrency: int
    turn: asyncio.Future[None]


def throttled() -> AwsError:
    """AWS's answer where no worker became free in time."""
    return AwsError(
        "TooManyRequestsException",
        "Rate Exceeded.",
        status=429,
        members={"Reason": "ConcurrentInvocationLimitExceeded", "Type": "User"},
    )


class Pool:
    """All workers of the runtime."""

    def __init__(self, kernel: Kernel, settings: RunPythonSettings, door: Callable[[], tuple[str, int]]) -> None:
        self.k, self.settings, self._door = kernel, settings, door
        self._kept: dict[str, int] = {}  # workers of a spec that stay, however long nobody calls
        self._folders = kernel.data / "scratch" / "run_python"
        self._numbers = itertools.count(1)
        self._idle: list[WorkerProcess] = []  # the one used last at the end
        self._busy: Counter[str] = Counter()
        self._retired: set[str] = set()
        self._waiting: deque[_Waiter] = deque()
        self._watchers: set[asyncio.Task[None]] = set()
        shutil.rmtree(self._folders, ignore_errors=True)  # what a killed house left behind

    @property
    def size(self) -> int:
        """Workers there are."""
        return len(self._idle) + self._busy.total()

    def idle_of(self, key: str) -> list[WorkerProcess]:
        """Warm workers of a spec, for tests and the console."""
        return [worker for worker in self._idle if worker.spec.key == key]

    def busy(self, key: str) -> int:
        """Workers of a spec that have an event, or are being started."""
        return self._busy[key]

    def keep(self, key: str, count: int) -> None:
        """So many idle workers of a spec stay."""
        if count:
            self._kept[key] = count
        else:
            self._kept.pop(key, None)

    async def reserve(self, spec: FunctionSpec) -> WorkerProcess | None:
        """A new worker ahead of any event, where there is room; ``give`` follows."""
        if self.size >= self.settings.workers_max and not self._spare():
            return None
        self._busy[spec.key] += 1
        try:
            return await self._fresh(spec)
        except BaseException:
            self._free(spec.key)
            raise

    async def take(self, spec: FunctionSpec, concurrency: int, deadline: float) -> WorkerProcess:
        """A worker for one event: warm (``ready``) or just made. ``give`` follows. ``deadline`` is a monotonic second."""
        if self._waiting or not self._may_run(spec, concurrency):
            await self._wait(_Waiter(spec, concurrency, asyncio.get_running_loop().create_future()), deadline)
        else:
            self._busy[spec.key] += 1
        try:
            return self._warm(spec) or await self._fresh(spec)
        except BaseException:
            self._free(spec.key)
            raise

    async def give(self, worker: WorkerProcess) -> None:
        """The event is over; the worker waits for the next one, or ends where it can not."""
        key = worker.spec.key
        now = self.k.clock.now()
        worker.last_used = now
        if worker.usable and key not in self._retired and now - worker.born < self.settings.age_seconds_max:
            self._idle.append(worker)
            self._free(key)
            return
        try:
            await worker.end()
        finally:
            self._free(key)

    async def retire(self, key: str) -> None:
        """Stop the warm workers of a spec; busy ones end after their event."""
        if self._busy[key]:
            self._retired.add(key)
        await self._end([worker for worker in self._idle if worker.spec.key == key])

    async def sweep(self) -> float | None:
        """End what is idle too long; when the next one is due."""
        now = self.k.clock.now()
        spare = self._spare()
        await self._end([worker for worker in spare if worker.last_used + self.settings.idle_seconds <= now])
        return min((worker.last_used + self.settings.idle_seconds for worker in self._spare()), default=None)

    async def stop(self) -> None:
        """End every idle worker and refuse whoever waits; busy ones die with their callers' tasks."""
        for waiter in self._waiting:
            if not waiter.turn.done():
                waiter.turn.set_exception(throttled())
        self._waiting.clear()
        await self._end(list(self._idle))
        for watcher in list(self._watchers):
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)

    def _spare(self) -> list[WorkerProcess]:
        """Idle workers but for those that are to stay, the one that is idle longest first."""
        left, spare = dict(self._kept), []
        for worker in reversed(self._idle):
            if left.get(worker.spec.key, 0) > 0:
                left[worker.spec.key] -= 1
            else:
                spare.append(worker)
        return spare[::-1]

    async def _end(self, workers: list[WorkerProcess]) -> None:
        for worker in workers:
            if worker in self._idle:
                self._idle.remove(worker)
        await asyncio.gather(*(worker.end() for worker in workers))
        self._wake()

    def _may_run(self, spec: FunctionSpec, concurrency: int) -> bool:
        if self._busy[spec.key] >= concurrency:
            return False
        return self._busy.total() < self.settings.workers_max

    async def _wait(self, waiter: _Waiter, deadline: float) -> None:
        if len(self._waiting) >= self.settings.waiting_max:
            raise throttled()
        self._waiting.append(waiter)
        self._wake()
        try:
            await asyncio.wait_for(waiter.turn, max(0.0, deadline - self.k.clock.monotonic()))
        except TimeoutError:
            raise throttled() from None
        except BaseException:
            if waiter.turn.done() and not waiter.turn.cancelled() and waiter.turn.exception() is None:
                self._free(waiter.spec.key)
            raise
        finally:
            with suppress(ValueError):
                self._waiting.remove(waiter)

    def _wake(self) -> None:
        """Give turns to those who wait, in their order."""
        for waiter in list(self._waiting):
            if not waiter.turn.done() and self._may_run(waiter.spec, waiter.concurrency):
                self._busy[waiter.spec.key] += 1
                waiter.turn.set_result(None)
                self._waiting.remove(waiter)

    def _free(self, key: str) -> None:
        self._busy[key] -= 1
        if self._busy[key] <= 0:
            del self._busy[key]
            self._retired.discard(key)
        self._wake()

    def _warm(self, spec: FunctionSpec) -> WorkerProcess | None:
        for worker in reversed(self._idle):
            if worker.spec.key == spec.key and worker.usable:
                self._idle.remove(worker)
                return worker
        return None

    async def _fresh(self, spec: FunctionSpec) -> WorkerProcess:
        if self.size > self.settings.workers_max and (spare := self._spare() or self._idle):
            self._idle.remove(spare[0])
            await spare[0].end()
        worker = WorkerProcess(self.k, spec, self._folder(), Launch(spec.runtime, self.settings, self._door))
        await worker.start()
        watcher = asyncio.create_task(self._watch(worker), name=f"lambda-worker:{worker.pid}")
        self._watchers.add(watcher)
        watcher.add_done_callback(self._watchers.discard)
        return worker

    async def _watch(self, worker: WorkerProcess) -> None:
        """Forget an idle worker that died on its own."""
        await worker.ended()
        if worker in self._idle:
            self._idle.remove(worker)
            self.k.log.warning("idle function worker died", function=worker.spec.name, code=worker.exit_code)
            await worker.end()

    def _folder(self) -> Path:
        return (self._folders / f"{next(self._numbers)}").resolve()


class IdleWorkers:
    """Task: end workers nobody called for a while."""

    name = "run_python:idle"
    period = 60.0

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def activate(self) -> float | None:
        """Once a minute, or when the next one is due."""
        return await self._pool.sweep()
