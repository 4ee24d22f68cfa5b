"""Access points: names for a bucket with a policy of their own.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-points.html. Object operations take one in the bucket's place:
its alias, its ARN, or ``<name>-<account>``, which is what SDKs make of the ARN in a host. Refused: access points that
only a VPC reaches (there is no VPC), Object Lambda, multi-region access points, FSx.
"""

from __future__ import annotations

import re

import msgspec

from lakebed.kernel.errors import AwsError
from lakebed.services.s3.model.shapes import PublicAccessBlock

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{1,48})[a-z0-9]")
HOST_FORM = re.compile(r"([a-z0-9-]{3,50})-(\d{12})")
ARN_FORM = re.compile(r"arn:aws:s3:([a-z0-9-]+):(\d{12}):accesspoint[/:]([a-z0-9-]{3,50})")
ALIAS_SUFFIX = "-s3alias"
_OPERATIONS = frozenset({
    "AbortMultipartUpload", "CompleteMultipartUpload", "CopyObject", "CreateMultipartUpload", "DeleteObject", "DeleteObjects",
    "DeleteObjectTagging", "GetBucketAcl", "GetBucketCors", "GetBucketLocation", "GetBucketNotificationConfiguration",
    "GetBucketPolicy", "GetObject", "GetObjectAcl", "GetObjectAttributes", "GetObjectLegalHold", "GetObjectRetention",
    "GetObjectTagging", "HeadBucket", "HeadObject", "ListMultipartUploads", "ListObjects", "ListObjectsV2",
    "ListObjectVersions", "ListParts", "PutObject", "PutObjectAcl", "PutObjectLegalHold", "PutObjectRetention",
    "PutObjectTagging", "RestoreObject", "UploadPart", "UploadPartCopy",
})  # fmt: skip


class AccessPoint(msgspec.Struct, frozen=True):
    """One access point; ``alias`` is a bucket name that no bucket can have."""

    account: str
    region: str
    name: str
    bucket: str
    alias: str
    created_at: float
    public_access_block: PublicAccessBlock
    vpc_id: str = ""
    policy: str | None = None
    tags: dict[str, str] = {}

    @property
    def arn(self) -> str:
        """Its ARN."""
        return f"arn:aws:s3:{self.region}:{self.account}:accesspoint/{self.name}"


def check_name(name: str) -> None:
    """3 to 50 of a-z, 0-9 and -, no hyphen at an end, not like an alias."""
    if not _NAME.fullmatch(name) or name.endswith(ALIAS_SUFFIX):
        raise AwsError("InvalidRequest", "The access point name is not valid.", status=400)


def check_operation(operation: str, point: AccessPoint) -> None:
    """Access points stand for their bucket only where objects are concerned."""
    if operation not in _OPERATIONS:
        raise AwsError(
            "MethodNotAllowed",
            "The specified method is not allowed against this resource.",
            status=405,
            members={"Method": operation, "ResourceType": "ACCESS_POINT", "AccessPoint": point.arn},
        )


def stricter(one: PublicAccessBlock, other: PublicAccessBlock) -> PublicAccessBlock:
    """Every switch that is on in either."""
    return PublicAccessBlock(
        one.block_acls or other.block_acls,
        one.ignore_acls or other.ignore_acls,
        one.block_policy or other.block_policy,
        one.restrict_buckets or other.restrict_buckets,
    )
