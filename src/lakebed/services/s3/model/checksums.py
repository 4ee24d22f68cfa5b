"""Checksums of bodies: what a client may send along, what is kept, and how those of parts become one of the whole.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html. Built: CRC32 (zlib), SHA1, SHA256,
SHA512, MD5 (hashlib), CRC32C and CRC64NVME (``crc``: vectorised over bytes, no dependency). Refused by name: the XXHASH
family. A part's checksum is of the part; an upload's is COMPOSITE (hash of the parts' hashes) or, for CRCs, FULL_OBJECT
(the parts' CRCs combined without reading a byte again).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from lakebed.kernel.errors import AwsError, not_built
from lakebed.services.s3.model import crc
from lakebed.services.s3.model.errors import invalid_request

FULL_OBJECT, COMPOSITE = "FULL_OBJECT", "COMPOSITE"
MEMBERS = {
    "CRC32": "ChecksumCRC32",
    "CRC32C": "ChecksumCRC32C",
    "CRC64NVME": "ChecksumCRC64NVME",
    "SHA1": "ChecksumSHA1",
    "SHA256": "ChecksumSHA256",
    "SHA512": "ChecksumSHA512",
    "MD5": "ChecksumMD5",
}
BUILT = tuple(MEMBERS)
REFUSED = ("XXHASH64", "XXHASH3", "XXHASH128")
_CRCS = {"CRC32": crc.CRC32, "CRC32C": crc.CRC32C, "CRC64NVME": crc.CRC64NVME}


class Hasher(Protocol):
    """hashlib's shape."""

    def update(self, data: bytes, /) -> None:
        """Take more bytes."""
        ...

    def digest(self) -> bytes:
        """The value so far."""
        ...


class _Crc32:
    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes, /) -> None:
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


def hasher(algorithm: str) -> Hasher:
    """A fresh hasher; 501 for what is not built."""
    if algorithm == "CRC32":
        return _Crc32()
    if algorithm in ("CRC32C", "CRC64NVME"):
        return crc.Running(_CRCS[algorithm])
    if algorithm in BUILT:
        return hashlib.new(algorithm.lower(), usedforsecurity=False)
    raise not_built("s3", "PutObject", f"checksum algorithm {algorithm}")


def member(algorithm: str) -> str:
    """The member that carries a checksum: ``ChecksumSHA256``."""
    return MEMBERS.get(algorithm, f"Checksum{algorithm}")


def encoded(digest: bytes) -> str:
    """Base64, as headers carry it."""
    return base64.b64encode(digest).decode()


def expected(request: Mapping[str, Any]) -> tuple[str, str | None]:
    """The algorithm a request asks for and the value it states; ("", None) where it asks for none."""
    stated = [name for name in (*BUILT, *REFUSED) if request.get(member(name)) is not None]
    if len(stated) > 1:
        raise invalid_request("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
    algorithm = stated[0] if stated else request.get("ChecksumAlgorithm") or ""
    if algorithm in REFUSED:
        raise not_built("s3", "checksums", f"checksum algorithm {algorithm}")
    value = request.get(member(algorithm)) if stated else None
    if value is not None:
        check_encoding(algorithm, value)
    return algorithm, value


def check_encoding(algorithm: str, value: str) -> None:
    """A stated checksum must be base64 of the right length."""
    try:
        size = len(base64.b64decode(value.partition("-")[0], validate=True))
    except (binascii.Error, ValueError):
        size = -1
    if size != len(hasher(algorithm).digest()):
        raise invalid_request(f"Value for x-amz-checksum-{algorithm.lower()} header is invalid.")


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


def bad_checksum(algorithm: str) -> AwsError:
    """The body is not what the client hashed."""
    return AwsError("BadDigest", f"The {algorithm} you specified did not match the calculated checksum.", status=400)


def upload_type(algorithm: str, wanted: str | None) -> str:
    """FULL_OBJECT or COMPOSITE for a multipart upload, as algorithm and request allow."""
    if not algorithm:
        if wanted is not None:
            raise invalid_request(
                "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header."
            )
        return ""
    if algorithm in REFUSED:
        raise not_built("s3", "CreateMultipartUpload", f"checksum algorithm {algorithm}")
    kind = wanted or (FULL_OBJECT if algorithm == "CRC64NVME" else COMPOSITE)
    if (kind == COMPOSITE and algorithm == "CRC64NVME") or (kind == FULL_OBJECT and algorithm not in _CRCS):
        raise invalid_request(
            f"The {kind} checksum type cannot be used with the {algorithm.lower()} checksum algorithm."
        )
    return kind


def combine(algorithm: str, kind: str, parts: Sequence[tuple[int, str]]) -> str:
    """The checksum of an upload from its parts' (size, base64 checksum)."""
    if not algorithm:
        return ""
    digests = [(size, base64.b64decode(value)) for size, value in parts]
    if kind == COMPOSITE:
        whole = hasher(algorithm)
        whole.update(b"".join(digest for _, digest in digests))
        return f"{encoded(whole.digest())}-{len(parts)}"
    parameters = _CRCS[algorithm]
    value = 0
    for size, digest in digests:
        value = crc.combined(parameters, value, int.from_bytes(digest, "big"), size)
    return encoded(value.to_bytes(parameters.width // 8, "big"))


def told(algorithm: str, checksum: str, kind: str) -> dict[str, str]:
    """The members of an answer that tell a checksum."""
    return {member(algorithm): checksum, "ChecksumType": kind} if checksum else {}
