"""What belongs to a function's name: reserved concurrency, tags, settings of asynchronous invocation; and the account's.

https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-configuring.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from lakebed.api import lambda_ as api
from lakebed.kernel.arn import parse
from lakebed.kernel.db import Tx
from lakebed.kernel.errors import not_built
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Scope
from lakebed.ports.service import Context, operation
from lakebed.services.lambda_ import model
from lakebed.services.lambda_.code import UNZIPPED_BYTES_MAX, ZIP_BYTES_MAX
from lakebed.services.lambda_.destinations import checked
from lakebed.services.lambda_.invoking import Invoker
from lakebed.services.lambda_.model import invalid
from lakebed.services.lambda_.names import (
    LATEST,
    Reference,
    function_arn,
    not_found,
    reference,
    resource,
    tagged_resource,
)
from lakebed.services.lambda_.sources.store import MappingStore
from lakebed.services.lambda_.store import FunctionRow, LaterConfig

_UNRESERVED_MIN = 100
_DESTINATIONS = ("sqs", "sns", "lambda", "events")


class LimitOperations:
    """Concurrency, tags, event invoke configuration, account settings."""

    def __init__(self, kernel: Kernel, invoker: Invoker, mappings: MappingStore) -> None:
        self.mappings = mappings
        self.k, self.store, self.settings = kernel, invoker.store, invoker.settings

    @operation("PutFunctionConcurrency", resource=resource())
    async def put_function_concurrency(self, ctx: Context, req: api.PutFunctionConcurrencyRequest) -> api.Concurrency:
        """https://docs.aws.amazon.com/lambda/latest/api/API_PutFunctionConcurrency.html"""
        named = reference(ctx.scope, req["FunctionName"])
        wanted = req["ReservedConcurrentExecutions"]
        with self.k.db.tx() as tx:
            old = self._function(named).reserved_concurrency or 0
            left = self.settings.concurrent_executions - (self.store.reserved(named.scope) - old + wanted)
            if wanted and left < min(_UNRESERVED_MIN, self.settings.concurrent_executions):
                raise invalid(
                    "Specified ReservedConcurrentExecutions for function decreases account's "
                    f"UnreservedConcurrentExecution below its minimum value of [{_UNRESERVED_MIN}]."
                )
            self.store.put_concurrency(tx, named.scope, named.name, wanted)
        return {"ReservedConcurrentExecutions": wanted}

    @operation("GetFunctionConcurrency", resource=resource())
    async def get_function_concurrency(
        self, ctx: Context, req: api.GetFunctionConcurrencyRequest
    ) -> api.GetFunctionConcurrencyResponse:
        """https://docs.aws.amazon.com/lambda/latest/api/API_GetFunctionConcurrency.html"""
        reserved = self._function(reference(ctx.scope, req["FunctionName"])).reserved_concurrency
        return {} if reserved is None else {"ReservedConcurrentExecutions": reserved}

    @operation("DeleteFunctionConcurrency", resource=resource())
    async def delete_function_concurrency(self, ctx: Context, req: api.DeleteFunctionConcurrencyRequest) -> None:
        """https://docs.aws.amazon.com/lambda/latest/api/API_DeleteFunctionConcurrency.html"""
        named = reference(ctx.scope, req["FunctionName"])
        with self.k.db.tx() as tx:
            self._function(named)
            self.store.put_concurrency(tx, named.scope, named.name, None)

    @operation("TagResource", resource=tagged_resource)
    async def tag_resource(self, ctx: Context, req: api.TagResourceRequest) -> None:
        """https://docs.aws.amazon.com/lambda/latest/api/API_TagResource.html"""
        with self.k.db.tx() as tx:
            tags = model.tags_checked(req["Tags"], self._tags(ctx.scope, req["Resource"]))
            self._put_tags(tx, ctx.scope, req["Resource"], tags)

    @operation("UntagResource", resource=tagged_resource)
    async def untag_resource(self, ctx: Context, req: api.UntagResourceRequest) -> None:
        """https://docs.aws.amazon.com/lambda/latest/api/API_UntagResource.html"""
        with self.k.db.tx() as tx:
            old = self._tags(ctx.scope, req["Resource"])
            tags = {key: value for key, value in old.items() if key not in req["TagKeys"]}
            self._put_tags(tx, ctx.scope, req["Resource"], tags)

    @operation("ListTags", resource=tagged_resource)
    async def list_tags(self, ctx: Context, req: api.ListTagsRequest) -> api.ListTagsResponse:
        """https://docs.aws.amazon.com/lambda/latest/api/API_ListTags.html"""
        return {"Tags": self._tags(ctx.scope, req["Resource"])}

    @operation("GetAccountSettings")
    async def get_account_settings(
        self,
        ctx: Context,
        req: api.GetAccountSettingsRequest,  # noqa: ARG002 - it has no members
    ) -> api.GetAccountSettingsResponse:
        """https://docs.aws.amazon.com/lambda/latest/api/API_GetAccountSettings.html"""
        functions, size = self.store.usage(ctx.scope)
        whole = self.settings.concurrent_executions
        return {
            "AccountLimit": {
                "TotalCodeSize": self.settings.code_bytes_max,
                "CodeSizeUnzipped": UNZIPPED_BYTES_MAX,
                "CodeSizeZipped": ZIP_BYTES_MAX,
                "ConcurrentExecutions": whole,
                "UnreservedConcurrentExecutions": whole - self.store.reserved(ctx.scope),
            },
            "AccountUsage": {"TotalCodeSize": size, "FunctionCount": functions},
        }

    @operation("PutFunctionEventInvokeConfig", resource=resource(qualified=True))
    async def put_function_event_invoke_config(
        self, ctx: Context, req: api.PutFunctionEventInvokeConfigRequest
    ) -> api.FunctionEventInvokeConfig:
        """https://docs.aws.amazon.com/lambda/latest/api/API_PutFunctionEventInvokeConfig.html"""
        named = self._qualified(ctx, req)
        return self._save(ctx, named, LaterConfig(ctx.now), req)

    @operation("UpdateFunctionEventInvokeConfig", resource=resource(qualified=True))
    async def update_function_event_invoke_config(
        self, ctx: Context, req: api.UpdateFunctionEventInvokeConfigRequest
    ) -> api.FunctionEventInvokeConfig:
        """https://docs.aws.amazon.com/lambda/latest/api/API_UpdateFunctionEventInvokeConfig.html"""
        named = self._qualified(ctx, req)
        return self._save(ctx, named, self._config(named), req)

    @operation("GetFunctionEventInvokeConfig", resource=resource(qualified=True))
    async def get_function_event_invoke_config(
        self, ctx: Context, req: api.GetFunctionEventInvokeConfigRequest
    ) -> api.FunctionEventInvokeConfig:
        """https://docs.aws.amazon.com/lambda/latest/api/API_GetFunctionEventInvokeConfig.html"""
        named = self._qualified(ctx, req)
        return _told(named, self._config(named))

    @operation("DeleteFunctionEventInvokeConfig", resource=resource(qualified=True))
    async def delete_function_event_invoke_config(
        self, ctx: Context, req: api.DeleteFunctionEventInvokeConfigRequest
    ) -> None:
        """https://docs.aws.amazon.com/lambda/latest/api/API_DeleteFunctionEventInvokeConfig.html"""
        named = self._qualified(ctx, req)
        self._config(named)
        with self.k.db.tx() as tx:
            self.store.put_later_config(tx, named.scope, named.name, named.qualifier or LATEST, None)

    @operation("ListFunctionEventInvokeConfigs", resource=resource())
    async def list_function_event_invoke_configs(
        self, ctx: Context, req: api.ListFunctionEventInvokeConfigsRequest
    ) -> api.ListFunctionEventInvokeConfigsResponse:
        """https://docs.aws.amazon.com/lambda/latest/api/API_ListFunctionEventInvokeConfigs.html (all on one page)"""
        named = reference(ctx.scope, req["FunctionName"])
        self._function(named)
        found = self.store.later_configs(named.scope, named.name)
        return {
            "FunctionEventInvokeConfigs": [
                _told(Reference(named.scope, named.name, qualifier), config) for qualifier, config in found
            ]
        }

    def _save(
        self, ctx: Context, named: Reference, base: LaterConfig, req: Mapping[str, Any]
    ) -> api.FunctionEventInvokeConfig:
        changed: dict[str, Any] = {"modified": ctx.now}
        if "MaximumRetryAttempts" in req:
            changed["retries"] = req["MaximumRetryAttempts"]
        if "MaximumEventAgeInSeconds" in req:
            changed["age_seconds"] = req["MaximumEventAgeInSeconds"]
        if "DestinationConfig" in req:
            given = req["DestinationConfig"]
            for member, field in (("OnFailure", "on_failure"), ("OnSuccess", "on_success")):
                kinds = _DESTINATIONS if field == "on_success" else (*_DESTINATIONS, "s3")
                changed[field] = checked(given.get(member, {}).get("Destination", ""), kinds)
        config = msgspec.structs.replace(base, **changed)
        with self.k.db.tx() as tx:
            self.store.put_later_config(tx, named.scope, named.name, named.qualifier or LATEST, config)
        return _told(named, config)

    def _qualified(self, ctx: Context, req: Mapping[str, Any]) -> Reference:
        named = reference(ctx.scope, req["FunctionName"], req.get("Qualifier"))
        self._function(named)
        qualifier = named.qualifier or LATEST
        known = (
            self.store.version(named.scope, named.name, qualifier)
            if qualifier == LATEST or qualifier.isdigit()
            else self.store.alias(named.scope, named.name, qualifier)
        )
        if known is None:
            raise not_found(named.arn)
        return Reference(named.scope, named.name, qualifier)

    def _config(self, named: Reference) -> LaterConfig:
        config = self.store.later_config(named.scope, named.name, named.qualifier or LATEST)
        if config is None:
            raise api.ResourceNotFoundException(
                f"The function {named.arn} doesn't have an EventInvokeConfig", members={"Type": "User"}
            )
        return config

    def _tags(self, scope: Scope, arn: str) -> dict[str, str]:
        """The tags of a function or a mapping."""
        uuid = _mapping_of(scope, arn)
        if uuid is None:
            return self._function(_tagged(scope, arn)).tags
        mapping = self.mappings.get(scope, uuid)
        if mapping is None:
            raise api.ResourceNotFoundException("The resource you requested does not exist.", members={"Type": "User"})
        return mapping.tags

    def _put_tags(self, tx: Tx, scope: Scope, arn: str, tags: dict[str, str]) -> None:
        uuid = _mapping_of(scope, arn)
        if uuid is None:
            self.store.put_tags(tx, scope, _tagged(scope, arn).name, tags)
        elif (mapping := self.mappings.get(scope, uuid)) is not None:
            self.mappings.put(tx, scope, msgspec.structs.replace(mapping, tags=tags))

    def _function(self, named: Reference) -> FunctionRow:
        row = self.store.function(named.scope, named.name)
        if row is None:
            raise not_found(function_arn(named.scope, named.name))
        return row


def _mapping_of(scope: Scope, arn: str) -> str | None:
    """The uuid where the ARN is a mapping's."""
    prefix = scope.arn("lambda", "event-source-mapping:")
    return arn.removeprefix(prefix) if arn.startswith(prefix) else None


def _tagged(scope: Scope, arn: str) -> Reference:
    found = parse(arn)
    if found is None or not found.resource.startswith("function:"):
        raise not_built("lambda", "TagResource", "tags of anything but functions and event source mappings")
    named = reference(Scope(found.account, found.region, found.partition), arn)
    if named.qualifier is not None:
        raise invalid("Tags on function aliases and versions are not supported. Please specify a function ARN.")
    if named.scope != scope:
        raise not_found(arn)
    return named


def _told(named: Reference, config: LaterConfig) -> api.FunctionEventInvokeConfig:
    told: api.FunctionEventInvokeConfig = {
        "LastModified": config.modified,
        "FunctionArn": function_arn(named.scope, named.name, named.qualifier or LATEST),
        "DestinationConfig": {
            "OnSuccess": {"Destination": config.on_success} if config.on_success else {},
            "OnFailure": {"Destination": config.on_failure} if config.on_failure else {},
        },
    }
    if config.retries is not None:
        told["MaximumRetryAttempts"] = config.retries
    if config.age_seconds is not None:
        told["MaximumEventAgeInSeconds"] = config.age_seconds
    return told
