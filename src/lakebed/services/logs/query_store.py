"""The tables of Insights queries and saved queries."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from lakebed.kernel.db import Database, Tx
from lakebed.kernel.scope import Scope

_END = "\U0010ffff"
_QUERY = "account, region, id, created, status, body"
LIVE = ("Scheduled", "Running")


class StoredQuery(NamedTuple):
    """A query; ``created`` in epoch milliseconds."""

    scope: Scope
    id: str
    created: int
    status: str
    body: dict[str, Any]


class QueryStore:
    """Rows of ``log_query`` and ``log_query_definition``."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def insert(self, tx: Tx, scope: Scope, query_id: str, created: int, body: dict[str, Any]) -> None:
        """A query that waits for its turn."""
        tx.execute(
            "INSERT INTO log_query VALUES (?,?,?,?,'Scheduled',?,NULL)",
            (scope.account, scope.region, query_id, created, msgspec.msgpack.encode(body)),
        )

    def find(self, scope: Scope, query_id: str) -> StoredQuery | None:
        """One query."""
        row = self._db.one(
            f"SELECT {_QUERY} FROM log_query WHERE account=? AND region=? AND id=?",  # noqa: S608 - constant columns
            (scope.account, scope.region, query_id),
        )
        return _query(row) if row else None

    def results(self, scope: Scope, query_id: str) -> list[Any]:
        """Rows of results, each a list of (field, value)."""
        row = self._db.one(
            "SELECT results FROM log_query WHERE account=? AND region=? AND id=?",
            (scope.account, scope.region, query_id),
        )
        return [] if row is None or row["results"] is None else msgspec.msgpack.decode(row["results"])

    def before(self, scope: Scope, before: tuple[int, str], limit: int, status: str | None) -> list[StoredQuery]:
        """The newest first."""
        rows = self._db.all(
            f"SELECT {_QUERY} FROM log_query WHERE account=? AND region=? AND (created, id)<(?,?) AND "  # noqa: S608
            "(? IS NULL OR status=?) ORDER BY created DESC, id DESC LIMIT ?",
            (scope.account, scope.region, *before, status, status, limit),
        )
        return [_query(row) for row in rows]

    def live(self, scope: Scope) -> int:
        """How many wait or run."""
        row = self._db.one(
            "SELECT count(*) AS n FROM log_query WHERE account=? AND region=? AND status IN ('Scheduled', 'Running')",
            (scope.account, scope.region),
        )
        return int(row["n"]) if row else 0

    def claim(self, tx: Tx) -> StoredQuery | None:
        """The oldest that waits, now running."""
        row = tx.one(f"SELECT {_QUERY} FROM log_query WHERE status='Scheduled' ORDER BY created, id LIMIT 1")  # noqa: S608
        if row is None:
            return None
        tx.execute("UPDATE log_query SET status='Running' WHERE id=?", (row["id"],))
        return _query(row)

    def release(self, tx: Tx) -> None:
        """At a start: what ran when the house died waits again."""
        tx.execute("UPDATE log_query SET status='Scheduled' WHERE status='Running'")

    def end(self, tx: Tx, query: StoredQuery, status: str, body: dict[str, Any], results: list[Any]) -> None:
        """Its outcome; one that was cancelled meanwhile stays so."""
        tx.execute(
            "UPDATE log_query SET status=?, body=?, results=? WHERE account=? AND region=? AND id=? AND "
            "status IN ('Scheduled', 'Running')",
            (status, msgspec.msgpack.encode(body), msgspec.msgpack.encode(results), query.scope.account,
             query.scope.region, query.id),
        )  # fmt: skip

    def forget(self, tx: Tx, before: int, limit: int) -> int:
        """Remove old ones; how many went."""
        gone = tx.execute(
            "DELETE FROM log_query WHERE id IN (SELECT id FROM log_query WHERE created<? LIMIT ?)", (before, limit)
        )
        return gone.rowcount

    def put_definition(self, tx: Tx, scope: Scope, definition: dict[str, Any]) -> None:
        """A new one, or a new body."""
        tx.execute(
            "INSERT OR REPLACE INTO log_query_definition VALUES (?,?,?,?,?)",
            (scope.account, scope.region, definition["queryDefinitionId"], definition["name"],
             msgspec.msgpack.encode(definition)),
        )  # fmt: skip

    def definitions(self, scope: Scope, prefix: str) -> list[dict[str, Any]]:
        """By name; there are at most 1,000."""
        rows = self._db.all(
            "SELECT body FROM log_query_definition WHERE account=? AND region=? AND name>=? AND name<? "
            "ORDER BY name, id LIMIT 1001",
            (scope.account, scope.region, prefix, prefix + _END),
        )
        return [msgspec.msgpack.decode(row["body"]) for row in rows]

    def delete_definition(self, tx: Tx, scope: Scope, definition_id: str) -> bool:
        """Whether there was one."""
        gone = tx.execute(
            "DELETE FROM log_query_definition WHERE account=? AND region=? AND id=?",
            (scope.account, scope.region, definition_id),
        )
        return gone.rowcount > 0


def _query(row: Any) -> StoredQuery:
    body = msgspec.msgpack.decode(row["body"])
    return StoredQuery(Scope(row["account"], row["region"]), row["id"], row["created"], row["status"], body)
