"""Amazon Data Firehose: buffered, transformed, converted delivery into S3.

What it follows: https://docs.aws.amazon.com/firehose/latest/dev/what-is-this-service.html. Sources are PutRecord(Batch) and
Kinesis streams; a Lambda function may transform, dynamic partitioning may sort by the keys it returns, records may be
converted to Parquet by a Glue table; buffers are flushed by size and time, exactly, on Lakebed's clock.

How it keeps its promises: what is acknowledged or taken from a source stands in a segment log (``frames.py``), with how far
the source was read in the same append (``intake.py``). Objects are planned, put and marked (``delivery.py``), so a crash at
any point repeats the same object instead of losing or doubling records. Buffers are offsets (``buffers.py``).

Destinations are S3 and HTTP endpoints (``destinations/``). Processors open records (``expansion.py``), transform them, and
find partition keys (``extraction.py`` says how much of jq is built). What waits is sealed where that is asked for
(``sealing.py``).

What it refuses by name (501): the destinations that are seams, MSK and database sources.

Smaller differences: docs/deviations/firehose.md.
"""

from __future__ import annotations

from lakebed.kernel import outward
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Scope
from lakebed.ports.house import Ports
from lakebed.ports.service import Link, Service, operations_of
from lakebed.services.firehose import frames
from lakebed.services.firehose.destinations import s3
from lakebed.services.firehose.outlets import Outlets
from lakebed.services.firehose.port import DeliveryPort
from lakebed.services.firehose.provider import DeliveryOperations
from lakebed.services.firehose.pump import Pumps
from lakebed.services.firehose.puts import Puts
from lakebed.services.firehose.sealing import Seals
from lakebed.services.firehose.secrets import Secrets
from lakebed.services.firehose.settings import FirehoseSettings
from lakebed.services.firehose.store import DeliveryStore
from lakebed.services.firehose.telemetry import Telemetry


def service(k: Kernel, p: Ports) -> Service:
    """Wire Firehose and offer ``p.delivery``."""
    k.db.migrate("firehose", "lakebed.services.firehose", k.clock)
    settings = k.settings.section("services", "firehose", FirehoseSettings)
    store = DeliveryStore(k.db)
    networks = outward.networks(settings.http_endpoint_networks)
    doors = outward.Doors(networks, settings.http_endpoint_ca_file, "[services.firehose] http_endpoint_networks")
    outlets = Outlets(doors, Secrets(k), Telemetry(k, p), Seals(k, p))
    pumps = Pumps(k, p, store, outlets, settings)
    puts = Puts(k, pumps, outlets.seals, outlets.telemetry, settings)
    p.delivery = DeliveryPort(p, store, puts)

    def topology(scope: Scope) -> list[Link]:
        links = []
        for stream in store.in_scope(scope):
            if stream.source.stream_arn:
                links.append(Link(stream.source.stream_arn, stream.arn))
            links.append(Link(stream.arn, stream.goes_to))
            if stream.backed_up:
                links.append(Link(stream.arn, stream.settings_of(frames.BACKUP)["BucketARN"], "backup"))
            if parameters := s3.lambda_parameters(stream.destination):
                links.append(Link(stream.arn, parameters["LambdaArn"], "transformation"))
        return links

    return Service(
        name="firehose",
        operations=operations_of(DeliveryOperations(k, p, store, pumps, puts, outlets, settings), prefix="firehose"),
        topology=topology,
        start=pumps.start,
    )
