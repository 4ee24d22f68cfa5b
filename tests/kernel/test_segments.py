"""The segment log against a list, through restarts, torn ends, damage and retention."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakebed.kernel.clock import ManualClock
from lakebed.kernel.disk import LocalDisk
from lakebed.kernel.segment import LogDamagedError
from lakebed.kernel.segments import LogStore

RECORDS = st.lists(st.binary(max_size=40_000), min_size=1, max_size=6)


def store(path: Path, clock: ManualClock | None = None, *, power_safe: bool = False, size: int = 60_000) -> LogStore:
    return LogStore(path, LocalDisk(power_safe=power_safe), clock or ManualClock(), segment_bytes=size)


def drain(logs: LogStore, name: str, records_max: int, bytes_max: int) -> list[bytes]:
    log, found, offset = logs.log(name), [], 0
    while part := log.read(offset, records_max=records_max, bytes_max=bytes_max):
        assert [record.offset for record in part] == list(range(part[0].offset, part[0].offset + len(part)))
        assert part[0].offset == max(offset, log.first_offset)
        found += [record.data for record in part]
        offset = part[-1].offset + 1
    return found


@settings(max_examples=60, deadline=None)
@given(st.lists(RECORDS, max_size=12), st.integers(1, 9), st.integers(1, 100_000), st.booleans())
async def test_reads_what_was_appended_and_again_after_a_restart(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[bytes]], records_max: int, bytes_max: int, power: bool
) -> None:
    directory = tmp_path_factory.mktemp("log")
    logs, wanted = store(directory, power_safe=power), list[bytes]()
    for batch in batches:
        assert await logs.log("a/b").append(batch) == len(wanted)
        wanted += batch
    assert drain(logs, "a/b", records_max, bytes_max) == wanted
    logs.close()
    again = store(directory)
    assert drain(again, "a/b", records_max, bytes_max) == wanted
    assert again.log("a/b").next_offset == len(wanted)
    again.close()


@pytest.mark.parametrize("cut", [1, 10, 27, 28, 35])
async def test_a_torn_end_is_cut_and_appending_goes_on(tmp_path: Path, cut: int) -> None:
    logs = store(tmp_path)
    await logs.log("x").append([b"kept"])
    await logs.log("x").append([b"torn-torn"])
    logs.close()
    file = next(tmp_path.rglob("*.log"))
    file.write_bytes(file.read_bytes()[:-cut])
    again = store(tmp_path)
    assert await again.log("x").append([b"new"]) == 1
    assert drain(again, "x", 10, 1000) == [b"kept", b"new"]
    again.close()


async def test_damage_is_met_by_the_reader_never_returned(tmp_path: Path) -> None:
    logs = store(tmp_path, size=100)
    for number in range(4):
        await logs.log("x").append([bytes([number]) * 120])
    logs.close()
    first = min(tmp_path.rglob("*.log"))
    content = bytearray(first.read_bytes())
    content[60] ^= 1
    first.write_bytes(content)
    again = store(tmp_path, size=100)
    with pytest.raises(LogDamagedError, match=first.name):
        again.log("x").read(0, records_max=10, bytes_max=10_000)
    assert again.log("x").read(1, records_max=1, bytes_max=10_000)[0].data == b"\1" * 120
    again.close()


async def test_retention_and_lookup_by_time(tmp_path: Path) -> None:
    clock = ManualClock(1000.0)
    logs = store(tmp_path, clock, size=100)
    log = logs.log("x")
    for number in range(5):
        await log.append([bytes([number]) * 120])
        await clock.advance(10)
    assert [log.offset_at(at) for at in (0, 1000, 1001, 1040, 1041)] == [0, 0, 1, 4, 5]
    log.trim_older(1020.0)
    assert log.first_offset == 2
    assert drain(logs, "x", 10, 10_000) == [bytes([number]) * 120 for number in (2, 3, 4)]
    log.trim_older(2000.0)
    assert (log.first_offset, log.next_offset) == (5, 5)
    logs.close()
    assert store(tmp_path, clock).log("x").next_offset == 5


async def test_a_read_that_ends_with_its_segment_goes_on_in_the_next(tmp_path: Path) -> None:
    logs = store(tmp_path, size=100)
    for number in range(3):
        await logs.log("x").append([bytes([number]) * 120])
    for bytes_max in (120, 1, 121, 240):
        assert drain(logs, "x", 10, bytes_max) == [bytes([number]) * 120 for number in range(3)]
    logs.close()


async def test_a_deleted_log_is_gone(tmp_path: Path) -> None:
    logs = store(tmp_path)
    await logs.log("s/1").append([b"a"])
    await logs.log("s/2").append([b"a"])
    assert logs.names("s") == ["s/1", "s/2"]
    logs.delete("s")
    assert logs.names("s") == []
    assert logs.log("s/1").next_offset == 0
    logs.close()


async def test_lookup_by_time_within_a_large_segment(tmp_path: Path) -> None:
    clock = ManualClock(1000.0)
    logs = store(tmp_path, clock, size=64 << 20)
    log = logs.log("x")
    for number in range(200):
        await log.append([bytes([number]) * 5000] * 3)
        await clock.advance(1 if number % 3 else 0)
    for timestamp in (0, 1000, 1000.5, 1050, 1100, 1131, 1132, 1133, 5000):
        expected = next(
            (r.offset for r in log.read(0, records_max=1000, bytes_max=1 << 30) if r.arrived >= timestamp), 600
        )
        assert log.offset_at(timestamp) == expected
    logs.close()
