"""An account's commitment to a minimum of on-demand throughput, which unlocks warm throughput.

https://docs.aws.amazon.com/kinesis/latest/APIReference/API_UpdateAccountSettings.html: it lasts 24 hours at least; ended
earlier, it goes on until then (``ENABLED_UNTIL_EARLIEST_ALLOWED_END``). Nothing is billed here, only the states are kept.
"""

from __future__ import annotations

from dataclasses import dataclass

from lakebed.kernel.db import Database, Tx
from lakebed.kernel.scope import Scope

COMMITMENT_SECONDS = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Commitment:
    """When it began, whether its end was asked for, and when it ended."""

    started_at: float
    ending: bool = False
    ended_at: float | None = None

    @property
    def earliest_end(self) -> float:
        """It can not end before."""
        return self.started_at + COMMITMENT_SECONDS

    def status(self, now: float) -> str:
        """AWS's word for it."""
        if self.ended_at is not None and self.ended_at <= now:
            return "DISABLED"
        return "ENABLED_UNTIL_EARLIEST_ALLOWED_END" if self.ending else "ENABLED"


class CommitmentStore:
    """One row an account and region."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def find(self, scope: Scope) -> Commitment | None:
        """The account's commitment, also one that ended; None where there never was one."""
        row = self._db.one(
            "SELECT started_at, ending, ended_at FROM kinesis_commitment WHERE account=? AND region=?",
            (scope.account, scope.region),
        )
        return None if row is None else Commitment(row["started_at"], bool(row["ending"]), row["ended_at"])

    def is_on(self, scope: Scope, now: float) -> bool:
        """Whether warm throughput may be asked for."""
        found = self.find(scope)
        return found is not None and found.status(now) != "DISABLED"

    def keep(self, tx: Tx, scope: Scope, commitment: Commitment) -> None:
        """Replace it."""
        tx.execute(
            "INSERT OR REPLACE INTO kinesis_commitment VALUES (?,?,?,?,?)",
            (scope.account, scope.region, commitment.started_at, int(commitment.ending), commitment.ended_at),
        )
