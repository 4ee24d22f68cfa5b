"""The tables of jobs and executions."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import msgspec

from lakebed.kernel.db import Database, Tx
from lakebed.kernel.scope import Scope
from lakebed.services.iot.jobs.model import Execution, Job

_encode, _decode = msgspec.msgpack.encode, msgspec.msgpack.decode
_AT = "account=? AND region=?"


class JobStore:
    """Rows; reads work inside and outside of a transaction."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def job(self, scope: Scope, job_id: str) -> Job | None:
        """One job."""
        row = self.db.one(f"SELECT * FROM iot_job WHERE {_AT} AND id=?", (scope.account, scope.region, job_id))  # noqa: S608 - a constant
        return _job(row) if row else None

    def jobs(self, scope: Scope, after: str, limit: int) -> list[Job]:
        """Jobs by id."""
        rows = self.db.all(
            f"SELECT * FROM iot_job WHERE {_AT} AND id>? ORDER BY id LIMIT ?",  # noqa: S608 - a constant
            (scope.account, scope.region, after, limit),
        )
        return [_job(row) for row in rows]

    def running(self) -> list[Job]:
        """Jobs of all accounts that go on."""
        return [_job(row) for row in self.db.all("SELECT * FROM iot_job WHERE status='IN_PROGRESS' LIMIT 10000")]

    def put(self, tx: Tx, job: Job) -> None:
        """Insert or replace."""
        tx.execute(
            "INSERT OR REPLACE INTO iot_job VALUES (?,?,?,?,?,?,?,?,?,?,?)",
            (
                job.scope.account, job.scope.region, job.id, _encode(job.config), job.status, int(job.is_forced),
                job.reason, job.comment, job.created, job.modified, job.completed,
            ),
        )  # fmt: skip

    def delete(self, tx: Tx, scope: Scope, job_id: str) -> None:
        """Delete with its executions."""
        at = (scope.account, scope.region, job_id)
        tx.execute(f"DELETE FROM iot_job WHERE {_AT} AND id=?", at)  # noqa: S608 - a constant
        tx.execute(f"DELETE FROM iot_job_execution WHERE {_AT} AND job=?", at)  # noqa: S608 - a constant

    # Executions

    def execution(self, scope: Scope, job_id: str, thing: str, number: int | None = None) -> Execution | None:
        """One execution, or the latest of a job on a thing."""
        row = self.db.one(
            f"SELECT * FROM iot_job_execution WHERE {_AT} AND job=? AND thing=? AND (? IS NULL OR number=?)"  # noqa: S608 - a constant
            " AND status<>'PENDING' ORDER BY number DESC LIMIT 1",
            (scope.account, scope.region, job_id, thing, number, number),
        )
        return _execution(row) if row else None

    def put_execution(self, tx: Tx, one: Execution) -> None:
        """Insert or replace."""
        tx.execute(
            "INSERT OR REPLACE INTO iot_job_execution VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
            (
                one.scope.account, one.scope.region, one.job, one.thing, one.number, one.status, _encode(one.details),
                one.queued, one.started, one.modified, one.version, one.attempt, int(one.is_forced),
                one.total_deadline, one.step_deadline,
            ),
        )  # fmt: skip

    def delete_execution(self, tx: Tx, one: Execution) -> None:
        """Delete."""
        tx.execute(
            f"DELETE FROM iot_job_execution WHERE {_AT} AND job=? AND thing=? AND number=?",  # noqa: S608 - a constant
            (one.scope.account, one.scope.region, one.job, one.thing, one.number),
        )

    def has_execution(self, scope: Scope, job_id: str, thing: str) -> bool:
        """Whether a thing was ever a target of the job."""
        return (
            self.db.one(
                f"SELECT 1 FROM iot_job_execution WHERE {_AT} AND job=? AND thing=? LIMIT 1",  # noqa: S608 - a constant
                (scope.account, scope.region, job_id, thing),
            )
            is not None
        )

    def executions(
        self, scope: Scope, job_id: str, statuses: Sequence[str], after: tuple[str, int] = ("", 0), limit: int = 100_000
    ) -> list[Execution]:
        """Executions of a job in some states, by thing."""
        marks = ",".join("?" * len(statuses))
        rows = self.db.all(
            f"SELECT * FROM iot_job_execution WHERE {_AT} AND job=? AND status IN ({marks})"  # noqa: S608 - marks
            " AND (thing, number) > (?,?) ORDER BY thing, number LIMIT ?",
            (scope.account, scope.region, job_id, *statuses, *after, limit),
        )
        return [_execution(row) for row in rows]

    def on_thing(self, scope: Scope, thing: str, statuses: Sequence[str], limit: int = 1000) -> list[Execution]:
        """Executions on a thing in some states: what is worked on first, then what was queued first."""
        marks = ",".join("?" * len(statuses))
        rows = self.db.all(
            f"SELECT * FROM iot_job_execution WHERE {_AT} AND thing=? AND status IN ({marks})"  # noqa: S608 - marks
            " ORDER BY status='IN_PROGRESS' DESC, coalesce(started, queued), queued, job LIMIT ?",
            (scope.account, scope.region, thing, *statuses, limit),
        )
        return [_execution(row) for row in rows]

    def counts(self, scope: Scope, job_id: str) -> dict[str, int]:
        """Things of a job by the state of their latest execution."""
        rows = self.db.all(
            f"SELECT status, count(*) AS n FROM (SELECT status, max(number) FROM iot_job_execution WHERE {_AT}"  # noqa: S608 - a constant
            " AND job=? GROUP BY thing) GROUP BY status",
            (scope.account, scope.region, job_id),
        )
        return {row["status"]: row["n"] for row in rows}

    def told_since(self, scope: Scope, job_id: str, since: float) -> int:
        """How many things were told of the job since a moment."""
        row = self.db.one(
            f"SELECT count(*) AS n FROM iot_job_execution WHERE {_AT} AND job=? AND status<>'PENDING' AND queued>?",  # noqa: S608 - a constant
            (scope.account, scope.region, job_id, since),
        )
        return 0 if row is None else int(row["n"])

    def due(self, now: float, limit: int) -> list[Execution]:
        """Executions whose time is over."""
        rows = self.db.all(
            "SELECT * FROM iot_job_execution WHERE status='IN_PROGRESS'"
            " AND min(coalesce(total_deadline, 1e18), coalesce(step_deadline, 1e18)) <= ? LIMIT ?",
            (now, limit),
        )
        return [_execution(row) for row in rows]

    def next_deadline(self) -> float | None:
        """When the next execution times out."""
        row = self.db.one(
            "SELECT min(min(coalesce(total_deadline, 1e18), coalesce(step_deadline, 1e18))) AS due"
            " FROM iot_job_execution WHERE status='IN_PROGRESS'"
        )
        due = None if row is None else row["due"]
        return None if due is None or due >= 1e18 else float(due)


def _job(row: sqlite3.Row) -> Job:
    job_id, config, status, is_forced, *rest = tuple(row)[2:]
    return Job(Scope(row["account"], row["region"]), job_id, _decode(config), status, bool(is_forced), *rest)


def _execution(row: sqlite3.Row) -> Execution:
    job, thing, number, status, details, queued, started, modified, version, attempt, forced, total, step = tuple(row)[
        2:
    ]
    return Execution(
        Scope(row["account"], row["region"]), job, thing, number, status, _decode(details), queued, started, modified,
        version, attempt, bool(forced), total, step,
    )  # fmt: skip
