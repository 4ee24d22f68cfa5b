"""Versions and aliases.

https://docs.aws.amazon.com/lambda/latest/dg/configuration-aliases.html
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from lakebed.api import lambda_ as api
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Scope
from lakebed.ports.service import Context, operation
from lakebed.services.lambda_ import model, pages
from lakebed.services.lambda_.model import FunctionVersion, invalid
from lakebed.services.lambda_.names import LATEST, Reference, function_arn, not_found, reference, resource
from lakebed.services.lambda_.publishing import publish
from lakebed.services.lambda_.store import Alias, FunctionStore
from lakebed.services.lambda_.warming import TASK as WARMING


class VersionOperations:
    """PublishVersion, ListVersionsByFunction, and the operations on aliases."""

    def __init__(self, kernel: Kernel, store: FunctionStore) -> None:
        self.k, self.store = kernel, store

    @operation("PublishVersion", resource=resource(), refused=("PublishTo",))
    async def publish_version(self, ctx: Context, req: api.PublishVersionRequest) -> api.FunctionConfiguration:
        """https://docs.aws.amazon.com/lambda/latest/api/API_PublishVersion.html"""
        named = reference(ctx.scope, req["FunctionName"])
        with self.k.db.tx() as tx:
            latest = self._require(named, LATEST)
            model.check_revision(latest.revision, req.get("RevisionId"))
            if req.get("CodeSha256", latest.code_sha256) != latest.code_sha256:
                raise invalid(
                    f"CodeSHA256 ({req['CodeSha256']}) is different from current CodeSHA256 in $LATEST "
                    f"({latest.code_sha256}). Please try again with the CodeSHA256 in $LATEST."
                )
            made = publish(tx, self.store, named.scope, latest, self.k.ids.uuid(), req.get("Description", ""))
        return model.configuration(named.scope, made)

    @operation("ListVersionsByFunction", resource=resource())
    async def list_versions_by_function(
        self, ctx: Context, req: api.ListVersionsByFunctionRequest
    ) -> api.ListVersionsByFunctionResponse:
        """https://docs.aws.amazon.com/lambda/latest/api/API_ListVersionsByFunction.html"""
        named = reference(ctx.scope, req["FunctionName"])
        self._require(named, LATEST)
        size, after = min(req.get("MaxItems", 50), 50), pages.opened(req.get("Marker"))
        found = self.store.versions(named.scope, named.name, int(after) if after.isdigit() else -1, size + 1)
        told: api.ListVersionsByFunctionResponse = {
            "Versions": [model.configuration(named.scope, one, qualified=True) for one in found[:size]]
        }
        if len(found) > size:
            last = found[size - 1].version
            told["NextMarker"] = pages.sealed("0" if last == LATEST else last)
        return told

    @operation("CreateAlias", resource=resource())
    async def create_alias(self, ctx: Context, req: api.CreateAliasRequest) -> api.AliasConfiguration:
        """https://docs.aws.amazon.com/lambda/latest/api/API_CreateAlias.html"""
        named = reference(ctx.scope, req["FunctionName"])
        weights = req.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})
        with self.k.db.tx() as tx:
            self._require(named, LATEST)
            if self.store.alias(named.scope, named.name, req["Name"]) is not None:
                arn = function_arn(named.scope, named.name, req["Name"])
                raise api.ResourceConflictException(f"Alias already exists: {arn}", members={"Type": "User"})
            self._check_versions(named, req["FunctionVersion"], weights)
            alias = Alias(
                named.name,
                req["Name"],
                req["FunctionVersion"],
                req.get("Description", ""),
                dict(weights),
                self.k.ids.uuid(),
            )
            self.store.put_alias(tx, named.scope, alias)
            tx.after_commit(lambda: self.k.tasks.poke(WARMING))
        return _told(named.scope, alias)

    @operation("UpdateAlias", resource=resource())
    async def update_alias(self, ctx: Context, req: api.UpdateAliasRequest) -> api.AliasConfiguration:
        """https://docs.aws.amazon.com/lambda/latest/api/API_UpdateAlias.html"""
        named = reference(ctx.scope, req["FunctionName"])
        with self.k.db.tx() as tx:
            old = self._alias(named, req["Name"])
            model.check_revision(old.revision, req.get("RevisionId"))
            version = req.get("FunctionVersion", old.version)
            weights = (
                dict(req["RoutingConfig"].get("AdditionalVersionWeights", {}))
                if "RoutingConfig" in req
                else old.weights
            )
            self._check_versions(named, version, weights)
            alias = msgspec.structs.replace(
                old,
                version=version,
                weights=weights,
                description=req.get("Description", old.description),
                revision=self.k.ids.uuid(),
            )
            self.store.put_alias(tx, named.scope, alias)
            tx.after_commit(lambda: self.k.tasks.poke(WARMING))
        return _told(named.scope, alias)

    @operation("GetAlias", resource=resource())
    async def get_alias(self, ctx: Context, req: api.GetAliasRequest) -> api.AliasConfiguration:
        """https://docs.aws.amazon.com/lambda/latest/api/API_GetAlias.html"""
        named = reference(ctx.scope, req["FunctionName"])
        return _told(named.scope, self._alias(named, req["Name"]))

    @operation("DeleteAlias", resource=resource())
    async def delete_alias(self, ctx: Context, req: api.DeleteAliasRequest) -> None:
        """https://docs.aws.amazon.com/lambda/latest/api/API_DeleteAlias.html (deleting an absent alias is no error)"""
        named = reference(ctx.scope, req["FunctionName"])
        with self.k.db.tx() as tx:
            self._require(named, LATEST)
            self.store.delete_alias(tx, named.scope, named.name, req["Name"])

    @operation("ListAliases", resource=resource())
    async def list_aliases(self, ctx: Context, req: api.ListAliasesRequest) -> api.ListAliasesResponse:
        """https://docs.aws.amazon.com/lambda/latest/api/API_ListAliases.html"""
        named = reference(ctx.scope, req["FunctionName"])
        self._require(named, LATEST)
        size, after = min(req.get("MaxItems", 50), 50), pages.opened(req.get("Marker"))
        found = self.store.aliases(named.scope, named.name, after, 10_000)
        if wanted := req.get("FunctionVersion"):
            found = [one for one in found if wanted == one.version or wanted in one.weights]
        told: api.ListAliasesResponse = {"Aliases": [_told(named.scope, one) for one in found[:size]]}
        if len(found) > size:
            told["NextMarker"] = pages.sealed(found[size - 1].name)
        return told

    def _check_versions(self, named: Reference, version: str, weights: Mapping[str, float]) -> None:
        self._require(named, version)
        if not weights:
            return
        if len(weights) > 1:
            raise invalid("Number of items in AdditionalVersionWeights cannot be greater than 1.")
        [(other, weight)] = weights.items()
        if version == LATEST or other == LATEST:
            raise invalid("$LATEST is not supported for an alias pointing to more than 1 version.")
        if other == version:
            raise invalid(
                f"Invalid function version {other}. Function version {other} is already included in routing configuration."
            )
        if not 0.0 <= weight <= 1.0:
            raise invalid("A weight lies between 0.0 and 1.0.")
        self._require(named, other)

    def _require(self, named: Reference, version: str) -> FunctionVersion:
        found = self.store.version(named.scope, named.name, version)
        if found is None:
            raise not_found(function_arn(named.scope, named.name, None if version == LATEST else version))
        return found

    def _alias(self, named: Reference, name: str) -> Alias:
        self._require(named, LATEST)
        alias = self.store.alias(named.scope, named.name, name)
        if alias is None:
            arn = function_arn(named.scope, named.name, name)
            raise api.ResourceNotFoundException(f"Cannot find alias arn: {arn}", members={"Type": "User"})
        return alias


def _told(scope: Scope, alias: Alias) -> api.AliasConfiguration:
    told: api.AliasConfiguration = {
        "AliasArn": function_arn(scope, alias.function, alias.name),
        "Name": alias.name,
        "FunctionVersion": alias.version,
        "Description": alias.description,
        "RevisionId": alias.revision,
    }
    if alias.weights:
        told["RoutingConfig"] = {"AdditionalVersionWeights": alias.weights}
    return told
