"""When restored copies of archived versions come and go: one row each, moved from the first moment to the second."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lakebed.kernel.db import Database, Tx
from lakebed.services.s3.model.shapes import ObjectVersion


class Due(NamedTuple):
    """A version about whose copy something is due."""

    bucket: str
    key: bytes
    version_id: str
    due: float


class Restores:
    """The table."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def put(self, tx: Tx, version: ObjectVersion, due: float) -> None:
        """Look at this version again at ``due``."""
        tx.execute(
            "INSERT OR REPLACE INTO s3_restore (bucket, key, version_id, due) VALUES (?,?,?,?)",
            (version.bucket, version.key.encode(), version.version_id, due),
        )

    def remove(self, tx: Tx, row: Due) -> None:
        """Nothing is due any more."""
        tx.execute(
            "DELETE FROM s3_restore WHERE bucket=? AND key=? AND version_id=?", (row.bucket, row.key, row.version_id)
        )

    def due(self, now: float, limit: int) -> Sequence[Due]:
        """What is due."""
        rows = self._db.all(
            "SELECT bucket, key, version_id, due FROM s3_restore WHERE due<=? ORDER BY due LIMIT ?", (now, limit)
        )
        return [Due(*row) for row in rows]

    def next_due(self) -> float | None:
        """The soonest moment of all."""
        row = self._db.one("SELECT due FROM s3_restore ORDER BY due LIMIT 1")
        return row["due"] if row else None
