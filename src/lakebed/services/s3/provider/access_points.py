"""S3 Control: access points, their policies and tags, and the public access block of an account.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_AWS_S3_Control.html. Refused by name: access points of a VPC,
scopes (directory buckets), Object Lambda, multi-region access points, jobs, Storage Lens, access grants.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from lakebed.api import s3control as api
from lakebed.kernel.errors import AwsError, not_built
from lakebed.kernel.scope import Scope
from lakebed.ports.service import Context, operation
from lakebed.services.s3.model import points, policy, tagging
from lakebed.services.s3.model.errors import access_denied, invalid_request
from lakebed.services.s3.model.points import AccessPoint
from lakebed.services.s3.model.shapes import PublicAccessBlock
from lakebed.services.s3.provider.policies import SWITCHES
from lakebed.services.s3.state import Core
from lakebed.wire.aws.pages import opened, sealed

_POINTS_MAX = 10_000
_ALIAS_TOKEN = 34


def point_arn(scope: Scope, request: Mapping[str, Any]) -> str:
    """The ARN of the access point a request names."""
    name = str(request.get("Name", ""))
    return name if name.startswith("arn:") else scope.arn("s3", f"accesspoint/{name}")


def tagged_arn(_: Scope, request: Mapping[str, Any]) -> str:
    """The ARN a tag operation is on."""
    return str(request["ResourceArn"])


class AccessPointOperations:
    """Access points."""

    def __init__(self, core: Core) -> None:
        self.core, self.k, self.points = core, core.k, core.points

    def _require(self, ctx: Context, req: Mapping[str, Any]) -> AccessPoint:
        _check_account(ctx, req)
        name = str(req["Name"])
        found = self.points.named(name) if name.startswith("arn:") else self.points.find(ctx.scope, name)
        if found is None or found.account != ctx.scope.account:
            raise _missing("NoSuchAccessPoint", "The specified accesspoint does not exist", AccessPointName=name)
        return found

    @operation("CreateAccessPoint", resource=point_arn, refused=("VpcConfiguration", "Scope"))
    async def create_access_point(self, ctx: Context, req: dict[str, Any]) -> api.CreateAccessPointResult:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_control_CreateAccessPoint.html"""
        _check_account(ctx, req)
        name, scope = req["Name"], ctx.scope
        points.check_name(name)
        bucket = self.core.buckets.require(req["Bucket"])
        if bucket.account != (req.get("BucketAccountId") or scope.account) or bucket.region != scope.region:
            raise access_denied()
        if bucket.account != scope.account:
            raise not_built("s3control", "CreateAccessPoint", "BucketAccountId of another account")
        if self.core.buckets.find(f"{name}-{scope.account}") is not None:
            raise invalid_request("A bucket has the name that the access point would have in a host.")
        alias = f"{name[:20]}-{self.k.ids.token(_ALIAS_TOKEN).lower()}{points.ALIAS_SUFFIX}"
        block = _block(req.get("PublicAccessBlockConfiguration"))
        tags = tagging.from_set(req.get("Tags") or (), tagging.BUCKET_TAGS_MAX)
        point = AccessPoint(scope.account, scope.region, name, bucket.name, alias, ctx.now, block, tags=tags)
        with self.k.db.tx() as tx:
            if self.points.find(scope, name) is not None:
                raise AwsError(
                    "AccessPointAlreadyOwnedByYou",
                    "Your previous request to create the named accesspoint succeeded and you already own it.",
                    status=409,
                    members={"AccessPointName": name},
                )
            if self.points.count(scope) >= _POINTS_MAX:
                raise AwsError("TooManyAccessPoints", "You have too many access points in this Region", status=400)
            self.points.add(tx, point)
        return {"AccessPointArn": point.arn, "Alias": alias}

    @operation("GetAccessPoint", resource=point_arn)
    async def get_access_point(self, ctx: Context, req: dict[str, Any]) -> api.GetAccessPointResult:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_control_GetAccessPoint.html"""
        point = self._require(ctx, req)
        host = f"s3-accesspoint.{point.region}.amazonaws.com"
        answer: dict[str, Any] = _listed(point) | {
            "PublicAccessBlockConfiguration": _switches(point.public_access_block),
            "CreationDate": point.created_at,
            "Endpoints": {"ipv4": host},
        }
        return answer  # type: ignore[return-value]  # built by members

    @operation("ListAccessPoints")
    async def list_access_points(self, ctx: Context, req: dict[str, Any]) -> api.ListAccessPointsResult:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_control_ListAccessPoints.html"""
        _check_account(ctx, req)
        for refused in ("DataSourceId", "DataSourceType"):
            if req.get(refused):
                raise not_built("s3control", "ListAccessPoints", refused)
        limit = req.get("MaxResults") if req.get("MaxResults") is not None else 1000
        wrong = invalid_request("The continuation token provided is incorrect")
        after = opened(req.get("NextToken"), str, "", wrong)
        found = self.points.page(ctx.scope, req.get("Bucket"), after, min(limit or 0, 1000) + 1)
        page = found[: min(limit or 0, 1000)]
        answer: dict[str, Any] = {"AccessPointList": [_listed(point) for point in page]}
        if len(found) > len(page) and page:
            answer["NextToken"] = sealed(page[-1].name)
        return answer  # type: ignore[return-value]  # built by members

    @operation("DeleteAccessPoint", resource=point_arn)
    async def delete_access_point(self, ctx: Context, req: dict[str, Any]) -> None:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_control_DeleteAccessPoint.html"""
        with self.k.db.tx() as tx:
            self.points.remove(tx, self._require(ctx, req))

    @operation("PutAccessPointPolicy", resource=point_arn)
    async def put_access_point_policy(self, ctx: Context, req: dict[str, Any]) -> None:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_control_PutAccessPointPolicy.html"""
        point, text = self._require(ctx, req), req["Policy"]
        policy.check(text, point.arn)
        if point.public_access_block.block_policy and policy.is_public(text):
            raise access_denied("Public policies are prevented by the BlockPublicPolicy setting of the access point.")
        with self.k.db.tx() as tx:
            self.points.put(tx, point, "policy", text)

    @operation("GetAccessPointPolicy", resource=point_arn)
    async def get_access_point_policy(self, ctx: Context, req: dict[str, Any]) -> api.GetAccessPointPolicyResult:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_control_GetAccessPointPolicy.html"""
        return {"Policy": self._policy(self._require(ctx, req))}

    def _policy(self, point: AccessPoint) -> str:
        if point.policy is None:
            raise _missing(
                "NoSuchAccessPointPolicy",
                "The specified accesspoint does not have a policy",
                AccessPointName=point.name,
            )
        return point.policy

    @operation("GetAccessPointPolicyStatus", resource=point_arn)
    async def get_access_point_policy_status(
        self, ctx: Context, req: dict[str, Any]
    ) -> api.GetAccessPointPolicyStatusResult:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_control_GetAccessPointPolicyStatus.html"""
        return {"PolicyStatus": {"IsPublic": policy.is_public(self._policy(self._require(ctx, req)))}}

    @operation("DeleteAccessPointPolicy", resource=point_arn)
    async def delete_access_point_policy(self, ctx: Context, req: dict[str, Any]) -> None:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_control_DeleteAccessPointPolicy.html"""
        with self.k.db.tx() as tx:
            self.points.put(tx, self._require(ctx, req), "policy", None)

    def _tagged(self, ctx: Context, req: Mapping[str, Any]) -> AccessPoint:
        return self._require(ctx, {"AccountId": req["AccountId"], "Name": req["ResourceArn"]})

    @operation("ListTagsForResource", resource=tagged_arn)
    async def list_tags_for_resource(self, ctx: Context, req: dict[str, Any]) -> api.ListTagsForResourceResult:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_control_ListTagsForResource.html"""
        return {"Tags": tagging.to_set(self._tagged(ctx, req).tags)}  # type: ignore[typeddict-item]  # Tag by members

    @operation("TagResource", resource=tagged_arn)
    async def tag_resource(self, ctx: Context, req: dict[str, Any]) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_control_TagResource.html"""
        point = self._tagged(ctx, req)
        added = tagging.from_set(req["Tags"], tagging.BUCKET_TAGS_MAX)
        tags = tagging.from_set(tagging.to_set({**point.tags, **added}), tagging.BUCKET_TAGS_MAX)
        with self.k.db.tx() as tx:
            self.points.put(tx, point, "tags", msgspec.msgpack.encode(tags))
        return {}

    @operation("UntagResource", resource=tagged_arn)
    async def untag_resource(self, ctx: Context, req: dict[str, Any]) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_control_UntagResource.html"""
        point = self._tagged(ctx, req)
        tags = {name: value for name, value in point.tags.items() if name not in req["TagKeys"]}
        with self.k.db.tx() as tx:
            self.points.put(tx, point, "tags", msgspec.msgpack.encode(tags))
        return {}

    @operation("GetPublicAccessBlock", action="s3:GetAccountPublicAccessBlock")
    async def get_public_access_block(self, ctx: Context, req: dict[str, Any]) -> api.GetPublicAccessBlockOutput:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_control_GetPublicAccessBlock.html"""
        _check_account(ctx, req)
        block = self.points.account_block(ctx.scope.account)
        if block is None:
            raise _missing(
                "NoSuchPublicAccessBlockConfiguration", "The public access block configuration was not found"
            )
        return {"PublicAccessBlockConfiguration": _switches(block)}  # type: ignore[typeddict-item]  # by members

    @operation("PutPublicAccessBlock", action="s3:PutAccountPublicAccessBlock")
    async def put_public_access_block(self, ctx: Context, req: dict[str, Any]) -> None:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_control_PutPublicAccessBlock.html"""
        _check_account(ctx, req)
        wanted = req["PublicAccessBlockConfiguration"]
        block = PublicAccessBlock(**{switch: bool(wanted.get(member)) for member, switch in SWITCHES.items()})
        with self.k.db.tx() as tx:
            self.points.put_account_block(tx, ctx.scope.account, block)

    @operation("DeletePublicAccessBlock", action="s3:PutAccountPublicAccessBlock")
    async def delete_public_access_block(self, ctx: Context, req: dict[str, Any]) -> None:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_control_DeletePublicAccessBlock.html"""
        _check_account(ctx, req)
        with self.k.db.tx() as tx:
            self.points.put_account_block(tx, ctx.scope.account, None)


def _check_account(ctx: Context, req: Mapping[str, Any]) -> None:
    if req.get("AccountId") != ctx.scope.account:
        raise access_denied()


def _missing(code: str, message: str, **members: str) -> AwsError:
    return AwsError(code, message, status=404, members=members)


def _block(wanted: Mapping[str, Any] | None) -> PublicAccessBlock:
    """All on unless the request says otherwise, and for good."""
    if wanted is None:
        return PublicAccessBlock()
    return PublicAccessBlock(**{switch: bool(wanted.get(member)) for member, switch in SWITCHES.items()})


def _switches(block: PublicAccessBlock) -> dict[str, bool]:
    return {member: getattr(block, switch) for member, switch in SWITCHES.items()}


def _listed(point: AccessPoint) -> dict[str, Any]:
    return {
        "Name": point.name,
        "NetworkOrigin": "Internet",
        "Bucket": point.bucket,
        "AccessPointArn": point.arn,
        "Alias": point.alias,
        "BucketAccountId": point.account,
    }
