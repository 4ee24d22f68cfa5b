"""The tables of what moves: events on their way to targets, ids that were seen, and archived events."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from lakebed.kernel.db import Database, Tx
from lakebed.kernel.scope import Scope
from lakebed.services.events.model import Archive, Event, Rule, Target
from lakebed.services.events.store import place

_encode = msgspec.msgpack.encode
_event = msgspec.msgpack.Decoder(Event).decode
_FORGOTTEN_AT_ONCE = 500


class Due(msgspec.Struct, frozen=True):
    """An event on its way to one target."""

    id: int
    scope: Scope
    bus: str
    rule: str
    target: str
    event: int
    started: float
    attempts: int


class FlowStore:
    """Rows of ``events_event``, ``events_delivery``, ``events_seen`` and ``events_archived``."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add(self, tx: Tx, event: Event, to: Iterable[tuple[Rule, Target]], now: float) -> None:
        """An event, once, and a row for each target."""
        number = tx.execute(
            "INSERT INTO events_event (account, region, body) VALUES (?,?,?)", (*place(event.scope), _encode(event))
        ).lastrowid
        tx.executemany(
            "INSERT INTO events_delivery (account, region, bus, rule, target, event, started, due) VALUES (?,?,?,?,?,?,?,?)",
            [(*place(rule.scope), rule.bus, rule.name, target.id, number, now, now) for rule, target in to],
        )

    def due(self, now: float, limit: int) -> list[Due]:
        """What may be tried now, longest due first."""
        rows = self._db.all(
            "SELECT id, account, region, bus, rule, target, event, started, attempts FROM events_delivery WHERE due<=? "
            "ORDER BY due, id LIMIT ?",
            (now, limit),
        )
        return [
            Due(
                row["id"], Scope(row["account"], row["region"]), row["bus"], row["rule"], row["target"], row["event"],
                row["started"], row["attempts"],
            )
            for row in rows
        ]  # fmt: skip

    def next_due(self) -> float | None:
        """When something is to be tried next."""
        row = self._db.one("SELECT min(due) AS at FROM events_delivery")
        return row["at"] if row else None

    def waiting_at_most(self) -> int:
        """An upper bound of the rows that wait, cheap at any number."""
        row = self._db.one(
            "SELECT (SELECT max(id) FROM events_delivery) - (SELECT min(id) FROM events_delivery) + 1 AS n"
        )
        return int(row["n"] or 0) if row else 0

    def event(self, number: int) -> Event | None:
        """An event on its way."""
        row = self._db.one("SELECT body FROM events_event WHERE id=?", (number,))
        return _event(row["body"]) if row else None

    def finish(self, tx: Tx, done: Sequence[Due]) -> None:
        """They arrived or were given up; events on their way to nobody go with them."""
        tx.executemany("DELETE FROM events_delivery WHERE id=?", [(one.id,) for one in done])
        tx.executemany(
            "DELETE FROM events_event WHERE id=?1 AND NOT EXISTS (SELECT 1 FROM events_delivery WHERE event=?1)",
            [(number,) for number in {one.event for one in done}],
        )

    def postpone(self, tx: Tx, one: Due, due: float) -> None:
        """Try again later."""
        tx.execute("UPDATE events_delivery SET due=?, attempts=attempts+1 WHERE id=?", (due, one.id))

    def is_new(self, tx: Tx, scope: Scope, event_id: str, now: float) -> bool:
        """Remember an id; whether it was not seen before."""
        row = (*place(scope), event_id, now)
        return tx.execute("INSERT OR IGNORE INTO events_seen VALUES (?,?,?,?)", row).rowcount > 0

    def forget(self, tx: Tx, before: float) -> None:
        """Drop ids seen long ago, a bounded number at a time."""
        key = "account, region, id"
        tx.execute(
            f"DELETE FROM events_seen WHERE ({key}) IN (SELECT {key} FROM events_seen WHERE at<? LIMIT ?)",  # noqa: S608
            (before, _FORGOTTEN_AT_ONCE),
        )

    def keep(self, tx: Tx, archive: Archive, event: Event, now: float) -> None:
        """Add an event to an archive."""
        body, key = _encode(event), (*place(archive.scope), archive.name)
        row = tx.one(
            "SELECT max(number) AS n FROM events_archived WHERE account=? AND region=? AND archive=? AND at=?",
            (*key, now),
        )
        number = int(row["n"] or 0) + 1 if row else 1
        tx.execute("INSERT INTO events_archived VALUES (?,?,?,?,?,?,?)", (*key, now, number, len(event.text()), body))

    def archived(
        self, archive: Archive, after: tuple[float, int], until: float, limit: int
    ) -> list[tuple[float, int, Event]]:
        """(at, number, event) of an archive behind a place."""
        rows = self._db.all(
            "SELECT at, number, event FROM events_archived WHERE account=? AND region=? AND archive=? "
            "AND (at, number)>(?,?) AND at<? ORDER BY at, number LIMIT ?",
            (*place(archive.scope), archive.name, *after, until, limit),
        )
        return [(row["at"], row["number"], _event(row["event"])) for row in rows]

    def measure(self, archive: Archive) -> tuple[int, int]:
        """(events, bytes) of an archive."""
        row = self._db.one(
            "SELECT count(*) AS n, coalesce(sum(size), 0) AS bytes FROM events_archived "
            "WHERE account=? AND region=? AND archive=?",
            (*place(archive.scope), archive.name),
        )
        return (int(row["n"]), int(row["bytes"])) if row else (0, 0)

    def prune(self, tx: Tx, archive: Archive, before: float) -> int:
        """Drop events older than the archive keeps them, a bounded number at a time; how many."""
        key = "account, region, archive, at, number"
        gone = tx.execute(
            f"DELETE FROM events_archived WHERE ({key}) IN (SELECT {key} FROM events_archived "  # noqa: S608
            "WHERE account=? AND region=? AND archive=? AND at<? LIMIT ?)",
            (*place(archive.scope), archive.name, before, _FORGOTTEN_AT_ONCE),
        )
        return gone.rowcount
