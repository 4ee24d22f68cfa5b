"""The checksums S3 knows, fed piece by piece: CRC-32 (zlib), CRC-32C and CRC-64/NVME (``crc``), SHA and MD5 (hashlib).

https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from collections.abc import Mapping
from typing import Protocol

from lakebed.kernel.errors import AwsError, not_built
from lakebed.wire.aws import crc

CRCS: Mapping[str, crc.Crc] = {"crc32": crc.CRC32, "crc32c": crc.CRC32C, "crc64nvme": crc.CRC64NVME}
ALGORITHMS = (*CRCS, "sha1", "sha256", "sha512", "md5")
HEADER = "x-amz-checksum-"
_DESCRIBED = (f"{HEADER}algorithm", f"{HEADER}type", f"{HEADER}mode")


class Checksum(Protocol):
    """A checksum being computed; hashlib's shape."""

    def update(self, data: bytes, /) -> None:
        """More of the data."""
        ...

    def digest(self) -> bytes:
        """The value so far; of a CRC big-endian, as S3 encodes it."""
        ...


class _Crc32:
    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes, /) -> None:
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


def checksum(algorithm: str) -> Checksum:
    """A new checksum by S3's name of it, in lower case."""
    if algorithm == "crc32":
        return _Crc32()
    if algorithm in CRCS:
        return crc.Running(CRCS[algorithm])
    if algorithm in ALGORITHMS:
        return hashlib.new(algorithm, usedforsecurity=False)
    raise LookupError(f"no checksum {algorithm!r}")


def encoded(digest: bytes) -> str:
    """Base64, as headers and trailers carry it."""
    return base64.b64encode(digest).decode()


def content_md5(value: str | None) -> bytes | None:
    """The digest of a Content-MD5 header; InvalidDigest where it is none."""
    if value is None:
        return None
    try:
        digest = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if len(digest) != 16:
        raise AwsError(
            "InvalidDigest", "The Content-MD5 you specified was invalid.", status=400, members={"Content-MD5": value}
        )
    return digest


def bad_md5() -> AwsError:
    """The body is not what the Content-MD5 header says."""
    return AwsError("BadDigest", "The Content-MD5 you specified did not match what we received.", status=400)


def bad_checksum(algorithm: str) -> AwsError:
    """The body is not what the client hashed."""
    return AwsError(
        "BadDigest", f"The {algorithm.upper()} you specified did not match the calculated checksum.", status=400
    )


def check_document(headers: Mapping[str, str], body: bytes, *, checksums: bool) -> None:
    """Compare a control document with its Content-MD5 and, where they are its own, its ``x-amz-checksum-`` headers."""
    digest = content_md5(headers.get("content-md5"))
    if digest is not None and digest != hashlib.md5(body, usedforsecurity=False).digest():
        raise bad_md5()
    for name, value in headers.items() if checksums else ():
        if not name.startswith(HEADER) or name in _DESCRIBED:
            continue
        algorithm = name.removeprefix(HEADER)
        if algorithm not in ALGORITHMS:
            raise not_built("s3", "checksums", f"checksum algorithm {algorithm.upper()}"[:96])
        computed = checksum(algorithm)
        computed.update(body)
        if value.strip() != encoded(computed.digest()):
            raise bad_checksum(algorithm)
