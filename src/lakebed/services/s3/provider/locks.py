"""Object Lock: configuration, retention, legal hold.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-configure.html
"""

from __future__ import annotations

from typing import Any

import msgspec

from lakebed.api import s3 as api
from lakebed.kernel.errors import AwsError
from lakebed.ports.service import Context, operation
from lakebed.services.s3.access import packed
from lakebed.services.s3.model import locks
from lakebed.services.s3.model.errors import malformed_xml, missing
from lakebed.services.s3.model.shapes import Bucket, Lock, ObjectVersion
from lakebed.services.s3.provider.request import bucket_arn, object_arn
from lakebed.services.s3.state import Core


class LockOperations:
    """What keeps versions from being deleted."""

    def __init__(self, core: Core) -> None:
        self.core, self.k, self.access, self.buckets = core, core.k, core.access, core.buckets

    @operation("GetObjectLockConfiguration", action=None, resource=bucket_arn)
    async def get_object_lock_configuration(
        self, ctx: Context, req: dict[str, Any]
    ) -> api.GetObjectLockConfigurationOutput:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectLockConfiguration.html"""
        bucket = self.access.bucket(ctx, req, "s3:GetBucketObjectLockConfiguration")
        found = locks.configuration_of(bucket)
        if found is None:
            raise missing(
                "ObjectLockConfigurationNotFoundError",
                "Object Lock configuration does not exist for this bucket",
                bucket.name,
            )
        return {"ObjectLockConfiguration": locks.told(found)}  # type: ignore[typeddict-item]  # built by members

    @operation("PutObjectLockConfiguration", action=None, resource=bucket_arn, refused=("Token",))
    async def put_object_lock_configuration(self, ctx: Context, req: dict[str, Any]) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectLockConfiguration.html"""
        bucket = self.access.bucket(ctx, req, "s3:PutBucketObjectLockConfiguration")
        if bucket.versioning != "Enabled":
            raise AwsError(
                "InvalidBucketState",
                "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration",
                status=409,
            )
        wanted = locks.parse_configuration(req.get("ObjectLockConfiguration") or {})
        with self.k.db.tx() as tx:
            self.buckets.put(tx, bucket.name, "object_lock", packed(wanted))
        return {}

    def _version(self, ctx: Context, req: dict[str, Any], action: str) -> tuple[Bucket, ObjectVersion]:
        bucket = self.access.bucket(ctx, req, action, req["Key"])
        locks.require(bucket)
        method = "GET" if action.startswith("s3:Get") else "PUT"
        return bucket, self.core.reading.require(ctx.principal, bucket, req["Key"], req.get("VersionId"), method)

    def _put(self, version: ObjectVersion, lock: Lock) -> None:
        with self.k.db.tx() as tx:
            self.core.objects.put_facts(tx, version, msgspec.structs.replace(version.facts, lock=lock))

    @operation("GetObjectRetention", action=None, resource=object_arn)
    async def get_object_retention(self, ctx: Context, req: dict[str, Any]) -> api.GetObjectRetentionOutput:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectRetention.html"""
        _, version = self._version(ctx, req, "s3:GetObjectRetention")
        lock = version.facts.lock
        if lock is None or not lock.mode:
            raise locks.not_locked()
        return {"Retention": {"Mode": lock.mode, "RetainUntilDate": lock.until}}

    @operation("PutObjectRetention", action=None, resource=object_arn)
    async def put_object_retention(self, ctx: Context, req: dict[str, Any]) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectRetention.html"""
        bucket, version = self._version(ctx, req, "s3:PutObjectRetention")
        bypass = bool(req.get("BypassGovernanceRetention"))
        if bypass:
            self.access.check(ctx.principal, bucket, "s3:BypassGovernanceRetention", req["Key"])
        self._put(version, locks.retained(version.facts.lock, req.get("Retention") or {}, ctx.now, bypass=bypass))
        return {}

    @operation("GetObjectLegalHold", action=None, resource=object_arn)
    async def get_object_legal_hold(self, ctx: Context, req: dict[str, Any]) -> api.GetObjectLegalHoldOutput:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectLegalHold.html"""
        _, version = self._version(ctx, req, "s3:GetObjectLegalHold")
        lock = version.facts.lock
        if lock is None or lock.legal_hold is None:
            raise locks.not_locked()
        return {"LegalHold": {"Status": "ON" if lock.legal_hold else "OFF"}}

    @operation("PutObjectLegalHold", action=None, resource=object_arn)
    async def put_object_legal_hold(self, ctx: Context, req: dict[str, Any]) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectLegalHold.html"""
        _, version = self._version(ctx, req, "s3:PutObjectLegalHold")
        status = (req.get("LegalHold") or {}).get("Status")
        if status not in ("ON", "OFF"):
            raise malformed_xml()
        lock = version.facts.lock or Lock()
        self._put(version, msgspec.structs.replace(lock, legal_hold=status == "ON"))
        return {}
