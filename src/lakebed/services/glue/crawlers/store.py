"""The tables of crawlers, their crawls, classifiers and connections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from lakebed.kernel.db import Database, Tx
from lakebed.kernel.scope import Scope
from lakebed.services.glue.crawlers.model import Classifier, Connection, Crawl, Crawler

_encode, _decode = msgspec.msgpack.encode, msgspec.msgpack.decode
_CRAWLER = "account, region, name, body, state, crawl_id, started, next_run"
_CRAWLS_KEPT = 1000


class CrawlerStore:
    """Rows of ``glue_crawler``, ``glue_crawl`` and ``glue_crawled_folder``."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def find(self, scope: Scope, name: str) -> Crawler | None:
        """One crawler."""
        row = self._db.one(
            f"SELECT {_CRAWLER} FROM glue_crawler WHERE account=? AND region=? AND name=?",  # noqa: S608 - columns
            (scope.account, scope.region, name),
        )
        return _crawler(row) if row else None

    def after(self, scope: Scope, after: str, limit: int) -> list[Crawler]:
        """By name."""
        rows = self._db.all(
            f"SELECT {_CRAWLER} FROM glue_crawler WHERE account=? AND region=? AND name>? ORDER BY name LIMIT ?",  # noqa: S608
            (scope.account, scope.region, after, limit),
        )
        return [_crawler(row) for row in rows]

    def count(self, scope: Scope) -> int:
        """How many an account has."""
        place = (scope.account, scope.region)
        row = self._db.one("SELECT count(*) AS n FROM glue_crawler WHERE account=? AND region=?", place)
        return int(row["n"]) if row else 0

    def due(self, now: float, limit: int) -> list[Crawler]:
        """Whose schedule says that they start."""
        rows = self._db.all(
            f"SELECT {_CRAWLER} FROM glue_crawler WHERE next_run<=? ORDER BY next_run LIMIT ?",  # noqa: S608
            (now, limit),
        )
        return [_crawler(row) for row in rows]

    def next_due(self) -> float | None:
        """When the next one starts."""
        row = self._db.one("SELECT min(next_run) AS due FROM glue_crawler WHERE next_run IS NOT NULL")
        return row["due"] if row else None

    def put(self, tx: Tx, one: Crawler) -> None:
        """Insert or replace."""
        kept = {"body": one.body, "version": one.version, "created": one.created, "updated": one.updated,
                "schedule_state": one.schedule_state, "last": one.last}  # fmt: skip
        tx.execute(
            "INSERT OR REPLACE INTO glue_crawler VALUES (?,?,?,?,?,?,?,?)",
            (one.scope.account, one.scope.region, one.name, _encode(kept), one.state, one.crawl_id, one.started,
             one.next_run),
        )  # fmt: skip

    def delete(self, tx: Tx, one: Crawler) -> None:
        """With its history."""
        place = (one.scope.account, one.scope.region, one.name)
        tx.execute("DELETE FROM glue_crawler WHERE account=? AND region=? AND name=?", place)
        tx.execute("DELETE FROM glue_crawl WHERE account=? AND region=? AND crawler=?", place)
        self.forget(tx, one)

    # Crawls

    def put_crawl(self, tx: Tx, crawler: Crawler, one: Crawl) -> None:
        """Insert or replace; the oldest beyond what is kept go."""
        place = (crawler.scope.account, crawler.scope.region, crawler.name)
        tx.execute(
            "INSERT OR REPLACE INTO glue_crawl VALUES (?,?,?,?,?,?,?,?)",
            (*place, one.started, one.id, one.state, one.ended, _encode(one.body)),
        )
        tx.execute(
            "DELETE FROM glue_crawl WHERE account=? AND region=? AND crawler=? AND started < (SELECT started FROM glue_crawl "
            "WHERE account=? AND region=? AND crawler=? ORDER BY started DESC LIMIT 1 OFFSET ?)",
            (*place, *place, _CRAWLS_KEPT),
        )

    def crawls(self, crawler: Crawler) -> list[Crawl]:
        """Latest first, all that are kept."""
        rows = self._db.all(
            "SELECT id, state, started, ended, body FROM glue_crawl WHERE account=? AND region=? AND crawler=? "
            "ORDER BY started DESC, id DESC",
            (crawler.scope.account, crawler.scope.region, crawler.name),
        )
        return [Crawl(row["id"], row["state"], row["started"], row["ended"], _decode(row["body"])) for row in rows]

    # Folders that were crawled

    def crawled(self, crawler: Crawler) -> set[str]:
        """The folders of earlier crawls."""
        rows = self._db.all(
            "SELECT folder FROM glue_crawled_folder WHERE account=? AND region=? AND crawler=?",
            (crawler.scope.account, crawler.scope.region, crawler.name),
        )
        return {row["folder"] for row in rows}

    def remember(self, tx: Tx, crawler: Crawler, folders: Sequence[str]) -> None:
        """Folders that are known from now on."""
        place = (crawler.scope.account, crawler.scope.region, crawler.name)
        tx.executemany(
            "INSERT OR IGNORE INTO glue_crawled_folder VALUES (?,?,?,?)", [(*place, folder) for folder in folders]
        )

    def forget(self, tx: Tx, crawler: Crawler) -> None:
        """All of them."""
        tx.execute(
            "DELETE FROM glue_crawled_folder WHERE account=? AND region=? AND crawler=?",
            (crawler.scope.account, crawler.scope.region, crawler.name),
        )


class ClassifierStore:
    """Rows of ``glue_classifier``."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def find(self, scope: Scope, name: str) -> Classifier | None:
        """One classifier."""
        row = self._db.one(
            "SELECT name, kind, version, created, updated, body FROM glue_classifier "
            "WHERE account=? AND region=? AND name=?",
            (scope.account, scope.region, name),
        )
        return _classifier(row) if row else None

    def after(self, scope: Scope, after: str, limit: int) -> list[Classifier]:
        """By name."""
        rows = self._db.all(
            "SELECT name, kind, version, created, updated, body FROM glue_classifier "
            "WHERE account=? AND region=? AND name>? ORDER BY name LIMIT ?",
            (scope.account, scope.region, after, limit),
        )
        return [_classifier(row) for row in rows]

    def put(self, tx: Tx, scope: Scope, one: Classifier) -> None:
        """Insert or replace."""
        tx.execute(
            "INSERT OR REPLACE INTO glue_classifier VALUES (?,?,?,?,?,?,?,?)",
            (scope.account, scope.region, one.name, one.kind, one.version, one.created, one.updated, _encode(one.body)),
        )

    def delete(self, tx: Tx, scope: Scope, name: str) -> None:
        """The row."""
        tx.execute(
            "DELETE FROM glue_classifier WHERE account=? AND region=? AND name=?", (scope.account, scope.region, name)
        )


class ConnectionStore:
    """Rows of ``glue_connection``."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def find(self, scope: Scope, name: str) -> Connection | None:
        """One connection."""
        row = self._db.one(
            "SELECT * FROM glue_connection WHERE account=? AND region=? AND name=?", (scope.account, scope.region, name)
        )
        return _connection(scope, row) if row else None

    def after(self, scope: Scope, after: str, limit: int) -> list[Connection]:
        """By name."""
        rows = self._db.all(
            "SELECT * FROM glue_connection WHERE account=? AND region=? AND name>? ORDER BY name LIMIT ?",
            (scope.account, scope.region, after, limit),
        )
        return [_connection(scope, row) for row in rows]

    def put(self, tx: Tx, one: Connection) -> None:
        """Insert or replace."""
        tx.execute(
            "INSERT OR REPLACE INTO glue_connection VALUES (?,?,?,?,?,?,?,?)",
            (one.scope.account, one.scope.region, one.name, _encode(one.body), one.sealed, one.created, one.updated,
             one.updated_by),
        )  # fmt: skip

    def delete(self, tx: Tx, one: Connection) -> None:
        """The row, and the secret with it."""
        tx.execute(
            "DELETE FROM glue_connection WHERE account=? AND region=? AND name=?",
            (one.scope.account, one.scope.region, one.name),
        )


def _crawler(row: Any) -> Crawler:
    kept = _decode(row["body"])
    return Crawler(
        Scope(row["account"], row["region"]), row["name"], kept["body"], kept["version"], kept["created"], kept["updated"],
        kept["schedule_state"], kept["last"], row["state"], row["crawl_id"], row["started"], row["next_run"],
    )  # fmt: skip


def _classifier(row: Any) -> Classifier:
    return Classifier(row["name"], row["kind"], row["version"], row["created"], row["updated"], _decode(row["body"]))


def _connection(scope: Scope, row: Any) -> Connection:
    return Connection(
        scope, row["name"], _decode(row["body"]), row["sealed"], row["created"], row["updated"], row["updated_by"]
    )
