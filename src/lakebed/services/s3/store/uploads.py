"""Multipart uploads and their parts."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence

import msgspec

from lakebed.kernel.db import Database, Tx
from lakebed.services.s3.model.errors import no_such_upload
from lakebed.services.s3.model.listing import Position
from lakebed.services.s3.model.shapes import Facts, Part, Upload

_COMPLETED_KEPT = 10_000
_decode_facts = msgspec.msgpack.Decoder(Facts).decode
_COLUMNS = "bucket, key, rank, upload_id, initiated, initiator, storage_class, checksum_algorithm, checksum_type, facts"


class ListedUpload(msgspec.Struct, frozen=True):
    """An upload as ListMultipartUploads walks it."""

    key: bytes
    rank: int
    upload: Upload


class UploadRows:
    """Uploads in progress; at most 10,000 parts each."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def require(self, bucket: str, key: str, upload_id: str) -> Upload:
        """The upload of this bucket and key, or NoSuchUpload."""
        row = self._db.one("SELECT * FROM s3_upload WHERE upload_id=?", (upload_id,))
        if row is None or row["bucket"] != bucket or row["key"].decode() != key:
            raise no_such_upload(upload_id)
        return _upload(row)

    def count(self, bucket: str) -> int:
        """Unfinished uploads of a bucket."""
        row = self._db.one("SELECT count(*) AS n FROM s3_upload WHERE bucket=?", (bucket,))
        return int(row["n"]) if row else 0

    def add(self, tx: Tx, upload: Upload) -> None:
        """Begin."""
        tx.execute(
            f"INSERT INTO s3_upload ({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?)",  # noqa: S608
            (
                upload.bucket,
                upload.key.encode(),
                upload.rank,
                upload.upload_id,
                upload.initiated,
                upload.initiator,
                upload.storage_class,
                upload.checksum_algorithm,
                upload.checksum_type,
                msgspec.msgpack.encode(upload.facts),
            ),
        )

    def remove(self, tx: Tx, upload: Upload) -> list[str]:
        """End it, one way or the other; the blobs of its parts."""
        blobs = [part.blob for part in self.parts(upload.upload_id)]
        tx.execute("DELETE FROM s3_part WHERE upload_id=?", (upload.upload_id,))
        tx.execute("DELETE FROM s3_upload WHERE upload_id=?", (upload.upload_id,))
        return blobs

    def remember(self, tx: Tx, upload: Upload, version_id: str, etag: str) -> None:
        """The upload became this version."""
        tx.execute(
            "INSERT INTO s3_completed (bucket, key, upload_id, version_id, etag) VALUES (?,?,?,?,?)",
            (upload.bucket, upload.key.encode(), upload.upload_id, version_id, etag),
        )
        tx.execute("DELETE FROM s3_completed WHERE id <= (SELECT max(id) FROM s3_completed) - ?", (_COMPLETED_KEPT,))

    def completed(self, bucket: str, key: str, upload_id: str) -> tuple[str, str] | None:
        """Version and entity tag of an upload that was completed lately."""
        row = self._db.one(
            "SELECT version_id, etag FROM s3_completed WHERE upload_id=? AND bucket=? AND key=?",
            (upload_id, bucket, key.encode()),
        )
        return (row["version_id"], row["etag"]) if row else None

    def remove_all(self, tx: Tx, bucket: str) -> list[str]:
        """End every upload of a bucket that goes away."""
        rows = tx.all("SELECT * FROM s3_upload WHERE bucket=?", (bucket,))
        return [blob for row in rows for blob in self.remove(tx, _upload(row))]

    def put_part(self, tx: Tx, upload_id: str, part: Part) -> list[str]:
        """Store a part over an earlier one of its number; the earlier one's blobs."""
        old = tx.one("SELECT blob FROM s3_part WHERE upload_id=? AND number=?", (upload_id, part.number))
        tx.execute(
            "INSERT OR REPLACE INTO s3_part (upload_id, number, size, etag, modified, checksum, blob, nonce) "
            "VALUES (?,?,?,?,?,?,?,?)",
            (upload_id, part.number, part.size, part.etag, part.modified, part.checksum, part.blob, part.nonce),
        )
        return [old["blob"]] if old else []

    def parts(self, upload_id: str, after: int = 0, limit: int = 10_000) -> Sequence[Part]:
        """Parts by number."""
        rows = self._db.all(
            "SELECT number, size, etag, modified, checksum, blob, nonce FROM s3_part WHERE upload_id=? AND number>? "
            "ORDER BY number LIMIT ?",
            (upload_id, after, limit),
        )
        return [Part(*row) for row in rows]

    def page(self, bucket: str, start: Position, end: bytes | None, limit: int) -> Sequence[ListedUpload]:
        """Uploads behind ``start`` by key, then by their beginning."""
        key, tie = start
        bound = " AND key<?" if end is not None else ""
        rows = self._db.all(
            f"SELECT * FROM s3_upload WHERE bucket=? AND key>=? AND (key>? OR rank>?){bound} ORDER BY key, rank LIMIT ?",  # noqa: S608
            (bucket, key, key, tie, *([end] if end is not None else []), limit),
        )
        return [ListedUpload(row["key"], row["rank"], _upload(row)) for row in rows]

    def blobs(self) -> Iterator[str]:
        """Every blob that a part names."""
        for row in self._db.all("SELECT blob FROM s3_part"):
            yield row["blob"]


def _upload(row: sqlite3.Row) -> Upload:
    values = list(row)
    values[1], values[9] = values[1].decode(), _decode_facts(values[9])
    return Upload(*values)
