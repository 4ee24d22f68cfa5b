"""Clocks: who sleeps wakes when the world's time says so, in order, and time never goes back."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from lakebed.kernel.clock import ManualClock, SystemClock
from lakebed.kernel.db import Database
from lakebed.kernel.world import WorldClock, open_clock


async def test_an_advanced_system_clock_wakes_its_sleepers_at_once() -> None:
    clock = SystemClock()
    sleeper = asyncio.create_task(clock.sleep_until(clock.now() + 3600))
    await asyncio.sleep(0)
    clock.advance(3599)
    assert abs(clock.offset - 3599) < 0.5
    assert not sleeper.done()
    clock.advance(2)
    await asyncio.wait_for(sleeper, 1)


async def test_a_scaled_clock_runs_faster() -> None:
    clock = SystemClock(scale=1000.0)
    begun, began = clock.now(), clock.monotonic()
    await clock.sleep_until(begun + 20)
    assert clock.now() - begun >= 20
    assert clock.monotonic() - began < 1
    clock.set_scale(1.0)
    assert clock.scale == 1.0
    sleeper = asyncio.create_task(clock.sleep_until(clock.now() + 50))
    await asyncio.sleep(0)
    clock.set_scale(10_000)
    await asyncio.wait_for(sleeper, 1)


@pytest.mark.parametrize("seconds", [-0.1, float("-inf")])
def test_no_clock_goes_back(seconds: float) -> None:
    with pytest.raises(ValueError, match="forward"):
        SystemClock().advance(seconds)


@pytest.mark.parametrize("scale", [0, -1, 1e9, float("nan")])
def test_a_senseless_scale_is_refused(scale: float) -> None:
    with pytest.raises(ValueError, match="scale"):
        SystemClock().set_scale(scale)


async def test_manual_sleepers_wake_in_due_order_and_see_their_own_time() -> None:
    clock, woken = ManualClock(1000.0), list[tuple[str, float]]()

    async def sleep(name: str, when: float) -> None:
        await clock.sleep_until(when)
        woken.append((name, clock.now()))
        if name == "first":
            await clock.sleep_until(clock.now() + 1)
            woken.append(("first again", clock.now()))

    tasks = [
        asyncio.create_task(sleep(*pair))
        for pair in (("late", 1010), ("tie a", 1005), ("first", 1001), ("tie b", 1005))
    ]
    await clock.advance(5)
    assert woken == [("first", 1001), ("first again", 1002), ("tie a", 1005), ("tie b", 1005)]
    await clock.advance(100)
    assert woken[-1] == ("late", 1010)
    assert clock.now() == 1105
    await asyncio.gather(*tasks)
    await clock.sleep_until(3)  # long past
    with pytest.raises(ValueError, match="forward"):
        await clock.advance(-1)


async def test_a_manual_clock_waits_for_work_in_flight() -> None:
    clock, done = ManualClock(), list[float]()

    async def work() -> None:
        await clock.sleep_until(clock.now() + 10)
        with clock.working():
            await asyncio.to_thread(lambda: None)
            await asyncio.sleep(0.01)
            done.append(clock.now())

    task = asyncio.create_task(work())
    began = clock.now()
    await clock.advance(1000)
    assert done == [began + 10], "time moved on while work was in flight"
    await task


async def test_a_cancelled_sleeper_is_passed_by() -> None:
    clock = ManualClock()
    gone = asyncio.create_task(clock.sleep_until(clock.now() + 1))
    await asyncio.sleep(0)
    gone.cancel()
    await clock.advance(5)
    assert gone.cancelled()


def test_an_advanced_clock_survives_a_restart_and_never_goes_back(tmp_path: Path) -> None:
    def reopened() -> tuple[Database, SystemClock]:
        db = Database(tmp_path / "state.db")
        db.migrate("kernel", "lakebed.kernel", SystemClock())
        return db, open_clock(db)

    db, clock = reopened()
    assert abs(clock.offset) < 1
    WorldClock(db, clock).advance(86_400)
    before = clock.now()
    db.close()
    db, clock = reopened()
    assert clock.now() >= before - 0.01
    assert clock.now() - before < 5
    WorldClock(db, clock).set_scale(500)
    db.close()
    assert reopened()[1].scale == 500


async def test_a_fast_clock_is_kept_ahead_so_that_a_crash_does_not_turn_it_back(tmp_path: Path) -> None:
    db = Database(tmp_path / "state.db")
    db.migrate("kernel", "lakebed.kernel", SystemClock())
    clock = open_clock(db)
    world = WorldClock(db, clock)
    world.set_scale(2000.0)
    last = 0.0
    for _ in range(3):
        await clock.sleep_until(clock.now() + 20)
        await world.activate()
        last = clock.now()
    again = open_clock(db)  # as after kill -9: nothing was written at the end
    assert again.now() >= last
    db.close()


async def test_a_machine_clock_set_back_between_two_runs_does_not_turn_time_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by tests/faults/test_clock.py: messages in flight stayed hidden for the hour the clock was set back."""
    off = 0.0
    true = time.time
    monkeypatch.setattr(
        "lakebed.kernel.clock.time", SimpleNamespace(time=lambda: true() + off, monotonic=time.monotonic)
    )
    db = Database(tmp_path / "state.db")
    db.migrate("kernel", "lakebed.kernel", SystemClock())
    clock = open_clock(db)
    world = WorldClock(db, clock)
    await world.activate()
    before, off = clock.now(), -3600.0
    clock = open_clock(db)
    assert -0.01 <= clock.now() - before < 5
    await WorldClock(db, clock).activate()
    off = 0.0
    assert abs(open_clock(db).offset) < 5, "a clock that was wrong for a while is forgotten once it is right"
    WorldClock(db, clock).advance(100.0)
    off = 7200.0
    assert 7300 <= open_clock(db).now() - before < 7305
    db.close()
