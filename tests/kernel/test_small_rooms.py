"""Meters, log, ids, ARNs, lock and emptying: each small, each with a promise of its own."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakebed.kernel import arn, emptying, meters
from lakebed.kernel.clock import ManualClock
from lakebed.kernel.disk import LocalDisk
from lakebed.kernel.ids import CountingIds, RandomIds
from lakebed.kernel.lock import LockedError, hold
from lakebed.kernel.log import Log
from lakebed.kernel.scope import Scope
from tests.kernel.faults import Fault, FaultyDisk


def of(made: meters.Meters, name: str) -> dict[str, Any]:
    return cast(dict[str, Any], made.snapshot()["resources"])[name]


async def test_rates_are_of_the_last_ten_full_seconds_and_the_ring_turns() -> None:
    clock = ManualClock(1000.0)
    made = meters.Meters(clock)
    for _ in range(20):
        made.into("a", 50, 500)
        await clock.advance(1)
    made.out("a", 7, 70, to="b")
    found = of(made, "a")
    assert (found["recordsIn"], found["bytesIn"], found["recordsOut"], found["rateIn"]) == (1000, 10_000, 7, 50.0)
    assert len(found["historyIn"]) == 59
    assert sum(found["historyIn"]) == 1000
    await clock.advance(5)
    assert of(made, "a")["rateIn"] == 25.0
    await clock.advance(3600)
    found = of(made, "a")
    assert (found["rateIn"], sum(found["historyIn"]), found["recordsIn"]) == (0.0, 0, 1000)
    assert cast(list[dict[str, Any]], made.snapshot()["links"]) == [{"source": "a", "target": "b", "records": 7}]
    made.error("a")
    made.drop("a", 2)
    made.lag("a", seconds=1.5, waiting=3)
    found = of(made, "a")
    assert [found[key] for key in ("errors", "dropped", "lagSeconds", "waiting")] == [1, 2, 1.5, 3]
    made.clear()
    assert made.snapshot()["resources"] == {}


def test_meters_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meters, "_RESOURCES_MAX", 10)
    made = meters.Meters(ManualClock())
    for number in range(50):
        made.out(f"r{number}", to=f"t{number}")
    snapshot = made.snapshot()
    assert len(cast(dict[str, Any], snapshot["resources"])) == len(cast(list[Any], snapshot["links"])) == 10


def test_secrets_and_what_is_below_the_level_never_reach_the_log() -> None:
    stream = io.StringIO()
    log = Log(ManualClock(), stream, keep=3)
    log.debug("hidden")
    log.info("call", user="me", password="hunter2", secret_key="x", session_token="y", authorization="z")
    assert json.loads(stream.getvalue()) == {"at": 1750000000.0, "level": "info", "event": "call", "user": "me"}
    log.error("broken", path=Path("/x"), exc=OSError("no disk"))
    line = json.loads(stream.getvalue().splitlines()[1])
    assert (line["error"], line["path"]) == ("OSError: no disk", "/x")
    assert line["trace"].endswith("OSError: no disk\n")
    for number in range(9):
        log.warning(f"w{number}")
    assert [line["event"] for line in log.tail] == ["w6", "w7", "w8"]


def test_a_terminal_that_goes_away_ends_nothing() -> None:
    stream = io.StringIO()
    log = Log(ManualClock(), stream)
    stream.close()
    log.info("one")
    log.info("two")
    assert [line["event"] for line in log.tail] == ["one", "two"]


def test_ids_have_their_shape_and_counted_ones_repeat() -> None:
    for ids in (RandomIds(), CountingIds(7)):
        assert len(ids.uuid()) == 36
        assert set(ids.token(200)) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
        assert len(ids.secret(33)) == 33
        assert 0 <= ids.uniform() < 1
    one, two = CountingIds(7), CountingIds(7)
    assert [one.uuid(), one.token(5), one.secret(4)] == [two.uuid(), two.token(5), two.secret(4)]
    assert len({RandomIds().uuid() for _ in range(1000)}) == 1000


@given(st.text(min_size=1), st.sampled_from(["aws", "aws-cn"]), st.text("abc-1", max_size=9))
def test_an_arn_is_read_as_it_was_written(resource: str, partition: str, region: str) -> None:
    text = f"arn:{partition}:iot:{region}:123456789012:{resource}"
    found = arn.parse(text)
    assert found is not None
    assert str(found) == text
    assert (found.resource, found.region, found.account) == (resource, region, "123456789012")


@pytest.mark.parametrize(
    "text", ["", "arn", "arn:aws:s3", "arn:aws:s3:::", "arn::s3:::b", "arn:aws::r:a:x", "urn:aws:s3:::b"]
)
def test_what_is_no_arn_is_none(text: str) -> None:
    assert arn.parse(text) is None


def test_scopes_name_things() -> None:
    scope = Scope("123456789012", "eu-west-1")
    assert scope.arn("sqs", "q") == "arn:aws:sqs:eu-west-1:123456789012:q"
    assert scope.global_arn("iam", "role/r") == "arn:aws:iam::123456789012:role/r"
    assert scope.at_global().region == "aws-global"


def test_one_process_holds_the_lock_and_it_goes_with_it(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from lakebed.kernel.lock import hold;"
        f"l = hold(Path({str(tmp_path)!r})); print('up', flush=True); input()"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdin is not None
    holder.stdout.readline()
    with pytest.raises(LockedError, match="another Lakebed runs"):
        hold(tmp_path)
    holder.kill()
    holder.wait()
    holder.stdout.close()
    holder.stdin.close()
    hold(tmp_path).close()
    assert (tmp_path / "lock").stat().st_mode & 0o777 == 0o600


def names(paths: Iterable[Path]) -> set[str]:
    return {path.name for path in paths}


@pytest.mark.parametrize("at", range(1, 12))
@pytest.mark.parametrize("kind", ["open", "write", "rename", "sync", "sync_directory"])
def test_emptying_is_whole_or_finished_at_the_next_start(tmp_path: Path, kind: str, at: int) -> None:
    for name in ("state.db", "mine.txt"):
        (tmp_path / name).write_text("x")
    (tmp_path / "log" / "a").mkdir(parents=True)
    disk = FaultyDisk(power_safe=True, faults=(Fault(kind, at),))
    try:
        emptying.empty(tmp_path, ("state.db", "log", "absent"), disk)
        is_told = True
    except OSError:
        is_told = False
    disk.cut()
    begun = emptying.is_begun(tmp_path)
    assert not (is_told and begun), "what is confirmed is done"
    if begun:
        emptying.empty(tmp_path, ("state.db", "log", "absent"), LocalDisk())
        assert not emptying.is_begun(tmp_path)
    left = names(tmp_path.iterdir()) - {emptying.MARKER, emptying.ASIDE, f".{emptying.MARKER}.draft"}
    assert left in ({"mine.txt"}, {"mine.txt", "state.db", "log"})
    assert left == {"mine.txt"} or not is_told
    emptying.delete_aside(tmp_path)
    assert not (tmp_path / emptying.ASIDE).exists() or names((tmp_path / emptying.ASIDE).iterdir()) == set()
