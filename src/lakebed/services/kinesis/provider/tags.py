"""Tags of streams, by the stream's operations and by the general ones.

https://docs.aws.amazon.com/streams/latest/dev/tagging.html: at most 50, keys do not begin with ``aws:``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lakebed.api import kinesis as api
from lakebed.kernel.kernel import Kernel
from lakebed.ports.service import Context, operation
from lakebed.services.kinesis import model
from lakebed.services.kinesis.model import Stream
from lakebed.services.kinesis.provider.naming import resource_arn, stream_arn, stream_name
from lakebed.services.kinesis.store import StreamStore


class TagOperations:
    """Operations on tags."""

    def __init__(self, k: Kernel, store: StreamStore) -> None:
        self.k, self.store = k, store

    @operation("AddTagsToStream", resource=stream_arn, refused=("StreamId",))
    async def add_tags_to_stream(self, ctx: Context, req: api.AddTagsToStreamInput) -> None:
        """https://docs.aws.amazon.com/kinesis/latest/APIReference/API_AddTagsToStream.html"""
        self._add(self.store.require(ctx.scope, stream_name(ctx.scope, req)), req["Tags"])

    @operation("TagResource", resource=resource_arn, refused=("StreamId",))
    async def tag_resource(self, ctx: Context, req: api.TagResourceInput) -> None:
        """https://docs.aws.amazon.com/kinesis/latest/APIReference/API_TagResource.html"""
        self._add(self.store.require(ctx.scope, stream_name(ctx.scope, req, "ResourceARN")), req["Tags"])

    @operation("RemoveTagsFromStream", resource=stream_arn, refused=("StreamId",))
    async def remove_tags_from_stream(self, ctx: Context, req: api.RemoveTagsFromStreamInput) -> None:
        """https://docs.aws.amazon.com/kinesis/latest/APIReference/API_RemoveTagsFromStream.html"""
        self._remove(self.store.require(ctx.scope, stream_name(ctx.scope, req)), req["TagKeys"])

    @operation("UntagResource", resource=resource_arn, refused=("StreamId",))
    async def untag_resource(self, ctx: Context, req: api.UntagResourceInput) -> None:
        """https://docs.aws.amazon.com/kinesis/latest/APIReference/API_UntagResource.html"""
        self._remove(self.store.require(ctx.scope, stream_name(ctx.scope, req, "ResourceARN")), req["TagKeys"])

    @operation("ListTagsForStream", resource=stream_arn, refused=("StreamId",))
    async def list_tags_for_stream(self, ctx: Context, req: api.ListTagsForStreamInput) -> api.ListTagsForStreamOutput:
        """https://docs.aws.amazon.com/kinesis/latest/APIReference/API_ListTagsForStream.html"""
        stream = self.store.require(ctx.scope, stream_name(ctx.scope, req))
        after, limit = req.get("ExclusiveStartTagKey", ""), req.get("Limit", model.TAGS_MAX)
        tags = [tag for tag in _listed(stream) if tag["Key"] > after]
        return {"Tags": tags[:limit], "HasMoreTags": len(tags) > limit}

    @operation("ListTagsForResource", resource=resource_arn, refused=("StreamId",))
    async def list_tags_for_resource(
        self, ctx: Context, req: api.ListTagsForResourceInput
    ) -> api.ListTagsForResourceOutput:
        """https://docs.aws.amazon.com/kinesis/latest/APIReference/API_ListTagsForResource.html"""
        return {"Tags": _listed(self.store.require(ctx.scope, stream_name(ctx.scope, req, "ResourceARN")))}

    def _add(self, stream: Stream, tags: Mapping[str, str]) -> None:
        for key in tags:
            if key.lower().startswith("aws:"):
                raise api.InvalidArgumentException(f"Tag key {key} must not begin with aws:.")
        self._update(model.with_tags(stream, tags))

    def _remove(self, stream: Stream, keys: Iterable[str]) -> None:
        self._update(model.without_tags(stream, list(keys)))

    def _update(self, stream: Stream) -> None:
        with self.k.db.tx() as tx:
            self.store.update(tx, stream)


def _listed(stream: Stream) -> list[api.Tag]:
    return [{"Key": key, "Value": value} for key, value in sorted(stream.tags.items())]
