"""The only SQL of IAM. Entities, policies and keys by scope; keys and sessions also by their id, which names an account.

IAM is global: callers hand in a scope ``at_global``. Reading goes through ``Database`` directly; writing takes a ``Tx``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import msgspec

from lakebed.kernel.db import Database, Tx
from lakebed.kernel.scope import Scope
from lakebed.services.iam.model import Entity, Key, Policy, Version

_entity = msgspec.json.Decoder(Entity)
_policy = msgspec.json.Decoder(Policy)
_encode = msgspec.json.encode


class Entities:
    """Users and roles with what belongs to them."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def find(self, scope: Scope, kind: str, name: str) -> Entity | None:
        """By name, without regard to case."""
        row = self._db.one(
            "SELECT body FROM iam_entity WHERE account=? AND region=? AND kind=? AND key=?",
            (scope.account, scope.region, kind, name.lower()),
        )
        return None if row is None else _entity.decode(row["body"])

    def by_id(self, scope: Scope, entity_id: str) -> Entity | None:
        """By unique id."""
        row = self._db.one(
            "SELECT body FROM iam_entity WHERE account=? AND region=? AND id=?",
            (scope.account, scope.region, entity_id),
        )
        return None if row is None else _entity.decode(row["body"])

    def all(self, scope: Scope, kind: str, path_prefix: str = "/") -> list[Entity]:
        """Every one under a path, by name (bounded by the account's quota)."""
        rows = self._db.all(
            "SELECT body FROM iam_entity WHERE account=? AND region=? AND kind=? AND substr(path,1,?)=? ORDER BY key",
            (scope.account, scope.region, kind, len(path_prefix), path_prefix),
        )
        return [_entity.decode(row["body"]) for row in rows]

    def put(self, tx: Tx, scope: Scope, entity: Entity) -> None:
        """Insert or replace."""
        tx.execute(
            "INSERT OR REPLACE INTO iam_entity VALUES (?,?,?,?,?,?,?)",
            (scope.account, scope.region, entity.kind, entity.name.lower(), entity.path, entity.id, _encode(entity)),
        )

    def delete(self, tx: Tx, scope: Scope, entity: Entity) -> None:
        """Remove the entity's own row."""
        tx.execute(
            "DELETE FROM iam_entity WHERE account=? AND region=? AND kind=? AND key=?",
            (scope.account, scope.region, entity.kind, entity.name.lower()),
        )

    def inline(self, scope: Scope, owner: str) -> dict[str, str]:
        """Inline policies by name."""
        rows = self._db.all(
            "SELECT name, document FROM iam_inline WHERE account=? AND region=? AND owner=? ORDER BY name",
            (scope.account, scope.region, owner),
        )
        return {row["name"]: row["document"] for row in rows}

    def put_inline(self, tx: Tx, scope: Scope, owner: str, name: str, document: str) -> None:
        """Insert or replace an inline policy."""
        tx.execute(
            "INSERT OR REPLACE INTO iam_inline VALUES (?,?,?,?,?)",
            (scope.account, scope.region, owner, name, document),
        )

    def delete_inline(self, tx: Tx, scope: Scope, owner: str, name: str) -> bool:
        """Remove an inline policy; False where there was none."""
        deleted = tx.execute(
            "DELETE FROM iam_inline WHERE account=? AND region=? AND owner=? AND name=?",
            (scope.account, scope.region, owner, name),
        )
        return deleted.rowcount > 0

    def attached(self, scope: Scope, owner: str) -> list[str]:
        """ARNs of attached managed policies."""
        rows = self._db.all(
            "SELECT policy_arn FROM iam_attached WHERE account=? AND region=? AND owner=? ORDER BY policy_arn",
            (scope.account, scope.region, owner),
        )
        return [row["policy_arn"] for row in rows]

    def attach(self, tx: Tx, scope: Scope, owner: str, policy_arn: str) -> None:
        """Attach; attaching twice is once."""
        tx.execute(
            "INSERT OR IGNORE INTO iam_attached VALUES (?,?,?,?)", (scope.account, scope.region, owner, policy_arn)
        )

    def detach(self, tx: Tx, scope: Scope, owner: str, policy_arn: str) -> bool:
        """Detach; False where it was not attached."""
        deleted = tx.execute(
            "DELETE FROM iam_attached WHERE account=? AND region=? AND owner=? AND policy_arn=?",
            (scope.account, scope.region, owner, policy_arn),
        )
        return deleted.rowcount > 0

    def holders(self, scope: Scope, policy_arn: str) -> list[Entity]:
        """Users and roles a managed policy is attached to, by name."""
        rows = self._db.all(
            "SELECT e.body FROM iam_attached a JOIN iam_entity e"
            " ON e.account=a.account AND e.region=a.region AND e.id=a.owner"
            " WHERE a.account=? AND a.region=? AND a.policy_arn=? ORDER BY e.kind, e.key",
            (scope.account, scope.region, policy_arn),
        )
        return [_entity.decode(row["body"]) for row in rows]

    def count(self, scope: Scope, kind: str) -> int:
        """How many the account has."""
        row = self._db.one(
            "SELECT count(*) AS n FROM iam_entity WHERE account=? AND region=? AND kind=?",
            (scope.account, scope.region, kind),
        )
        return int(row["n"]) if row else 0


class Policies:
    """Managed policies of customers, with their versions."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def find(self, arn: str) -> Policy | None:
        """By ARN, which names its account."""
        row = self._db.one("SELECT body FROM iam_policy WHERE arn=?", (arn,))
        return None if row is None else _policy.decode(row["body"])

    def exists(self, scope: Scope, name: str) -> bool:
        """Whether the account has a policy of this name, under any path."""
        return (
            self._db.one(
                "SELECT 1 FROM iam_policy WHERE account=? AND region=? AND key=?",
                (scope.account, scope.region, name.lower()),
            )
            is not None
        )

    def all(self, scope: Scope, path_prefix: str = "/") -> list[Policy]:
        """Every policy under a path, by name (bounded by the account's quota)."""
        rows = self._db.all(
            "SELECT body FROM iam_policy WHERE account=? AND region=? AND substr(path,1,?)=? ORDER BY key",
            (scope.account, scope.region, len(path_prefix), path_prefix),
        )
        return [_policy.decode(row["body"]) for row in rows]

    def put(self, tx: Tx, scope: Scope, policy: Policy) -> None:
        """Insert or replace."""
        tx.execute(
            "INSERT OR REPLACE INTO iam_policy VALUES (?,?,?,?,?,?)",
            (scope.account, scope.region, policy.name.lower(), policy.arn, policy.path, _encode(policy)),
        )

    def delete(self, tx: Tx, scope: Scope, policy: Policy) -> None:
        """Remove with all versions."""
        where = (scope.account, scope.region, policy.arn)
        tx.execute("DELETE FROM iam_policy WHERE account=? AND region=? AND arn=?", where)
        tx.execute("DELETE FROM iam_policy_version WHERE account=? AND region=? AND arn=?", where)

    def versions(self, scope: Scope, arn: str) -> list[Version]:
        """Newest first."""
        rows = self._db.all(
            "SELECT version, created, document FROM iam_policy_version"
            " WHERE account=? AND region=? AND arn=? ORDER BY version DESC",
            (scope.account, scope.region, arn),
        )
        return [Version(row["version"], row["created"], row["document"]) for row in rows]

    def put_version(self, tx: Tx, scope: Scope, arn: str, version: Version) -> None:
        """Insert a version."""
        tx.execute(
            "INSERT INTO iam_policy_version VALUES (?,?,?,?,?,?)",
            (scope.account, scope.region, arn, version.number, version.created, version.document),
        )

    def delete_version(self, tx: Tx, scope: Scope, arn: str, number: int) -> None:
        """Remove a version."""
        tx.execute(
            "DELETE FROM iam_policy_version WHERE account=? AND region=? AND arn=? AND version=?",
            (scope.account, scope.region, arn, number),
        )


class Keys:
    """Long-lived access keys and temporary sessions. Ids are unique over all accounts."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def find(self, key_id: str) -> Key | None:
        """By id."""
        row = self._db.one("SELECT * FROM iam_access_key WHERE id=?", (key_id,))
        return None if row is None else _key(row)

    def of(self, scope: Scope, owner: str) -> list[Key]:
        """Keys of a user, or of root where ``owner`` is the account."""
        rows = self._db.all(
            "SELECT * FROM iam_access_key WHERE account=? AND region=? AND owner=? ORDER BY id",
            (scope.account, scope.region, owner),
        )
        return [_key(row) for row in rows]

    def add(self, tx: Tx, scope: Scope, key: Key) -> None:
        """Insert a key."""
        tx.execute(
            "INSERT INTO iam_access_key (account,region,id,owner,status,created,sealed) VALUES (?,?,?,?,?,?,?)",
            (scope.account, scope.region, key.id, key.owner, key.status, key.created, key.sealed),
        )

    def set_status(self, tx: Tx, scope: Scope, key_id: str, status: str) -> None:
        """Active or Inactive."""
        tx.execute(
            "UPDATE iam_access_key SET status=? WHERE account=? AND region=? AND id=?",
            (status, scope.account, scope.region, key_id),
        )

    def delete(self, tx: Tx, scope: Scope, key_id: str) -> None:
        """Remove a key."""
        tx.execute(
            "DELETE FROM iam_access_key WHERE account=? AND region=? AND id=?", (scope.account, scope.region, key_id)
        )

    def note_uses(self, tx: Tx, uses: Sequence[tuple[float, str, str, str]]) -> None:
        """(when, service, region, id) of the last use of each key."""
        tx.executemany("UPDATE iam_access_key SET last_used=?, last_service=?, last_region=? WHERE id=?", uses)

    def session(self, key_id: str) -> sqlite3.Row | None:
        """The row of temporary credentials."""
        return self._db.one("SELECT sealed, expires_at, principal FROM iam_session WHERE id=?", (key_id,))

    def add_session(self, tx: Tx, scope: Scope, key_id: str, row: tuple[bytes, float, bytes]) -> None:
        """Insert temporary credentials: (sealed, expires at, principal)."""
        tx.execute("INSERT INTO iam_session VALUES (?,?,?,?,?,?)", (scope.account, scope.region, key_id, *row))

    def delete_sessions_before(self, tx: Tx, when: float, limit: int) -> int:
        """Remove sessions that expired before ``when``; returns how many went."""
        return tx.execute(
            "DELETE FROM iam_session WHERE id IN (SELECT id FROM iam_session WHERE expires_at<? LIMIT ?)", (when, limit)
        ).rowcount


def _key(row: sqlite3.Row) -> Key:
    return Key(
        id=row["id"],
        account=row["account"],
        owner=row["owner"],
        status=row["status"],
        created=row["created"],
        sealed=row["sealed"],
        last_used=row["last_used"],
        last_service=row["last_service"],
        last_region=row["last_region"],
    )
