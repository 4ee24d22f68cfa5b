"""The checksums S3 knows, fed piece by piece: CRCs and the XXHASH family (awscrt), SHA and MD5 (hashlib).

awscrt computes CRCs faster than memory delivers and combines those of neighbouring pieces; it is imported with the first
checksum that needs it, because it takes some megabytes.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from lakebed.kernel.errors import AwsError, not_built


class Crc(NamedTuple):
    """A cyclic redundancy check: its size, and awscrt's names for running and for combining it."""

    size: int
    running: str
    combining: str


CRCS: Mapping[str, Crc] = {
    "crc32": Crc(4, "crc32", "combine_crc32"),
    "crc32c": Crc(4, "crc32c", "combine_crc32c"),
    "crc64nvme": Crc(8, "crc64nvme", "combine_crc64nvme"),
}
_XXHASHES = {"xxhash64": "new_xxhash64", "xxhash3": "new_xxhash3_64", "xxhash128": "new_xxhash3_128"}
_SIZES = {"sha1": 20, "sha256": 32, "sha512": 64, "md5": 16, "xxhash64": 8, "xxhash3": 8, "xxhash128": 16}
ALGORITHMS = (*CRCS, *_SIZES)
HEADER = "x-amz-checksum-"
_DESCRIBED = (f"{HEADER}algorithm", f"{HEADER}type", f"{HEADER}mode")


class Checksum(Protocol):
    """A checksum being computed; hashlib's shape."""

    def update(self, data: bytes, /) -> None:
        """More of the data."""
        ...

    def digest(self) -> bytes:
        """The value once all data went in; of a CRC big-endian, as S3 encodes it."""
        ...


class _RunningCrc:
    def __init__(self, crc: Crc) -> None:
        from awscrt import checksums

        self._value, self._size, self._more = 0, crc.size, getattr(checksums, crc.running)

    def update(self, data: bytes, /) -> None:
        self._value = self._more(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._size, "big")


class _RunningXxhash:
    def __init__(self, algorithm: str) -> None:
        from awscrt.checksums import XXHash

        self._hash: Any = getattr(XXHash, _XXHASHES[algorithm])()
        self._digest: bytes | None = None

    def update(self, data: bytes, /) -> None:
        self._hash.update(data)

    def digest(self) -> bytes:
        if self._digest is None:  # awscrt's hash ends with its first digest
            self._digest = bytes(self._hash.finalize())
        return self._digest


def checksum(algorithm: str) -> Checksum:
    """A new checksum by S3's name of it, in lower case."""
    if algorithm in CRCS:
        return _RunningCrc(CRCS[algorithm])
    if algorithm in _XXHASHES:
        return _RunningXxhash(algorithm)
    if algorithm in ALGORITHMS:
        return hashlib.new(algorithm, usedforsecurity=False)
    raise LookupError(f"no checksum {algorithm!r}")


def digest_size(algorithm: str) -> int:
    """The number of bytes of a checksum."""
    return CRCS[algorithm].size if algorithm in CRCS else _SIZES[algorithm]


def combined(algorithm: str, pieces: list[tuple[int, bytes]]) -> bytes:
    """The CRC of pieces one after the other, from their lengths and CRCs: no byte is read again."""
    from awscrt import checksums

    crc, value = CRCS[algorithm], 0
    for size, digest in pieces:
        value = getattr(checksums, crc.combining)(value, int.from_bytes(digest, "big"), size)
    return value.to_bytes(crc.size, "big")


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
