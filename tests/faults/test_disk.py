"""F8: the disk fails under a running server, by a single call or by being full. No 2xx for what is not durable.

Single calls fail through ``shim.c``, below Python and SQLite alike: ENOSPC, EIO, a short write, EINTR, a failed sync, at
the n-th call on each store's files. A full disk is a real one: a small tmpfs with ballast. Throughout: what is refused is
refused in AWS's words, reads go on, writes work within five seconds of the space's return without a restart, and after
kill -9 and a start everything acknowledged is there.
"""

from __future__ import annotations

import errno
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.rig import Server, patience, seed
from tests.faults import stores
from tests.faults.shim import POSSIBLE, Fault, Shim
from tests.faults.stores import Ledger, prepared, reads

WORKS_AGAIN_SECONDS = 5.0
# Where each store's bytes go.
PLACES = {
    "tables": "/state.db", "sqs": "/state.db", "kinesis": "/log/kinesis", "s3": "/objects/", "multipart": "/objects/",
    "firehose": "/log/firehose", "mqtt": "/state.db",
}  # fmt: skip
CHANGES = ("write", "open", "rename", "truncate", "mkdir")
needs_shim = pytest.mark.skipif(not POSSIBLE, reason="needs a C compiler and LD_PRELOAD")


def _faults(rng: random.Random, place: str, most: int, count: int) -> Iterator[Fault]:
    """``count`` faults of the kinds a store may meet and live through, spread over its first ``most`` calls."""
    for number in range(count):
        nth = 1 + number * most // count
        yield rng.choice(
            (
                Fault(CHANGES, nth, errno.ENOSPC, place=place),
                Fault(CHANGES, nth, errno.ENOSPC, lasting=True, place=place),
                Fault(CHANGES, nth, errno.EIO, place=place),
                Fault(CHANGES, nth, errno.EIO, lasting=True, place=place),
                Fault(("write",), nth, errno.EINTR, place=place),
                Fault(("write",), nth, shorten=rng.randint(1, 3000), place=place),
            )
        )


def _meets(shim: Shim, ledger: Ledger, fault: Fault, tries: int) -> tuple[int, float]:
    """Write while the fault is armed, read, disarm: how many calls failed, and when a write worked again."""
    shim.arm(fault)
    for _ in range(tries):
        ledger.write()
    ledger.store.read()
    hits = shim.disarm()
    return hits, ledger.write_until_acknowledged(patience(WORKS_AGAIN_SECONDS))


@needs_shim
@pytest.mark.parametrize("count", [4, pytest.param(500, marks=pytest.mark.slow)])
def test_the_nth_call_fails(tmp_path: Path, count: int) -> None:
    chosen = seed()
    rng, shim = random.Random(chosen), Shim(tmp_path)
    server = Server(tmp_path / "data", environment=shim.environment)
    server.start()
    try:
        ledgers = prepared(server)
        hit, slowest, told = 0, 0.0, Counter[str]()
        for ledger in ledgers:
            faults = count // 10 if ledger.store.name == "multipart" else count  # ten megabytes each
            for fault in _faults(rng, PLACES[ledger.store.name], 6 if count < 50 else 40, faults):
                tries = min(1 + fault.nth // 2, 12)
                try:
                    hits, seconds = _meets(shim, ledger, fault, tries)
                except AssertionError as failure:
                    raise AssertionError(f"seed {chosen}, {fault}: {failure}\n{server.tail()}") from failure
                hit, slowest = hit + bool(hits), max(slowest, seconds)
            told += ledger.failures
            assert not ledger.wrong, f"seed {chosen}: {ledger.wrong[:3]}"
        for what in ("in the running server", "after kill -9"):
            for ledger in ledgers:
                ledger.check(f"seed {chosen}, {what}")
            server.kill()
            server.start()
        print(
            f"{hit} faults met, {sum(len(ledger.acknowledged) for ledger in ledgers):,} acknowledged, 0 lost; refused: "
            f"{dict(told)}; writes worked again after {slowest:.2f} s at most"
        )
        assert hit > count * len(ledgers) / 3, "hardly a fault was met: the rig proves nothing"
    finally:
        server.stop()


@needs_shim
@pytest.mark.parametrize("count", [1, pytest.param(20, marks=pytest.mark.slow)])
def test_a_failed_sync_is_told_and_survived(tmp_path: Path, count: int) -> None:
    """With ``durability = "power"``: what waited for the sync is refused; a log goes on after a restart, the rest at once."""
    chosen = seed()
    rng, shim = random.Random(chosen), Shim(tmp_path)
    server = Server(tmp_path / "data", environment=shim.environment | {"LAKEBED_STORAGE_DURABILITY": "power"})
    server.start()
    try:
        ledgers = prepared(server, (stores.Users, stores.Stream, stores.Objects, stores.Delivery))
        for _ in range(count):
            for ledger in ledgers:
                place = PLACES[ledger.store.name]
                ledger.write_until_acknowledged(patience(WORKS_AGAIN_SECONDS))
                shim.arm(Fault(("sync",), rng.randint(1, 2), errno.EIO, place=place))
                refused = sum(not ledger.write() for _ in range(2))
                assert shim.disarm() == 1, f"seed {chosen}: no sync in {place}"
                assert refused, f"seed {chosen}: {ledger.store.name} was acknowledged although its sync failed"
                ledger.store.read()
                if not place.startswith("/log"):
                    ledger.write_until_acknowledged(patience(WORKS_AGAIN_SECONDS))
            server.kill()
            server.start()
            for ledger in ledgers:
                ledger.write_until_acknowledged(patience(WORKS_AGAIN_SECONDS))
        for ledger in ledgers:
            ledger.check(f"seed {chosen}")
    finally:
        server.stop()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 40 MB."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=40m", "lakebed-test", str(place)]
    if sys.platform != "linux" or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("may not mount a tmpfs here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def _fill(path: Path) -> None:
    with path.open("ab", buffering=0) as ballast:
        for size in (1 << 20, 4096, 1):
            try:
                while True:
                    ballast.write(bytes(size))
            except OSError as full:
                assert full.errno == errno.ENOSPC


@pytest.mark.parametrize("rounds", [1, pytest.param(30, marks=pytest.mark.slow)])
def test_a_full_disk(small_disk: Path, tmp_path: Path, rounds: int) -> None:
    chosen = seed()
    rng = random.Random(chosen)
    server = Server(small_disk / "data", log=tmp_path / "server.log")
    server.start()
    try:
        kinds = tuple(kind for kind in stores.ALL if kind is not stores.Parts)
        ledgers, slowest = prepared(server, kinds), 0.0
        for number in range(rounds):
            for ledger in ledgers:
                ledger.write_until_acknowledged(patience(WORKS_AGAIN_SECONDS))
            _fill(small_disk / "ballast")
            rng.shuffle(ledgers)
            for ledger in ledgers:
                # A log and SQLite's WAL may still have room in the last page they own.
                refused = sum(not ledger.write() for _ in range(40))
                assert refused or ledger.store.name in ("tables", "sqs", "mqtt"), (
                    f"{ledger.store.name} was never refused"
                )
            reads(ledgers)
            if rng.random() < 0.3:
                server.kill()
            (small_disk / "ballast").unlink()
            if server.died():
                server.start()
            for ledger in ledgers:
                slowest = max(slowest, ledger.write_until_acknowledged(patience(WORKS_AGAIN_SECONDS)))
            if number % 10 == 9 or number == rounds - 1:
                for ledger in ledgers:
                    ledger.check(f"seed {chosen}, round {number}")
        server.kill()
        server.start()
        for ledger in ledgers:
            ledger.check(f"seed {chosen}, after kill -9")
        told = sum((ledger.failures for ledger in ledgers), Counter())
        print(f"{rounds} times full, refused: {dict(told)}; writes worked again after {slowest:.2f} s at most")
    finally:
        server.stop()
