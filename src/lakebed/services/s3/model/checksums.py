"""Checksums of bodies: what a client may send along, what is kept, and how those of parts become one of the whole.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html. A part's checksum is of the part; an
upload's is COMPOSITE (hash of the parts' hashes) or, for CRCs, FULL_OBJECT (the parts' CRCs combined without reading a
byte again). Where the client names none, CRC64NVME of the whole object is kept.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any

from lakebed.kernel.errors import not_built
from lakebed.services.s3.model.errors import invalid_request
from lakebed.wire.aws.checksums import CRCS, Checksum, checksum, combined, digest_size, encoded

FULL_OBJECT, COMPOSITE = "FULL_OBJECT", "COMPOSITE"
DEFAULT = "CRC64NVME"
MEMBERS = {
    "CRC32": "ChecksumCRC32",
    "CRC32C": "ChecksumCRC32C",
    "CRC64NVME": "ChecksumCRC64NVME",
    "SHA1": "ChecksumSHA1",
    "SHA256": "ChecksumSHA256",
    "SHA512": "ChecksumSHA512",
    "MD5": "ChecksumMD5",
    "XXHASH64": "ChecksumXXHASH64",
    "XXHASH3": "ChecksumXXHASH3",
    "XXHASH128": "ChecksumXXHASH128",
}
BUILT = tuple(MEMBERS)


def hasher(algorithm: str) -> Checksum:
    """A fresh hasher; 501 for what is not built."""
    if algorithm not in BUILT:
        raise not_built("s3", "PutObject", f"checksum algorithm {algorithm}")
    return checksum(algorithm.lower())


def member(algorithm: str) -> str:
    """The member that carries a checksum: ``ChecksumSHA256``."""
    return MEMBERS.get(algorithm, f"Checksum{algorithm}")


def expected(request: Mapping[str, Any], trailer: str = "") -> tuple[str, str | None]:
    """The algorithm a request asks for and the value it states; ("", None) where it asks for none.

    ``trailer`` is the header that announces a checksum behind the body.
    """
    stated = [name for name in BUILT if request.get(member(name)) is not None]
    if len(stated) > 1:
        raise invalid_request("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
    _, _, announced = trailer.strip().upper().partition("X-AMZ-CHECKSUM-")
    algorithm = stated[0] if stated else request.get("ChecksumAlgorithm") or announced
    if algorithm and algorithm not in BUILT:
        raise not_built("s3", "PutObject", f"checksum algorithm {algorithm}")
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
    if size != digest_size(algorithm.lower()):
        raise invalid_request(f"Value for x-amz-checksum-{algorithm.lower()} header is invalid.")


def upload_type(algorithm: str, wanted: str | None) -> str:
    """FULL_OBJECT or COMPOSITE for a multipart upload, as algorithm and request allow."""
    if not algorithm:
        if wanted is not None:
            raise invalid_request(
                "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header."
            )
        return ""
    kind = wanted or (FULL_OBJECT if algorithm == "CRC64NVME" else COMPOSITE)
    if (kind == COMPOSITE and algorithm == "CRC64NVME") or (kind == FULL_OBJECT and algorithm.lower() not in CRCS):
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
    return encoded(combined(algorithm.lower(), digests))


def told(algorithm: str, value: str, kind: str) -> dict[str, str]:
    """The members of an answer that tell a checksum."""
    return {member(algorithm): value, "ChecksumType": kind} if value else {}
