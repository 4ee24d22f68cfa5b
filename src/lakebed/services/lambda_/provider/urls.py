"""Function URLs: create, read, change, list, delete.

https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunctionUrlConfig.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import msgspec

from lakebed.api import lambda_ as api
from lakebed.kernel.kernel import Kernel
from lakebed.ports.service import Context, operation
from lakebed.services.lambda_ import pages, urls
from lakebed.services.lambda_.invoking import Invoker
from lakebed.services.lambda_.model import invalid
from lakebed.services.lambda_.names import LATEST, Reference, function_arn, not_found, reference, resource
from lakebed.services.lambda_.url_store import UrlStore
from lakebed.services.lambda_.urls import UrlConfig
from lakebed.wire.aws.scalars import write_iso_millis


class UrlOperations:
    """CreateFunctionUrlConfig to ListFunctionUrlConfigs."""

    def __init__(self, kernel: Kernel, invoker: Invoker, store: UrlStore) -> None:
        self.k, self.functions, self.store = kernel, invoker.store, store
        self._suffix = invoker.settings.url_suffix

    @operation("CreateFunctionUrlConfig", resource=resource(qualified=True))
    async def create_function_url_config(
        self, ctx: Context, req: api.CreateFunctionUrlConfigRequest
    ) -> api.CreateFunctionUrlConfigResponse:
        """https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunctionUrlConfig.html"""
        named = self._named(ctx, req)
        config = UrlConfig(
            id=self.k.ids.uuid().replace("-", ""),
            auth=req["AuthType"],
            created=ctx.now,
            modified=ctx.now,
            mode=req.get("InvokeMode", "BUFFERED"),
            cors=urls.check_cors(req["Cors"]) if "Cors" in req else None,
        )
        with self.k.db.tx() as tx:
            if self.store.get(named) is not None:
                raise api.ResourceConflictException(
                    f"Failed to create function url config for [functionArn = {named.arn}]. Error message:  "
                    "FunctionUrlConfig exists for this Lambda function",
                    members={"Type": "User"},
                )
            self.store.put(tx, named, config)
        told = self._told(ctx, named, config)
        told.pop("LastModifiedTime")
        return cast(api.CreateFunctionUrlConfigResponse, told)

    @operation("GetFunctionUrlConfig", resource=resource(qualified=True))
    async def get_function_url_config(
        self, ctx: Context, req: api.GetFunctionUrlConfigRequest
    ) -> api.GetFunctionUrlConfigResponse:
        """https://docs.aws.amazon.com/lambda/latest/api/API_GetFunctionUrlConfig.html"""
        named = self._named(ctx, req)
        return cast(api.GetFunctionUrlConfigResponse, self._told(ctx, named, self._require(named)))

    @operation("UpdateFunctionUrlConfig", resource=resource(qualified=True))
    async def update_function_url_config(
        self, ctx: Context, req: api.UpdateFunctionUrlConfigRequest
    ) -> api.UpdateFunctionUrlConfigResponse:
        """https://docs.aws.amazon.com/lambda/latest/api/API_UpdateFunctionUrlConfig.html"""
        named = self._named(ctx, req)
        with self.k.db.tx() as tx:
            old = self._require(named)
            config = msgspec.structs.replace(
                old,
                auth=req.get("AuthType", old.auth),
                mode=req.get("InvokeMode", old.mode),
                cors=urls.check_cors(req["Cors"]) if "Cors" in req else old.cors,
                modified=ctx.now,
            )
            self.store.put(tx, named, config)
        return cast(api.UpdateFunctionUrlConfigResponse, self._told(ctx, named, config))

    @operation("DeleteFunctionUrlConfig", resource=resource(qualified=True))
    async def delete_function_url_config(self, ctx: Context, req: api.DeleteFunctionUrlConfigRequest) -> None:
        """https://docs.aws.amazon.com/lambda/latest/api/API_DeleteFunctionUrlConfig.html"""
        named = self._named(ctx, req)
        with self.k.db.tx() as tx:
            self._require(named)
            self.store.delete(tx, named)

    @operation("ListFunctionUrlConfigs", resource=resource())
    async def list_function_url_configs(
        self, ctx: Context, req: api.ListFunctionUrlConfigsRequest
    ) -> api.ListFunctionUrlConfigsResponse:
        """https://docs.aws.amazon.com/lambda/latest/api/API_ListFunctionUrlConfigs.html"""
        named = self._named(ctx, req)
        size, mark = min(req.get("MaxItems", 50), 50), pages.opened(req.get("Marker"))
        # The function's own URL has the empty qualifier, so a mark carries one character more.
        found = [one for one in self.store.some(named, "", 10_000) if f"-{one[0]}" > mark]
        if not mark and (own := self.store.get(Reference(named.scope, named.name, None))) is not None:
            found = [("", own), *found]
        told: api.ListFunctionUrlConfigsResponse = {
            "FunctionUrlConfigs": [
                cast(
                    api.FunctionUrlConfig,
                    self._told(ctx, Reference(named.scope, named.name, qualifier or None), config),
                )
                for qualifier, config in found[:size]
            ]
        }
        if len(found) > size:
            told["NextMarker"] = pages.sealed(f"-{found[size - 1][0]}")
        return told

    def _named(self, ctx: Context, req: Mapping[str, Any]) -> Reference:
        """The function or one of its aliases: versions and ``$LATEST`` have no URL."""
        named = reference(ctx.scope, req["FunctionName"], req.get("Qualifier"))
        if named.qualifier is not None and (named.qualifier == LATEST or named.qualifier.isdigit()):
            raise invalid("Function URLs are for functions and aliases: a version can not have one.")
        known = self.functions.function(named.scope, named.name) is not None
        if known and named.qualifier is not None:
            known = self.functions.alias(named.scope, named.name, named.qualifier) is not None
        if not known:
            raise not_found(named.arn)
        return named

    def _require(self, named: Reference) -> UrlConfig:
        config = self.store.get(named)
        if config is None:
            raise api.ResourceNotFoundException("The resource you requested does not exist.", members={"Type": "User"})
        return config

    def _told(self, ctx: Context, named: Reference, config: UrlConfig) -> dict[str, Any]:
        told: dict[str, Any] = {
            "FunctionUrl": self._url(ctx, config),
            "FunctionArn": function_arn(named.scope, named.name, named.qualifier),
            "AuthType": config.auth,
            "CreationTime": write_iso_millis(config.created),
            "LastModifiedTime": write_iso_millis(config.modified),
            "InvokeMode": config.mode,
        }
        if config.cors is not None:
            told["Cors"] = config.cors
        return told

    def _url(self, ctx: Context, config: UrlConfig) -> str:
        """By path, which every client reaches; by host where the operator says that the suffix resolves."""
        if not self._suffix:
            return f"{ctx.endpoint}{urls.PATH}{config.id}/"
        scheme, _, host = ctx.endpoint.partition("://")
        port = f":{host.rpartition(':')[2]}" if ":" in host and not host.endswith("]") else ""
        return f"{scheme}://{config.id}.lambda-url.{ctx.scope.region}.{self._suffix}{port}/"
