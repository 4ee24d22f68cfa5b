"""The tables of metrics: series, and one row per series, span of time and unit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from lakebed.kernel.db import Database, Tx
from lakebed.kernel.scope import Scope
from lakebed.services.cloudwatch.aggregate import Aggregate, Points, merge
from lakebed.services.cloudwatch.model import Key

_SPAN = "start, unit, count, total, low, high, histogram"
# ruff: noqa: S608 - statements are put together of constants only
_PUT = f"INSERT OR REPLACE INTO metric_span (account, region, series_id, tier, {_SPAN}) VALUES (?,?,?,?,?,?,?,?,?,?,?)"


class Listed(NamedTuple):
    """A series as ListMetrics finds it."""

    id: int
    key: Key


class SeriesStore:
    """Rows of ``metric_series`` and ``metric_span``."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def find(self, scope: Scope, key: Key) -> int | None:
        """The id of a series."""
        row = self._db.one(
            "SELECT id FROM metric_series WHERE account=? AND region=? AND namespace=? AND name=? AND dimensions=?",
            (scope.account, scope.region, key.namespace, key.name, key.text),
        )
        return int(row["id"]) if row else None

    def touch(self, tx: Tx, scope: Scope, key: Key, now: float) -> int:
        """The id of a series that gets data now, made where there is none."""
        row = tx.one(
            "INSERT INTO metric_series (account, region, namespace, name, dimensions, last_put) VALUES (?,?,?,?,?,?) "
            "ON CONFLICT (account, region, namespace, name, dimensions) DO UPDATE SET last_put=excluded.last_put "
            "RETURNING id",
            (scope.account, scope.region, key.namespace, key.name, key.text, now),
        )
        assert row is not None, "an upsert returns its row"
        return int(row["id"])

    def count(self) -> int:
        """All series of the house."""
        row = self._db.one("SELECT count(*) AS n FROM metric_series")
        return int(row["n"]) if row else 0

    def listed(
        self, scope: Scope, after: int, since: float, limit: int, namespace: str | None = None, name: str | None = None
    ) -> list[Listed]:
        """Series that got data since a time, in order of ids."""
        rows = self._db.all(
            "SELECT id, namespace, name, dimensions FROM metric_series WHERE account=? AND region=? AND id>? AND "
            "last_put>=? AND (? IS NULL OR namespace=?) AND (? IS NULL OR name=?) ORDER BY id LIMIT ?",
            (scope.account, scope.region, after, since, namespace, namespace, name, name, limit),
        )
        return [Listed(row["id"], Key(row["namespace"], row["name"], _dimensions(row["dimensions"]))) for row in rows]

    def add(
        self, tx: Tx, scope: Scope, series: int, tier: int, start: int, unit: str, value: Aggregate
    ) -> None:  # the key of a row and what to add: seven
        """Add to the row of a span."""
        row = tx.one(
            f"SELECT {_SPAN} FROM metric_span WHERE series_id=? AND tier=? AND start=? AND unit=?",
            (series, tier, start, unit),
        )
        both = merge(_aggregate(row), value) if row else value
        histogram = None if both.points is None else msgspec.msgpack.encode(both.points)
        tx.execute(_PUT, (scope.account, scope.region, series, tier, start, unit, *both[:4], histogram))

    def spans(
        self, series: int, tiers: Sequence[int], start: float, end: float
    ) -> Iterator[tuple[int, str, Aggregate]]:
        """(start, unit, values) of the rows that begin in [start, end)."""
        for tier in tiers:
            rows = self._db.all(
                f"SELECT {_SPAN} FROM metric_span WHERE series_id=? AND tier=? AND start>=? AND start<? "
                "ORDER BY start LIMIT 700000",
                (series, tier, start, end),
            )
            for row in rows:
                yield int(row["start"]), row["unit"], _aggregate(row)

    def expired(self, tx: Tx, tier: int, before: float, limit: int) -> list[tuple[Scope, int, int, str, Aggregate]]:
        """Take out rows of a tier older than a time: (scope, series, start, unit, values)."""
        rows = tx.all(
            f"SELECT account, region, series_id, {_SPAN} FROM metric_span WHERE tier=? AND start<? "
            "ORDER BY start LIMIT ?",
            (tier, before, limit),
        )
        tx.executemany(
            "DELETE FROM metric_span WHERE series_id=? AND tier=? AND start=? AND unit=?",
            [(row["series_id"], tier, row["start"], row["unit"]) for row in rows],
        )
        return [
            (Scope(row["account"], row["region"]), row["series_id"], row["start"], row["unit"], _aggregate(row))
            for row in rows
        ]

    def forget_empty(self, tx: Tx, before: float, limit: int) -> None:
        """Remove series that were not put to since a time and have no rows left."""
        tx.execute(
            "DELETE FROM metric_series WHERE id IN (SELECT id FROM metric_series WHERE last_put<? AND NOT EXISTS "
            "(SELECT 1 FROM metric_span WHERE series_id=metric_series.id) LIMIT ?)",
            (before, limit),
        )


def _aggregate(row: Any) -> Aggregate:
    points = None if row["histogram"] is None else msgspec.msgpack.decode(row["histogram"], type=Points)
    return Aggregate(row["count"], row["total"], row["low"], row["high"], points)


def _dimensions(text: str) -> tuple[tuple[str, str], ...]:
    return msgspec.json.decode(text, type=tuple[tuple[str, str], ...])
