"""The tables of filters and resource policies."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from lakebed.kernel.db import Database, Tx
from lakebed.kernel.scope import Scope
from lakebed.services.logs.model import Group

_END = "\U0010ffff"


class Filter(NamedTuple):
    """A filter of a group; ``kind`` is subscription or metric, ``body`` as it is described."""

    group: str
    name: str
    body: dict[str, Any]


class FilterStore:
    """Rows of ``log_filter``."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def put(self, tx: Tx, group: Group, kind: str, name: str, body: dict[str, Any]) -> None:
        """A new one, or a new body."""
        tx.execute(
            "INSERT OR REPLACE INTO log_filter VALUES (?,?,?,?,?,?)",
            (group.scope.account, group.scope.region, group.id, kind, name, msgspec.msgpack.encode(body)),
        )

    def of_group(self, group_id: int, kind: str) -> list[tuple[str, dict[str, Any]]]:
        """(name, body) by name; a group has few."""
        rows = self._db.all(
            "SELECT name, body FROM log_filter WHERE group_id=? AND kind=? ORDER BY name LIMIT 1000", (group_id, kind)
        )
        return [(row["name"], msgspec.msgpack.decode(row["body"])) for row in rows]

    def of_scope(self, scope: Scope, kind: str, prefix: str, after: tuple[str, str], limit: int) -> list[Filter]:
        """Over all groups, by (name, group) behind ``after``."""
        rows = self._db.all(
            "SELECT f.name AS name, g.name AS grp, f.body AS body FROM log_filter f JOIN log_group g ON g.id=f.group_id "
            "WHERE f.account=? AND f.region=? AND f.kind=? AND f.name>=? AND f.name<? AND (f.name, g.name)>(?,?) "
            "ORDER BY f.name, g.name LIMIT ?",
            (scope.account, scope.region, kind, prefix, prefix + _END, *after, limit),
        )
        return [Filter(row["grp"], row["name"], msgspec.msgpack.decode(row["body"])) for row in rows]

    def delete(self, tx: Tx, group_id: int, kind: str, name: str) -> bool:
        """Whether there was one."""
        gone = tx.execute("DELETE FROM log_filter WHERE group_id=? AND kind=? AND name=?", (group_id, kind, name))
        return gone.rowcount > 0

    def delete_all(self, tx: Tx, group_id: int) -> None:
        """With their group."""
        tx.execute("DELETE FROM log_filter WHERE group_id=?", (group_id,))


class PolicyStore:
    """Rows of ``log_policy``."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def put(self, tx: Tx, scope: Scope, name: str, document: str, now: int) -> None:
        """A new one, or a new document."""
        tx.execute(
            "INSERT OR REPLACE INTO log_policy VALUES (?,?,?,?,?)", (scope.account, scope.region, name, document, now)
        )

    def after(self, scope: Scope, after: str, limit: int) -> list[tuple[str, str, int]]:
        """(name, document, updated) by name."""
        rows = self._db.all(
            "SELECT name, document, updated FROM log_policy WHERE account=? AND region=? AND name>? ORDER BY name LIMIT ?",
            (scope.account, scope.region, after, limit),
        )
        return [(row["name"], row["document"], row["updated"]) for row in rows]

    def delete(self, tx: Tx, scope: Scope, name: str) -> bool:
        """Whether there was one."""
        gone = tx.execute(
            "DELETE FROM log_policy WHERE account=? AND region=? AND name=?", (scope.account, scope.region, name)
        )
        return gone.rowcount > 0
