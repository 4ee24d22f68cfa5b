"""Permission to a bucket and its objects: IAM's decision with the bucket's policy, ACLs, access points and public blocks.

The operation decorator asks for a permission before a handler knows the bucket, hence without its policy; so S3's
operations declare ``action=None`` and ask here instead, once the bucket is found. A bucket that does not exist is told as
such before any permission, as S3 does, because its name belongs to nobody.

An ACL has a say only where the bucket's ownership lets it: what it grants the caller is put beside the bucket's policy as
one more statement, so that denials, accounts and sessions are weighed as always. An object that another account owns is
that account's to give: of the bucket's policy only the denials concern it. A request through an access point passes the
access point's policy first. With RestrictPublicBuckets a public policy counts only for principals of the bucket's account
and AWS services; with IgnorePublicAcls no ACL grants anything to everybody.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-auth-workflow-object-operation.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from lakebed.kernel.errors import AwsError
from lakebed.kernel.scope import Principal
from lakebed.ports.house import Ports
from lakebed.ports.service import Context
from lakebed.services.s3.model import acl, circumstances, points, policy
from lakebed.services.s3.model.circumstances import Conditions
from lakebed.services.s3.model.errors import access_denied
from lakebed.services.s3.model.names import key_bytes
from lakebed.services.s3.model.points import AccessPoint
from lakebed.services.s3.model.shapes import Bucket, Caller, ObjectVersion, PublicAccessBlock, canonical_id
from lakebed.services.s3.store.access_points import AccessPoints
from lakebed.services.s3.store.buckets import Buckets
from lakebed.services.s3.store.objects import ObjectRows

_ROOT_ALWAYS = frozenset({"s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy"})
_DENIED = "explicit deny"


class Asked(NamedTuple):
    """What a principal wants to do: ``key`` None for the bucket itself, ``version_id`` None for the newest version."""

    action: str
    key: str | None = None
    version_id: str | None = None

    def arn(self, bucket: Bucket) -> str:
        """The resource."""
        return bucket.arn if self.key is None else f"{bucket.arn}/{self.key}"


def request_conditions(ctx: Context) -> Conditions:
    """The condition keys every request carries."""
    return circumstances.of_context(ctx)


def caller(ctx: Context) -> Caller:
    """Who the events of a request name."""
    return Caller(ctx.principal, ctx.request_id, ctx.source_ip)


class Access:
    """Finds buckets and decides what a principal may do there."""

    def __init__(self, p: Ports, buckets: Buckets, objects: ObjectRows, access_points: AccessPoints) -> None:
        self._p, self._buckets, self._objects, self._points = p, buckets, objects, access_points

    def bucket(
        self,
        ctx: Context,
        request: Mapping[str, Any],
        action: str,
        key: str | None = None,
        *,
        name: str | None = None,
        version_id: str | None = None,
        owner_member: str = "ExpectedBucketOwner",
    ) -> Bucket:
        """The bucket of a request, once its caller may do ``action`` on it or on the object ``key``."""
        found, point = self.find(name if name is not None else str(request["Bucket"]))
        self.check_owner(found, request.get(owner_member))
        asked = Asked(action, key, version_id or (request.get("VersionId") if name is None else None))
        if self._is_plain(ctx.principal, found, point):
            self._authorise(ctx.principal, action, asked.arn(found), (None, found.account), {})
            return found
        conditions = circumstances.of_context(ctx) | circumstances.of_request(request)
        if point is not None:
            points.check_operation(ctx.operation, point)
            self._check_point(ctx.principal, point, found, asked, conditions)
        else:
            self._decide(ctx.principal, found, asked, conditions)
        return found

    def find(self, name: str) -> tuple[Bucket, AccessPoint | None]:
        """The bucket that a name, or an access point in its place, stands for."""
        bucket = self._buckets.find(name)
        if bucket is not None:
            return bucket, None
        point = self._points.named(name)
        return self._buckets.require(point.bucket if point is not None else name), point

    def account(self, ctx: Context, action: str, resource: str) -> None:
        """A permission that concerns no existing bucket."""
        try:
            self._p.identity.authorise(
                ctx.principal, action, resource, conditions=request_conditions(ctx), resource_account=ctx.scope.account
            )
        except AwsError as denied:
            raise _s3_denial(denied) from None

    def check(
        self,
        principal: Principal,
        bucket: Bucket,
        action: str,
        key: str | None = None,
        conditions: Conditions | None = None,
        *,
        version_id: str | None = None,
    ) -> None:
        """Return, or raise S3's AccessDenied."""
        asked = Asked(action, key, version_id)
        if self._is_plain(principal, bucket, None):
            self._authorise(principal, action, asked.arn(bucket), (None, bucket.account), conditions or {})
        else:
            self._decide(principal, bucket, asked, conditions or {})

    def may(self, principal: Principal, bucket: Bucket, action: str, key: str | None = None) -> bool:
        """Whether ``check`` would return."""
        try:
            self.check(principal, bucket, action, key)
        except AwsError:
            return False
        return True

    def blocks(self, bucket: Bucket) -> PublicAccessBlock:
        """The public access block that holds for a bucket: its own and its account's, whichever is stricter."""
        own = bucket.public_access_block or PublicAccessBlock(*[False] * 4)
        whole = self._points.account_block(bucket.account)
        return own if whole is None else points.stricter(own, whole)

    def check_public_acl(self, bucket: Bucket, wanted: acl.Acl) -> None:
        """BlockPublicAcls: nobody may put an ACL that grants something to everybody."""
        if wanted.is_public and self.blocks(bucket).block_acls:
            raise access_denied(
                "The request would grant public access, which is prevented by the BlockPublicAcls setting in S3 Block Public "
                "Access."
            )

    def check_owner(self, bucket: Bucket, expected: object) -> None:
        """The ExpectedBucketOwner of a request."""
        if expected is not None and expected != bucket.account:
            raise access_denied()

    def _is_plain(self, principal: Principal, bucket: Bucket, point: AccessPoint | None) -> bool:
        """The owner's root with nothing that could deny it: most requests of a house at home."""
        return (
            principal.is_root
            and principal.account == bucket.account
            and bucket.policy is None
            and point is None
            and bucket.ownership == acl.ENFORCED
            and not principal.session_policies
        )

    def _decide(self, principal: Principal, bucket: Bucket, asked: Asked, conditions: Conditions) -> None:
        """The owner's root may always mend a policy that shuts everybody out."""
        if principal.is_root and principal.account == bucket.account and asked.action in _ROOT_ALWAYS:
            return
        version = self._version(bucket, asked)
        text, owner = self._resource_policy(principal, bucket, asked, version)
        self._authorise(
            principal,
            asked.action,
            asked.arn(bucket),
            (text, owner),
            conditions | circumstances.of_object(bucket, version),
        )

    def _authorise(
        self, principal: Principal, action: str, arn: str, resource: tuple[str | None, str], conditions: Conditions
    ) -> None:
        try:
            self._p.identity.authorise(
                principal, action, arn, conditions=conditions, resource_policy=resource[0], resource_account=resource[1]
            )
        except AwsError as denied:
            raise _s3_denial(denied) from None

    def _version(self, bucket: Bucket, asked: Asked) -> ObjectVersion | None:
        """The object as it is before the request."""
        if asked.key is None:
            return None
        raw = key_bytes(asked.key)
        if asked.version_id:
            return self._objects.version(bucket.name, raw, asked.version_id)
        return self._objects.current(bucket.name, raw)

    def _resource_policy(
        self, principal: Principal, bucket: Bucket, asked: Asked, version: ObjectVersion | None
    ) -> tuple[str | None, str]:
        """The bucket's policy with what an ACL grants, and the account that owns the resource."""
        text, owner = self._policy_for(principal, bucket), bucket.account
        needed = acl.needed(asked.action) if bucket.ownership != acl.ENFORCED else None
        if needed is None:
            return text, owner
        permission, on_object = needed
        if on_object and version is not None:
            owner = version.facts.owner or bucket.account
            granted = version.facts.acl or acl.private(canonical_id(owner))
        elif on_object:  # who may list the bucket is told that an object is missing
            granted, permission = bucket_acl(bucket), "READ"
        else:
            granted = bucket_acl(bucket)
        if owner != bucket.account:
            text = policy.denials(text)
        anonymous = principal.kind == "anonymous"
        if principal.kind != "service" and acl.permits(
            granted,
            canonical_id(principal.account),
            permission,
            anonymous=anonymous,
            ignore_public=self.blocks(bucket).ignore_acls,
        ):
            text = policy.with_grant(text, asked.action)
        return text, owner

    def _policy_for(self, principal: Principal, bucket: Bucket) -> str | None:
        if bucket.policy is None or not self.blocks(bucket).restrict_buckets:
            return bucket.policy
        stranger = principal.account != bucket.account and principal.kind != "service"
        return policy.denials(bucket.policy) if stranger and policy.is_public(bucket.policy) else bucket.policy

    def _check_point(
        self, principal: Principal, point: AccessPoint, bucket: Bucket, asked: Asked, conditions: Conditions
    ) -> None:
        """The access point's policy, then the bucket: what the point's own policy grants, the bucket must grant as well."""
        arn = point.arn if asked.key is None else f"{point.arn}/object/{asked.key}"
        conditions = conditions | {
            "s3:DataAccessPointArn": point.arn,
            "s3:DataAccessPointAccount": point.account,
            "s3:AccessPointNetworkOrigin": "Internet",
        }
        text = point.policy
        if text is not None and point.public_access_block.restrict_buckets and principal.account != point.account:
            text = policy.denials(text) if policy.is_public(text) else text
        self._authorise(principal, asked.action, arn, (text, point.account), conditions)
        try:
            self._decide(principal, bucket, asked, conditions)
        except AwsError as denied:
            if _DENIED in denied.message or not self._is_own(principal, asked.action, arn, point, conditions):
                raise

    def _is_own(self, principal: Principal, action: str, arn: str, point: AccessPoint, conditions: Conditions) -> bool:
        """Whether the caller's own policies allow it at the access point, which suffices within the bucket's account."""
        if principal.account != point.account:
            return False
        try:
            self._authorise(principal, action, arn, (None, point.account), conditions)
        except AwsError:
            return False
        return True


def bucket_acl(bucket: Bucket) -> acl.Acl:
    """The bucket's ACL; private where none was put."""
    stored: bytes | None = bucket.acl
    return acl.decode(stored) if stored else acl.private(canonical_id(bucket.account))


def packed(value: msgspec.Struct) -> bytes:
    """A configuration as the bucket's row keeps it."""
    return msgspec.msgpack.encode(value)


def _s3_denial(failure: AwsError) -> AwsError:
    """IAM's refusal in S3's spelling; anything else as it is."""
    return (
        access_denied(failure.message) if failure.error_code in ("AccessDeniedException", "AccessDenied") else failure
    )
