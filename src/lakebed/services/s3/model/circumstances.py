"""The condition keys of a request: what every request carries, and what S3 tells of its members.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html#amazons3-policy-keys. Keys that are
absent from a request are absent here too, so that ``Null`` and ``…IfExists`` see the difference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from lakebed.ports.service import Context
from lakebed.services.s3.model.shapes import Bucket, ObjectVersion
from lakebed.wire.aws.scalars import write_iso_millis

Conditions = dict[str, str | Sequence[str]]
_MEMBERS = {
    "ACL": "s3:x-amz-acl",
    "CopySource": "s3:x-amz-copy-source",
    "Delimiter": "s3:delimiter",
    "GrantFullControl": "s3:x-amz-grant-full-control",
    "GrantRead": "s3:x-amz-grant-read",
    "GrantReadACP": "s3:x-amz-grant-read-acp",
    "GrantWrite": "s3:x-amz-grant-write",
    "GrantWriteACP": "s3:x-amz-grant-write-acp",
    "IfMatch": "s3:if-match",
    "IfNoneMatch": "s3:if-none-match",
    "MaxKeys": "s3:max-keys",
    "MetadataDirective": "s3:x-amz-metadata-directive",
    "ObjectLockLegalHoldStatus": "s3:object-lock-legal-hold",
    "ObjectLockMode": "s3:object-lock-mode",
    "ObjectOwnership": "s3:x-amz-object-ownership",
    "Prefix": "s3:prefix",
    "SSECustomerAlgorithm": "s3:x-amz-server-side-encryption-customer-algorithm",
    "SSEKMSKeyId": "s3:x-amz-server-side-encryption-aws-kms-key-id",
    "ServerSideEncryption": "s3:x-amz-server-side-encryption",
    "StorageClass": "s3:x-amz-storage-class",
    "VersionId": "s3:versionid",
    "WebsiteRedirectLocation": "s3:x-amz-website-redirect-location",
}


def of_context(ctx: Context) -> Conditions:
    """The condition keys every request carries."""
    return {
        "aws:SourceIp": ctx.source_ip,
        "aws:UserAgent": ctx.headers.get("user-agent", ""),
        "aws:SecureTransport": "true" if ctx.endpoint.startswith("https:") else "false",
        "aws:RequestedRegion": ctx.scope.region,
        **({"aws:Referer": ctx.headers["referer"]} if "referer" in ctx.headers else {}),
    }


def of_request(request: Mapping[str, Any]) -> Conditions:
    """S3's own keys: from the members of the input."""
    found: Conditions = {
        key: str(request[member]) for member, key in _MEMBERS.items() if request.get(member) is not None
    }
    if (until := request.get("ObjectLockRetainUntilDate")) is not None:
        found["s3:object-lock-retain-until-date"] = write_iso_millis(until)
    tags = _tags(request)
    if tags:
        found["s3:RequestObjectTagKeys"] = list(tags)
        found |= {f"s3:RequestObjectTag/{name}": value for name, value in tags.items()}
    return found


def _tags(request: Mapping[str, Any]) -> dict[str, str]:
    tagging = request.get("Tagging")
    if isinstance(tagging, str):
        return dict(parse_qsl(tagging, keep_blank_values=True, max_num_fields=100))
    if isinstance(tagging, Mapping) and "Key" in request:
        return {str(tag.get("Key", "")): str(tag.get("Value", "")) for tag in tagging.get("TagSet") or ()}
    return {}


def of_object(bucket: Bucket, version: ObjectVersion | None) -> Conditions:
    """What the object has already: its tags; and whose bucket it is in."""
    found: Conditions = {"s3:ResourceAccount": bucket.account}
    if version is not None:
        found |= {f"s3:ExistingObjectTag/{name}": value for name, value in version.facts.tags.items()}
    return found
