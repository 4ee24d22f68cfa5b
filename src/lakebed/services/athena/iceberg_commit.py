"""Committing a statement's change: whole or not at all, also when the server is killed in between.

The keys are remembered before anything is placed; the swap of the catalogue's pointer and the statement's outcome are one
transaction. So after a crash either the outcome is there, and the statement has succeeded, or it is not, and what was placed
is taken away before the statement runs again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lakebed.kernel.errors import AwsError
from lakebed.lake.tables import commit
from lakebed.ports.sql import SqlFailure
from lakebed.ports.tables import Staged

if TYPE_CHECKING:
    from lakebed.services.athena.queries import Work

ATTEMPTS = 5


class CommitLostError(Exception):
    """Somebody else committed first: nothing of ours is left."""


async def committed(
    work: Work, names: tuple[str, str], staged: Staged, known: Mapping[str, Any] | None, done: dict[str, Any]
) -> dict[str, Any]:
    """Place the files, make them the table's state over ``known`` (None: a new table); the statement's outcome."""
    database, name = names
    keys = commit.keys_of(staged)
    work.remember({"iceberg_placed": keys})
    await commit.place(work.p.objects, work.principal, staged)
    given = commit.table_input(name, staged, known)
    try:
        with work.k.db.tx():
            if known is None:
                work.p.catalog.create_table(work.principal, work.scope, database, given)
            else:
                version = known.get("VersionId")
                work.p.catalog.update_table(work.principal, work.scope, database, given, version=version)
            work.remember({"iceberg_done": done, "iceberg_placed": None})
    except AwsError as refused:
        await commit.remove(work.p.objects, work.principal, keys)
        if refused.error_code == "ConcurrentModificationException":
            raise CommitLostError from None
        if refused.error_code == "AlreadyExistsException":
            raise SqlFailure("TABLE_ALREADY_EXISTS", f"line 1:1: Table '{database}.{name}' already exists") from None
        raise
    except SqlFailure:
        await commit.remove(work.p.objects, work.principal, keys)
        raise
    return done


def lost(database: str, name: str) -> SqlFailure:
    """Every attempt lost."""
    told = f"Failed to commit Iceberg update to table: {database}.{name}"
    return SqlFailure("ICEBERG_COMMIT_ERROR", told, retryable=True)


async def undo(work: Work) -> None:
    """Take away what a run that was cut off had placed."""
    if keys := work.body.get("iceberg_placed"):
        await commit.remove(work.p.objects, work.principal, keys)
