"""Thing groups. https://docs.aws.amazon.com/iot/latest/developerguide/thing-groups.html

Static groups in a hierarchy. Policies attached to a group, or to one above it, count for the certificates of its things.
Dynamic groups need fleet indexing, which does not exist here: they are not built.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lakebed.api import iot as api
from lakebed.kernel.db import Tx
from lakebed.kernel.scope import Scope
from lakebed.ports.service import Context, Request, operation
from lakebed.services.iot.group_store import THING, Group, GroupStore
from lakebed.services.iot.jobs.keeper import TASK
from lakebed.services.iot.provider.things import merged
from lakebed.services.iot.state import Core, tags_of

_PAGE = 25
_CHILDREN_MAX, _DEPTH_MAX, _OF_THING_MAX, _ATTRIBUTES_MAX = 100, 7, 10, 50


def group_arn(scope: Scope, req: Request) -> str:
    """The group an operation is on."""
    return str(req.get("thingGroupArn") or scope.arn("iot", f"thinggroup/{req.get('thingGroupName', '')}"))


def group_and_thing(scope: Scope, req: Request) -> list[str]:
    """Both must be allowed."""
    thing = req.get("thingArn") or scope.arn("iot", f"thing/{req.get('thingName', '')}")
    return [group_arn(scope, req), str(thing)]


def thing_and_groups(scope: Scope, req: Request) -> list[str]:
    """The thing, and each group it joins or leaves."""
    names = [*req.get("thingGroupsToAdd", ()), *req.get("thingGroupsToRemove", ())]
    return [
        scope.arn("iot", f"thing/{req.get('thingName', '')}"),
        *(scope.arn("iot", f"thinggroup/{n}") for n in names),
    ]


class ThingGroupOperations:
    """See the module."""

    def __init__(self, core: Core, groups: GroupStore) -> None:
        self.core, self.groups = core, groups

    @operation("CreateThingGroup", resource=group_arn)
    async def create_thing_group(self, ctx: Context, req: api.CreateThingGroupRequest) -> api.CreateThingGroupResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_CreateThingGroup.html"""
        name, parent, given = req["thingGroupName"], req.get("parentGroupName", ""), req.get("thingGroupProperties", {})
        attributes, tags = merged({}, given.get("attributePayload")), tags_of(req.get("tags"))
        _check_attributes(attributes)
        description = given.get("thingGroupDescription", "")
        with self.groups.db.tx() as tx:
            known = self.groups.group(ctx.scope, THING, name)
            if known is not None and (known.parent, known.description, known.attributes) != (
                parent, description, attributes,
            ):  # fmt: skip
                raise api.ResourceAlreadyExistsException(f"Thing group {name} exists with different properties")
            if known is None:
                self._check_parent(ctx.scope, parent)
                known = Group(THING, name, self.core.k.ids.uuid(), parent, description, attributes, 1, ctx.now)
                self.groups.put(tx, ctx.scope, known)
                self.core.store.put_tags(tx, ctx.scope, group_arn(ctx.scope, dict(req)), tags)
        return {
            "thingGroupName": name,
            "thingGroupArn": ctx.scope.arn("iot", known.resource),
            "thingGroupId": known.id,
        }

    @operation("DescribeThingGroup", resource=group_arn)
    async def describe_thing_group(
        self, ctx: Context, req: api.DescribeThingGroupRequest
    ) -> api.DescribeThingGroupResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_DescribeThingGroup.html"""
        found = self._require(ctx.scope, req["thingGroupName"])
        above = self.groups.ancestors(ctx.scope, found.name)
        metadata: api.ThingGroupMetadata = {"creationDate": found.created}
        if found.parent:
            metadata["parentGroupName"] = found.parent
            metadata["rootToParentThingGroups"] = _named(ctx.scope, list(reversed(above)))
        properties: api.ThingGroupProperties = {}
        if found.description:
            properties["thingGroupDescription"] = found.description
        if found.attributes:
            properties["attributePayload"] = {"attributes": dict(found.attributes)}
        return {
            "thingGroupName": found.name,
            "thingGroupId": found.id,
            "thingGroupArn": ctx.scope.arn("iot", found.resource),
            "version": found.version,
            "thingGroupProperties": properties,
            "thingGroupMetadata": metadata,
        }

    @operation("UpdateThingGroup", resource=group_arn)
    async def update_thing_group(self, ctx: Context, req: api.UpdateThingGroupRequest) -> api.UpdateThingGroupResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_UpdateThingGroup.html"""
        given = req["thingGroupProperties"]
        with self.groups.db.tx() as tx:
            found = self._require(ctx.scope, req["thingGroupName"])
            check_version(found, req.get("expectedVersion"))
            attributes = merged(found.attributes, given.get("attributePayload"))
            _check_attributes(attributes)
            description = given.get("thingGroupDescription", found.description)
            after = found._replace(description=description, attributes=attributes, version=found.version + 1)
            self.groups.put(tx, ctx.scope, after)
        return {"version": after.version}

    @operation("DeleteThingGroup", resource=group_arn)
    async def delete_thing_group(self, ctx: Context, req: api.DeleteThingGroupRequest) -> api.DeleteThingGroupResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_DeleteThingGroup.html: absent is no error."""
        name = req["thingGroupName"]
        with self.groups.db.tx() as tx:
            found = self.groups.group(ctx.scope, THING, name)
            if found is None:
                return {}
            check_version(found, req.get("expectedVersion"))
            if self.groups.children(ctx.scope, name):
                raise api.InvalidRequestException(f"Cannot delete thing group {name}: it has child groups")
            arn = ctx.scope.arn("iot", found.resource)
            if self.core.store.policies_of(ctx.scope, arn, limit=1):
                raise api.InvalidRequestException(f"Cannot delete thing group {name}: policies are attached to it")
            self.groups.delete(tx, ctx.scope, THING, name)
            self.core.store.delete_tags(tx, ctx.scope, arn)
            self._moved(tx)
        return {}

    @operation("ListThingGroups")
    async def list_thing_groups(self, ctx: Context, req: api.ListThingGroupsRequest) -> api.ListThingGroupsResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_ListThingGroups.html"""
        limit, after, prefix = req.get("maxResults", _PAGE), req.get("nextToken", ""), req.get("namePrefixFilter", "")
        parent, recursive = req.get("parentGroup"), req.get("recursive", True)
        if parent is not None:
            self._require(ctx.scope, parent)
            names = sorted(
                self.groups.below(ctx.scope, parent)[1:] if recursive else self.groups.children(ctx.scope, parent)
            )
        else:
            every = self.groups.groups(ctx.scope, THING, "", 100_000)
            names = [group.name for group in every if recursive or not group.parent]
        found = [name for name in names if name > after and name.startswith(prefix)]
        answer: api.ListThingGroupsResponse = {"thingGroups": _named(ctx.scope, found[:limit])}
        if len(found) > limit:
            answer["nextToken"] = found[limit - 1]
        return answer

    @operation("AddThingToThingGroup", resource=group_and_thing)
    async def add_thing_to_thing_group(
        self, ctx: Context, req: api.AddThingToThingGroupRequest
    ) -> api.AddThingToThingGroupResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_AddThingToThingGroup.html"""
        _ = req.get("overrideDynamicGroups")  # there are none to give way
        with self.groups.db.tx() as tx:
            self._add(tx, ctx.scope, self._group_of(ctx.scope, req), self.thing_of(ctx.scope, req))
        return {}

    @operation("RemoveThingFromThingGroup", resource=group_and_thing)
    async def remove_thing_from_thing_group(
        self, ctx: Context, req: api.RemoveThingFromThingGroupRequest
    ) -> api.RemoveThingFromThingGroupResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_RemoveThingFromThingGroup.html"""
        with self.groups.db.tx() as tx:
            group, thing = self._group_of(ctx.scope, req), self.thing_of(ctx.scope, req)
            self.groups.remove(tx, ctx.scope, THING, group, thing)
            self._moved(tx)
        return {}

    @operation("UpdateThingGroupsForThing", resource=thing_and_groups)
    async def update_thing_groups_for_thing(
        self, ctx: Context, req: api.UpdateThingGroupsForThingRequest
    ) -> api.UpdateThingGroupsForThingResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_UpdateThingGroupsForThing.html"""
        _ = req.get("overrideDynamicGroups")  # there are none to give way
        with self.groups.db.tx() as tx:
            thing = self.thing_of(ctx.scope, req)
            for name in req.get("thingGroupsToRemove", []):
                self.groups.remove(tx, ctx.scope, THING, self._require(ctx.scope, name).name, thing)
            for name in req.get("thingGroupsToAdd", []):
                self._add(tx, ctx.scope, self._require(ctx.scope, name).name, thing)
            self._moved(tx)
        return {}

    @operation("ListThingsInThingGroup", resource=group_arn)
    async def list_things_in_thing_group(
        self, ctx: Context, req: api.ListThingsInThingGroupRequest
    ) -> api.ListThingsInThingGroupResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_ListThingsInThingGroup.html"""
        name, limit, after = req["thingGroupName"], req.get("maxResults", _PAGE), req.get("nextToken", "")
        self._require(ctx.scope, name)
        names = self.groups.below(ctx.scope, name) if req.get("recursive") else [name]
        found = sorted({
            thing for one in names for thing in self.groups.members(ctx.scope, THING, one, after, limit + 1)
        })  # fmt: skip
        answer: api.ListThingsInThingGroupResponse = {"things": found[:limit]}
        if len(found) > limit:
            answer["nextToken"] = found[limit - 1]
        return answer

    @operation("ListThingGroupsForThing", resource=lambda scope, req: scope.arn("iot", f"thing/{req['thingName']}"))
    async def list_thing_groups_for_thing(
        self, ctx: Context, req: api.ListThingGroupsForThingRequest
    ) -> api.ListThingGroupsForThingResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_ListThingGroupsForThing.html"""
        limit, after = req.get("maxResults", _PAGE), req.get("nextToken", "")
        thing = self.thing_of(ctx.scope, dict(req))
        found = [name for name in self.groups.of_thing(ctx.scope, thing) if name > after]
        answer: api.ListThingGroupsForThingResponse = {"thingGroups": _named(ctx.scope, found[:limit])}
        if len(found) > limit:
            answer["nextToken"] = found[limit - 1]
        return answer

    def thing_of(self, scope: Scope, req: Mapping[str, Any]) -> str:
        """The thing a request names, which must exist."""
        name = named(scope, req, "thing")
        if self.core.store.thing(scope, name) is None:
            raise api.ResourceNotFoundException(f"Thing {name} does not exist")
        return name

    def _group_of(self, scope: Scope, req: Mapping[str, Any]) -> str:
        return self._require(scope, named(scope, req, "thingGroup")).name

    def _add(self, tx: Tx, scope: Scope, group: str, thing: str) -> None:
        has = self.groups.of_thing(scope, thing)
        if group not in has and len(has) >= _OF_THING_MAX:
            raise api.InvalidRequestException(f"A thing can be in {_OF_THING_MAX} groups.")
        hierarchy = {group, *self.groups.ancestors(scope, group)}
        below = set(self.groups.below(scope, group))
        if any(other != group and (other in hierarchy or other in below) for other in has):
            raise api.InvalidRequestException("A thing can not be in two groups of the same branch of a hierarchy.")
        self.groups.add(tx, scope, THING, group, thing)
        self._moved(tx)

    def _moved(self, tx: Tx) -> None:
        """Policies and continuous jobs follow the groups."""
        self.core.access_changed(tx)
        tx.after_commit(lambda: self.core.k.tasks.poke(TASK))

    def _check_parent(self, scope: Scope, parent: str) -> None:
        if not parent:
            return
        if self.groups.group(scope, THING, parent) is None:
            raise api.InvalidRequestException(f"Parent thing group {parent} does not exist")
        if len(self.groups.children(scope, parent)) >= _CHILDREN_MAX:
            raise api.InvalidRequestException(f"A thing group can have {_CHILDREN_MAX} child groups.")
        if len(self.groups.ancestors(scope, parent)) + 2 > _DEPTH_MAX:
            raise api.InvalidRequestException(f"A hierarchy of thing groups can be {_DEPTH_MAX} deep.")

    def _require(self, scope: Scope, name: str) -> Group:
        found = self.groups.group(scope, THING, name)
        if found is None:
            raise api.ResourceNotFoundException(f"Thing group {name} does not exist")
        return found


def named(scope: Scope, req: Mapping[str, Any], kind: str) -> str:
    """A resource given by name, by ARN or by both alike."""
    name, arn = req.get(f"{kind}Name"), req.get(f"{kind}Arn")
    if name is None and arn is None:
        raise api.InvalidRequestException(f"{kind}Name or {kind}Arn must be given.")
    if arn is not None:
        prefix = scope.arn("iot", f"{kind.lower()}/")
        if not arn.startswith(prefix) or name not in (None, arn.removeprefix(prefix)):
            raise api.InvalidRequestException(f"Invalid {kind}Arn {arn}.")
        name = arn.removeprefix(prefix)
    return str(name)


def check_version(group: Group, expected: int | None) -> None:
    """The version a caller expects."""
    if expected is not None and expected != group.version:
        raise api.VersionConflictException(f"Expected version {expected} but the group has version {group.version}")


def _check_attributes(attributes: Mapping[str, str]) -> None:
    if len(attributes) > _ATTRIBUTES_MAX:
        raise api.InvalidRequestException(f"A thing group can have {_ATTRIBUTES_MAX} attributes.")


def _named(scope: Scope, names: list[str]) -> list[api.GroupNameAndArn]:
    return [{"groupName": name, "groupArn": scope.arn("iot", f"thinggroup/{name}")} for name in names]
