"""Kinesis Data Streams: ordered, durable shards on segment logs.

What it follows: https://docs.aws.amazon.com/kinesis/latest/APIReference/Welcome.html and the developer guide. Streams,
shards (with splitting, merging and rescaling), records by partition key or explicit hash key, the five iterator types,
retention on Lakebed's clock, tags, and enhanced fan-out. ``lakebed.ports.streams.Streams`` is implemented here for IoT
rules, Firehose and event source mappings.

What it refuses (the edge answers 501): encryption with KMS, resource policies, queues and channels.
Smaller differences: docs/deviations/kinesis.md.
"""

from __future__ import annotations

from lakebed.kernel.kernel import Kernel
from lakebed.ports.house import Ports
from lakebed.ports.service import Service, operations_of
from lakebed.services.kinesis.consumers import ConsumerStore
from lakebed.services.kinesis.port import StreamsPort
from lakebed.services.kinesis.provider.consumers import ConsumerOperations
from lakebed.services.kinesis.provider.records import RecordOperations
from lakebed.services.kinesis.provider.shards import ShardOperations
from lakebed.services.kinesis.provider.streams import StreamOperations
from lakebed.services.kinesis.provider.tags import TagOperations
from lakebed.services.kinesis.records import Records
from lakebed.services.kinesis.settings import KinesisSettings
from lakebed.services.kinesis.store import StreamStore
from lakebed.services.kinesis.work import Retention


def service(k: Kernel, p: Ports) -> Service:
    """Wire Kinesis and offer ``p.streams``."""
    k.db.migrate("kinesis", "lakebed.services.kinesis", k.clock)
    settings = k.settings.section("services", "kinesis", KinesisSettings)
    store, consumers, records = StreamStore(k.db), ConsumerStore(k.db), Records(k, settings)
    p.streams = StreamsPort(p, store, records)
    return Service(
        name="kinesis",
        operations=operations_of(
            StreamOperations(k, store, consumers, records, settings),
            ShardOperations(k, p, store, records, settings),
            RecordOperations(k, p, store, records),
            TagOperations(k, store),
            ConsumerOperations(k, store, consumers, records),
            prefix="kinesis",
        ),
        tasks=[Retention(k, store, records)],
    )
