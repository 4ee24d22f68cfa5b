"""Kinesis Data Streams: ordered, durable shards on segment logs.

What it follows: https://docs.aws.amazon.com/kinesis/latest/APIReference/Welcome.html and the developer guide. Streams,
shards (with splitting, merging and rescaling), records by partition key or explicit hash key, the five iterator types,
retention on Lakebed's clock, tags, and enhanced fan-out. ``lakebed.ports.streams.Streams`` is implemented here for IoT
rules, Firehose and event source mappings.

What a stream's owner may add: encryption with KMS (``sealing.py``), resource policies (``access.py``), on-demand scaling
(``scaling.py``), shard-level metrics (``telemetry.py``), the limits of shards (``limits.py``).

What it refuses (the edge answers 501): queues and channels. Smaller differences: docs/deviations/kinesis.md.
"""

from __future__ import annotations

from lakebed.kernel.kernel import Kernel
from lakebed.ports.house import Ports
from lakebed.ports.service import Service, operations_of
from lakebed.services.kinesis.access import Access
from lakebed.services.kinesis.consumers import ConsumerStore
from lakebed.services.kinesis.limits import Limits
from lakebed.services.kinesis.port import StreamsPort
from lakebed.services.kinesis.provider.consumers import ConsumerOperations
from lakebed.services.kinesis.provider.encryption import EncryptionOperations
from lakebed.services.kinesis.provider.monitoring import MonitoringOperations
from lakebed.services.kinesis.provider.policies import PolicyOperations
from lakebed.services.kinesis.provider.records import RecordOperations
from lakebed.services.kinesis.provider.shards import ShardOperations
from lakebed.services.kinesis.provider.streams import StreamOperations
from lakebed.services.kinesis.provider.tags import TagOperations
from lakebed.services.kinesis.provider.throughput import ThroughputOperations
from lakebed.services.kinesis.records import Records
from lakebed.services.kinesis.scaling import Scaling
from lakebed.services.kinesis.sealing import Seals
from lakebed.services.kinesis.settings import KinesisSettings
from lakebed.services.kinesis.store import StreamStore
from lakebed.services.kinesis.telemetry import Telemetry
from lakebed.services.kinesis.throughput import CommitmentStore
from lakebed.services.kinesis.work import Retention


def service(k: Kernel, p: Ports) -> Service:
    """Wire Kinesis and offer ``p.streams``."""
    k.db.migrate("kinesis", "lakebed.services.kinesis", k.clock)
    settings = k.settings.section("services", "kinesis", KinesisSettings)
    store, consumers, telemetry = StreamStore(k.db), ConsumerStore(k.db), Telemetry(k, p)
    limits, seals = Limits(k.clock, enforced=settings.enforce_shard_limits), Seals(k, p)
    records, access = Records(k, limits, seals, telemetry), Access(p, store, consumers)
    p.streams = StreamsPort(p, store, records)
    return Service(
        name="kinesis",
        operations=operations_of(
            StreamOperations(k, access, store, consumers, records, settings),
            ShardOperations(k, access, store, records, settings),
            RecordOperations(k, access, store, records),
            TagOperations(k, access, store, consumers),
            ConsumerOperations(k, access, store, consumers, records),
            PolicyOperations(k, access, store, consumers),
            EncryptionOperations(k, access, store, seals),
            MonitoringOperations(k, access, store),
            ThroughputOperations(k, access, store, CommitmentStore(k.db), settings),
            prefix="kinesis",
        ),
        tasks=[Retention(k, store, records), Scaling(k, store, records, telemetry, settings)],
    )
