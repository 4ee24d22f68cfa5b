"""Object versions. The newest version of a key, where it is an object, is the one row of ``s3_object``; every other
version and every delete marker is a row of ``s3_version``. A plain PUT or GET thus touches one row of one B-tree, and
a listing walks neighbouring rows of it.

Invariant: a row of ``s3_object`` has a lower rank (is newer) than all rows of its key in ``s3_version``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from lakebed.kernel.db import Database, Tx
from lakebed.services.s3.model.listing import Position
from lakebed.services.s3.model.shapes import Facts, ObjectVersion

_COLUMNS = (
    "bucket, key, rank, version_id, size, etag, modified, storage_class, checksum_algorithm, checksum_type, blob, facts"
)
_LISTED = "key, rank, version_id, size, etag, modified, storage_class, checksum_algorithm, checksum_type"
_SWEEP_PAGE = 5000
_decode_facts = msgspec.msgpack.Decoder(Facts).decode
_encode = msgspec.msgpack.encode


class ListedVersion(NamedTuple):
    """A row of a listing: what ListObjects and ListObjectVersions tell, without facts and blob."""

    key: bytes
    rank: int
    version_id: str
    size: int
    etag: str
    modified: float
    storage_class: str
    checksum_algorithm: str
    checksum_type: str
    marker: int = 0
    current: int = 1


class ObjectRows:
    """Both tables of versions."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def next_sequence(self, tx: Tx) -> int:
        """A number higher than all before it."""
        row = tx.one("UPDATE s3_sequence SET value=value+1 RETURNING value")
        assert row is not None
        return int(row["value"])

    def current(self, bucket: str, key: bytes) -> ObjectVersion | None:
        """The newest version, unless it is a delete marker or there is none."""
        row = self._db.one("SELECT *, 0 AS marker FROM s3_object WHERE bucket=? AND key=?", (bucket, key))
        return _version(row) if row else None

    def newest_other(self, bucket: str, key: bytes) -> ObjectVersion | None:
        """The newest row of ``s3_version``: the newest version of all where ``current`` is None."""
        row = self._db.one("SELECT * FROM s3_version WHERE bucket=? AND key=? ORDER BY rank LIMIT 1", (bucket, key))
        return _version(row) if row else None

    def version(self, bucket: str, key: bytes, version_id: str) -> ObjectVersion | None:
        """One version by its id, current or not."""
        current = self.current(bucket, key)
        if current is not None and current.version_id == version_id:
            return current
        row = self._db.one(
            "SELECT * FROM s3_version WHERE bucket=? AND key=? AND version_id=?", (bucket, key, version_id)
        )
        return _version(row) if row else None

    def put_current(self, tx: Tx, version: ObjectVersion) -> None:
        """Make ``version`` the current row of its key, replacing what is there."""
        tx.execute(f"INSERT OR REPLACE INTO s3_object ({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)", _row(version))  # noqa: S608

    def remove_current(self, tx: Tx, bucket: str, key: bytes) -> None:
        """Take the current row away."""
        tx.execute("DELETE FROM s3_object WHERE bucket=? AND key=?", (bucket, key))

    def put_other(self, tx: Tx, version: ObjectVersion) -> None:
        """Add a non-current version or a delete marker."""
        tx.execute(
            f"INSERT INTO s3_version ({_COLUMNS}, marker) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",  # noqa: S608
            (*_row(version), int(version.marker)),
        )

    def remove_other(self, tx: Tx, version: ObjectVersion) -> None:
        """Take a non-current version or a delete marker away."""
        tx.execute(
            "DELETE FROM s3_version WHERE bucket=? AND key=? AND rank=?",
            (version.bucket, version.key.encode(), version.rank),
        )

    def put_facts(self, tx: Tx, version: ObjectVersion, facts: Facts) -> None:
        """Replace the facts of a version (tags, lock, ACL, restore)."""
        for table in ("s3_object", "s3_version"):
            tx.execute(
                f"UPDATE {table} SET facts=? WHERE bucket=? AND key=? AND rank=?",  # noqa: S608 - two literals
                (_encode(facts), version.bucket, version.key.encode(), version.rank),
            )

    def put_class(self, tx: Tx, version: ObjectVersion, storage_class: str) -> None:
        """Move a version to another storage class (a lifecycle transition)."""
        for table in ("s3_object", "s3_version"):
            tx.execute(
                f"UPDATE {table} SET storage_class=? WHERE bucket=? AND key=? AND rank=?",  # noqa: S608 - two literals
                (storage_class, version.bucket, version.key.encode(), version.rank),
            )

    def page(self, bucket: str, start: Position, end: bytes | None, limit: int) -> Sequence[ListedVersion]:
        """Current objects behind ``start`` and before ``end`` in key order."""
        key, tie = start
        compare = ">=" if tie < 0 else ">"
        bound = " AND key<?" if end is not None else ""
        rows = self._db.all(
            f"SELECT {_LISTED} FROM s3_object WHERE bucket=? AND key{compare}?{bound} ORDER BY key LIMIT ?",  # noqa: S608
            (bucket, key, *([end] if end is not None else []), limit),
        )
        return [ListedVersion(*row) for row in rows]

    def whole_page(self, bucket: str, start: Position, end: bytes | None, limit: int) -> Sequence[ObjectVersion]:
        """As ``page``, with everything of each object: for neighbours that go on to read them."""
        key, tie = start
        compare = ">=" if tie < 0 else ">"
        bound = " AND key<?" if end is not None else ""
        rows = self._db.all(
            f"SELECT *, 0 AS marker FROM s3_object WHERE bucket=? AND key{compare}?{bound} ORDER BY key LIMIT ?",  # noqa: S608
            (bucket, key, *([end] if end is not None else []), limit),
        )
        return [_version(row) for row in rows]

    def versions_page(self, bucket: str, start: Position, end: bytes | None, limit: int) -> Sequence[ListedVersion]:
        """All versions behind ``start``: keys ascending, newest version first."""
        key, tie = start
        where = "bucket=? AND key>=? AND (key>? OR rank>?)" + (" AND key<?" if end is not None else "")
        bind = (bucket, key, key, tie, *([end] if end is not None else []), limit)
        arms = (
            f"SELECT * FROM (SELECT {_LISTED}, {extra} FROM {table} WHERE {where} ORDER BY key, rank LIMIT ?)"  # noqa: S608
            for table, extra in (("s3_object", "0 AS marker, 1 AS now"), ("s3_version", "marker, 0 AS now"))
        )
        rows = self._db.all(" UNION ALL ".join(arms) + " ORDER BY key, rank LIMIT ?", (*bind, *bind, limit))
        return [ListedVersion(*row) for row in rows]

    def is_only(self, bucket: str, key: bytes) -> bool:
        """Whether a key has one row of ``s3_version`` and no current object."""
        rows = self._db.all("SELECT 1 FROM s3_version WHERE bucket=? AND key=? LIMIT 2", (bucket, key))
        return len(rows) == 1 and self.current(bucket, key) is None

    def is_empty(self, bucket: str) -> bool:
        """Whether no version and no delete marker is left."""
        return not any(
            self._db.one(f"SELECT 1 FROM {table} WHERE bucket=? LIMIT 1", (bucket,))  # noqa: S608 - two literals
            for table in ("s3_object", "s3_version")
        )

    def blobs(self) -> Iterator[str]:
        """Every blob that a version names, for the sweep at boot."""
        for table in ("s3_object", "s3_version"):
            place: tuple[str, bytes, int] = ("", b"", -(1 << 63))
            while rows := self._db.all(
                f"SELECT bucket, key, rank, blob FROM {table} WHERE (bucket, key, rank) > (?, ?, ?) "  # noqa: S608
                "ORDER BY bucket, key, rank LIMIT ?",
                (*place, _SWEEP_PAGE),
            ):
                yield from (row["blob"] for row in rows if row["blob"])
                place = (rows[-1]["bucket"], rows[-1]["key"], rows[-1]["rank"])


def _row(version: ObjectVersion) -> tuple[object, ...]:
    return (
        version.bucket,
        version.key.encode(),
        version.rank,
        version.version_id,
        version.size,
        version.etag,
        version.modified,
        version.storage_class,
        version.checksum_algorithm,
        version.checksum_type,
        version.blob,
        _encode(version.facts),
    )


def _version(row: sqlite3.Row) -> ObjectVersion:
    values = list(row)
    values[1], values[11], values[12] = values[1].decode(), _decode_facts(values[11]), bool(values[12])
    return ObjectVersion(*values)
