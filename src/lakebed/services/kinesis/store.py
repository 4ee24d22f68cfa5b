"""The only SQL of Kinesis, and the streams kept in memory: every call needs its stream, none may pay a query for it.

The event loop is the only writer, so the memory is right as long as each write drops its entry.
"""

from __future__ import annotations

import sqlite3

import msgspec

from lakebed.api import kinesis as api
from lakebed.kernel.db import Database, Tx
from lakebed.kernel.scope import Scope
from lakebed.services.kinesis.model import Shard, Stream

_CACHE_MAX = 10_000


class StreamStore:
    """Streams by scope and name, or by uid."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._by_name: dict[tuple[str, str, str], Stream] = {}
        self._names: dict[str, tuple[str, str, str]] = {}

    def find(self, scope: Scope, name: str) -> Stream | None:
        """A stream, or None."""
        key = (scope.account, scope.region, name)
        found = self._by_name.get(key)
        if found is None:
            row = self._db.one("SELECT * FROM kinesis_stream WHERE account=? AND region=? AND name=?", key)
            if row is None:
                return None
            found = self._load(row, scope)
            if len(self._by_name) >= _CACHE_MAX:
                self._by_name.clear()
            self._by_name[key] = found
            self._names[found.uid] = key
        return found

    def require(self, scope: Scope, name: str) -> Stream:
        """A stream, or AWS's error."""
        found = self.find(scope, name)
        if found is None:
            raise api.ResourceNotFoundException(f"Stream {name} under account {scope.account} not found.")
        return found

    def by_uid(self, uid: str) -> Stream | None:
        """The stream a token was made for."""
        key = self._names.get(uid)
        if key is None:
            row = self._db.one("SELECT account, region, name FROM kinesis_stream WHERE uid=?", (uid,))
            if row is None:
                return None
            key = (row["account"], row["region"], row["name"])
        found = self.find(Scope(key[0], key[1]), key[2])
        return found if found is not None and found.uid == uid else None

    def names(self, scope: Scope, after: str, limit: int) -> list[str]:
        """Names in order, behind ``after``."""
        rows = self._db.all(
            "SELECT name FROM kinesis_stream WHERE account=? AND region=? AND name>? ORDER BY name LIMIT ?",
            (scope.account, scope.region, after, limit),
        )
        return [row["name"] for row in rows]

    def all_streams(self) -> list[Stream]:
        """Every stream of every scope, for tasks."""
        rows = self._db.all("SELECT account, region, name FROM kinesis_stream ORDER BY account, region, name")
        found = (self.find(Scope(row["account"], row["region"]), row["name"]) for row in rows)
        return [stream for stream in found if stream is not None]

    def on_demand(self) -> list[Stream]:
        """Every on-demand stream of every scope, for scaling."""
        rows = self._db.all("SELECT account, region, name FROM kinesis_stream WHERE mode='ON_DEMAND'")
        found = (self.find(Scope(row["account"], row["region"]), row["name"]) for row in rows)
        return [stream for stream in found if stream is not None]

    def counts(self, scope: Scope) -> tuple[int, int]:
        """Open shards of provisioned streams, and how many streams are on demand."""
        row = self._db.one(
            "SELECT (SELECT count(*) FROM kinesis_shard AS s JOIN kinesis_stream AS t USING (uid) WHERE t.account=:a AND "
            "t.region=:r AND t.mode='PROVISIONED' AND s.closed_at IS NULL) AS shards, (SELECT count(*) FROM "
            "kinesis_stream WHERE account=:a AND region=:r AND mode='ON_DEMAND') AS on_demand",
            {"a": scope.account, "r": scope.region},
        )
        assert row is not None
        return int(row["shards"]), int(row["on_demand"])

    def insert(self, tx: Tx, stream: Stream) -> None:
        """A new stream with its shards."""
        tx.execute(
            "INSERT INTO kinesis_stream (account, region, name, uid, secret, created_at, mode, retention_hours, "
            "record_kib_max, tags, key_id, policy, metrics, distribution, warm_mibps) "
            "VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
            (
                stream.scope.account,
                stream.scope.region,
                stream.name,
                stream.uid,
                stream.secret,
                stream.created_at,
                *_changeable(stream),
            ),
        )
        self._put_shards(tx, stream)
        self._forget(tx, stream)

    def update(self, tx: Tx, stream: Stream) -> None:
        """Settings and tags of a stream that exists."""
        tx.execute(
            "UPDATE kinesis_stream SET mode=?, retention_hours=?, record_kib_max=?, tags=?, key_id=?, policy=?, metrics=?, "
            "distribution=?, warm_mibps=? WHERE account=? AND region=? AND name=?",
            (*_changeable(stream), stream.scope.account, stream.scope.region, stream.name),
        )
        self._forget(tx, stream)

    def update_shards(self, tx: Tx, stream: Stream) -> None:
        """The shards as the stream has them now."""
        tx.execute(
            "DELETE FROM kinesis_shard WHERE account=? AND region=? AND uid=?",
            (stream.scope.account, stream.scope.region, stream.uid),
        )
        self._put_shards(tx, stream)
        self._forget(tx, stream)

    def delete(self, tx: Tx, stream: Stream) -> None:
        """Stream and shards."""
        tx.execute(
            "DELETE FROM kinesis_stream WHERE account=? AND region=? AND name=?",
            (stream.scope.account, stream.scope.region, stream.name),
        )
        self._forget(tx, stream)

    def _put_shards(self, tx: Tx, stream: Stream) -> None:
        tx.executemany(
            "INSERT INTO kinesis_shard VALUES (?,?,?,?,?,?,?,?,?,?,?)",
            [
                (
                    stream.scope.account,
                    stream.scope.region,
                    stream.uid,
                    shard.number,
                    f"{shard.hash_start:039d}",
                    f"{shard.hash_end:039d}",
                    shard.parent,
                    shard.adjacent_parent,
                    shard.opened_at,
                    shard.closed_at,
                    shard.end_offset,
                )
                for shard in stream.shards
            ],
        )

    def _forget(self, tx: Tx, stream: Stream) -> None:
        def forget() -> None:
            self._by_name.pop((stream.scope.account, stream.scope.region, stream.name), None)
            self._names.pop(stream.uid, None)

        tx.after_commit(forget)

    def _load(self, row: sqlite3.Row, scope: Scope) -> Stream:
        shards = self._db.all(
            "SELECT * FROM kinesis_shard WHERE account=? AND region=? AND uid=? ORDER BY number",
            (scope.account, scope.region, row["uid"]),
        )
        return Stream(
            scope=scope,
            name=row["name"],
            uid=row["uid"],
            secret=row["secret"],
            mode=row["mode"],
            created_at=row["created_at"],
            retention_hours=row["retention_hours"],
            record_kib_max=row["record_kib_max"],
            tags=msgspec.json.decode(row["tags"]),
            key_id=row["key_id"],
            policy=row["policy"],
            metrics=tuple(msgspec.json.decode(row["metrics"])),
            distribution=row["distribution"],
            warm_mibps=row["warm_mibps"],
            shards=tuple(
                Shard(
                    number=shard["number"],
                    hash_start=int(shard["hash_start"]),
                    hash_end=int(shard["hash_end"]),
                    opened_at=shard["opened_at"],
                    parent=shard["parent"],
                    adjacent_parent=shard["adjacent_parent"],
                    closed_at=shard["closed_at"],
                    end_offset=shard["end_offset"],
                )
                for shard in shards
            ),
        )


def _changeable(stream: Stream) -> tuple[object, ...]:
    return (
        stream.mode,
        stream.retention_hours,
        stream.record_kib_max,
        msgspec.json.encode(dict(stream.tags)).decode(),
        stream.key_id,
        stream.policy,
        msgspec.json.encode(stream.metrics).decode(),
        stream.distribution,
        stream.warm_mibps,
    )
