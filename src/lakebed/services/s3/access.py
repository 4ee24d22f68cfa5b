"""Permission to a bucket and its objects: IAM's decision with the bucket's own policy and its public access block.

The operation decorator asks for a permission before a handler knows the bucket, hence without its policy; so S3's
operations declare ``action=None`` and ask here instead, once the bucket is found. A bucket that does not exist is told as
such before any permission, as S3 does, because its name belongs to nobody.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-auth-workflow-bucket-operation.html. ACLs are not
built: every bucket is BucketOwnerEnforced, where policies alone decide. With RestrictPublicBuckets a public policy counts
only for principals of the bucket's account and AWS services.
"""

from __future__ import annotations

from collections.abc import Mapping

from lakebed.kernel.errors import AwsError
from lakebed.kernel.scope import Principal
from lakebed.ports.house import Ports
from lakebed.ports.service import Context
from lakebed.services.s3.model import policy
from lakebed.services.s3.model.errors import access_denied
from lakebed.services.s3.model.shapes import Bucket, Caller
from lakebed.services.s3.store.buckets import Buckets

_ROOT_ALWAYS = frozenset({"s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy"})


def request_conditions(ctx: Context) -> dict[str, str]:
    """The condition keys every request carries."""
    return {
        "aws:SourceIp": ctx.source_ip,
        "aws:UserAgent": ctx.headers.get("user-agent", ""),
        "aws:SecureTransport": "true" if ctx.endpoint.startswith("https:") else "false",
        "aws:RequestedRegion": ctx.scope.region,
    }


def caller(ctx: Context) -> Caller:
    """Who the events of a request name."""
    return Caller(ctx.principal, ctx.request_id, ctx.source_ip)


class Access:
    """Finds buckets and decides what a principal may do there."""

    def __init__(self, p: Ports, buckets: Buckets) -> None:
        self._p, self._buckets = p, buckets

    def bucket(
        self,
        ctx: Context,
        request: Mapping[str, object],
        action: str,
        key: str | None = None,
        *,
        conditions: Mapping[str, str] | None = None,
        name: str | None = None,
        owner_member: str = "ExpectedBucketOwner",
    ) -> Bucket:
        """The bucket of a request, once its caller may do ``action`` on it or on the object ``key``."""
        found = self._buckets.require(name if name is not None else str(request["Bucket"]))
        expected = request.get(owner_member)
        if expected is not None and expected != found.account:
            raise access_denied()
        self.check(ctx.principal, found, action, key, {**request_conditions(ctx), **(conditions or {})})
        return found

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
        conditions: Mapping[str, str] | None = None,
    ) -> None:
        """Return, or raise S3's AccessDenied. The owner's root may always mend a policy that shuts everybody out."""
        if principal.is_root and principal.account == bucket.account and action in _ROOT_ALWAYS:
            return
        try:
            self._p.identity.authorise(
                principal,
                action,
                bucket.arn if key is None else f"{bucket.arn}/{key}",
                conditions=conditions,
                resource_policy=self._policy_for(principal, bucket),
                resource_account=bucket.account,
            )
        except AwsError as denied:
            raise _s3_denial(denied) from None

    def may(self, principal: Principal, bucket: Bucket, action: str, key: str | None = None) -> bool:
        """Whether ``check`` would return."""
        try:
            self.check(principal, bucket, action, key)
        except AwsError:
            return False
        return True

    def _policy_for(self, principal: Principal, bucket: Bucket) -> str | None:
        block = bucket.public_access_block
        if bucket.policy is None or block is None or not block.restrict_buckets:
            return bucket.policy
        stranger = principal.account != bucket.account and principal.kind != "service"
        return None if stranger and policy.is_public(bucket.policy) else bucket.policy


def _s3_denial(failure: AwsError) -> AwsError:
    """IAM's refusal in S3's spelling; anything else as it is."""
    return (
        access_denied(failure.message) if failure.error_code in ("AccessDeniedException", "AccessDenied") else failure
    )
