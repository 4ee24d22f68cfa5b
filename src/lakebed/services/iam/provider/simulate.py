"""SimulatePrincipalPolicy: the evaluation that every call goes through, asked without making the call.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
"""

from __future__ import annotations

from dataclasses import replace

from lakebed.api import iam as api
from lakebed.kernel.scope import Principal, Scope
from lakebed.ports.service import Context, Request, operation
from lakebed.services.iam import documents, model, policy
from lakebed.services.iam.facts import facts_of
from lakebed.services.iam.port import IamIdentity
from lakebed.services.iam.provider.holders import paged


def _source(_: Scope, request: Request) -> str:
    return str(request["PolicySourceArn"])


class Simulations:
    """The policy simulator."""

    def __init__(self, identity: IamIdentity) -> None:
        self.identity = identity

    @operation(
        "SimulatePrincipalPolicy",
        resource=_source,
        refused=("PolicyExclusionList", "ResourceHandlingOption", "ResourceOwner", "CallerArn"),
    )
    async def simulate(self, ctx: Context, req: api.SimulatePrincipalPolicyRequest) -> api.SimulatePolicyResponse:
        scope, entity = self.identity.entity(req["PolicySourceArn"])
        if entity is None or scope.account != ctx.scope.account:
            raise api.NoSuchEntityException(f"The entity {req['PolicySourceArn']} cannot be found.", status=404)
        for text in (*req.get("PolicyInputList", ()), *req.get("PermissionsBoundaryPolicyInputList", ())):
            documents.check_identity(text, model.POLICY_SIZE_MAX)
        caller = Principal(
            scope.account, req["PolicySourceArn"], entity.kind, entity.id, req["PolicySourceArn"], tags=entity.tags
        )
        found = self._documents(caller, req)
        given = {entry["ContextKeyName"]: entry["ContextKeyValues"] for entry in req.get("ContextEntries", ())}
        results: list[api.EvaluationResult] = []
        for action in req["ActionNames"]:
            for resource in req.get("ResourceArns", ["*"]):
                request = policy.Request(caller, action, resource, lambda: facts_of(caller, ctx.now, given))
                reason = policy.decide(found, request, same_account=True)
                decision = "allowed" if not reason else "explicitDeny" if "explicit" in reason else "implicitDeny"
                results.append(
                    {
                        "EvalActionName": action,
                        "EvalResourceName": resource,
                        "EvalDecision": decision,
                        "MatchedStatements": [],
                        "MissingContextValues": [],
                    }
                )
        named = [(f"{place:06d}", result) for place, result in enumerate(results)]
        chosen, more = paged(named, lambda entry: entry[0], req)
        return {"EvaluationResults": [result for _, result in chosen], **more}  # type: ignore[typeddict-item]

    def _documents(self, caller: Principal, req: api.SimulatePrincipalPolicyRequest) -> policy.Documents:
        grants = self.identity.grants(caller.identity_arn)
        extra = [s for text in req.get("PolicyInputList", ()) for s in policy.compile_document(text)]
        found = policy.Documents((*grants.identity, *extra), grants.boundary)
        boundaries = req.get("PermissionsBoundaryPolicyInputList", ())
        if boundaries:
            found = replace(found, boundary=[s for text in boundaries for s in policy.compile_document(text)])
        if "ResourcePolicy" in req:
            found = replace(found, resource=policy.compile_document(req["ResourcePolicy"]))
        return found
