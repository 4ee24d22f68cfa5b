"""Configurations that have one possible state here, told truthfully: ownership, ACLs, encryption, and those never put.

Every bucket is BucketOwnerEnforced (ACLs disabled, https://docs.aws.amazon.com/AmazonS3/latest/userguide/about-object-ownership.html)
and SSE-S3. CORS, website, replication, logging, acceleration, requester pays and Object Lock cannot be put, so
their reads answer what S3 answers for a bucket without them; their writes are not built and answer 501.
"""

from __future__ import annotations

from typing import Any

from lakebed.api import s3 as api
from lakebed.kernel.errors import AwsError, not_built
from lakebed.ports.service import Context, operation
from lakebed.services.s3.access import Access
from lakebed.services.s3.model.errors import malformed_xml, missing
from lakebed.services.s3.model.shapes import canonical_id
from lakebed.services.s3.provider.request import bucket_arn, check_acl, object_arn
from lakebed.services.s3.reading import Reading

_ENFORCED = "BucketOwnerEnforced"


class ConfigurationOperations:
    """Reads of what is fixed, and writes that confirm it."""

    def __init__(self, access: Access, reading: Reading) -> None:
        self.access, self.reading = access, reading

    @operation("GetBucketOwnershipControls", action=None, resource=bucket_arn)
    async def get_bucket_ownership_controls(
        self, ctx: Context, req: dict[str, Any]
    ) -> api.GetBucketOwnershipControlsOutput:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketOwnershipControls.html"""
        self.access.bucket(ctx, req, "s3:GetBucketOwnershipControls")
        return {"OwnershipControls": {"Rules": [{"ObjectOwnership": _ENFORCED}]}}

    @operation("PutBucketOwnershipControls", action=None, resource=bucket_arn)
    async def put_bucket_ownership_controls(self, ctx: Context, req: dict[str, Any]) -> None:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketOwnershipControls.html"""
        self.access.bucket(ctx, req, "s3:PutBucketOwnershipControls")
        rules = req["OwnershipControls"].get("Rules") or []
        if len(rules) != 1:
            raise malformed_xml()
        if rules[0].get("ObjectOwnership") != _ENFORCED:
            raise not_built(
                "s3",
                "PutBucketOwnershipControls",
                f"ObjectOwnership {rules[0].get('ObjectOwnership')}: ACLs are not built",
            )

    @operation("GetBucketAcl", action=None, resource=bucket_arn)
    async def get_bucket_acl(self, ctx: Context, req: dict[str, Any]) -> api.GetBucketAclOutput:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketAcl.html"""
        bucket = self.access.bucket(ctx, req, "s3:GetBucketAcl")
        return _owner_acl(bucket.account)  # type: ignore[return-value]  # built by members

    @operation("GetObjectAcl", action=None, resource=object_arn)
    async def get_object_acl(self, ctx: Context, req: dict[str, Any]) -> api.GetObjectAclOutput:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAcl.html"""
        version_id = req.get("VersionId")
        bucket = self.access.bucket(ctx, req, "s3:GetObjectVersionAcl" if version_id else "s3:GetObjectAcl", req["Key"])
        self.reading.require(ctx.principal, bucket, req["Key"], version_id)
        return _owner_acl(bucket.account)  # type: ignore[return-value]  # built by members

    @operation("PutBucketAcl", action=None, resource=bucket_arn)
    async def put_bucket_acl(self, ctx: Context, req: dict[str, Any]) -> None:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketAcl.html"""
        bucket = self.access.bucket(ctx, req, "s3:PutBucketAcl")
        _check_owner_only(req, bucket.account)

    @operation("PutObjectAcl", action=None, resource=object_arn)
    async def put_object_acl(self, ctx: Context, req: dict[str, Any]) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectAcl.html"""
        version_id = req.get("VersionId")
        bucket = self.access.bucket(ctx, req, "s3:PutObjectVersionAcl" if version_id else "s3:PutObjectAcl", req["Key"])
        self.reading.require(ctx.principal, bucket, req["Key"], version_id, "PUT")
        _check_owner_only(req, bucket.account)
        return {}

    @operation("GetBucketEncryption", action=None, resource=bucket_arn)
    async def get_bucket_encryption(self, ctx: Context, req: dict[str, Any]) -> api.GetBucketEncryptionOutput:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketEncryption.html"""
        self.access.bucket(ctx, req, "s3:GetEncryptionConfiguration")
        rule: Any = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": False}
        return {"ServerSideEncryptionConfiguration": {"Rules": [rule]}}

    @operation("PutBucketEncryption", action=None, resource=bucket_arn)
    async def put_bucket_encryption(self, ctx: Context, req: dict[str, Any]) -> None:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketEncryption.html"""
        self.access.bucket(ctx, req, "s3:PutEncryptionConfiguration")
        rules = req["ServerSideEncryptionConfiguration"].get("Rules") or []
        if len(rules) != 1:
            raise malformed_xml()
        default = rules[0].get("ApplyServerSideEncryptionByDefault") or {}
        for member in ("BucketKeyEnabled", "BlockedEncryptionTypes"):
            if rules[0].get(member):
                raise not_built("s3", "PutBucketEncryption", member)
        if default.get("SSEAlgorithm") != "AES256" or default.get("KMSMasterKeyID"):
            raise not_built("s3", "PutBucketEncryption", f"SSEAlgorithm {default.get('SSEAlgorithm')}")

    @operation("DeleteBucketEncryption", action=None, resource=bucket_arn)
    async def delete_bucket_encryption(self, ctx: Context, req: dict[str, Any]) -> None:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucketEncryption.html (back to SSE-S3, which it is)"""
        self.access.bucket(ctx, req, "s3:PutEncryptionConfiguration")

    @operation("DeleteBucketCors", action=None, resource=bucket_arn)
    async def delete_bucket_cors(self, ctx: Context, req: dict[str, Any]) -> None:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucketCors.html"""
        self.access.bucket(ctx, req, "s3:PutBucketCORS")

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

    @operation("GetBucketCors", action=None, resource=bucket_arn)
    async def get_bucket_cors(self, ctx: Context, req: dict[str, Any]) -> None:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketCors.html"""
        bucket = self.access.bucket(ctx, req, "s3:GetBucketCORS")
        raise missing("NoSuchCORSConfiguration", "The CORS configuration does not exist", bucket.name)

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

    @operation("GetObjectLockConfiguration", action=None, resource=bucket_arn)
    async def get_object_lock_configuration(self, ctx: Context, req: dict[str, Any]) -> None:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectLockConfiguration.html"""
        bucket = self.access.bucket(ctx, req, "s3:GetBucketObjectLockConfiguration")
        raise missing(
            "ObjectLockConfigurationNotFoundError",
            "Object Lock configuration does not exist for this bucket",
            bucket.name,
        )


def _check_owner_only(req: dict[str, Any], account: str) -> None:
    """An ACL that leaves everything to the owner is what there is; any other is not supported."""
    check_acl(req, also="private")
    policy = req.get("AccessControlPolicy")
    if policy is None:
        return
    told = _owner_acl(account)
    named = [(grant.get("Grantee") or {}, grant.get("Permission")) for grant in policy.get("Grants") or ()]
    grants = [
        (grantee.get("URI") or grantee.get("EmailAddress") or grantee.get("ID"), permission)
        for grantee, permission in named
    ]
    if grants != [(told["Owner"]["ID"], "FULL_CONTROL")]:
        raise AwsError("AccessControlListNotSupported", "The bucket does not allow ACLs", status=400)


def _owner_acl(account: str) -> dict[str, Any]:
    """The canned ACL of ownership: full control of the bucket's owner."""
    owner = canonical_id(account)
    return {
        "Owner": {"ID": owner},
        "Grants": [{"Grantee": {"ID": owner, "Type": "CanonicalUser"}, "Permission": "FULL_CONTROL"}],
    }
