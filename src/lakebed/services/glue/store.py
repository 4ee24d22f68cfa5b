"""The tables of the Data Catalog. Only table ids reach versions and partitions, so a dropped table costs one row at once
and its remains are removed by a task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from lakebed.kernel.db import Database as Db
from lakebed.kernel.db import Tx
from lakebed.kernel.scope import Scope
from lakebed.services.glue.model import Database, Function, Partition, Table, decode_key, encode_key

_encode = msgspec.msgpack.encode
_decode = msgspec.msgpack.decode
_OF_TABLES = (
    "glue_partition", "glue_table_version", "glue_column_statistics", "glue_statistics_run", "glue_statistics_settings",
)  # fmt: skip
_TABLE = "account, region, database, name, id, version, body, created, updated, created_by"


class DatabaseStore:
    """Rows of ``glue_database`` and ``glue_tag``."""

    def __init__(self, db: Db) -> None:
        self._db = db

    def find(self, scope: Scope, name: str) -> Database | None:
        """One database."""
        row = self._db.one(
            "SELECT body, created FROM glue_database WHERE account=? AND region=? AND name=?",
            (scope.account, scope.region, name),
        )
        return Database(scope, name, _decode(row["body"]), row["created"]) if row else None

    def after(self, scope: Scope, after: str, limit: int) -> list[Database]:
        """By name."""
        rows = self._db.all(
            "SELECT name, body, created FROM glue_database WHERE account=? AND region=? AND name>? ORDER BY name LIMIT ?",
            (scope.account, scope.region, after, limit),
        )
        return [Database(scope, row["name"], _decode(row["body"]), row["created"]) for row in rows]

    def put(self, tx: Tx, database: Database) -> None:
        """Insert or replace."""
        tx.execute(
            "INSERT OR REPLACE INTO glue_database VALUES (?,?,?,?,?)",
            (database.scope.account, database.scope.region, database.name, _encode(database.body), database.created),
        )

    def delete(self, tx: Tx, scope: Scope, name: str) -> None:
        """The row alone."""
        tx.execute(
            "DELETE FROM glue_database WHERE account=? AND region=? AND name=?", (scope.account, scope.region, name)
        )

    def tags(self, scope: Scope, arn: str) -> dict[str, str]:
        """Tags of a resource."""
        rows = self._db.all(
            "SELECT key, value FROM glue_tag WHERE account=? AND region=? AND arn=? ORDER BY key",
            (scope.account, scope.region, arn),
        )
        return {row["key"]: row["value"] for row in rows}

    def set_tags(self, tx: Tx, scope: Scope, arn: str, tags: Mapping[str, str]) -> None:
        """Replace all tags of a resource."""
        tx.execute("DELETE FROM glue_tag WHERE account=? AND region=? AND arn=?", (scope.account, scope.region, arn))
        rows = [(scope.account, scope.region, arn, key, value) for key, value in tags.items()]
        tx.executemany("INSERT INTO glue_tag VALUES (?,?,?,?,?)", rows)


class TableStore:
    """Rows of ``glue_table`` and ``glue_table_version``."""

    def __init__(self, db: Db) -> None:
        self._db = db

    def find(self, scope: Scope, database: str, name: str) -> Table | None:
        """One table at its present version."""
        row = self._db.one(
            f"SELECT {_TABLE} FROM glue_table WHERE account=? AND region=? AND database=? AND name=?",  # noqa: S608
            (scope.account, scope.region, database, name),
        )
        return _table(scope, row) if row else None

    def after(self, scope: Scope, database: str, after: str, limit: int) -> list[Table]:
        """By name."""
        rows = self._db.all(
            f"SELECT {_TABLE} FROM glue_table WHERE account=? AND region=? AND database=? AND name>? "  # noqa: S608
            "ORDER BY name LIMIT ?",
            (scope.account, scope.region, database, after, limit),
        )
        return [_table(scope, row) for row in rows]

    def after_all(self, scope: Scope, after: tuple[str, str], limit: int) -> list[Table]:
        """Of all databases, by database and name."""
        rows = self._db.all(
            f"SELECT {_TABLE} FROM glue_table WHERE account=? AND region=? AND (database, name) > (?, ?) "  # noqa: S608
            "ORDER BY database, name LIMIT ?",
            (scope.account, scope.region, *after, limit),
        )
        return [_table(scope, row) for row in rows]

    def insert(self, tx: Tx, table: Table) -> None:
        """A new table, with its first version; the id is given here."""
        row = tx.execute(
            "INSERT INTO glue_table (account, region, database, name, version, body, created, updated, created_by) "
            "VALUES (?,?,?,?,?,?,?,?,?)",
            (
                table.scope.account, table.scope.region, table.database, table.name, table.version,
                _encode(table.body), table.created, table.updated, table.created_by,
            ),
        )  # fmt: skip
        assert row.lastrowid is not None, "an insert has a row id"
        self._archive(tx, msgspec.structs.replace(table, id=row.lastrowid))

    def update(self, tx: Tx, table: Table, *, archive: bool) -> None:
        """The next version; ``archive`` keeps the one before."""
        if not archive:
            self.delete_version(tx, table, table.version - 1)
        tx.execute(
            "UPDATE glue_table SET version=?, body=?, updated=? WHERE id=?",
            (table.version, _encode(table.body), table.updated, table.id),
        )
        self._archive(tx, table)

    def delete(self, tx: Tx, table: Table) -> None:
        """Remove a table; its versions and partitions are discarded by a task."""
        tx.execute("DELETE FROM glue_table WHERE id=?", (table.id,))
        tx.execute("INSERT INTO glue_discarded VALUES (?,?,?)", (table.scope.account, table.scope.region, table.id))

    def version(self, table: Table, version: int) -> Table | None:
        """A table as it was."""
        row = self._db.one(
            "SELECT version, body, updated FROM glue_table_version WHERE table_id=? AND version=?", (table.id, version)
        )
        return _at_version(table, row) if row else None

    def versions_before(self, table: Table, before: int, limit: int) -> list[Table]:
        """Latest first."""
        rows = self._db.all(
            "SELECT version, body, updated FROM glue_table_version WHERE table_id=? AND version<? "
            "ORDER BY version DESC LIMIT ?",
            (table.id, before, limit),
        )
        return [_at_version(table, row) for row in rows]

    def delete_version(self, tx: Tx, table: Table, version: int) -> bool:
        """False where there is none."""
        done = tx.execute("DELETE FROM glue_table_version WHERE table_id=? AND version=?", (table.id, version))
        return done.rowcount > 0

    def discarded(self) -> int | None:
        """The id of a dropped table that left something."""
        row = self._db.one("SELECT table_id FROM glue_discarded LIMIT 1")
        return int(row["table_id"]) if row else None

    def discard(self, tx: Tx, table_id: int, limit: int) -> bool:
        """Remove up to ``limit`` rows of a dropped table; False once nothing is left."""
        for name in _OF_TABLES:
            done = tx.execute(
                f"DELETE FROM {name} WHERE rowid IN (SELECT rowid FROM {name} WHERE table_id=? LIMIT ?)",  # noqa: S608
                (table_id, limit),
            )
            if done.rowcount == limit:
                return True
        tx.execute("DELETE FROM glue_discarded WHERE table_id=?", (table_id,))
        return False

    def _archive(self, tx: Tx, table: Table) -> None:
        tx.execute(
            "INSERT INTO glue_table_version VALUES (?,?,?,?,?,?)",
            (
                table.scope.account, table.scope.region, table.id, table.version, _encode(table.body), table.updated
            ),
        )  # fmt: skip


class PartitionStore:
    """Rows of ``glue_partition``."""

    def __init__(self, db: Db) -> None:
        self._db = db

    def find(self, table: Table, values: Sequence[str]) -> Partition | None:
        """One partition."""
        row = self._db.one(
            "SELECT key, body, created FROM glue_partition WHERE table_id=? AND key=?", (table.id, encode_key(values))
        )
        return _partition(row) if row else None

    def keys(self, tx: Tx, table: Table, after: bytes, below: bytes) -> Iterator[bytes]:
        """Keys between two, both exclusive, in order, read from the index alone."""
        rows = tx.execute(
            "SELECT key FROM glue_partition WHERE table_id=? AND key>? AND key<? ORDER BY key", (table.id, after, below)
        )
        for row in rows:
            yield row["key"]

    def all_of(self, table: Table) -> list[Partition]:
        """Every partition in order of keys, in one walk."""
        rows = self._db.all("SELECT key, body, created FROM glue_partition WHERE table_id=? ORDER BY key", (table.id,))
        return [_partition(row) for row in rows]

    def load(self, table: Table, keys: Sequence[bytes]) -> list[Partition]:
        """Partitions by key; absent ones are left out."""
        found = []
        for key in keys:
            row = self._db.one(
                "SELECT key, body, created FROM glue_partition WHERE table_id=? AND key=?", (table.id, key)
            )
            if row is not None:
                found.append(_partition(row))
        return found

    def insert(self, tx: Tx, table: Table, partition: Partition) -> bool:
        """False where one of these values exists."""
        done = tx.execute(
            "INSERT OR IGNORE INTO glue_partition VALUES (?,?,?,?,?,?)",
            (
                table.scope.account, table.scope.region, table.id, encode_key(partition.values),
                _encode(partition.body), partition.created,
            ),
        )  # fmt: skip
        return done.rowcount > 0

    def replace(self, tx: Tx, table: Table, partition: Partition) -> None:
        """Another body for a partition that keeps its values."""
        tx.execute(
            "UPDATE glue_partition SET body=? WHERE table_id=? AND key=?",
            (_encode(partition.body), table.id, encode_key(partition.values)),
        )

    def delete(self, tx: Tx, table: Table, values: Sequence[str]) -> bool:
        """False where there is none; its statistics go with it."""
        at = (table.id, encode_key(values))
        done = tx.execute("DELETE FROM glue_partition WHERE table_id=? AND key=?", at)
        tx.execute("DELETE FROM glue_column_statistics WHERE table_id=? AND key=?", at)
        return done.rowcount > 0


class FunctionStore:
    """Rows of ``glue_function``."""

    def __init__(self, db: Db) -> None:
        self._db = db

    def find(self, scope: Scope, database: str, name: str) -> Function | None:
        """One function."""
        row = self._db.one(
            "SELECT body, created FROM glue_function WHERE account=? AND region=? AND database=? AND name=?",
            (scope.account, scope.region, database, name),
        )
        return Function(scope, database, name, _decode(row["body"]), row["created"]) if row else None

    def after(self, scope: Scope, database: str, after: str, limit: int) -> list[Function]:
        """By name."""
        rows = self._db.all(
            "SELECT name, body, created FROM glue_function WHERE account=? AND region=? AND database=? AND name>? "
            "ORDER BY name LIMIT ?",
            (scope.account, scope.region, database, after, limit),
        )
        return [Function(scope, database, row["name"], _decode(row["body"]), row["created"]) for row in rows]

    def after_all(self, scope: Scope, after: tuple[str, str], limit: int) -> list[Function]:
        """Of all databases, by database and name."""
        rows = self._db.all(
            "SELECT database, name, body, created FROM glue_function WHERE account=? AND region=? "
            "AND (database, name) > (?, ?) ORDER BY database, name LIMIT ?",
            (scope.account, scope.region, *after, limit),
        )
        return [Function(scope, row["database"], row["name"], _decode(row["body"]), row["created"]) for row in rows]

    def put(self, tx: Tx, function: Function) -> None:
        """Insert or replace."""
        tx.execute(
            "INSERT OR REPLACE INTO glue_function VALUES (?,?,?,?,?,?)",
            (
                function.scope.account, function.scope.region, function.database, function.name,
                _encode(function.body), function.created,
            ),
        )  # fmt: skip

    def delete(self, tx: Tx, function: Function) -> None:
        """The row alone."""
        tx.execute(
            "DELETE FROM glue_function WHERE account=? AND region=? AND database=? AND name=?",
            (function.scope.account, function.scope.region, function.database, function.name),
        )

    def delete_all(self, tx: Tx, scope: Scope, database: str) -> None:
        """Those of a database."""
        tx.execute(
            "DELETE FROM glue_function WHERE account=? AND region=? AND database=?",
            (scope.account, scope.region, database),
        )


def _table(scope: Scope, row: Any) -> Table:
    return Table(
        scope, row["database"], row["name"], row["id"], row["version"], _decode(row["body"]), row["created"],
        row["updated"], row["created_by"],
    )  # fmt: skip


def _at_version(table: Table, row: Any) -> Table:
    return msgspec.structs.replace(table, version=row["version"], body=_decode(row["body"]), updated=row["updated"])


def _partition(row: Any) -> Partition:
    return Partition(decode_key(row["key"]), _decode(row["body"]), row["created"])
