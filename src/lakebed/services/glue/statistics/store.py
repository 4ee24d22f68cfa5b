"""The tables of column statistics, of the runs that compute them and of their settings. All hang on a table's id, so they
go with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from lakebed.kernel.db import Database as Db
from lakebed.kernel.db import Tx
from lakebed.kernel.scope import Scope
from lakebed.services.glue.model import Table

_encode = msgspec.msgpack.encode
_decode = msgspec.msgpack.decode
_RUNS_KEPT = 100
_LATEST = 1 << 62
Body = dict[str, Any]


class StatisticsStore:
    """Rows of ``glue_column_statistics``."""

    def __init__(self, db: Db) -> None:
        self._db = db

    def find(self, table: Table, key: bytes, column: str) -> Body | None:
        """Of one column, of the table (no key) or a partition."""
        row = self._db.one(
            "SELECT body FROM glue_column_statistics WHERE table_id=? AND key=? AND column_name=?",
            (table.id, key, column),
        )
        return _decode(row["body"]) if row else None

    def put(self, tx: Tx, table: Table, key: bytes, body: Body) -> None:
        """Insert or replace."""
        tx.execute(
            "INSERT OR REPLACE INTO glue_column_statistics VALUES (?,?,?,?,?,?)",
            (table.scope.account, table.scope.region, table.id, key, body["ColumnName"].lower(), _encode(body)),
        )

    def delete(self, tx: Tx, table: Table, key: bytes, column: str) -> bool:
        """False where there is none."""
        done = tx.execute(
            "DELETE FROM glue_column_statistics WHERE table_id=? AND key=? AND column_name=?", (table.id, key, column)
        )
        return done.rowcount > 0


class RunStore:
    """Rows of ``glue_statistics_run``."""

    def __init__(self, db: Db) -> None:
        self._db = db

    def find(self, scope: Scope, run_id: str) -> Body | None:
        """By id."""
        row = self._db.one(
            "SELECT body FROM glue_statistics_run WHERE account=? AND region=? AND id=?",
            (scope.account, scope.region, run_id),
        )
        return _decode(row["body"]) if row else None

    def insert(self, tx: Tx, table: Table, body: Body) -> None:
        """A new run; a table keeps its newest hundred."""
        tx.execute(
            "INSERT INTO glue_statistics_run (account, region, table_id, id, body) VALUES (?,?,?,?,?)",
            (table.scope.account, table.scope.region, table.id, body["ColumnStatisticsTaskRunId"], _encode(body)),
        )
        tx.execute(
            "DELETE FROM glue_statistics_run WHERE number IN (SELECT number FROM glue_statistics_run WHERE table_id=? "
            "ORDER BY number DESC LIMIT -1 OFFSET ?)",
            (table.id, _RUNS_KEPT),
        )

    def update(self, tx: Tx, scope: Scope, body: Body) -> None:
        """Replace a run's body."""
        tx.execute(
            "UPDATE glue_statistics_run SET body=? WHERE account=? AND region=? AND id=?",
            (_encode(body), scope.account, scope.region, body["ColumnStatisticsTaskRunId"]),
        )

    def of_table(self, table: Table, before: int, limit: int) -> list[tuple[int, Body]]:
        """(number, run), newest first."""
        rows = self._db.all(
            "SELECT number, body FROM glue_statistics_run WHERE table_id=? AND number<? ORDER BY number DESC LIMIT ?",
            (table.id, before or _LATEST, limit),
        )
        return [(row["number"], _decode(row["body"])) for row in rows]

    def ids(self, scope: Scope, before: int, limit: int) -> list[tuple[int, str]]:
        """(number, id) of all runs, newest first."""
        rows = self._db.all(
            "SELECT number, id FROM glue_statistics_run WHERE account=? AND region=? AND number<? "
            "ORDER BY number DESC LIMIT ?",
            (scope.account, scope.region, before or _LATEST, limit),
        )
        return [(row["number"], row["id"]) for row in rows]


class SettingsStore:
    """Rows of ``glue_statistics_settings``."""

    def __init__(self, db: Db) -> None:
        self._db = db

    def find(self, table: Table) -> Body | None:
        """Those of a table."""
        row = self._db.one("SELECT body FROM glue_statistics_settings WHERE table_id=?", (table.id,))
        return _decode(row["body"]) if row else None

    def put(self, tx: Tx, table: Table, body: Body, due: float | None) -> None:
        """Insert or replace."""
        tx.execute(
            "INSERT OR REPLACE INTO glue_statistics_settings VALUES (?,?,?,?,?)",
            (table.scope.account, table.scope.region, table.id, due, _encode(body)),
        )

    def delete(self, tx: Tx, table: Table) -> bool:
        """False where there are none."""
        return tx.execute("DELETE FROM glue_statistics_settings WHERE table_id=?", (table.id,)).rowcount > 0

    def due(self, now: float, limit: int) -> Sequence[tuple[Scope, Body]]:
        """Settings whose next run should have begun, of tables that exist."""
        rows = self._db.all(
            "SELECT s.account, s.region, s.body FROM glue_statistics_settings s JOIN glue_table t ON t.id = s.table_id "
            "WHERE s.due <= ? ORDER BY s.due LIMIT ?",
            (now, limit),
        )
        return [(Scope(row["account"], row["region"]), _decode(row["body"])) for row in rows]

    def next_due(self) -> float | None:
        """When somebody looks again."""
        row = self._db.one(
            "SELECT min(s.due) AS due FROM glue_statistics_settings s JOIN glue_table t ON t.id = s.table_id"
        )
        return row["due"] if row else None
