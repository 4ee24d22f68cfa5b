"""The tables of layers and of who uses them."""

from __future__ import annotations

import msgspec

from lakebed.kernel.db import Database, Tx
from lakebed.kernel.scope import Scope
from lakebed.services.lambda_.layers import LayerName, LayerVersion


class LayerStore:
    """Rows by scope."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def next_version(self, scope: Scope, name: str) -> int:
        """The number of the next version: deleted ones count."""
        row = self.db.one(
            "SELECT max(version) AS n FROM lambda_layer WHERE account=? AND region=? AND name=?",
            (scope.account, scope.region, name),
        )
        return int((row["n"] if row else 0) or 0) + 1

    def put(self, tx: Tx, scope: Scope, layer: LayerVersion) -> None:
        """Write a version."""
        tx.execute(
            "INSERT OR REPLACE INTO lambda_layer (account, region, name, version, code_hex, code_size, body) "
            "VALUES (?,?,?,?,?,?,?)",
            (
                scope.account, scope.region, layer.name, layer.version, layer.code_hex, layer.code_size,
                msgspec.msgpack.encode(layer),
            ),
        )  # fmt: skip

    def get(self, named: LayerName) -> LayerVersion | None:
        """A version that is not deleted."""
        row = self.db.one(
            "SELECT body FROM lambda_layer WHERE account=? AND region=? AND name=? AND version=? AND deleted=0",
            (named.scope.account, named.scope.region, named.name, named.version),
        )
        return msgspec.msgpack.decode(row["body"], type=LayerVersion) if row else None

    def versions(self, scope: Scope, name: str, below: int, limit: int) -> list[LayerVersion]:
        """Versions below a number, the newest first."""
        rows = self.db.all(
            "SELECT body FROM lambda_layer WHERE account=? AND region=? AND name=? AND version<? AND deleted=0 "
            "ORDER BY version DESC LIMIT ?",
            (scope.account, scope.region, name, below, limit),
        )
        return [msgspec.msgpack.decode(row["body"], type=LayerVersion) for row in rows]

    def names(self, scope: Scope, after: str, limit: int) -> list[str]:
        """Layers behind a name that have a version."""
        rows = self.db.all(
            "SELECT DISTINCT name FROM lambda_layer WHERE account=? AND region=? AND name>? AND deleted=0 "
            "ORDER BY name LIMIT ?",
            (scope.account, scope.region, after, limit),
        )
        return [row["name"] for row in rows]

    def delete(self, tx: Tx, named: LayerName) -> None:
        """Hide a version."""
        tx.execute(
            "UPDATE lambda_layer SET deleted=1 WHERE account=? AND region=? AND name=? AND version=?",
            (named.scope.account, named.scope.region, named.name, named.version),
        )

    def usage(self, scope: Scope) -> int:
        """Bytes of all versions, zipped."""
        row = self.db.one(
            "SELECT coalesce(sum(code_size), 0) AS n FROM lambda_layer WHERE account=? AND region=? AND deleted=0",
            (scope.account, scope.region),
        )
        return int(row["n"]) if row else 0
