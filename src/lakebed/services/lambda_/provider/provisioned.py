"""Provisioned concurrency: put, get, list, delete.

https://docs.aws.amazon.com/lambda/latest/api/API_PutProvisionedConcurrencyConfig.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from lakebed.api import lambda_ as api
from lakebed.kernel.kernel import Kernel
from lakebed.ports.service import Context, operation
from lakebed.services.lambda_ import pages
from lakebed.services.lambda_.invoking import Invoker
from lakebed.services.lambda_.model import invalid, modified_text
from lakebed.services.lambda_.names import LATEST, Reference, not_found, reference, resource
from lakebed.services.lambda_.url_store import Provisioned, ProvisionedStore
from lakebed.services.lambda_.warming import TASK


class ProvisionedOperations:
    """PutProvisionedConcurrencyConfig to DeleteProvisionedConcurrencyConfig."""

    def __init__(self, kernel: Kernel, invoker: Invoker, store: ProvisionedStore) -> None:
        self.k, self.functions, self.settings, self.store = kernel, invoker.store, invoker.settings, store

    @operation("PutProvisionedConcurrencyConfig", resource=resource(qualified=True))
    async def put_provisioned_concurrency_config(
        self, ctx: Context, req: api.PutProvisionedConcurrencyConfigRequest
    ) -> api.PutProvisionedConcurrencyConfigResponse:
        """https://docs.aws.amazon.com/lambda/latest/api/API_PutProvisionedConcurrencyConfig.html"""
        named, wanted = self._named(ctx, req), req["ProvisionedConcurrentExecutions"]
        config = Provisioned(wanted, ctx.now)
        with self.k.db.tx() as tx:
            self._check_room(named, wanted)
            self._check_version(named)
            self.store.put(tx, named, config)
            tx.after_commit(lambda: self.k.tasks.poke(TASK))
        return cast(api.PutProvisionedConcurrencyConfigResponse, _told(config))

    @operation("GetProvisionedConcurrencyConfig", resource=resource(qualified=True))
    async def get_provisioned_concurrency_config(
        self, ctx: Context, req: api.GetProvisionedConcurrencyConfigRequest
    ) -> api.GetProvisionedConcurrencyConfigResponse:
        """https://docs.aws.amazon.com/lambda/latest/api/API_GetProvisionedConcurrencyConfig.html"""
        named = self._named(ctx, req)
        config = self.store.get(named)
        if config is None:
            raise api.ProvisionedConcurrencyConfigNotFoundException(
                "No Provisioned Concurrency Config found for this function", members={"Type": "User"}
            )
        return cast(api.GetProvisionedConcurrencyConfigResponse, _told(config))

    @operation("ListProvisionedConcurrencyConfigs", resource=resource())
    async def list_provisioned_concurrency_configs(
        self, ctx: Context, req: api.ListProvisionedConcurrencyConfigsRequest
    ) -> api.ListProvisionedConcurrencyConfigsResponse:
        """https://docs.aws.amazon.com/lambda/latest/api/API_ListProvisionedConcurrencyConfigs.html"""
        named = reference(ctx.scope, req["FunctionName"])
        if self.functions.function(named.scope, named.name) is None:
            raise not_found(named.arn)
        size, mark = min(req.get("MaxItems", 50), 50), pages.opened(req.get("Marker"))
        found = [one for one in self.store.of_function(named) if (one[0].qualifier or "") > mark]
        told: api.ListProvisionedConcurrencyConfigsResponse = {
            "ProvisionedConcurrencyConfigs": [
                cast(api.ProvisionedConcurrencyConfigListItem, {"FunctionArn": one.arn, **_told(config)})
                for one, config in found[:size]
            ]
        }
        if len(found) > size:
            told["NextMarker"] = pages.sealed(found[size - 1][0].qualifier or "")
        return told

    @operation("DeleteProvisionedConcurrencyConfig", resource=resource(qualified=True))
    async def delete_provisioned_concurrency_config(
        self, ctx: Context, req: api.DeleteProvisionedConcurrencyConfigRequest
    ) -> None:
        """https://docs.aws.amazon.com/lambda/latest/api/API_DeleteProvisionedConcurrencyConfig.html (absent: no error)"""
        named = self._named(ctx, req)
        with self.k.db.tx() as tx:
            self.store.delete(tx, named)
            tx.after_commit(lambda: self.k.tasks.poke(TASK))

    def _named(self, ctx: Context, req: Mapping[str, Any]) -> Reference:
        """A published version or an alias."""
        named = reference(ctx.scope, req["FunctionName"], req.get("Qualifier"))
        if named.qualifier is None or named.qualifier == LATEST:
            raise invalid("Provisioned Concurrency Configs cannot be applied to unpublished function versions.")
        known = (
            self.functions.version(named.scope, named.name, named.qualifier)
            if named.qualifier.isdigit()
            else self.functions.alias(named.scope, named.name, named.qualifier)
        )
        if known is None:
            raise not_found(named.arn)
        return named

    def _check_room(self, named: Reference, wanted: int) -> None:
        """Within the function's reserved concurrency, or the account's unreserved."""
        row = self.functions.function(named.scope, named.name)
        others = sum(one.requested for other, one in self.store.of_function(named) if other != named)
        if row is not None and row.reserved_concurrency is not None:
            if others + wanted > row.reserved_concurrency:
                raise invalid(
                    "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function"
                )
            return
        left = self.settings.concurrent_executions - self.functions.reserved(named.scope)
        if others + wanted > left - min(100, left):
            raise invalid(
                "Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its "
                "minimum value of [100]."
            )

    def _check_version(self, named: Reference) -> None:
        """One configuration for a version, be it by its number or by an alias that points to it."""
        mine = self._versions(named)
        for other, _ in self.store.of_function(named):
            if other != named and mine & self._versions(other):
                raise api.ResourceConflictException(
                    f"Alias or version {other.qualifier} has a Provisioned Concurrency Config for the same version.",
                    members={"Type": "User"},
                )

    def _versions(self, named: Reference) -> set[str]:
        qualifier = named.qualifier or ""
        alias = None if qualifier.isdigit() else self.functions.alias(named.scope, named.name, qualifier)
        return {alias.version} if alias is not None else {qualifier}


def _told(config: Provisioned) -> dict[str, Any]:
    told: dict[str, Any] = {
        "RequestedProvisionedConcurrentExecutions": config.requested,
        "AllocatedProvisionedConcurrentExecutions": config.available,
        "AvailableProvisionedConcurrentExecutions": config.available,
        "Status": config.status,
        "LastModified": modified_text(config.modified),
    }
    if config.reason:
        told["StatusReason"] = config.reason
    return told
