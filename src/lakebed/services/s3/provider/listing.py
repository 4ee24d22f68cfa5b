"""ListObjects, ListObjectsV2, ListObjectVersions: pages of keys in UTF-8 order.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html. Common prefixes are found by seeking behind each
(``model.listing``), so their cost does not depend on how many keys they hide.
"""

from __future__ import annotations

import re
from typing import Any

from lakebed.api import s3 as api
from lakebed.ports.service import Context, operation
from lakebed.services.s3.model import archives, listing
from lakebed.services.s3.model.errors import invalid_argument
from lakebed.services.s3.model.listing import Encoding, Position
from lakebed.services.s3.model.shapes import Bucket, canonical_id
from lakebed.services.s3.provider.request import bucket_arn
from lakebed.services.s3.state import Core
from lakebed.services.s3.store.objects import ListedVersion
from lakebed.wire.aws.pages import sealed

_VERSION_ID = re.compile(r"null|[\w.-]{32}")


class ListOperations:
    """Listings of a bucket's keys."""

    def __init__(self, core: Core) -> None:
        self.access, self.objects = core.access, core.objects

    def _bucket(self, ctx: Context, req: dict[str, Any], action: str) -> Bucket:
        return self.access.bucket(ctx, {"Prefix": "", "Delimiter": "", **req}, action)

    def _page(
        self,
        bucket: Bucket,
        req: dict[str, Any],
        marker: str | bytes | None,
        encode: Encoding,
        now: float,
        *,
        owner: bool,
    ) -> tuple[dict[str, Any], listing.Page[ListedVersion]]:
        """The members that both listings of objects share, and the page itself."""
        limit = listing.page_size(req.get("MaxKeys"))
        prefix, delimiter = (req.get("Prefix") or "").encode(), (req.get("Delimiter") or "").encode()
        behind = marker.encode() if isinstance(marker, str) else marker
        start = listing.start_behind(behind, prefix, delimiter) if behind else listing.from_key(prefix)
        page = listing.walk(
            lambda position, end, count: self.objects.page(bucket.name, position, end, count),
            start, prefix, delimiter, limit,
        )  # fmt: skip
        answer: dict[str, Any] = {
            "Name": bucket.name,
            "Prefix": encode(prefix),
            "MaxKeys": limit,
            "IsTruncated": page.truncated,
            "Contents": [
                _content(row, encode, bucket if owner else None) | self._restore_told(bucket, req, row, now)
                for row in page.rows
            ],
            "CommonPrefixes": [{"Prefix": encode(found)} for found in page.prefixes],
        }
        if delimiter:
            answer["Delimiter"] = encode(delimiter)
        if encode.kind:
            answer["EncodingType"] = encode.kind
        return answer, page

    @operation("ListObjectsV2", action=None, resource=bucket_arn)
    async def list_objects_v2(self, ctx: Context, req: dict[str, Any]) -> api.ListObjectsV2Output:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html"""
        bucket, encode = self._bucket(ctx, req, "s3:ListBucket"), Encoding(req.get("EncodingType"))
        continued, start_after = req.get("ContinuationToken"), req.get("StartAfter")
        marker: str | bytes | None = start_after
        if continued is not None:
            marker = listing.from_token(continued, bytes, b"")
        answer, page = self._page(bucket, req, marker, encode, ctx.now, owner=bool(req.get("FetchOwner")))
        answer["KeyCount"] = len(page.rows) + len(page.prefixes)
        if continued is not None:
            answer["ContinuationToken"] = continued
        if start_after is not None:
            answer["StartAfter"] = encode(start_after)
        if page.truncated:
            answer["NextContinuationToken"] = sealed(page.last)
        return answer  # type: ignore[return-value]  # built by members

    @operation("ListObjects", action=None, resource=bucket_arn)
    async def list_objects(self, ctx: Context, req: dict[str, Any]) -> api.ListObjectsOutput:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjects.html"""
        bucket, encode = self._bucket(ctx, req, "s3:ListBucket"), Encoding(req.get("EncodingType"))
        answer, page = self._page(bucket, req, req.get("Marker"), encode, ctx.now, owner=True)
        answer["Marker"] = encode(req.get("Marker") or "")
        if page.truncated and req.get("Delimiter"):
            answer["NextMarker"] = encode(page.last)
        return answer  # type: ignore[return-value]  # built by members

    @operation("ListObjectVersions", action=None, resource=bucket_arn)
    async def list_object_versions(self, ctx: Context, req: dict[str, Any]) -> api.ListObjectVersionsOutput:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html"""
        bucket, encode = self._bucket(ctx, req, "s3:ListBucketVersions"), Encoding(req.get("EncodingType"))
        limit = listing.page_size(req.get("MaxKeys"))
        prefix, delimiter = (req.get("Prefix") or "").encode(), (req.get("Delimiter") or "").encode()
        start = self._start_of_versions(bucket, req, prefix, delimiter)
        page = listing.walk(
            lambda position, end, count: self.objects.versions_page(bucket.name, position, end, count),
            start, prefix, delimiter, limit,
        )  # fmt: skip
        versions, markers = _versions(page.rows, start, bucket, encode)
        for told, row in zip(versions, [row for row in page.rows if not row.marker], strict=True):
            told |= self._restore_told(bucket, req, row, ctx.now)
        answer: dict[str, Any] = {
            "Name": bucket.name,
            "Prefix": encode(prefix),
            "KeyMarker": encode(req.get("KeyMarker") or ""),
            "VersionIdMarker": req.get("VersionIdMarker") or "",
            "MaxKeys": limit,
            "IsTruncated": page.truncated,
            "Versions": versions,
            "DeleteMarkers": markers,
            "CommonPrefixes": [{"Prefix": encode(found)} for found in page.prefixes],
        }
        if delimiter:
            answer["Delimiter"] = encode(delimiter)
        if encode.kind:
            answer["EncodingType"] = encode.kind
        if page.truncated:
            answer["NextKeyMarker"] = encode(page.last)
            if page.last_prefix is None and page.last_row is not None:
                answer["NextVersionIdMarker"] = page.last_row.version_id
        return answer  # type: ignore[return-value]  # built by members

    def _restore_told(self, bucket: Bucket, req: dict[str, Any], row: ListedVersion, now: float) -> dict[str, Any]:
        """The restore state of an archived version, to a client that asks for it."""
        if row.storage_class not in archives.ARCHIVES or "RestoreStatus" not in (
            req.get("OptionalObjectAttributes") or ()
        ):
            return {}
        version = self.objects.version(bucket.name, row.key, row.version_id)
        return archives.status(version, now) if version is not None else {}

    def _start_of_versions(self, bucket: Bucket, req: dict[str, Any], prefix: bytes, delimiter: bytes) -> Position:
        key_marker, version_marker = req.get("KeyMarker"), req.get("VersionIdMarker")
        if not key_marker:
            if version_marker:
                raise invalid_argument(
                    "A version-id marker cannot be specified without a key marker.", "version-id-marker"
                )
            return listing.from_key(prefix)
        marker = key_marker.encode()
        if version_marker:
            found = self.objects.version(bucket.name, marker, version_marker)
            if found is not None:
                return Position(marker, found.rank)
            if not _VERSION_ID.fullmatch(version_marker):
                raise invalid_argument("Invalid version id specified", "version-id-marker", version_marker)
            return listing.from_key(marker)  # deleted since the page that named it: what is left of its key comes again
        return listing.start_behind(marker, prefix, delimiter)


def _content(row: ListedVersion, encode: Encoding, owner: Bucket | None) -> dict[str, Any]:
    content: dict[str, Any] = {
        "Key": encode(row.key),
        "LastModified": row.modified,
        "ETag": f'"{row.etag}"',
        "Size": row.size,
        "StorageClass": row.storage_class,
    }
    if row.checksum_algorithm:
        content["ChecksumAlgorithm"] = [row.checksum_algorithm]
        content["ChecksumType"] = row.checksum_type
    if owner is not None:
        content["Owner"] = {"ID": canonical_id(owner.account)}
    return content


def _versions(
    rows: list[ListedVersion], start: Position, bucket: Bucket, encode: Encoding
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Versions and delete markers. The first row of a key is its latest, unless the page starts within the key."""
    versions: list[dict[str, Any]] = []
    markers: list[dict[str, Any]] = []
    before = start.key if start != listing.from_key(start.key) else None
    for row in rows:
        latest = {
            "IsLatest": row.key != before,
            "VersionId": row.version_id,
            "Owner": {"ID": canonical_id(bucket.account)},
        }
        if row.marker:
            markers.append({"Key": encode(row.key), "LastModified": row.modified, **latest})
        else:
            versions.append(_content(row, encode, None) | latest)
        before = row.key
    return versions, markers
