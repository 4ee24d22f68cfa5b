"""Amazon SQS: standard and FIFO queues, durable, with long polling, redrive, retention and queue policies.

Follows https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/Welcome.html and the Developer Guide.
``exchange`` is what happens to messages; ``provider/`` the API over it, ``port`` the same for other services, ``arrivals``
who waits for what. Delivery is at least once and nearly in order of sending, as AWS promises of standard queues.

FIFO queues (``fifo``) keep order within groups and answer duplicates for five minutes, through crashes.

Bodies are encrypted at rest (``sealing``), by a key of SQS or one of KMS. Differences: docs/deviations/sqs.md.
"""

from __future__ import annotations

from collections.abc import Sequence

from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Scope
from lakebed.ports.house import Ports
from lakebed.ports.service import Link, Service, operations_of
from lakebed.services.sqs.exchange import Exchange
from lakebed.services.sqs.port import SqsQueues
from lakebed.services.sqs.provider.batches import BatchOperations
from lakebed.services.sqs.provider.messages import MessageOperations
from lakebed.services.sqs.provider.moves import MoveOperations
from lakebed.services.sqs.provider.permissions import PermissionOperations
from lakebed.services.sqs.provider.queues import QueueOperations
from lakebed.services.sqs.work import Moves, Retention, Visibility

_TOPOLOGY_QUEUES_MAX = 1000


def service(k: Kernel, p: Ports) -> Service:
    """Wire SQS; sets ``p.queues``."""
    k.db.migrate("sqs", "lakebed.services.sqs", k.clock)
    exchange = Exchange(k, p)
    p.queues = SqsQueues(exchange)

    def topology(scope: Scope) -> Sequence[Link]:
        queues = exchange.queues.after(scope, "", "", _TOPOLOGY_QUEUES_MAX)
        return [Link(queue.arn, queue.redrive[0], "dead letters") for queue in queues if queue.redrive]

    providers = (
        QueueOperations(exchange), MessageOperations(exchange), BatchOperations(exchange), PermissionOperations(exchange),
        MoveOperations(exchange),
    )  # fmt: skip
    return Service(
        "sqs",
        operations_of(*providers, prefix="sqs"),
        tasks=[Retention(exchange), Visibility(exchange), Moves(exchange)],
        topology=topology,
    )
