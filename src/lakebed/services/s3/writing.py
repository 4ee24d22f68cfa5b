"""The life of objects: taking a body in, making it the newest version of its key, deleting, under any versioning.

A write has two halves. ``intake`` streams the body into a blob in constant memory, hashing as it goes; then ``commit``, in
one transaction without an await, checks the write's conditions against what the key holds *now*, replaces or demotes it,
and puts the events into the outbox. What the client is told is therefore durable, and writes to a key are in one order.
The blob of a replaced version is removed once its row is gone for good; a reader that opened it reads on. A version that
is locked stays, whoever asks.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/Versioning.html
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from lakebed.kernel.db import Tx
from lakebed.kernel.kernel import Kernel
from lakebed.services.s3.model import conditions, locks, notifications
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

TOPIC = "s3.notifications"


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

    def __init__(self, k: Kernel, objects: ObjectRows, removal: Removal) -> None:
        self._k, self._objects, self._removal = k, objects, removal

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
        *,
        bypass: bool = False,
    ) -> Deleted:
        """DeleteObject's effect, announced in ``family``; absent keys and versions are no error. ``bypass``: a retention
        in governance mode does not keep the version."""
        key = key_bytes(key_text)
        if version_id is not None:
            return self._delete_version(tx, bucket, key, version_id, (caller, family, bypass))
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
        self, tx: Tx, bucket: Bucket, key: bytes, version_id: str, cause: tuple[Caller, str, bool]
    ) -> Deleted:
        found = self._objects.version(bucket.name, key, version_id)
        if found is None:
            return Deleted(False, version_id)
        locks.check_deletable(found.facts.lock, self._k.clock.now(), bypass=cause[2])
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

    def announce(
        self,
        tx: Tx,
        bucket: Bucket,
        version: ObjectVersion,
        caller: Caller,
        event: str,
        more: dict[str, Any] | None = None,
    ) -> None:
        """Put the event into the outbox, once for each target that wants it; ``more`` is what only its kind tells."""
        for target in notifications.targets(bucket):
            if target.wants(event, version.key):
                happened = notifications.Happened(event, version, caller, self._k.clock.now(), more or {})
                body = notifications.message(happened, bucket, target)
                delivery = notifications.Delivery(bucket.name, target.kind, target.arn, body, self._k.ids.uuid())
                self._k.outbox.emit(tx, TOPIC, delivery)

    def retire(self, tx: Tx, bucket: str, blobs: list[str]) -> None:
        """Remove files once ``tx`` is durable."""
        if blobs:
            tx.after_commit(lambda: self._removal.retire(bucket, blobs))

    def _drop_blob(self, tx: Tx, version: ObjectVersion) -> None:
        if version.blob:
            self.retire(tx, version.bucket, [version.blob])
