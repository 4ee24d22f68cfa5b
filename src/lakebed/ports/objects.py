"""Objects: S3 as other services use it, with the acting principal's permissions. Built by services/s3.

Bodies travel as bytes or async iterators, never collected; embedded engines get the paths of immutable files.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lakebed.kernel.scope import Principal


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One object: ``etag`` without quotes, ``modified`` in epoch seconds, ``path`` its immutable local file, which stays for
    ten minutes after ``head`` or ``list`` even where the object is overwritten or deleted meanwhile."""

    bucket: str
    key: str
    size: int
    etag: str
    modified: float
    path: Path
    content_type: str = "binary/octet-stream"


class Objects(Protocol):
    """Every method raises AwsError as S3 would (NoSuchBucket, NoSuchKey, AccessDenied)."""

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
        """Store an object; durable when this returns. Notifications follow as for any PutObject."""
        ...

    async def put_file(
        self, principal: Principal, bucket: str, key: str, path: Path, *, content_type: str = "application/octet-stream"
    ) -> ObjectInfo:
        """Store a finished local file by moving it in, without copying where the file system allows."""
        ...

    async def head(self, principal: Principal, bucket: str, key: str) -> ObjectInfo:
        """One object's facts."""
        ...

    def read(self, info: ObjectInfo, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes of an object that ``head`` or ``list`` returned; ``end`` exclusive."""
        ...

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
        """Objects under a prefix in key order, starting behind ``after``; page with the last key. ``reading``: the caller
        goes on to read what it finds by its path, so ``principal`` must be allowed s3:GetObject for each as well."""
        ...

    async def delete(self, principal: Principal, bucket: str, keys: Sequence[str]) -> None:
        """Delete objects; absent keys are no error."""
        ...

    def bucket_exists(self, bucket: str) -> bool:
        """Whether any account owns a bucket of this name."""
        ...

    def known_blobs(self) -> Iterator[str]:
        """Every blob that a version or part names, for ``Blobs.sweep`` at boot (with what other owners of blobs name)."""
        ...
