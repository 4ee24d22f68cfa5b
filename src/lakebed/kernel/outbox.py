"""Outbox: a message written in the same transaction as its cause and delivered at least once, in order per topic.

S3 notifications, asynchronous Lambda invocations and other effects that must not be lost between a commit and a crash
go through here. A handler that raises leaves its message in place; it is tried again with backoff until ``attempts_max``,
after which the message is kept in ``outbox_dead`` (bounded) for the operator to see. A handler that knows at once that
nothing will ever take its message calls ``bury`` and returns.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from lakebed.kernel.clock import Clock
from lakebed.kernel.db import Database, Tx
from lakebed.kernel.log import Log
from lakebed.kernel.tasks import Tasks

Handler = Callable[[Any], Awaitable[None]]
_BATCH = 64
_ATTEMPTS_MAX = 50
_DEAD_KEPT = 10_000


class Outbox:
    """One table of messages; each topic has its own task, so that a slow receiver delays only its own topic."""

    def __init__(self, db: Database, clock: Clock, tasks: Tasks, log: Log) -> None:
        self._db, self._clock, self._tasks, self._log = db, clock, tasks, log
        self._topics: dict[str, Handler] = {}

    def handle(self, topic: str, handler: Handler) -> None:
        """Deliver messages of ``topic`` to ``handler``, one at a time. Call once, before the tasks start."""
        self._topics[topic] = handler
        self._tasks.add(_Delivery(self, topic))

    def emit(self, tx: Tx, topic: str, message: Any) -> None:
        """Record a message (anything msgspec can encode) for delivery once ``tx`` is durable."""
        tx.execute(
            "INSERT INTO outbox (topic, body, due) VALUES (?,?,?)",
            (topic, msgspec.msgpack.encode(message), self._clock.now()),
        )
        tx.after_commit(lambda: self._tasks.poke(f"outbox:{topic}"))

    def bury(self, tx: Tx, topic: str, message: Any, reason: str) -> None:
        """Put a message straight to the dead letters, in the caller's transaction. The oldest give way."""
        self._to_dead(tx, topic, msgspec.msgpack.encode(message), reason)

    def dead(self, limit: int = 100) -> list[tuple[str, Any, float, str]]:
        """The newest dead letters: topic, message, when, why."""
        rows = self._db.all("SELECT * FROM outbox_dead ORDER BY id DESC LIMIT ?", (limit,))
        return [(row["topic"], msgspec.msgpack.decode(row["body"]), row["failed_at"], row["error"]) for row in rows]

    def backlog(self) -> dict[str, int]:
        """Undelivered messages by topic."""
        rows = self._db.all("SELECT topic, count(*) AS n FROM outbox GROUP BY topic")
        return {str(row["topic"]): int(row["n"]) for row in rows}

    async def deliver(self, topic: str) -> float | None:
        """Deliver what is due; returns when to look again."""
        now = self._clock.now()
        rows = self._db.all(
            "SELECT id, body, attempts, due FROM outbox WHERE topic=? ORDER BY id LIMIT ?", (topic, _BATCH)
        )
        done: list[tuple[int]] = []
        retry_at: float | None = None
        try:
            for row in rows:
                if row["due"] > now:
                    retry_at = float(row["due"])
                    break
                try:
                    await self._topics[topic](msgspec.msgpack.decode(row["body"]))
                except Exception as failure:
                    retry_at = self._postpone(row, topic, failure)
                    break
                done.append((row["id"],))
        finally:
            if done:
                with self._db.tx() as tx:
                    tx.executemany("DELETE FROM outbox WHERE id=?", done)
        if retry_at is not None:
            return retry_at
        return now if len(rows) == _BATCH else None

    def _postpone(self, row: sqlite3.Row, topic: str, failure: Exception) -> float:
        """Leave the message for later, or give it up; when its topic goes on."""
        attempts = int(row["attempts"]) + 1
        self._log.warning("delivery failed", topic=topic, attempts=attempts, exc=failure)
        now = self._clock.now()
        due = now + min(2.0 ** min(attempts - 3, 10), 300.0)
        with self._db.tx() as tx:
            if attempts < _ATTEMPTS_MAX:
                tx.execute("UPDATE outbox SET attempts=?, due=? WHERE id=?", (attempts, due, row["id"]))
                return due
            self._to_dead(tx, topic, row["body"], str(failure))
            tx.execute("DELETE FROM outbox WHERE id=?", (row["id"],))
        return now

    def _to_dead(self, tx: Tx, topic: str, body: bytes, reason: str) -> None:
        tx.execute(
            "INSERT INTO outbox_dead (topic, body, failed_at, error) VALUES (?,?,?,?)",
            (topic, body, self._clock.now(), reason[:500]),
        )
        tx.execute("DELETE FROM outbox_dead WHERE id <= (SELECT max(id) FROM outbox_dead) - ?", (_DEAD_KEPT,))


class _Delivery:
    period = 60.0

    def __init__(self, outbox: Outbox, topic: str) -> None:
        self.name = f"outbox:{topic}"
        self._outbox, self._topic = outbox, topic

    async def activate(self) -> float | None:
        return await self._outbox.deliver(self._topic)
