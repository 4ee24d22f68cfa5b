"""Finding versions and opening their bytes.

A blob is opened before the answer begins, so that an overwrite or delete meanwhile cannot tear a body that was promised;
small bodies are read at once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from lakebed.kernel.blobs import READ_CHUNK_BYTES
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Principal
from lakebed.services.s3.access import Access
from lakebed.services.s3.model import sealing
from lakebed.services.s3.model.errors import access_denied, method_not_allowed, no_such_key, no_such_version
from lakebed.services.s3.model.names import key_bytes
from lakebed.services.s3.model.sealing import Sealer
from lakebed.services.s3.model.shapes import Bucket, ObjectVersion
from lakebed.services.s3.store.objects import ObjectRows


class Reading:
    """Reads of one house."""

    def __init__(self, k: Kernel, access: Access, objects: ObjectRows) -> None:
        self._k, self._access, self._objects = k, access, objects

    def require(
        self, principal: Principal, bucket: Bucket, key: str, version_id: str | None = None, method: str = "GET"
    ) -> ObjectVersion:
        """The version asked for. Who may not list the bucket is not told that a key is missing."""
        raw = key_bytes(key)
        if version_id is None:
            found = self._objects.current(bucket.name, raw)
            if found is None:
                if not self._access.may(principal, bucket, "s3:ListBucket"):
                    raise access_denied()
                newest = self._objects.newest_other(bucket.name, raw) if bucket.versioning else None
                raise no_such_key(key, newest)
            return found
        found = self._objects.version(bucket.name, raw, version_id)
        if found is None:
            raise no_such_version(key, version_id)
        if found.marker:
            raise method_not_allowed(method, found)
        return found

    async def open(
        self, version: ObjectVersion, start: int, end: int, key: bytes | None = None
    ) -> bytes | AsyncIterator[bytes]:
        """The bytes from ``start`` to ``end``, exclusive; of an encrypted version with its plain ``key``."""
        if end <= start:
            return b""
        stream = self._k.blobs.read(version.blob, start, end)
        if key is not None:
            stream = self._unsealed(version, start, end, key, stream)
        first = await anext(stream)
        if end - start <= READ_CHUNK_BYTES and len(first) == end - start:
            await stream.aclose()  # type: ignore[attr-defined]  # Blobs.read is an async generator
            return first
        return _continued(first, stream)

    async def _unsealed(
        self, version: ObjectVersion, start: int, end: int, key: bytes, stream: AsyncIterator[bytes]
    ) -> AsyncIterator[bytes]:
        """The stream decrypted: a run of the cipher for each part that the range touches."""
        kept = version.facts.encryption
        assert kept is not None
        parts = [(part.size, part.nonce) for part in version.facts.parts]
        runs = iter(sealing.spans(kept.nonce, parts, start, end))
        left, sealer = 0, None
        try:
            async for chunk in stream:
                at = 0
                while at < len(chunk):
                    if left == 0:
                        run = next(runs)
                        left, sealer = run.end - run.start, Sealer(key, kept.kind, run.nonce, run.offset)
                    assert sealer is not None
                    piece = chunk[at : at + left]
                    at, left = at + len(piece), left - len(piece)
                    yield sealer(piece)
        finally:
            await stream.aclose()  # type: ignore[attr-defined]  # Blobs.read is an async generator


async def _continued(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    try:
        yield first
        async for chunk in rest:
            yield chunk
    finally:
        await rest.aclose()  # type: ignore[attr-defined]  # see above
