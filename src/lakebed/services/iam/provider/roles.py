"""IAM roles and their trust policies. https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html

MaxSigninSessionDuration is refused: there is no AWS sign-in page here whose sessions it could bound.
"""

from __future__ import annotations

from typing import Any

from lakebed.api import iam as api
from lakebed.kernel.scope import Scope
from lakebed.ports.service import Context, operation
from lakebed.services.iam import documents, model
from lakebed.services.iam.model import ROLE, Entity
from lakebed.services.iam.provider.holders import Holders, arn_of, boundary_member, encoded, paged

_role = arn_of(ROLE, "RoleName")


def role_member(scope: Scope, role: Entity, *, whole: bool = True) -> api.Role:
    """A role as the API tells it; listings leave boundary and tags out."""
    told: api.Role = {
        "Path": role.path,
        "RoleName": role.name,
        "RoleId": role.id,
        "Arn": role.arn(scope),
        "CreateDate": role.created,
        "AssumeRolePolicyDocument": encoded(role.trust),
        "MaxSessionDuration": role.session_seconds_max,
    }
    if role.description is not None:
        told["Description"] = role.description
    if whole:
        told.update(boundary_member(role))  # type: ignore[typeddict-item]  # one optional member
        if role.tags:
            told["Tags"] = model.tag_list(role.tags)
    return told


class Roles:
    """Operations on roles."""

    def __init__(self, holders: Holders) -> None:
        self.holders = holders

    def _require(self, ctx: Context, req: Any) -> Entity:
        return self.holders.require(ctx, ROLE, req["RoleName"])

    def _check_trust(self, document: str) -> None:
        documents.check_trust(
            document, model.TRUST_SIZE_MAX, lambda arn: self.holders.identity.entity(arn)[1] is not None
        )

    @operation("CreateRole", resource=_role, refused=("MaxSigninSessionDuration",))
    async def create_role(self, ctx: Context, req: api.CreateRoleRequest) -> api.CreateRoleResponse:
        self._check_trust(req["AssumeRolePolicyDocument"])
        role = Entity(
            kind=ROLE,
            name=req["RoleName"],
            path=req.get("Path", "/"),
            id=f"AROA{self.holders.k.ids.token(17)}",
            created=ctx.now,
            boundary=req.get("PermissionsBoundary", ""),
            tags=model.tags_of(req.get("Tags")),
            trust=req["AssumeRolePolicyDocument"],
            description=req.get("Description"),
            session_seconds_max=req.get("MaxSessionDuration", 3600),
        )
        self.holders.create(ctx, role, model.ROLES_MAX)
        return {"Role": role_member(ctx.scope, role)}

    @operation("GetRole", resource=_role)
    async def get_role(self, ctx: Context, req: api.GetRoleRequest) -> api.GetRoleResponse:
        return {"Role": role_member(ctx.scope, self._require(ctx, req))}

    @operation("ListRoles")
    async def list_roles(self, ctx: Context, req: api.ListRolesRequest) -> api.ListRolesResponse:
        roles = self.holders.entities.all(ctx.scope.at_global(), ROLE, req.get("PathPrefix", "/"))
        chosen, more = paged(roles, lambda role: role.name.lower(), req)
        return {"Roles": [role_member(ctx.scope, role, whole=False) for role in chosen], **more}  # type: ignore[typeddict-item]

    @operation("UpdateRole", resource=_role, refused=("MaxSigninSessionDuration", "ResetMaxSigninSessionDuration"))
    async def update_role(self, ctx: Context, req: api.UpdateRoleRequest) -> api.UpdateRoleResponse:
        role = self._require(ctx, req)
        self.holders.change(
            ctx,
            role,
            description=req.get("Description", role.description),
            session_seconds_max=req.get("MaxSessionDuration", role.session_seconds_max),
        )
        return {}

    @operation("UpdateRoleDescription", resource=_role)
    async def update_description(
        self, ctx: Context, req: api.UpdateRoleDescriptionRequest
    ) -> api.UpdateRoleDescriptionResponse:
        role = self.holders.change(ctx, self._require(ctx, req), description=req["Description"])
        return {"Role": role_member(ctx.scope, role)}

    @operation("UpdateAssumeRolePolicy", resource=_role)
    async def update_trust(self, ctx: Context, req: api.UpdateAssumeRolePolicyRequest) -> None:
        role = self._require(ctx, req)
        self._check_trust(req["PolicyDocument"])
        self.holders.change(ctx, role, trust=req["PolicyDocument"])

    @operation("DeleteRole", resource=_role)
    async def delete_role(self, ctx: Context, req: api.DeleteRoleRequest) -> None:
        self.holders.delete(ctx, self._require(ctx, req))

    @operation("TagRole", resource=_role)
    async def tag_role(self, ctx: Context, req: api.TagRoleRequest) -> None:
        role = self._require(ctx, req)
        self.holders.change(ctx, role, tags=model.with_tags(role.tags, req["Tags"]))

    @operation("UntagRole", resource=_role)
    async def untag_role(self, ctx: Context, req: api.UntagRoleRequest) -> None:
        role = self._require(ctx, req)
        self.holders.change(ctx, role, tags=model.without_tags(role.tags, req["TagKeys"]))

    @operation("ListRoleTags", resource=_role)
    async def list_role_tags(self, ctx: Context, req: api.ListRoleTagsRequest) -> dict[str, Any]:
        return self.holders.list_tags(self._require(ctx, req).tags, req)

    @operation("PutRolePermissionsBoundary", resource=_role)
    async def put_boundary(self, ctx: Context, req: api.PutRolePermissionsBoundaryRequest) -> None:
        self.holders.set_boundary(ctx, self._require(ctx, req), req["PermissionsBoundary"])

    @operation("DeleteRolePermissionsBoundary", resource=_role)
    async def delete_boundary(self, ctx: Context, req: api.DeleteRolePermissionsBoundaryRequest) -> None:
        self.holders.set_boundary(ctx, self._require(ctx, req), "")

    @operation("AttachRolePolicy", resource=_role)
    async def attach_role_policy(self, ctx: Context, req: api.AttachRolePolicyRequest) -> None:
        self.holders.attach(ctx, self._require(ctx, req), req["PolicyArn"])

    @operation("DetachRolePolicy", resource=_role)
    async def detach_role_policy(self, ctx: Context, req: api.DetachRolePolicyRequest) -> None:
        self.holders.detach(ctx, self._require(ctx, req), req["PolicyArn"])

    @operation("ListAttachedRolePolicies", resource=_role)
    async def list_attached(self, ctx: Context, req: api.ListAttachedRolePoliciesRequest) -> dict[str, Any]:
        return self.holders.list_attached(ctx, self._require(ctx, req), req)

    @operation("PutRolePolicy", resource=_role)
    async def put_role_policy(self, ctx: Context, req: api.PutRolePolicyRequest) -> None:
        self.holders.put_inline(ctx, self._require(ctx, req), req["PolicyName"], req["PolicyDocument"])

    @operation("GetRolePolicy", resource=_role)
    async def get_role_policy(self, ctx: Context, req: api.GetRolePolicyRequest) -> api.GetRolePolicyResponse:
        role = self._require(ctx, req)
        document = self.holders.inline(ctx, role, req["PolicyName"])
        return {"RoleName": role.name, "PolicyName": req["PolicyName"], "PolicyDocument": document}

    @operation("DeleteRolePolicy", resource=_role)
    async def delete_role_policy(self, ctx: Context, req: api.DeleteRolePolicyRequest) -> None:
        self.holders.delete_inline(ctx, self._require(ctx, req), req["PolicyName"])

    @operation("ListRolePolicies", resource=_role)
    async def list_role_policies(self, ctx: Context, req: api.ListRolePoliciesRequest) -> dict[str, Any]:
        return self.holders.list_inline(ctx, self._require(ctx, req), req)

    @operation("ListInstanceProfilesForRole", resource=_role)
    async def list_instance_profiles(
        self, ctx: Context, req: api.ListInstanceProfilesForRoleRequest
    ) -> api.ListInstanceProfilesForRoleResponse:
        """There is no EC2 here and so no instance profile: the listing is truthfully empty, whatever the page."""
        self._require(ctx, req)
        none: list[api.InstanceProfile] = []
        chosen, more = paged(none, lambda profile: profile["InstanceProfileName"], req)
        return {"InstanceProfiles": chosen, "IsTruncated": bool(more["IsTruncated"])}
