"""Buckets, their small configurations, and events that could not be delivered."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

import msgspec

from lakebed.kernel.db import Database, Tx
from lakebed.services.s3.model.errors import no_such_bucket
from lakebed.services.s3.model.shapes import Bucket, PublicAccessBlock

_UNDELIVERED_KEPT = 10_000
_COLUMNS = frozenset({
    "versioning", "policy", "public_access_block", "notification", "tags", "lifecycle", "ownership", "acl", "cors",
    "object_lock", "encryption",
})  # fmt: skip
_decode_block = msgspec.msgpack.Decoder(PublicAccessBlock).decode
_decode_tags = msgspec.msgpack.Decoder(dict[str, str]).decode


class Buckets:
    """The table of buckets of the whole house."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def find(self, name: str) -> Bucket | None:
        """The bucket of this name, whoever owns it."""
        row = self._db.one("SELECT * FROM s3_bucket WHERE name=?", (name,))
        return _bucket(row) if row else None

    def require(self, name: str) -> Bucket:
        """The bucket, or NoSuchBucket."""
        found = self.find(name)
        if found is None:
            raise no_such_bucket(name)
        return found

    def count(self, account: str) -> int:
        """How many buckets an account owns."""
        row = self._db.one("SELECT count(*) AS n FROM s3_bucket WHERE account=?", (account,))
        return int(row["n"]) if row else 0

    def owned(self, account: str, prefix: str, region: str | None, after: str, limit: int) -> Sequence[Bucket]:
        """Buckets of an account by name; ``region`` None means every region."""
        rows = self._db.all(
            "SELECT * FROM s3_bucket WHERE account=? AND name>? AND substr(name, 1, ?)=? AND (? IS NULL OR region=?) "
            "ORDER BY name LIMIT ?",
            (account, after, len(prefix), prefix, region, region, limit),
        )
        return [_bucket(row) for row in rows]

    def notifying(self, account: str, region: str) -> Sequence[Bucket]:
        """Buckets with a notification configuration, for the pipeline graph; bounded by the bucket quota."""
        rows = self._db.all(
            "SELECT * FROM s3_bucket WHERE account=? AND region=? AND notification IS NOT NULL ORDER BY name LIMIT 10000",
            (account, region),
        )
        return [_bucket(row) for row in rows]

    def next_with_lifecycle(self, after: str) -> str | None:
        """The next bucket by name that has lifecycle rules."""
        row = self._db.one(
            "SELECT name FROM s3_bucket WHERE name>? AND lifecycle IS NOT NULL ORDER BY name LIMIT 1", (after,)
        )
        return row["name"] if row else None

    def add(self, tx: Tx, bucket: Bucket) -> None:
        """Insert a bucket whose name is free."""
        tx.execute(
            "INSERT INTO s3_bucket (account, region, name, created_at, public_access_block, tags, versioning, ownership, acl, "
            "object_lock) VALUES (?,?,?,?,?,?,?,?,?,?)",
            (
                bucket.account,
                bucket.region,
                bucket.name,
                bucket.created_at,
                _packed(bucket.public_access_block),
                _packed(bucket.tags),
                bucket.versioning,
                bucket.ownership,
                bucket.acl,
                bucket.object_lock,
            ),
        )

    def put(self, tx: Tx, name: str, column: str, value: str | bytes | msgspec.Struct | dict[str, str] | None) -> None:
        """Set one configuration; structures are stored as MessagePack, None removes."""
        assert column in _COLUMNS
        stored = value if isinstance(value, str | bytes) else _packed(value)
        tx.execute(f"UPDATE s3_bucket SET {column}=? WHERE name=?", (stored, name))  # noqa: S608 - checked above

    def remove(self, tx: Tx, name: str) -> None:
        """Delete the row of an empty bucket."""
        tx.execute("DELETE FROM s3_bucket WHERE name=?", (name,))

    def bury(self, tx: Tx, bucket: Bucket, target: str, body: str, failed_at: float, error: str) -> None:
        """Keep an event that no try can deliver."""
        tx.execute(
            "INSERT INTO s3_undelivered (account, region, bucket, target, body, failed_at, error) VALUES (?,?,?,?,?,?,?)",
            (bucket.account, bucket.region, bucket.name, target, body, failed_at, error[:500]),
        )
        tx.execute(
            "DELETE FROM s3_undelivered WHERE id <= (SELECT max(id) FROM s3_undelivered) - ?", (_UNDELIVERED_KEPT,)
        )

    def undelivered(self, bucket: str) -> Sequence[dict[str, Any]]:
        """The newest buried events of a bucket."""
        rows = self._db.all("SELECT * FROM s3_undelivered WHERE bucket=? ORDER BY id DESC LIMIT 100", (bucket,))
        return [dict(row) for row in rows]


def _packed(value: msgspec.Struct | dict[str, str] | None) -> bytes | None:
    return None if value is None else msgspec.msgpack.encode(value)


def _bucket(row: sqlite3.Row) -> Bucket:
    block, tags = row["public_access_block"], row["tags"]
    return Bucket(
        account=row["account"],
        region=row["region"],
        name=row["name"],
        created_at=row["created_at"],
        versioning=row["versioning"] or "",
        policy=row["policy"],
        public_access_block=_decode_block(block) if block else None,
        notification=row["notification"],
        tags=_decode_tags(tags) if tags else None,
        lifecycle=row["lifecycle"],
        ownership=row["ownership"],
        acl=row["acl"],
        cors=row["cors"],
        object_lock=row["object_lock"],
        encryption=row["encryption"],
    )
