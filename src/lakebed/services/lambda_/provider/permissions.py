"""The resource policy of a function: who besides its own account's identities may invoke it.

https://docs.aws.amazon.com/lambda/latest/dg/access-control-resource-based.html
"""

from __future__ import annotations

import json
from typing import Any

from lakebed.api import lambda_ as api
from lakebed.kernel.arn import parse
from lakebed.kernel.kernel import Kernel
from lakebed.ports.service import Context, operation
from lakebed.services.lambda_ import model
from lakebed.services.lambda_.model import invalid
from lakebed.services.lambda_.names import LATEST, Reference, function_arn, not_found, reference, resource
from lakebed.services.lambda_.store import FunctionStore, Policy

_POLICY_BYTES_MAX = 20_480


class PermissionOperations:
    """AddPermission, RemovePermission, GetPolicy."""

    def __init__(self, kernel: Kernel, store: FunctionStore) -> None:
        self.k, self.store = kernel, store

    @operation(
        "AddPermission",
        resource=resource(),
        refused=("EventSourceToken",),
    )
    async def add_permission(self, ctx: Context, req: api.AddPermissionRequest) -> api.AddPermissionResponse:
        """https://docs.aws.amazon.com/lambda/latest/api/API_AddPermission.html"""
        named = self._named(ctx, req["FunctionName"], req.get("Qualifier"))
        with self.k.db.tx() as tx:
            policy = self._policy(named, req.get("RevisionId"))
            if any(statement["Sid"] == req["StatementId"] for statement in policy.statements):
                raise api.ResourceConflictException(
                    f"The statement id ({req['StatementId']}) provided already exists. Please provide a new statement id, "
                    "or remove the existing statement.",
                    members={"Type": "User"},
                )
            statement = _statement(req, named)
            policy = Policy(self.k.ids.uuid(), (*policy.statements, statement))
            if len(policy.text()) > _POLICY_BYTES_MAX:
                raise api.PolicyLengthExceededException(
                    f"The final policy size ({len(policy.text())}) is bigger than the limit ({_POLICY_BYTES_MAX}).",
                    members={"Type": "User"},
                )
            self.store.put_policy(tx, named.scope, named.name, named.qualifier, policy)
        return {"Statement": json.dumps(statement)}

    @operation("RemovePermission", resource=resource())
    async def remove_permission(self, ctx: Context, req: api.RemovePermissionRequest) -> None:
        """https://docs.aws.amazon.com/lambda/latest/api/API_RemovePermission.html"""
        named = self._named(ctx, req["FunctionName"], req.get("Qualifier"))
        with self.k.db.tx() as tx:
            policy = self._policy(named, req.get("RevisionId"))
            kept = tuple(statement for statement in policy.statements if statement["Sid"] != req["StatementId"])
            if len(kept) == len(policy.statements):
                raise api.ResourceNotFoundException(
                    f"Statement {req['StatementId']} is not found in resource policy.", members={"Type": "User"}
                )
            self.store.put_policy(tx, named.scope, named.name, named.qualifier, Policy(self.k.ids.uuid(), kept))

    @operation("GetPolicy", resource=resource())
    async def get_policy(self, ctx: Context, req: api.GetPolicyRequest) -> api.GetPolicyResponse:
        """https://docs.aws.amazon.com/lambda/latest/api/API_GetPolicy.html"""
        named = self._named(ctx, req["FunctionName"], req.get("Qualifier"))
        policy = self.store.policy(named.scope, named.name, named.qualifier)
        if policy is None:
            raise api.ResourceNotFoundException("The resource you requested does not exist.", members={"Type": "User"})
        return {"Policy": policy.text(), "RevisionId": policy.revision}

    def _named(self, ctx: Context, name: str, qualifier: str | None) -> Reference:
        """The function, version or alias; all of them have their own policy. ``$LATEST`` has none."""
        named = reference(ctx.scope, name, qualifier)
        if named.qualifier == LATEST:
            raise invalid("We currently do not support adding policies for $LATEST.")
        exists = self.store.version(named.scope, named.name, LATEST) is not None
        if named.qualifier and exists:
            exists = (
                self.store.version(named.scope, named.name, named.qualifier) is not None
                if named.qualifier.isdigit()
                else self.store.alias(named.scope, named.name, named.qualifier) is not None
            )
        if not exists:
            raise not_found(named.arn)
        return named

    def _policy(self, named: Reference, revision: str | None) -> Policy:
        policy = self.store.policy(named.scope, named.name, named.qualifier) or Policy("", ())
        if revision is not None:
            model.check_revision(policy.revision, revision)
        return policy


def _statement(req: api.AddPermissionRequest, named: Reference) -> dict[str, Any]:
    given, conditions = req["Principal"], {}
    principal: Any
    if given == "*":
        principal = "*"
    elif given.isdigit() and len(given) == 12:
        principal = {"AWS": f"arn:{named.scope.partition}:iam::{given}:root"}
    elif given.startswith("arn:") and parse(given):
        principal = {"AWS": given}
    elif "." in given:
        principal = {"Service": given}
    else:
        raise invalid(f"The provided principal was invalid. Please check the principal and try again: {given}")
    if "SourceAccount" in req:
        conditions["StringEquals"] = {"AWS:SourceAccount": req["SourceAccount"]}
    if "PrincipalOrgID" in req:
        conditions.setdefault("StringEquals", {})["aws:PrincipalOrgID"] = req["PrincipalOrgID"]
    if "SourceArn" in req:
        conditions["ArnLike"] = {"AWS:SourceArn": req["SourceArn"]}
    if "FunctionUrlAuthType" in req:
        if req["Action"] != "lambda:InvokeFunctionUrl":
            raise invalid("FunctionUrlAuthType is only supported for lambda:InvokeFunctionUrl action")
        conditions.setdefault("StringEquals", {})["lambda:FunctionUrlAuthType"] = req["FunctionUrlAuthType"]
    if "InvokedViaFunctionUrl" in req:
        conditions["Bool"] = {"lambda:InvokedViaFunctionUrl": str(req["InvokedViaFunctionUrl"]).lower()}
    statement = {
        "Sid": req["StatementId"],
        "Effect": "Allow",
        "Principal": principal,
        "Action": req["Action"],
        "Resource": function_arn(named.scope, named.name, named.qualifier),
    }
    if conditions:
        statement["Condition"] = conditions
    return statement
