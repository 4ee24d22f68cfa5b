"""Workgroups and tags.

https://docs.aws.amazon.com/athena/latest/ug/workgroups-manage-queries-control-costs.html
"""

from __future__ import annotations

from typing import Any

from lakebed.api import athena as api
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Scope
from lakebed.ports.service import Context, operation
from lakebed.services.athena import model
from lakebed.services.athena.model import BAD_TOKEN
from lakebed.services.athena.store import Body, Store
from lakebed.wire.aws.pages import opened, sealed

_TAGS_MAX = 50


def workgroup_arn(scope: Scope, req: Any) -> str:
    """The workgroup a request is about."""
    name = req.get("WorkGroup") or req.get("Name") or "primary"
    return scope.arn("athena", f"workgroup/{name}")


def _named_resource(_: Scope, req: Any) -> str:
    return str(req["ResourceARN"])


class Workgroups:
    """Finds workgroups; ``primary`` exists in every account and region."""

    def __init__(self, k: Kernel, store: Store) -> None:
        self._k, self._store = k, store

    def find(self, scope: Scope, name: str) -> Body | None:
        """A workgroup, ``primary`` made at its first use."""
        found = self._store.workgroup(scope, name)
        if found is None and name == "primary":
            found = model.new_workgroup("primary", self._k.clock.now())
            with self._k.db.tx() as tx:
                self._store.put_workgroup(tx, scope, found)
        return found

    def require(self, scope: Scope, name: str) -> Body:
        """A workgroup that exists."""
        found = self.find(scope, name)
        if found is None:
            raise api.InvalidRequestException(f"WorkGroup {name} is not found.")
        return found


class WorkgroupOperations:
    """Operations on workgroups and their tags."""

    def __init__(self, k: Kernel, store: Store, workgroups: Workgroups) -> None:
        self.k, self.store, self.workgroups = k, store, workgroups

    @operation("CreateWorkGroup", resource=workgroup_arn)
    async def create_work_group(self, ctx: Context, req: api.CreateWorkGroupInput) -> None:
        """https://docs.aws.amazon.com/athena/latest/APIReference/API_CreateWorkGroup.html"""
        name = req["Name"]
        made = model.new_workgroup(name, ctx.now, dict(req.get("Configuration", {})), req.get("Description", ""))
        tags = tags_of(req.get("Tags", []))
        with self.k.db.tx() as tx:
            if self.workgroups.find(ctx.scope, name) is not None:
                raise api.InvalidRequestException("WorkGroup is already created")
            self.store.put_workgroup(tx, ctx.scope, made)
            self.store.put_tags(tx, ctx.scope, ctx.scope.arn("athena", f"workgroup/{name}"), tags)

    @operation("GetWorkGroup", resource=workgroup_arn)
    async def get_work_group(self, ctx: Context, req: api.GetWorkGroupInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/athena/latest/APIReference/API_GetWorkGroup.html"""
        return {"WorkGroup": self.workgroups.require(ctx.scope, req["WorkGroup"])}

    @operation("ListWorkGroups")
    async def list_work_groups(self, ctx: Context, req: api.ListWorkGroupsInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/athena/latest/APIReference/API_ListWorkGroups.html"""
        limit, after = req.get("MaxResults", 50), opened(req.get("NextToken"), str, "", BAD_TOKEN)
        self.workgroups.find(ctx.scope, "primary")
        found = self.store.workgroups(ctx.scope, after, limit + 1)
        listed = [
            {**{key: group[key] for key in ("Name", "State", "Description", "CreationTime")},
             "EngineVersion": group["Configuration"]["EngineVersion"]}
            for group in found[:limit]
        ]  # fmt: skip
        return {
            "WorkGroups": listed,
            **({"NextToken": sealed(found[limit - 1]["Name"])} if len(found) > limit else {}),
        }

    @operation("UpdateWorkGroup", resource=workgroup_arn)
    async def update_work_group(self, ctx: Context, req: api.UpdateWorkGroupInput) -> None:
        """https://docs.aws.amazon.com/athena/latest/APIReference/API_UpdateWorkGroup.html"""
        with self.k.db.tx() as tx:
            group = self.workgroups.require(ctx.scope, req["WorkGroup"])
            changed = {
                **group,
                "State": req.get("State", group["State"]),
                "Description": req.get("Description", group["Description"]),
                "Configuration": model.updated(group["Configuration"], dict(req.get("ConfigurationUpdates", {}))),
            }
            self.store.put_workgroup(tx, ctx.scope, changed)

    @operation("DeleteWorkGroup", resource=workgroup_arn)
    async def delete_work_group(self, ctx: Context, req: api.DeleteWorkGroupInput) -> None:
        """https://docs.aws.amazon.com/athena/latest/APIReference/API_DeleteWorkGroup.html"""
        name = req["WorkGroup"]
        with self.k.db.tx() as tx:
            self.workgroups.require(ctx.scope, name)
            if name == "primary":
                raise api.InvalidRequestException("WorkGroup primary cannot be deleted")
            if not req.get("RecursiveDeleteOption", False) and self.store.used(ctx.scope, name):
                raise api.InvalidRequestException(f"WorkGroup {name} is not empty")
            self.store.delete_workgroup(tx, ctx.scope, name)
            self.store.put_tags(tx, ctx.scope, ctx.scope.arn("athena", f"workgroup/{name}"), {})

    @operation("ListEngineVersions")
    async def list_engine_versions(self, _: Context, req: api.ListEngineVersionsInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/athena/latest/APIReference/API_ListEngineVersions.html"""
        opened(req.get("NextToken"), tuple[int], (0,), BAD_TOKEN)
        versions = [model.ENGINE_VERSION, {**model.ENGINE_VERSION, "SelectedEngineVersion": "Athena engine version 3"}]
        return {"EngineVersions": versions[: req.get("MaxResults", 10)]}

    @operation("TagResource", resource=_named_resource)
    async def tag_resource(self, ctx: Context, req: api.TagResourceInput) -> None:
        """https://docs.aws.amazon.com/athena/latest/APIReference/API_TagResource.html"""
        self._require(ctx.scope, req["ResourceARN"])
        with self.k.db.tx() as tx:
            tags = {**self.store.tags(ctx.scope, req["ResourceARN"]), **tags_of(req["Tags"])}
            if len(tags) > _TAGS_MAX:
                raise api.InvalidRequestException(f"A resource can have at most {_TAGS_MAX} tags")
            self.store.put_tags(tx, ctx.scope, req["ResourceARN"], tags)

    @operation("UntagResource", resource=_named_resource)
    async def untag_resource(self, ctx: Context, req: api.UntagResourceInput) -> None:
        """https://docs.aws.amazon.com/athena/latest/APIReference/API_UntagResource.html"""
        self._require(ctx.scope, req["ResourceARN"])
        with self.k.db.tx() as tx:
            tags = self.store.tags(ctx.scope, req["ResourceARN"])
            left = {key: value for key, value in tags.items() if key not in req["TagKeys"]}
            self.store.put_tags(tx, ctx.scope, req["ResourceARN"], left)

    @operation("ListTagsForResource", resource=_named_resource)
    async def list_tags_for_resource(self, ctx: Context, req: api.ListTagsForResourceInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/athena/latest/APIReference/API_ListTagsForResource.html"""
        self._require(ctx.scope, req["ResourceARN"])
        limit, after = req.get("MaxResults", 75), opened(req.get("NextToken"), str, "", BAD_TOKEN)
        items = [item for item in self.store.tags(ctx.scope, req["ResourceARN"]).items() if item[0] > after]
        more = {"NextToken": sealed(items[limit - 1][0])} if len(items) > limit else {}
        return {"Tags": [{"Key": key, "Value": value} for key, value in items[:limit]], **more}

    def _require(self, scope: Scope, arn: str) -> None:
        kinds = {"workgroup/": self.workgroups.find, "capacity-reservation/": self.store.reservation,
                 "datacatalog/": self.store.data_catalog}  # fmt: skip
        for kind, find in kinds.items():
            prefix = scope.arn("athena", kind)
            if arn.startswith(prefix) and find(scope, arn.removeprefix(prefix)) is not None:
                return
        raise api.ResourceNotFoundException(f"Resource {arn} is not found")


def tags_of(listed: Any) -> dict[str, str]:
    """A list of tags as a mapping."""
    return {tag["Key"]: tag.get("Value", "") for tag in listed if "Key" in tag}
