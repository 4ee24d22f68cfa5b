"""Things and what is attached to them. https://docs.aws.amazon.com/iot/latest/developerguide/thing-registry.html

Types and groups have files of their own beside this: ``thing_types``, ``thing_groups`` and ``billing_groups``.
"""

from __future__ import annotations

from collections.abc import Mapping

from lakebed.api import iot as api
from lakebed.kernel.db import Tx
from lakebed.kernel.scope import Scope
from lakebed.ports.service import Context, Request, operation
from lakebed.services.iot.group_store import BILLING
from lakebed.services.iot.model import Thing
from lakebed.services.iot.state import Core

_ATTRIBUTES_MAX, _ATTRIBUTES_WITHOUT_TYPE_MAX = 50, 3
_PAGE = 50
_EXCLUSIVE, _SHARED = "EXCLUSIVE_THING", "NON_EXCLUSIVE_THING"


def thing_arn(scope: Scope, req: Request) -> str:
    """The thing an operation is on."""
    return scope.arn("iot", f"thing/{req['thingName']}")


class ThingOperations:
    """See the module."""

    def __init__(self, core: Core) -> None:
        self.core, self.store, self.groups = core, core.store, core.groups

    @operation("CreateThing", resource=thing_arn)
    async def create_thing(self, ctx: Context, req: api.CreateThingRequest) -> api.CreateThingResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_CreateThing.html"""
        name, kind = req["thingName"], req.get("thingTypeName", "")
        attributes, billing = merged({}, req.get("attributePayload")), req.get("billingGroupName")
        with self.store.db.tx() as tx:
            thing = self.store.thing(ctx.scope, name)
            if thing is not None and (thing.attributes != attributes or thing.type != kind):
                raise api.ResourceAlreadyExistsException(
                    f"Thing {name} already exists in account with different attributes"
                )
            if thing is None:
                self._check_type(ctx.scope, kind)
                _check_count(attributes, kind)
                thing = Thing(name, self.core.k.ids.uuid(), attributes, 1, kind)
                self.store.put_thing(tx, ctx.scope, thing)
                if billing is not None:
                    self._bill(tx, ctx.scope, billing, name)
                self.core.access_changed(tx)
        return {"thingName": name, "thingArn": ctx.scope.arn("iot", f"thing/{name}"), "thingId": thing.id}

    @operation("DescribeThing", resource=thing_arn)
    async def describe_thing(self, ctx: Context, req: api.DescribeThingRequest) -> api.DescribeThingResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_DescribeThing.html"""
        thing = self._require(ctx.scope, req["thingName"])
        answer: api.DescribeThingResponse = {
            "defaultClientId": thing.name,
            "thingName": thing.name,
            "thingId": thing.id,
            "thingArn": ctx.scope.arn("iot", f"thing/{thing.name}"),
            "attributes": dict(thing.attributes),
            "version": thing.version,
        }
        if thing.type:
            answer["thingTypeName"] = thing.type
        if billing := self.groups.of_thing(ctx.scope, thing.name, BILLING):
            answer["billingGroupName"] = billing[0]
        return answer

    @operation("ListThings")
    async def list_things(self, ctx: Context, req: api.ListThingsRequest) -> api.ListThingsResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_ListThings.html"""
        limit, after = req.get("maxResults", _PAGE), req.get("nextToken", "")
        name, value = req.get("attributeName"), req.get("attributeValue")
        by_prefix, kind = req.get("usePrefixAttributeValue", False), req.get("thingTypeName")
        found: list[Thing] = []
        while len(found) <= limit:
            page = self.store.things(ctx.scope, after, 250)
            for thing in page:
                has = thing.attributes.get(name, "") if name else ""
                if (name and name not in thing.attributes) or kind not in (None, thing.type):
                    continue
                if name and value is not None and not (has.startswith(value) if by_prefix else has == value):
                    continue
                found.append(thing)
            if len(page) < 250:
                break
            after = page[-1].name
        answer: api.ListThingsResponse = {"things": [_listed(ctx.scope, thing) for thing in found[:limit]]}
        if len(found) > limit:
            answer["nextToken"] = found[limit - 1].name
        return answer

    @operation("UpdateThing", resource=thing_arn)
    async def update_thing(self, ctx: Context, req: api.UpdateThingRequest) -> api.UpdateThingResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_UpdateThing.html"""
        with self.store.db.tx() as tx:
            thing = self._require(ctx.scope, req["thingName"])
            _check_version(thing, req.get("expectedVersion"))
            attributes = merged(thing.attributes, req.get("attributePayload"))
            kind = req.get("thingTypeName", thing.type)
            if req.get("removeThingType"):
                if "thingTypeName" in req:
                    raise api.InvalidRequestException("removeThingType and thingTypeName exclude each other.")
                kind = ""
            if kind != thing.type:
                self._check_type(ctx.scope, kind)
            _check_count(attributes, kind)
            self.store.put_thing(tx, ctx.scope, Thing(thing.name, thing.id, attributes, thing.version + 1, kind))
            self.core.access_changed(tx)
        return {}

    @operation("DeleteThing", resource=thing_arn)
    async def delete_thing(self, ctx: Context, req: api.DeleteThingRequest) -> api.DeleteThingResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_DeleteThing.html"""
        name = req["thingName"]
        with self.store.db.tx() as tx:
            thing = self.store.thing(ctx.scope, name)
            if thing is None:
                return {}  # AWS: true for a thing that does not exist
            _check_version(thing, req.get("expectedVersion"))
            if self.store.principals_of(ctx.scope, name, limit=1):
                raise api.InvalidRequestException(
                    f"Cannot delete. Thing {name} is still attached to one or more principals"
                )
            self.store.delete_thing(tx, ctx.scope, name)
            self.groups.forget_thing(tx, ctx.scope, name)
            self.core.access_changed(tx)
        return {}

    @operation("AttachThingPrincipal", resource=thing_arn)
    async def attach_thing_principal(
        self, ctx: Context, req: api.AttachThingPrincipalRequest
    ) -> api.AttachThingPrincipalResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_AttachThingPrincipal.html"""
        kind = req.get("thingPrincipalType", _SHARED)
        with self.store.db.tx() as tx:
            thing = self._require(ctx.scope, req["thingName"])
            principal = self.core.certificate_of(ctx.scope, req["principal"]).arn
            others = [has for name, has in self.store.things_of(ctx.scope, principal) if name != thing.name]
            if _EXCLUSIVE in others or (others and kind == _EXCLUSIVE):
                raise api.InvalidRequestException("The principal is attached exclusively to another thing.")
            self.store.attach_thing(tx, ctx.scope, thing.name, principal, kind)
            self.core.access_changed(tx)
        return {}

    @operation("DetachThingPrincipal", resource=thing_arn)
    async def detach_thing_principal(
        self, ctx: Context, req: api.DetachThingPrincipalRequest
    ) -> api.DetachThingPrincipalResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_DetachThingPrincipal.html"""
        with self.store.db.tx() as tx:
            thing = self._require(ctx.scope, req["thingName"])
            self.store.detach_thing(tx, ctx.scope, thing.name, req["principal"])
            self.core.access_changed(tx)
        return {}

    @operation("ListThingPrincipals", resource=thing_arn)
    async def list_thing_principals(
        self, ctx: Context, req: api.ListThingPrincipalsRequest
    ) -> api.ListThingPrincipalsResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_ListThingPrincipals.html"""
        thing = self._require(ctx.scope, req["thingName"])
        limit = req.get("maxResults", _PAGE)
        found = [arn for arn, _ in self.store.principals_of(ctx.scope, thing.name, req.get("nextToken", ""), limit + 1)]
        answer: api.ListThingPrincipalsResponse = {"principals": found[:limit]}
        if len(found) > limit:
            answer["nextToken"] = found[limit - 1]
        return answer

    @operation("ListPrincipalThings")
    async def list_principal_things(
        self, ctx: Context, req: api.ListPrincipalThingsRequest
    ) -> api.ListPrincipalThingsResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_ListPrincipalThings.html"""
        principal, limit = self.core.certificate_of(ctx.scope, req["principal"]).arn, req.get("maxResults", _PAGE)
        found = [name for name, _ in self.store.things_of(ctx.scope, principal, req.get("nextToken", ""), limit + 1)]
        answer: api.ListPrincipalThingsResponse = {"things": found[:limit]}
        if len(found) > limit:
            answer["nextToken"] = found[limit - 1]
        return answer

    def _bill(self, tx: Tx, scope: Scope, group: str, thing: str) -> None:
        if self.groups.group(scope, BILLING, group) is None:
            raise api.ResourceNotFoundException(f"Billing group {group} does not exist")
        self.groups.add(tx, scope, BILLING, group, thing)

    @operation("ListThingPrincipalsV2", resource=thing_arn)
    async def list_thing_principals_v2(
        self, ctx: Context, req: api.ListThingPrincipalsV2Request
    ) -> api.ListThingPrincipalsV2Response:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_ListThingPrincipalsV2.html"""
        thing, kind = self._require(ctx.scope, req["thingName"]), req.get("thingPrincipalType")
        limit = req.get("maxResults", _PAGE)
        every = self.store.principals_of(ctx.scope, thing.name, req.get("nextToken", ""), 10_000)
        found = [one for one in every if kind in (None, one[1])]
        answer: api.ListThingPrincipalsV2Response = {
            "thingPrincipalObjects": [{"principal": arn, "thingPrincipalType": has} for arn, has in found[:limit]]
        }
        if len(found) > limit:
            answer["nextToken"] = found[limit - 1][0]
        return answer

    @operation("ListPrincipalThingsV2")
    async def list_principal_things_v2(
        self, ctx: Context, req: api.ListPrincipalThingsV2Request
    ) -> api.ListPrincipalThingsV2Response:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_ListPrincipalThingsV2.html"""
        principal, kind = self.core.certificate_of(ctx.scope, req["principal"]).arn, req.get("thingPrincipalType")
        limit = req.get("maxResults", _PAGE)
        every = self.store.things_of(ctx.scope, principal, req.get("nextToken", ""), 10_000)
        found = [one for one in every if kind in (None, one[1])]
        answer: api.ListPrincipalThingsV2Response = {
            "principalThingObjects": [{"thingName": name, "thingPrincipalType": has} for name, has in found[:limit]]
        }
        if len(found) > limit:
            answer["nextToken"] = found[limit - 1][0]
        return answer

    def _require(self, scope: Scope, name: str) -> Thing:
        thing = self.store.thing(scope, name)
        if thing is None:
            raise api.ResourceNotFoundException(f"Thing {name} does not exist")
        return thing

    def _check_type(self, scope: Scope, name: str) -> None:
        """That things may take on the type."""
        if not name:
            return
        known = self.store.thing_type(scope, name)
        if known is None:
            raise api.ResourceNotFoundException(f"Thing type {name} does not exist")
        if known.deprecated is not None:
            raise api.InvalidRequestException(f"Can not use deprecated thing type {name}")


def _listed(scope: Scope, thing: Thing) -> api.ThingAttribute:
    listed: api.ThingAttribute = {
        "thingName": thing.name,
        "thingArn": scope.arn("iot", f"thing/{thing.name}"),
        "attributes": dict(thing.attributes),
        "version": thing.version,
    }
    if thing.type:
        listed["thingTypeName"] = thing.type
    return listed


def _check_count(attributes: Mapping[str, str], kind: str) -> None:
    """3 attributes, or 50 for a thing with a type
    (https://docs.aws.amazon.com/general/latest/gr/iot-core.html#thing-limits)."""
    most = _ATTRIBUTES_MAX if kind else _ATTRIBUTES_WITHOUT_TYPE_MAX
    if len(attributes) > most:
        raise api.InvalidRequestException(f"A thing {'with' if kind else 'without'} a type can have {most} attributes.")


def merged(has: object, payload: api.AttributePayload | None) -> dict[str, str]:
    """Attributes after an update: replaced, or merged where asked; an empty value removes an attribute."""
    before = dict(has) if isinstance(has, dict) else {}
    if payload is None:
        return before
    given = payload.get("attributes", {})
    attributes = {**before, **given} if payload.get("merge") else dict(given)
    return {name: value for name, value in attributes.items() if value}


def _check_version(thing: Thing, expected: int | None) -> None:
    if expected is not None and expected != thing.version:
        raise api.VersionConflictException(f"Expected version {expected} but the thing has version {thing.version}")
