"""S3 for its neighbours: the same writes, reads and permissions as the API, without HTTP. Implements ports.objects."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import os
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from lakebed.kernel.blobs import READ_CHUNK_BYTES
from lakebed.kernel.scope import Principal
from lakebed.ports.objects import ObjectInfo
from lakebed.services.s3.datakeys import Sealed
from lakebed.services.s3.intake import BodyChecks, Taken
from lakebed.services.s3.lending import Lent
from lakebed.services.s3.model import archives, checksums, listing, locks
from lakebed.services.s3.model.circumstances import Conditions as ConditionKeys
from lakebed.services.s3.model.errors import no_such_key
from lakebed.services.s3.model.names import key_bytes
from lakebed.services.s3.model.shapes import Bucket, Caller, Facts, NewObject, ObjectVersion
from lakebed.services.s3.state import Core
from lakebed.services.s3.writing import Conditions
from lakebed.wire.aws.checksums import encoded

_READ_BYTES = 1 << 20


class S3Objects:
    """Implements ``lakebed.ports.objects.Objects``."""

    def __init__(self, core: Core) -> None:
        self._core, self._k, self._access, self._buckets = core, core.k, core.access, core.buckets
        self._objects, self._uploads = core.objects, core.uploads
        self._writing, self._reading, self._removal = core.writing, core.reading, core.removal
        self._lent = Lent(core.k, core.reading)

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
        found = self._permitted(principal, bucket, "s3:PutObject", key)
        sealed = self._core.keys.seal(principal, found, key, {})
        taken = await self._core.intake.take(body, BodyChecks(), sealed.sealer() if sealed else None)
        facts = Facts({"ContentType": content_type}, dict(metadata or {}), checksum=taken.checksum)
        return self._commit(principal, found, key, taken, facts, sealed)

    async def put_file(
        self, principal: Principal, bucket: str, key: str, path: Path, *, content_type: str = "application/octet-stream"
    ) -> ObjectInfo:
        """See the port."""
        found = self._permitted(principal, bucket, "s3:PutObject", key)
        facts, sealed = Facts({"ContentType": content_type}), self._core.keys.seal(principal, found, key, {})
        if sealed is not None:  # what a key encrypts is written anew
            taken = await self._core.intake.take(_pieces(path), BodyChecks(), sealed.sealer())
            self._k.disk.remove(path)
        else:
            with self._k.clock.working():
                size, etag, checksum = await asyncio.to_thread(_measured, path)
            taken = Taken(await self._k.blobs.adopt(path), size, etag, checksum, "")
        return self._commit(
            principal, found, key, taken, msgspec.structs.replace(facts, checksum=taken.checksum), sealed
        )

    async def head(self, principal: Principal, bucket: str, key: str) -> ObjectInfo:
        """See the port."""
        found = self._permitted(principal, bucket, "s3:GetObject", key)
        version = self._reading.require(principal, found, key)
        archives.check_readable(version, self._k.clock.now())
        self._removal.lend(bucket)
        return await self._readable(principal, found, version)

    async def read(self, info: ObjectInfo, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """See the port."""
        bounds = (start, info.size if end is None else min(end, info.size))
        if bounds[0] >= bounds[1]:
            return
        try:
            async for chunk in _pieces(info.path, *bounds):
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
        page = self._objects.whole_page(found.name, start, end, limit)
        if not reading:
            return [self._info(version) for version in page]
        for version in page:
            self._access.check(principal, found, "s3:GetObject", version.key)
        now = self._k.clock.now()
        return [
            await self._readable(principal, found, version)
            if archives.is_readable(version, now)
            else self._info(version)
            for version in page
        ]

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
        conditions: ConditionKeys | None = None,
    ) -> Bucket:
        found = self._buckets.require(bucket)
        if key is not None:
            key_bytes(key)
        self._access.check(principal, found, action, key, conditions)
        return found

    async def _readable(self, principal: Principal, bucket: Bucket, version: ObjectVersion) -> ObjectInfo:
        """The object with a path that may be read as it is: of an encrypted one a decrypted copy, for as long as paths
        are lent."""
        info = self._info(version)
        key = self._core.keys.open(principal, bucket, version.facts.encryption, {})
        return info if key is None else dataclasses.replace(info, path=await self._lent.decrypted(version, key))

    def _commit(
        self, principal: Principal, bucket: Bucket, key: str, taken: Taken, facts: Facts, sealed: Sealed | None
    ) -> ObjectInfo:
        facts = msgspec.structs.replace(
            facts,
            encryption=sealed.encryption if sealed else None,
            lock=locks.of_write({}, bucket, self._k.clock.now()),
        )
        version = self._writing.commit(
            lambda: self._buckets.require(bucket.name),
            NewObject(
                key, taken.size, taken.etag, taken.blob, facts, checksum_algorithm=checksums.DEFAULT,
                checksum_type=checksums.FULL_OBJECT,
            ),
            self._caller(principal),
            "s3:ObjectCreated:Put",
            Conditions(),
        )  # fmt: skip
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


async def _pieces(path: Path, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
    """A file's bytes in bounded chunks."""
    with path.open("rb", buffering=0) as source:
        left = (os.fstat(source.fileno()).st_size if end is None else end) - start
        while left > 0:
            chunk = os.pread(source.fileno(), min(READ_CHUNK_BYTES, left), start)
            if not chunk:
                raise OSError(f"{path.name} is shorter than its row says")
            yield chunk
            start, left = start + len(chunk), left - len(chunk)


def _measured(path: Path) -> tuple[int, str, str]:
    """Size, MD5 and checksum of a finished file, read once."""
    digest, checksum = hashlib.md5(usedforsecurity=False), checksums.hasher(checksums.DEFAULT)
    with path.open("rb", buffering=0) as source:
        while chunk := source.read(_READ_BYTES):
            digest.update(chunk)
            checksum.update(chunk)
        return os.fstat(source.fileno()).st_size, digest.hexdigest(), encoded(checksum.digest())
