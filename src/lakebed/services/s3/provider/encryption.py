"""The default encryption of a bucket.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-encryption.html. SSE-S3 where nothing was put. A KMS key must exist
and be enabled when it is named; AWS finds out with the first object.
"""

from __future__ import annotations

from typing import Any

from lakebed.api import s3 as api
from lakebed.ports.service import Context, operation
from lakebed.services.s3.access import packed
from lakebed.services.s3.model import encryption
from lakebed.services.s3.provider.request import bucket_arn
from lakebed.services.s3.state import Core


class EncryptionOperations:
    """How objects are encrypted that ask for nothing."""

    def __init__(self, core: Core) -> None:
        self.core, self.k, self.access, self.buckets = core, core.k, core.access, core.buckets

    @operation("GetBucketEncryption", action=None, resource=bucket_arn)
    async def get_bucket_encryption(self, ctx: Context, req: dict[str, Any]) -> api.GetBucketEncryptionOutput:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketEncryption.html"""
        bucket = self.access.bucket(ctx, req, "s3:GetEncryptionConfiguration")
        told: Any = encryption.configuration(encryption.default_of(bucket.encryption))
        return {"ServerSideEncryptionConfiguration": told}

    @operation("PutBucketEncryption", action=None, resource=bucket_arn)
    async def put_bucket_encryption(self, ctx: Context, req: dict[str, Any]) -> None:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketEncryption.html"""
        bucket = self.access.bucket(ctx, req, "s3:PutEncryptionConfiguration")
        default = encryption.parse_configuration(req["ServerSideEncryptionConfiguration"].get("Rules") or [])
        if default.key:
            self.core.keys.check_key(ctx.principal, bucket, default.key)
        with self.k.db.tx() as tx:
            self.buckets.put(tx, bucket.name, "encryption", packed(default))

    @operation("DeleteBucketEncryption", action=None, resource=bucket_arn)
    async def delete_bucket_encryption(self, ctx: Context, req: dict[str, Any]) -> None:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucketEncryption.html (back to SSE-S3)"""
        bucket = self.access.bucket(ctx, req, "s3:PutEncryptionConfiguration")
        with self.k.db.tx() as tx:
            self.buckets.put(tx, bucket.name, "encryption", None)
