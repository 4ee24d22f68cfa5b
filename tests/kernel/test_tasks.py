"""Tasks: woken by pokes, by the time they asked for, by their period; failures back off, bugs stop."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable

import pytest

from lakebed.kernel.clock import ManualClock
from lakebed.kernel.log import Log
from lakebed.kernel.tasks import Tasks


class Noted:
    """Notes when it ran, then does what it is told."""

    def __init__(
        self, clock: ManualClock, does: Callable[[int], float | None] = lambda _: None, period: float = 60.0
    ) -> None:
        self.name, self.period = "noted", period
        self._clock, self._does = clock, does
        self.start = clock.now()
        self.times: list[float] = []

    async def activate(self) -> float | None:
        self.times.append(self._clock.now() - self.start)
        return self._does(len(self.times))


def driver(clock: ManualClock) -> Tasks:
    return Tasks(clock, Log(clock, io.StringIO()))


async def ran(does: Callable[[int], float | None], seconds: float, clock: ManualClock, period: float = 60.0) -> Noted:
    tasks, task = driver(clock), Noted(clock, does, period)
    tasks.add(task)
    tasks.start()
    await clock.advance(seconds)
    await tasks.stop()
    return task


async def test_the_period_is_the_longest_it_sleeps() -> None:
    clock = ManualClock()
    assert (await ran(lambda _: None, 180, clock)).times == [0, 60, 120, 180]
    assert (await ran(lambda _: clock.now() + 1000, 60, clock)).times == [0, 60]


async def test_it_is_woken_when_it_asked_and_at_once_when_there_is_more() -> None:
    clock = ManualClock()
    task = await ran(lambda n: clock.now() if n < 3 else clock.now() + 7, 10, clock)
    assert task.times == [0, 0, 0, 7]


async def test_pokes_wake_and_add_up_to_one() -> None:
    clock = ManualClock()
    tasks, task = driver(clock), Noted(clock)
    tasks.add(task)
    tasks.start()
    await clock.advance(5)
    for _ in range(10):
        tasks.poke("noted")
    tasks.poke("nobody")
    await clock.settle()
    assert task.times == [0, 5]
    await clock.advance(60)
    assert task.times == [0, 5, 65]
    await tasks.stop()


async def test_a_poke_while_it_runs_is_not_lost() -> None:
    clock = ManualClock()
    tasks = driver(clock)
    task = Noted(clock, lambda n: tasks.poke("noted") if n == 1 else None)
    tasks.add(task)
    tasks.start()
    await clock.settle()
    assert task.times == [0, 0]
    await tasks.stop()


async def test_failures_back_off_and_are_told_and_siblings_go_on() -> None:
    clock = ManualClock()
    tasks = driver(clock)

    def fail(_: int) -> None:
        raise OSError("no disk")

    failing, fine = Noted(clock, fail, period=600.0), Noted(clock, period=10.0)
    fine.name = "fine"
    tasks.add(failing)
    tasks.add(fine)
    tasks.start()
    await clock.advance(200)
    gaps = [round(b - a, 3) for a, b in zip(failing.times, failing.times[1:], strict=False)]
    assert gaps[:7] == [0.5, 1, 2, 4, 8, 16, 32]
    assert max(gaps) <= 60
    assert len(fine.times) == 21
    status = next(status for status in tasks.status() if status.name == "noted")
    assert status.last_error == "OSError: no disk"
    assert status.failures_in_a_row == len(failing.times)
    assert tasks.healthy
    await tasks.stop()


async def test_a_success_ends_the_backoff() -> None:
    clock = ManualClock()

    def twice(n: int) -> None:
        if n in (1, 2, 4):
            raise ValueError("not yet")

    assert (await ran(twice, 70, clock)).times == [0, 0.5, 1.5, 61.5, 62.0]


async def test_an_assertion_breaks_the_task_and_the_house_is_unhealthy() -> None:
    clock = ManualClock()
    tasks = driver(clock)

    def wrong(_: int) -> None:
        raise AssertionError("2 + 2")

    task = Noted(clock, wrong)
    tasks.add(task)
    tasks.start()
    await clock.advance(300)
    assert task.times == [0]
    assert not tasks.healthy
    assert tasks.status()[0].broken
    assert tasks.status()[0].last_error == "assertion: 2 + 2"
    await tasks.stop()


async def test_remove_while_it_sleeps_while_it_works_and_when_unknown() -> None:
    clock = ManualClock()
    tasks, task = driver(clock), Noted(clock)
    tasks.add(task)
    with pytest.raises(ValueError, match="exists"):
        tasks.add(task)
    tasks.start()
    await clock.advance(1)
    await tasks.remove("noted")
    await tasks.remove("noted")
    tasks.poke("noted")
    await clock.advance(500)
    assert task.times == [0]
    assert tasks.status() == []

    class Long:
        name, period, ended = "long", 60.0, False

        async def activate(self) -> float | None:
            try:
                await asyncio.Event().wait()
            finally:
                self.ended = True
            return None

    long = Long()
    tasks.add(long)  # added while the driver runs: starts at once
    await asyncio.sleep(0.01)
    await tasks.remove("long")
    assert long.ended
    await tasks.stop()
