"""The table of asynchronous invocations that have not come to their end."""

from __future__ import annotations

import msgspec

from lakebed.kernel.db import Database, Tx
from lakebed.kernel.scope import Scope


class Later(msgspec.Struct, frozen=True):
    """A queued invocation. ``attempts`` counts runs that failed, ``throttles`` those that could not begin."""

    scope: Scope
    id: str
    function: str
    qualifier: str
    queued_at: float
    due: float
    attempts: int
    throttles: int
    payload: bytes
    client_context: str
    trace: str = ""


class QueueStore:
    """Rows by due time; ids are request ids."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def add(self, tx: Tx, later: Later) -> None:
        """Queue."""
        tx.execute(
            "INSERT INTO lambda_later (account, region, id, function, qualifier, queued_at, due, payload, client_context, "
            "trace) VALUES (?,?,?,?,?,?,?,?,?,?)",
            (
                later.scope.account,
                later.scope.region,
                later.id,
                later.function,
                later.qualifier,
                later.queued_at,
                later.due,
                later.payload,
                later.client_context,
                later.trace,
            ),
        )

    def waiting(self, scope: Scope) -> int:
        """Queued or running invocations of an account and region."""
        row = self.db.one(
            "SELECT count(*) AS n FROM lambda_later WHERE account=? AND region=?", (scope.account, scope.region)
        )
        return int(row["n"]) if row else 0

    def due_heads(self, limit: int) -> list[tuple[str, str, str, float]]:
        """(account, region, id, due) of the invocations due first, of all accounts."""
        rows = self.db.all("SELECT account, region, id, due FROM lambda_later ORDER BY due, id LIMIT ?", (limit,))
        return [(row["account"], row["region"], row["id"], row["due"]) for row in rows]

    def get(self, scope: Scope, later_id: str) -> Later | None:
        """One invocation with its payload."""
        row = self.db.one(
            "SELECT * FROM lambda_later WHERE account=? AND region=? AND id=?", (scope.account, scope.region, later_id)
        )
        if row is None:
            return None
        return Later(
            scope,
            row["id"],
            row["function"],
            row["qualifier"],
            row["queued_at"],
            row["due"],
            row["attempts"],
            row["throttles"],
            row["payload"],
            row["client_context"],
            row["trace"],
        )

    def postpone(self, tx: Tx, later: Later, due: float, attempts: int, throttles: int) -> None:
        """Try again at ``due``."""
        tx.execute(
            "UPDATE lambda_later SET due=?, attempts=?, throttles=? WHERE account=? AND region=? AND id=?",
            (due, attempts, throttles, later.scope.account, later.scope.region, later.id),
        )

    def remove(self, tx: Tx, later: Later) -> None:
        """It came to its end."""
        tx.execute(
            "DELETE FROM lambda_later WHERE account=? AND region=? AND id=?",
            (later.scope.account, later.scope.region, later.id),
        )
