"""The table of shadows."""

from __future__ import annotations

import msgspec

from lakebed.kernel.db import Database, Tx
from lakebed.kernel.scope import Scope
from lakebed.services.iot.shadows.document import Shadow


class ShadowStore:
    """Rows of shadows; reads work inside and outside of a transaction."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def shadow(self, scope: Scope, thing: str, name: str) -> tuple[Shadow | None, int]:
        """The shadow, and the version that was used last (0: none ever)."""
        row = self.db.one(
            "SELECT document, version, modified FROM iot_shadow WHERE account=? AND region=? AND thing=? AND name=?",
            (scope.account, scope.region, thing, name),
        )
        if row is None:
            return None, 0
        if row["document"] is None:
            return None, row["version"]
        tree = msgspec.json.decode(row["document"])
        return Shadow(tree["state"], tree["metadata"], row["version"], row["modified"]), row["version"]

    def put(self, tx: Tx, scope: Scope, thing: str, name: str, shadow: Shadow) -> None:
        """Insert or replace."""
        document = msgspec.json.encode({"state": shadow.state, "metadata": shadow.metadata})
        tx.execute(
            "INSERT OR REPLACE INTO iot_shadow VALUES (?,?,?,?,?,?,?)",
            (scope.account, scope.region, thing, name, document, shadow.version, shadow.modified),
        )

    def delete(self, tx: Tx, scope: Scope, thing: str, name: str, now: int) -> None:
        """Keep only the version."""
        tx.execute(
            "UPDATE iot_shadow SET document=NULL, modified=? WHERE account=? AND region=? AND thing=? AND name=?",
            (now, scope.account, scope.region, thing, name),
        )

    def forget_deleted(self, tx: Tx, before: int) -> None:
        """Drop the versions of shadows deleted long ago."""
        tx.execute("DELETE FROM iot_shadow WHERE document IS NULL AND modified<?", (before,))

    def names(self, scope: Scope, thing: str, after: str, limit: int) -> list[str]:
        """Named shadows of a thing, in order."""
        rows = self.db.all(
            "SELECT name FROM iot_shadow WHERE account=? AND region=? AND thing=? AND name>? AND document IS NOT NULL"
            " ORDER BY name LIMIT ?",
            (scope.account, scope.region, thing, after, limit),
        )
        return [row["name"] for row in rows]
