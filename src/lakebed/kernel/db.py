"""SQLite behind one small abstraction: the control plane's tables, written by the event loop alone.

A transaction is a ``with`` block that contains no ``await``, so it is atomic towards every other task without a lock.
WAL with synchronous=NORMAL survives kill -9; ``durability = "power"`` switches to FULL. Rows come back as ``sqlite3.Row``.
Schemas are numbered SQL files next to their owner (``schema/0001_streams.sql``), forward only, one transaction each.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

from lakebed.kernel.clock import Clock

Params = Sequence[Any] | dict[str, Any]
_SCHEMA_VERSIONS = """CREATE TABLE IF NOT EXISTS schema_version (
  owner TEXT NOT NULL, version INTEGER NOT NULL, name TEXT NOT NULL, applied_at REAL NOT NULL,
  PRIMARY KEY (owner, version)) STRICT"""


class SchemaTooNewError(Exception):
    """The data directory was written by a newer Lakebed."""


class Tx:
    """An open write transaction. ``after_commit`` runs callbacks once the rows are durable, in order."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.callbacks: list[Callable[[], object]] = []

    def execute(self, sql: str, params: Params = ()) -> sqlite3.Cursor:
        """Run one statement."""
        return self._connection.execute(sql, params)

    def executemany(self, sql: str, rows: Sequence[Params]) -> sqlite3.Cursor:
        """Run one statement for each row."""
        return self._connection.executemany(sql, rows)

    def one(self, sql: str, params: Params = ()) -> sqlite3.Row | None:
        """The first row, or None."""
        row: sqlite3.Row | None = self._connection.execute(sql, params).fetchone()
        return row

    def all(self, sql: str, params: Params = ()) -> list[sqlite3.Row]:
        """Every row: bound the statement with LIMIT where a user decides how many there are."""
        return self._connection.execute(sql, params).fetchall()

    def after_commit(self, callback: Callable[[], object]) -> None:
        """Call ``callback`` once this transaction is durable; never if it rolls back."""
        self.callbacks.append(callback)


class Database:
    """One SQLite file. All methods are synchronous and quick; none may be called from another thread."""

    def __init__(self, path: Path, *, power_safe: bool = False) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # SQLite's other files take its mode
        self._connection = sqlite3.connect(path, isolation_level=None, cached_statements=1024)
        self._connection.row_factory = sqlite3.Row
        is_new = path.stat().st_size == 0
        for pragma in (
            # Turning WAL on syncs the file twice, for nothing where an empty one need not survive a power cut.
            f"synchronous={'OFF' if is_new and not power_safe else 'FULL'}",
            "journal_mode=WAL",
            f"synchronous={'FULL' if power_safe else 'NORMAL'}",
            "foreign_keys=ON",
            "busy_timeout=2000",
            "cache_size=-4096",
            "journal_size_limit=67108864",
            "trusted_schema=OFF",
        ):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.execute(_SCHEMA_VERSIONS)
        self._open_tx: Tx | None = None

    @contextmanager
    def tx(self) -> Iterator[Tx]:
        """A write transaction. Nested use joins the outer one: the outermost block commits."""
        if self._open_tx is not None:
            yield self._open_tx
            return
        self._connection.execute("BEGIN IMMEDIATE")
        tx = self._open_tx = Tx(self._connection)
        try:
            yield tx
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        finally:
            self._open_tx = None
        for callback in tx.callbacks:
            callback()

    def one(self, sql: str, params: Params = ()) -> sqlite3.Row | None:
        """Read the first row outside a transaction (or inside the open one)."""
        row: sqlite3.Row | None = self._connection.execute(sql, params).fetchone()
        return row

    def all(self, sql: str, params: Params = ()) -> list[sqlite3.Row]:
        """Read every row; see ``Tx.all``."""
        return self._connection.execute(sql, params).fetchall()

    def migrate(self, owner: str, package: str, clock: Clock) -> None:
        """Apply the owner's ``schema/NNNN_name.sql`` files that this database has not seen, in order."""
        files = sorted(
            (entry for entry in (resources.files(package) / "schema").iterdir() if entry.name.endswith(".sql")),
            key=lambda entry: entry.name,
        )
        known = {int(row["version"]) for row in self.all("SELECT version FROM schema_version WHERE owner=?", (owner,))}
        if known and max(known) > len(files):
            raise SchemaTooNewError(f"{self.path}: {owner} is at version {max(known)}, this Lakebed knows {len(files)}")
        for version, entry in enumerate(files, start=1):
            if int(entry.name.split("_", 1)[0]) != version:
                raise ValueError(f"{owner}: {entry.name} should be number {version:04d}")
            if version in known:
                continue
            with self.tx() as tx:
                for statement in split_statements(entry.read_text("utf-8")):
                    tx.execute(statement)
                tx.execute("INSERT INTO schema_version VALUES (?,?,?,?)", (owner, version, entry.name, clock.now()))

    def backup(self, target: Path) -> None:
        """A consistent copy of the whole database, taken while it is in use."""
        with sqlite3.connect(target) as copy:
            self._connection.backup(copy)
        copy.close()

    def discard(self) -> None:
        """Close without waiting for the medium: the file is about to be removed (reset)."""
        self._connection.execute("PRAGMA synchronous=OFF")
        self._connection.close()

    def close(self) -> None:
        """Checkpoint and close."""
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._connection.close()


def split_statements(script: str) -> list[str]:
    """The statements of a SQL script, without the comments before them."""
    statements, current = [], ""
    for line in script.splitlines(keepends=True):
        current += line
        if sqlite3.complete_statement(current):
            statements.append(current.strip())
            current = ""
    if "".join(line for line in current.splitlines() if not line.lstrip().startswith("--")).strip():
        raise ValueError(f"unfinished statement: {current[:80]}")
    return statements
