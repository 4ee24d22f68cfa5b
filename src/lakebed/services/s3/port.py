"""S3 for its neighbours: the same writes, reads and permissions as the API, without HTTP. Implements ports.objects."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path

from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Principal
from lakebed.ports.objects import ObjectInfo
from lakebed.services.s3.access import Access
from lakebed.services.s3.model import listing
from lakebed.services.s3.model.errors import no_such_key
from lakebed.services.s3.model.names import key_bytes
from lakebed.services.s3.model.shapes import Bucket, Caller, Facts, NewObject, ObjectVersion
from lakebed.services.s3.reading import Reading
from lakebed.services.s3.removal import Removal
from lakebed.services.s3.store.buckets import Buckets
from lakebed.services.s3.store.objects import ObjectRows
from lakebed.services.s3.store.uploads import UploadRows
from lakebed.services.s3.writing import BodyChecks, Conditions, Taken, Writing

_READ_BYTES = 1 << 20


class S3Objects:
    """Implements ``lakebed.ports.objects.Objects``."""

    def __init__(
        self,
        k: Kernel,
        access: Access,
        buckets: Buckets,
        rows: tuple[ObjectRows, UploadRows],
        writing: Writing,
        reading: Reading,
        removal: Removal,
    ) -> None:
        self._k, self._access, self._buckets = k, access, buckets
        self._objects, self._uploads = rows
        self._writing, self._reading, self._removal = writing, reading, removal

    async def put(
        self,
        principal: Principal,
        bucket: str,
        key: str,
        body: bytes | AsyncIterator[bytes],
        *,
        content_type: str = "application/octet-stream",
        metadata: Mapping[str, str] | None = None,
    ) -> ObjectInfo:
        """See the port."""
        self._permitted(principal, bucket, "s3:PutObject", key)
        taken = await self._writing.take(body, BodyChecks())
        return self._commit(principal, bucket, key, taken, Facts({"ContentType": content_type}, dict(metadata or {})))

    async def put_file(
        self, principal: Principal, bucket: str, key: str, path: Path, *, content_type: str = "application/octet-stream"
    ) -> ObjectInfo:
        """See the port."""
        self._permitted(principal, bucket, "s3:PutObject", key)
        with self._k.clock.working():
            size, etag = await asyncio.to_thread(_measured, path)
        blob = await self._k.blobs.adopt(path)
        return self._commit(principal, bucket, key, Taken(blob, size, etag, ""), Facts({"ContentType": content_type}))

    async def head(self, principal: Principal, bucket: str, key: str) -> ObjectInfo:
        """See the port."""
        found = self._permitted(principal, bucket, "s3:GetObject", key)
        version = self._reading.require(principal, found, key)
        self._removal.lend(bucket)
        return self._info(version)

    async def read(self, info: ObjectInfo, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """See the port."""
        bounds = (start, info.size if end is None else min(end, info.size))
        if bounds[0] >= bounds[1]:
            return
        try:
            stream = self._k.blobs.read(info.path.name, *bounds)
            async for chunk in stream:
                yield chunk
        except FileNotFoundError:
            raise no_such_key(info.key) from None

    async def list(
        self,
        principal: Principal,
        bucket: str,
        prefix: str,
        *,
        after: str = "",
        limit: int = 1000,
        reading: bool = False,
    ) -> Sequence[ObjectInfo]:
        """See the port."""
        found = self._permitted(principal, bucket, "s3:ListBucket", conditions={"s3:prefix": prefix})
        raw = prefix.encode()
        start = listing.start_behind(after.encode(), raw, b"") if after else listing.from_key(raw)
        self._removal.lend(bucket)
        end = listing.successor(raw) if raw else None
        page = [self._info(version) for version in self._objects.whole_page(found.name, start, end, limit)]
        for info in page if reading else ():
            self._access.check(principal, found, "s3:GetObject", info.key)
        return page

    async def delete(self, principal: Principal, bucket: str, keys: Sequence[str]) -> None:
        """See the port."""
        for key in keys:
            self._permitted(principal, bucket, "s3:DeleteObject", key)
        caller = self._caller(principal)
        with self._k.db.tx() as tx:
            found = self._buckets.require(bucket)
            for key in keys:
                self._writing.delete(tx, found, key, None, caller)

    def bucket_exists(self, bucket: str) -> bool:
        """See the port."""
        return self._buckets.find(bucket) is not None

    def known_blobs(self) -> Iterator[str]:
        """See the port."""
        yield from self._objects.blobs()
        yield from self._uploads.blobs()

    def _permitted(
        self,
        principal: Principal,
        bucket: str,
        action: str,
        key: str | None = None,
        conditions: Mapping[str, str] | None = None,
    ) -> Bucket:
        found = self._buckets.require(bucket)
        if key is not None:
            key_bytes(key)
        self._access.check(principal, found, action, key, conditions)
        return found

    def _commit(self, principal: Principal, bucket: str, key: str, taken: Taken, facts: Facts) -> ObjectInfo:
        version = self._writing.commit(
            lambda: self._buckets.require(bucket),
            NewObject(key, taken.size, taken.etag, taken.blob, facts),
            self._caller(principal),
            "s3:ObjectCreated:Put",
            Conditions(),
        )
        return self._info(version)

    def _caller(self, principal: Principal) -> Caller:
        return Caller(principal, self._k.ids.token(16))

    def _info(self, version: ObjectVersion) -> ObjectInfo:
        return ObjectInfo(
            bucket=version.bucket,
            key=version.key,
            size=version.size,
            etag=version.etag,
            modified=version.modified,
            path=self._k.blobs.path(version.blob),
            content_type=version.facts.headers.get("ContentType", "binary/octet-stream"),
        )


def _measured(path: Path) -> tuple[int, str]:
    """Size and MD5 of a finished file, read once."""
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb", buffering=0) as source:
        while chunk := source.read(_READ_BYTES):
            digest.update(chunk)
        return os.fstat(source.fileno()).st_size, digest.hexdigest()
