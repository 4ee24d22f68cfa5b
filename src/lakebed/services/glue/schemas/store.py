"""The tables of the Schema Registry. A version's definition is found by the hash of its canonical text."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from lakebed.kernel.db import Database, Tx
from lakebed.kernel.scope import Scope
from lakebed.services.glue.schemas.model import Registry, Schema, Version

_SCHEMA = (
    "registry, name, id, data_format, compatibility, description, checkpoint, "
    "coalesce((SELECT max(number) FROM glue_schema_version WHERE schema_id=glue_schema.id), 0) AS latest, "
    "next_version, created, updated"
)
_VERSION = "id, number, definition, '' AS canonical, status, created"


class SchemaStore:
    """Rows of ``glue_registry``, ``glue_schema``, ``glue_schema_version`` and ``glue_schema_metadata``."""

    def __init__(self, db: Database) -> None:
        self._db = db

    # Registries

    def registry(self, scope: Scope, name: str) -> Registry | None:
        """One registry."""
        rows = self._registries(scope, "name=?", (name,), 1)
        return rows[0] if rows else None

    def registries(self, scope: Scope, after: str, limit: int) -> list[Registry]:
        """By name."""
        return self._registries(scope, "name>?", (after,), limit)

    def _registries(self, scope: Scope, where: str, values: tuple[Any, ...], limit: int) -> list[Registry]:
        rows = self._db.all(
            "SELECT name, description, created, updated FROM glue_registry "  # noqa: S608 - constant condition
            f"WHERE account=? AND region=? AND {where} ORDER BY name LIMIT ?",
            (scope.account, scope.region, *values, limit),
        )
        return [Registry(scope, *row) for row in rows]

    def put_registry(self, tx: Tx, one: Registry) -> None:
        """Insert or replace."""
        place = (one.scope.account, one.scope.region)
        tx.execute(
            "INSERT OR REPLACE INTO glue_registry VALUES (?,?,?,?,?,?)",
            (*place, one.name, one.description, one.created, one.updated),
        )

    def delete_registry(self, tx: Tx, one: Registry) -> None:
        """With everything in it."""
        place = (one.scope.account, one.scope.region, one.name)
        for row in tx.execute(
            "SELECT id FROM glue_schema WHERE account=? AND region=? AND registry=?", place
        ).fetchall():
            self._delete_schema(tx, one.scope, int(row["id"]))
        tx.execute("DELETE FROM glue_registry WHERE account=? AND region=? AND name=?", place)

    # Schemas

    def schema(self, scope: Scope, registry: str, name: str) -> Schema | None:
        """One schema."""
        row = self._db.one(
            f"SELECT {_SCHEMA} FROM glue_schema WHERE account=? AND region=? AND registry=? AND name=?",  # noqa: S608
            (scope.account, scope.region, registry, name),
        )
        return Schema(scope, *row) if row else None

    def schemas(self, scope: Scope, registry: str | None, after: tuple[str, str], limit: int) -> list[Schema]:
        """By registry and name; of one registry or of all."""
        chosen = "" if registry is None else "AND registry=? "
        rows = self._db.all(
            f"SELECT {_SCHEMA} FROM glue_schema WHERE account=? AND region=? {chosen}AND (registry, name) > (?,?) "  # noqa: S608
            "ORDER BY registry, name LIMIT ?",
            (scope.account, scope.region, *(() if registry is None else (registry,)), *after, limit),
        )
        return [Schema(scope, *row) for row in rows]

    def schema_of(self, scope: Scope, version_id: str) -> Schema | None:
        """The schema a version belongs to."""
        row = self._db.one(
            f"SELECT {_SCHEMA} FROM glue_schema WHERE id="  # noqa: S608
            "(SELECT schema_id FROM glue_schema_version WHERE account=? AND region=? AND id=?)",
            (scope.account, scope.region, version_id),
        )
        return Schema(scope, *row) if row else None

    def insert_schema(self, tx: Tx, one: Schema) -> int:
        """A new schema without versions; its id."""
        done = tx.execute(
            "INSERT INTO glue_schema (account, region, registry, name, data_format, compatibility, description, checkpoint, "
            "next_version, created, updated) VALUES (?,?,?,?,?,?,?,?,?,?,?)",
            (
                one.scope.account, one.scope.region, one.registry, one.name, one.data_format, one.compatibility,
                one.description, one.checkpoint, one.next_version, one.created, one.updated,
            ),
        )  # fmt: skip
        assert done.lastrowid is not None
        return int(done.lastrowid)

    def update_schema(self, tx: Tx, one: Schema) -> None:
        """What UpdateSchema may change."""
        tx.execute(
            "UPDATE glue_schema SET compatibility=?, description=?, checkpoint=?, updated=? WHERE id=?",
            (one.compatibility, one.description, one.checkpoint, one.updated, one.id),
        )

    def delete_schema(self, tx: Tx, one: Schema) -> None:
        """With its versions."""
        self._delete_schema(tx, one.scope, one.id)

    def _delete_schema(self, tx: Tx, scope: Scope, schema_id: int) -> None:
        tx.execute(
            "DELETE FROM glue_schema_metadata WHERE account=? AND region=? AND version_id IN "
            "(SELECT id FROM glue_schema_version WHERE schema_id=?)",
            (scope.account, scope.region, schema_id),
        )
        tx.execute("DELETE FROM glue_schema_version WHERE schema_id=?", (schema_id,))
        tx.execute("DELETE FROM glue_schema WHERE id=?", (schema_id,))

    # Versions

    def version(self, scope: Scope, version_id: str) -> Version | None:
        """One version by its id."""
        row = self._db.one(
            f"SELECT {_VERSION} FROM glue_schema_version WHERE account=? AND region=? AND id=?",  # noqa: S608
            (scope.account, scope.region, version_id),
        )
        return Version(*row) if row else None

    def numbered(self, schema: Schema, number: int) -> Version | None:
        """One version by its number."""
        row = self._db.one(
            f"SELECT {_VERSION} FROM glue_schema_version WHERE schema_id=? AND number=?",  # noqa: S608
            (schema.id, number),
        )
        return Version(*row) if row else None

    def same(self, schema: Schema, canonical: str) -> Version | None:
        """The version that means the same."""
        row = self._db.one(
            f"SELECT {_VERSION} FROM glue_schema_version WHERE schema_id=? AND canonical=? ORDER BY number",  # noqa: S608
            (schema.id, _hash(canonical)),
        )
        return Version(*row) if row else None

    def versions(self, schema: Schema, after: int, limit: int) -> list[Version]:
        """By number."""
        rows = self._db.all(
            f"SELECT {_VERSION} FROM glue_schema_version WHERE schema_id=? AND number>? ORDER BY number LIMIT ?",  # noqa: S608
            (schema.id, after, limit),
        )
        return [Version(*row) for row in rows]

    def count_versions(self, scope: Scope) -> int:
        """All versions of an account in a region."""
        row = self._db.one(
            "SELECT count(*) AS n FROM glue_schema_version WHERE account=? AND region=?", (scope.account, scope.region)
        )
        return int(row["n"]) if row else 0

    def insert_version(self, tx: Tx, scope: Scope, schema_id: int, one: Version) -> None:
        """A new version; the schema's next number follows it."""
        tx.execute(
            "INSERT INTO glue_schema_version VALUES (?,?,?,?,?,?,?,?,?)",
            (
                scope.account, scope.region, one.id, schema_id, one.number, one.definition, _hash(one.canonical), one.status,
                one.created,
            ),
        )  # fmt: skip
        tx.execute(
            "UPDATE glue_schema SET next_version=?, updated=? WHERE id=?", (one.number + 1, one.created, schema_id)
        )

    def delete_version(self, tx: Tx, scope: Scope, one: Version) -> None:
        """A version and what is noted of it."""
        place = (scope.account, scope.region, one.id)
        tx.execute("DELETE FROM glue_schema_metadata WHERE account=? AND region=? AND version_id=?", place)
        tx.execute("DELETE FROM glue_schema_version WHERE account=? AND region=? AND id=?", place)

    # What is noted of a version

    def metadata(self, scope: Scope, version_id: str) -> Sequence[tuple[str, str, float]]:
        """(key, value, created), the newest value of a key first."""
        rows = self._db.all(
            "SELECT key, value, created FROM glue_schema_metadata WHERE account=? AND region=? AND version_id=? "
            "ORDER BY key, created DESC, value",
            (scope.account, scope.region, version_id),
        )
        return [(row["key"], row["value"], row["created"]) for row in rows]

    def put_metadata(self, tx: Tx, scope: Scope, version_id: str, pair: tuple[str, str], now: float) -> bool:
        """False where it is there."""
        done = tx.execute(
            "INSERT OR IGNORE INTO glue_schema_metadata VALUES (?,?,?,?,?,?)",
            (scope.account, scope.region, version_id, *pair, now),
        )
        return done.rowcount > 0

    def remove_metadata(self, tx: Tx, scope: Scope, version_id: str, pair: tuple[str, str]) -> bool:
        """False where it is not there."""
        done = tx.execute(
            "DELETE FROM glue_schema_metadata WHERE account=? AND region=? AND version_id=? AND key=? AND value=?",
            (scope.account, scope.region, version_id, *pair),
        )
        return done.rowcount > 0


def _hash(canonical: str) -> bytes:
    return hashlib.sha256(canonical.encode()).digest()
