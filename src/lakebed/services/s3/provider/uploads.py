"""ListParts and ListMultipartUploads: uploads that are under way.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lakebed.api import s3 as api
from lakebed.kernel.errors import AwsError
from lakebed.ports.service import Context, operation
from lakebed.services.s3.model import checksums, listing
from lakebed.services.s3.model.errors import invalid_argument
from lakebed.services.s3.model.listing import Encoding, Position
from lakebed.services.s3.model.shapes import Bucket, Part, Upload, canonical_id
from lakebed.services.s3.provider.request import bucket_arn, object_arn
from lakebed.services.s3.state import Core


class UploadListOperations:
    """Listings of uploads and of their parts."""

    def __init__(self, core: Core) -> None:
        self.access, self.uploads = core.access, core.uploads

    @operation("ListParts", action=None, resource=object_arn)
    async def list_parts(self, ctx: Context, req: dict[str, Any]) -> api.ListPartsOutput:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListParts.html"""
        bucket = self.access.bucket(ctx, req, "s3:ListMultipartUploadParts", req["Key"])
        upload = self.uploads.require(bucket.name, req["Key"], req["UploadId"])
        limit = listing.page_size(req.get("MaxParts"), "max-parts")
        marker = int(req.get("PartNumberMarker") or 0)
        found = self.uploads.parts(upload.upload_id, marker, limit + 1)
        page = found[:limit]
        owner = {"ID": canonical_id(bucket.account)}
        answer: dict[str, Any] = {
            "Bucket": bucket.name, "Key": upload.key, "UploadId": upload.upload_id, "MaxParts": limit,
            "PartNumberMarker": marker, "NextPartNumberMarker": page[-1].number if page else marker,
            "IsTruncated": len(found) > len(page), "StorageClass": upload.storage_class,
            "Owner": owner, "Initiator": _initiator(upload),
            "Parts": [_part_told(part, upload.checksum_algorithm) for part in page],
        }  # fmt: skip
        if upload.checksum_algorithm:
            answer |= {"ChecksumAlgorithm": upload.checksum_algorithm, "ChecksumType": upload.checksum_type}
        return answer  # type: ignore[return-value]  # built by members

    @operation("ListMultipartUploads", action=None, resource=bucket_arn)
    async def list_multipart_uploads(self, ctx: Context, req: dict[str, Any]) -> api.ListMultipartUploadsOutput:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html"""
        bucket = self.access.bucket(ctx, req, "s3:ListBucketMultipartUploads")
        encode, limit = Encoding(req.get("EncodingType")), listing.page_size(req.get("MaxUploads"), "max-uploads")
        prefix, delimiter = (req.get("Prefix") or "").encode(), (req.get("Delimiter") or "").encode()
        page = listing.walk(
            lambda position, end, count: self.uploads.page(bucket.name, position, end, count),
            self._start(bucket, req, prefix, delimiter), prefix, delimiter, limit,
        )  # fmt: skip
        answer: dict[str, Any] = {
            "Bucket": bucket.name, "Prefix": encode(prefix), "MaxUploads": limit, "IsTruncated": page.truncated,
            "KeyMarker": encode(req.get("KeyMarker") or ""), "UploadIdMarker": req.get("UploadIdMarker") or "",
            "Uploads": [_upload_told(row.upload, bucket, encode) for row in page.rows],
            "CommonPrefixes": [{"Prefix": encode(found)} for found in page.prefixes],
        }  # fmt: skip
        if delimiter:
            answer["Delimiter"] = encode(delimiter)
        if encode.kind:
            answer["EncodingType"] = encode.kind
        if page.truncated:
            answer["NextKeyMarker"] = encode(page.last)
            if page.last_prefix is None and page.last_row is not None:
                answer["NextUploadIdMarker"] = page.last_row.upload.upload_id
        return answer  # type: ignore[return-value]  # built by members

    def _start(self, bucket: Bucket, req: Mapping[str, Any], prefix: bytes, delimiter: bytes) -> Position:
        marker, upload_marker = req.get("KeyMarker"), req.get("UploadIdMarker")
        if not marker:
            return listing.from_key(prefix)
        if upload_marker:
            try:
                return Position(marker.encode(), self.uploads.require(bucket.name, marker, upload_marker).rank)
            except AwsError:
                raise invalid_argument("Invalid uploadId marker", "upload-id-marker", upload_marker) from None
        return listing.start_behind(marker.encode(), prefix, delimiter)


def _part_told(part: Part, algorithm: str) -> dict[str, Any]:
    told = {
        "PartNumber": part.number, "LastModified": part.modified, "ETag": f'"{part.etag}"', "Size": part.size,
    }  # fmt: skip
    return told | ({checksums.member(algorithm): part.checksum} if algorithm else {})


def _upload_told(upload: Upload, bucket: Bucket, encode: Encoding) -> dict[str, Any]:
    told: dict[str, Any] = {
        "Key": encode(upload.key), "UploadId": upload.upload_id, "Initiated": upload.initiated,
        "StorageClass": upload.storage_class, "Owner": {"ID": canonical_id(bucket.account)},
        "Initiator": _initiator(upload),
    }  # fmt: skip
    if upload.checksum_algorithm:
        told |= {"ChecksumAlgorithm": upload.checksum_algorithm, "ChecksumType": upload.checksum_type}
    return told


def _initiator(upload: Upload) -> dict[str, str]:
    """An account's root is told by its canonical id, everybody else by their ARN."""
    if upload.initiator.endswith(":root"):
        return {"ID": canonical_id(upload.initiator.split(":")[4])}
    return {"ID": upload.initiator, "DisplayName": upload.initiator.rsplit("/", 1)[-1]}
