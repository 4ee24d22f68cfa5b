"""Background work: idempotent reconcilers, driven one at a time each.

A ``Task`` takes no argument: it reads from its store what is due, does a bounded amount and says when it wants to be
woken. It is activated by ``poke`` (after a commit), by the time it asked for, and by its period, which is also its retry.
A failure is recorded and backed off; it never takes a sibling down. An ``AssertionError`` is a bug: the task is marked
broken, the house unhealthy, and nothing is retried.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Protocol

from lakebed.kernel.clock import Clock
from lakebed.kernel.log import Log

_BACKOFF_SECONDS_MAX = 60.0


class Task(Protocol):
    """One kind of background work."""

    name: str
    period: float  # seconds of Lakebed's world between activations nobody asked for

    async def activate(self) -> float | None:
        """Do what is due, bounded. Returns the epoch second to be woken at, ``now`` for "more at once", None for the period."""
        ...


@dataclass(slots=True)
class TaskStatus:
    """What ``/_lakebed/tasks`` shows of one task."""

    name: str
    activations: int = 0
    failures_in_a_row: int = 0
    last_started: float | None = None
    last_duration: float | None = None
    last_error: str | None = None
    next_wake: float | None = None
    broken: bool = False


@dataclass(slots=True)
class _Driven:
    task: Task
    status: TaskStatus
    poked: asyncio.Event = field(default_factory=asyncio.Event)
    runner: asyncio.Task[None] | None = None


class Tasks:
    """The driver of all tasks of a house."""

    def __init__(self, clock: Clock, log: Log) -> None:
        self._clock = clock
        self._log = log
        self._driven: dict[str, _Driven] = {}
        self._running = False

    def add(self, task: Task) -> None:
        """Register a task; it starts with the driver, or at once if that runs already."""
        if task.name in self._driven:
            raise ValueError(f"task {task.name} exists")
        driven = self._driven[task.name] = _Driven(task, TaskStatus(task.name))
        if self._running:
            self._start(driven)

    async def remove(self, name: str) -> None:
        """Stop a task and forget it (a deleted delivery stream's pump)."""
        driven = self._driven.pop(name, None)
        if driven and driven.runner:
            driven.runner.cancel()
            await asyncio.gather(driven.runner, return_exceptions=True)

    def poke(self, name: str) -> None:
        """Ask for an activation soon. Cheap, from anywhere on the loop; unknown names are ignored."""
        if (driven := self._driven.get(name)) is not None:
            driven.poked.set()

    def status(self) -> list[TaskStatus]:
        """Every task's last activation, for the console and ``/_lakebed/tasks``."""
        return [driven.status for driven in self._driven.values()]

    @property
    def healthy(self) -> bool:
        """False once a task broke an assertion."""
        return not any(driven.status.broken for driven in self._driven.values())

    def start(self) -> None:
        """Begin driving."""
        self._running = True
        for driven in self._driven.values():
            self._start(driven)

    async def stop(self) -> None:
        """Cancel every task and wait until none runs."""
        self._running = False
        runners = [driven.runner for driven in self._driven.values() if driven.runner]
        for runner in runners:
            runner.cancel()
        await asyncio.gather(*runners, return_exceptions=True)

    def _start(self, driven: _Driven) -> None:
        driven.runner = asyncio.create_task(self._drive(driven), name=f"task:{driven.task.name}")

    async def _drive(self, driven: _Driven) -> None:
        status = driven.status
        while True:
            driven.poked.clear()
            with self._clock.working():
                wake = await self._activate(driven)
            if status.broken:
                return
            now = self._clock.now()
            status.next_wake = min(wake if wake is not None else now + driven.task.period, now + driven.task.period)
            if status.next_wake <= now:
                await asyncio.sleep(0)
                continue
            await self._sleep(driven, status.next_wake)

    async def _sleep(self, driven: _Driven, until: float) -> None:
        """Return at ``until`` or when poked."""
        sleeper = asyncio.ensure_future(self._clock.sleep_until(until))
        poke = asyncio.ensure_future(driven.poked.wait())
        try:
            await asyncio.wait((sleeper, poke), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeper.cancel()
            poke.cancel()

    async def _activate(self, driven: _Driven) -> float | None:
        status, started = driven.status, self._clock.monotonic()
        status.activations += 1
        status.last_started = self._clock.now()
        try:
            wake = await driven.task.activate()
            status.failures_in_a_row, status.last_error = 0, None
            return wake
        except AssertionError as broken:
            status.broken, status.last_error = True, f"assertion: {broken}"
            self._log.error("task broken", task=status.name, exc=broken)
            return None
        except Exception as failure:
            status.failures_in_a_row += 1
            status.last_error = f"{type(failure).__name__}: {failure}"
            self._log.warning("task failed", task=status.name, exc=failure)
            return self._clock.now() + min(2.0 ** min(status.failures_in_a_row - 2, 10), _BACKOFF_SECONDS_MAX)
        finally:
            status.last_duration = self._clock.monotonic() - started
