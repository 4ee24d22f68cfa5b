"""Runs: one owner at a time, and only the owner of the lease writes the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakebed.kernel.clock import ManualClock
from lakebed.kernel.db import Database
from lakebed.kernel.runs import LEASE_SECONDS, LeaseLostError, Run, Runs
from lakebed.kernel.scope import Scope

SCOPE = Scope("000000000000", "us-east-1")


def open_runs(path: Path, clock: ManualClock, *owners: str) -> tuple[Database, list[Runs]]:
    db = Database(path / "state.db")
    db.migrate("kernel", "lakebed.kernel", clock)
    return db, [Runs(db, clock, owner) for owner in owners]


def add(db: Database, runs: Runs, name: str, body: Any = None) -> None:
    with db.tx() as tx:
        runs.add(tx, "query", name, SCOPE, body)


def end(db: Database, runs: Runs, run: Run) -> None:
    with db.tx() as tx:
        runs.end(tx, run)


async def test_claimed_in_the_order_of_queueing_once_each(tmp_path: Path) -> None:
    clock = ManualClock()
    db, (runs,) = open_runs(tmp_path, clock, "boot")
    add(db, runs, "b", {"sql": "SELECT 1"})
    await clock.advance(1)
    add(db, runs, "a")
    assert runs.waiting("query") == 2
    first, second = runs.claim("query"), runs.claim("query")
    assert first is not None
    assert second is not None
    assert (first.id, first.body, first.attempts, first.scope) == ("b", {"sql": "SELECT 1"}, 1, SCOPE)
    assert second.id == "a"
    assert runs.claim("query") is None
    assert runs.claim("other kind") is None
    end(db, runs, first)
    with pytest.raises(LeaseLostError):
        end(db, runs, first)
    db.close()


async def test_a_lapsed_lease_is_taken_over_and_the_old_owner_cannot_end_it(tmp_path: Path) -> None:
    clock = ManualClock()
    db, (old, new) = open_runs(tmp_path, clock, "old", "new")
    add(db, old, "r")
    mine = old.claim("query")
    assert mine is not None
    await clock.advance(LEASE_SECONDS - 1)
    old.renew(mine)
    await clock.advance(LEASE_SECONDS - 1)
    assert new.claim("query") is None
    await clock.advance(1)
    theirs = new.claim("query")
    assert theirs is not None
    assert theirs.attempts == 2
    for lost in (lambda: old.renew(mine), lambda: end(db, old, mine)):
        with pytest.raises(LeaseLostError):
            lost()

    def end_with_an_outcome() -> None:
        with db.tx() as tx:
            tx.execute("INSERT INTO house VALUES ('outcome', 'wrong')")
            old.end(tx, mine)

    with pytest.raises(LeaseLostError):
        end_with_an_outcome()
    assert db.one("SELECT 1 FROM house WHERE key='outcome'") is None, "the outcome of a lost run was kept"
    end(db, new, theirs)
    db.close()


async def test_the_next_boot_claims_at_once_what_the_last_one_ran(tmp_path: Path) -> None:
    clock = ManualClock()
    db, (old,) = open_runs(tmp_path, clock, "old")
    add(db, old, "running")
    add(db, old, "queued")
    assert old.claim("query") is not None
    db.close()
    db, (new,) = open_runs(tmp_path, clock, "new")
    assert new.release_others() == 1
    assert {run.id for run in (new.claim("query"), new.claim("query")) if run} == {"running", "queued"}
    assert new.release_others() == 0
    db.close()


def test_only_what_nobody_started_is_cancelled_and_a_requeued_run_comes_again(tmp_path: Path) -> None:
    db, (runs,) = open_runs(tmp_path, ManualClock(), "boot")
    add(db, runs, "a")
    add(db, runs, "b")
    run = runs.claim("query")
    assert run is not None
    with db.tx() as tx:
        assert not runs.cancel(tx, "query", run.id)
        assert runs.cancel(tx, "query", "b")
        assert not runs.cancel(tx, "query", "b")
        runs.requeue(tx, run)
    again = runs.claim("query")
    assert again is not None
    assert (again.id, again.attempts) == ("a", 2)
    db.close()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["claim", "renew", "end", "requeue", "wait"]), st.integers(0, 1)), max_size=40)
)
async def test_two_owners_never_both_end_a_run(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    clock, ended = ManualClock(), list[str]()
    db, owners = open_runs(tmp_path_factory.mktemp("runs"), clock, "one", "two")
    for number in range(3):
        add(db, owners[0], f"r{number}")
    held: list[list[Run]] = [[], []]
    leases: dict[str, tuple[int, float]] = {}
    for step, who in steps:
        if step == "wait":
            await clock.advance(LEASE_SECONDS * 0.6)
            continue
        if step == "claim":
            run = owners[who].claim("query")
            if run is not None:
                assert run.id not in ended
                holder, until = leases.get(run.id, (who, 0.0))
                assert until <= clock.now(), f"{run.id} was taken from {holder}"
                leases[run.id] = (who, clock.now() + LEASE_SECONDS)
                held[who].append(run)
            continue
        if not held[who]:
            continue
        run = held[who].pop()
        owns = leases.get(run.id, (-1, 0))[0] == who and run.id not in ended
        try:
            if step == "renew":
                owners[who].renew(run)
                held[who].append(run)
                leases[run.id] = (who, clock.now() + LEASE_SECONDS)
            elif step == "end":
                end(db, owners[who], run)
                ended.append(run.id)
            else:
                with db.tx() as tx:
                    owners[who].requeue(tx, run)
                leases.pop(run.id)
            assert owns
        except LeaseLostError:
            assert not owns
    assert len(ended) == len(set(ended))
    db.close()
