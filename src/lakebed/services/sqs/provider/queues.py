"""Queues: made, found, changed, emptied, removed.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_Operations.html
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from lakebed.api import sqs as api
from lakebed.kernel.scope import Scope
from lakebed.ports.service import Context, Request, operation
from lakebed.services.sqs import attributes as rules
from lakebed.services.sqs.attributes import parameter_error
from lakebed.services.sqs.model import Queue, check_queue_name
from lakebed.services.sqs.provider.desk import Desk, url_of
from lakebed.wire.aws.pages import opened, sealed

_PAGE_MAX = 1000
_PURGE_SECONDS = 60
_TAGS_MAX = 50


def _named(scope: Scope, request: Request) -> str:
    owner = request.get("QueueOwnerAWSAccountId") or scope.account
    return Scope(owner, scope.region, scope.partition).arn("sqs", request["QueueName"])


class QueueOperations(Desk):
    """Everything about a queue but its messages."""

    @operation("CreateQueue", resource=_named)
    async def create_queue(self, ctx: Context, req: api.CreateQueueRequest) -> api.CreateQueueResult:
        """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html"""
        name, store = req["QueueName"], self.exchange.queues
        wanted = rules.checked(req.get("Attributes") or {})
        is_fifo = wanted.get("FifoQueue") == "true"
        rules.check_type(wanted, is_fifo=is_fifo)
        check_queue_name(name, is_fifo=is_fifo)
        tags = _checked_tags({}, req.get("tags") or {})
        with self.k.db.tx() as tx:
            found = store.find(ctx.scope, name)
            if found is not None:
                for attribute, value in wanted.items():
                    if found.attributes.get(attribute, "") != value:
                        raise api.QueueNameExists(
                            f"A queue already exists with the same name and a different value for attribute {attribute}"
                        )
                return {"QueueUrl": url_of(ctx, found)}
            settings = rules.with_encryption(rules.DEFAULTS | (rules.FIFO_DEFAULTS if is_fifo else {}), wanted)
            queue = Queue(ctx.scope, store.new_id(tx), name, settings, tags, ctx.now, ctx.now, 0.0)
            rules.check_throughput(settings)
            self._check_dead_letters(queue, wanted)
            store.put(tx, queue)
        return {"QueueUrl": url_of(ctx, queue)}

    @operation("GetQueueUrl", resource=_named)
    async def get_queue_url(self, ctx: Context, req: api.GetQueueUrlRequest) -> api.GetQueueUrlResult:
        """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueUrl.html"""
        return {"QueueUrl": url_of(ctx, self.exchange.require(_named(ctx.scope, dict(req))))}

    @operation("ListQueues")
    async def list_queues(self, ctx: Context, req: api.ListQueuesRequest) -> api.ListQueuesResult:
        """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ListQueues.html"""
        limit = _page_size(req.get("MaxResults"))
        after = _start(req.get("NextToken"))
        found = self.exchange.queues.after(ctx.scope, req.get("QueueNamePrefix", ""), after, limit + 1)
        result: api.ListQueuesResult = {}
        if found:
            result["QueueUrls"] = [url_of(ctx, queue) for queue in found[:limit]]
        if len(found) > limit and "MaxResults" in req:
            result["NextToken"] = sealed(found[limit - 1].name)
        return result

    @operation("DeleteQueue", action=None)
    async def delete_queue(self, ctx: Context, req: api.DeleteQueueRequest) -> None:
        """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteQueue.html"""
        queue = self.queue(ctx, req["QueueUrl"], "DeleteQueue")
        with self.k.db.tx() as tx:
            self.exchange.queues.delete(tx, queue)
        self._emptied(queue)

    @operation("PurgeQueue", action=None)
    async def purge_queue(self, ctx: Context, req: api.PurgeQueueRequest) -> None:
        """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_PurgeQueue.html"""
        queue = self.queue(ctx, req["QueueUrl"], "PurgeQueue")
        if ctx.now - queue.purged < _PURGE_SECONDS:
            raise api.PurgeQueueInProgress(
                f"Only one PurgeQueue operation on {queue.name} is allowed every {_PURGE_SECONDS} seconds."
            )
        store = self.exchange.queues
        with self.k.db.tx() as tx:
            store.discard_messages(tx, queue)
            store.put(tx, msgspec.structs.replace(queue, id=store.new_id(tx), purged=ctx.now))
        self._emptied(queue)

    @operation("GetQueueAttributes", action=None)
    async def get_queue_attributes(
        self, ctx: Context, req: api.GetQueueAttributesRequest
    ) -> api.GetQueueAttributesResult:
        """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html"""
        queue, wanted = self.queue(ctx, req["QueueUrl"], "GetQueueAttributes"), req.get("AttributeNames") or []
        for name in wanted:
            if name != "All" and name not in rules.READABLE:
                raise api.InvalidAttributeName(f"Unknown Attribute {name}.")
        told = {
            key: value for key, value in self._attributes(queue, ctx.now).items() if "All" in wanted or key in wanted
        }
        return {"Attributes": told} if told else {}

    @operation("SetQueueAttributes", action=None)
    async def set_queue_attributes(self, ctx: Context, req: api.SetQueueAttributesRequest) -> None:
        """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html"""
        queue = self.queue(ctx, req["QueueUrl"], "SetQueueAttributes")
        wanted = rules.checked(req["Attributes"])
        rules.check_type(wanted, is_fifo=queue.is_fifo)
        self._check_dead_letters(queue, wanted)
        merged = rules.with_encryption(queue.attributes, wanted)
        rules.check_throughput(merged)
        with self.k.db.tx() as tx:
            self.exchange.queues.put(tx, msgspec.structs.replace(queue, attributes=merged, modified=ctx.now))

    @operation("ListDeadLetterSourceQueues", action=None)
    async def list_dead_letter_source_queues(
        self, ctx: Context, req: api.ListDeadLetterSourceQueuesRequest
    ) -> api.ListDeadLetterSourceQueuesResult:
        """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ListDeadLetterSourceQueues.html"""
        target, limit = (
            self.queue(ctx, req["QueueUrl"], "ListDeadLetterSourceQueues"),
            _page_size(req.get("MaxResults")),
        )
        after = _start(req.get("NextToken"))
        found: list[Queue] = []
        while len(found) <= limit:
            page = self.exchange.queues.after(target.scope, "", after, _PAGE_MAX)
            found += [queue for queue in page if queue.redrive and queue.redrive[0] == target.arn]
            if len(page) < _PAGE_MAX:
                break
            after = page[-1].name
        result: api.ListDeadLetterSourceQueuesResult = {"queueUrls": [url_of(ctx, queue) for queue in found[:limit]]}
        if len(found) > limit and "MaxResults" in req:
            result["NextToken"] = sealed(found[limit - 1].name)
        return result

    @operation("TagQueue", action=None)
    async def tag_queue(self, ctx: Context, req: api.TagQueueRequest) -> None:
        """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_TagQueue.html"""
        queue = self.queue(ctx, req["QueueUrl"], "TagQueue")
        self._put_tags(queue, _checked_tags(queue.tags, req["Tags"]))

    @operation("UntagQueue", action=None)
    async def untag_queue(self, ctx: Context, req: api.UntagQueueRequest) -> None:
        """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_UntagQueue.html"""
        queue = self.queue(ctx, req["QueueUrl"], "UntagQueue")
        self._put_tags(queue, {key: value for key, value in queue.tags.items() if key not in req["TagKeys"]})

    @operation("ListQueueTags", action=None)
    async def list_queue_tags(self, ctx: Context, req: api.ListQueueTagsRequest) -> api.ListQueueTagsResult:
        """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ListQueueTags.html"""
        tags = self.queue(ctx, req["QueueUrl"], "ListQueueTags").tags
        return {"Tags": tags} if tags else {}

    def _put_tags(self, queue: Queue, tags: dict[str, str]) -> None:
        with self.k.db.tx() as tx:
            self.exchange.queues.put(tx, msgspec.structs.replace(queue, tags=tags))

    def _attributes(self, queue: Queue, now: float) -> dict[str, str]:
        ready, in_flight, delayed = self.exchange.messages.counts(queue, now)
        return (
            {"SqsManagedSseEnabled": "false"}
            | queue.attributes
            | {
                "ApproximateNumberOfMessages": str(ready),
                "ApproximateNumberOfMessagesDelayed": str(delayed),
                "ApproximateNumberOfMessagesNotVisible": str(in_flight),
                "CreatedTimestamp": str(int(queue.created)),
                "LastModifiedTimestamp": str(int(queue.modified)),
                "QueueArn": queue.arn,
            }
        )

    def _check_dead_letters(self, queue: Queue, wanted: Mapping[str, str]) -> None:
        """A new redrive policy names a queue of the same account and region that takes the messages."""
        text = wanted.get("RedrivePolicy")
        redrive = msgspec.structs.replace(queue, attributes={"RedrivePolicy": text}).redrive if text else None
        if text is None or redrive is None:
            return
        target = self.exchange.find(redrive[0])
        if target is None or target.scope != queue.scope:
            raise rules.dead_letters_refused(text)
        if target.is_fifo != queue.is_fifo:
            raise rules.dead_letters_refused(text, "Dead-letter queue must be same type of queue as the source.")
        if not rules.allows_source(target.attributes.get("RedriveAllowPolicy", ""), queue.arn):
            raise rules.dead_letters_refused(text)

    def _emptied(self, queue: Queue) -> None:
        self.exchange.forget(queue)
        self.k.meters.lag(queue.arn, seconds=0.0, waiting=0)
        self.exchange.arrivals.announce(queue.arn)
        self.k.tasks.poke("sqs:retention")


def _checked_tags(known: Mapping[str, str], added: Mapping[str, str]) -> dict[str, str]:
    tags = dict(known) | dict(added)
    if len(tags) > _TAGS_MAX:
        raise parameter_error(f"Too many tags added for queue. Limit is {_TAGS_MAX}.")
    for key, value in added.items():
        if not 1 <= len(key) <= 128 or len(value) > 256 or key.lower().startswith("aws:"):
            raise parameter_error(
                f"Value {key} for parameter Tags is invalid. Reason: Tag keys and values have limits."
            )
    return tags


def _page_size(wanted: int | None) -> int:
    if wanted is None:
        return _PAGE_MAX
    if not 1 <= wanted <= _PAGE_MAX:
        raise parameter_error(
            f"Value {wanted} for parameter MaxResults is invalid. Reason: Must be between 1 and 1000."
        )
    return wanted


def _start(token: str | None) -> str:
    return opened(token, str, "", parameter_error("Invalid or expired next token."))
