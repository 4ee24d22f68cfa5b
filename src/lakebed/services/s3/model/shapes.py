"""The stored shapes: a bucket, a version of an object (or a delete marker), a multipart upload and its parts.

``Facts`` is what a request may say of an object beyond its bytes; it is kept as MessagePack in the object's row.
https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from lakebed.kernel.scope import Principal, Scope
from lakebed.services.s3.model.acl import ENFORCED, Acl
from lakebed.services.s3.model.sealing import Encryption

NULL_VERSION = "null"
STANDARD = "STANDARD"
EMPTY_MD5 = hashlib.md5(b"", usedforsecurity=False).hexdigest()


class PartFacts(msgspec.Struct, frozen=True, array_like=True):
    """One part of a completed upload: GetObject?partNumber and GetObjectAttributes tell it."""

    number: int
    size: int
    checksum: str = ""
    nonce: bytes = b""


class Lock(msgspec.Struct, frozen=True, omit_defaults=True):
    """What keeps a version from being deleted: a retention (``mode`` "" where there is none) and a legal hold."""

    mode: str = ""
    until: float = 0.0
    legal_hold: bool | None = None  # None: never said


class Restore(msgspec.Struct, frozen=True):
    """A copy of an archived version: there from ``ready`` until ``until``."""

    ready: float
    until: float
    tier: str = "Standard"


class Facts(msgspec.Struct, frozen=True, omit_defaults=True):
    """Headers by their member name (ContentType, CacheControl, …), user metadata, tags, checksum, parts; and what the
    few versions have that are locked, restored, encrypted under a key, or owned by another account than their bucket."""

    headers: dict[str, Any] = {}
    metadata: dict[str, str] = {}
    tags: dict[str, str] = {}
    checksum: str = ""
    parts: tuple[PartFacts, ...] = ()
    lock: Lock | None = None
    restore: Restore | None = None
    encryption: Encryption | None = None
    owner: str = ""
    acl: Acl | None = None


class PublicAccessBlock(msgspec.Struct, frozen=True):
    """The four switches; all on in a new bucket.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html
    """

    block_acls: bool = True
    ignore_acls: bool = True
    block_policy: bool = True
    restrict_buckets: bool = True


class Bucket(msgspec.Struct, frozen=True):
    """A bucket with what every request on it needs. What is bytes here is an encoded configuration."""

    account: str
    region: str
    name: str
    created_at: float
    versioning: str = ""
    policy: str | None = None
    public_access_block: PublicAccessBlock | None = None
    notification: bytes | None = None
    tags: dict[str, str] | None = None
    lifecycle: bytes | None = None
    ownership: str = ENFORCED
    acl: bytes | None = None
    cors: bytes | None = None
    object_lock: bytes | None = None
    encryption: bytes | None = None

    @property
    def arn(self) -> str:
        """Bucket ARNs carry neither region nor account."""
        return f"arn:aws:s3:::{self.name}"

    @property
    def scope(self) -> Scope:
        """Where the bucket lives."""
        return Scope(self.account, self.region)


class ObjectVersion(msgspec.Struct, frozen=True):
    """One version. ``rank`` is minus its sequence; ``blob`` is empty for a delete marker."""

    bucket: str
    key: str
    rank: int
    version_id: str
    size: int
    etag: str
    modified: float
    storage_class: str
    checksum_algorithm: str
    checksum_type: str
    blob: str
    facts: Facts
    marker: bool = False

    @property
    def quoted_etag(self) -> str:
        """As headers and XML carry it."""
        return f'"{self.etag}"'

    @property
    def sequencer(self) -> str:
        """The event's sequencer: hexadecimal, compared from the left at equal length."""
        return f"{-self.rank:018X}"


class NewObject(msgspec.Struct, frozen=True):
    """What a finished write wants to become the newest version of a key."""

    key: str
    size: int
    etag: str
    blob: str
    facts: Facts
    storage_class: str = STANDARD
    checksum_algorithm: str = ""
    checksum_type: str = ""


class Upload(msgspec.Struct, frozen=True):
    """A multipart upload that is neither completed nor aborted."""

    bucket: str
    key: str
    rank: int
    upload_id: str
    initiated: float
    initiator: str
    storage_class: str
    checksum_algorithm: str
    checksum_type: str
    facts: Facts


class Part(msgspec.Struct, frozen=True):
    """An uploaded part; ``checksum`` is of the upload's algorithm, base64."""

    number: int
    size: int
    etag: str
    modified: float
    checksum: str
    blob: str
    nonce: bytes = b""


class Caller(msgspec.Struct, frozen=True):
    """Who causes a write, as its event tells: from a request's context, or a neighbour's principal."""

    principal: Principal
    request_id: str
    source_ip: str = "127.0.0.1"


def canonical_id(account: str) -> str:
    """The 64 hexadecimal digits under which S3 knows an account: made from its number, always the same."""
    return hashlib.sha256(f"lakebed canonical user {account}".encode()).hexdigest()
