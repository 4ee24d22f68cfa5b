"""What the write operations have in common: the members that describe an object, and those that S3 takes but we refuse.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lakebed.kernel.errors import AwsError
from lakebed.kernel.scope import Scope
from lakebed.services.s3.model import lifecycle, tagging
from lakebed.services.s3.model.errors import invalid_argument
from lakebed.services.s3.model.shapes import Bucket, Facts, ObjectVersion

EVENT_HOLDS = ("ObjectLockEventHold", "ObjectLockEventHoldDurationDays", "ObjectLockEventHoldDurationYears")
_HEADERS = (
    "CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ContentType", "Expires",
    "WebsiteRedirectLocation",
)  # fmt: skip
_DEFAULT_CONTENT_TYPE = "binary/octet-stream"
_METADATA_BYTES_MAX = 2 << 10


def object_arn(_: Scope, request: Mapping[str, Any]) -> str:
    """The ARN an object operation is about."""
    return f"arn:aws:s3:::{request['Bucket']}/{request['Key']}"


def bucket_arn(_: Scope, request: Mapping[str, Any]) -> str:
    """The ARN a bucket operation is about."""
    return f"arn:aws:s3:::{request['Bucket']}"


def facts_of(request: Mapping[str, Any]) -> Facts:
    """Headers, metadata and tags a write carries."""
    metadata: dict[str, str] = {name.lower(): value for name, value in (request.get("Metadata") or {}).items()}
    size = sum(len(name.encode()) + len(value.encode()) for name, value in metadata.items())
    if size > _METADATA_BYTES_MAX:
        raise AwsError(
            "MetadataTooLarge",
            "Your metadata headers exceed the maximum allowed metadata size",
            status=400,
            members={"Size": str(size), "MaxSizeAllowed": str(_METADATA_BYTES_MAX)},
        )
    location = request.get("WebsiteRedirectLocation")
    if location is not None and not location.startswith(("/", "http://", "https://")):
        raise invalid_argument("The website redirect location must have a prefix of 'http://' or 'https://' or '/'.")
    headers = {name: request[name] for name in _HEADERS if request.get(name) is not None}
    headers["ContentType"] = headers.get("ContentType") or _DEFAULT_CONTENT_TYPE
    if encoding := _without_chunked(headers.pop("ContentEncoding", "")):
        headers["ContentEncoding"] = encoding
    return Facts(headers=headers, metadata=metadata, tags=tagging.from_header(request.get("Tagging")))


def _without_chunked(encoding: str) -> str:
    """``aws-chunked`` describes the transfer, not the object."""
    if "aws-chunked" not in encoding:
        return encoding
    return ",".join(part.strip() for part in encoding.split(",") if part.strip() not in ("", "aws-chunked"))


def expiration_told(bucket: Bucket, version: ObjectVersion) -> dict[str, Any]:
    """``Expiration`` where a lifecycle rule will end this current version."""
    if not bucket.lifecycle:
        return {}
    told = lifecycle.expiration_told(
        lifecycle.decode_rules(bucket.lifecycle), version.key, version.size, version.modified, version.facts.tags
    )
    return {"Expiration": told} if told else {}


def version_told(bucket: Bucket, version: ObjectVersion) -> dict[str, Any]:
    """``VersionId`` where the bucket ever had versioning."""
    return {"VersionId": version.version_id} if bucket.versioning else {}
