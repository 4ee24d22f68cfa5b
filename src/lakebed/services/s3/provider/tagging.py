"""Tags of objects. https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html"""

from __future__ import annotations

from typing import Any

import msgspec

from lakebed.api import s3 as api
from lakebed.ports.service import Context, operation
from lakebed.services.s3.access import caller
from lakebed.services.s3.model import tagging
from lakebed.services.s3.model.shapes import Bucket, ObjectVersion
from lakebed.services.s3.provider.request import object_arn, version_told
from lakebed.services.s3.state import Core


class TagOperations:
    """Object tags, of the newest or a named version."""

    def __init__(self, core: Core) -> None:
        self.k, self.access, self.objects, self.writing = core.k, core.access, core.objects, core.writing
        self.reading = core.reading

    def _found(self, ctx: Context, req: dict[str, Any], verb: str) -> tuple[Bucket, ObjectVersion]:
        version_id = req.get("VersionId")
        action = f"s3:{verb}Object{'Version' if version_id else ''}Tagging"
        bucket = self.access.bucket(ctx, req, action, req["Key"])
        method = {"Get": "GET", "Put": "PUT", "Delete": "DELETE"}[verb]
        return bucket, self.reading.require(ctx.principal, bucket, req["Key"], version_id, method)

    @operation("GetObjectTagging", action=None, resource=object_arn)
    async def get_object_tagging(self, ctx: Context, req: dict[str, Any]) -> api.GetObjectTaggingOutput:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectTagging.html"""
        bucket, version = self._found(ctx, req, "Get")
        answer: dict[str, Any] = {"TagSet": tagging.to_set(version.facts.tags), **version_told(bucket, version)}
        return answer  # type: ignore[return-value]  # built by members

    @operation("PutObjectTagging", action=None, resource=object_arn)
    async def put_object_tagging(self, ctx: Context, req: dict[str, Any]) -> api.PutObjectTaggingOutput:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectTagging.html"""
        bucket, version = self._found(ctx, req, "Put")
        tags = tagging.from_set(req["Tagging"].get("TagSet") or (), tagging.OBJECT_TAGS_MAX)
        self._replace(ctx, bucket, version, tags, "s3:ObjectTagging:Put")
        return version_told(bucket, version)  # type: ignore[return-value]  # built by members

    @operation("DeleteObjectTagging", action=None, resource=object_arn)
    async def delete_object_tagging(self, ctx: Context, req: dict[str, Any]) -> api.DeleteObjectTaggingOutput:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjectTagging.html"""
        bucket, version = self._found(ctx, req, "Delete")
        self._replace(ctx, bucket, version, {}, "s3:ObjectTagging:Delete")
        return version_told(bucket, version)  # type: ignore[return-value]  # built by members

    def _replace(self, ctx: Context, bucket: Bucket, version: ObjectVersion, tags: dict[str, str], event: str) -> None:
        with self.k.db.tx() as tx:
            self.objects.put_facts(tx, version, msgspec.structs.replace(version.facts, tags=tags))
            self.writing.announce(tx, bucket, version, caller(ctx), event)
