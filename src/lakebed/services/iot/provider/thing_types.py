"""Thing types. https://docs.aws.amazon.com/iot/latest/developerguide/thing-types.html

A type is deprecated, which keeps new things from having it, and deleted five minutes later at the
earliest. ``searchableAttributes`` are kept and told: they only matter to fleet indexing, which does not exist here.
"""

from __future__ import annotations

from typing import Any

from lakebed.api import iot as api
from lakebed.kernel.errors import not_built
from lakebed.kernel.scope import Scope
from lakebed.ports.service import Context, Request, operation
from lakebed.services.iot.model import ThingType
from lakebed.services.iot.state import Core, tags_of

_PAGE = 25
_DELETE_AFTER_SECONDS = 300.0
_SEARCHABLE_MAX = 3


def type_arn(scope: Scope, req: Request) -> str:
    """The type an operation is on."""
    return scope.arn("iot", f"thingtype/{req['thingTypeName']}")


class ThingTypeOperations:
    """See the module."""

    def __init__(self, core: Core) -> None:
        self.core, self.store = core, core.store

    @operation("CreateThingType", resource=type_arn)
    async def create_thing_type(self, ctx: Context, req: api.CreateThingTypeRequest) -> api.CreateThingTypeResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_CreateThingType.html"""
        name, arn, given = req["thingTypeName"], type_arn(ctx.scope, dict(req)), req.get("thingTypeProperties", {})
        if given.get("mqtt5Configuration"):
            raise not_built("iot", "CreateThingType", "mqtt5Configuration")
        searchable = given.get("searchableAttributes", [])
        if len(searchable) > _SEARCHABLE_MAX:
            raise api.InvalidRequestException(f"A thing type can have {_SEARCHABLE_MAX} searchable attributes.")
        tags = tags_of(req.get("tags"))
        made = ThingType(name, self.core.k.ids.uuid(), given.get("thingTypeDescription", ""), searchable, ctx.now, None)
        with self.store.db.tx() as tx:
            known = self.store.thing_type(ctx.scope, name)
            if known is not None and known[2:4] != made[2:4]:
                raise api.ResourceAlreadyExistsException(f"Thing type {name} exists with different properties")
            if known is None:
                self.store.put_thing_type(tx, ctx.scope, made)
                self.store.put_tags(tx, ctx.scope, arn, tags)
        return {"thingTypeName": name, "thingTypeArn": arn, "thingTypeId": (known or made).id}

    @operation("UpdateThingType", resource=type_arn)
    async def update_thing_type(self, ctx: Context, req: api.UpdateThingTypeRequest) -> api.UpdateThingTypeResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_UpdateThingType.html"""
        given = req.get("thingTypeProperties", {})
        if given.get("mqtt5Configuration"):
            raise not_built("iot", "UpdateThingType", "mqtt5Configuration")
        searchable = given.get("searchableAttributes")
        if len(searchable or ()) > _SEARCHABLE_MAX:
            raise api.InvalidRequestException(f"A thing type can have {_SEARCHABLE_MAX} searchable attributes.")
        with self.store.db.tx() as tx:
            found = self._require(ctx.scope, req["thingTypeName"])
            changed = found._replace(
                description=given.get("thingTypeDescription", found.description),
                searchable=found.searchable if searchable is None else searchable,
            )
            self.store.put_thing_type(tx, ctx.scope, changed)
        return {}

    @operation("DescribeThingType", resource=type_arn)
    async def describe_thing_type(
        self, ctx: Context, req: api.DescribeThingTypeRequest
    ) -> api.DescribeThingTypeResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_DescribeThingType.html"""
        found = self._require(ctx.scope, req["thingTypeName"])
        told: Any = {**_told(ctx.scope, found), "thingTypeId": found.id}
        return told  # type: ignore[no-any-return]

    @operation("ListThingTypes")
    async def list_thing_types(self, ctx: Context, req: api.ListThingTypesRequest) -> api.ListThingTypesResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_ListThingTypes.html"""
        limit, wanted = req.get("maxResults", _PAGE), req.get("thingTypeName")
        if wanted is not None:
            known = self.store.thing_type(ctx.scope, wanted)
            return {"thingTypes": [_told(ctx.scope, known)] if known is not None else []}
        found = self.store.thing_types(ctx.scope, req.get("nextToken", ""), limit + 1)
        answer: api.ListThingTypesResponse = {"thingTypes": [_told(ctx.scope, one) for one in found[:limit]]}
        if len(found) > limit:
            answer["nextToken"] = found[limit - 1].name
        return answer

    @operation("DeprecateThingType", resource=type_arn)
    async def deprecate_thing_type(
        self, ctx: Context, req: api.DeprecateThingTypeRequest
    ) -> api.DeprecateThingTypeResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_DeprecateThingType.html"""
        with self.store.db.tx() as tx:
            found = self._require(ctx.scope, req["thingTypeName"])
            when = None if req.get("undoDeprecate") else found.deprecated or ctx.now
            self.store.put_thing_type(tx, ctx.scope, found._replace(deprecated=when))
        return {}

    @operation("DeleteThingType", resource=type_arn)
    async def delete_thing_type(self, ctx: Context, req: api.DeleteThingTypeRequest) -> api.DeleteThingTypeResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_DeleteThingType.html"""
        name = req["thingTypeName"]
        with self.store.db.tx() as tx:
            found = self._require(ctx.scope, name)
            if found.deprecated is None:
                raise api.InvalidRequestException(f"Cannot delete thing type {name}: it is not deprecated")
            if ctx.now < found.deprecated + _DELETE_AFTER_SECONDS:
                raise api.InvalidRequestException(
                    f"Cannot delete thing type {name}: five minutes must pass after its deprecation"
                )
            if self.store.has_things_of_type(ctx.scope, name):
                raise api.InvalidRequestException(f"Cannot delete thing type {name}: things still have it")
            self.store.delete_thing_type(tx, ctx.scope, name)
            self.store.delete_tags(tx, ctx.scope, type_arn(ctx.scope, dict(req)))
        return {}

    def _require(self, scope: Scope, name: str) -> ThingType:
        found = self.store.thing_type(scope, name)
        if found is None:
            raise api.ResourceNotFoundException(f"Thing type {name} does not exist")
        return found


def _told(scope: Scope, found: ThingType) -> api.ThingTypeDefinition:
    metadata: api.ThingTypeMetadata = {"deprecated": found.deprecated is not None, "creationDate": found.created}
    if found.deprecated is not None:
        metadata["deprecationDate"] = found.deprecated
    return {
        "thingTypeName": found.name,
        "thingTypeArn": scope.arn("iot", f"thingtype/{found.name}"),
        "thingTypeProperties": {
            "thingTypeDescription": found.description,
            "searchableAttributes": list(found.searchable),
        },
        "thingTypeMetadata": metadata,
    }
