"""The tables of dashboards, and the tags of alarms and dashboards."""

from __future__ import annotations

from typing import Any

import msgspec

from lakebed.kernel.db import Database, Tx
from lakebed.kernel.scope import Scope

_END = "\U0010ffff"
# Dashboards have no region: they live where every region of the account finds them.
_TABLES = {"alarm": "alarm", "dashboard": "dashboard"}


class DashboardStore:
    """Rows of ``dashboard``."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def put(self, tx: Tx, scope: Scope, name: str, body: str, now: float, tags: dict[str, str]) -> None:
        """A new one with its tags; one that exists keeps its own."""
        home = scope.at_global()
        tx.execute(
            "INSERT INTO dashboard VALUES (?,?,?,?,?,?) ON CONFLICT (account, region, name) DO UPDATE SET "
            "body=excluded.body, modified=excluded.modified",
            (home.account, home.region, name, body, now, msgspec.msgpack.encode(tags)),
        )

    def body(self, scope: Scope, name: str) -> str | None:
        """The document."""
        home = scope.at_global()
        row = self._db.one(
            "SELECT body FROM dashboard WHERE account=? AND region=? AND name=?", (home.account, home.region, name)
        )
        return str(row["body"]) if row else None

    def after(self, scope: Scope, prefix: str, after: str, limit: int) -> list[tuple[str, float, int]]:
        """(name, modified, size) by name."""
        home = scope.at_global()
        rows = self._db.all(
            "SELECT name, modified, length(CAST(body AS BLOB)) AS size FROM dashboard WHERE account=? AND region=? "
            "AND name>? AND name>=? AND name<? ORDER BY name LIMIT ?",
            (home.account, home.region, after, prefix, prefix + _END, limit),
        )
        return [(row["name"], row["modified"], row["size"]) for row in rows]

    def delete(self, tx: Tx, scope: Scope, name: str) -> None:
        """Remove it."""
        home = scope.at_global()
        tx.execute("DELETE FROM dashboard WHERE account=? AND region=? AND name=?", (home.account, home.region, name))


class TagStore:
    """The ``tags`` column of both tables."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def find(self, scope: Scope, kind: str, name: str) -> dict[str, str] | None:
        """None where the resource does not exist."""
        home = _home(scope, kind)
        row = self._db.one(
            f"SELECT tags FROM {_TABLES[kind]} WHERE account=? AND region=? AND name=?",  # noqa: S608 - two constants
            (home.account, home.region, name),
        )
        return msgspec.msgpack.decode(row["tags"], type=dict[str, str]) if row else None

    def put(self, tx: Tx, scope: Scope, kind: str, name: str, tags: dict[str, str]) -> Any:
        """Replace the tags."""
        home = _home(scope, kind)
        tx.execute(
            f"UPDATE {_TABLES[kind]} SET tags=? WHERE account=? AND region=? AND name=?",  # noqa: S608 - two constants
            (msgspec.msgpack.encode(tags), home.account, home.region, name),
        )


def _home(scope: Scope, kind: str) -> Scope:
    return scope.at_global() if kind == "dashboard" else scope
