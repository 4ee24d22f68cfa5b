"""CopyObject and UploadPartCopy: bytes go from blob to blob inside the house, off the event loop in pieces.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html. Needs read permission at the source and write
permission at the target, whoever owns either. An encrypted source is decrypted on the way and the copy encrypted as the
request and the target's bucket say. Refused: annotations, event holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from lakebed.api import s3 as api
from lakebed.kernel.errors import AwsError
from lakebed.ports.service import Context, operation
from lakebed.services.s3.access import caller
from lakebed.services.s3.intake import BodyChecks
from lakebed.services.s3.model import archives, checksums, conditions, encryption
from lakebed.services.s3.model.conditions import ReadConditions
from lakebed.services.s3.model.encryption import SOURCE_MEMBERS
from lakebed.services.s3.model.errors import invalid_argument, invalid_request
from lakebed.services.s3.model.names import copy_source, key_bytes
from lakebed.services.s3.model.shapes import Bucket, Facts, NewObject, ObjectVersion, Part
from lakebed.services.s3.provider.drafts import drafted
from lakebed.services.s3.provider.multipart import check_part_number, part_of, part_sealed
from lakebed.services.s3.provider.request import EVENT_HOLDS, expiration_told, facts_of, object_arn, version_told
from lakebed.services.s3.state import Core
from lakebed.services.s3.writing import Conditions


class CopyOperations:
    """Copies, whole or as parts."""

    def __init__(self, core: Core) -> None:
        self.core, self.k, self.access, self.buckets, self.uploads = (
            core,
            core.k,
            core.access,
            core.buckets,
            core.uploads,
        )
        self.writing, self.reading = core.writing, core.reading

    def _source(self, ctx: Context, req: Mapping[str, Any]) -> tuple[Bucket, ObjectVersion, bytes | None]:
        """The version to copy, past permission and the conditions on it, and its plain key where it is encrypted."""
        name, key, version_id = copy_source(req["CopySource"])
        action = "s3:GetObjectVersion" if version_id else "s3:GetObject"
        bucket = self.access.bucket(
            ctx, req, action, key, name=name, version_id=version_id, owner_member="ExpectedSourceBucketOwner"
        )
        version = self.reading.require(ctx.principal, bucket, key, version_id, "COPY")
        ReadConditions.of_source(req).check(version)
        archives.check_readable(version, ctx.now)
        opened = self.core.keys.open(ctx.principal, bucket, version.facts.encryption, req, SOURCE_MEMBERS)
        return bucket, version, opened

    @operation("CopyObject", action=None, resource=object_arn, refused=(*EVENT_HOLDS, "AnnotationDirective"))
    async def copy_object(self, ctx: Context, req: dict[str, Any]) -> api.CopyObjectOutput:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html"""
        key = req["Key"]
        key_bytes(key)
        bucket = self.access.bucket(ctx, req, "s3:PutObject", key)
        source_bucket, source, opened = self._source(ctx, req)
        draft = drafted(self.core, ctx, bucket, req)
        self._check_changes_something(req, bucket, source, draft.storage_class)
        described = self._described(ctx, req, bucket, source_bucket, source)
        algorithm = req.get("ChecksumAlgorithm") or source.checksum_algorithm or checksums.DEFAULT
        body = await self.reading.open(source, 0, source.size, opened)
        sealer = draft.sealed.sealer() if draft.sealed else None
        taken = await self.core.intake.take(body, BodyChecks(kept=algorithm), sealer)
        facts = msgspec.structs.replace(
            draft.facts,
            headers=described.headers,
            metadata=described.metadata,
            tags=described.tags,
            checksum=taken.checksum,
        )
        new = NewObject(
            key, taken.size, taken.etag, taken.blob, facts, draft.storage_class, algorithm, checksums.FULL_OBJECT
        )
        version = self.writing.commit(
            lambda: self.buckets.require(bucket.name),
            new,
            caller(ctx),
            "s3:ObjectCreated:Copy",
            Conditions(req.get("IfMatch"), req.get("IfNoneMatch")),
        )
        result = {"ETag": version.quoted_etag, "LastModified": version.modified}
        answer: dict[str, Any] = {
            "CopyObjectResult": result | checksums.told(algorithm, taken.checksum, checksums.FULL_OBJECT),
            **encryption.told(facts.encryption),
            **version_told(bucket, version),
            **expiration_told(bucket, version),
        }
        if source_bucket.versioning:
            answer["CopySourceVersionId"] = source.version_id
        return encryption.written(answer, facts.encryption)  # type: ignore[return-value]  # built by members

    def _described(
        self, ctx: Context, req: dict[str, Any], bucket: Bucket, source_bucket: Bucket, source: ObjectVersion
    ) -> Facts:
        """Metadata and tags by their directives, COPY unless said otherwise."""
        for directive in ("MetadataDirective", "TaggingDirective"):
            if req.get(directive) not in (None, "COPY", "REPLACE"):
                raise invalid_argument(f"Unknown {directive}.", directive, req[directive])
        given = facts_of(req)
        if req.get("Tagging") and req.get("TaggingDirective") != "REPLACE":
            given = msgspec.structs.replace(given, tags={})
        facts = given if req.get("MetadataDirective") == "REPLACE" else source.facts
        if req.get("MetadataDirective") != "REPLACE" and req.get("WebsiteRedirectLocation"):
            facts = msgspec.structs.replace(
                facts, headers={**facts.headers, "WebsiteRedirectLocation": req["WebsiteRedirectLocation"]}
            )
        tags = given.tags if req.get("TaggingDirective") == "REPLACE" else source.facts.tags
        if tags:
            if req.get("TaggingDirective") != "REPLACE":
                self.access.check(ctx.principal, source_bucket, "s3:GetObjectTagging", source.key)
            self.access.check(ctx.principal, bucket, "s3:PutObjectTagging", req["Key"])
        return msgspec.structs.replace(facts, tags=tags, parts=(), checksum="")

    def _check_changes_something(
        self, req: Mapping[str, Any], bucket: Bucket, source: ObjectVersion, kept_in: str
    ) -> None:
        """A copy onto itself must change something, unless it makes a new version of an old one."""
        same = source.bucket == bucket.name and source.key == req["Key"] and "?versionId=" not in req["CopySource"]
        changes = (
            req.get("MetadataDirective") == "REPLACE"
            or req.get("TaggingDirective") == "REPLACE"
            or kept_in != source.storage_class
            or any(
                req.get(name)
                for name in (
                    "WebsiteRedirectLocation",
                    "ServerSideEncryption",
                    "ChecksumAlgorithm",
                    "SSECustomerAlgorithm",
                )
            )
            or bool(bucket.encryption)
        )
        if same and not changes:
            raise invalid_request(
                "This copy request is illegal because it is trying to copy an object to itself without changing the "
                "object's metadata, storage class, website redirect location or encryption attributes."
            )

    @operation("UploadPartCopy", action=None, resource=object_arn)
    async def upload_part_copy(self, ctx: Context, req: dict[str, Any]) -> api.UploadPartCopyOutput:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html"""
        bucket = self.access.bucket(ctx, req, "s3:PutObject", req["Key"])
        upload = self.uploads.require(bucket.name, req["Key"], req["UploadId"])
        check_part_number(req["PartNumber"])
        source_bucket, source, opened = self._source(ctx, req)
        start, end = _source_range(req.get("CopySourceRange"), source)
        sealed = part_sealed(self.core, ctx, bucket, upload, req)
        body = await self.reading.open(source, start, end, opened)
        checks = BodyChecks(kept=upload.checksum_algorithm or checksums.DEFAULT)
        taken = await self.core.intake.take(body, checks, sealed.sealer() if sealed else None)
        part = part_of(self.k, req["PartNumber"], taken, sealed)
        self._store(upload.upload_id, bucket.name, req, part)
        result = {"ETag": f'"{part.etag}"', "LastModified": part.modified}
        if upload.checksum_algorithm:
            result[checksums.member(upload.checksum_algorithm)] = part.checksum
        answer: dict[str, Any] = {"CopyPartResult": result, **encryption.told(upload.facts.encryption)}
        if source_bucket.versioning:
            answer["CopySourceVersionId"] = source.version_id
        return answer  # type: ignore[return-value]  # built by members

    def _store(self, upload_id: str, bucket: str, req: Mapping[str, Any], part: Part) -> None:
        """The part's row, unless the upload ended while its bytes were copied."""
        try:
            with self.k.db.tx() as tx:
                self.uploads.require(bucket, req["Key"], upload_id)
                self.writing.retire(tx, bucket, self.uploads.put_part(tx, upload_id, part))
        except AwsError:
            self.k.blobs.delete([part.blob])
            raise


def _source_range(header: str | None, source: ObjectVersion) -> tuple[int, int]:
    """``bytes=first-last``; both ends are required and must lie within the source."""
    if header is None:
        return 0, source.size
    found = conditions.RANGE.fullmatch(header)
    if found is None or not found[1] or not found[2]:
        raise invalid_argument(
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the "
            "zero-based offsets of the first and last bytes to copy",
            "x-amz-copy-source-range",
            header,
        )
    start, end = int(found[1]), int(found[2]) + 1
    if start >= end or end > source.size:
        raise invalid_argument(
            f"Range specified is not valid for source object of size: {source.size}", "x-amz-copy-source-range", header
        )
    return start, end
