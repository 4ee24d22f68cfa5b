"""Tags: of databases, registries and schemas. The kinds that take tags are listed in one place, with how each is found.

https://docs.aws.amazon.com/glue/latest/dg/monitor-tags.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lakebed.api import glue as api
from lakebed.kernel.arn import parse
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Scope
from lakebed.ports.service import Context, Request, operation
from lakebed.services.glue.store import DatabaseStore

_TAGS_MAX = 50
# The ARN under which the tags of a resource are kept, by its name; raises EntityNotFoundException.
Found = Callable[[Scope, str], str]


def _tagged(_: Scope, req: Request) -> str:
    return str(req["ResourceArn"])


class TagOperations:
    """Everything on tags; ``kinds`` by the first part of an ARN's resource."""

    def __init__(self, k: Kernel, store: DatabaseStore, kinds: Mapping[str, Found]) -> None:
        self._k, self._store, self._kinds = k, store, kinds

    @operation("GetTags", resource=_tagged)
    async def get_tags(self, ctx: Context, req: api.GetTagsRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_GetTags.html"""
        return {"Tags": self._store.tags(ctx.scope, self._arn(ctx.scope, req["ResourceArn"]))}

    @operation("TagResource", resource=_tagged)
    async def tag_resource(self, ctx: Context, req: api.TagResourceRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_TagResource.html"""
        arn = self._arn(ctx.scope, req["ResourceArn"])
        tags = self._store.tags(ctx.scope, arn) | req["TagsToAdd"]
        if len(tags) > _TAGS_MAX:
            raise api.InvalidInputException(f"A resource has at most {_TAGS_MAX} tags.")
        with self._k.db.tx() as tx:
            self._store.set_tags(tx, ctx.scope, arn, tags)
        return {}

    @operation("UntagResource", resource=_tagged)
    async def untag_resource(self, ctx: Context, req: api.UntagResourceRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_UntagResource.html"""
        arn = self._arn(ctx.scope, req["ResourceArn"])
        tags = {key: value for key, value in self._store.tags(ctx.scope, arn).items() if key not in req["TagsToRemove"]}
        with self._k.db.tx() as tx:
            self._store.set_tags(tx, ctx.scope, arn, tags)
        return {}

    def _arn(self, scope: Scope, arn: str) -> str:
        parsed = parse(arn)
        kind, _, name = parsed.resource.partition("/") if parsed else ("", "", "")
        if (
            parsed is None
            or kind not in self._kinds
            or (parsed.account, parsed.region) != (scope.account, scope.region)
        ):
            raise api.InvalidInputException(f"The resource {arn} cannot be tagged.")
        return self._kinds[kind](scope, name)
