"""IAM users. https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateUser.html"""

from __future__ import annotations

from typing import Any

from lakebed.api import iam as api
from lakebed.kernel.scope import Scope
from lakebed.ports.service import Context, operation
from lakebed.services.iam import model
from lakebed.services.iam.model import USER, Entity
from lakebed.services.iam.provider.holders import Holders, arn_of, boundary_member, paged

_user = arn_of(USER, "UserName")


def user_member(scope: Scope, user: Entity, *, tags: bool = False) -> api.User:
    """A user as the API tells it."""
    told: api.User = {
        "Path": user.path,
        "UserName": user.name,
        "UserId": user.id,
        "Arn": user.arn(scope),
        "CreateDate": user.created,
        **boundary_member(user),  # type: ignore[typeddict-item]  # one optional member
    }
    if tags and user.tags:
        told["Tags"] = model.tag_list(user.tags)
    return told


class Users:
    """Operations on users."""

    def __init__(self, holders: Holders) -> None:
        self.holders = holders

    def _require(self, ctx: Context, req: Any) -> Entity:
        return self.holders.require(ctx, USER, req["UserName"])

    @operation("CreateUser", resource=_user)
    async def create_user(self, ctx: Context, req: api.CreateUserRequest) -> api.CreateUserResponse:
        user = Entity(
            kind=USER,
            name=req["UserName"],
            path=req.get("Path", "/"),
            id=f"AIDA{self.holders.k.ids.token(17)}",
            created=ctx.now,
            boundary=req.get("PermissionsBoundary", ""),
            tags=model.tags_of(req.get("Tags")),
        )
        self.holders.create(ctx, user, model.USERS_MAX)
        return {"User": user_member(ctx.scope, user, tags=True)}

    @operation("GetUser", resource=_user)
    async def get_user(self, ctx: Context, req: api.GetUserRequest) -> api.GetUserResponse:
        if "UserName" in req:
            return {"User": user_member(ctx.scope, self._require(ctx, req), tags=True)}
        if ctx.principal.is_root:
            return {
                "User": {
                    "Path": "/",
                    "UserName": "root",
                    "UserId": ctx.scope.account,
                    "Arn": ctx.principal.arn,
                    "CreateDate": 0.0,
                }
            }
        _, user = self.holders.identity.entity(ctx.principal.identity_arn)
        if user is None or user.kind != USER:
            raise api.NoSuchEntityException("Must specify userName when calling with non-User credentials", status=400)
        return {"User": user_member(ctx.scope, user, tags=True)}

    @operation("ListUsers")
    async def list_users(self, ctx: Context, req: api.ListUsersRequest) -> api.ListUsersResponse:
        users = self.holders.entities.all(ctx.scope.at_global(), USER, req.get("PathPrefix", "/"))
        chosen, more = paged(users, lambda user: user.name.lower(), req)
        return {"Users": [user_member(ctx.scope, user) for user in chosen], **more}  # type: ignore[typeddict-item]

    @operation("UpdateUser", resource=_user)
    async def update_user(self, ctx: Context, req: api.UpdateUserRequest) -> None:
        user = self._require(ctx, req)
        name = req.get("NewUserName", user.name)
        taken = self.holders.entities.find(ctx.scope.at_global(), USER, name)
        if taken is not None and taken.id != user.id:
            raise api.EntityAlreadyExistsException(f"User with name {name} already exists.", status=409)
        self.holders.change(ctx, user, name=name, path=req.get("NewPath", user.path))

    @operation("DeleteUser", resource=_user)
    async def delete_user(self, ctx: Context, req: api.DeleteUserRequest) -> None:
        self.holders.delete(ctx, self._require(ctx, req))

    @operation("TagUser", resource=_user)
    async def tag_user(self, ctx: Context, req: api.TagUserRequest) -> None:
        user = self._require(ctx, req)
        self.holders.change(ctx, user, tags=model.with_tags(user.tags, req["Tags"]))

    @operation("UntagUser", resource=_user)
    async def untag_user(self, ctx: Context, req: api.UntagUserRequest) -> None:
        user = self._require(ctx, req)
        self.holders.change(ctx, user, tags=model.without_tags(user.tags, req["TagKeys"]))

    @operation("ListUserTags", resource=_user)
    async def list_user_tags(self, ctx: Context, req: api.ListUserTagsRequest) -> dict[str, Any]:
        return self.holders.list_tags(self._require(ctx, req).tags, req)

    @operation("PutUserPermissionsBoundary", resource=_user)
    async def put_boundary(self, ctx: Context, req: api.PutUserPermissionsBoundaryRequest) -> None:
        self.holders.set_boundary(ctx, self._require(ctx, req), req["PermissionsBoundary"])

    @operation("DeleteUserPermissionsBoundary", resource=_user)
    async def delete_boundary(self, ctx: Context, req: api.DeleteUserPermissionsBoundaryRequest) -> None:
        self.holders.set_boundary(ctx, self._require(ctx, req), "")

    @operation("AttachUserPolicy", resource=_user)
    async def attach_user_policy(self, ctx: Context, req: api.AttachUserPolicyRequest) -> None:
        self.holders.attach(ctx, self._require(ctx, req), req["PolicyArn"])

    @operation("DetachUserPolicy", resource=_user)
    async def detach_user_policy(self, ctx: Context, req: api.DetachUserPolicyRequest) -> None:
        self.holders.detach(ctx, self._require(ctx, req), req["PolicyArn"])

    @operation("ListAttachedUserPolicies", resource=_user)
    async def list_attached(self, ctx: Context, req: api.ListAttachedUserPoliciesRequest) -> dict[str, Any]:
        return self.holders.list_attached(ctx, self._require(ctx, req), req)

    @operation("PutUserPolicy", resource=_user)
    async def put_user_policy(self, ctx: Context, req: api.PutUserPolicyRequest) -> None:
        self.holders.put_inline(ctx, self._require(ctx, req), req["PolicyName"], req["PolicyDocument"])

    @operation("GetUserPolicy", resource=_user)
    async def get_user_policy(self, ctx: Context, req: api.GetUserPolicyRequest) -> api.GetUserPolicyResponse:
        user = self._require(ctx, req)
        document = self.holders.inline(ctx, user, req["PolicyName"])
        return {"UserName": user.name, "PolicyName": req["PolicyName"], "PolicyDocument": document}

    @operation("DeleteUserPolicy", resource=_user)
    async def delete_user_policy(self, ctx: Context, req: api.DeleteUserPolicyRequest) -> None:
        self.holders.delete_inline(ctx, self._require(ctx, req), req["PolicyName"])

    @operation("ListUserPolicies", resource=_user)
    async def list_user_policies(self, ctx: Context, req: api.ListUserPoliciesRequest) -> dict[str, Any]:
        return self.holders.list_inline(ctx, self._require(ctx, req), req)
