"""Layers: publish, read, list, delete, and who else may use them.

https://docs.aws.amazon.com/lambda/latest/api/API_PublishLayerVersion.html
https://docs.aws.amazon.com/lambda/latest/dg/access-control-resource-based.html (layer permissions)
"""

from __future__ import annotations

import json
from typing import Any, cast

import msgspec

from lakebed.api import lambda_ as api
from lakebed.kernel.arn import parse
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Scope
from lakebed.ports.house import Ports
from lakebed.ports.service import Context, Request, operation
from lakebed.services.lambda_ import layers, pages
from lakebed.services.lambda_.layer_store import LayerStore
from lakebed.services.lambda_.layers import LayerName, LayerVersion, layer_arn, layer_name
from lakebed.services.lambda_.model import check_revision, invalid
from lakebed.services.lambda_.packages import Packages

_POLICY_BYTES_MAX = 20_480
_VERSION_LAST = 1 << 62


def _layer(scope: Scope, request: Request) -> str:
    return layer_arn(*_own(scope, request["LayerName"])[:2])


def _version(scope: Scope, request: Request) -> str:
    return layer_name(scope, request["LayerName"], request["VersionNumber"]).arn


class LayerOperations:
    """PublishLayerVersion to GetLayerVersionPolicy."""

    def __init__(self, kernel: Kernel, ports: Ports, store: LayerStore, packages: Packages) -> None:
        self.k, self.p, self.store, self.packages = kernel, ports, store, packages

    @operation("PublishLayerVersion", resource=_layer)
    async def publish_layer_version(
        self, ctx: Context, req: api.PublishLayerVersionRequest
    ) -> api.PublishLayerVersionResponse:
        """https://docs.aws.amazon.com/lambda/latest/api/API_PublishLayerVersion.html"""
        named = _own(ctx.scope, req["LayerName"])
        code = await self.packages.take(ctx, "PublishLayerVersion", cast(dict[str, Any], req["Content"]))
        with self.k.db.tx() as tx:
            layer = LayerVersion(
                name=named.name,
                version=self.store.next_version(ctx.scope, named.name),
                code_hex=code.hex,
                code_sha256=code.sha256,
                code_size=code.size,
                unzipped=code.unzipped,
                created=ctx.now,
                description=req.get("Description", ""),
                runtimes=tuple(req.get("CompatibleRuntimes", ())),
                architectures=tuple(req.get("CompatibleArchitectures", ())),
                license=req.get("LicenseInfo", ""),
            )
            self.store.put(tx, ctx.scope, layer)
        return cast(api.PublishLayerVersionResponse, self._whole(ctx, ctx.scope, layer))

    @operation("GetLayerVersion", action=None, resource=_version)
    async def get_layer_version(self, ctx: Context, req: api.GetLayerVersionRequest) -> api.GetLayerVersionResponse:
        """https://docs.aws.amazon.com/lambda/latest/api/API_GetLayerVersion.html"""
        return self._get(ctx, layer_name(ctx.scope, req["LayerName"], req["VersionNumber"]))

    @operation("GetLayerVersionByArn", action=None)
    async def get_layer_version_by_arn(
        self, ctx: Context, req: api.GetLayerVersionByArnRequest
    ) -> api.GetLayerVersionResponse:
        """https://docs.aws.amazon.com/lambda/latest/api/API_GetLayerVersionByArn.html"""
        return self._get(ctx, layer_name(ctx.scope, req["Arn"]))

    @operation("ListLayerVersions", resource=_layer)
    async def list_layer_versions(
        self, ctx: Context, req: api.ListLayerVersionsRequest
    ) -> api.ListLayerVersionsResponse:
        """https://docs.aws.amazon.com/lambda/latest/api/API_ListLayerVersions.html"""
        named, size = _own(ctx.scope, req["LayerName"]), min(req.get("MaxItems", 50), 50)
        after = pages.opened(req.get("Marker"))
        below = int(after) if after.isdigit() else _VERSION_LAST
        found = self.store.versions(ctx.scope, named.name, below, size + 1)
        told: api.ListLayerVersionsResponse = {
            "LayerVersions": [layers.told(ctx.scope, one) for one in found[:size] if layers.matches(one, req)]
        }
        if len(found) > size:
            told["NextMarker"] = pages.sealed(str(found[size - 1].version))
        return told

    @operation("ListLayers")
    async def list_layers(self, ctx: Context, req: api.ListLayersRequest) -> api.ListLayersResponse:
        """https://docs.aws.amazon.com/lambda/latest/api/API_ListLayers.html"""
        size = min(req.get("MaxItems", 50), 50)
        names = self.store.names(ctx.scope, pages.opened(req.get("Marker")), size + 1)
        found: list[api.LayersListItem] = []
        for name in names[:size]:
            versions = self.store.versions(ctx.scope, name, _VERSION_LAST, 1000)
            newest = next((one for one in versions if layers.matches(one, req)), None)
            if newest is not None:
                item: api.LayersListItem = {"LayerName": name, "LayerArn": layer_arn(ctx.scope, name)}
                found.append({**item, "LatestMatchingVersion": layers.told(ctx.scope, newest)})
        told: api.ListLayersResponse = {"Layers": found}
        if len(names) > size:
            told["NextMarker"] = pages.sealed(names[size - 1])
        return told

    @operation("DeleteLayerVersion", resource=_version)
    async def delete_layer_version(self, ctx: Context, req: api.DeleteLayerVersionRequest) -> None:
        """https://docs.aws.amazon.com/lambda/latest/api/API_DeleteLayerVersion.html (an absent one is no error)"""
        named = _own(ctx.scope, req["LayerName"], req["VersionNumber"])
        layer = self.store.get(named)
        if layer is None:
            return
        with self.k.db.tx() as tx:
            self.store.delete(tx, named)
        await self.packages.forget(layer.code_hex)

    @operation("AddLayerVersionPermission", resource=_version)
    async def add_layer_version_permission(
        self, ctx: Context, req: api.AddLayerVersionPermissionRequest
    ) -> api.AddLayerVersionPermissionResponse:
        """https://docs.aws.amazon.com/lambda/latest/api/API_AddLayerVersionPermission.html"""
        named = _own(ctx.scope, req["LayerName"], req["VersionNumber"])
        if req["Action"] != "lambda:GetLayerVersion":
            raise invalid(f"Unsupported action {req['Action']}: a layer's policy allows lambda:GetLayerVersion.")
        statement = _statement(req, named)
        with self.k.db.tx() as tx:
            layer = self._require(named)
            check_revision(layer.policy_revision, req.get("RevisionId"))
            if any(one["Sid"] == req["StatementId"] for one in layer.policy):
                raise api.ResourceConflictException(
                    f"The statement id ({req['StatementId']}) provided already exists. Please provide a new statement id, "
                    "or remove the existing statement.",
                    members={"Type": "User"},
                )
            revision = self.k.ids.uuid()
            layer = msgspec.structs.replace(layer, policy=(*layer.policy, statement), policy_revision=revision)
            if len(_policy(layer)) > _POLICY_BYTES_MAX:
                raise api.PolicyLengthExceededException(
                    f"The final policy size ({len(_policy(layer))}) is bigger than the limit ({_POLICY_BYTES_MAX}).",
                    members={"Type": "User"},
                )
            self.store.put(tx, ctx.scope, layer)
        return {"Statement": json.dumps(statement), "RevisionId": revision}

    @operation("RemoveLayerVersionPermission", resource=_version)
    async def remove_layer_version_permission(self, ctx: Context, req: api.RemoveLayerVersionPermissionRequest) -> None:
        """https://docs.aws.amazon.com/lambda/latest/api/API_RemoveLayerVersionPermission.html"""
        named = _own(ctx.scope, req["LayerName"], req["VersionNumber"])
        with self.k.db.tx() as tx:
            layer = self._require(named)
            check_revision(layer.policy_revision, req.get("RevisionId"))
            kept = tuple(one for one in layer.policy if one["Sid"] != req["StatementId"])
            if len(kept) == len(layer.policy):
                raise api.ResourceNotFoundException(
                    f"Statement {req['StatementId']} is not found in resource policy.", members={"Type": "User"}
                )
            revision = self.k.ids.uuid() if kept else ""
            self.store.put(tx, ctx.scope, msgspec.structs.replace(layer, policy=kept, policy_revision=revision))

    @operation("GetLayerVersionPolicy", resource=_version)
    async def get_layer_version_policy(
        self, ctx: Context, req: api.GetLayerVersionPolicyRequest
    ) -> api.GetLayerVersionPolicyResponse:
        """https://docs.aws.amazon.com/lambda/latest/api/API_GetLayerVersionPolicy.html"""
        layer = self._require(_own(ctx.scope, req["LayerName"], req["VersionNumber"]))
        if not layer.policy:
            raise api.ResourceNotFoundException(
                "No policy is associated with the given resource.", members={"Type": "User"}
            )
        return {"Policy": _policy(layer), "RevisionId": layer.policy_revision}

    def resolve(self, ctx: Context, named: LayerName) -> LayerVersion:
        """A version the caller may use."""
        layer = self.store.get(named)
        self.p.identity.authorise(
            ctx.principal,
            "lambda:GetLayerVersion",
            named.arn,
            resource_policy=_policy(layer) if layer is not None and layer.policy else None,
            resource_account=named.scope.account,
        )
        if layer is None:
            raise layers.not_found(named)
        return layer

    def _get(self, ctx: Context, named: LayerName) -> api.GetLayerVersionResponse:
        if not named.version:
            raise invalid(f"Layer version ARN is not valid: {named.arn}")
        if named.scope.region != ctx.scope.region:
            raise _absent()
        try:
            layer = self.resolve(ctx, named)
        except api.InvalidParameterValueException:
            raise _absent() from None
        return cast(api.GetLayerVersionResponse, self._whole(ctx, named.scope, layer))

    def _whole(self, ctx: Context, scope: Scope, layer: LayerVersion) -> dict[str, Any]:
        content: api.LayerVersionContentOutput = {
            "Location": self.packages.link(ctx.endpoint, layer.code_hex),
            "CodeSha256": layer.code_sha256,
            "CodeSize": layer.code_size,
        }
        return {"Content": content, "LayerArn": layer_arn(scope, layer.name), **layers.told(scope, layer)}

    def _require(self, named: LayerName) -> LayerVersion:
        layer = self.store.get(named)
        if layer is None:
            raise _absent()
        return layer


def _own(scope: Scope, text: str, version: int = 0) -> LayerName:
    named = layer_name(scope, text, version)
    if named.scope != scope:
        raise _absent()
    return named


def _absent() -> api.ResourceNotFoundException:
    return api.ResourceNotFoundException("The resource you requested does not exist.", members={"Type": "User"})


def _policy(layer: LayerVersion) -> str:
    return json.dumps({"Version": "2012-10-17", "Id": "default", "Statement": list(layer.policy)})


def _statement(req: api.AddLayerVersionPermissionRequest, named: LayerName) -> dict[str, Any]:
    given = req["Principal"]
    principal: Any = "*"
    if given != "*":
        arn = given if parse(given) else f"arn:{named.scope.partition}:iam::{given}:root"
        principal = {"AWS": arn}
    statement = {
        "Sid": req["StatementId"],
        "Effect": "Allow",
        "Principal": principal,
        "Action": req["Action"],
        "Resource": named.arn,
    }
    if "OrganizationId" in req:
        if given != "*":
            raise invalid("OrganizationId requires the principal *.")
        statement["Condition"] = {"StringEquals": {"aws:PrincipalOrgID": req["OrganizationId"]}}
    return statement
