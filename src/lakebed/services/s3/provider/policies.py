"""Bucket policy and public access block.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-policies.html. The policy is stored as text and handed to
IAM's decision on every later call. BlockPublicPolicy refuses a public policy, RestrictPublicBuckets silences one for
strangers; the two ACL switches are stored and told, and hold by themselves because ACLs do not exist here.
"""

from __future__ import annotations

from typing import Any

from lakebed.api import s3 as api
from lakebed.ports.service import Context, operation
from lakebed.services.s3.model import policy
from lakebed.services.s3.model.errors import access_denied, missing
from lakebed.services.s3.model.shapes import PublicAccessBlock
from lakebed.services.s3.provider.request import bucket_arn
from lakebed.services.s3.state import Core

SWITCHES = {
    "BlockPublicAcls": "block_acls",
    "IgnorePublicAcls": "ignore_acls",
    "BlockPublicPolicy": "block_policy",
    "RestrictPublicBuckets": "restrict_buckets",
}


class PolicyOperations:
    """Who else may use a bucket."""

    def __init__(self, core: Core) -> None:
        self.k, self.access, self.buckets = core.k, core.access, core.buckets

    @operation("PutBucketPolicy", action=None, resource=bucket_arn)
    async def put_bucket_policy(self, ctx: Context, req: dict[str, Any]) -> None:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketPolicy.html"""
        bucket = self.access.bucket(ctx, req, "s3:PutBucketPolicy")
        text = req["Policy"]
        policy.check(text, bucket.arn)
        if self.access.blocks(bucket).block_policy and policy.is_public(text):
            raise access_denied(
                f"User: {ctx.principal.arn} is not authorized to perform: s3:PutBucketPolicy on resource: "
                f'"{bucket.arn}" because public policies are prevented by the BlockPublicPolicy setting in S3 Block Public '
                "Access."
            )
        with self.k.db.tx() as tx:
            self.buckets.put(tx, bucket.name, "policy", text)

    @operation("GetBucketPolicy", action=None, resource=bucket_arn)
    async def get_bucket_policy(self, ctx: Context, req: dict[str, Any]) -> api.GetBucketPolicyOutput:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketPolicy.html"""
        bucket = self.access.bucket(ctx, req, "s3:GetBucketPolicy")
        if bucket.policy is None:
            raise missing("NoSuchBucketPolicy", "The bucket policy does not exist", bucket.name)
        return {"Policy": bucket.policy}

    @operation("DeleteBucketPolicy", action=None, resource=bucket_arn)
    async def delete_bucket_policy(self, ctx: Context, req: dict[str, Any]) -> None:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucketPolicy.html"""
        bucket = self.access.bucket(ctx, req, "s3:DeleteBucketPolicy")
        with self.k.db.tx() as tx:
            self.buckets.put(tx, bucket.name, "policy", None)

    @operation("GetBucketPolicyStatus", action=None, resource=bucket_arn)
    async def get_bucket_policy_status(self, ctx: Context, req: dict[str, Any]) -> api.GetBucketPolicyStatusOutput:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketPolicyStatus.html"""
        bucket = self.access.bucket(ctx, req, "s3:GetBucketPolicyStatus")
        if bucket.policy is None:
            raise missing("NoSuchBucketPolicy", "The bucket policy does not exist", bucket.name)
        return {"PolicyStatus": {"IsPublic": policy.is_public(bucket.policy)}}

    @operation("GetPublicAccessBlock", action=None, resource=bucket_arn)
    async def get_public_access_block(self, ctx: Context, req: dict[str, Any]) -> api.GetPublicAccessBlockOutput:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetPublicAccessBlock.html"""
        bucket = self.access.bucket(ctx, req, "s3:GetBucketPublicAccessBlock")
        block = bucket.public_access_block
        if block is None:
            raise missing(
                "NoSuchPublicAccessBlockConfiguration",
                "The public access block configuration was not found",
                bucket.name,
            )
        told: Any = {member: getattr(block, switch) for member, switch in SWITCHES.items()}
        return {"PublicAccessBlockConfiguration": told}

    @operation("PutPublicAccessBlock", action=None, resource=bucket_arn)
    async def put_public_access_block(self, ctx: Context, req: dict[str, Any]) -> None:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutPublicAccessBlock.html"""
        bucket = self.access.bucket(ctx, req, "s3:PutBucketPublicAccessBlock")
        wanted = req["PublicAccessBlockConfiguration"]
        block = PublicAccessBlock(**{switch: bool(wanted.get(member)) for member, switch in SWITCHES.items()})
        with self.k.db.tx() as tx:
            self.buckets.put(tx, bucket.name, "public_access_block", block)

    @operation("DeletePublicAccessBlock", action=None, resource=bucket_arn)
    async def delete_public_access_block(self, ctx: Context, req: dict[str, Any]) -> None:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeletePublicAccessBlock.html"""
        bucket = self.access.bucket(ctx, req, "s3:PutBucketPublicAccessBlock")
        with self.k.db.tx() as tx:
            self.buckets.put(tx, bucket.name, "public_access_block", None)
