"""Log groups: made, described, kept for a time, tagged, removed.

https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogGroup.html
"""

from __future__ import annotations

from typing import Any

from lakebed.api import logs as api
from lakebed.kernel.errors import not_built
from lakebed.ports.service import Context, operation
from lakebed.services.logs.journal import RETENTION_TASK
from lakebed.services.logs.model import RETENTION_DAYS, TAGS_MAX, Group
from lakebed.services.logs.provider.desk import Desk, group_arn, name_of, tagged_arn

_PAGE = 50


class GroupOperations(Desk):
    """Everything on groups but their streams and events."""

    @operation("CreateLogGroup", resource=group_arn, refused=("kmsKeyId", "deletionProtectionEnabled"))
    async def create_log_group(self, ctx: Context, req: api.CreateLogGroupRequest) -> None:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogGroup.html"""
        if req.get("logGroupClass", "STANDARD") != "STANDARD":
            raise not_built("logs", "CreateLogGroup", f"logGroupClass {req['logGroupClass']}")
        with self.k.db.tx() as tx:
            if self.journal.groups.find(ctx.scope, req["logGroupName"]) is not None:
                raise api.ResourceAlreadyExistsException("The specified log group already exists")
            self.journal.groups.insert(tx, ctx.scope, req["logGroupName"], self.journal.now(), req.get("tags") or {})

    @operation("DeleteLogGroup", resource=group_arn)
    async def delete_log_group(self, ctx: Context, req: api.DeleteLogGroupRequest) -> None:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DeleteLogGroup.html"""
        with self.k.db.tx() as tx:
            group = self.group(ctx, req)
            self.journal.groups.delete(tx, group)
            self.journal.filters.store.delete_all(tx, group.id)
            self.journal.filters.forget(group.id)
            tx.after_commit(lambda: self.k.tasks.poke(RETENTION_TASK))

    @operation("DescribeLogGroups", resource=group_arn, refused=("accountIdentifiers", "includeLinkedAccounts"))
    async def describe_log_groups(self, ctx: Context, req: api.DescribeLogGroupsRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DescribeLogGroups.html"""
        prefix, pattern = req.get("logGroupNamePrefix", ""), req.get("logGroupNamePattern", "")
        if prefix and pattern:
            raise api.InvalidParameterException(
                "LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters."
            )
        if req.get("logGroupClass", "STANDARD") != "STANDARD":
            return {"logGroups": []}
        if "logGroupIdentifiers" in req:
            names = [name_of(ctx.scope, identifier) for identifier in req["logGroupIdentifiers"]]
            known = [self.journal.groups.find(ctx.scope, name) for name in sorted(set(names))]
            return {"logGroups": [self._shown(group) for group in known if group is not None]}
        limit, after = req.get("limit", _PAGE), req.get("nextToken", "")
        found: list[Group] = []
        while len(found) <= limit:
            page = self.journal.groups.after(ctx.scope, prefix, after, 1000)
            found += [group for group in page if pattern in group.name]
            if len(page) < 1000:
                break
            after = page[-1].name
        result: dict[str, Any] = {"logGroups": [self._shown(group) for group in found[:limit]]}
        if len(found) > limit:
            result["nextToken"] = found[limit - 1].name
        return result

    @operation("PutRetentionPolicy", resource=group_arn)
    async def put_retention_policy(self, ctx: Context, req: api.PutRetentionPolicyRequest) -> None:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html"""
        if req["retentionInDays"] not in RETENTION_DAYS:
            raise api.InvalidParameterException(
                f"Invalid retention value. Valid values are: {', '.join(map(str, RETENTION_DAYS))}"
            )
        self._set_retention(self.group(ctx, req), req["retentionInDays"])

    @operation("DeleteRetentionPolicy", resource=group_arn)
    async def delete_retention_policy(self, ctx: Context, req: api.DeleteRetentionPolicyRequest) -> None:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DeleteRetentionPolicy.html"""
        self._set_retention(self.group(ctx, req), None)

    @operation("TagResource", resource=tagged_arn)
    async def tag_resource(self, ctx: Context, req: api.TagResourceRequest) -> None:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_TagResource.html"""
        self._tag(self.journal.group(ctx.scope, name_of(ctx.scope, req["resourceArn"])), req["tags"])

    @operation("UntagResource", resource=tagged_arn)
    async def untag_resource(self, ctx: Context, req: api.UntagResourceRequest) -> None:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_UntagResource.html"""
        self._untag(self.journal.group(ctx.scope, name_of(ctx.scope, req["resourceArn"])), req["tagKeys"])

    @operation("ListTagsForResource", resource=tagged_arn)
    async def list_tags_for_resource(self, ctx: Context, req: api.ListTagsForResourceRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_ListTagsForResource.html"""
        return {"tags": self.journal.group(ctx.scope, name_of(ctx.scope, req["resourceArn"])).tags}

    @operation("TagLogGroup", resource=group_arn)
    async def tag_log_group(self, ctx: Context, req: api.TagLogGroupRequest) -> None:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_TagLogGroup.html"""
        self._tag(self.group(ctx, req), req["tags"])

    @operation("UntagLogGroup", resource=group_arn)
    async def untag_log_group(self, ctx: Context, req: api.UntagLogGroupRequest) -> None:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_UntagLogGroup.html"""
        self._untag(self.group(ctx, req), req["tags"])

    @operation("ListTagsLogGroup", resource=group_arn)
    async def list_tags_log_group(self, ctx: Context, req: api.ListTagsLogGroupRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_ListTagsLogGroup.html"""
        return {"tags": self.group(ctx, req).tags}

    def _shown(self, group: Group) -> dict[str, Any]:
        return group.shown() | {"metricFilterCount": len(self.journal.filters.store.of_group(group.id, "metric"))}

    def _set_retention(self, group: Group, days: int | None) -> None:
        with self.k.db.tx() as tx:
            self.journal.groups.set_retention(tx, group, days)
            tx.after_commit(lambda: self.k.tasks.poke(RETENTION_TASK))

    def _tag(self, group: Group, added: dict[str, str]) -> None:
        tags = group.tags | added
        if len(tags) > TAGS_MAX:
            raise api.TooManyTagsException(f"A resource can have no more than {TAGS_MAX} tags.")
        with self.k.db.tx() as tx:
            self.journal.groups.set_tags(tx, group, tags)

    def _untag(self, group: Group, keys: list[str]) -> None:
        with self.k.db.tx() as tx:
            self.journal.groups.set_tags(
                tx, group, {key: value for key, value in group.tags.items() if key not in keys}
            )
