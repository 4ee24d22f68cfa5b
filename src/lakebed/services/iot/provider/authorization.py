"""What policies would say: GetEffectivePolicies and TestAuthorization.

https://docs.aws.amazon.com/iot/latest/developerguide/iot-policies.html. Cognito identities do not exist here.
"""

from __future__ import annotations

from typing import Any

from lakebed.api import iot as api
from lakebed.kernel.scope import Scope
from lakebed.ports.devices import DeviceIdentity
from lakebed.ports.service import Context, operation
from lakebed.services.iot.model import PolicyVersion
from lakebed.services.iot.policy import compile_policy
from lakebed.services.iot.state import Core


class AuthorizationOperations:
    """See the module."""

    def __init__(self, core: Core) -> None:
        self.core, self.store = core, core.store

    @operation("GetEffectivePolicies", refused=("cognitoIdentityPoolId",))
    async def get_effective_policies(
        self, ctx: Context, req: api.GetEffectivePoliciesRequest
    ) -> api.GetEffectivePoliciesResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_GetEffectivePolicies.html"""
        names: list[str] = []
        if "principal" in req:
            names += self._of_principal(ctx.scope, req["principal"])
        if "thingName" in req:
            if self.store.thing(ctx.scope, req["thingName"]) is None:
                raise api.ResourceNotFoundException(f"Thing {req['thingName']} does not exist")
            names += self.core.gate.policies_of_thing(ctx.scope, req["thingName"])
        found = [self._policy(ctx.scope, name) for name in dict.fromkeys(names)]
        return {
            "effectivePolicies": [
                {
                    "policyName": policy.name,
                    "policyArn": ctx.scope.arn("iot", f"policy/{policy.name}"),
                    "policyDocument": policy.document,
                }
                for policy in found
            ]
        }

    @operation("TestAuthorization", refused=("cognitoIdentityPoolId",))
    async def test_authorization(
        self, ctx: Context, req: api.TestAuthorizationRequest
    ) -> api.TestAuthorizationResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_TestAuthorization.html"""
        names = self._of_principal(ctx.scope, req["principal"]) if "principal" in req else []
        skipped = set(req.get("policyNamesToSkip", []))
        names = [name for name in dict.fromkeys([*names, *req.get("policyNamesToAdd", [])]) if name not in skipped]
        policies = [self._policy(ctx.scope, name) for name in names]
        certificate = req.get("principal", "").rpartition("/")[2]
        identity = DeviceIdentity(ctx.scope, certificate, ctx.source_ip)
        results: list[Any] = []
        for info in req["authInfos"]:
            if "actionType" not in info:
                raise api.InvalidRequestException("actionType must be given.")
            action = f"iot:{info['actionType'].capitalize()}"
            client = req.get("clientId", "")
            results += [self._tested(identity, client, action, arn, policies) for arn in info["resources"]]
        return {"authResults": results}

    def _tested(
        self, identity: DeviceIdentity, client_id: str, action: str, resource: str, policies: list[PolicyVersion]
    ) -> dict[str, Any]:
        facts = self.core.gate.facts(identity, client_id)
        allowing: list[str] = []
        denying: list[str] = []
        for policy in policies:
            for statement in compile_policy(policy.document):
                if statement.applies(action, resource, facts):
                    (allowing if statement.allows else denying).append(policy.name)
        told: dict[str, Any] = {"authInfo": {"actionType": action[4:].upper(), "resources": [resource]}}
        if denying:
            decision, told["denied"] = (
                "EXPLICIT_DENY",
                {"explicitDeny": {"policies": self._told(identity.scope, denying)}},
            )
        elif allowing:
            decision, told["allowed"] = "ALLOWED", {"policies": self._told(identity.scope, allowing)}
        else:
            decision, told["denied"] = "IMPLICIT_DENY", {"implicitDeny": {"policies": []}}
        return {**told, "authDecision": decision, "missingContextValues": []}

    def _told(self, scope: Scope, names: list[str]) -> list[dict[str, str]]:
        return [{"policyName": n, "policyArn": scope.arn("iot", f"policy/{n}")} for n in dict.fromkeys(names)]

    def _of_principal(self, scope: Scope, principal: str) -> list[str]:
        if ":thinggroup/" in principal:
            arn = self.core.target_of(scope, principal)
            return self.store.policies_of(scope, arn)
        return self.core.gate.policies_of_certificate(scope, self.core.certificate_of(scope, principal).id)

    def _policy(self, scope: Scope, name: str) -> PolicyVersion:
        found = self.store.policy(scope, name)
        if found is None:
            raise api.ResourceNotFoundException(f"Policy {name} not found")
        return found
