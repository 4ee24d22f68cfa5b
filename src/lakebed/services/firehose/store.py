"""The only SQL of Firehose, and the delivery streams kept in memory (a put may not pay a query)."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from lakebed.api import firehose as api
from lakebed.kernel.db import Database, Tx
from lakebed.kernel.scope import Scope
from lakebed.services.firehose.buffers import Buffer, Buffers, restored
from lakebed.services.firehose.model import DeliveryStream, Encryption, Plan, Source

_CACHE_MAX = 10_000


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


class DeliveryStore:
    """Delivery streams and how far each one is."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._known: dict[tuple[str, str, str], DeliveryStream] = {}

    def find(self, scope: Scope, name: str) -> DeliveryStream | None:
        """A delivery stream, or None."""
        key = (scope.account, scope.region, name)
        found = self._known.get(key)
        if found is None:
            row = self._db.one("SELECT * FROM firehose_stream WHERE account=? AND region=? AND name=?", key)
            if row is None:
                return None
            if len(self._known) >= _CACHE_MAX:
                self._known.clear()
            found = self._known[key] = _stream(row, scope)
        return found

    def require(self, scope: Scope, name: str) -> DeliveryStream:
        """A delivery stream, or AWS's error."""
        found = self.find(scope, name)
        if found is None:
            raise api.ResourceNotFoundException(f"Firehose {name} under account {scope.account} not found.")
        return found

    def names(self, scope: Scope, kind: str | None, after: str, limit: int) -> list[str]:
        """Names in order behind ``after``, of one type where asked."""
        rows = self._db.all(
            "SELECT name FROM firehose_stream WHERE account=? AND region=? AND name>? AND (? IS NULL OR "
            "json_extract(source, '$.kind')=?) ORDER BY name LIMIT ?",
            (scope.account, scope.region, after, kind, kind, limit),
        )
        return [row["name"] for row in rows]

    def in_scope(self, scope: Scope) -> list[DeliveryStream]:
        """All of an account and region (bounded by the quota)."""
        return [self.require(scope, name) for name in self.names(scope, None, "", 100_000)]

    def all_streams(self) -> list[DeliveryStream]:
        """Every delivery stream, for the start."""
        rows = self._db.all("SELECT account, region, name FROM firehose_stream ORDER BY account, region, name")
        return [self.require(Scope(row["account"], row["region"]), row["name"]) for row in rows]

    def insert(self, tx: Tx, stream: DeliveryStream, positions: Mapping[str, int]) -> None:
        """A new delivery stream that begins reading its source at ``positions``."""
        tx.execute(
            "INSERT INTO firehose_stream (account, region, name, uid, created_at, version, source, destination, tags, "
            "positions, kind, encryption) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
            (
                stream.scope.account,
                stream.scope.region,
                stream.name,
                stream.uid,
                stream.created_at,
                stream.version,
                _json(stream.source),
                _json(stream.destination),
                _json(stream.tags),
                _json(positions),
                stream.kind,
                _json(stream.encryption),
            ),
        )

    def update(self, tx: Tx, stream: DeliveryStream) -> None:
        """Configuration and tags."""
        tx.execute(
            "UPDATE firehose_stream SET updated_at=?, version=?, destination=?, tags=?, encryption=? "
            "WHERE account=? AND region=? AND name=?",
            (
                stream.updated_at,
                stream.version,
                _json(stream.destination),
                _json(stream.tags),
                _json(stream.encryption),
                stream.scope.account,
                stream.scope.region,
                stream.name,
            ),
        )
        self._forget(tx, stream)

    def delete(self, tx: Tx, stream: DeliveryStream) -> None:
        """The delivery stream and everything about it."""
        tx.execute(
            "DELETE FROM firehose_stream WHERE account=? AND region=? AND name=?",
            (stream.scope.account, stream.scope.region, stream.name),
        )
        self._forget(tx, stream)

    def progress(self, stream: DeliveryStream) -> tuple[Buffers, list[Plan]]:
        """How far a delivery stream got, and what it had planned to put."""
        where = (stream.scope.account, stream.scope.region, stream.uid)
        row = self._db.one(
            "SELECT watermark, positions FROM firehose_stream WHERE account=? AND region=? AND uid=?", where
        )
        assert row is not None
        delivered = self._db.all(
            "SELECT lane, upto FROM firehose_delivered WHERE account=? AND region=? AND uid=?", where
        )
        rows = self._db.all(
            "SELECT plan FROM firehose_planned WHERE account=? AND region=? AND uid=? ORDER BY rowid", where
        )
        plans = [msgspec.json.decode(each["plan"], type=Plan) for each in rows]
        buffers = restored(
            row["watermark"], {each["lane"]: each["upto"] for each in delivered}, [plan.buffer() for plan in plans]
        )
        buffers.positions = msgspec.json.decode(row["positions"], type=dict[str, int])
        return buffers, plans

    def plan(self, stream: DeliveryStream, plans: Sequence[Plan]) -> None:
        """Record objects decided on, in one transaction."""
        scope = stream.scope
        with self._db.tx() as tx:
            tx.executemany(
                "INSERT INTO firehose_planned VALUES (?,?,?,?,?,?)",
                [(scope.account, scope.region, stream.uid, plan.lane, plan.first, _json(plan)) for plan in plans],
            )

    def mark(self, stream: DeliveryStream, done: Buffer, buffers: Buffers) -> None:
        """``done`` is in S3: forget its plan and remember how far its lane and the whole stream are, at once."""
        where = (stream.scope.account, stream.scope.region, stream.uid)
        watermark = buffers.watermark()
        with self._db.tx() as tx:
            tx.execute(
                "DELETE FROM firehose_planned WHERE account=? AND region=? AND uid=? AND lane=? AND first=?",
                (*where, done.lane, done.first),
            )
            tx.execute(
                "INSERT INTO firehose_delivered VALUES (?,?,?,?,?) ON CONFLICT DO UPDATE SET upto=excluded.upto",
                (*where, done.lane, done.upto),
            )
            tx.execute(
                "DELETE FROM firehose_delivered WHERE account=? AND region=? AND uid=? AND upto<=?", (*where, watermark)
            )
            tx.execute(
                "UPDATE firehose_stream SET watermark=?, positions=? WHERE account=? AND region=? AND uid=?",
                (watermark, _json(buffers.positions), *where),
            )

    def save(self, stream: DeliveryStream, buffers: Buffers) -> None:
        """How far the stream is, without a delivery."""
        with self._db.tx() as tx:
            tx.execute(
                "UPDATE firehose_stream SET watermark=?, positions=? WHERE account=? AND region=? AND uid=?",
                (
                    buffers.watermark(),
                    _json(buffers.positions),
                    stream.scope.account,
                    stream.scope.region,
                    stream.uid,
                ),
            )

    def _forget(self, tx: Tx, stream: DeliveryStream) -> None:
        key = (stream.scope.account, stream.scope.region, stream.name)
        tx.after_commit(lambda: self._known.pop(key, None))


def _stream(row: sqlite3.Row, scope: Scope) -> DeliveryStream:
    return DeliveryStream(
        scope=scope,
        name=row["name"],
        uid=row["uid"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        version=row["version"],
        source=msgspec.json.decode(row["source"], type=Source),
        destination=msgspec.json.decode(row["destination"]),
        tags=msgspec.json.decode(row["tags"]),
        kind=row["kind"],
        encryption=msgspec.json.decode(row["encryption"], type=Encryption),
    )
