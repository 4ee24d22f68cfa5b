"""The seam for sources: what a kind of event source has to tell and to do. SQS and Kinesis are the two there are.

A further source is one more entry of ``KINDS``. One that is an ordered log in shards (DynamoDB's and DocumentDB's streams,
Kafka's partitions) needs no poller of its own: ``StreamPoller`` reads any log that answers like ``lakebed.ports.streams``
and keeps the checkpoints, windows, lanes, retries and bisection. One whose messages are taken and deleted one by one (MQ)
is a queue, as ``QueuePoller`` reads them.

https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventsourcemapping.html
"""

from __future__ import annotations

from typing import Protocol

from lakebed.kernel.arn import parse
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Scope
from lakebed.ports.house import Ports
from lakebed.services.lambda_.invoking import Invoker
from lakebed.services.lambda_.model import FunctionVersion, invalid
from lakebed.services.lambda_.sources.mapping import Mapping
from lakebed.services.lambda_.sources.queue_poller import QueuePoller
from lakebed.services.lambda_.sources.store import Checkpoint, MappingStore
from lakebed.services.lambda_.sources.stream_poller import StreamPoller, first_checkpoints

Tools = tuple[Kernel, Ports, Invoker, MappingStore]


class Poller(Protocol):
    """A kernel Task that reads one mapping's source and calls its function."""

    name: str
    period: float

    @property
    def busy(self) -> bool:
        """Whether batches are under way."""
        ...

    async def activate(self) -> float | None:
        """Read what is due; woken by the source, a window's or pause's end, or a batch that has ended."""
        ...

    async def stop(self) -> None:
        """End the batches under way; what was not confirmed is read again."""
        ...


class Kind(Protocol):
    """A kind of source. ``actions`` are what the function's role must be allowed on it."""

    title: str
    actions: tuple[str, ...]

    def poller(self, tools: Tools, of: tuple[Scope, Mapping]) -> Poller:
        """The task of one mapping."""
        ...

    def check(self, ports: Ports, mapping: Mapping, version: FunctionVersion) -> None:
        """Raise unless the source exists and suits the function."""
        ...

    def start(self, ports: Ports, mapping: Mapping) -> dict[str, Checkpoint]:
        """Where a new mapping begins, by shard; empty for a queue."""
        ...

    def subscribe(self, ports: Ports, mapping: Mapping) -> None:
        """Have the mapping's task poked when something arrives."""
        ...

    def unsubscribe(self, ports: Ports, mapping: Mapping) -> None:
        """Not any more."""
        ...


class _Queue:
    title = "SQS"
    actions: tuple[str, ...] = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")

    def poller(self, tools: Tools, of: tuple[Scope, Mapping]) -> Poller:
        """See the protocol."""
        return QueuePoller(*tools, of)

    def check(self, ports: Ports, mapping: Mapping, version: FunctionVersion) -> None:
        """A queue hides its messages for as long as the function may take."""
        hidden = ports.queues.visibility_seconds(mapping.source)
        if hidden < version.timeout:
            raise invalid(
                f"Queue visibility timeout: {int(hidden)} seconds is less than Function timeout: {version.timeout} seconds"
            )

    def start(self, ports: Ports, mapping: Mapping) -> dict[str, Checkpoint]:  # noqa: ARG002 - a queue keeps its own place
        """A queue has no places."""
        return {}

    def subscribe(self, ports: Ports, mapping: Mapping) -> None:
        """See the protocol."""
        ports.queues.subscribe(mapping.source, mapping.task)

    def unsubscribe(self, ports: Ports, mapping: Mapping) -> None:
        """See the protocol."""
        ports.queues.unsubscribe(mapping.source, mapping.task)


class _Stream:
    title = "Kinesis"
    actions: tuple[str, ...] = (
        "kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:DescribeStream", "kinesis:ListShards",
    )  # fmt: skip

    def poller(self, tools: Tools, of: tuple[Scope, Mapping]) -> Poller:
        """See the protocol."""
        return StreamPoller(*tools, of)

    def check(self, ports: Ports, mapping: Mapping, version: FunctionVersion) -> None:  # noqa: ARG002 - any function suits
        """The stream is there."""
        ports.streams.shards(mapping.source)

    def start(self, ports: Ports, mapping: Mapping) -> dict[str, Checkpoint]:
        """See the protocol."""
        return first_checkpoints(ports, mapping)

    def subscribe(self, ports: Ports, mapping: Mapping) -> None:
        """See the protocol."""
        ports.streams.subscribe(mapping.source, mapping.task)

    def unsubscribe(self, ports: Ports, mapping: Mapping) -> None:
        """See the protocol."""
        ports.streams.unsubscribe(mapping.source, mapping.task)


KINDS: dict[str, Kind] = {"sqs": _Queue(), "kinesis": _Stream()}


def kind_of(mapping: Mapping) -> Kind:
    """By the service in the source's ARN, which was looked at when the mapping was made."""
    arn = parse(mapping.source)
    assert arn is not None
    return KINDS[arn.service]
