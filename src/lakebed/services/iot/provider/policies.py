"""Policies, their versions, and what they are attached to.

https://docs.aws.amazon.com/iot/latest/developerguide/iot-policies.html. Targets are certificates and thing groups; Cognito
identities do not exist here and are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lakebed.api import iot as api
from lakebed.kernel.scope import Scope
from lakebed.ports.service import Context, Request, operation
from lakebed.services.iot.model import PolicyVersion
from lakebed.services.iot.policy import MalformedPolicyError, compile_policy
from lakebed.services.iot.state import Core, tags_of

_PAGE = 25
_VERSIONS_MAX = 5
_ATTACHED_MAX = 10


def policy_arn(scope: Scope, req: Request) -> str:
    """The policy an operation is on."""
    return scope.arn("iot", f"policy/{req['policyName']}")


class PolicyOperations:
    """See the module."""

    def __init__(self, core: Core) -> None:
        self.core, self.store = core, core.store

    @operation("CreatePolicy", resource=policy_arn)
    async def create_policy(self, ctx: Context, req: api.CreatePolicyRequest) -> api.CreatePolicyResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_CreatePolicy.html"""
        name, arn = req["policyName"], policy_arn(ctx.scope, dict(req))
        _check(req["policyDocument"])
        tags = tags_of(req.get("tags"))
        with self.store.db.tx() as tx:
            if self.store.policy(ctx.scope, name) is not None:
                raise api.ResourceAlreadyExistsException(
                    f"Policy cannot be created - name already exists (name={name})"
                )
            made = PolicyVersion(name, 1, req["policyDocument"], True, ctx.now, self.core.k.ids.uuid())
            self.store.put_policy(tx, ctx.scope, made)
            self.store.put_tags(tx, ctx.scope, arn, tags)
        return {"policyName": name, "policyArn": arn, "policyDocument": made.document, "policyVersionId": "1"}

    @operation("GetPolicy", resource=policy_arn)
    async def get_policy(self, ctx: Context, req: api.GetPolicyRequest) -> api.GetPolicyResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_GetPolicy.html"""
        found = self._require(ctx.scope, req["policyName"])
        versions = self.store.policy_versions(ctx.scope, found.name)
        return {
            "policyName": found.name,
            "policyArn": policy_arn(ctx.scope, dict(req)),
            "policyDocument": found.document,
            "defaultVersionId": str(found.version),
            "creationDate": min(version.created for version in versions),
            "lastModifiedDate": max(version.created for version in versions),
            "generationId": found.generation,
        }

    @operation("ListPolicies")
    async def list_policies(self, ctx: Context, req: api.ListPoliciesRequest) -> api.ListPoliciesResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_ListPolicies.html"""
        limit = req.get("pageSize", _PAGE)
        names = self.store.policies(
            ctx.scope, req.get("marker", ""), limit + 1, ascending=bool(req.get("ascendingOrder"))
        )
        answer: api.ListPoliciesResponse = {"policies": _named(ctx.scope, names[:limit])}
        if len(names) > limit:
            answer["nextMarker"] = names[limit - 1]
        return answer

    @operation("DeletePolicy", resource=policy_arn)
    async def delete_policy(self, ctx: Context, req: api.DeletePolicyRequest) -> None:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_DeletePolicy.html"""
        name = req["policyName"]
        with self.store.db.tx() as tx:
            self._require(ctx.scope, name)
            if self.store.targets_of(ctx.scope, name, limit=1):
                raise api.DeleteConflictException(
                    f"Cannot delete the policy because the policy is attached to one or more targets (name={name})"
                )
            if len(self.store.policy_versions(ctx.scope, name)) > 1:
                raise api.DeleteConflictException(
                    f"Cannot delete the policy because it has one or more policy versions attached to it (name={name})"
                )
            self.store.delete_policy(tx, ctx.scope, name)
            self.store.delete_tags(tx, ctx.scope, policy_arn(ctx.scope, dict(req)))

    @operation("CreatePolicyVersion", resource=policy_arn)
    async def create_policy_version(
        self, ctx: Context, req: api.CreatePolicyVersionRequest
    ) -> api.CreatePolicyVersionResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_CreatePolicyVersion.html"""
        name, is_default = req["policyName"], req.get("setAsDefault", False)
        _check(req["policyDocument"])
        with self.store.db.tx() as tx:
            self._require(ctx.scope, name)
            versions = self.store.policy_versions(ctx.scope, name)
            if len(versions) >= _VERSIONS_MAX:
                raise api.VersionsLimitExceededException(
                    f"The policy {name} already has the maximum number of versions ({_VERSIONS_MAX})"
                )
            made = PolicyVersion(
                name, versions[0].version + 1, req["policyDocument"], is_default, ctx.now, self.core.k.ids.uuid()
            )
            self.store.put_policy(tx, ctx.scope, made)
            self.core.access_changed(tx)
        return {
            "policyArn": policy_arn(ctx.scope, dict(req)),
            "policyDocument": made.document,
            "policyVersionId": str(made.version),
            "isDefaultVersion": is_default,
        }

    @operation("GetPolicyVersion", resource=policy_arn)
    async def get_policy_version(self, ctx: Context, req: api.GetPolicyVersionRequest) -> api.GetPolicyVersionResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_GetPolicyVersion.html"""
        found = self._require(ctx.scope, req["policyName"], req["policyVersionId"])
        return {
            "policyArn": policy_arn(ctx.scope, dict(req)),
            "policyName": found.name,
            "policyDocument": found.document,
            "policyVersionId": str(found.version),
            "isDefaultVersion": found.is_default,
            "creationDate": found.created,
            "lastModifiedDate": found.created,
            "generationId": found.generation,
        }

    @operation("ListPolicyVersions", resource=policy_arn)
    async def list_policy_versions(
        self, ctx: Context, req: api.ListPolicyVersionsRequest
    ) -> api.ListPolicyVersionsResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_ListPolicyVersions.html"""
        self._require(ctx.scope, req["policyName"])
        return {
            "policyVersions": [
                {"versionId": str(one.version), "isDefaultVersion": one.is_default, "createDate": one.created}
                for one in self.store.policy_versions(ctx.scope, req["policyName"])
            ]
        }

    @operation("DeletePolicyVersion", resource=policy_arn)
    async def delete_policy_version(self, ctx: Context, req: api.DeletePolicyVersionRequest) -> None:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_DeletePolicyVersion.html"""
        with self.store.db.tx() as tx:
            found = self._require(ctx.scope, req["policyName"], req["policyVersionId"])
            if found.is_default:
                raise api.DeleteConflictException("Cannot delete the default version of a policy")
            self.store.delete_policy(tx, ctx.scope, found.name, found.version)

    @operation("SetDefaultPolicyVersion", resource=policy_arn)
    async def set_default_policy_version(self, ctx: Context, req: api.SetDefaultPolicyVersionRequest) -> None:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_SetDefaultPolicyVersion.html"""
        with self.store.db.tx() as tx:
            found = self._require(ctx.scope, req["policyName"], req["policyVersionId"])
            self.store.put_policy(tx, ctx.scope, found._replace(is_default=True))
            self.core.access_changed(tx)

    @operation("AttachPolicy", resource=policy_arn)
    async def attach_policy(self, ctx: Context, req: api.AttachPolicyRequest) -> None:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_AttachPolicy.html"""
        self._attach(ctx, req["policyName"], req["target"])

    @operation("AttachPrincipalPolicy", resource=policy_arn)
    async def attach_principal_policy(self, ctx: Context, req: api.AttachPrincipalPolicyRequest) -> None:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_AttachPrincipalPolicy.html"""
        self._attach(ctx, req["policyName"], req["principal"])

    @operation("DetachPolicy", resource=policy_arn)
    async def detach_policy(self, ctx: Context, req: api.DetachPolicyRequest) -> None:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_DetachPolicy.html"""
        try:
            self._detach(ctx, req["policyName"], req["target"])
        except api.ResourceNotFoundException as absent:  # an error this operation, unlike the older one, does not have
            raise api.InvalidRequestException(absent.message) from None

    @operation("DetachPrincipalPolicy", resource=policy_arn)
    async def detach_principal_policy(self, ctx: Context, req: api.DetachPrincipalPolicyRequest) -> None:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_DetachPrincipalPolicy.html"""
        self._detach(ctx, req["policyName"], req["principal"])

    @operation("ListAttachedPolicies")
    async def list_attached_policies(
        self, ctx: Context, req: api.ListAttachedPoliciesRequest
    ) -> api.ListAttachedPoliciesResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_ListAttachedPolicies.html

        With ``recursive`` the policies of the groups above a thing group are among them.
        """
        return self._attached(ctx, req["target"], req, recursive=bool(req.get("recursive", False)))

    @operation("ListPrincipalPolicies")
    async def list_principal_policies(
        self, ctx: Context, req: api.ListPrincipalPoliciesRequest
    ) -> api.ListPrincipalPoliciesResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_ListPrincipalPolicies.html"""
        return self._attached(ctx, req["principal"], req, ascending=bool(req.get("ascendingOrder")))

    @operation("ListPolicyPrincipals")
    async def list_policy_principals(
        self, ctx: Context, req: api.ListPolicyPrincipalsRequest
    ) -> api.ListPolicyPrincipalsResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_ListPolicyPrincipals.html: certificates only."""
        name, limit, after = (
            self._require(ctx.scope, req["policyName"]).name,
            req.get("pageSize", _PAGE),
            req.get("marker"),
        )
        found = sorted(
            (arn for arn in self.store.targets_of(ctx.scope, name, limit=100_000) if ":cert/" in arn),
            reverse=not req.get("ascendingOrder", False),
        )
        if after is not None:
            found = found[found.index(after) + 1 :] if after in found else []
        answer: api.ListPolicyPrincipalsResponse = {"principals": found[:limit]}
        if len(found) > limit:
            answer["nextMarker"] = found[limit - 1]
        return answer

    @operation("ListTargetsForPolicy", resource=policy_arn)
    async def list_targets_for_policy(
        self, ctx: Context, req: api.ListTargetsForPolicyRequest
    ) -> api.ListTargetsForPolicyResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_ListTargetsForPolicy.html"""
        name, limit = self._require(ctx.scope, req["policyName"]).name, req.get("pageSize", _PAGE)
        found = self.store.targets_of(ctx.scope, name, req.get("marker", ""), limit + 1)
        answer: api.ListTargetsForPolicyResponse = {"targets": found[:limit]}
        if len(found) > limit:
            answer["nextMarker"] = found[limit - 1]
        return answer

    def _attached(
        self, ctx: Context, target: str, req: Mapping[str, Any], *, recursive: bool = False, ascending: bool = True
    ) -> api.ListAttachedPoliciesResponse:
        """A page of the policies of a certificate or a group."""
        arn, limit, after = self.core.target_of(ctx.scope, target), req.get("pageSize", _PAGE), req.get("marker", "")
        found = set(self.store.policies_of(ctx.scope, arn))
        if recursive and ":thinggroup/" in arn:
            for group in self.core.groups.ancestors(ctx.scope, arn.rpartition("/")[2]):
                found.update(self.store.policies_of(ctx.scope, ctx.scope.arn("iot", f"thinggroup/{group}")))
        names = sorted(
            (n for n in found if not after or ((n > after) == ascending and n != after)), reverse=not ascending
        )
        answer: api.ListAttachedPoliciesResponse = {"policies": _named(ctx.scope, names[:limit])}
        if len(names) > limit:
            answer["nextMarker"] = names[limit - 1]
        return answer

    def _attach(self, ctx: Context, name: str, target: str) -> None:
        with self.store.db.tx() as tx:
            self._require(ctx.scope, name)
            arn = self.core.target_of(ctx.scope, target)
            attached = self.store.policies_of(ctx.scope, arn)
            if name not in attached and len(attached) >= _ATTACHED_MAX:
                raise api.LimitExceededException(f"The target already has {_ATTACHED_MAX} policies attached")
            self.store.attach_policy(tx, ctx.scope, arn, name)
            self.core.access_changed(tx)

    def _detach(self, ctx: Context, name: str, target: str) -> None:
        with self.store.db.tx() as tx:
            self._require(ctx.scope, name)
            self.store.detach_policy(tx, ctx.scope, target, name)
            self.core.access_changed(tx)

    def _require(self, scope: Scope, name: str, version: str | None = None) -> PolicyVersion:
        found = self.store.policy(scope, name, int(version) if version is not None else None)
        if found is None:
            what = f"Policy version {version} of {name}" if version is not None else f"Policy {name}"
            raise api.ResourceNotFoundException(f"{what} not found")
        return found


def _named(scope: Scope, names: list[str]) -> list[api.Policy]:
    return [{"policyName": name, "policyArn": scope.arn("iot", f"policy/{name}")} for name in names]


def _check(document: str) -> None:
    try:
        compile_policy(document)
    except MalformedPolicyError as wrong:
        raise api.MalformedPolicyException(str(wrong)) from None
