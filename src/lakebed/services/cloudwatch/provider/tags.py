"""Tags of alarms and dashboards.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_TagResource.html
"""

from __future__ import annotations

from typing import Any

from lakebed.api import cloudwatch as api
from lakebed.kernel.arn import parse
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Scope
from lakebed.ports.service import Context, Request, operation
from lakebed.services.cloudwatch import model
from lakebed.services.cloudwatch.tagged import TagStore


def tagged_arn(scope: Scope, req: Request) -> str:
    """What a permission is asked for; a dashboard's ARN has no region, so the scope adds nothing."""
    return str(req["ResourceARN"]) or scope.arn("cloudwatch", "*")


class TagOperations:
    """Both kinds of resources that have tags."""

    def __init__(self, k: Kernel) -> None:
        self.k = k
        self.tags = TagStore(k.db)

    @operation("TagResource", resource=tagged_arn)
    async def tag_resource(self, ctx: Context, req: api.TagResourceInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_TagResource.html"""
        kind, name, tags = self._found(ctx.scope, req["ResourceARN"])
        tags |= {tag["Key"]: tag["Value"] for tag in req["Tags"]}
        if len(tags) > 50 or any(key.startswith("aws:") for key in tags):
            raise api.InvalidParameterValueException("At most 50 tags, none with the prefix aws:, are allowed.")
        with self.k.db.tx() as tx:
            self.tags.put(tx, ctx.scope, kind, name, tags)
        return {}

    @operation("UntagResource", resource=tagged_arn)
    async def untag_resource(self, ctx: Context, req: api.UntagResourceInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_UntagResource.html"""
        kind, name, tags = self._found(ctx.scope, req["ResourceARN"])
        with self.k.db.tx() as tx:
            kept = {key: value for key, value in tags.items() if key not in req["TagKeys"]}
            self.tags.put(tx, ctx.scope, kind, name, kept)
        return {}

    @operation("ListTagsForResource", resource=tagged_arn)
    async def list_tags_for_resource(self, ctx: Context, req: api.ListTagsForResourceInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_ListTagsForResource.html"""
        _, _, tags = self._found(ctx.scope, req["ResourceARN"])
        return {"Tags": [{"Key": key, "Value": value} for key, value in sorted(tags.items())]}

    def _found(self, scope: Scope, text: str) -> tuple[str, str, dict[str, str]]:
        arn = parse(text)
        if arn is None or arn.service != "cloudwatch":
            raise api.InvalidParameterValueException(f"The value {text} for parameter ResourceARN is invalid.")
        kind, _, name = arn.resource.replace("/", ":", 1 if arn.resource.startswith("dashboard/") else 0).partition(":")
        expected = {"alarm": model.alarm_arn(scope, name), "dashboard": model.dashboard_arn(scope, name)}.get(kind)
        tags = self.tags.find(scope, kind, name) if expected == text else None
        if tags is None:
            raise api.ResourceNotFoundException(f"The resource {text} does not exist.")
        return kind, name, tags
