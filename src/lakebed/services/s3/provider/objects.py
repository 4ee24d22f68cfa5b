"""PutObject, GetObject, HeadObject, DeleteObject, DeleteObjects, GetObjectAttributes.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html
Refused: customer and KMS keys, Object Lock, appends (WriteOffsetBytes), MFA.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from lakebed.api import s3 as api
from lakebed.kernel.db import Tx
from lakebed.kernel.errors import AwsError
from lakebed.kernel.kernel import Kernel
from lakebed.ports.service import Context, operation
from lakebed.services.s3.access import Access, caller, request_conditions
from lakebed.services.s3.model import checksums, conditions
from lakebed.services.s3.model.conditions import ByteRange, ReadConditions
from lakebed.services.s3.model.errors import access_denied, invalid_request, malformed_xml, precondition_failed
from lakebed.services.s3.model.names import key_bytes
from lakebed.services.s3.model.shapes import STANDARD, Bucket, Facts, NewObject, ObjectVersion
from lakebed.services.s3.provider.request import (
    CUSTOMER_KEY,
    UNBUILT_CHECKSUMS,
    WRITE_REFUSED,
    check_acl,
    check_encryption,
    expiration_told,
    facts_of,
    object_arn,
    storage_class,
    version_told,
)
from lakebed.services.s3.reading import Reading
from lakebed.services.s3.removal import Removal
from lakebed.services.s3.store.buckets import Buckets
from lakebed.services.s3.store.objects import ObjectRows
from lakebed.services.s3.writing import BodyChecks, Conditions, Writing

_OVERRIDES = {
    "ResponseCacheControl": "CacheControl",
    "ResponseContentDisposition": "ContentDisposition",
    "ResponseContentEncoding": "ContentEncoding",
    "ResponseContentLanguage": "ContentLanguage",
    "ResponseContentType": "ContentType",
    "ResponseExpires": "Expires",
}
_DELETE_MAX, _DELETE_BATCH = 1000, 100


class ObjectOperations:
    """Whole objects."""

    def __init__(
        self,
        k: Kernel,
        access: Access,
        buckets: Buckets,
        objects: ObjectRows,
        writing: Writing,
        reading: Reading,
        removal: Removal,
    ) -> None:
        self.k, self.access, self.buckets, self.objects = k, access, buckets, objects
        self.writing, self.reading, self.removal = writing, reading, removal

    @operation(
        "PutObject", action=None, resource=object_arn, refused=(*WRITE_REFUSED, *UNBUILT_CHECKSUMS, "WriteOffsetBytes")
    )
    async def put_object(self, ctx: Context, req: dict[str, Any]) -> api.PutObjectOutput:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html"""
        key = req["Key"]
        key_bytes(key)
        bucket = self.access.bucket(ctx, req, "s3:PutObject", key)
        check_acl(req)
        check_encryption(req, "PutObject")
        facts, kept_in = facts_of(req), storage_class(req, "PutObject")
        if facts.tags:
            self.access.check(ctx.principal, bucket, "s3:PutObjectTagging", key)
        wanted = Conditions(req.get("IfMatch"), req.get("IfNoneMatch"))
        if wanted != (None, None):
            conditions.check_write(*wanted, key, self.objects.current(bucket.name, key_bytes(key)))
        checks = BodyChecks.of(req, ctx.headers)
        taken = await self.writing.take(req.get("Body"), checks)
        new = NewObject(
            key, taken.size, taken.etag, taken.blob, _with_checksum(facts, taken.checksum), kept_in,
            checks.algorithm, checksums.FULL_OBJECT if checks.algorithm else "",
        )  # fmt: skip
        version = self.writing.commit(
            lambda: self.buckets.require(bucket.name), new, caller(ctx), "s3:ObjectCreated:Put", wanted
        )
        answer: dict[str, Any] = {"ETag": version.quoted_etag, "ServerSideEncryption": "AES256"}
        answer |= checksums.told(checks.algorithm, taken.checksum, checksums.FULL_OBJECT)
        answer |= version_told(bucket, version) | expiration_told(bucket, version)
        return answer  # type: ignore[return-value]  # built by members

    @operation("GetObject", action=None, resource=object_arn, refused=CUSTOMER_KEY)
    async def get_object(self, ctx: Context, req: dict[str, Any]) -> api.GetObjectOutput:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html"""
        bucket, version, part = self._found(ctx, req, "GET")
        answer = self._described(bucket, version, req, part)
        span = part or ByteRange(0, version.size)
        answer["Body"] = await self.reading.open(version, *span)
        self.k.meters.out(bucket.arn, 1, span.end - span.start)
        return answer  # type: ignore[return-value]  # built by members

    @operation("HeadObject", action=None, resource=object_arn, refused=CUSTOMER_KEY)
    async def head_object(self, ctx: Context, req: dict[str, Any]) -> api.HeadObjectOutput:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html"""
        bucket, version, part = self._found(ctx, req, "HEAD")
        return self._described(bucket, version, req, part)  # type: ignore[return-value]  # built by members

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
        self, bucket: Bucket, version: ObjectVersion, req: Mapping[str, Any], part: ByteRange | None
    ) -> dict[str, Any]:
        facts, size = version.facts, version.size
        answer: dict[str, Any] = {
            "AcceptRanges": "bytes",
            "LastModified": version.modified,
            "ETag": version.quoted_etag,
            "ContentLength": size if part is None else part.end - part.start,
            "ServerSideEncryption": "AES256",
            "Metadata": facts.metadata,
            **facts.headers,
            **{told: req[asked] for asked, told in _OVERRIDES.items() if req.get(asked) is not None},
            **version_told(bucket, version),
        }
        if "VersionId" not in req:
            answer |= expiration_told(bucket, version)
        if part is not None and size:
            answer["ContentRange"] = f"bytes {part.start}-{part.end - 1}/{size}"
        if version.storage_class != STANDARD:
            answer["StorageClass"] = version.storage_class
        if facts.tags:
            answer["TagCount"] = len(facts.tags)
        number = req.get("PartNumber")
        if number is not None and facts.parts:
            answer["PartsCount"] = len(facts.parts)
        if req.get("ChecksumMode") == "ENABLED":
            answer |= _checksum_told(version, number, part)
        return answer

    @operation("DeleteObject", action=None, resource=object_arn, refused=("MFA", "BypassGovernanceRetention"))
    async def delete_object(self, ctx: Context, req: dict[str, Any]) -> api.DeleteObjectOutput:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html"""
        version_id = req.get("VersionId")
        bucket = self.access.bucket(ctx, req, _delete_action(version_id), req["Key"])
        wanted = {
            "ETag": req.get("IfMatch"),
            "LastModifiedTime": req.get("IfMatchLastModifiedTime"),
            "Size": req.get("IfMatchSize"),
        }
        with self.k.db.tx() as tx:
            self._check_delete(bucket, req["Key"], version_id, wanted)
            done = self.writing.delete(tx, bucket, req["Key"], version_id, caller(ctx))
        answer: api.DeleteObjectOutput = {}
        if done.marker:
            answer["DeleteMarker"] = True
        if done.version_id is not None:
            answer["VersionId"] = done.version_id
        return answer

    @operation("DeleteObjects", action=None, refused=("MFA", "BypassGovernanceRetention"))
    async def delete_objects(self, ctx: Context, req: dict[str, Any]) -> api.DeleteObjectsOutput:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html"""
        entries = req["Delete"].get("Objects") or ()
        if not 0 < len(entries) <= _DELETE_MAX:
            raise malformed_xml()
        bucket = self.buckets.require(req["Bucket"])
        if req.get("ExpectedBucketOwner") not in (None, bucket.account):
            raise access_denied()
        deleted: list[dict[str, Any]] = []
        errors: list[dict[str, Any]] = []
        for start in range(0, len(entries), _DELETE_BATCH):
            with self.k.db.tx() as tx:
                for entry in entries[start : start + _DELETE_BATCH]:
                    self._delete_one(tx, ctx, bucket, entry, (deleted, errors))
            await self.removal.remove_due()
        answer: dict[str, Any] = {"Errors": errors} if errors else {}
        if not req["Delete"].get("Quiet") and deleted:
            answer["Deleted"] = deleted
        return answer  # type: ignore[return-value]  # built by members

    def _delete_one(
        self, tx: Tx, ctx: Context, bucket: Bucket, entry: Mapping[str, Any], told: tuple[list[Any], list[Any]]
    ) -> None:
        """One key of DeleteObjects; what came of it goes to ``told``, the deleted and the errors."""
        named = {name: entry[name] for name in ("Key", "VersionId") if entry.get(name) is not None}
        version_id = entry.get("VersionId")
        try:
            self.access.check(ctx.principal, bucket, _delete_action(version_id), entry["Key"], request_conditions(ctx))
            self._check_delete(bucket, entry["Key"], version_id, entry)
            done = self.writing.delete(tx, bucket, entry["Key"], version_id, caller(ctx))
        except AwsError as failure:
            told[1].append({**named, "Code": failure.error_code, "Message": failure.message})
            return
        marker = {"DeleteMarker": True, "DeleteMarkerVersionId": done.version_id} if done.marker else {}
        told[0].append({**named, **marker})

    def _check_delete(self, bucket: Bucket, key: str, version_id: str | None, wanted: Mapping[str, Any]) -> None:
        """Conditions of a delete: the object must still be what the client saw; an absent one satisfies none."""
        etag, modified, size = wanted.get("ETag"), wanted.get("LastModifiedTime"), wanted.get("Size")
        if etag is None and modified is None and size is None:
            return
        raw = key_bytes(key)
        found = (
            self.objects.version(bucket.name, raw, version_id) if version_id else self.objects.current(bucket.name, raw)
        )
        conditions.check_write(etag or "*", None, key, found)
        assert found is not None
        if (modified is not None and int(modified) != int(found.modified)) or (size is not None and size != found.size):
            raise precondition_failed("If-Match-Size" if modified is None else "If-Match-Last-Modified-Time")

    @operation("GetObjectAttributes", action=None, resource=object_arn, refused=CUSTOMER_KEY)
    async def get_object_attributes(self, ctx: Context, req: dict[str, Any]) -> api.GetObjectAttributesOutput:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAttributes.html"""
        key, version_id = req["Key"], req.get("VersionId")
        bucket = self.access.bucket(ctx, req, "s3:GetObjectVersion" if version_id else "s3:GetObject", key)
        self.access.check(
            ctx.principal, bucket, "s3:GetObjectVersionAttributes" if version_id else "s3:GetObjectAttributes", key
        )
        version = self.reading.require(ctx.principal, bucket, key, version_id, "GET")
        wanted = {name.strip() for entry in req["ObjectAttributes"] for name in entry.split(",")}
        answer: dict[str, Any] = {"LastModified": version.modified, **version_told(bucket, version)}
        if "ETag" in wanted:
            answer["ETag"] = version.etag
        if "ObjectSize" in wanted:
            answer["ObjectSize"] = version.size
        if "StorageClass" in wanted:
            answer["StorageClass"] = version.storage_class
        if "Checksum" in wanted and version.facts.checksum:
            answer["Checksum"] = checksums.told(
                version.checksum_algorithm, version.facts.checksum, version.checksum_type
            )
        if "ObjectParts" in wanted and version.facts.parts:
            answer["ObjectParts"] = _parts_told(version, req.get("MaxParts"), req.get("PartNumberMarker") or 0)
        return answer  # type: ignore[return-value]  # built by members


def _delete_action(version_id: str | None) -> str:
    return "s3:DeleteObjectVersion" if version_id else "s3:DeleteObject"


def _with_checksum(facts: Facts, checksum: str) -> Facts:
    return msgspec.structs.replace(facts, checksum=checksum) if checksum else facts


def _checksum_told(version: ObjectVersion, number: int | None, part: ByteRange | None) -> dict[str, str]:
    """The whole object's checksum, a part's own, or none for any other range."""
    if number is not None and version.facts.parts:
        one = next(listed for listed in version.facts.parts if listed.number == number)
        return checksums.told(version.checksum_algorithm, one.checksum, version.checksum_type)
    whole = part is None or part == (0, version.size)
    return checksums.told(version.checksum_algorithm, version.facts.checksum, version.checksum_type) if whole else {}


def _parts_told(version: ObjectVersion, limit: int | None, marker: int) -> dict[str, Any]:
    limit = 1000 if limit is None else min(limit, 1000)
    behind = [part for part in version.facts.parts if part.number > marker]
    page = behind[:limit]
    told: dict[str, Any] = {
        "TotalPartsCount": len(version.facts.parts),
        "PartNumberMarker": marker,
        "MaxParts": limit,
        "IsTruncated": len(behind) > len(page),
        "NextPartNumberMarker": page[-1].number if page else marker,
    }
    if version.facts.parts[0].checksum:
        told["Parts"] = [
            {
                "PartNumber": part.number,
                "Size": part.size,
                checksums.member(version.checksum_algorithm): part.checksum,
            }
            for part in page
        ]
    return told
