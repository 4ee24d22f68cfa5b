"""The tables of what is configured: buses, rules, targets, archives and replays."""

from __future__ import annotations

import msgspec

from lakebed.kernel.db import Database, Tx
from lakebed.kernel.scope import Scope
from lakebed.services.events.model import DEFAULT, Archive, Bus, Replay, Rule, Target

_encode = msgspec.msgpack.encode
_bus = msgspec.msgpack.Decoder(Bus).decode
_rule = msgspec.msgpack.Decoder(Rule).decode
_target = msgspec.msgpack.Decoder(Target).decode
_archive = msgspec.msgpack.Decoder(Archive).decode
_replay = msgspec.msgpack.Decoder(Replay).decode


def place(scope: Scope) -> tuple[str, str]:
    """The first columns of every table."""
    return scope.account, scope.region


class BusStore:
    """Rows of ``events_bus``."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def find(self, scope: Scope, name: str) -> Bus | None:
        """One bus; the default one is always there."""
        row = self._db.one("SELECT body FROM events_bus WHERE account=? AND region=? AND name=?", (*place(scope), name))
        if row is not None:
            return _bus(row["body"])
        return Bus(scope, DEFAULT, 0.0) if name == DEFAULT else None

    def after(self, scope: Scope, prefix: str, after: str, limit: int) -> list[Bus]:
        """Buses by name, without a default one that nobody set anything on."""
        rows = self._db.all(
            "SELECT body FROM events_bus WHERE account=? AND region=? AND name>? AND substr(name, 1, length(?4))=?4 "
            "ORDER BY name LIMIT ?5",
            (*place(scope), after, prefix, limit),
        )
        return [_bus(row["body"]) for row in rows]

    def count(self, scope: Scope) -> int:
        """How many."""
        row = self._db.one("SELECT count(*) AS n FROM events_bus WHERE account=? AND region=?", place(scope))
        return int(row["n"]) if row else 0

    def put(self, tx: Tx, bus: Bus) -> None:
        """Insert or replace."""
        tx.execute("INSERT OR REPLACE INTO events_bus VALUES (?,?,?,?)", (*place(bus.scope), bus.name, _encode(bus)))

    def delete(self, tx: Tx, bus: Bus) -> None:
        """Remove."""
        tx.execute("DELETE FROM events_bus WHERE account=? AND region=? AND name=?", (*place(bus.scope), bus.name))


class RuleStore:
    """Rows of ``events_rule`` and ``events_target``."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def find(self, scope: Scope, bus: str, name: str) -> Rule | None:
        """One rule."""
        row = self._db.one(
            "SELECT body FROM events_rule WHERE account=? AND region=? AND bus=? AND name=?",
            (*place(scope), bus, name),
        )
        return _rule(row["body"]) if row else None

    def after(self, scope: Scope, bus: str, prefix: str, after: str, limit: int) -> list[Rule]:
        """Rules of a bus by name."""
        rows = self._db.all(
            "SELECT body FROM events_rule WHERE account=? AND region=? AND bus=? AND name>?4 "
            "AND substr(name, 1, length(?5))=?5 ORDER BY name LIMIT ?6",
            (*place(scope), bus, after, prefix, limit),
        )
        return [_rule(row["body"]) for row in rows]

    def everywhere(self, scope: Scope, limit: int) -> list[Rule]:
        """Rules of all buses of a place."""
        rows = self._db.all("SELECT body FROM events_rule WHERE account=? AND region=? LIMIT ?", (*place(scope), limit))
        return [_rule(row["body"]) for row in rows]

    def count(self, scope: Scope, bus: str) -> int:
        """How many a bus has."""
        row = self._db.one(
            "SELECT count(*) AS n FROM events_rule WHERE account=? AND region=? AND bus=?", (*place(scope), bus)
        )
        return int(row["n"]) if row else 0

    def due(self, now: float, limit: int) -> list[Rule]:
        """Rules that fire by their schedule."""
        rows = self._db.all("SELECT body FROM events_rule WHERE due<=? ORDER BY due LIMIT ?", (now, limit))
        return [_rule(row["body"]) for row in rows]

    def next_due(self) -> float | None:
        """When the next does."""
        row = self._db.one("SELECT min(due) AS at FROM events_rule WHERE due IS NOT NULL")
        return row["at"] if row else None

    def put(self, tx: Tx, rule: Rule) -> None:
        """Insert or replace."""
        tx.execute(
            "INSERT OR REPLACE INTO events_rule VALUES (?,?,?,?,?,?)",
            (*place(rule.scope), rule.bus, rule.name, rule.due, _encode(rule)),
        )

    def delete(self, tx: Tx, rule: Rule) -> None:
        """Remove with its targets; what is on its way to them ends."""
        key = (*place(rule.scope), rule.bus, rule.name)
        tx.execute("DELETE FROM events_rule WHERE account=? AND region=? AND bus=? AND name=?", key)
        tx.execute("DELETE FROM events_target WHERE account=? AND region=? AND bus=? AND rule=?", key)

    def targets(self, rule: Rule) -> list[Target]:
        """A rule's targets by id."""
        rows = self._db.all(
            "SELECT body FROM events_target WHERE account=? AND region=? AND bus=? AND rule=? ORDER BY id",
            (*place(rule.scope), rule.bus, rule.name),
        )
        return [_target(row["body"]) for row in rows]

    def target(self, rule: Rule, target_id: str) -> Target | None:
        """One."""
        row = self._db.one(
            "SELECT body FROM events_target WHERE account=? AND region=? AND bus=? AND rule=? AND id=?",
            (*place(rule.scope), rule.bus, rule.name, target_id),
        )
        return _target(row["body"]) if row else None

    def names_by_target(self, scope: Scope, bus: str, arn: str, after: str, limit: int) -> list[str]:
        """Names of the rules that have a target."""
        rows = self._db.all(
            "SELECT DISTINCT rule FROM events_target WHERE account=? AND region=? AND bus=? AND arn=? AND rule>? "
            "ORDER BY rule LIMIT ?",
            (*place(scope), bus, arn, after, limit),
        )
        return [str(row["rule"]) for row in rows]

    def put_target(self, tx: Tx, rule: Rule, target: Target) -> None:
        """Insert or replace."""
        tx.execute(
            "INSERT OR REPLACE INTO events_target VALUES (?,?,?,?,?,?,?)",
            (*place(rule.scope), rule.bus, rule.name, target.id, target.arn, _encode(target)),
        )

    def delete_target(self, tx: Tx, rule: Rule, target_id: str) -> bool:
        """Remove; whether it was there."""
        gone = tx.execute(
            "DELETE FROM events_target WHERE account=? AND region=? AND bus=? AND rule=? AND id=?",
            (*place(rule.scope), rule.bus, rule.name, target_id),
        )
        return gone.rowcount > 0


class ArchiveStore:
    """Rows of ``events_archive`` and ``events_replay``."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def find(self, scope: Scope, name: str) -> Archive | None:
        """One archive."""
        row = self._db.one(
            "SELECT body FROM events_archive WHERE account=? AND region=? AND name=?", (*place(scope), name)
        )
        return _archive(row["body"]) if row else None

    def of_place(self, scope: Scope) -> list[Archive]:
        """Archives of a place by name; few."""
        rows = self._db.all("SELECT body FROM events_archive WHERE account=? AND region=? ORDER BY name", place(scope))
        return [_archive(row["body"]) for row in rows]

    def keeping(self) -> list[Archive]:
        """All archives that forget."""
        rows = self._db.all("SELECT body FROM events_archive")
        return [archive for row in rows if (archive := _archive(row["body"])).days]

    def put(self, tx: Tx, archive: Archive) -> None:
        """Insert or replace."""
        tx.execute(
            "INSERT OR REPLACE INTO events_archive VALUES (?,?,?,?,?)",
            (*place(archive.scope), archive.name, archive.bus, _encode(archive)),
        )

    def delete(self, tx: Tx, archive: Archive) -> None:
        """Remove with its events."""
        key = (*place(archive.scope), archive.name)
        tx.execute("DELETE FROM events_archive WHERE account=? AND region=? AND name=?", key)
        tx.execute("DELETE FROM events_archived WHERE account=? AND region=? AND archive=?", key)

    def replay(self, scope: Scope, name: str) -> Replay | None:
        """One replay."""
        row = self._db.one(
            "SELECT body FROM events_replay WHERE account=? AND region=? AND name=?", (*place(scope), name)
        )
        return _replay(row["body"]) if row else None

    def replays(self, scope: Scope, after: str, limit: int) -> list[Replay]:
        """Replays of a place by name."""
        rows = self._db.all(
            "SELECT body FROM events_replay WHERE account=? AND region=? AND name>? ORDER BY name LIMIT ?",
            (*place(scope), after, limit),
        )
        return [_replay(row["body"]) for row in rows]

    def running(self) -> list[Replay]:
        """Replays under way."""
        return [_replay(row["body"]) for row in self._db.all("SELECT body FROM events_replay WHERE running=1")]

    def put_replay(self, tx: Tx, replay: Replay) -> None:
        """Insert or replace."""
        tx.execute(
            "INSERT OR REPLACE INTO events_replay VALUES (?,?,?,?,?)",
            (*place(replay.scope), replay.name, int(replay.state == "RUNNING"), _encode(replay)),
        )

    def forget_replays(self, tx: Tx, before: float) -> None:
        """Replays that ended are told of for 90 days."""
        for row in tx.all("SELECT account, region, name, body FROM events_replay WHERE running=0"):
            if _replay(row["body"]).ended < before:
                tx.execute(
                    "DELETE FROM events_replay WHERE account=? AND region=? AND name=?",
                    (row["account"], row["region"], row["name"]),
                )
