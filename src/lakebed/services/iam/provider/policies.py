"""Managed policies and their versions, and the account's summary.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreatePolicy.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_managed-versioning.html
"""

from __future__ import annotations

from typing import Any

import msgspec

from lakebed.api import iam as api
from lakebed.ports.service import Context, operation
from lakebed.services.iam import documents, managed, model
from lakebed.services.iam.model import ROLE, USER, Policy, Version
from lakebed.services.iam.provider.holders import Holders, arn_of, encoded, paged, policy_arn, refuse_managed


class Policies:
    """Operations on managed policies."""

    def __init__(self, holders: Holders) -> None:
        self.holders, self.k, self.store = holders, holders.k, holders.policies

    def _require(self, ctx: Context, arn: str) -> tuple[Policy, list[Version]]:
        if managed.is_managed(arn):
            known = managed.all_policies().get(arn)
            if known is not None:
                return known[0], [known[1]]
        else:
            policy = self.store.find(arn)
            if policy is not None and arn.split(":")[4] == ctx.scope.account:
                return policy, self.store.versions(ctx.scope.at_global(), arn)
        raise api.NoSuchEntityException(f"Policy {arn} does not exist or is not attachable.", status=404)

    def _own(self, ctx: Context, arn: str) -> tuple[Policy, list[Version]]:
        refuse_managed(arn)
        return self._require(ctx, arn)

    def _member(self, ctx: Context, policy: Policy, *, whole: bool = True) -> api.Policy:
        entities, scope = self.holders.entities, ctx.scope.at_global()
        bounded = [e for kind in (USER, ROLE) for e in entities.all(scope, kind) if e.boundary == policy.arn]
        told: api.Policy = {
            "PolicyName": policy.name,
            "PolicyId": policy.id,
            "Arn": policy.arn,
            "Path": policy.path,
            "DefaultVersionId": f"v{policy.default_version}",
            "AttachmentCount": len(entities.holders(scope, policy.arn)),
            "PermissionsBoundaryUsageCount": len(bounded),
            "IsAttachable": True,
            "CreateDate": policy.created,
            "UpdateDate": policy.updated,
        }
        if whole and policy.description is not None:
            told["Description"] = policy.description
        if whole and policy.tags:
            told["Tags"] = model.tag_list(policy.tags)
        return told

    def _change(self, ctx: Context, policy: Policy, **fields: Any) -> None:
        with self.k.db.tx() as tx:
            self.store.put(tx, ctx.scope.at_global(), msgspec.structs.replace(policy, **fields))
            self.holders.changed(tx)

    @operation("CreatePolicy", resource=arn_of("policy", "PolicyName"))
    async def create_policy(self, ctx: Context, req: api.CreatePolicyRequest) -> api.CreatePolicyResponse:
        documents.check_identity(req["PolicyDocument"], model.POLICY_SIZE_MAX)
        scope, path, name = ctx.scope.at_global(), req.get("Path", "/"), req["PolicyName"]
        if self.store.exists(scope, name):
            raise api.EntityAlreadyExistsException(
                f"A policy called {name} already exists. Duplicate names are not allowed.", status=409
            )
        if len(self.store.all(scope)) >= model.POLICIES_MAX:
            raise api.LimitExceededException(
                f"Cannot exceed quota for PoliciesPerAccount: {model.POLICIES_MAX}", status=409
            )
        policy = Policy(
            name=name,
            path=path,
            id=f"ANPA{self.k.ids.token(17)}",
            arn=ctx.scope.global_arn("iam", f"policy{path}{name}"),
            created=ctx.now,
            updated=ctx.now,
            description=req.get("Description"),
            tags=model.tags_of(req.get("Tags")),
        )
        with self.k.db.tx() as tx:
            self.store.put(tx, scope, policy)
            self.store.put_version(tx, scope, policy.arn, Version(1, ctx.now, req["PolicyDocument"]))
        return {"Policy": self._member(ctx, policy)}

    @operation("GetPolicy", resource=policy_arn)
    async def get_policy(self, ctx: Context, req: api.GetPolicyRequest) -> api.GetPolicyResponse:
        return {"Policy": self._member(ctx, self._require(ctx, req["PolicyArn"])[0])}

    @operation("ListPolicies")
    async def list_policies(self, ctx: Context, req: api.ListPoliciesRequest) -> api.ListPoliciesResponse:
        scope, prefix, which = ctx.scope.at_global(), req.get("PathPrefix", "/"), req.get("Scope", "All")
        found = self.store.all(scope, prefix) if which != "AWS" else []
        if which != "Local":
            found += [policy for policy, _ in managed.all_policies().values() if policy.path.startswith(prefix)]
        told = [self._member(ctx, policy, whole=False) for policy in found]
        if req.get("OnlyAttached"):
            told = [policy for policy in told if policy["AttachmentCount"]]
        usage = req.get("PolicyUsageFilter")
        if usage is not None:
            member = "AttachmentCount" if usage == "PermissionsPolicy" else "PermissionsBoundaryUsageCount"
            told = [policy for policy in told if policy[member]]  # type: ignore[literal-required]
        chosen, more = paged(told, lambda policy: f"{policy['PolicyName'].lower()} {policy['Arn']}", req)
        return {"Policies": chosen, **more}  # type: ignore[typeddict-item]

    @operation("DeletePolicy", resource=policy_arn)
    async def delete_policy(self, ctx: Context, req: api.DeletePolicyRequest) -> None:
        policy, versions = self._own(ctx, req["PolicyArn"])
        told = self._member(ctx, policy)
        if told["AttachmentCount"] or told["PermissionsBoundaryUsageCount"]:
            raise api.DeleteConflictException("Cannot delete a policy attached to entities.", status=409)
        if len(versions) > 1:
            raise api.DeleteConflictException(
                "This policy has more than one version. Before you delete a policy, you must delete the policy's"
                " versions. The default version is deleted with the policy.",
                status=409,
            )
        with self.k.db.tx() as tx:
            self.store.delete(tx, ctx.scope.at_global(), policy)
            self.holders.changed(tx)

    @operation("CreatePolicyVersion", resource=policy_arn)
    async def create_version(
        self, ctx: Context, req: api.CreatePolicyVersionRequest
    ) -> api.CreatePolicyVersionResponse:
        policy, versions = self._own(ctx, req["PolicyArn"])
        documents.check_identity(req["PolicyDocument"], model.POLICY_SIZE_MAX)
        if len(versions) >= model.VERSIONS_MAX:
            raise api.LimitExceededException(
                "A managed policy can have up to 5 versions. Before you create a new version, you must delete an"
                " existing version.",
                status=409,
            )
        version = Version(policy.newest_version + 1, ctx.now, req["PolicyDocument"])
        default = version.number if req.get("SetAsDefault") else policy.default_version
        new = msgspec.structs.replace(policy, newest_version=version.number, default_version=default, updated=ctx.now)
        with self.k.db.tx() as tx:
            self.store.put_version(tx, ctx.scope.at_global(), policy.arn, version)
            self.store.put(tx, ctx.scope.at_global(), new)
            self.holders.changed(tx)
        return {"PolicyVersion": _version_member(new, version)}

    @operation("GetPolicyVersion", resource=policy_arn)
    async def get_version(self, ctx: Context, req: api.GetPolicyVersionRequest) -> api.GetPolicyVersionResponse:
        policy, version = self._version(*self._require(ctx, req["PolicyArn"]), req["VersionId"])
        return {"PolicyVersion": _version_member(policy, version, document=True)}

    @operation("ListPolicyVersions", resource=policy_arn)
    async def list_versions(self, ctx: Context, req: api.ListPolicyVersionsRequest) -> api.ListPolicyVersionsResponse:
        policy, versions = self._require(ctx, req["PolicyArn"])
        chosen, more = paged(versions, lambda version: f"{1_000_000 - version.number:07d}", req)
        return {"Versions": [_version_member(policy, version) for version in chosen], **more}  # type: ignore[typeddict-item]

    @operation("DeletePolicyVersion", resource=policy_arn)
    async def delete_version(self, ctx: Context, req: api.DeletePolicyVersionRequest) -> None:
        policy, version = self._version(*self._own(ctx, req["PolicyArn"]), req["VersionId"])
        if version.number == policy.default_version:
            raise api.DeleteConflictException("Cannot delete the default version of a policy.", status=409)
        with self.k.db.tx() as tx:
            self.store.delete_version(tx, ctx.scope.at_global(), policy.arn, version.number)

    @operation("SetDefaultPolicyVersion", resource=policy_arn)
    async def set_default(self, ctx: Context, req: api.SetDefaultPolicyVersionRequest) -> None:
        policy, version = self._version(*self._own(ctx, req["PolicyArn"]), req["VersionId"])
        self._change(ctx, policy, default_version=version.number, updated=ctx.now)

    def _version(self, policy: Policy, versions: list[Version], version_id: str) -> tuple[Policy, Version]:
        for version in versions:
            if f"v{version.number}" == version_id:
                return policy, version
        raise api.NoSuchEntityException(
            f"Policy {policy.arn} version {version_id} does not exist or is not attachable.", status=404
        )

    @operation("TagPolicy", resource=policy_arn)
    async def tag_policy(self, ctx: Context, req: api.TagPolicyRequest) -> None:
        policy, _ = self._own(ctx, req["PolicyArn"])
        self._change(ctx, policy, tags=model.with_tags(policy.tags, req["Tags"]))

    @operation("UntagPolicy", resource=policy_arn)
    async def untag_policy(self, ctx: Context, req: api.UntagPolicyRequest) -> None:
        policy, _ = self._own(ctx, req["PolicyArn"])
        self._change(ctx, policy, tags=model.without_tags(policy.tags, req["TagKeys"]))

    @operation("ListPolicyTags", resource=policy_arn)
    async def list_policy_tags(self, ctx: Context, req: api.ListPolicyTagsRequest) -> dict[str, Any]:
        return self.holders.list_tags(self._require(ctx, req["PolicyArn"])[0].tags, req)

    @operation("ListEntitiesForPolicy", resource=policy_arn)
    async def list_entities(
        self, ctx: Context, req: api.ListEntitiesForPolicyRequest
    ) -> api.ListEntitiesForPolicyResponse:
        self._require(ctx, req["PolicyArn"])
        scope, entities, arn = ctx.scope.at_global(), self.holders.entities, req["PolicyArn"]
        wanted = {"User": USER, "Role": ROLE}.get(req.get("EntityFilter", ""), req.get("EntityFilter"))
        usage, prefix = req.get("PolicyUsageFilter"), req.get("PathPrefix", "/")
        found = {} if usage == "PermissionsBoundary" else {e.id: e for e in entities.holders(scope, arn)}
        if usage != "PermissionsPolicy":
            found |= {e.id: e for kind in (USER, ROLE) for e in entities.all(scope, kind) if e.boundary == arn}
        chosen = [e for e in found.values() if wanted in (None, e.kind) and e.path.startswith(prefix)]
        listed, more = paged(chosen, lambda entity: f"{entity.kind} {entity.name.lower()}", req)
        return {
            "PolicyGroups": [],
            "PolicyUsers": [{"UserName": e.name, "UserId": e.id} for e in listed if e.kind == USER],
            "PolicyRoles": [{"RoleName": e.name, "RoleId": e.id} for e in listed if e.kind == ROLE],
            **more,  # type: ignore[typeddict-item]
        }

    @operation("GetAccountSummary")
    async def account_summary(self, ctx: Context, _: dict[str, Any]) -> api.GetAccountSummaryResponse:
        """https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountSummary.html"""
        scope, entities = ctx.scope.at_global(), self.holders.entities
        return {
            "SummaryMap": {
                "Users": entities.count(scope, USER),
                "UsersQuota": model.USERS_MAX,
                "Roles": entities.count(scope, ROLE),
                "RolesQuota": model.ROLES_MAX,
                "Policies": len(self.store.all(scope)),
                "PoliciesQuota": model.POLICIES_MAX,
                "PolicySizeQuota": model.POLICY_SIZE_MAX,
                "VersionsPerPolicyQuota": model.VERSIONS_MAX,
                "AttachedPoliciesPerUserQuota": model.ATTACHED_MAX,
                "AttachedPoliciesPerRoleQuota": model.ATTACHED_MAX,
                "AccessKeysPerUserQuota": model.KEYS_MAX,
                "AssumeRolePolicySizeQuota": model.TRUST_SIZE_MAX,
                "Groups": 0,
                "InstanceProfiles": 0,
                "MFADevices": 0,
                "AccountMFAEnabled": 0,
                "AccountAccessKeysPresent": int(bool(self.holders.keys.of(scope, ctx.scope.account))),
            }
        }


def _version_member(policy: Policy, version: Version, *, document: bool = False) -> api.PolicyVersion:
    told: api.PolicyVersion = {
        "VersionId": f"v{version.number}",
        "IsDefaultVersion": version.number == policy.default_version,
        "CreateDate": version.created,
    }
    if document:
        told["Document"] = encoded(version.document)
    return told
