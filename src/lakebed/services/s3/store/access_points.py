"""Access points, and the public access block of whole accounts."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import msgspec

from lakebed.kernel.db import Database, Tx
from lakebed.kernel.scope import Scope
from lakebed.services.s3.model.points import ALIAS_SUFFIX, ARN_FORM, HOST_FORM, AccessPoint
from lakebed.services.s3.model.shapes import PublicAccessBlock

_COLUMNS = frozenset({"policy", "tags"})
_decode_block = msgspec.msgpack.Decoder(PublicAccessBlock).decode
_decode_tags = msgspec.msgpack.Decoder(dict[str, str]).decode
_encode = msgspec.msgpack.encode


class AccessPoints:
    """Both tables."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._blocks: dict[str, PublicAccessBlock | None] = {}  # by account; every bucket request asks

    def find(self, scope: Scope, name: str) -> AccessPoint | None:
        """By name, where it was made."""
        row = self._db.one(
            "SELECT * FROM s3_access_point WHERE account=? AND region=? AND name=?", (scope.account, scope.region, name)
        )
        return _point(row) if row else None

    def named(self, text: str) -> AccessPoint | None:
        """What stands in a bucket's place: an alias, an ARN, or ``<name>-<account>``."""
        if text.endswith(ALIAS_SUFFIX):
            row = self._db.one("SELECT * FROM s3_access_point WHERE alias=?", (text,))
            return _point(row) if row else None
        if (arn := ARN_FORM.fullmatch(text)) is not None:
            return self.find(Scope(arn[2], arn[1]), arn[3])
        host = HOST_FORM.fullmatch(text)
        if host is None:
            return None
        row = self._db.one(
            "SELECT * FROM s3_access_point WHERE account=? AND name=? ORDER BY region LIMIT 1", (host[2], host[1])
        )
        return _point(row) if row else None

    def page(self, scope: Scope, bucket: str | None, after: str, limit: int) -> Sequence[AccessPoint]:
        """Access points of an account and region by name, of one bucket or of all."""
        rows = self._db.all(
            "SELECT * FROM s3_access_point WHERE account=? AND region=? AND name>? AND (? IS NULL OR bucket=?) "
            "ORDER BY name LIMIT ?",
            (scope.account, scope.region, after, bucket, bucket, limit),
        )
        return [_point(row) for row in rows]

    def count(self, scope: Scope) -> int:
        """How many an account has in a region."""
        row = self._db.one(
            "SELECT count(*) AS n FROM s3_access_point WHERE account=? AND region=?", (scope.account, scope.region)
        )
        return int(row["n"]) if row else 0

    def of_bucket(self, bucket: str) -> AccessPoint | None:
        """One access point of a bucket, if it has any."""
        row = self._db.one("SELECT * FROM s3_access_point WHERE bucket=? LIMIT 1", (bucket,))
        return _point(row) if row else None

    def add(self, tx: Tx, point: AccessPoint) -> None:
        """Insert one whose name is free."""
        tx.execute(
            "INSERT INTO s3_access_point (account, region, name, bucket, alias, created_at, public_access_block, vpc_id, tags) "
            "VALUES (?,?,?,?,?,?,?,?,?)",
            (
                point.account,
                point.region,
                point.name,
                point.bucket,
                point.alias,
                point.created_at,
                _encode(point.public_access_block),
                point.vpc_id,
                _encode(point.tags),
            ),
        )

    def put(self, tx: Tx, point: AccessPoint, column: str, value: str | bytes | None) -> None:
        """Set its policy or its tags."""
        assert column in _COLUMNS
        tx.execute(
            f"UPDATE s3_access_point SET {column}=? WHERE account=? AND region=? AND name=?",  # noqa: S608 - checked above
            (value, point.account, point.region, point.name),
        )

    def remove(self, tx: Tx, point: AccessPoint) -> None:
        """Delete it."""
        tx.execute(
            "DELETE FROM s3_access_point WHERE account=? AND region=? AND name=?",
            (point.account, point.region, point.name),
        )

    def account_block(self, account: str) -> PublicAccessBlock | None:
        """The public access block of an account."""
        if account not in self._blocks:
            row = self._db.one("SELECT public_access_block FROM s3_account_block WHERE account=?", (account,))
            self._blocks[account] = _decode_block(row["public_access_block"]) if row else None
        return self._blocks[account]

    def put_account_block(self, tx: Tx, account: str, block: PublicAccessBlock | None) -> None:
        """Set or remove it."""
        if block is None:
            tx.execute("DELETE FROM s3_account_block WHERE account=?", (account,))
        else:
            tx.execute(
                "INSERT OR REPLACE INTO s3_account_block (account, public_access_block) VALUES (?,?)",
                (account, _encode(block)),
            )
        tx.after_commit(lambda: self._blocks.pop(account, None))


def _point(row: sqlite3.Row) -> AccessPoint:
    return AccessPoint(
        account=row["account"],
        region=row["region"],
        name=row["name"],
        bucket=row["bucket"],
        alias=row["alias"],
        created_at=row["created_at"],
        public_access_block=_decode_block(row["public_access_block"]),
        vpc_id=row["vpc_id"],
        policy=row["policy"],
        tags=_decode_tags(row["tags"]) if row["tags"] else {},
    )
