"""PutObject, GetObject, HeadObject.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html
Refused: event holds of Object Lock, appends (WriteOffsetBytes).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from lakebed.api import s3 as api
from lakebed.ports.service import Context, operation
from lakebed.services.s3.access import caller
from lakebed.services.s3.intake import BodyChecks
from lakebed.services.s3.model import archives, checksums, conditions, encryption, locks
from lakebed.services.s3.model.conditions import ByteRange, ReadConditions
from lakebed.services.s3.model.errors import invalid_request
from lakebed.services.s3.model.names import key_bytes
from lakebed.services.s3.model.shapes import STANDARD, Bucket, NewObject, ObjectVersion
from lakebed.services.s3.provider.drafts import drafted
from lakebed.services.s3.provider.request import EVENT_HOLDS, expiration_told, object_arn, version_told
from lakebed.services.s3.state import Core
from lakebed.services.s3.writing import Conditions
from lakebed.wire.aws.scalars import write_rfc822

_OVERRIDES = {
    "ResponseCacheControl": "CacheControl",
    "ResponseContentDisposition": "ContentDisposition",
    "ResponseContentEncoding": "ContentEncoding",
    "ResponseContentLanguage": "ContentLanguage",
    "ResponseContentType": "ContentType",
    "ResponseExpires": "Expires",
}


class ObjectOperations:
    """Whole objects."""

    def __init__(self, core: Core) -> None:
        self.core, self.k, self.access, self.reading = core, core.k, core.access, core.reading

    @operation("PutObject", action=None, resource=object_arn, refused=(*EVENT_HOLDS, "WriteOffsetBytes"))
    async def put_object(self, ctx: Context, req: dict[str, Any]) -> api.PutObjectOutput:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html"""
        return await self.put(ctx, req, "s3:ObjectCreated:Put")  # type: ignore[return-value]  # built by members

    async def put(self, ctx: Context, req: dict[str, Any], event: str) -> dict[str, Any]:
        """The whole of a PutObject, or of a browser's form, announced as ``event``."""
        core, key = self.core, req["Key"]
        key_bytes(key)
        bucket = self.access.bucket(ctx, req, "s3:PutObject", key)
        draft = drafted(core, ctx, bucket, req)
        wanted = Conditions(req.get("IfMatch"), req.get("IfNoneMatch"))
        if wanted != (None, None):
            conditions.check_write(*wanted, key, core.objects.current(bucket.name, key_bytes(key)))
        checks = BodyChecks.of(req, ctx.headers)
        taken = await core.intake.take(req.get("Body"), checks, draft.sealed.sealer() if draft.sealed else None)
        facts = msgspec.structs.replace(draft.facts, checksum=taken.checksum)
        new = NewObject(
            key, taken.size, taken.etag, taken.blob, facts, draft.storage_class, checks.kept, checksums.FULL_OBJECT
        )
        version = core.writing.commit(lambda: core.buckets.require(bucket.name), new, caller(ctx), event, wanted)
        answer: dict[str, Any] = {"ETag": version.quoted_etag, **encryption.told(facts.encryption)}
        answer |= checksums.told(checks.kept, taken.checksum, checksums.FULL_OBJECT)
        answer |= version_told(bucket, version) | expiration_told(bucket, version)
        return encryption.written(answer, facts.encryption)

    @operation("GetObject", action=None, resource=object_arn)
    async def get_object(self, ctx: Context, req: dict[str, Any]) -> api.GetObjectOutput:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html"""
        bucket, version, part = self._found(ctx, req, "GET")
        archives.check_readable(version, ctx.now)
        key = self.core.keys.open(ctx.principal, bucket, version.facts.encryption, req)
        answer = self._described(ctx, bucket, version, req, part)
        span = part or ByteRange(0, version.size)
        answer["Body"] = await self.reading.open(version, *span, key)
        self.k.meters.out(bucket.arn, 1, span.end - span.start)
        return answer  # type: ignore[return-value]  # built by members

    @operation("HeadObject", action=None, resource=object_arn)
    async def head_object(self, ctx: Context, req: dict[str, Any]) -> api.HeadObjectOutput:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html"""
        bucket, version, part = self._found(ctx, req, "HEAD")
        self.core.keys.open(ctx.principal, bucket, version.facts.encryption, req)
        return self._described(ctx, bucket, version, req, part)  # type: ignore[return-value]  # built by members

    def _found(
        self, ctx: Context, req: Mapping[str, Any], method: str
    ) -> tuple[Bucket, ObjectVersion, ByteRange | None]:
        """The version, past its conditions, and the range asked for."""
        key, version_id = req["Key"], req.get("VersionId")
        bucket = self.access.bucket(ctx, req, "s3:GetObjectVersion" if version_id else "s3:GetObject", key)
        version = self.reading.require(ctx.principal, bucket, key, version_id, method)
        ReadConditions.of(req).check(version)
        if (number := req.get("PartNumber")) is not None:
            if req.get("Range") is not None:
                raise invalid_request("Cannot specify both Range header and partNumber query parameter")
            return bucket, version, conditions.part_range(number, version)
        return bucket, version, conditions.byte_range(req.get("Range"), version.size)

    def _described(
        self, ctx: Context, bucket: Bucket, version: ObjectVersion, req: Mapping[str, Any], part: ByteRange | None
    ) -> dict[str, Any]:
        facts, size = version.facts, version.size
        answer: dict[str, Any] = {
            "AcceptRanges": "bytes",
            "LastModified": version.modified,
            "ETag": version.quoted_etag,
            "ContentLength": size if part is None else part.end - part.start,
            **encryption.told(facts.encryption),
            "Metadata": facts.metadata,
            **facts.headers,
            **_overridden(req),
            **version_told(bucket, version),
            **archives.header(version, ctx.now),
        }
        if "VersionId" not in req:
            answer |= expiration_told(bucket, version)
        if part is not None and size:
            answer["ContentRange"] = f"bytes {part.start}-{part.end - 1}/{size}"
        if version.storage_class != STANDARD:
            answer["StorageClass"] = version.storage_class
        if facts.tags:
            answer["TagCount"] = len(facts.tags)
        if facts.lock is not None:
            answer |= self._lock_told(ctx, bucket, version)
        number = req.get("PartNumber")
        if number is not None and facts.parts:
            answer["PartsCount"] = len(facts.parts)
        if req.get("ChecksumMode") == "ENABLED":
            answer |= _checksum_told(version, number, part)
        return answer

    def _lock_told(self, ctx: Context, bucket: Bucket, version: ObjectVersion) -> dict[str, Any]:
        """Retention and legal hold, to who may read them."""
        told = locks.headers(version)
        if not self.access.may(ctx.principal, bucket, "s3:GetObjectRetention", version.key):
            told.pop("ObjectLockMode", None)
            told.pop("ObjectLockRetainUntilDate", None)
        if not self.access.may(ctx.principal, bucket, "s3:GetObjectLegalHold", version.key):
            told.pop("ObjectLockLegalHoldStatus", None)
        return told


def _overridden(req: Mapping[str, Any]) -> dict[str, str]:
    """Headers as the request wants them in its answer; a date is a date."""
    return {
        told: write_rfc822(req[asked]) if asked == "ResponseExpires" else req[asked]
        for asked, told in _OVERRIDES.items()
        if req.get(asked) is not None
    }


def _checksum_told(version: ObjectVersion, number: int | None, part: ByteRange | None) -> dict[str, str]:
    """The whole object's checksum, a part's own, or none for any other range."""
    if number is not None and version.facts.parts:
        one = next(listed for listed in version.facts.parts if listed.number == number)
        return checksums.told(version.checksum_algorithm, one.checksum, version.checksum_type)
    whole = part is None or part == (0, version.size)
    return checksums.told(version.checksum_algorithm, version.facts.checksum, version.checksum_type) if whole else {}
