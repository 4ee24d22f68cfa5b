"""The tables of registered certificate authorities and of registration codes."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from lakebed.kernel.db import Database, Tx
from lakebed.kernel.scope import Scope


class RegisteredAuthority(NamedTuple):
    """A CA certificate a customer registered."""

    scope: Scope
    id: str
    pem: str
    status: str
    auto_registration: str
    mode: str
    created: float
    modified: float
    not_before: float
    not_after: float
    version: int

    @property
    def arn(self) -> str:
        """Its ARN."""
        return self.scope.arn("iot", f"cacert/{self.id}")


class AuthorityStore:
    """Rows; reads work inside and outside of a transaction."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def authority(self, scope: Scope, authority_id: str) -> RegisteredAuthority | None:
        """One CA."""
        row = self.db.one(
            "SELECT * FROM iot_authority WHERE account=? AND region=? AND id=?",
            (scope.account, scope.region, authority_id),
        )
        return _authority(row) if row else None

    def authorities(self, scope: Scope, after: str, limit: int, *, ascending: bool = True) -> list[RegisteredAuthority]:
        """CAs by id, from either end."""
        how = "id>?3 ORDER BY id" if ascending else "(?3='' OR id<?3) ORDER BY id DESC"
        rows = self.db.all(
            f"SELECT * FROM iot_authority WHERE account=?1 AND region=?2 AND {how} LIMIT ?4",  # noqa: S608 - two constants
            (scope.account, scope.region, after, limit),
        )
        return [_authority(row) for row in rows]

    def accounts_with(self, authority_id: str) -> set[str]:
        """Where a CA is registered already."""
        rows = self.db.all("SELECT account FROM iot_authority WHERE id=?", (authority_id,))
        return {row["account"] for row in rows}

    def registering(self) -> list[RegisteredAuthority]:
        """Active CAs of all accounts whose devices register themselves."""
        rows = self.db.all(
            "SELECT * FROM iot_authority WHERE status='ACTIVE' AND auto_registration='ENABLE' LIMIT 1000"
        )
        return [_authority(row) for row in rows]

    def pems(self) -> list[str]:
        """All CA certificates: what TLS must be told to trust at boot."""
        return [row["pem"] for row in self.db.all("SELECT pem FROM iot_authority")]

    def put(self, tx: Tx, one: RegisteredAuthority) -> None:
        """Insert or replace."""
        tx.execute(
            "INSERT OR REPLACE INTO iot_authority VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
            (one.scope.account, one.scope.region, *one[1:]),
        )

    def delete(self, tx: Tx, scope: Scope, authority_id: str) -> None:
        """Delete."""
        tx.execute(
            "DELETE FROM iot_authority WHERE account=? AND region=? AND id=?",
            (scope.account, scope.region, authority_id),
        )

    def code(self, scope: Scope) -> str | None:
        """The registration code, where one was made."""
        row = self.db.one(
            "SELECT code FROM iot_registration_code WHERE account=? AND region=?", (scope.account, scope.region)
        )
        return None if row is None else str(row["code"])

    def put_code(self, tx: Tx, scope: Scope, code: str | None) -> None:
        """Keep a code, or forget it."""
        tx.execute("DELETE FROM iot_registration_code WHERE account=? AND region=?", (scope.account, scope.region))
        if code is not None:
            tx.execute("INSERT INTO iot_registration_code VALUES (?,?,?)", (scope.account, scope.region, code))


def _authority(row: sqlite3.Row) -> RegisteredAuthority:
    return RegisteredAuthority(Scope(row["account"], row["region"]), *tuple(row)[2:])
