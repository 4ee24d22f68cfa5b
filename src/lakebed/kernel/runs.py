"""Runs: anything with a start and an end (a query, an asynchronous invocation), owned by lease.

A run is QUEUED, then RUNNING under an owner (this boot's id) whose lease it must renew, then ENDED. Only the owner may
write the end; after a crash the next boot finds the lease lapsed, or its owner gone, and takes over or fails the run.
The service's own table holds what its API tells; ``body`` holds what the worker needs.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import msgspec

from lakebed.kernel.clock import Clock
from lakebed.kernel.db import Database, Tx
from lakebed.kernel.scope import Scope

LEASE_SECONDS = 30.0


class LeaseLostError(Exception):
    """Somebody else owns the end of this run."""


@dataclass(frozen=True, slots=True)
class Run:
    """A claimed run. ``attempts`` counts the claims, this one included."""

    kind: str
    id: str
    scope: Scope
    body: Any
    attempts: int
    queued_at: float


class Runs:
    """The table of runs of one house; ``owner`` is this boot's id."""

    def __init__(self, db: Database, clock: Clock, owner: str) -> None:
        self._db, self._clock, self.owner = db, clock, owner

    def add(self, tx: Tx, kind: str, run_id: str, scope: Scope, body: Any) -> None:
        """Queue a run in the caller's transaction."""
        tx.execute(
            "INSERT INTO run (kind, id, account, region, state, queued_at, body) VALUES (?,?,?,?,'QUEUED',?,?)",
            (kind, run_id, scope.account, scope.region, self._clock.now(), msgspec.msgpack.encode(body)),
        )

    def claim(self, kind: str) -> Run | None:
        """The oldest run that is queued, or whose owner is gone; it is RUNNING and ours when this returns."""
        now = self._clock.now()
        with self._db.tx() as tx:
            row = tx.one(
                "SELECT * FROM run WHERE kind=? AND state<>'ENDED' AND (state='QUEUED' OR lease_until<=?) "
                "ORDER BY queued_at, id LIMIT 1",
                (kind, now),
            )
            if row is None:
                return None
            tx.execute(
                "UPDATE run SET state='RUNNING', owner=?, lease_until=?, attempts=attempts+1 WHERE kind=? AND id=?",
                (self.owner, now + LEASE_SECONDS, kind, row["id"]),
            )
        return Run(
            kind,
            row["id"],
            Scope(row["account"], row["region"]),
            msgspec.msgpack.decode(row["body"]),
            row["attempts"] + 1,
            row["queued_at"],
        )

    def renew(self, run: Run) -> None:
        """Extend the lease; LeaseLostError when it is not ours any more."""
        with self._db.tx() as tx:
            self._own(
                tx,
                run,
                "UPDATE run SET lease_until=? WHERE kind=? AND id=? AND owner=? AND state='RUNNING'",
                (self._clock.now() + LEASE_SECONDS,),
            )

    @asynccontextmanager
    async def held(self, run: Run) -> AsyncIterator[None]:
        """Renews the lease of a claimed run for as long as the block takes."""
        keeper = asyncio.get_running_loop().create_task(self._keep(run))
        try:
            yield
        finally:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)

    async def _keep(self, run: Run) -> None:
        while True:
            await self._clock.sleep_until(self._clock.now() + LEASE_SECONDS / 3)
            self.renew(run)

    def end(self, tx: Tx, run: Run) -> None:
        """The end, in the caller's transaction (which writes the outcome); LeaseLostError rolls both back."""
        self._own(tx, run, "DELETE FROM run WHERE kind=? AND id=? AND owner=? AND state='RUNNING'", ())

    def requeue(self, tx: Tx, run: Run) -> None:
        """Give the run back for another try."""
        self._own(tx, run, "UPDATE run SET state='QUEUED', lease_until=0 WHERE kind=? AND id=? AND owner=?", ())

    def cancel(self, tx: Tx, kind: str, run_id: str) -> bool:
        """Take a run that nobody started out of the queue; False when it was not queued."""
        return tx.execute("DELETE FROM run WHERE kind=? AND id=? AND state='QUEUED'", (kind, run_id)).rowcount > 0

    def release_others(self) -> int:
        """At boot: what earlier boots were running is claimable at once. Only one house may own a data directory."""
        with self._db.tx() as tx:
            return tx.execute("UPDATE run SET lease_until=0 WHERE state='RUNNING' AND owner<>?", (self.owner,)).rowcount

    def waiting(self, kind: str) -> int:
        """Queued runs of a kind."""
        row = self._db.one("SELECT count(*) AS n FROM run WHERE kind=? AND state='QUEUED'", (kind,))
        return int(row["n"]) if row else 0

    def _own(self, tx: Tx, run: Run, sql: str, head: tuple[Any, ...]) -> None:
        if tx.execute(sql, (*head, run.kind, run.id, self.owner)).rowcount == 0:
            raise LeaseLostError(f"{run.kind} {run.id}")
