"""What Kinesis tells CloudWatch, and what on-demand scaling sees of the writes.

https://docs.aws.amazon.com/streams/latest/dev/monitoring-with-cloudwatch.html: metrics of streams always, those of shards
for the names that EnableEnhancedMonitoring turned on. ``IncomingRecords`` and ``IncomingBytes`` of whole streams come from
the meters (services/cloudwatch). Reads of other services through the port are counted as GetRecords, as on AWS.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from lakebed.kernel.kernel import Kernel
from lakebed.ports.house import Ports
from lakebed.ports.metrics import Point
from lakebed.services.kinesis.model import Shard, Stream

NAMESPACE = "AWS/Kinesis"
SHARD_METRICS = (
    "IncomingBytes", "IncomingRecords", "IteratorAgeMilliseconds", "OutgoingBytes", "OutgoingRecords",
    "ReadProvisionedThroughputExceeded", "WriteProvisionedThroughputExceeded",
)  # fmt: skip
_UNITS = {"IncomingBytes": "Bytes", "OutgoingBytes": "Bytes", "IteratorAgeMilliseconds": "Milliseconds"}
_MINUTES_MAX = 10_000


class Written(NamedTuple):
    """What one call wrote to one shard, and how many of its records were throttled there."""

    records: int
    size: int
    throttled: int


class Telemetry:
    """Counts puts and reads."""

    def __init__(self, k: Kernel, p: Ports) -> None:
        self._k, self._p = k, p
        self.minutes: dict[tuple[str, int], dict[int, list[int]]] = {}  # (uid, minute) -> shard -> records, bytes

    def put(self, stream: Stream, operation: str, by_shard: Mapping[int, Written], failed: int, seconds: float) -> None:
        """A call wrote to shards (by number); ``failed`` records met an internal error."""
        records = sum(written.records for written in by_shard.values())
        size = sum(written.size for written in by_shard.values())
        throttled = sum(written.throttled for written in by_shard.values())
        if stream.mode == "ON_DEMAND" and records:
            self._observe(stream, by_shard)
        of = {"StreamName": stream.name}
        lost = throttled + failed
        points: list[Point] = [
            (f"{operation}.Latency", of, seconds * 1000, "Milliseconds"),
            (f"{operation}.Success", of, 1.0 if records or not lost else 0.0, "Count"),
            ("WriteProvisionedThroughputExceeded", of, float(throttled), "Count"),
        ]
        if records:
            points.append((f"{operation}.Bytes", of, float(size), "Bytes"))
        if operation == "PutRecords":
            for name, value in (
                ("Total", records + lost), ("Successful", records), ("Failed", failed), ("Throttled", throttled),
            ):  # fmt: skip
                points.append((f"PutRecords.{name}Records", of, float(value), "Count"))
        for number, written in by_shard.items() if stream.metrics else ():
            points += _of_shard(stream, number, {
                "IncomingRecords": written.records, "IncomingBytes": written.size,
                "WriteProvisionedThroughputExceeded": written.throttled,
            })  # fmt: skip
        self._p.metrics.put(stream.scope, NAMESPACE, points)

    def read(self, stream: Stream, shard: Shard, records: int, size: int, age_ms: float, seconds: float) -> None:
        """A GetRecords answered; ``age_ms`` is how old its last record is."""
        of = {"StreamName": stream.name}
        points: list[Point] = [
            ("GetRecords.Latency", of, seconds * 1000, "Milliseconds"), ("GetRecords.Success", of, 1.0, "Count"),
            ("GetRecords.Records", of, float(records), "Count"), ("GetRecords.Bytes", of, float(size), "Bytes"),
            ("GetRecords.IteratorAgeMilliseconds", of, age_ms, "Milliseconds"),
            ("ReadProvisionedThroughputExceeded", of, 0.0, "Count"),
        ]  # fmt: skip
        if stream.metrics:
            points += _of_shard(stream, shard.number, {
                "OutgoingRecords": records, "OutgoingBytes": size, "IteratorAgeMilliseconds": age_ms,
            })  # fmt: skip
        self._p.metrics.put(stream.scope, NAMESPACE, points)

    def read_throttled(self, stream: Stream, shard: Shard) -> None:
        """A GetRecords was refused by the shard's limit."""
        of = {"StreamName": stream.name}
        points: list[Point] = [
            ("ReadProvisionedThroughputExceeded", of, 1.0, "Count"), ("GetRecords.Success", of, 0.0, "Count"),
        ]  # fmt: skip
        if stream.metrics:
            points += _of_shard(stream, shard.number, {"ReadProvisionedThroughputExceeded": 1})
        self._p.metrics.put(stream.scope, NAMESPACE, points)

    def pushed(self, stream: Stream, shard: Shard, consumer: str, records: int, size: int, behind_ms: int) -> None:
        """An event went to a registered consumer."""
        of = {"StreamName": stream.name, "ConsumerName": consumer}
        points: list[Point] = [
            ("SubscribeToShardEvent.Success", of, 1.0, "Count"),
            ("SubscribeToShardEvent.Records", of, float(records), "Count"),
            ("SubscribeToShardEvent.Bytes", of, float(size), "Bytes"),
            ("SubscribeToShardEvent.MillisBehindLatest", of, float(behind_ms), "Milliseconds"),
        ]
        if stream.metrics:
            points += _of_shard(stream, shard.number, {"OutgoingRecords": records, "OutgoingBytes": size})
        self._p.metrics.put(stream.scope, NAMESPACE, points)

    def subscribed(self, stream: Stream, consumer: str, *, refused: bool = False) -> None:
        """A consumer asked for a subscription."""
        of = {"StreamName": stream.name, "ConsumerName": consumer}
        points: list[Point] = [
            ("SubscribeToShard.Success", of, 0.0 if refused else 1.0, "Count"),
            ("SubscribeToShard.RateExceeded", of, 1.0 if refused else 0.0, "Count"),
        ]
        self._p.metrics.put(stream.scope, NAMESPACE, points)

    def _observe(self, stream: Stream, by_shard: Mapping[int, Written]) -> None:
        key = stream.uid, int(self._k.clock.now() // 60)
        seen = self.minutes.get(key)
        if seen is None:
            if len(self.minutes) >= _MINUTES_MAX:
                return
            seen = self.minutes[key] = {}
        for number, written in by_shard.items():
            load = seen.setdefault(number, [0, 0])
            load[0] += written.records
            load[1] += written.size


def _of_shard(stream: Stream, number: int, values: Mapping[str, float]) -> list[Point]:
    of = {"StreamName": stream.name, "ShardId": f"shardId-{number:012d}"}
    return [
        (name, of, float(value), _UNITS.get(name, "Count")) for name, value in values.items() if name in stream.metrics
    ]
