"""Event buses, who may put events on them, and tags of buses and rules.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-bus.html
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-bus-perms.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from lakebed.api import events as api
from lakebed.kernel import arn as arns
from lakebed.kernel.scope import Scope
from lakebed.ports.service import Context, operation
from lakebed.services.events.model import BUSES_MAX, DEFAULT, Bus, Rule, invalid, with_tags
from lakebed.services.events.provider.desk import Desk, limit, named_bus, page, start

_NAME = re.compile(r"[A-Za-z0-9_.\-]{1,256}", re.ASCII)
_POLICY_BYTES_MAX = 10_240
_CONFIGURATION = ("KmsKeyIdentifier", "DeadLetterConfig", "LogConfig")


def _tagged_arn(_: Scope, request: Mapping[str, Any]) -> str:
    return str(request["ResourceARN"])


class BusOperations(Desk):
    """Operations on buses."""

    @operation("CreateEventBus", resource=named_bus("Name"), refused=("EventSourceName", *_CONFIGURATION))
    async def create_event_bus(self, ctx: Context, req: api.CreateEventBusRequest) -> api.CreateEventBusResponse:
        """https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_CreateEventBus.html"""
        name = req["Name"]
        if not _NAME.fullmatch(name):
            raise invalid(f"Event bus name '{name}' is not valid: names have letters, digits, _, . and -.")
        exists = api.ResourceAlreadyExistsException(f"Event bus {name} already exists.")
        if name == DEFAULT or self.exchange.buses.find(ctx.scope, name) is not None:
            raise exists
        if self.exchange.buses.count(ctx.scope) >= BUSES_MAX:
            raise api.LimitExceededException("The requested resource exceeds the maximum number allowed.")
        tags = with_tags({}, req.get("Tags") or [])
        bus = Bus(ctx.scope, name, ctx.now, ctx.now, req.get("Description", ""), tags=tags)
        self._put(bus)
        told: api.CreateEventBusResponse = {"EventBusArn": bus.arn}
        return told | {"Description": bus.description} if bus.description else told

    @operation("DeleteEventBus", resource=named_bus("Name"))
    async def delete_event_bus(self, ctx: Context, req: api.DeleteEventBusRequest) -> None:
        """https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_DeleteEventBus.html"""
        if req["Name"] == DEFAULT:
            raise invalid("Cannot delete event bus default.")
        bus = self.exchange.buses.find(ctx.scope, req["Name"])
        if bus is None:
            return
        if self.exchange.rules.count(bus.scope, bus.name):
            raise invalid(f"Event bus {bus.name} can't be deleted since it has rules.")
        with self.k.db.tx() as tx:
            self.exchange.buses.delete(tx, bus)
            for archive in self.exchange.archives.of_place(bus.scope):
                if archive.bus == bus.name:
                    self.exchange.archives.delete(tx, archive)
        self.exchange.forget(bus.scope, bus.name)

    @operation("DescribeEventBus", resource=named_bus("Name"))
    async def describe_event_bus(self, ctx: Context, req: api.DescribeEventBusRequest) -> api.DescribeEventBusResponse:
        """https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_DescribeEventBus.html"""
        return self._described(self.bus(ctx, req.get("Name")))  # type: ignore[return-value]

    @operation("UpdateEventBus", resource=named_bus("Name"), refused=_CONFIGURATION)
    async def update_event_bus(self, ctx: Context, req: api.UpdateEventBusRequest) -> api.UpdateEventBusResponse:
        """https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_UpdateEventBus.html"""
        bus = self.bus(ctx, req.get("Name"))
        bus = msgspec.structs.replace(bus, description=req.get("Description", bus.description), changed=ctx.now)
        self._put(bus)
        return {"Arn": bus.arn, "Name": bus.name, "Description": bus.description}

    @operation("ListEventBuses")
    async def list_event_buses(self, ctx: Context, req: api.ListEventBusesRequest) -> api.ListEventBusesResponse:
        """https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_ListEventBuses.html"""
        prefix, after, size = req.get("NamePrefix", ""), start(req), limit(req)
        found = {bus.name: bus for bus in self.exchange.buses.after(ctx.scope, prefix, after, size + 1)}
        if DEFAULT.startswith(prefix) and after < DEFAULT and DEFAULT not in found:
            found[DEFAULT] = self.bus(ctx, DEFAULT)
        shown, more = page([found[name] for name in sorted(found)], size, lambda bus: bus.name)
        return {"EventBuses": [self._described(bus) for bus in shown], **more}  # type: ignore[typeddict-item]

    @operation("PutPermission", resource=named_bus("EventBusName"))
    async def put_permission(self, ctx: Context, req: api.PutPermissionRequest) -> None:
        """https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutPermission.html"""
        bus = self.bus(ctx, req.get("EventBusName"))
        if "Policy" in req:
            if any(name in req for name in ("Action", "Principal", "StatementId", "Condition")):
                raise invalid("Policy cannot be combined with Action, Principal, StatementId and Condition.")
            statements = _statements(req["Policy"])
        else:
            statement = _statement(bus, req)
            statements = [one for one in bus.statements if one.get("Sid") != statement["Sid"]] + [statement]
        if len(json.dumps(statements)) > _POLICY_BYTES_MAX:
            raise api.PolicyLengthExceededException("The event bus policy is too long.")
        self._put(msgspec.structs.replace(bus, statements=statements, changed=ctx.now))

    @operation("RemovePermission", resource=named_bus("EventBusName"))
    async def remove_permission(self, ctx: Context, req: api.RemovePermissionRequest) -> None:
        """https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_RemovePermission.html"""
        bus = self.bus(ctx, req.get("EventBusName"))
        kept: list[dict[str, Any]] = []
        if not req.get("RemoveAllPermissions"):
            if not bus.statements:
                raise api.ResourceNotFoundException("EventBus does not have a policy.")
            kept = [one for one in bus.statements if one.get("Sid") != req.get("StatementId")]
            if len(kept) == len(bus.statements):
                raise api.ResourceNotFoundException("Statement with the provided id does not exist.")
        self._put(msgspec.structs.replace(bus, statements=kept, changed=ctx.now))

    @operation("TagResource", resource=_tagged_arn)
    async def tag_resource(self, ctx: Context, req: api.TagResourceRequest) -> api.TagResourceResponse:
        """https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_TagResource.html"""
        found = self._tagged(ctx, req["ResourceARN"])
        self._put_tags(found, with_tags(found.tags, req["Tags"]))
        return {}

    @operation("UntagResource", resource=_tagged_arn)
    async def untag_resource(self, ctx: Context, req: api.UntagResourceRequest) -> api.UntagResourceResponse:
        """https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_UntagResource.html"""
        found = self._tagged(ctx, req["ResourceARN"])
        self._put_tags(found, {name: value for name, value in found.tags.items() if name not in req["TagKeys"]})
        return {}

    @operation("ListTagsForResource", resource=_tagged_arn)
    async def list_tags_for_resource(
        self, ctx: Context, req: api.ListTagsForResourceRequest
    ) -> api.ListTagsForResourceResponse:
        """https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_ListTagsForResource.html"""
        tags = self._tagged(ctx, req["ResourceARN"]).tags
        return {"Tags": [{"Key": name, "Value": value} for name, value in sorted(tags.items())]}

    def _tagged(self, ctx: Context, text: str) -> Bus | Rule:
        arn = arns.parse(text)
        if arn is None or arn.service != "events":
            raise invalid(f"Invalid ARN {text[:256]}")
        kind, _, rest = arn.resource.partition("/")
        if Scope(arn.account, arn.region, arn.partition) != ctx.scope:
            raise api.ResourceNotFoundException(f"Resource {text} does not exist.")
        if kind == "event-bus":
            return self.bus(ctx, rest)
        if kind == "rule":
            bus, slash, name = rest.rpartition("/")
            return self.rule(ctx, name, bus if slash else None)
        raise api.ResourceNotFoundException(f"Resource {text} does not exist.")

    def _put_tags(self, found: Bus | Rule, tags: dict[str, str]) -> None:
        changed = msgspec.structs.replace(found, tags=tags)
        if isinstance(changed, Bus):
            self._put(changed)
            return
        with self.k.db.tx() as tx:
            self.exchange.rules.put(tx, changed)
        self.exchange.forget(changed.scope, changed.bus)

    def _put(self, bus: Bus) -> None:
        with self.k.db.tx() as tx:
            self.exchange.buses.put(tx, bus)

    def _described(self, bus: Bus) -> dict[str, Any]:
        told: dict[str, Any] = {"Name": bus.name, "Arn": bus.arn}
        if bus.policy:
            told["Policy"] = bus.policy
        if bus.description:
            told["Description"] = bus.description
        if bus.made:
            told |= {"CreationTime": bus.made, "LastModifiedTime": bus.changed}
        return told


def _statements(text: str) -> list[dict[str, Any]]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    statements = document.get("Statement") if isinstance(document, dict) else None
    statements = [statements] if isinstance(statements, dict) else statements
    if not isinstance(statements, list) or not all(
        isinstance(one, dict) and one.get("Effect") in ("Allow", "Deny") and "Principal" in one for one in statements
    ):
        raise invalid("Policy is not valid: it has no statements with an effect and a principal.")
    return statements


def _statement(bus: Bus, req: api.PutPermissionRequest) -> dict[str, Any]:
    missing = [name for name in ("Action", "Principal", "StatementId") if not req.get(name)]
    if missing:
        raise invalid(f"Parameter(s) {', '.join(missing)} must be specified.")
    if req["Action"] != "events:PutEvents":
        raise invalid("Provided value in parameter 'action' is not supported.")
    principal = req["Principal"]
    if principal != "*" and not (principal.isascii() and principal.isdigit() and len(principal) == 12):
        raise invalid("Provided value in parameter 'principal' is not valid: an account id or *.")
    made: dict[str, Any] = {
        "Sid": req["StatementId"],
        "Effect": "Allow",
        "Principal": "*" if principal == "*" else {"AWS": f"arn:aws:iam::{principal}:root"},
        "Action": "events:PutEvents",
        "Resource": bus.arn,
    }
    if condition := req.get("Condition"):
        made["Condition"] = {condition["Type"]: {condition["Key"]: condition["Value"]}}
    return made
