"""Lifecycle configuration: put, get, delete. ``expiry`` applies it.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lifecycle-mgmt.html
"""

from __future__ import annotations

from typing import Any

import msgspec

from lakebed.api import s3 as api
from lakebed.ports.service import Context, operation
from lakebed.services.s3.expiry import Expiry, rules_of
from lakebed.services.s3.model import lifecycle
from lakebed.services.s3.model.errors import missing
from lakebed.services.s3.model.lifecycle import Rule
from lakebed.services.s3.provider.request import bucket_arn
from lakebed.services.s3.state import Core

_NO_SIZE = Rule("", True)


class LifecycleOperations:
    """Rules by which objects end."""

    def __init__(self, core: Core, expiry: Expiry) -> None:
        self.k, self.access, self.buckets, self.expiry = core.k, core.access, core.buckets, expiry

    @operation(
        "PutBucketLifecycleConfiguration",
        action=None,
        resource=bucket_arn,
    )
    async def put_bucket_lifecycle_configuration(
        self, ctx: Context, req: dict[str, Any]
    ) -> api.PutBucketLifecycleConfigurationOutput:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketLifecycleConfiguration.html"""
        bucket = self.access.bucket(ctx, req, "s3:PutLifecycleConfiguration")
        configured = (req.get("LifecycleConfiguration") or {}).get("Rules") or []
        new_ids = [self.k.ids.uuid() for _ in range(min(len(configured), lifecycle.RULES_MAX))]
        smallest = req.get("TransitionDefaultMinimumObjectSize") or lifecycle.LARGER_ONLY
        rules = lifecycle.parse_configuration(configured, new_ids, smallest)
        with self.k.db.tx() as tx:
            self.buckets.put(tx, bucket.name, "lifecycle", msgspec.msgpack.encode(rules))
            tx.after_commit(self.expiry.changed)
        return {"TransitionDefaultMinimumObjectSize": smallest}

    @operation("GetBucketLifecycleConfiguration", action=None, resource=bucket_arn)
    async def get_bucket_lifecycle_configuration(
        self, ctx: Context, req: dict[str, Any]
    ) -> api.GetBucketLifecycleConfigurationOutput:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLifecycleConfiguration.html"""
        bucket = self.access.bucket(ctx, req, "s3:GetLifecycleConfiguration")
        if not bucket.lifecycle:
            raise missing("NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist", bucket.name)
        told: Any = [_told(rule) for rule in rules_of(bucket)]
        smallest = lifecycle.VARIES if any(rule.varies for rule in rules_of(bucket)) else lifecycle.LARGER_ONLY
        return {"Rules": told, "TransitionDefaultMinimumObjectSize": smallest}

    @operation("DeleteBucketLifecycle", action=None, resource=bucket_arn)
    async def delete_bucket_lifecycle(self, ctx: Context, req: dict[str, Any]) -> None:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucketLifecycle.html"""
        bucket = self.access.bucket(ctx, req, "s3:PutLifecycleConfiguration")
        with self.k.db.tx() as tx:
            self.buckets.put(tx, bucket.name, "lifecycle", None)


def _told(rule: Rule) -> dict[str, Any]:
    told: dict[str, Any] = {"ID": rule.id, "Status": "Enabled" if rule.enabled else "Disabled"}
    told |= {"Prefix": rule.prefix} if rule.plain_prefix else {"Filter": _filter(rule)}
    if rule.days:
        told["Expiration"] = {"Days": rule.days}
    elif rule.date:
        told["Expiration"] = {"Date": rule.date}
    elif rule.expired_marker:
        told["Expiration"] = {"ExpiredObjectDeleteMarker": True}
    if rule.noncurrent_days:
        told["NoncurrentVersionExpiration"] = {"NoncurrentDays": rule.noncurrent_days}
        if rule.newer_noncurrent:
            told["NoncurrentVersionExpiration"]["NewerNoncurrentVersions"] = rule.newer_noncurrent
    if rule.transitions:
        told["Transitions"] = [
            ({"Days": one.days} if one.date == 0 else {"Date": one.date}) | {"StorageClass": one.storage_class}
            for one in rule.transitions
        ]
    if rule.noncurrent_transitions:
        told["NoncurrentVersionTransitions"] = [
            {"NoncurrentDays": one.days, "StorageClass": one.storage_class}
            | ({"NewerNoncurrentVersions": one.newer} if one.newer else {})
            for one in rule.noncurrent_transitions
        ]
    if rule.abort_days:
        told["AbortIncompleteMultipartUpload"] = {"DaysAfterInitiation": rule.abort_days}
    return told


def _filter(rule: Rule) -> dict[str, Any]:
    """One predicate stands alone, several in an And."""
    predicates: dict[str, Any] = {}
    if rule.prefix:
        predicates["Prefix"] = rule.prefix
    if rule.larger_than != _NO_SIZE.larger_than:
        predicates["ObjectSizeGreaterThan"] = rule.larger_than
    if rule.smaller_than != _NO_SIZE.smaller_than:
        predicates["ObjectSizeLessThan"] = rule.smaller_than
    tags = [{"Key": name, "Value": value} for name, value in rule.tags.items()]
    if len(predicates) + len(tags) > 1:
        return {"And": predicates | ({"Tags": tags} if tags else {})}
    if tags:
        return {"Tag": tags[0]}
    return predicates or {"Prefix": ""}
