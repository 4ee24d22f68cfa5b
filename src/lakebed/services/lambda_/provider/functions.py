"""Functions: create, read, change, delete.

A function is Active at once: its package is unpacked before CreateFunction answers. Every change gives ``$LATEST`` a new
revision, which retires the workers of the old one.

https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import msgspec

from lakebed.api import lambda_ as api
from lakebed.kernel.kernel import Kernel
from lakebed.ports.house import Ports
from lakebed.ports.service import Context, operation
from lakebed.services.lambda_ import environment, layers, model, pages
from lakebed.services.lambda_.invoking import SERVICE, Invoker
from lakebed.services.lambda_.model import FunctionVersion, LayerUse, invalid
from lakebed.services.lambda_.names import LATEST, Reference, function_arn, not_found, reference, resource
from lakebed.services.lambda_.packages import Packages
from lakebed.services.lambda_.provider.layers import LayerOperations
from lakebed.services.lambda_.publishing import publish
from lakebed.services.lambda_.store import FunctionStore

_REFUSED = (
    "PublishTo",
    "TenancyConfig",
    "CapacityProviderConfig",
    "DurableConfig",
    "RuntimeConfig",
    "AcceleratorConfig",
)


class FunctionOperations:
    """CreateFunction to DeleteFunction."""

    def __init__(
        self, kernel: Kernel, ports: Ports, invoker: Invoker, packages: Packages, layer_operations: LayerOperations
    ) -> None:
        self.k, self.p, self.invoker = kernel, ports, invoker
        self.packages, self.layers = packages, layer_operations
        self.store: FunctionStore = invoker.store

    @operation("CreateFunction", resource=resource(), refused=_REFUSED)
    async def create_function(self, ctx: Context, req: api.CreateFunctionRequest) -> api.FunctionConfiguration:
        """https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html"""
        named = reference(ctx.scope, req["FunctionName"])
        if named.qualifier is not None or named.scope != ctx.scope:
            raise invalid(f"Invalid function name: {req['FunctionName']}")
        model.refuse_absent("CreateFunction", req)
        model.check_limits(req)
        runtime = model.check_runtime("CreateFunction", req.get("Runtime"), self.p.runtime.can)
        if "Handler" not in req:
            raise invalid("Handler is mandatory for functions created with deployment packages.")
        tags = model.tags_checked(req.get("Tags", {}))
        self.p.identity.check_pass_role(ctx.principal, req["Role"], SERVICE)
        self._require_absent(named)
        changed = {**model.changes(req), **self._layers(ctx, req)}
        code = await self.packages.take(ctx, "CreateFunction", cast(dict[str, Any], req["Code"]))
        first = FunctionVersion(
            name=named.name,
            version=LATEST,
            runtime=runtime,
            role=req["Role"],
            handler=req["Handler"],
            description="",
            timeout=3,
            memory=128,
            environment={},
            code_sha256=code.sha256,
            code_hex=code.hex,
            code_size=code.size,
            modified=ctx.now,
            revision=self.k.ids.uuid(),
            unzipped=code.unzipped,
        )
        first = self._checked(ctx, msgspec.structs.replace(first, **changed), req)
        with self.k.db.tx() as tx:
            self._require_absent(named)
            self.store.add(tx, ctx.scope, first, tags)
            if req.get("Publish"):
                made = publish(tx, self.store, ctx.scope, first, self.k.ids.uuid())
                return self._told(ctx, Reference(ctx.scope, made.name, made.version), made)
        return self._told(ctx, named, first)

    @operation("GetFunction", resource=resource(qualified=True))
    async def get_function(self, ctx: Context, req: api.GetFunctionRequest) -> api.GetFunctionResponse:
        """https://docs.aws.amazon.com/lambda/latest/api/API_GetFunction.html"""
        named = reference(ctx.scope, req["FunctionName"], req.get("Qualifier"))
        version = self._version(named)
        row = self.store.function(named.scope, named.name)
        told: api.GetFunctionResponse = {
            "Configuration": self._told(ctx, named, version),
            "Code": {"RepositoryType": "S3", "Location": self.packages.link(ctx.endpoint, version.code_hex)},
        }
        if row and row.tags:
            told["Tags"] = row.tags
        if row and row.reserved_concurrency is not None:
            told["Concurrency"] = {"ReservedConcurrentExecutions": row.reserved_concurrency}
        return told

    @operation("GetFunctionConfiguration", resource=resource(qualified=True))
    async def get_function_configuration(
        self, ctx: Context, req: api.GetFunctionConfigurationRequest
    ) -> api.FunctionConfiguration:
        """https://docs.aws.amazon.com/lambda/latest/api/API_GetFunctionConfiguration.html"""
        named = reference(ctx.scope, req["FunctionName"], req.get("Qualifier"))
        return self._told(ctx, named, self._version(named))

    @operation("ListFunctions", refused=("MasterRegion",))
    async def list_functions(self, ctx: Context, req: api.ListFunctionsRequest) -> api.ListFunctionsResponse:
        """https://docs.aws.amazon.com/lambda/latest/api/API_ListFunctions.html"""
        size = min(req.get("MaxItems", 50), 50)
        after = pages.opened(req.get("Marker"))
        if req.get("FunctionVersion") == "ALL":
            name, _, number = after.rpartition(":")
            found = self.store.every_version(ctx.scope, (name, int(number) if number.isdigit() else -1), size + 1)
            marks = [f"{one.name}:{0 if one.version == LATEST else one.version}" for one in found]
        else:
            found = self.store.latest_of_all(ctx.scope, after, size + 1)
            marks = [one.name for one in found]
        told: api.ListFunctionsResponse = {
            "Functions": [
                model.configuration(ctx.scope, one, qualified="FunctionVersion" in req) for one in found[:size]
            ]
        }
        if len(found) > size:
            told["NextMarker"] = pages.sealed(marks[size - 1])
        return told

    @operation("UpdateFunctionCode", resource=resource(), refused=("ImageUri", "SourceKMSKeyArn", "PublishTo"))
    async def update_function_code(self, ctx: Context, req: api.UpdateFunctionCodeRequest) -> api.FunctionConfiguration:
        """https://docs.aws.amazon.com/lambda/latest/api/API_UpdateFunctionCode.html"""
        named = self._unqualified(ctx, req["FunctionName"])
        model.check_revision(self._version(named).revision, req.get("RevisionId"))
        code = await self.packages.take(ctx, "UpdateFunctionCode", cast(dict[str, Any], req))
        changed = {
            "code_sha256": code.sha256, "code_hex": code.hex, "code_size": code.size, "unzipped": code.unzipped,
            **model.changes(req),
        }  # fmt: skip
        layers.check_size(code.unzipped, self._version(named).layers)
        if req.get("DryRun"):
            return self._told(ctx, named, msgspec.structs.replace(self._version(named), **changed))
        return await self._change(ctx, named, req, changed)

    @operation(
        "UpdateFunctionConfiguration",
        resource=resource(),
        refused=("CapacityProviderConfig", "DurableConfig", "RuntimeConfig", "AcceleratorConfig"),
    )
    async def update_function_configuration(
        self, ctx: Context, req: api.UpdateFunctionConfigurationRequest
    ) -> api.FunctionConfiguration:
        """https://docs.aws.amazon.com/lambda/latest/api/API_UpdateFunctionConfiguration.html"""
        named = self._unqualified(ctx, req["FunctionName"])
        self._version(named)
        model.refuse_absent("UpdateFunctionConfiguration", req)
        model.check_limits(req)
        if "Runtime" in req:
            model.check_runtime("UpdateFunctionConfiguration", req["Runtime"], self.p.runtime.can)
        if "Role" in req:
            self.p.identity.check_pass_role(ctx.principal, req["Role"], SERVICE)
        return await self._change(ctx, named, req, {**model.changes(req), **self._layers(ctx, req)})

    @operation("DeleteFunction", resource=resource(qualified=True))
    async def delete_function(self, ctx: Context, req: api.DeleteFunctionRequest) -> api.DeleteFunctionResponse:
        """https://docs.aws.amazon.com/lambda/latest/api/API_DeleteFunction.html"""
        named = reference(ctx.scope, req["FunctionName"], req.get("Qualifier"))
        if named.qualifier == LATEST:
            raise invalid("$LATEST version cannot be deleted without deleting the function.")
        self._version(named)
        gone = [self._version(named)] if named.qualifier else self.store.versions(named.scope, named.name, -1, 100_000)
        if named.qualifier and self._used_by_alias(named):
            raise api.ResourceConflictException(
                f"Version {named.qualifier} is used by an alias.", members={"Type": "User"}
            )
        with self.k.db.tx() as tx:
            if named.qualifier:
                self.store.delete_version(tx, named.scope, named.name, named.qualifier)
            else:
                self.store.delete_function(tx, named.scope, named.name)
        for version in gone:
            await self._forget(named, version)
        return {"StatusCode": 204}

    @operation("GetFunctionCodeSigningConfig", resource=resource())
    async def get_function_code_signing_config(
        self, ctx: Context, req: api.GetFunctionCodeSigningConfigRequest
    ) -> api.GetFunctionCodeSigningConfigResponse:
        """https://docs.aws.amazon.com/lambda/latest/api/API_GetFunctionCodeSigningConfig.html (never one; Terraform asks)"""
        named = self._unqualified(ctx, req["FunctionName"])
        self._version(named)
        return {"CodeSigningConfigArn": "", "FunctionName": named.name}

    async def _change(
        self, ctx: Context, named: Reference, req: Mapping[str, Any], changed: dict[str, Any]
    ) -> api.FunctionConfiguration:
        old = self._version(named)
        model.check_revision(old.revision, req.get("RevisionId"))
        new = msgspec.structs.replace(old, **changed, modified=ctx.now, revision=self.k.ids.uuid())
        new = self._checked(ctx, new, req)
        with self.k.db.tx() as tx:
            self.store.put_version(tx, named.scope, new)
            told = publish(tx, self.store, named.scope, new, self.k.ids.uuid()) if req.get("Publish") else new
        await self._forget(named, old)
        return self._told(ctx, Reference(named.scope, named.name, told.version if told is not new else None), told)

    async def _forget(self, named: Reference, version: FunctionVersion) -> None:
        await self.invoker.retire(named.scope, version)
        for code_hex in {version.code_hex, *(layer.code_hex for layer in version.layers)}:
            await self.packages.forget(code_hex)

    def _layers(self, ctx: Context, req: Mapping[str, Any]) -> dict[str, Any]:
        """The layers a request sets: each there, and the caller's to use."""
        if "Layers" not in req:
            return {}
        named = layers.check_list(req["Layers"], ctx.scope)
        found = [(one, self.layers.resolve(ctx, one)) for one in named]
        uses = [LayerUse(one.arn, layer.code_hex, layer.code_size, layer.unzipped) for one, layer in found]
        return {"layers": tuple(uses)}

    def _checked(self, ctx: Context, version: FunctionVersion, req: Mapping[str, Any]) -> FunctionVersion:
        """What holds for the whole of a function, and its variables sealed where a key is named."""
        layers.check_size(version.unzipped, version.layers)
        model.check_logging(version.log_json, req)
        return environment.sealed(self.p, ctx, version, req)

    def _told(self, ctx: Context, named: Reference, version: FunctionVersion) -> api.FunctionConfiguration:
        """The configuration with the ARN as it was asked for, and the variables where the caller may decrypt them."""
        told = model.configuration(named.scope, version)
        told["FunctionArn"] = function_arn(named.scope, named.name, named.qualifier)
        if version.sealed:
            told["Environment"] = environment.told(self.p, ctx, version)
        return told

    def _require_absent(self, named: Reference) -> None:
        if self.store.function(named.scope, named.name) is not None:
            raise api.ResourceConflictException(f"Function already exist: {named.name}", members={"Type": "User"})

    def _unqualified(self, ctx: Context, name: str) -> Reference:
        named = reference(ctx.scope, name)
        if named.qualifier not in (None, LATEST):
            raise invalid("This operation is permitted on Lambda functions only, not on their versions or aliases.")
        return Reference(named.scope, named.name, None)

    def _used_by_alias(self, named: Reference) -> bool:
        aliases = self.store.aliases(named.scope, named.name, "", 100_000)
        return any(named.qualifier == alias.version or named.qualifier in alias.weights for alias in aliases)

    def _version(self, named: Reference) -> FunctionVersion:
        """The version named; an alias shows the version it points to, without drawing."""
        qualifier = named.qualifier or LATEST
        if qualifier != LATEST and not qualifier.isdigit():
            alias = self.store.alias(named.scope, named.name, qualifier)
            if alias is None:
                raise not_found(named.arn)
            qualifier = alias.version
        found = self.store.version(named.scope, named.name, qualifier)
        if found is None:
            raise not_found(named.arn)
        return found
