"""The tables of KMS: keys, their sealed material, aliases and grants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from lakebed.kernel.db import Database, Tx
from lakebed.kernel.scope import Scope
from lakebed.services.kms.model import Alias, Grant, Key, Material

_encode = msgspec.msgpack.encode
_key = msgspec.msgpack.Decoder(Key).decode
_grant = msgspec.msgpack.Decoder(Grant).decode


def _place(scope: Scope) -> tuple[str, str]:
    return scope.account, scope.region


class KeyStore:
    """Rows of ``kms_key`` and ``kms_material``."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def find(self, scope: Scope, key_id: str) -> Key | None:
        """One key."""
        row = self._db.one("SELECT body FROM kms_key WHERE account=? AND region=? AND id=?", (*_place(scope), key_id))
        return _key(row["body"]) if row else None

    def anywhere(self, region: str, key_id: str) -> Key | None:
        """The key of an id in a region, whoever owns it."""
        row = self._db.one("SELECT body FROM kms_key WHERE region=? AND id=?", (region, key_id))
        return _key(row["body"]) if row else None

    def after(self, scope: Scope, after: str, limit: int) -> list[Key]:
        """Keys by id."""
        rows = self._db.all(
            "SELECT body FROM kms_key WHERE account=? AND region=? AND id>? ORDER BY id LIMIT ?",
            (*_place(scope), after, limit),
        )
        return [_key(row["body"]) for row in rows]

    def due(self, now: float, limit: int) -> list[Key]:
        """Keys that something is to happen to."""
        rows = self._db.all("SELECT body FROM kms_key WHERE due<=? ORDER BY due LIMIT ?", (now, limit))
        return [_key(row["body"]) for row in rows]

    def next_due(self) -> float | None:
        """When something happens next."""
        row = self._db.one("SELECT min(due) AS at FROM kms_key WHERE due IS NOT NULL")
        return row["at"] if row else None

    def put(self, tx: Tx, key: Key) -> None:
        """Insert or replace."""
        tx.execute(
            "INSERT OR REPLACE INTO kms_key VALUES (?,?,?,?,?)", (*_place(key.scope), key.id, key.due, _encode(key))
        )

    def delete(self, tx: Tx, key: Key) -> None:
        """A key with its material, aliases and grants: what it encrypted is lost."""
        place = (*_place(key.scope), key.id)
        tx.execute("DELETE FROM kms_key WHERE account=? AND region=? AND id=?", place)
        for table in ("kms_material", "kms_alias", "kms_grant"):
            tx.execute(f"DELETE FROM {table} WHERE account=? AND region=? AND key=?", place)  # noqa: S608 - constants

    def add_material(self, tx: Tx, key: Key, material: Material) -> None:
        """A version of the key's material."""
        tx.execute(
            "INSERT INTO kms_material VALUES (?,?,?,?,?,?,?,?)",
            (
                *_place(key.scope), key.id, material.version, material.id, material.made, material.cause,
                material.sealed,
            ),
        )  # fmt: skip

    def material(self, key: Key, version: int) -> Material | None:
        """One version."""
        row = self._db.one(
            "SELECT version, id, made, cause, sealed FROM kms_material "
            "WHERE account=? AND region=? AND key=? AND version=?",
            (*_place(key.scope), key.id, version),
        )
        return Material(*row) if row else None

    def materials(self, key: Key, after: int, limit: int) -> list[Material]:
        """Versions behind ``after``, oldest first."""
        rows = self._db.all(
            "SELECT version, id, made, cause, sealed FROM kms_material "
            "WHERE account=? AND region=? AND key=? AND version>? ORDER BY version LIMIT ?",
            (*_place(key.scope), key.id, after, limit),
        )
        return [Material(*row) for row in rows]


class AliasStore:
    """Rows of ``kms_alias``."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def find(self, scope: Scope, name: str) -> Alias | None:
        """One alias."""
        row = self._db.one("SELECT * FROM kms_alias WHERE account=? AND region=? AND name=?", (*_place(scope), name))
        return _alias(row, scope.partition) if row else None

    def after(self, scope: Scope, key_id: str | None, after: str, limit: int) -> list[Alias]:
        """Aliases by name, of one key or of all."""
        rows = self._db.all(
            "SELECT * FROM kms_alias WHERE account=? AND region=? AND name>? AND (?4 IS NULL OR key=?4) "
            "ORDER BY name LIMIT ?5",
            (*_place(scope), after, key_id, limit),
        )
        return [_alias(row, scope.partition) for row in rows]

    def count(self, key: Key) -> int:
        """How many name a key."""
        row = self._db.one(
            "SELECT count(*) AS n FROM kms_alias WHERE account=? AND region=? AND key=?", (*_place(key.scope), key.id)
        )
        return int(row["n"]) if row else 0

    def put(self, tx: Tx, alias: Alias) -> None:
        """Insert or replace."""
        tx.execute(
            "INSERT OR REPLACE INTO kms_alias VALUES (?,?,?,?,?,?)",
            (*_place(alias.scope), alias.name, alias.key, alias.made, alias.changed),
        )

    def delete(self, tx: Tx, alias: Alias) -> None:
        """Remove."""
        tx.execute("DELETE FROM kms_alias WHERE account=? AND region=? AND name=?", (*_place(alias.scope), alias.name))


class GrantStore:
    """Rows of ``kms_grant``."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def of_key(self, key: Key, after: str = "", limit: int = 50_000) -> list[Grant]:
        """Grants of a key by id."""
        rows = self._db.all(
            "SELECT body FROM kms_grant WHERE account=? AND region=? AND key=? AND id>? ORDER BY id LIMIT ?",
            (*_place(key.scope), key.id, after, limit),
        )
        return [_grant(row["body"]) for row in rows]

    def count(self, key: Key) -> int:
        """How many a key has."""
        row = self._db.one(
            "SELECT count(*) AS n FROM kms_grant WHERE account=? AND region=? AND key=?", (*_place(key.scope), key.id)
        )
        return int(row["n"]) if row else 0

    def find(self, key: Key, grant_id: str) -> Grant | None:
        """One grant."""
        row = self._db.one(
            "SELECT body FROM kms_grant WHERE account=? AND region=? AND key=? AND id=?",
            (*_place(key.scope), key.id, grant_id),
        )
        return _grant(row["body"]) if row else None

    def of_token(self, token: str) -> tuple[Scope, str, Grant] | None:
        """The grant a token stands for, with the place and the id of its key."""
        row = self._db.one("SELECT account, region, key, body FROM kms_grant WHERE token=?", (token,))
        return (Scope(row["account"], row["region"]), row["key"], _grant(row["body"])) if row else None

    def retirable(self, scope: Scope, retiring: str, after: tuple[str, str], limit: int) -> Sequence[tuple[str, Grant]]:
        """Grants a principal may retire by (key id, grant id), each with its key's id."""
        rows = self._db.all(
            "SELECT key, body FROM kms_grant WHERE account=? AND region=? AND retiring=? AND (key, id)>(?,?) "
            "ORDER BY key, id LIMIT ?",
            (*_place(scope), retiring, *after, limit),
        )
        return [(row["key"], _grant(row["body"])) for row in rows]

    def put(self, tx: Tx, key: Key, grant: Grant) -> None:
        """Insert."""
        tx.execute(
            "INSERT INTO kms_grant VALUES (?,?,?,?,?,?,?)",
            (*_place(key.scope), key.id, grant.id, grant.token, grant.retiring, _encode(grant)),
        )

    def delete(self, tx: Tx, scope: Scope, key_id: str, grant: Grant) -> None:
        """Remove."""
        tx.execute(
            "DELETE FROM kms_grant WHERE account=? AND region=? AND key=? AND id=?",
            (*_place(scope), key_id, grant.id),
        )


def _alias(row: Any, partition: str) -> Alias:
    return Alias(Scope(row["account"], row["region"], partition), row["name"], row["key"], row["made"], row["changed"])
