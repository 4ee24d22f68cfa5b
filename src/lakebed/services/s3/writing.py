"""The life of objects: taking a body in, making it the newest version of its key, deleting, under any versioning.

A write has two halves. ``take`` streams the body into a blob in constant memory, hashing as it goes; then ``commit``, in
one transaction without an await, checks the write's conditions against what the key holds *now*, replaces or demotes it,
and puts the events into the outbox. What the client is told is therefore durable, and writes to a key are in one order.
The blob of a replaced version is removed once its row is gone for good; a reader that opened it reads on.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/Versioning.html
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping
from typing import Any, NamedTuple

import msgspec

from lakebed.kernel.blobs import BlobWriter
from lakebed.kernel.db import Tx
from lakebed.kernel.errors import AwsError
from lakebed.kernel.kernel import Kernel
from lakebed.services.s3.model import checksums, conditions, notifications
from lakebed.services.s3.model.names import key_bytes
from lakebed.services.s3.model.shapes import (
    EMPTY_MD5,
    NULL_VERSION,
    Bucket,
    Caller,
    Facts,
    NewObject,
    ObjectVersion,
)
from lakebed.services.s3.removal import Removal
from lakebed.services.s3.store.objects import ObjectRows
from lakebed.wire.aws.checksums import Checksum, bad_checksum, bad_md5, content_md5, encoded
from lakebed.wire.aws.chunked import DecodedBody

TOPIC = "s3.notifications"
_PIECE = 256 << 10
_HASH_IN_THREAD_BYTES = 128 << 10


class BodyChecks(msgspec.Struct, frozen=True):
    """What the client says of a body it is about to send."""

    content_md5: bytes | None = None
    algorithm: str = ""
    checksum: str | None = None
    length: int | None = None

    @classmethod
    def of(cls, request: dict[str, Any], headers: Mapping[str, str]) -> BodyChecks:
        """From the members of PutObject or UploadPart, and the headers that describe a chunked body.

        https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html: Content-Length then counts the
        framing as well, and a checksum may be announced to come behind the body.
        """
        algorithm, value = checksums.expected(request, headers.get("x-amz-trailer", ""))
        decoded, length = headers.get("x-amz-decoded-content-length"), request.get("ContentLength")
        if decoded is not None or "aws-chunked" in headers.get("content-encoding", ""):
            length = int(decoded) if decoded is not None and decoded.isascii() and decoded.isdigit() else None
        return cls(content_md5(request.get("ContentMD5")), algorithm, value, length)


class Taken(NamedTuple):
    """A body that is a blob now, named by no row yet."""

    blob: str
    size: int
    etag: str
    checksum: str


class Conditions(NamedTuple):
    """If-Match and If-None-Match of a write."""

    if_match: str | None = None
    if_none_match: str | None = None


class Deleted(NamedTuple):
    """What a delete did: ``marker`` whether a delete marker was made or removed, ``version_id`` which version it was."""

    marker: bool
    version_id: str | None


class Writing:
    """Writes of one house."""

    def __init__(self, k: Kernel, objects: ObjectRows, removal: Removal, bytes_max: int) -> None:
        self._k, self._objects, self._removal, self._bytes_max = k, objects, removal, bytes_max

    async def take(self, body: bytes | AsyncIterator[bytes] | None, checks: BodyChecks) -> Taken:
        """Stream a body into a blob; raises what is wrong with it and leaves nothing behind."""
        if checks.length is not None and checks.length > self._bytes_max:
            raise self._too_large(checks.length)
        writer = self._k.blobs.create()
        try:
            md5 = hashlib.md5(usedforsecurity=False)
            announced = checks.algorithm if isinstance(body, DecodedBody) and body.announces(checks.algorithm) else ""
            wanted = checksums.hasher(checks.algorithm) if checks.algorithm and not announced else None
            if isinstance(body, bytes):
                await self._append(writer, body, md5, wanted)
            elif body is not None:
                async for chunk in body:
                    await self._append(writer, chunk, md5, wanted)
            checksum = encoded(wanted.digest()) if wanted else ""
            if announced and isinstance(body, DecodedBody):
                checksum = body.verified(announced)
            self._verify(checks, writer.size, md5.digest(), checksum)
            size = writer.size
            return Taken(await writer.commit(), size, md5.hexdigest(), checksum)
        except BaseException:
            writer.abort()
            raise

    async def _append(self, writer: BlobWriter, chunk: bytes, md5: Checksum, wanted: Checksum | None) -> None:
        if writer.size + len(chunk) > self._bytes_max:
            raise self._too_large(writer.size + len(chunk))
        for start in range(0, len(chunk), _PIECE):
            piece = chunk if len(chunk) <= _PIECE else chunk[start : start + _PIECE]
            writer.write(piece)
            if len(piece) < _HASH_IN_THREAD_BYTES:
                _hash(piece, md5, wanted)
            else:
                with self._k.clock.working():
                    await asyncio.to_thread(_hash, piece, md5, wanted)

    def _verify(self, checks: BodyChecks, size: int, md5: bytes, checksum: str) -> None:
        if checks.length is not None and size != checks.length:
            raise AwsError(
                "IncompleteBody",
                "You did not provide the number of bytes specified by the Content-Length HTTP header",
                status=400,
            )
        if checks.content_md5 is not None and checks.content_md5 != md5:
            raise bad_md5()
        if checks.checksum is not None and checks.checksum != checksum:
            raise bad_checksum(checks.algorithm)

    def _too_large(self, size: int) -> AwsError:
        return AwsError(
            "EntityTooLarge",
            "Your proposed upload exceeds the maximum allowed size",
            status=400,
            members={"ProposedSize": str(size), "MaxSizeAllowed": str(self._bytes_max)},
        )

    def commit(
        self,
        bucket_of: Any,
        new: NewObject,
        caller: Caller,
        event: str,
        wanted: Conditions = Conditions(),  # noqa: B008
    ) -> ObjectVersion:
        """Make ``new`` the newest version of its key. Its blob is removed when that fails.

        ``bucket_of`` gives the bucket as it is inside the transaction: it may have gone while the body came in.
        """
        try:
            with self._k.db.tx() as tx:
                bucket = bucket_of()
                version = self.put(tx, bucket, new, wanted)
                self.announce(tx, bucket, version, caller, event)
        except BaseException:
            self._k.blobs.delete([new.blob])
            raise
        self._k.meters.into(bucket.arn, 1, new.size)
        return version

    def put(self, tx: Tx, bucket: Bucket, new: NewObject, wanted: Conditions) -> ObjectVersion:
        """The rows of a write, in the caller's transaction."""
        key = key_bytes(new.key)
        current = self._objects.current(bucket.name, key)
        if wanted != (None, None):
            conditions.check_write(wanted.if_match, wanted.if_none_match, new.key, current)
        sequence = self._objects.next_sequence(tx)
        version_id = self._k.ids.token(32) if bucket.versioning == "Enabled" else NULL_VERSION
        version = ObjectVersion(
            bucket=bucket.name,
            key=new.key,
            rank=-sequence,
            version_id=version_id,
            size=new.size,
            etag=new.etag,
            modified=self._k.clock.now(),
            storage_class=new.storage_class,
            checksum_algorithm=new.checksum_algorithm,
            checksum_type=new.checksum_type,
            blob=new.blob,
            facts=new.facts,
        )
        self._make_room(tx, bucket, key, current)
        self._objects.put_current(tx, version)
        return version

    def _make_room(self, tx: Tx, bucket: Bucket, key: bytes, current: ObjectVersion | None) -> None:
        """What the new version does to those before it: demoted, or, where it takes their id, removed."""
        if bucket.versioning == "Enabled":
            if current is not None:
                self._objects.remove_current(tx, bucket.name, key)
                self._objects.put_other(tx, current)
            return
        if bucket.versioning == "Suspended":
            other = self._objects.version(bucket.name, key, NULL_VERSION)
            if other is not None and other != current:
                self._objects.remove_other(tx, other)
                self._drop_blob(tx, other)
            if current is not None and current.version_id != NULL_VERSION:
                self._objects.remove_current(tx, bucket.name, key)
                self._objects.put_other(tx, current)
                return
        if current is not None:
            self._objects.remove_current(tx, bucket.name, key)
            self._drop_blob(tx, current)

    def delete(
        self,
        tx: Tx,
        bucket: Bucket,
        key_text: str,
        version_id: str | None,
        caller: Caller,
        family: str = "s3:ObjectRemoved",
    ) -> Deleted:
        """DeleteObject's effect, announced in ``family``; absent keys and versions are no error."""
        key = key_bytes(key_text)
        if version_id is not None:
            return self._delete_version(tx, bucket, key, version_id, (caller, family))
        current = self._objects.current(bucket.name, key)
        if not bucket.versioning:
            if current is not None:
                self._objects.remove_current(tx, bucket.name, key)
                self._drop_blob(tx, current)
                gone = msgspec.structs.replace(current, rank=-self._objects.next_sequence(tx))
                self.announce(tx, bucket, gone, caller, f"{family}:Delete")
            return Deleted(False, None)
        self._make_room(tx, bucket, key, current)
        marker = self._marker(tx, bucket, key_text)
        self._objects.put_other(tx, marker)
        self.announce(tx, bucket, marker, caller, f"{family}:DeleteMarkerCreated")
        return Deleted(True, marker.version_id)

    def _marker(self, tx: Tx, bucket: Bucket, key: str) -> ObjectVersion:
        return ObjectVersion(
            bucket=bucket.name,
            key=key,
            rank=-self._objects.next_sequence(tx),
            version_id=self._k.ids.token(32) if bucket.versioning == "Enabled" else NULL_VERSION,
            size=0,
            etag=EMPTY_MD5,
            modified=self._k.clock.now(),
            storage_class="",
            checksum_algorithm="",
            checksum_type="",
            blob="",
            facts=Facts(),
            marker=True,
        )

    def _delete_version(
        self, tx: Tx, bucket: Bucket, key: bytes, version_id: str, cause: tuple[Caller, str]
    ) -> Deleted:
        found = self._objects.version(bucket.name, key, version_id)
        if found is None:
            return Deleted(False, version_id)
        current = self._objects.current(bucket.name, key)
        was_current = current is not None and current.version_id == version_id
        if was_current:
            self._objects.remove_current(tx, bucket.name, key)
        else:
            self._objects.remove_other(tx, found)
        if current is None or was_current:
            # The newest version went: the one before it becomes current, unless it is a delete marker.
            heir = self._objects.newest_other(bucket.name, key)
            if heir is not None and not heir.marker:
                self._objects.remove_other(tx, heir)
                self._objects.put_current(tx, heir)
        self._drop_blob(tx, found)
        gone = msgspec.structs.replace(found, rank=-self._objects.next_sequence(tx), marker=False)
        self.announce(tx, bucket, gone, cause[0], f"{cause[1]}:Delete")
        return Deleted(found.marker, version_id)

    def announce(self, tx: Tx, bucket: Bucket, version: ObjectVersion, caller: Caller, event: str) -> None:
        """Put the event into the outbox, once for each target that wants it."""
        for target in notifications.targets(bucket):
            if target.wants(event, version.key):
                body = notifications.event_json(event, bucket, version, caller, target, self._k.clock.now())
                self._k.outbox.emit(tx, TOPIC, notifications.Delivery(bucket.name, target.kind, target.arn, body))

    def retire(self, tx: Tx, bucket: str, blobs: list[str]) -> None:
        """Remove files once ``tx`` is durable."""
        if blobs:
            tx.after_commit(lambda: self._removal.retire(bucket, blobs))

    def _drop_blob(self, tx: Tx, version: ObjectVersion) -> None:
        if version.blob:
            self.retire(tx, version.bucket, [version.blob])


def _hash(piece: bytes, md5: Checksum, wanted: Checksum | None) -> None:
    md5.update(piece)
    if wanted is not None:
        wanted.update(piece)
