"""SQS for other services: S3's notifications, IoT rules and Lambda's event source mappings. Implements ports.queues."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lakebed.kernel.scope import Principal
from lakebed.ports.queues import Outgoing, QueueMessage, Waiting
from lakebed.services.sqs import model
from lakebed.services.sqs.exchange import Exchange

_RECEIVED_AT_ONCE_MAX = 10_000
_PEEKED_AT_ONCE_MAX = 100


class SqsQueues:
    """Implements ``lakebed.ports.queues.Queues``."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def send(
        self, principal: Principal, queue_arn: str, bodies: Sequence[str], *, source_arn: str | None = None
    ) -> None:
        """See the port."""
        await self.deliver(principal, queue_arn, [Outgoing(body) for body in bodies], source_arn=source_arn)

    async def deliver(
        self, principal: Principal, queue_arn: str, messages: Sequence[Outgoing], *, source_arn: str | None = None
    ) -> None:
        """See the port."""
        queue = self._exchange.authorised(principal, "sqs:SendMessage", queue_arn, source_arn)
        drafts = [model.draft_of(_entry(message), queue, message.trace) for message in messages]
        self._exchange.check_sizes(queue, drafts)
        if drafts:
            self._exchange.send(queue, drafts, principal)

    def check_destination(self, principal: Principal, queue_arn: str, *, source_arn: str | None = None) -> None:
        """See the port."""
        self._exchange.authorised(principal, "sqs:SendMessage", queue_arn, source_arn)

    def receive(
        self, principal: Principal, queue_arn: str, limit: int, *, visibility_seconds: float | None = None
    ) -> Sequence[QueueMessage]:
        """See the port."""
        queue = self._exchange.authorised(principal, "sqs:ReceiveMessage", queue_arn)
        hidden = queue.visibility_seconds if visibility_seconds is None else visibility_seconds
        return [
            QueueMessage(
                message.message_id,
                model.receipt_handle(queue, message),
                message.body,
                message.md5,
                message.system_attributes(),
                message.extra.attributes,
            )
            for message in self._exchange.take(principal, queue, min(limit, _RECEIVED_AT_ONCE_MAX), hidden)
        ]

    def peek(self, principal: Principal, queue_arn: str, limit: int) -> Sequence[Waiting]:
        """See the port."""
        queue, exchange = self._exchange.authorised(principal, "sqs:ReceiveMessage", queue_arn), self._exchange
        found = exchange.messages.oldest_messages(queue, exchange.k.clock.now(), min(limit, _PEEKED_AT_ONCE_MAX))
        opened = exchange.sealing.open(principal, queue, [message for message, _ in found])
        return [
            Waiting(
                message.message_id,
                message.body,
                message.sent,
                message.receives,
                visible_at,
                message.system_attributes(),
                message.extra.attributes,
            )
            for message, (_, visible_at) in zip(opened, found, strict=True)
        ]

    def delete(self, principal: Principal, queue_arn: str, receipt_handles: Sequence[str]) -> None:
        """See the port."""
        queue = self._exchange.authorised(principal, "sqs:DeleteMessage", queue_arn)
        with self._exchange.k.db.tx():
            for handle in receipt_handles:
                self._exchange.delete(queue, handle)

    def next_visible_at(self, queue_arn: str) -> float | None:
        """See the port."""
        return self._exchange.next_at(self._exchange.require(queue_arn))

    def release(self, queue_arn: str, receipt_handles: Sequence[str], *, delay_seconds: float = 0.0) -> None:
        """See the port. Receipts that a later one replaced, or of messages that are gone, are passed over."""
        queue, now = self._exchange.require(queue_arn), self._exchange.k.clock.now()
        current = []
        for handle in receipt_handles:
            seq, receives, _ = model.read_receipt(queue, handle)
            known = self._exchange.messages.receipt(queue, seq)
            if known is not None and known[0] == receives:
                current.append(seq)
        self._exchange.show(queue, current, now + delay_seconds)

    def visibility_seconds(self, queue_arn: str) -> float:
        """See the port."""
        return float(self._exchange.require(queue_arn).visibility_seconds)

    def subscribe(self, queue_arn: str, task: str) -> None:
        """See the port."""
        self._exchange.arrivals.subscribe(queue_arn, task)

    def unsubscribe(self, queue_arn: str, task: str) -> None:
        """See the port."""
        self._exchange.arrivals.unsubscribe(queue_arn, task)


def _entry(message: Outgoing) -> dict[str, Any]:
    """As SendMessage takes it, so that its rules hold here too."""
    entry: dict[str, Any] = {"MessageBody": message.body, "MessageAttributes": message.attributes}
    if message.group:
        entry["MessageGroupId"] = message.group
    if message.deduplication:
        entry["MessageDeduplicationId"] = message.deduplication
    return entry
