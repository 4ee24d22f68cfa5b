"""Configurations that have one possible state here, told truthfully: those that were never put because they cannot be.

Website, replication, logging, acceleration and requester pays would have no effect, so their reads answer what S3 answers
for a bucket without them; their writes are not built and answer 501.
"""

from __future__ import annotations

from typing import Any

from lakebed.api import s3 as api
from lakebed.kernel.errors import not_built
from lakebed.ports.service import Context, operation
from lakebed.services.s3.model.errors import missing
from lakebed.services.s3.provider.request import bucket_arn
from lakebed.services.s3.state import Core


class ConfigurationOperations:
    """Reads of what is fixed, and writes that confirm it."""

    def __init__(self, core: Core) -> None:
        self.access = core.access

    @operation("DeleteBucketWebsite", action=None, resource=bucket_arn)
    async def delete_bucket_website(self, ctx: Context, req: dict[str, Any]) -> None:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucketWebsite.html"""
        self.access.bucket(ctx, req, "s3:DeleteBucketWebsite")

    @operation("DeleteBucketReplication", action=None, resource=bucket_arn)
    async def delete_bucket_replication(self, ctx: Context, req: dict[str, Any]) -> None:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucketReplication.html"""
        self.access.bucket(ctx, req, "s3:PutReplicationConfiguration")

    @operation("PutBucketRequestPayment", action=None, resource=bucket_arn)
    async def put_bucket_request_payment(self, ctx: Context, req: dict[str, Any]) -> None:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketRequestPayment.html"""
        self.access.bucket(ctx, req, "s3:PutBucketRequestPayment")
        if req["RequestPaymentConfiguration"].get("Payer") != "BucketOwner":
            raise not_built("s3", "PutBucketRequestPayment", "Payer Requester")

    @operation("GetBucketAccelerateConfiguration", action=None, resource=bucket_arn)
    async def get_bucket_accelerate_configuration(
        self, ctx: Context, req: dict[str, Any]
    ) -> api.GetBucketAccelerateConfigurationOutput:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketAccelerateConfiguration.html"""
        self.access.bucket(ctx, req, "s3:GetAccelerateConfiguration")
        return {}

    @operation("GetBucketLogging", action=None, resource=bucket_arn)
    async def get_bucket_logging(self, ctx: Context, req: dict[str, Any]) -> api.GetBucketLoggingOutput:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLogging.html"""
        self.access.bucket(ctx, req, "s3:GetBucketLogging")
        return {}

    @operation("GetBucketRequestPayment", action=None, resource=bucket_arn)
    async def get_bucket_request_payment(self, ctx: Context, req: dict[str, Any]) -> api.GetBucketRequestPaymentOutput:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketRequestPayment.html"""
        self.access.bucket(ctx, req, "s3:GetBucketRequestPayment")
        return {"Payer": "BucketOwner"}

    @operation("GetBucketWebsite", action=None, resource=bucket_arn)
    async def get_bucket_website(self, ctx: Context, req: dict[str, Any]) -> None:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketWebsite.html"""
        bucket = self.access.bucket(ctx, req, "s3:GetBucketWebsite")
        raise missing(
            "NoSuchWebsiteConfiguration", "The specified bucket does not have a website configuration", bucket.name
        )

    @operation("GetBucketReplication", action=None, resource=bucket_arn)
    async def get_bucket_replication(self, ctx: Context, req: dict[str, Any]) -> None:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketReplication.html"""
        bucket = self.access.bucket(ctx, req, "s3:GetReplicationConfiguration")
        raise missing(
            "ReplicationConfigurationNotFoundError", "The replication configuration was not found", bucket.name
        )
