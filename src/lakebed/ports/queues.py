"""Queues: SQS as other services use it. Built by services/sqs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from lakebed.kernel.scope import Principal


@dataclass(frozen=True, slots=True)
class QueueMessage:
    """A received message, with the attributes a Lambda event carries."""

    message_id: str
    receipt_handle: str
    body: str
    md5: str
    attributes: dict[str, str]
    message_attributes: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to be sent with all that SendMessage takes. ``group`` and ``deduplication`` are for FIFO queues (a
    standard queue takes a group and no deduplication), ``trace`` is its AWSTraceHeader; an attribute is
    ``{"DataType": …, "StringValue": …}``."""

    body: str
    attributes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    group: str = ""
    deduplication: str = ""
    trace: str = ""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message as it lies in its queue: ``visible_at`` ahead is in flight where it was received, else delayed."""

    message_id: str
    body: str
    sent: float
    receives: int
    visible_at: float
    attributes: dict[str, str]
    message_attributes: dict[str, Any]


class Queues(Protocol):
    """Queues are named by ARN. Errors are SQS's (QueueDoesNotExist, ...)."""

    async def send(
        self, principal: Principal, queue_arn: str, bodies: Sequence[str], *, source_arn: str | None = None
    ) -> None:
        """Send messages, durable when this returns. The queue's own policy counts, with ``aws:SourceArn`` and
        ``aws:SourceAccount`` (the principal's account) where a service sends for a resource."""
        ...

    async def deliver(
        self, principal: Principal, queue_arn: str, messages: Sequence[Outgoing], *, source_arn: str | None = None
    ) -> None:
        """``send`` with attributes, groups and deduplication: all of them or none, durable when this returns."""
        ...

    def check_destination(self, principal: Principal, queue_arn: str, *, source_arn: str | None = None) -> None:
        """Raise unless the queue exists and ``principal`` may send to it (S3's check on PutBucketNotification)."""
        ...

    def receive(
        self, principal: Principal, queue_arn: str, limit: int, *, visibility_seconds: float | None = None
    ) -> Sequence[QueueMessage]:
        """Take up to ``limit`` visible messages (any number up to 10,000); they stay hidden for the visibility timeout."""
        ...

    def peek(self, principal: Principal, queue_arn: str, limit: int) -> Sequence[Waiting]:
        """The oldest messages of a queue, in flight or not, without receiving them: nothing is counted or hidden. Who may
        receive may peek, and what is sealed by a KMS key asks for kms:Decrypt."""
        ...

    def delete(self, principal: Principal, queue_arn: str, receipt_handles: Sequence[str]) -> None:
        """Delete received messages; durable when this returns."""
        ...

    def next_visible_at(self, queue_arn: str) -> float | None:
        """When the next message may be received (in the past: now), None for an empty queue."""
        ...

    def release(self, queue_arn: str, receipt_handles: Sequence[str], *, delay_seconds: float = 0.0) -> None:
        """Make received messages visible again (a failed batch); the receive count stays."""
        ...

    def visibility_seconds(self, queue_arn: str) -> float:
        """The queue's visibility timeout."""
        ...

    def subscribe(self, queue_arn: str, task: str) -> None:
        """Poke the named task whenever a message becomes receivable, until ``unsubscribe``."""
        ...

    def unsubscribe(self, queue_arn: str, task: str) -> None:
        """Stop poking."""
        ...
