"""A crash at every commit point: nothing acknowledged is lost, nothing is delivered in a second object."""

from __future__ import annotations

import base64
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakebed.kernel.segments import SegmentLog
from lakebed.services.firehose.store import DeliveryStore
from tests.harness import make_kernel
from tests.services.firehose.conftest import STREAM, House, processor
from tests.services.firehose.neighbours import Buckets


class PowerCutError(Exception):
    """The process is gone here."""


def cut_before(owner: Any, name: str, patch: pytest.MonkeyPatch, *, skip: int = 0) -> None:
    _cut(owner, name, patch, skip, before=True)


def cut_after(owner: Any, name: str, patch: pytest.MonkeyPatch, *, skip: int = 0) -> None:
    _cut(owner, name, patch, skip, before=False)


def _cut(owner: Any, name: str, patch: pytest.MonkeyPatch, skip: int, *, before: bool) -> None:
    whole: Callable[..., Any] = getattr(owner, name)
    calls = 0

    def fails() -> bool:
        nonlocal calls
        calls += 1
        return calls > skip

    if name in ("put_file", "append"):

        async def broken(*args: Any, **named: Any) -> Any:
            if (stop := fails()) and before:
                raise PowerCutError
            result = await whole(*args, **named)
            if stop:
                raise PowerCutError
            return result

        patch.setattr(owner, name, broken)
    else:

        def cut(*args: Any, **named: Any) -> Any:
            if (stop := fails()) and before:
                raise PowerCutError
            result = whole(*args, **named)
            if stop:
                raise PowerCutError
            return result

        patch.setattr(owner, name, cut)


POINTS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "before plan": lambda patch: cut_before(DeliveryStore, "plan", patch),
    "after plan": lambda patch: cut_after(DeliveryStore, "plan", patch),
    "before put": lambda patch: cut_before(Buckets, "put_file", patch),
    "after put": lambda patch: cut_after(Buckets, "put_file", patch),
    "before mark": lambda patch: cut_before(DeliveryStore, "mark", patch),
    "after mark": lambda patch: cut_after(DeliveryStore, "mark", patch),
    "second put": lambda patch: cut_after(Buckets, "put_file", patch, skip=1),
    "second mark": lambda patch: cut_before(DeliveryStore, "mark", patch, skip=1),
}


def delivered(house: House) -> list[int]:
    return sorted(int(line) for body in house.buckets.under("").values() for line in body.split())


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("source", ["put", "stream", "function", "partitions"])
async def test_nothing_is_lost_or_doubled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str, source: str
) -> None:
    house = await House(tmp_path / "data").start()
    await create(house, source)
    await feed(house, source, range(50))
    with monkeypatch.context() as patch:
        POINTS[point](patch)
        await house.clock.advance(60.2)
        following = await house.again()
        await feed(following, source, range(50, 60))
        following = await following.again()
    with monkeypatch.context() as patch:
        POINTS[point](patch)
        await following.clock.advance(61)
        following = await following.again()
    await feed(following, source, range(60, 70))
    await following.clock.advance(200)
    following = await following.again()
    await following.clock.advance(200)
    assert delivered(following) == list(range(70))
    keys = [key for _, key in following.buckets.puts]
    assert following.harness.kernel.db.all("SELECT * FROM firehose_planned") == []
    assert len(set(keys)) == len(following.buckets.objects)
    assert following.meter()["waiting"] == 0


async def test_an_intake_that_was_cut_reads_each_record_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    house = await House(tmp_path / "data").start()
    await create(house, "stream")
    await feed(house, "stream", range(10))
    (name,) = house.harness.kernel.segments.names("firehose")
    buffer = house.harness.kernel.segments.log(name)
    with monkeypatch.context() as patch:
        cut_after(buffer, "append", patch)  # in the log, but nobody was told
        await feed(house, "stream", range(10, 20))
    with monkeypatch.context() as patch:
        cut_before(buffer, "append", patch)
        await feed(house, "stream", range(20, 30))
    house = await house.again()
    await feed(house, "stream", range(30, 40))
    await house.clock.advance(120)
    assert delivered(house) == list(range(40))


@pytest.mark.parametrize("source", ["put", "stream", "function"])
async def test_where_an_acknowledgement_waits_for_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    monkeypatch.setattr("tests.harness.make_kernel", partial(make_kernel, power_safe=True))
    house = await House(tmp_path / "data").start()
    assert house.harness.kernel.disk.power_safe
    await create(house, source)
    await feed(house, source, range(300))
    house = await house.again()
    await feed(house, source, range(300, 600))
    await house.clock.advance(120)
    assert delivered(house) == list(range(600))
    await house.harness.stop()


async def test_a_half_written_buffer_is_read_again_from_the_stream(tmp_path: Path) -> None:
    house = await House(tmp_path / "data").start()
    await create(house, "stream")
    await feed(house, "stream", range(10))
    await feed(house, "stream", range(10, 20))
    await house.harness.kernel.tasks.stop()
    (file,) = (tmp_path / "data/log/firehose").rglob("*.log")
    file.write_bytes(file.read_bytes()[:-5])  # the last append is torn
    house = await house.again()
    await house.clock.advance(120)
    assert delivered(house) == list(range(20))


CUTS = [
    (DeliveryStore, "plan"),
    (DeliveryStore, "mark"),
    (DeliveryStore, "save"),
    (Buckets, "put_file"),
    (SegmentLog, "append"),
]
STEP = st.one_of(
    st.tuples(st.just("feed"), st.integers(1, 40), st.just(0)),
    st.tuples(st.just("wait"), st.sampled_from([0.5, 7.0, 30.0, 60.0]), st.just(0)),
    st.tuples(st.just("cut before"), st.integers(0, len(CUTS) - 1), st.integers(0, 2)),
    st.tuples(st.just("cut after"), st.integers(0, len(CUTS) - 1), st.integers(0, 2)),
)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(["put", "stream", "function", "partitions"]), st.lists(STEP, min_size=3, max_size=12))
async def test_any_schedule_of_crashes_keeps_every_record_once(
    tmp_path_factory: pytest.TempPathFactory, source: str, steps: list[tuple[str, float, int]]
) -> None:
    house = await House(tmp_path_factory.mktemp("data")).start()
    await create(house, source)
    sent = 0
    for kind, value, skip in steps:
        if kind == "feed":
            await feed(house, source, range(sent, sent + int(value)))
            sent += int(value)
        elif kind == "wait":
            await house.clock.advance(value)
        else:
            with pytest.MonkeyPatch.context() as patch:
                # Only the pump is cut: what a client was told is not the question here.
                owner, name = CUTS[int(value)]
                if source == "stream" or name != "append":
                    await feed(house, source, range(sent, sent + 5))
                    sent += 5
                _cut(owner, name, patch, skip, before=kind == "cut before")
                await house.clock.advance(61)
                await house.harness.kernel.tasks.stop()
            house = await house.again()
    await house.clock.advance(200)
    house = await house.again()
    await house.clock.advance(200)
    assert delivered(house) == list(range(sent))
    house.harness.kernel.segments.close()
    house.harness.kernel.db.close()


async def create(house: House, source: str) -> None:
    if source == "stream":
        await house.harness.call("kinesis", "CreateStream", StreamName="s", ShardCount=2)
        await house.create(STREAM, interval=60)
    elif source == "put":
        await house.create(interval=60)
    elif source == "function":
        await house.create(interval=30, ProcessingConfiguration=processor(BufferIntervalInSeconds="30"))
    else:
        house.functions.transform = by_last_digit
        await house.create(
            size=64,
            interval=30,
            ProcessingConfiguration=processor(BufferIntervalInSeconds="30"),
            DynamicPartitioningConfiguration={"Enabled": True},
            Prefix="p/!{partitionKeyFromLambda:digit}/",
            ErrorOutputPrefix="e/!{firehose:error-output-type}/",
        )


async def feed(house: House, source: str, numbers: range) -> None:
    if source == "stream":
        await house.put_stream(*[(f"k{n}", b"%d\n" % n) for n in numbers])
    else:
        await house.put(*[b"%d\n" % n for n in numbers])


def by_last_digit(event: dict[str, Any]) -> dict[str, Any]:
    return {
        "records": [
            {
                "recordId": record["recordId"],
                "result": "Ok",
                "data": record["data"],
                "metadata": {"partitionKeys": {"digit": base64.b64decode(record["data"]).decode().strip()[-1]}},
            }
            for record in event["records"]
        ]
    }
