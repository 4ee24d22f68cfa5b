"""The tables of alarms and their history."""

from __future__ import annotations

from typing import Any

import msgspec

from lakebed.kernel.db import Database, Tx
from lakebed.kernel.scope import Scope

Alarm = dict[str, Any]
_END = "\U0010ffff"
_HISTORY_SECONDS = 30 * 86_400
_HISTORY_MAX = 2000
_NEVER = 1e18


class AlarmStore:
    """Rows of ``alarm`` and ``alarm_history``."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def find(self, scope: Scope, name: str) -> Alarm | None:
        """One alarm."""
        row = self._db.one(
            "SELECT body FROM alarm WHERE account=? AND region=? AND name=?", (scope.account, scope.region, name)
        )
        return msgspec.msgpack.decode(row["body"]) if row else None

    def after(self, scope: Scope, prefix: str, after: str, limit: int) -> list[Alarm]:
        """By name."""
        rows = self._db.all(
            "SELECT body FROM alarm WHERE account=? AND region=? AND name>? AND name>=? AND name<? ORDER BY name LIMIT ?",
            (scope.account, scope.region, after, prefix, prefix + _END, limit),
        )
        return [msgspec.msgpack.decode(row["body"]) for row in rows]

    def composites(self, scope: Scope) -> list[Alarm]:
        """Those that are never due: the composite ones."""
        rows = self._db.all(
            "SELECT body FROM alarm WHERE account=? AND region=? AND evaluate_at>=?",
            (scope.account, scope.region, _NEVER),
        )
        return [msgspec.msgpack.decode(row["body"]) for row in rows]

    def count(self, scope: Scope) -> int:
        """Alarms of an account and region."""
        row = self._db.one(
            "SELECT count(*) AS n FROM alarm WHERE account=? AND region=?", (scope.account, scope.region)
        )
        return int(row["n"]) if row else 0

    def insert(self, tx: Tx, scope: Scope, alarm: Alarm, tags: dict[str, str], due: float) -> None:
        """A new alarm; one that exists keeps its tags."""
        tx.execute(
            "INSERT INTO alarm VALUES (?,?,?,?,?,?) ON CONFLICT (account, region, name) DO UPDATE SET "
            "body=excluded.body, evaluate_at=excluded.evaluate_at",
            (scope.account, scope.region, alarm["AlarmName"], msgspec.msgpack.encode(alarm),
             msgspec.msgpack.encode(tags), due),
        )  # fmt: skip

    def put(self, tx: Tx, scope: Scope, alarm: Alarm) -> None:
        """Its new body."""
        tx.execute(
            "UPDATE alarm SET body=? WHERE account=? AND region=? AND name=?",
            (msgspec.msgpack.encode(alarm), scope.account, scope.region, alarm["AlarmName"]),
        )

    def due_again(self, tx: Tx, scope: Scope, name: str, at: float) -> None:
        """When to look at it next."""
        tx.execute(
            "UPDATE alarm SET evaluate_at=? WHERE account=? AND region=? AND name=?",
            (at, scope.account, scope.region, name),
        )

    def due(self, now: float, limit: int) -> list[tuple[Scope, Alarm]]:
        """Those to look at now, longest overdue first."""
        rows = self._db.all(
            "SELECT account, region, body FROM alarm WHERE evaluate_at<=? ORDER BY evaluate_at LIMIT ?", (now, limit)
        )
        return [(Scope(row["account"], row["region"]), msgspec.msgpack.decode(row["body"])) for row in rows]

    def next_due(self) -> float | None:
        """When the next one is to be looked at."""
        row = self._db.one("SELECT min(evaluate_at) AS at FROM alarm")
        return None if row is None else row["at"]

    def delete(self, tx: Tx, scope: Scope, name: str) -> None:
        """Remove it; its history stays, as AWS keeps it."""
        tx.execute("DELETE FROM alarm WHERE account=? AND region=? AND name=?", (scope.account, scope.region, name))

    def note(self, tx: Tx, scope: Scope, name: str, at: float, entry: tuple[str, str, str]) -> None:
        """Add (type, summary, data) to the history; what is old or too much goes."""
        place = scope.account, scope.region, name
        tx.execute(
            "INSERT INTO alarm_history (account, region, name, at, type, summary, data) VALUES (?,?,?,?,?,?,?)",
            (*place, at, *entry),
        )
        tx.execute(
            "DELETE FROM alarm_history WHERE account=? AND region=? AND name=? AND (at<? OR id<=(SELECT id FROM "
            "alarm_history WHERE account=? AND region=? AND name=? ORDER BY id DESC LIMIT 1 OFFSET ?))",
            (*place, at - _HISTORY_SECONDS, *place, _HISTORY_MAX),
        )

    def history(
        self, scope: Scope, name: str | None, kind: str | None, between: tuple[float, float], page: tuple[int, int],
        *, ascending: bool,
    ) -> list[Any]:  # fmt: skip
        """Rows of the history; ``page`` is (rows to pass over, rows to give)."""
        order = "ASC" if ascending else "DESC"
        return self._db.all(
            "SELECT name, at, type, summary, data FROM alarm_history WHERE account=? AND region=? AND "  # noqa: S608
            "(? IS NULL OR name=?) AND (? IS NULL OR type=?) AND at>=? AND at<=? "
            f"ORDER BY at {order}, id {order} LIMIT ? OFFSET ?",
            (scope.account, scope.region, name, name, kind, kind, *between, page[1], page[0]),
        )
