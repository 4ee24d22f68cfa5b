"""The house goes down while functions run, at any call and before or after their effect: nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
import base64
import itertools
from pathlib import Path
from typing import Any

import pytest

from lakebed.kernel.clock import ManualClock
from lakebed.ports.runtime import Execution, FunctionSpec
from lakebed.services import lambda_
from tests.harness import Harness
from tests.services.lambda_.fakes import (
    QUEUE,
    ROLE,
    STREAM,
    FakeLogs,
    FakeQueues,
    FakeRuntime,
    FakeStreams,
    zipped,
)


class CutRuntime(FakeRuntime):
    """Never answers its ``cut``-th call; ``seen`` tells whether that call had its effect."""

    def __init__(self, cut: int, *, seen: bool) -> None:
        super().__init__()
        self.cut, self.seen, self.calls_begun = cut, seen, 0
        self.reached = asyncio.Event()

    async def execute(self, spec: FunctionSpec, event: bytes, **given: Any) -> Execution:
        self.calls_begun += 1
        if self.calls_begun - 1 == self.cut:
            if self.seen:
                await super().execute(spec, event, **given)
            self.reached.set()
            await asyncio.get_running_loop().create_future()
        return await super().execute(spec, event, **given)


class World:
    """What outlives the house: the clock, the queue, the stream, the data directory."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.clock = directory, ManualClock()
        self.harness = Harness(directory, self.clock)
        self.queues = FakeQueues(self.clock, self.harness.kernel.tasks)
        self.streams = FakeStreams(self.clock, self.harness.kernel.tasks)

    async def open(self, runtime: FakeRuntime) -> None:
        ports: Any = self.harness.ports
        ports.runtime, ports.logs, ports.queues, ports.streams = runtime, FakeLogs(), self.queues, self.streams
        self.queues.tasks = self.streams.tasks = self.harness.kernel.tasks
        self.harness.add(lambda_.service)
        await self.harness.start()

    async def crash(self, runtime: FakeRuntime) -> None:
        """Down without a goodbye to what was under way, and up again on the same data."""
        await self.harness.stop()
        self.queues.subscribers.clear()
        self.streams.subscribers.clear()
        self.harness = Harness(self.directory, self.clock)
        await self.open(runtime)

    async def call(self, operation: str, **params: Any) -> dict[str, Any]:
        return await self.harness.call("lambda", operation, **params)

    async def run(self, cut: CutRuntime) -> None:
        """Let tasks run until the cut, or until nothing is left to do."""
        for _ in range(300):
            if cut.reached.is_set():
                return
            await asyncio.sleep(0)


@pytest.fixture
async def world(tmp_path: Path) -> World:
    return World(tmp_path / "data")


async def create(world: World) -> None:
    await world.call(
        "CreateFunction", FunctionName="fn", Runtime="python3.12", Role=ROLE, Handler="app.handler",
        Code={"ZipFile": zipped("def handler(e, c): return e")},
    )  # fmt: skip


@pytest.mark.parametrize("seen", [False, True])
@pytest.mark.parametrize("cut", range(5))
async def test_asynchronous_invocations(world: World, cut: int, seen: bool) -> None:
    first, second = CutRuntime(cut, seen=seen), FakeRuntime()
    await world.open(first)
    await create(world)
    for number in range(4):
        await world.call("Invoke", FunctionName="fn", InvocationType="Event", Payload=str(number).encode())
    await world.run(first)
    await world.crash(second)
    await world.clock.advance(60)
    got = first.events + second.events
    assert set(got) == {0, 1, 2, 3}
    assert len(got) <= 5  # the one that was cut may run twice
    assert not world.harness.kernel.db.all("SELECT 1 FROM lambda_later")
    await world.harness.stop()


@pytest.mark.parametrize("seen", [False, True])
@pytest.mark.parametrize("cut", range(5))
async def test_stream_mapping(world: World, cut: int, seen: bool) -> None:
    first, second = CutRuntime(cut, seen=seen), FakeRuntime()
    await world.open(first)
    await create(world)
    await world.call(
        "CreateEventSourceMapping", EventSourceArn=STREAM, FunctionName="fn", StartingPosition="TRIM_HORIZON", BatchSize=2
    )  # fmt: skip
    world.streams.add(*map(str, range(9)))
    await world.run(first)
    await world.crash(second)
    await world.clock.advance(60)
    batches = [
        [int(base64.b64decode(record["kinesis"]["data"])) for record in event["Records"]]
        for event in first.events + second.events
    ]
    numbers = [number for batch in batches for number in batch]
    assert sorted(set(numbers)) == list(range(9))
    assert len(numbers) <= 11  # at most one batch twice
    assert all(later - earlier in (1, 0, -1) for earlier, later in itertools.pairwise(numbers))
    await world.harness.stop()


@pytest.mark.parametrize("seen", [False, True])
@pytest.mark.parametrize("cut", range(4))
async def test_queue_mapping(world: World, cut: int, seen: bool) -> None:
    first, second = CutRuntime(cut, seen=seen), FakeRuntime()
    await world.open(first)
    await create(world)
    await world.call("CreateEventSourceMapping", EventSourceArn=QUEUE, FunctionName="fn", BatchSize=2)
    world.queues.put(QUEUE, *map(str, range(7)))
    await world.run(first)
    await world.crash(second)
    await world.clock.advance(100)
    got = [int(record["body"]) for event in first.events + second.events for record in event["Records"]]
    assert set(got) == set(range(7))
    assert world.queues.bodies(QUEUE) == []
    await world.harness.stop()
