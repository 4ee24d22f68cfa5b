"""Two choices of a function: how recursive loops are answered, and when its runtime is updated.

https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html
https://docs.aws.amazon.com/lambda/latest/dg/runtimes-update.html
"""

from __future__ import annotations

from lakebed.api import lambda_ as api
from lakebed.kernel.errors import not_built
from lakebed.kernel.kernel import Kernel
from lakebed.ports.service import Context, operation
from lakebed.services.lambda_.names import LATEST, Reference, not_found, reference, resource
from lakebed.services.lambda_.store import FunctionRow, FunctionStore


class ChoiceOperations:
    """Recursion and runtime management."""

    def __init__(self, kernel: Kernel, store: FunctionStore) -> None:
        self.k, self.store = kernel, store

    @operation("PutFunctionRecursionConfig", resource=resource())
    async def put_function_recursion_config(
        self, ctx: Context, req: api.PutFunctionRecursionConfigRequest
    ) -> api.PutFunctionRecursionConfigResponse:
        """https://docs.aws.amazon.com/lambda/latest/api/API_PutFunctionRecursionConfig.html"""
        named = reference(ctx.scope, req["FunctionName"])
        with self.k.db.tx() as tx:
            row = self._row(named)
            self.store.put_choice(
                tx, named.scope, named.name, recursive_loop=req["RecursiveLoop"], runtime_update=row.runtime_update
            )
        return {"RecursiveLoop": req["RecursiveLoop"]}

    @operation("GetFunctionRecursionConfig", resource=resource())
    async def get_function_recursion_config(
        self, ctx: Context, req: api.GetFunctionRecursionConfigRequest
    ) -> api.GetFunctionRecursionConfigResponse:
        """https://docs.aws.amazon.com/lambda/latest/api/API_GetFunctionRecursionConfig.html"""
        return {"RecursiveLoop": self._row(reference(ctx.scope, req["FunctionName"])).recursive_loop}

    @operation("PutRuntimeManagementConfig", resource=resource(qualified=True), refused=("RuntimeVersionArn",))
    async def put_runtime_management_config(
        self, ctx: Context, req: api.PutRuntimeManagementConfigRequest
    ) -> api.PutRuntimeManagementConfigResponse:
        """https://docs.aws.amazon.com/lambda/latest/api/API_PutRuntimeManagementConfig.html"""
        named, wanted = reference(ctx.scope, req["FunctionName"], req.get("Qualifier")), req["UpdateRuntimeOn"]
        if wanted == "Manual":
            raise not_built("lambda", "PutRuntimeManagementConfig", "UpdateRuntimeOn Manual")
        if named.qualifier not in (None, LATEST):
            raise not_built("lambda", "PutRuntimeManagementConfig", "Qualifier of a version")
        with self.k.db.tx() as tx:
            row = self._row(named)
            self.store.put_choice(tx, named.scope, named.name, recursive_loop=row.recursive_loop, runtime_update=wanted)
        return {"UpdateRuntimeOn": wanted, "FunctionArn": named.arn}

    @operation("GetRuntimeManagementConfig", resource=resource(qualified=True))
    async def get_runtime_management_config(
        self, ctx: Context, req: api.GetRuntimeManagementConfigRequest
    ) -> api.GetRuntimeManagementConfigResponse:
        """https://docs.aws.amazon.com/lambda/latest/api/API_GetRuntimeManagementConfig.html"""
        named = reference(ctx.scope, req["FunctionName"], req.get("Qualifier"))
        return {"UpdateRuntimeOn": self._row(named).runtime_update, "FunctionArn": named.arn}

    def _row(self, named: Reference) -> FunctionRow:
        row = self.store.function(named.scope, named.name)
        if row is None:
            raise not_found(named.arn)
        return row
