"""Applying lifecycle rules: one pass over the buckets that have some, each midnight UTC and after each change of rules.

A pass walks versions in key order, a page at a time between other work, and forgets where it was when the house stops:
it is idempotent, the next one begins anew. What it removes goes through the same path as a client's delete, and causes
``s3:LifecycleExpiration`` events. https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-expire-general-considerations.html
"""

from __future__ import annotations

from collections.abc import Sequence

from lakebed.kernel.db import Tx
from lakebed.kernel.kernel import Kernel
from lakebed.services.s3.model import archives, listing, locks
from lakebed.services.s3.model.lifecycle import DAY, Rule, decode_rules, due
from lakebed.services.s3.model.listing import Position
from lakebed.services.s3.model.shapes import Bucket, Caller
from lakebed.services.s3.store.buckets import Buckets
from lakebed.services.s3.store.objects import ListedVersion, ObjectRows
from lakebed.services.s3.store.uploads import UploadRows
from lakebed.services.s3.work import service_principal
from lakebed.services.s3.writing import Writing

_PAGE = 500
_EVENTS = "s3:LifecycleExpiration"


def rules_of(bucket: Bucket) -> Sequence[Rule]:
    """The bucket's rules."""
    return decode_rules(bucket.lifecycle) if bucket.lifecycle else ()


class _Place:
    """Where a pass is within a bucket, and what it must remember of the row before."""

    def __init__(self, bucket: str) -> None:
        self.bucket = bucket
        self.position: Position = listing.from_key(b"")
        self.key: bytes | None = None
        self.successor_modified = 0.0
        self.noncurrent = 0


class Expiry:
    """The task."""

    name = "s3.lifecycle"
    period = float(DAY)

    def __init__(self, k: Kernel, buckets: Buckets, rows: tuple[ObjectRows, UploadRows], writing: Writing) -> None:
        self._k, self._buckets, self._writing = k, buckets, writing
        self._objects, self._uploads = rows
        self._place: _Place | None = None
        self._next_pass = 0.0

    def changed(self) -> None:
        """Rules were put: look at once."""
        self._next_pass = 0.0
        self._k.tasks.poke(self.name)

    async def activate(self) -> float | None:
        """One page of work."""
        now = self._k.clock.now()
        if self._place is None:
            if now < self._next_pass:
                return self._next_pass
            self._next_pass = float((int(now) // DAY + 1) * DAY)
            name = self._buckets.next_with_lifecycle("")
        else:
            name = self._place.bucket
        if name is None:
            return self._next_pass
        if self._place is None:
            self._place = _Place(name)
        bucket = self._buckets.find(name)
        if bucket is None or not bucket.lifecycle or not self._page(bucket, self._place):
            following = self._buckets.next_with_lifecycle(name)
            self._place = _Place(following) if following is not None else None
        return now if self._place is not None else self._next_pass

    def _page(self, bucket: Bucket, place: _Place) -> bool:
        """Apply the rules to the next page; False when the bucket is done."""
        rules = [rule for rule in rules_of(bucket) if rule.enabled]
        rows = self._objects.versions_page(bucket.name, place.position, None, _PAGE)
        caller = Caller(service_principal(bucket.account), self._k.ids.token(16))
        with self._k.db.tx() as tx:
            for row in rows:
                self._apply(tx, bucket, rules, place, row, caller)
            if len(rows) < _PAGE:
                self._abort_uploads(tx, bucket, rules)
        if rows:
            place.position = Position(rows[-1].key, rows[-1].rank)
        return len(rows) == _PAGE

    def _apply(
        self, tx: Tx, bucket: Bucket, rules: Sequence[Rule], place: _Place, row: ListedVersion, caller: Caller
    ) -> None:
        latest = row.key != place.key
        became_noncurrent = place.successor_modified
        place.noncurrent = 0 if latest else place.noncurrent + 1
        place.key, place.successor_modified = row.key, row.modified
        noncurrent = None if latest else (became_noncurrent, place.noncurrent)
        concerned = [
            rule for rule in rules if rule.concerns(row.key.decode(), row.size) and self._has_tags(rule, bucket, row)
        ]
        if not concerned:
            return
        if any(self._is_over(bucket, rule, row, noncurrent) for rule in concerned):
            self._expire(tx, bucket, row, noncurrent, caller)
        elif not row.marker:
            self._move(tx, bucket, concerned, row, noncurrent, caller)

    def _is_over(self, bucket: Bucket, rule: Rule, row: ListedVersion, noncurrent: tuple[float, int] | None) -> bool:
        """Whether a rule ends this version now; ``noncurrent`` since when it is, and how many newer ones are as well."""
        now = self._k.clock.now()
        if noncurrent is not None:
            since, newer = noncurrent
            return (
                bool(rule.noncurrent_days) and newer > rule.newer_noncurrent and due(since, rule.noncurrent_days) <= now
            )
        when = rule.expires_at(row.modified)
        expired = when is not None and when <= now
        if row.marker:
            return (rule.expired_marker or expired) and self._objects.is_only(bucket.name, row.key)
        return expired

    def _expire(
        self, tx: Tx, bucket: Bucket, row: ListedVersion, noncurrent: tuple[float, int] | None, caller: Caller
    ) -> None:
        """Through the same path as a client's delete; a locked version stays."""
        version_id = row.version_id if row.marker or noncurrent is not None else None
        if version_id is not None and not row.marker:
            version = self._objects.version(bucket.name, row.key, version_id)
            if version is None or locks.is_locked(version.facts.lock, self._k.clock.now()):
                return
        self._writing.delete(tx, bucket, row.key.decode(), version_id, caller, _EVENTS)

    def _move(
        self,
        tx: Tx,
        bucket: Bucket,
        rules: Sequence[Rule],
        row: ListedVersion,
        noncurrent: tuple[float, int] | None,
        caller: Caller,
    ) -> None:
        """To the coldest class to which a transition that is due may move this version."""
        now, chosen = self._k.clock.now(), ""
        for rule in rules:
            for one in rule.transitions if noncurrent is None else rule.noncurrent_transitions:
                since, newer = noncurrent or (row.modified, 1)
                when = one.date or due(since, one.days)
                if when > now or newer <= one.newer or not rule.moves_to(one, row.storage_class, row.size):
                    continue
                if not chosen or archives.is_colder(one.storage_class, chosen):
                    chosen = one.storage_class
        version = self._objects.version(bucket.name, row.key, row.version_id) if chosen else None
        if version is not None:
            self._objects.put_class(tx, version, chosen)
            self._writing.announce(tx, bucket, version, caller, "s3:LifecycleTransition", {"class": chosen})

    def _has_tags(self, rule: Rule, bucket: Bucket, row: ListedVersion) -> bool:
        if not rule.tags:
            return True
        version = self._objects.version(bucket.name, row.key, row.version_id)
        return version is not None and rule.has_tags_of(version.facts.tags)

    def _abort_uploads(self, tx: Tx, bucket: Bucket, rules: Sequence[Rule]) -> None:
        """At the end of a bucket: uploads that never ended. Their number is bounded by a quota."""
        if not any(rule.abort_days for rule in rules):
            return
        position, now = listing.from_key(b""), self._k.clock.now()
        while page := self._uploads.page(bucket.name, position, None, _PAGE):
            for row in page:
                key = row.upload.key
                if any(
                    rule.abort_days
                    and key.startswith(rule.prefix)
                    and due(row.upload.initiated, rule.abort_days) <= now
                    for rule in rules
                ):
                    blobs = self._uploads.remove(tx, row.upload)
                    self._writing.retire(tx, bucket.name, blobs)
            position = Position(page[-1].key, page[-1].rank)
