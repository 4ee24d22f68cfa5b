"""Billing groups. https://docs.aws.amazon.com/iot/latest/developerguide/tagging-iot-billing-groups.html

A thing is in at most one. Nothing is billed here; the groups and their tags are kept for tools that manage them.
"""

from __future__ import annotations

from lakebed.api import iot as api
from lakebed.kernel.db import Tx
from lakebed.kernel.scope import Scope
from lakebed.ports.service import Context, Request, operation
from lakebed.services.iot.group_store import BILLING, Group, GroupStore
from lakebed.services.iot.provider.thing_groups import check_version, named
from lakebed.services.iot.state import Core, tags_of

_PAGE = 25


def billing_arn(scope: Scope, req: Request) -> str:
    """The group an operation is on."""
    return str(req.get("billingGroupArn") or scope.arn("iot", f"billinggroup/{req.get('billingGroupName', '')}"))


def billing_and_thing(scope: Scope, req: Request) -> list[str]:
    """Both must be allowed."""
    thing = req.get("thingArn") or scope.arn("iot", f"thing/{req.get('thingName', '')}")
    return [billing_arn(scope, req), str(thing)]


def join(groups: GroupStore, tx: Tx, scope: Scope, name: str, thing: str) -> None:
    """Put a thing into a billing group, and out of the one it was in."""
    for other in groups.of_thing(scope, thing, BILLING):
        groups.remove(tx, scope, BILLING, other, thing)
    groups.add(tx, scope, BILLING, name, thing)


class BillingGroupOperations:
    """See the module."""

    def __init__(self, core: Core, groups: GroupStore) -> None:
        self.core, self.groups = core, groups

    @operation("CreateBillingGroup", resource=billing_arn)
    async def create_billing_group(
        self, ctx: Context, req: api.CreateBillingGroupRequest
    ) -> api.CreateBillingGroupResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_CreateBillingGroup.html"""
        name, arn, tags = req["billingGroupName"], billing_arn(ctx.scope, dict(req)), tags_of(req.get("tags"))
        description = req.get("billingGroupProperties", {}).get("billingGroupDescription", "")
        with self.groups.db.tx() as tx:
            known = self.groups.group(ctx.scope, BILLING, name)
            if known is not None and known.description != description:
                raise api.ResourceAlreadyExistsException(f"Billing group {name} exists with different properties")
            if known is None:
                known = Group(BILLING, name, self.core.k.ids.uuid(), "", description, {}, 1, ctx.now)
                self.groups.put(tx, ctx.scope, known)
                self.core.store.put_tags(tx, ctx.scope, arn, tags)
        return {"billingGroupName": name, "billingGroupArn": arn, "billingGroupId": known.id}

    @operation("DescribeBillingGroup", resource=billing_arn)
    async def describe_billing_group(
        self, ctx: Context, req: api.DescribeBillingGroupRequest
    ) -> api.DescribeBillingGroupResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_DescribeBillingGroup.html"""
        found = self._require(ctx.scope, req["billingGroupName"])
        answer: api.DescribeBillingGroupResponse = {
            "billingGroupName": found.name,
            "billingGroupId": found.id,
            "billingGroupArn": ctx.scope.arn("iot", found.resource),
            "version": found.version,
            "billingGroupProperties": {},
            "billingGroupMetadata": {"creationDate": found.created},
        }
        if found.description:
            answer["billingGroupProperties"] = {"billingGroupDescription": found.description}
        return answer

    @operation("UpdateBillingGroup", resource=billing_arn)
    async def update_billing_group(
        self, ctx: Context, req: api.UpdateBillingGroupRequest
    ) -> api.UpdateBillingGroupResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_UpdateBillingGroup.html"""
        description = req["billingGroupProperties"].get("billingGroupDescription", "")
        with self.groups.db.tx() as tx:
            found = self._require(ctx.scope, req["billingGroupName"])
            check_version(found, req.get("expectedVersion"))
            self.groups.put(tx, ctx.scope, found._replace(description=description, version=found.version + 1))
        return {"version": found.version + 1}

    @operation("DeleteBillingGroup", resource=billing_arn)
    async def delete_billing_group(
        self, ctx: Context, req: api.DeleteBillingGroupRequest
    ) -> api.DeleteBillingGroupResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_DeleteBillingGroup.html: absent is no error."""
        with self.groups.db.tx() as tx:
            found = self.groups.group(ctx.scope, BILLING, req["billingGroupName"])
            if found is not None:
                check_version(found, req.get("expectedVersion"))
                self.groups.delete(tx, ctx.scope, BILLING, found.name)
                self.core.store.delete_tags(tx, ctx.scope, ctx.scope.arn("iot", found.resource))
        return {}

    @operation("ListBillingGroups")
    async def list_billing_groups(
        self, ctx: Context, req: api.ListBillingGroupsRequest
    ) -> api.ListBillingGroupsResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_ListBillingGroups.html"""
        limit, prefix = req.get("maxResults", _PAGE), req.get("namePrefixFilter", "")
        every = self.groups.groups(ctx.scope, BILLING, req.get("nextToken", ""), 100_000)
        found = [group for group in every if group.name.startswith(prefix)]
        answer: api.ListBillingGroupsResponse = {
            "billingGroups": [
                {"groupName": group.name, "groupArn": ctx.scope.arn("iot", group.resource)} for group in found[:limit]
            ]
        }
        if len(found) > limit:
            answer["nextToken"] = found[limit - 1].name
        return answer

    @operation("AddThingToBillingGroup", resource=billing_and_thing)
    async def add_thing_to_billing_group(
        self, ctx: Context, req: api.AddThingToBillingGroupRequest
    ) -> api.AddThingToBillingGroupResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_AddThingToBillingGroup.html"""
        with self.groups.db.tx() as tx:
            group = self._require(ctx.scope, named(ctx.scope, dict(req), "billingGroup"))
            join(self.groups, tx, ctx.scope, group.name, self._thing(ctx.scope, dict(req)))
            self.core.access_changed(tx)
        return {}

    @operation("RemoveThingFromBillingGroup", resource=billing_and_thing)
    async def remove_thing_from_billing_group(
        self, ctx: Context, req: api.RemoveThingFromBillingGroupRequest
    ) -> api.RemoveThingFromBillingGroupResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_RemoveThingFromBillingGroup.html"""
        with self.groups.db.tx() as tx:
            group = self._require(ctx.scope, named(ctx.scope, dict(req), "billingGroup"))
            self.groups.remove(tx, ctx.scope, BILLING, group.name, self._thing(ctx.scope, dict(req)))
            self.core.access_changed(tx)
        return {}

    @operation("ListThingsInBillingGroup", resource=billing_arn)
    async def list_things_in_billing_group(
        self, ctx: Context, req: api.ListThingsInBillingGroupRequest
    ) -> api.ListThingsInBillingGroupResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_ListThingsInBillingGroup.html"""
        name, limit = self._require(ctx.scope, req["billingGroupName"]).name, req.get("maxResults", _PAGE)
        found = self.groups.members(ctx.scope, BILLING, name, req.get("nextToken", ""), limit + 1)
        answer: api.ListThingsInBillingGroupResponse = {"things": found[:limit]}
        if len(found) > limit:
            answer["nextToken"] = found[limit - 1]
        return answer

    def _thing(self, scope: Scope, req: Request) -> str:
        name = named(scope, req, "thing")
        if self.core.store.thing(scope, name) is None:
            raise api.ResourceNotFoundException(f"Thing {name} does not exist")
        return name

    def _require(self, scope: Scope, name: str) -> Group:
        found = self.groups.group(scope, BILLING, name)
        if found is None:
            raise api.ResourceNotFoundException(f"Billing group {name} does not exist")
        return found
