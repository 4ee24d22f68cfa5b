"""Tags of streams and of registered consumers, by the stream's operations and by the general ones.

https://docs.aws.amazon.com/streams/latest/dev/tagging.html: at most 50, keys do not begin with ``aws:``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from lakebed.api import kinesis as api
from lakebed.kernel.kernel import Kernel
from lakebed.ports.service import Context, operation
from lakebed.services.kinesis import model
from lakebed.services.kinesis.access import Access
from lakebed.services.kinesis.consumers import Consumer, ConsumerStore
from lakebed.services.kinesis.model import Stream
from lakebed.services.kinesis.provider.naming import is_consumer, resource_arn, stream_arn
from lakebed.services.kinesis.store import StreamStore


class TagOperations:
    """Operations on tags. The permission is asked for by ``Access``, in the handler."""

    def __init__(self, k: Kernel, access: Access, store: StreamStore, consumers: ConsumerStore) -> None:
        self.k, self.access, self.store, self.consumers = k, access, store, consumers

    @operation("AddTagsToStream", action=None, resource=stream_arn, refused=("StreamId",))
    async def add_tags_to_stream(self, ctx: Context, req: api.AddTagsToStreamInput) -> None:
        """https://docs.aws.amazon.com/kinesis/latest/APIReference/API_AddTagsToStream.html"""
        self._add(self.access.stream(ctx, req, "AddTagsToStream"), None, req["Tags"])

    @operation("TagResource", action=None, resource=resource_arn, refused=("StreamId",))
    async def tag_resource(self, ctx: Context, req: api.TagResourceInput) -> None:
        """https://docs.aws.amazon.com/kinesis/latest/APIReference/API_TagResource.html"""
        self._add(*self._resource(ctx, req, "TagResource"), req["Tags"])

    @operation("RemoveTagsFromStream", action=None, resource=stream_arn, refused=("StreamId",))
    async def remove_tags_from_stream(self, ctx: Context, req: api.RemoveTagsFromStreamInput) -> None:
        """https://docs.aws.amazon.com/kinesis/latest/APIReference/API_RemoveTagsFromStream.html"""
        self._remove(self.access.stream(ctx, req, "RemoveTagsFromStream"), None, req["TagKeys"])

    @operation("UntagResource", action=None, resource=resource_arn, refused=("StreamId",))
    async def untag_resource(self, ctx: Context, req: api.UntagResourceInput) -> None:
        """https://docs.aws.amazon.com/kinesis/latest/APIReference/API_UntagResource.html"""
        self._remove(*self._resource(ctx, req, "UntagResource"), req["TagKeys"])

    @operation("ListTagsForStream", action=None, resource=stream_arn, refused=("StreamId",))
    async def list_tags_for_stream(self, ctx: Context, req: api.ListTagsForStreamInput) -> api.ListTagsForStreamOutput:
        """https://docs.aws.amazon.com/kinesis/latest/APIReference/API_ListTagsForStream.html"""
        stream = self.access.stream(ctx, req, "ListTagsForStream")
        after, limit = req.get("ExclusiveStartTagKey", ""), req.get("Limit", model.TAGS_MAX)
        tags = [tag for tag in _listed(stream.tags) if tag["Key"] > after]
        return {"Tags": tags[:limit], "HasMoreTags": len(tags) > limit}

    @operation("ListTagsForResource", action=None, resource=resource_arn, refused=("StreamId",))
    async def list_tags_for_resource(
        self, ctx: Context, req: api.ListTagsForResourceInput
    ) -> api.ListTagsForResourceOutput:
        """https://docs.aws.amazon.com/kinesis/latest/APIReference/API_ListTagsForResource.html"""
        stream, consumer = self._resource(ctx, req, "ListTagsForResource")
        return {"Tags": _listed(consumer.tags if consumer else stream.tags)}

    def _resource(self, ctx: Context, req: Any, action: str) -> tuple[Stream, Consumer | None]:
        if is_consumer(req["ResourceARN"]):
            return self.access.consumer(ctx, req, action, member="ResourceARN")
        return self.access.stream(ctx, req, action, member="ResourceARN"), None

    def _add(self, stream: Stream, consumer: Consumer | None, tags: Mapping[str, str]) -> None:
        current = consumer.tags if consumer else stream.tags
        self._keep(stream, consumer, model.with_tags(current, tags, stream.name, stream.scope.account))

    def _remove(self, stream: Stream, consumer: Consumer | None, keys: Collection[str]) -> None:
        current = consumer.tags if consumer else stream.tags
        self._keep(stream, consumer, {key: value for key, value in current.items() if key not in keys})

    def _keep(self, stream: Stream, consumer: Consumer | None, tags: Mapping[str, str]) -> None:
        with self.k.db.tx() as tx:
            if consumer is not None:
                self.consumers.update(tx, stream, replace(consumer, tags=tags))
            else:
                self.store.update(tx, replace(stream, tags=tags))


def _listed(tags: Mapping[str, str]) -> list[api.Tag]:
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]
