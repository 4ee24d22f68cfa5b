"""The table of role aliases."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from lakebed.kernel.db import Database, Tx
from lakebed.kernel.scope import Scope


class RoleAlias(NamedTuple):
    """A name that devices know instead of a role's ARN."""

    name: str
    role_arn: str
    seconds: int
    created: float
    modified: float


class AliasStore:
    """Rows of role aliases."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def alias(self, scope: Scope, name: str) -> RoleAlias | None:
        """One alias."""
        row = self.db.one(
            "SELECT * FROM iot_role_alias WHERE account=? AND region=? AND name=?", (scope.account, scope.region, name)
        )
        return _alias(row) if row else None

    def aliases(self, scope: Scope, after: str, limit: int, *, ascending: bool = True) -> list[RoleAlias]:
        """Aliases by name, from either end."""
        how = "name>? ORDER BY name" if ascending else "(?='' OR name<?) ORDER BY name DESC"
        places = (after,) if ascending else (after, after)
        rows = self.db.all(
            f"SELECT * FROM iot_role_alias WHERE account=? AND region=? AND {how} LIMIT ?",  # noqa: S608 - two constants
            (scope.account, scope.region, *places, limit),
        )
        return [_alias(row) for row in rows]

    def put(self, tx: Tx, scope: Scope, alias: RoleAlias) -> None:
        """Insert or replace."""
        tx.execute(
            "INSERT OR REPLACE INTO iot_role_alias VALUES (?,?,?,?,?,?,?)", (scope.account, scope.region, *alias)
        )

    def delete(self, tx: Tx, scope: Scope, name: str) -> None:
        """Delete."""
        tx.execute(
            "DELETE FROM iot_role_alias WHERE account=? AND region=? AND name=?", (scope.account, scope.region, name)
        )


def _alias(row: sqlite3.Row) -> RoleAlias:
    return RoleAlias(*tuple(row)[2:])
