"""Event source mappings: create, read, change, delete.

https://docs.aws.amazon.com/lambda/latest/api/API_CreateEventSourceMapping.html
"""

from __future__ import annotations

import msgspec

from lakebed.api import lambda_ as api
from lakebed.kernel.errors import AwsError
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Scope
from lakebed.ports.house import Ports
from lakebed.ports.service import Context, Link, Request, operation
from lakebed.services.lambda_ import pages
from lakebed.services.lambda_.invoking import Invoker
from lakebed.services.lambda_.model import FunctionVersion, invalid
from lakebed.services.lambda_.names import Reference, function_arn, not_found, reference
from lakebed.services.lambda_.sources import mapping as model
from lakebed.services.lambda_.sources.kinds import kind_of
from lakebed.services.lambda_.sources.mapping import Mapping
from lakebed.services.lambda_.sources.pollers import Pollers
from lakebed.services.lambda_.sources.store import MappingStore
from lakebed.services.lambda_.store import FunctionStore

_LINKS_MAX = 1000
_REFUSED = (
    "KMSKeyArn", "LoggingConfig", "Topics", "Queues", "SourceAccessConfigurations",
    "SelfManagedEventSource", "AmazonManagedKafkaEventSourceConfig", "SelfManagedKafkaEventSourceConfig",
    "DocumentDBEventSourceConfig", "ProvisionedPollerConfig",
)  # fmt: skip


def _mapping_arn(scope: Scope, request: Request) -> str:
    return scope.arn("lambda", f"event-source-mapping:{request['UUID']}")


class MappingOperations:
    """CreateEventSourceMapping to DeleteEventSourceMapping."""

    def __init__(self, kernel: Kernel, ports: Ports, invoker: Invoker, pollers: Pollers) -> None:
        self.k, self.p, self.invoker, self.pollers = kernel, ports, invoker, pollers
        self.store: MappingStore = pollers.store

    @operation("CreateEventSourceMapping", refused=_REFUSED)
    async def create_event_source_mapping(
        self, ctx: Context, req: api.CreateEventSourceMappingRequest
    ) -> api.EventSourceMappingConfiguration:
        """https://docs.aws.amazon.com/lambda/latest/api/API_CreateEventSourceMapping.html"""
        model.refuse("CreateEventSourceMapping", req)
        named = _own(ctx.scope, req["FunctionName"])
        version = self.invoker.resolve(named)
        mapping = model.created(
            req, uuid=self.k.ids.uuid(), function=named.name, qualifier=named.qualifier or "", now=ctx.now
        )
        self._check_source(mapping, version)
        with self.k.db.tx() as tx:
            existing = self.store.some(ctx.scope, limit=self.invoker.settings.mappings_max)
            if len(existing) >= self.invoker.settings.mappings_max:
                raise invalid("The limit of event source mappings is reached.")
            for other in existing:
                if (other.source, other.function, other.qualifier) == (
                    mapping.source,
                    mapping.function,
                    mapping.qualifier,
                ):
                    raise api.ResourceConflictException(
                        f'An event source mapping with event source arn (" {mapping.source} ") and function '
                        f'(" {mapping.function} ") already exists. Please update or delete the existing mapping with '
                        f"UUID {other.uuid}",
                        members={"Type": "User"},
                    )
            self.store.put(tx, ctx.scope, mapping)
            for shard, checkpoint in kind_of(mapping).start(self.p, mapping).items():
                self.store.put_checkpoint(tx, ctx.scope, mapping.uuid, shard, checkpoint)
        self.pollers.add(ctx.scope, mapping)
        return model.told(ctx.scope, mapping)

    @operation("GetEventSourceMapping", resource=_mapping_arn)
    async def get_event_source_mapping(
        self, ctx: Context, req: api.GetEventSourceMappingRequest
    ) -> api.EventSourceMappingConfiguration:
        """https://docs.aws.amazon.com/lambda/latest/api/API_GetEventSourceMapping.html"""
        return model.told(ctx.scope, self._require(ctx.scope, req["UUID"]))

    @operation("ListEventSourceMappings")
    async def list_event_source_mappings(
        self, ctx: Context, req: api.ListEventSourceMappingsRequest
    ) -> api.ListEventSourceMappingsResponse:
        """https://docs.aws.amazon.com/lambda/latest/api/API_ListEventSourceMappings.html"""
        size = min(req.get("MaxItems", 100), 100)
        function = reference(ctx.scope, req["FunctionName"]).name if "FunctionName" in req else ""
        found = self.store.some(
            ctx.scope,
            source=req.get("EventSourceArn", ""),
            function=function,
            after=pages.opened(req.get("Marker")),
            limit=size + 1,
        )
        told: api.ListEventSourceMappingsResponse = {
            "EventSourceMappings": [model.told(ctx.scope, mapping) for mapping in found[:size]]
        }
        if len(found) > size:
            told["NextMarker"] = pages.sealed(found[size - 1].uuid)
        return told

    @operation("UpdateEventSourceMapping", resource=_mapping_arn, refused=_REFUSED)
    async def update_event_source_mapping(
        self, ctx: Context, req: api.UpdateEventSourceMappingRequest
    ) -> api.EventSourceMappingConfiguration:
        """https://docs.aws.amazon.com/lambda/latest/api/API_UpdateEventSourceMapping.html"""
        model.refuse("UpdateEventSourceMapping", req)
        with self.k.db.tx() as tx:
            mapping = model.changed(self._require(ctx.scope, req["UUID"]), req, ctx.now)
            if "FunctionName" in req:
                named = _own(ctx.scope, req["FunctionName"])
                mapping = msgspec.structs.replace(mapping, function=named.name, qualifier=named.qualifier or "")
            version = self.invoker.resolve(Reference(ctx.scope, mapping.function, mapping.qualifier or None))
            self._check_source(mapping, version)
            self.store.put(tx, ctx.scope, mapping)
        self.pollers.poke(mapping)
        return model.told(ctx.scope, mapping)

    @operation("DeleteEventSourceMapping", resource=_mapping_arn)
    async def delete_event_source_mapping(
        self, ctx: Context, req: api.DeleteEventSourceMappingRequest
    ) -> api.EventSourceMappingConfiguration:
        """https://docs.aws.amazon.com/lambda/latest/api/API_DeleteEventSourceMapping.html"""
        with self.k.db.tx() as tx:
            mapping = self._require(ctx.scope, req["UUID"])
            self.store.delete(tx, ctx.scope, mapping.uuid)
        await self.pollers.remove(mapping)
        return model.told(ctx.scope, mapping, "Deleting")

    def _check_source(self, mapping: Mapping, version: FunctionVersion) -> None:
        """The source exists, the role may read it, and a queue hides messages long enough."""
        role = self.invoker.role_session(version, mapping.function)
        kind = kind_of(mapping)
        for action in kind.actions:
            try:
                self.p.identity.authorise(role, action, mapping.source)
            except AwsError:
                raise invalid(
                    f"The provided execution role does not have permissions to call {action.split(':')[1]} on {kind.title}"
                ) from None
        kind.check(self.p, mapping, version)

    def _require(self, scope: Scope, uuid: str) -> Mapping:
        mapping = self.store.get(scope, uuid)
        if mapping is None:
            raise api.ResourceNotFoundException("The resource you requested does not exist.", members={"Type": "User"})
        return mapping


def _own(scope: Scope, text: str) -> Reference:
    """The function meant; a mapping feeds its own account's functions alone, and tells nothing of another's."""
    named = reference(scope, text)
    if named.scope.account != scope.account:
        raise not_found(named.arn)
    return named


def links(scope: Scope, store: MappingStore) -> list[tuple[str, str]]:
    """(source, function) of the enabled mappings."""
    return [(mapping.source, function_arn(scope, mapping.function)) for mapping in store.some(scope) if mapping.enabled]


def failure_links(scope: Scope, functions: FunctionStore, mappings: MappingStore) -> list[Link]:
    """Where what failed goes: dead letters and destinations."""
    found = [
        Link(function_arn(scope, mapping.function), mapping.on_failure, "on failure")
        for mapping in mappings.some(scope)
        if mapping.on_failure
    ]
    for version in functions.latest_of_all(scope, "", _LINKS_MAX):
        arn = function_arn(scope, version.name)
        if version.dead_letter:
            found.append(Link(arn, version.dead_letter, "dead letters"))
        for _, config in functions.later_configs(scope, version.name):
            targets = ((config.on_failure, "on failure"), (config.on_success, "on success"))
            found += [Link(arn, target, label) for target, label in targets if target]
    return found
