"""Object ownership and access control lists of buckets and objects.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/about-object-ownership.html. A new bucket is BucketOwnerEnforced unless
``[services.s3] object_ownership`` says otherwise: ACLs are disabled then, and read as full control of the owner.
"""

from __future__ import annotations

from typing import Any

import msgspec

from lakebed.api import s3 as api
from lakebed.kernel.errors import AwsError
from lakebed.ports.service import Context, operation
from lakebed.services.s3.access import bucket_acl, caller, packed
from lakebed.services.s3.model import acl
from lakebed.services.s3.model.errors import malformed_xml, missing
from lakebed.services.s3.model.shapes import Bucket, ObjectVersion, canonical_id
from lakebed.services.s3.provider.drafts import check_disabled
from lakebed.services.s3.provider.request import bucket_arn, object_arn
from lakebed.services.s3.state import Core


class OwnershipOperations:
    """Who owns objects, and who else may use them."""

    def __init__(self, core: Core) -> None:
        self.core, self.k, self.access, self.buckets = core, core.k, core.access, core.buckets

    @operation("GetBucketOwnershipControls", action=None, resource=bucket_arn)
    async def get_bucket_ownership_controls(
        self, ctx: Context, req: dict[str, Any]
    ) -> api.GetBucketOwnershipControlsOutput:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketOwnershipControls.html"""
        bucket = self.access.bucket(ctx, req, "s3:GetBucketOwnershipControls")
        if not bucket.ownership:
            raise missing("OwnershipControlsNotFoundError", "The bucket ownership controls were not found", bucket.name)
        return {"OwnershipControls": {"Rules": [{"ObjectOwnership": bucket.ownership}]}}

    @operation("PutBucketOwnershipControls", action=None, resource=bucket_arn)
    async def put_bucket_ownership_controls(self, ctx: Context, req: dict[str, Any]) -> None:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketOwnershipControls.html"""
        bucket = self.access.bucket(ctx, req, "s3:PutBucketOwnershipControls")
        rules = req["OwnershipControls"].get("Rules") or []
        if len(rules) != 1 or rules[0].get("ObjectOwnership") not in acl.OWNERSHIPS:
            raise malformed_xml()
        wanted = rules[0]["ObjectOwnership"]
        if wanted == acl.ENFORCED and bucket_acl(bucket) != acl.private(canonical_id(bucket.account)):
            raise AwsError(
                "InvalidBucketAclWithObjectOwnership",
                "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting",
                status=400,
            )
        with self.k.db.tx() as tx:
            self.buckets.put(tx, bucket.name, "ownership", wanted)

    @operation("DeleteBucketOwnershipControls", action=None, resource=bucket_arn)
    async def delete_bucket_ownership_controls(self, ctx: Context, req: dict[str, Any]) -> None:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucketOwnershipControls.html (ObjectWriter then)"""
        bucket = self.access.bucket(ctx, req, "s3:PutBucketOwnershipControls")
        with self.k.db.tx() as tx:
            self.buckets.put(tx, bucket.name, "ownership", "")

    @operation("GetBucketAcl", action=None, resource=bucket_arn)
    async def get_bucket_acl(self, ctx: Context, req: dict[str, Any]) -> api.GetBucketAclOutput:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketAcl.html"""
        bucket = self.access.bucket(ctx, req, "s3:GetBucketAcl")
        return acl.told(bucket_acl(bucket))  # type: ignore[return-value]  # built by members

    @operation("PutBucketAcl", action=None, resource=bucket_arn)
    async def put_bucket_acl(self, ctx: Context, req: dict[str, Any]) -> None:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketAcl.html"""
        bucket = self.access.bucket(ctx, req, "s3:PutBucketAcl")
        owner = canonical_id(bucket.account)
        if bucket.ownership == acl.ENFORCED:
            _check_owner_only(req, owner)
            return
        _check_said(req)
        wanted = acl.of_request(req, owner, owner)
        self.access.check_public_acl(bucket, wanted)
        with self.k.db.tx() as tx:
            self.buckets.put(tx, bucket.name, "acl", packed(wanted))

    def _object(self, ctx: Context, req: dict[str, Any], verb: str, method: str) -> tuple[Bucket, ObjectVersion]:
        version_id = req.get("VersionId")
        action = f"s3:{verb}ObjectVersionAcl" if version_id else f"s3:{verb}ObjectAcl"
        bucket = self.access.bucket(ctx, req, action, req["Key"])
        return bucket, self.core.reading.require(ctx.principal, bucket, req["Key"], version_id, method)

    @operation("GetObjectAcl", action=None, resource=object_arn)
    async def get_object_acl(self, ctx: Context, req: dict[str, Any]) -> api.GetObjectAclOutput:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAcl.html"""
        bucket, version = self._object(ctx, req, "Get", "GET")
        if bucket.ownership == acl.ENFORCED:
            return acl.told(acl.private(canonical_id(bucket.account)))  # type: ignore[return-value]  # built by members
        owner = canonical_id(version.facts.owner or bucket.account)
        return acl.told(version.facts.acl or acl.private(owner))  # type: ignore[return-value]  # built by members

    @operation("PutObjectAcl", action=None, resource=object_arn)
    async def put_object_acl(self, ctx: Context, req: dict[str, Any]) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectAcl.html"""
        bucket, version = self._object(ctx, req, "Put", "PUT")
        owner = canonical_id(version.facts.owner or bucket.account)
        if bucket.ownership == acl.ENFORCED:
            _check_owner_only(req, canonical_id(bucket.account))
            return {}
        _check_said(req)
        wanted = acl.of_request(req, owner, canonical_id(bucket.account))
        self.access.check_public_acl(bucket, wanted)
        changed = (version.facts.acl or acl.private(owner)) != wanted
        with self.k.db.tx() as tx:
            self.core.objects.put_facts(tx, version, msgspec.structs.replace(version.facts, acl=wanted))
            if changed:  # AWS tells of changes, not of puts
                self.core.writing.announce(tx, bucket, version, caller(ctx), "s3:ObjectAcl:Put")
        return {}


def _check_said(req: dict[str, Any]) -> None:
    if not acl.is_given(req):
        raise AwsError("MissingSecurityHeader", "Your request was missing a required header", status=400)


def _check_owner_only(req: dict[str, Any], owner: str) -> None:
    """With ACLs disabled, one that leaves everything to the owner is what there is; any other is not supported."""
    check_disabled(req, also="private")
    document = req.get("AccessControlPolicy")
    if document is None:
        return
    if acl.of_request({"AccessControlPolicy": {**document, "Owner": {"ID": owner}}}, owner, owner) != acl.private(
        owner
    ):
        raise AwsError("AccessControlListNotSupported", "The bucket does not allow ACLs", status=400)
