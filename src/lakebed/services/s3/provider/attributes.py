"""GetObjectAttributes: what an object is, part by part, without its bytes.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAttributes.html
"""

from __future__ import annotations

from typing import Any

from lakebed.api import s3 as api
from lakebed.ports.service import Context, operation
from lakebed.services.s3.model import checksums
from lakebed.services.s3.model.shapes import ObjectVersion
from lakebed.services.s3.provider.request import object_arn, version_told
from lakebed.services.s3.state import Core


class AttributeOperations:
    """Attributes of objects."""

    def __init__(self, core: Core) -> None:
        self.core, self.access = core, core.access

    @operation("GetObjectAttributes", action=None, resource=object_arn)
    async def get_object_attributes(self, ctx: Context, req: dict[str, Any]) -> api.GetObjectAttributesOutput:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAttributes.html"""
        key, version_id = req["Key"], req.get("VersionId")
        bucket = self.access.bucket(ctx, req, "s3:GetObjectVersion" if version_id else "s3:GetObject", key)
        action = "s3:GetObjectVersionAttributes" if version_id else "s3:GetObjectAttributes"
        self.access.check(ctx.principal, bucket, action, key, version_id=version_id)
        version = self.core.reading.require(ctx.principal, bucket, key, version_id, "GET")
        self.core.keys.open(ctx.principal, bucket, version.facts.encryption, req)
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
