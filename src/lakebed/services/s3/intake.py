"""Taking bodies in: from a stream to a blob in constant memory, hashed, compared and, where asked, encrypted on the way.

The entity tag is the MD5 of the body or, for one encrypted under a key, of its ciphertext, as S3 promises no MD5 there.
Every body gets a checksum: of the algorithm the client names, else CRC64NVME.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping
from typing import Any, NamedTuple

import msgspec

from lakebed.kernel.blobs import BlobWriter
from lakebed.kernel.errors import AwsError
from lakebed.kernel.kernel import Kernel
from lakebed.services.s3.model import checksums
from lakebed.services.s3.model.sealing import Sealer
from lakebed.wire.aws.checksums import Checksum, bad_checksum, bad_md5, content_md5, encoded
from lakebed.wire.aws.chunked import DecodedBody

_PIECE = 256 << 10
_IN_THREAD_BYTES = 128 << 10


class BodyChecks(msgspec.Struct, frozen=True):
    """What the client says of a body it is about to send."""

    content_md5: bytes | None = None
    algorithm: str = ""
    checksum: str | None = None
    length: int | None = None
    kept: str = checksums.DEFAULT  # the algorithm whose value stays with the object

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
        return cls(content_md5(request.get("ContentMD5")), algorithm, value, length, algorithm or checksums.DEFAULT)


class Taken(NamedTuple):
    """A body that is a blob now, named by no row yet. ``checksum`` is the one kept, ``stated`` that of the client's algorithm."""

    blob: str
    size: int
    etag: str
    checksum: str
    stated: str


class _Through:
    """What every piece of one body goes through."""

    def __init__(self, checks: BodyChecks, announced: str, sealer: Sealer | None) -> None:
        self._sealer = sealer
        self.etag: Checksum = hashlib.md5(usedforsecurity=False)
        self.md5: Checksum = self.etag
        if sealer is not None and checks.content_md5 is not None:
            self.md5 = hashlib.md5(usedforsecurity=False)
        wanted = {checks.algorithm, checks.kept} - {"", announced}
        self.sums = {algorithm: checksums.hasher(algorithm) for algorithm in wanted}

    def __call__(self, piece: bytes) -> bytes:
        """Hash the piece; as it is to be written."""
        for running in self.sums.values():
            running.update(piece)
        if self._sealer is not None:
            if self.md5 is not self.etag:
                self.md5.update(piece)
            piece = self._sealer(piece)
        self.etag.update(piece)
        return piece


class Intake:
    """Bodies of one house."""

    def __init__(self, k: Kernel, bytes_max: int) -> None:
        self._k, self._bytes_max = k, bytes_max

    async def take(
        self, body: bytes | AsyncIterator[bytes] | None, checks: BodyChecks, sealer: Sealer | None = None
    ) -> Taken:
        """Stream a body into a blob; raises what is wrong with it and leaves nothing behind."""
        if checks.length is not None and checks.length > self._bytes_max:
            raise self._too_large(checks.length)
        writer = self._k.blobs.create()
        try:
            announced = checks.algorithm if isinstance(body, DecodedBody) and body.announces(checks.algorithm) else ""
            through = _Through(checks, announced, sealer)
            if isinstance(body, bytes):
                await self._append(writer, body, through)
            elif body is not None:
                async for chunk in body:
                    await self._append(writer, chunk, through)
            values = {algorithm: encoded(running.digest()) for algorithm, running in through.sums.items()}
            if announced and isinstance(body, DecodedBody):
                values[announced] = body.verified(announced)
            self._verify(checks, writer.size, through.md5.digest(), values.get(checks.algorithm, ""))
            size = writer.size
            blob = await writer.commit()
            return Taken(
                blob, size, through.etag.digest().hex(), values.get(checks.kept, ""), values.get(checks.algorithm, "")
            )
        except BaseException:
            writer.abort()
            raise

    async def _append(self, writer: BlobWriter, chunk: bytes, through: _Through) -> None:
        if writer.size + len(chunk) > self._bytes_max:
            raise self._too_large(writer.size + len(chunk))
        for start in range(0, len(chunk), _PIECE):
            piece = chunk if len(chunk) <= _PIECE else chunk[start : start + _PIECE]
            if len(piece) < _IN_THREAD_BYTES:
                writer.write(through(piece))
            else:
                with self._k.clock.working():
                    writer.write(await asyncio.to_thread(through, piece))

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
