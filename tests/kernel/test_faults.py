"""Segment log and blobs on a failing disk: what was acknowledged is there, what is read is whole, what failed is told."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakebed.kernel.blobs import Blobs
from lakebed.kernel.clock import ManualClock
from lakebed.kernel.disk import DiskFailedError, LocalDisk
from lakebed.kernel.ids import CountingIds
from lakebed.kernel.segments import LogStore
from tests.kernel.faults import Fault, FaultyDisk

FAULTS = st.builds(
    Fault,
    kind=st.sampled_from(["write", "sync", "rename", "open", "truncate", "sync_directory"]),
    at=st.integers(1, 30),
    error=st.sampled_from([errno.EIO, errno.ENOSPC]),
    lasting=st.booleans(),
) | st.builds(Fault, kind=st.just("write"), at=st.integers(1, 30), short=st.integers(1, 40))


def store(path: Path, disk: LocalDisk, size: int = 300) -> LogStore:
    return LogStore(path, disk, ManualClock(), segment_bytes=size)


def everything(logs: LogStore, name: str = "x") -> list[bytes]:
    log, found, offset = logs.log(name), [], 0
    while part := log.read(offset, records_max=7, bytes_max=200):
        found += [record.data for record in part]
        offset = part[-1].offset + 1
    return found


async def append_all(logs: LogStore, count: int, size: int) -> tuple[list[bytes], list[bytes]]:
    """Appends numbered records; (acknowledged, refused)."""
    good, bad = [], []
    for number in range(count):
        record = b"%04d" % number + b"." * size
        try:
            await logs.log("x").append([record])
            good.append(record)
        except OSError:
            bad.append(record)
    return good, bad


def in_order(wanted: list[bytes], found: list[bytes]) -> bool:
    """Every wanted one, in order, among the found."""
    rest = iter(found)
    return all(record in rest for record in wanted)


@settings(max_examples=150, deadline=None)
@given(FAULTS, st.integers(0, 120), st.booleans(), st.integers(0, 99))
async def test_what_was_acknowledged_survives_any_fault(
    tmp_path_factory: pytest.TempPathFactory, fault: Fault, size: int, power: bool, seed: int
) -> None:
    directory = tmp_path_factory.mktemp("log")
    disk = FaultyDisk(seed, power_safe=power, faults=(fault,))
    logs = store(directory, disk)
    good, bad = await append_all(logs, 12, size)
    assert everything(logs) == good, "a reader sees exactly what was acknowledged"
    if power:
        disk.cut()
    again = store(directory, LocalDisk())
    found = everything(again)
    assert in_order(good, found), f"lost: {set(good) - set(found)}"
    assert set(found) <= set(good) | set(bad), "something was read that nobody wrote"
    await again.log("x").append([b"and on"])
    assert everything(again) == [*found, b"and on"]
    again.close()
    logs.close()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=6), st.integers(0, 999), st.integers(1, 40))
async def test_a_power_cut_at_any_moment_keeps_every_acknowledged_append(
    tmp_path_factory: pytest.TempPathFactory, writers: list[int], seed: int, cut_after: int
) -> None:
    directory, acknowledged = tmp_path_factory.mktemp("log"), dict[str, list[bytes]]()
    disk = FaultyDisk(seed, power_safe=True)
    logs = store(directory, disk)
    done = itertools.count(1)
    is_cut = asyncio.Event()

    async def write(name: str, count: int) -> None:
        for number in range(count * 4):
            record = f"{name} {number}".encode()
            await logs.log(name).append([record])
            if is_cut.is_set():
                return  # told after the lights went out: nobody heard it
            acknowledged.setdefault(name, []).append(record)
            if next(done) == cut_after:
                is_cut.set()

    running = [asyncio.create_task(write(f"log{index}", count)) for index, count in enumerate(writers)]
    await asyncio.wait([*running, asyncio.create_task(is_cut.wait())], return_when=asyncio.FIRST_COMPLETED)
    if not is_cut.is_set():
        await asyncio.wait([*running], return_when=asyncio.ALL_COMPLETED)
    is_cut.set()
    promised = {name: list(records) for name, records in acknowledged.items()}
    await asyncio.gather(*running)
    disk.cut()
    again = store(directory, LocalDisk())
    for name, records in promised.items():
        assert everything(again, name)[: len(records)] == records
    again.close()


async def test_after_no_space_the_next_append_works(tmp_path: Path) -> None:
    disk = FaultyDisk(faults=(Fault("write", 2, errno.ENOSPC),))
    logs = store(tmp_path, disk, size=10_000)
    assert await logs.log("x").append([b"one"]) == 0
    with pytest.raises(OSError, match="No space"):
        await logs.log("x").append([b"two"])
    assert await logs.log("x").append([b"three"]) == 1
    assert everything(logs) == [b"one", b"three"]
    logs.close()


async def test_after_no_space_while_a_segment_is_begun_the_next_append_works(tmp_path: Path) -> None:
    for kind, at in (("open", 2), ("open", 3), ("rename", 1)):
        disk = FaultyDisk(faults=(Fault(kind, at, errno.ENOSPC),))
        logs = store(tmp_path / f"{kind}{at}", disk, size=50)
        await logs.log("x").append([b"one" * 30])
        with pytest.raises(OSError, match="No space"):
            await logs.log("x").append([b"two"])
        assert await logs.log("x").append([b"three"]) == 1
        logs.close()
        again = store(tmp_path / f"{kind}{at}", LocalDisk())
        assert everything(again) == [b"one" * 30, b"three"]
        again.close()


@pytest.mark.parametrize("size", [10_000, 60])
async def test_a_log_that_can_not_even_be_cut_goes_on_once_the_disk_does(tmp_path: Path, size: int) -> None:
    """Found by tests/faults: ENOSPC and a failing truncate behind it ended the log until a restart."""
    disk = FaultyDisk()
    logs = store(tmp_path, disk, size=size)
    await logs.log("x").append([b"one" * 20])
    disk.faulty.faults += [
        Fault("write", 2, short=5),
        Fault("write", 3, errno.ENOSPC, lasting=True),
        Fault("truncate", 2, errno.ENOSPC, lasting=True),
    ]
    if size < 100:
        disk.faulty.faults[0] = Fault("write", 2, errno.ENOSPC)  # the new segment's first frame
    for _ in range(2):
        with pytest.raises(OSError, match="No space"):
            await logs.log("x").append([b"two"])
    await logs.flush()
    disk.faulty.faults.clear()
    assert await logs.log("x").append([b"three"]) == 1
    assert everything(logs) == [b"one" * 20, b"three"]
    again = store(tmp_path, LocalDisk(), size=size)
    assert everything(again) == [b"one" * 20, b"three"]
    again.close()
    logs.close()


async def test_a_torn_segment_is_cut_before_it_is_sealed(tmp_path: Path) -> None:
    disk = FaultyDisk()
    logs = store(tmp_path, disk, size=10_000)
    log = logs.log("x")
    await log.append([b"one"])
    disk.faulty.faults += [
        Fault("write", 2, short=5), Fault("write", 3, errno.ENOSPC), Fault("truncate", 2, errno.ENOSPC)
    ]  # fmt: skip
    with pytest.raises(OSError, match="No space"):
        await log.append([b"two"])
    log._roll()
    assert await log.append([b"three"]) == 1
    for path in tmp_path.rglob("*.idx"):
        path.unlink()
    again = store(tmp_path, LocalDisk(), size=10_000)
    assert everything(again) == [b"one", b"three"]
    again.close()
    logs.close()


async def test_a_failed_sync_fails_every_waiter_and_is_final(tmp_path: Path) -> None:
    disk = FaultyDisk(power_safe=True, faults=(Fault("sync", 1),))
    logs = store(tmp_path, disk, size=10_000)
    told = await asyncio.gather(*(logs.log("x").append([b"%d" % n]) for n in range(5)), return_exceptions=True)
    assert all(isinstance(answer, OSError) for answer in told)
    with pytest.raises(DiskFailedError):
        await logs.log("x").append([b"later"])
    assert everything(logs) == []
    assert logs.failed == ["x"]
    assert await logs.log("y").append([b"another file is fine"]) == 0
    assert disk.faulty.counts["sync"] == 2, "the failed file was synced again"
    logs.close()


async def test_a_background_sync_that_fails_is_not_forgotten(tmp_path: Path) -> None:
    disk = FaultyDisk(faults=(Fault("sync", 1),))
    logs = store(tmp_path, disk, size=10_000)
    await logs.log("x").append([b"one"])
    await logs.log("y").append([b"one"])
    with pytest.raises(OSError, match="Input/output"):
        await logs.flush()
    with pytest.raises(DiskFailedError):
        await logs.log("x").append([b"two"])
    assert await logs.log("y").append([b"two"]) == 1
    logs.close()


async def test_a_commit_waits_for_a_sync_that_somebody_else_began(tmp_path: Path) -> None:
    """The background flush takes the dirty log first; the append's own round then finds nothing and must not overtake."""
    disk = FaultyDisk(power_safe=True, faults=(Fault("sync", 1),))
    logs = store(tmp_path, disk, size=10_000)
    appending = asyncio.create_task(logs.log("x").append([b"one"]))
    flushing = asyncio.create_task(logs.flush())
    told = await asyncio.gather(appending, flushing, return_exceptions=True)
    assert [type(answer) for answer in told if isinstance(answer, OSError)] != []
    assert isinstance(told[0], OSError), "acknowledged although its only sync failed"
    logs.close()


async def test_readers_see_nothing_before_its_sync(tmp_path: Path) -> None:
    logs = store(tmp_path, FaultyDisk(power_safe=True), size=10_000)
    log = logs.log("x")
    appending = asyncio.create_task(log.append([b"one"]))
    await asyncio.sleep(0)
    assert (log.next_offset, log.readable_end, everything(logs)) == (1, 0, [])
    await appending
    log.append_unsynced([b"two"])
    assert everything(logs) == [b"one"]
    await logs.flush()
    assert everything(logs) == [b"one", b"two"]
    logs.close()


@pytest.mark.parametrize("rounds", [40])
async def test_rolling_while_a_sync_runs_fails_nobody(tmp_path: Path, rounds: int) -> None:
    logs = store(tmp_path, LocalDisk(power_safe=True), size=60)
    for number in range(rounds):
        await asyncio.gather(*(logs.log("x").append([b"%d-%d" % (number, n) * 5]) for n in range(4)))
    assert len(everything(logs)) == rounds * 4
    logs.close()


@settings(max_examples=120, deadline=None)
@given(FAULTS, st.lists(st.integers(0, 400), min_size=1, max_size=4), st.booleans(), st.integers(0, 99))
async def test_a_blob_is_whole_or_absent(
    tmp_path_factory: pytest.TempPathFactory, fault: Fault, sizes: list[int], power: bool, seed: int
) -> None:
    directory = tmp_path_factory.mktemp("blobs")
    disk, ids = FaultyDisk(seed, power_safe=power, faults=(fault,)), CountingIds(seed)
    blobs, kept = Blobs(directory, disk, ids), dict[str, bytes]()
    for size in sizes:
        content = disk.faulty.random.randbytes(size)
        try:
            writer = blobs.create()
        except OSError:
            continue
        try:
            for start in range(0, size, 50):
                writer.write(content[start : start + 50])
        except OSError:
            writer.abort()
            continue
        try:
            kept[await writer.commit()] = content
        except OSError:
            continue
    if len(kept) > 1:
        with contextlib.suppress(OSError):
            kept[await blobs.concatenate(list(kept))] = b"".join(kept.values())
    assert list((directory / "drafts").iterdir()) == []
    if power:
        disk.cut()
    again = Blobs(directory, LocalDisk(), ids)
    for blob, content in kept.items():
        assert b"".join([piece async for piece in again.read(blob)]) == content
    again.sweep(kept)
    assert {file.name for file in directory.rglob("*") if file.is_file()} == set(kept)


@pytest.mark.parametrize("power", [False, True])
def test_a_small_file_is_old_or_new(tmp_path: Path, power: bool) -> None:
    target = tmp_path / "deep" / "file"
    LocalDisk(power_safe=True).write_atomic(target, b"old")
    for kind in ("open", "write", "sync", "rename"):
        disk = FaultyDisk(power_safe=power, faults=(Fault(kind, 1),))
        if kind == "sync" and not power:
            continue
        with pytest.raises(OSError, match="Input/output"):
            disk.write_atomic(target, b"new and longer")
        assert target.read_bytes() == b"old"
        assert [path.name for path in target.parent.iterdir()] == ["file"]
    disk = FaultyDisk(power_safe=power)
    disk.write_atomic(target, b"new")
    disk.cut()
    assert target.read_bytes() in ((b"new",) if power else (b"new", b"old", b""))


def test_files_are_the_owners_alone(tmp_path: Path) -> None:
    LocalDisk().open_append(tmp_path / "a" / "b" / "file").close()
    modes = [
        path.stat().st_mode & 0o777 for path in (tmp_path / "a", tmp_path / "a" / "b", tmp_path / "a" / "b" / "file")
    ]
    assert modes == [0o700, 0o700, 0o600]
