"""Buckets: create, delete, head, list, location, tags, versioning.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingBucket.html. Names are unique over all accounts of the house.
Refused: directory buckets, MFA delete, account-regional namespaces.
"""

from __future__ import annotations

from typing import Any

import msgspec

from lakebed.api import s3 as api
from lakebed.kernel.errors import AwsError, not_built
from lakebed.ports.service import Context, operation
from lakebed.services.s3.access import packed
from lakebed.services.s3.model import acl, locks, tagging
from lakebed.services.s3.model.errors import invalid_argument, missing
from lakebed.services.s3.model.listing import from_token
from lakebed.services.s3.model.names import check_bucket_name
from lakebed.services.s3.model.shapes import Bucket, PublicAccessBlock, canonical_id
from lakebed.services.s3.provider.request import bucket_arn
from lakebed.services.s3.state import Core
from lakebed.wire.aws.pages import sealed

_FIRST_REGION = "us-east-1"


class BucketOperations:
    """Buckets themselves."""

    def __init__(self, core: Core) -> None:
        self.core, self.k, self.access, self.buckets, self.writing = (
            core,
            core.k,
            core.access,
            core.buckets,
            core.writing,
        )
        self.objects, self.uploads, self.settings = core.objects, core.uploads, core.settings

    @operation("CreateBucket", action=None, resource=bucket_arn)
    async def create_bucket(self, ctx: Context, req: dict[str, Any]) -> api.CreateBucketOutput:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html"""
        name, configuration = req["Bucket"], req.get("CreateBucketConfiguration") or {}
        check_bucket_name(name)
        self.access.account(ctx, "s3:CreateBucket", f"arn:aws:s3:::{name}")
        _check_creation(req, configuration)
        if self.core.points.named(name) is not None:
            raise AwsError("InvalidBucketName", "The name is that of an access point.", status=400)
        region = _region(ctx, configuration.get("LocationConstraint"))
        tags = tagging.from_set(configuration.get("Tags") or (), tagging.BUCKET_TAGS_MAX)
        bucket = self._new(ctx, req, region, tags)
        with self.k.db.tx() as tx:
            existing = self.buckets.find(name)
            if existing is None:
                if self.buckets.count(ctx.scope.account) >= self.settings.buckets_max:
                    raise AwsError(
                        "TooManyBuckets", "You have attempted to create more buckets than allowed", status=400
                    )
                self.buckets.add(tx, bucket)
            elif existing.account != ctx.scope.account:
                raise api.BucketAlreadyExists(
                    "The requested bucket name is not available. The bucket namespace is shared by all users of the system. "
                    "Please select a different name and try again.",
                    members={"BucketName": name},
                )
            elif not (region == _FIRST_REGION == existing.region):
                raise api.BucketAlreadyOwnedByYou(
                    "Your previous request to create the named bucket succeeded and you already own it.",
                    members={"BucketName": name},
                )
        location = f"/{name}" if region == _FIRST_REGION else f"http://{name}.s3.amazonaws.com/"
        return {"Location": location, "BucketArn": bucket.arn}

    def _new(self, ctx: Context, req: dict[str, Any], region: str, tags: dict[str, str]) -> Bucket:
        """The bucket as it begins: ownership and ACL, Object Lock with its versioning, tags."""
        owner, ownership = canonical_id(ctx.scope.account), req.get("ObjectOwnership") or self.settings.object_ownership
        if ownership == acl.ENFORCED and acl.is_given(req) and req.get("ACL") != "private":
            raise AwsError(
                "InvalidBucketAclWithObjectOwnership",
                "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting",
                status=400,
            )
        bucket = Bucket(
            ctx.scope.account, region, req["Bucket"], ctx.now, tags=tags or None, ownership=ownership,
            public_access_block=PublicAccessBlock() if self.settings.block_public_access else None,
        )  # fmt: skip
        wanted = acl.of_request(req, owner, owner)
        self.access.check_public_acl(bucket, wanted)
        if wanted != acl.private(owner):
            self.access.account(ctx, "s3:PutBucketAcl", bucket.arn)
            bucket = msgspec.structs.replace(bucket, acl=packed(wanted))
        if req.get("ObjectLockEnabledForBucket"):
            for action in ("s3:PutBucketVersioning", "s3:PutBucketObjectLockConfiguration"):
                self.access.account(ctx, action, bucket.arn)
            bucket = msgspec.structs.replace(bucket, versioning="Enabled", object_lock=packed(locks.Configuration()))
        return bucket

    @operation("DeleteBucket", action=None, resource=bucket_arn)
    async def delete_bucket(self, ctx: Context, req: dict[str, Any]) -> None:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucket.html"""
        bucket = self.access.bucket(ctx, req, "s3:DeleteBucket")
        with self.k.db.tx() as tx:
            if not self.objects.is_empty(bucket.name):
                raise AwsError(
                    "BucketNotEmpty",
                    "The bucket you tried to delete is not empty",
                    status=409,
                    members={"BucketName": bucket.name},
                )
            if self.core.points.of_bucket(bucket.name) is not None:
                raise AwsError(
                    "BucketHasAccessPointsAttached", "The bucket has access points attached to it", status=400
                )
            blobs = self.uploads.remove_all(tx, bucket.name)
            self.buckets.remove(tx, bucket.name)
            self.writing.retire(tx, bucket.name, blobs)

    @operation("HeadBucket", action=None, resource=bucket_arn)
    async def head_bucket(self, ctx: Context, req: dict[str, Any]) -> api.HeadBucketOutput:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html"""
        bucket = self.access.bucket(ctx, req, "s3:ListBucket")
        by_point = self.access.find(req["Bucket"])[1] is not None
        return {"BucketRegion": bucket.region, "AccessPointAlias": by_point, "BucketArn": bucket.arn}

    @operation("ListBuckets", action=None)
    async def list_buckets(self, ctx: Context, req: dict[str, Any]) -> api.ListBucketsOutput:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListBuckets.html"""
        self.access.account(ctx, "s3:ListAllMyBuckets", "*")
        asked, prefix = req.get("MaxBuckets"), req.get("Prefix") or ""
        if asked is not None and not 1 <= asked <= 10_000:
            raise invalid_argument("max-buckets must be between 1 and 10000", "max-buckets", asked)
        limit = asked or 10_000
        after = from_token(req.get("ContinuationToken"), str, "")
        found = self.buckets.owned(ctx.scope.account, prefix, req.get("BucketRegion"), after, limit + 1)
        listed: list[dict[str, Any]] = []
        for bucket in found[:limit]:
            entry = {"Name": bucket.name, "CreationDate": bucket.created_at, "BucketArn": bucket.arn}
            listed.append(entry | {"BucketRegion": bucket.region})
        answer: dict[str, Any] = {"Buckets": listed, "Owner": {"ID": canonical_id(ctx.scope.account)}}
        if prefix:
            answer["Prefix"] = prefix
        if len(found) > limit:
            answer["ContinuationToken"] = sealed(found[limit - 1].name)
        return answer  # type: ignore[return-value]  # built by members

    @operation("GetBucketLocation", action=None, resource=bucket_arn)
    async def get_bucket_location(self, ctx: Context, req: dict[str, Any]) -> api.GetBucketLocationOutput:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLocation.html"""
        bucket = self.access.bucket(ctx, req, "s3:GetBucketLocation")
        return {"LocationConstraint": bucket.region} if bucket.region != _FIRST_REGION else {}

    @operation("GetBucketTagging", action=None, resource=bucket_arn)
    async def get_bucket_tagging(self, ctx: Context, req: dict[str, Any]) -> api.GetBucketTaggingOutput:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketTagging.html"""
        bucket = self.access.bucket(ctx, req, "s3:GetBucketTagging")
        if not bucket.tags:
            raise missing("NoSuchTagSet", "The TagSet does not exist", bucket.name)
        return {"TagSet": tagging.to_set(bucket.tags)}  # type: ignore[typeddict-item]  # Tag by members

    @operation("PutBucketTagging", action=None, resource=bucket_arn)
    async def put_bucket_tagging(self, ctx: Context, req: dict[str, Any]) -> None:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketTagging.html"""
        bucket = self.access.bucket(ctx, req, "s3:PutBucketTagging")
        tags = tagging.from_set(req["Tagging"].get("TagSet") or (), tagging.BUCKET_TAGS_MAX)
        with self.k.db.tx() as tx:
            self.buckets.put(tx, bucket.name, "tags", tags or None)

    @operation("DeleteBucketTagging", action=None, resource=bucket_arn)
    async def delete_bucket_tagging(self, ctx: Context, req: dict[str, Any]) -> None:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucketTagging.html"""
        bucket = self.access.bucket(ctx, req, "s3:PutBucketTagging")
        with self.k.db.tx() as tx:
            self.buckets.put(tx, bucket.name, "tags", None)

    @operation("GetBucketVersioning", action=None, resource=bucket_arn)
    async def get_bucket_versioning(self, ctx: Context, req: dict[str, Any]) -> api.GetBucketVersioningOutput:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketVersioning.html"""
        bucket = self.access.bucket(ctx, req, "s3:GetBucketVersioning")
        return {"Status": bucket.versioning} if bucket.versioning else {}

    @operation("PutBucketVersioning", action=None, resource=bucket_arn, refused=("MFA",))
    async def put_bucket_versioning(self, ctx: Context, req: dict[str, Any]) -> None:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketVersioning.html"""
        bucket = self.access.bucket(ctx, req, "s3:PutBucketVersioning")
        configuration = req["VersioningConfiguration"]
        if configuration.get("MFADelete") == "Enabled":
            raise not_built("s3", "PutBucketVersioning", "MFADelete")
        status = configuration.get("Status")
        if status not in ("Enabled", "Suspended"):
            raise AwsError(
                "IllegalVersioningConfigurationException",
                "The Versioning element must be specified",
                status=400,
            )
        if status == "Suspended" and bucket.object_lock:
            raise AwsError(
                "InvalidBucketState",
                "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.",
                status=409,
            )
        with self.k.db.tx() as tx:
            self.buckets.put(tx, bucket.name, "versioning", status)


def _check_creation(req: dict[str, Any], configuration: dict[str, Any]) -> None:
    """Members of CreateBucket that ask for what buckets here are not."""
    if req.get("BucketNamespace") not in (None, "global"):
        raise not_built("s3", "CreateBucket", f"BucketNamespace {req['BucketNamespace']}")
    for refused in ("Location", "Bucket"):
        if configuration.get(refused):
            raise not_built("s3", "CreateBucket", f"CreateBucketConfiguration.{refused}: directory buckets")


def _region(ctx: Context, constraint: str | None) -> str:
    """The bucket's region: what the endpoint's own region lets a request ask for."""
    endpoint = ctx.scope.region
    if constraint == _FIRST_REGION:
        raise AwsError(
            "InvalidLocationConstraint",
            "The specified location-constraint is not valid",
            status=400,
            members={"LocationConstraint": constraint},
        )
    wanted = {"EU": "eu-west-1", None: _FIRST_REGION}.get(constraint, constraint or "")
    if endpoint in (_FIRST_REGION, wanted):
        return wanted
    raise AwsError(
        "IllegalLocationConstraintException",
        f"The {constraint or 'unspecified'} location constraint is incompatible for the region specific endpoint this "
        "request was sent to.",
        status=400,
    )
