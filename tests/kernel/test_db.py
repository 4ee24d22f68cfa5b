"""The database: transactions join and roll back, callbacks follow the commit, schemas only go forward."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path

import pytest

from lakebed.kernel.clock import ManualClock
from lakebed.kernel.db import Database, SchemaTooNewError, split_statements


@pytest.fixture
def db(tmp_path: Path) -> Database:
    made = Database(tmp_path / "deep" / "state.db")
    with made.tx() as tx:
        tx.execute("CREATE TABLE t (k INTEGER PRIMARY KEY, v TEXT) STRICT")
    return made


def values(db: Database) -> list[str]:
    return [row["v"] for row in db.all("SELECT v FROM t ORDER BY k")]


def test_nested_transactions_join_the_outer_one(db: Database) -> None:
    told: list[str] = []

    def both() -> None:
        with db.tx() as outer:
            outer.execute("INSERT INTO t VALUES (1, 'outer')")
            with db.tx() as inner:
                assert inner is outer
                inner.execute("INSERT INTO t VALUES (2, 'inner')")
                inner.after_commit(lambda: told.append("inner"))
            assert told == [], "the inner block committed nothing"
            raise KeyError

    with pytest.raises(KeyError):
        both()
    assert values(db) == []
    assert told == []


def test_callbacks_run_in_order_once_rows_are_durable(db: Database) -> None:
    told: list[object] = []
    with db.tx() as tx:
        tx.after_commit(lambda: told.append(values(db)))
        tx.after_commit(lambda: told.append("second"))
        tx.execute("INSERT INTO t VALUES (1, 'a')")
    assert told == [["a"], "second"]
    with db.tx() as tx:  # a callback may write
        tx.after_commit(lambda: insert(db, 2, "from a callback"))
    assert values(db) == ["a", "from a callback"]


def insert(db: Database, key: int, value: str) -> None:
    with db.tx() as tx:
        tx.execute("INSERT INTO t VALUES (?,?)", (key, value))


def test_a_failing_statement_rolls_all_back_and_the_next_transaction_works(db: Database) -> None:
    def twice() -> None:
        with db.tx() as tx:
            tx.execute("INSERT INTO t VALUES (1, 'a')")
            tx.execute("INSERT INTO t VALUES (1, 'again')")

    with pytest.raises(sqlite3.IntegrityError):
        twice()
    insert(db, 1, "b")
    assert values(db) == ["b"]
    row = db.one("SELECT * FROM t WHERE k=1")
    assert row is not None
    assert row["v"] == "b"
    assert db.one("SELECT * FROM t WHERE k=9") is None


def test_files_are_the_owners_alone(db: Database) -> None:
    files = list(db.path.parent.iterdir())
    assert {file.name for file in files} >= {"state.db", "state.db-wal"}
    assert all(file.stat().st_mode & 0o077 == 0 for file in [db.path.parent, *files])


@pytest.mark.parametrize(("power_safe", "level"), [(False, 1), (True, 2)])
def test_durability_is_what_was_asked_for(tmp_path: Path, power_safe: bool, level: int) -> None:
    db = Database(tmp_path / "state.db", power_safe=power_safe)
    mode, synchronous = db.one("PRAGMA journal_mode"), db.one("PRAGMA synchronous")
    assert mode is not None
    assert synchronous is not None
    assert (mode[0], synchronous[0]) == ("wal", level)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    schema = tmp_path / "kernel_test_schemas" / "schema"
    schema.mkdir(parents=True)
    (schema.parent / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "kernel_test_schemas", raising=False)
    (schema / "0001_first.sql").write_text("-- a comment\nCREATE TABLE a (x INTEGER) STRICT;\n")
    return schema


def test_migrations_go_forward_only(tmp_path: Path, package: Path) -> None:
    clock = ManualClock(5.0)
    db = Database(tmp_path / "state.db")
    db.migrate("me", "kernel_test_schemas", clock)
    with db.tx() as tx:
        tx.execute("INSERT INTO a VALUES (1)")
    (package / "0002_more.sql").write_text("ALTER TABLE a ADD COLUMN y INTEGER;\nCREATE INDEX a_y ON a (y);\n")
    for _ in range(2):
        db.migrate("me", "kernel_test_schemas", clock)
    rows = db.all("SELECT * FROM schema_version ORDER BY version")
    assert [tuple(row) for row in rows] == [("me", 1, "0001_first.sql", 5.0), ("me", 2, "0002_more.sql", 5.0)]
    assert [tuple(row) for row in db.all("SELECT * FROM a")] == [(1, None)]
    (package / "0002_more.sql").unlink()
    with pytest.raises(SchemaTooNewError, match="version 2, this Lakebed knows 1"):
        db.migrate("me", "kernel_test_schemas", clock)
    db.close()


def test_a_migration_that_fails_leaves_nothing(tmp_path: Path, package: Path) -> None:
    db, clock = Database(tmp_path / "state.db"), ManualClock()
    (package / "0002_wrong.sql").write_text("CREATE TABLE b (x INTEGER) STRICT;\nCREATE TABLE a (x INTEGER) STRICT;\n")
    with pytest.raises(sqlite3.OperationalError, match="already exists"):
        db.migrate("me", "kernel_test_schemas", clock)
    assert db.one("SELECT 1 FROM sqlite_master WHERE name='b'") is None
    assert [row["version"] for row in db.all("SELECT version FROM schema_version")] == [1]
    (package / "0002_wrong.sql").rename(package / "0003_gap.sql")
    with pytest.raises(ValueError, match="should be number 0002"):
        db.migrate("me", "kernel_test_schemas", clock)
    db.close()


def test_statements_are_split_where_sqlite_says() -> None:
    script = """-- one; not a statement
CREATE TABLE t (x TEXT DEFAULT 'a;b');
CREATE TRIGGER g AFTER INSERT ON t BEGIN
  DELETE FROM t; -- inside
END;
-- the end
"""
    found = split_statements(script)
    assert len(found) == 2
    assert found[1].startswith("CREATE TRIGGER")
    assert found[1].endswith("END;")
    with pytest.raises(ValueError, match="unfinished"):
        split_statements("CREATE TABLE t (x TEXT)")


def test_a_backup_holds_what_was_there_and_can_be_opened(db: Database, tmp_path: Path) -> None:
    insert(db, 1, "a")
    db.backup(tmp_path / "copy.db")
    insert(db, 2, "b")
    copy = Database(tmp_path / "copy.db")
    assert values(copy) == ["a"]
    copy.close()
    db.close()
