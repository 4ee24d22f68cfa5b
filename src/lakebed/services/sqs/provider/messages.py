"""Messages one request at a time: send, receive with long polling, delete, change visibility.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-short-and-long-polling.html
"""

from __future__ import annotations

from collections.abc import Sequence

from lakebed.api import sqs as api
from lakebed.kernel.scope import Principal
from lakebed.ports.service import Context, operation
from lakebed.services.sqs import model
from lakebed.services.sqs.attributes import parameter_error
from lakebed.services.sqs.digest import md5_of_attributes, md5_of_body
from lakebed.services.sqs.model import Draft, Message, Queue, Sent
from lakebed.services.sqs.provider.desk import Desk


class MessageOperations(Desk):
    """Operations on single messages, and ReceiveMessage."""

    @operation("SendMessage", action=None)
    async def send_message(self, ctx: Context, req: api.SendMessageRequest) -> api.SendMessageResult:
        """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html"""
        queue = self.queue(ctx, req["QueueUrl"], "SendMessage")
        draft = model.draft_of(req, queue, ctx.headers.get("x-amzn-trace-id", ""))
        self.exchange.check_sizes(queue, [draft])
        (told,) = self.exchange.send(queue, [draft], ctx.principal)
        return sent(draft, told)

    @operation("ReceiveMessage", action=None)
    async def receive_message(self, ctx: Context, req: api.ReceiveMessageRequest) -> api.ReceiveMessageResult:
        """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html"""
        queue = self.queue(ctx, req["QueueUrl"], "ReceiveMessage")
        limit = _within(req, "MaxNumberOfMessages", 1, 10, 1, "Must be between 1 and 10, if provided.")
        visibility = _within(
            req, "VisibilityTimeout", 0, model.VISIBILITY_MAX, queue.visibility_seconds,
            "Must be between 0 and 43200, if provided.",
        )  # fmt: skip
        wait = _within(
            req, "WaitTimeSeconds", 0, 20, int(queue.attributes["ReceiveMessageWaitTimeSeconds"]),
            "Must be >= 0 and <= 20, if provided.",
        )  # fmt: skip
        attempt = req.get("ReceiveRequestAttemptId")
        model.check_token("ReceiveRequestAttemptId", attempt)
        taken = await self._poll(ctx.principal, queue, (limit, visibility, attempt or ""), ctx.now + wait)
        system = {*(req.get("AttributeNames") or ()), *(req.get("MessageSystemAttributeNames") or ())}
        wanted = req.get("MessageAttributeNames") or ()
        return {"Messages": [_shown(queue, message, system, wanted) for message in taken]} if taken else {}

    @operation("DeleteMessage", action=None)
    async def delete_message(self, ctx: Context, req: api.DeleteMessageRequest) -> None:
        """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessage.html"""
        queue = self.queue(ctx, req["QueueUrl"], "DeleteMessage")
        self.exchange.delete(queue, req["ReceiptHandle"])

    @operation("ChangeMessageVisibility", action=None)
    async def change_message_visibility(self, ctx: Context, req: api.ChangeMessageVisibilityRequest) -> None:
        """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html"""
        queue = self.queue(ctx, req["QueueUrl"], "ChangeMessageVisibility")
        self.exchange.hide(queue, req["ReceiptHandle"], req["VisibilityTimeout"])

    async def _poll(
        self, principal: Principal, queue: Queue, how: tuple[int, int, str], deadline: float
    ) -> list[Message]:
        """Messages at once, or the first that come before ``deadline``."""
        while True:
            taken = self.exchange.take(principal, queue, *how)
            if taken or self.k.clock.now() >= deadline:
                return taken
            soonest = self.exchange.next_at(queue)
            await self.exchange.arrivals.wait(queue.arn, min(deadline, deadline if soonest is None else soonest))
            queue = self.exchange.require(queue.arn)


def sent(draft: Draft, told: Sent) -> api.SendMessageResult:
    """What a sender is told: digests to compare with its own."""
    result: api.SendMessageResult = {"MessageId": told.message_id, "MD5OfMessageBody": md5_of_body(draft.body)}
    if draft.attributes:
        result["MD5OfMessageAttributes"] = md5_of_attributes(draft.attributes)
    if draft.system:
        result["MD5OfMessageSystemAttributes"] = md5_of_attributes(draft.system)
    if told.seq:
        result["SequenceNumber"] = told.sequence_number
    return result


def _within(req: api.ReceiveMessageRequest, member: str, low: int, high: int, default: int, reason: str) -> int:
    value = req.get(member)
    if value is None:
        return default
    assert isinstance(value, int), "the model says integer"
    if not low <= value <= high:
        raise parameter_error(f"Value {value} for parameter {member} is invalid. Reason: {reason}")
    return value


def _shown(queue: Queue, message: Message, system: set[str], wanted: Sequence[str]) -> api.Message:
    shown: api.Message = {
        "MessageId": message.message_id,
        "ReceiptHandle": model.receipt_handle(queue, message),
        "MD5OfBody": message.md5,
        "Body": message.body,
    }
    told = {key: value for key, value in message.system_attributes().items() if "All" in system or key in system}
    if told:
        shown["Attributes"] = told
    attributes = {key: value for key, value in message.extra.attributes.items() if _matches(key, wanted)}
    if attributes:
        shown["MessageAttributes"] = attributes  # type: ignore[typeddict-item]  # stored as it was checked
        shown["MD5OfMessageAttributes"] = md5_of_attributes(attributes)
    return shown


def _matches(name: str, wanted: Sequence[str]) -> bool:
    """``All``, ``.*``, a name, or a prefix before ``.*``."""
    return any(
        pattern in ("All", ".*", name) or (pattern.endswith(".*") and name.startswith(pattern[:-2]))
        for pattern in wanted
    )
