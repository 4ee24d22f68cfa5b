"""What Firehose tells CloudWatch.

https://docs.aws.amazon.com/firehose/latest/dev/monitoring-with-cloudwatch-metrics.html. Names, dimensions and units are
AWS's. Gauges of freshness are told once a minute by the pump, everything else when it happens.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from lakebed.kernel.kernel import Kernel
from lakebed.ports.house import Ports
from lakebed.ports.metrics import Point
from lakebed.services.firehose.model import DeliveryStream

_UNITS = {
    "Bytes": "Bytes", "DataFreshness": "Seconds", "Latency": "Milliseconds", "Duration": "Milliseconds",
    "KinesisMillisBehindLatest": "Milliseconds", "IncomingBytes": "Bytes", "ProcessedBytes": "Bytes",
}  # fmt: skip
_TARGETS = {"s3": "DeliveryToS3", "http": "DeliveryToHttpEndpoint"}
_STREAMS_MAX = 10_000


class Telemetry:
    """Publishes a house's delivery streams' metrics."""

    def __init__(self, k: Kernel, p: Ports) -> None:
        self._k, self._p = k, p
        self._told: dict[str, int] = {}

    def put(self, stream: DeliveryStream, values: Mapping[str, float]) -> None:
        """Metrics of a delivery stream by their names."""
        of = {"DeliveryStreamName": stream.name}
        points: list[Point] = []
        for name, value in values.items():
            unit = _UNITS.get(name) or _UNITS.get(name.rpartition(".")[2], "Count")
            points.append((name, of, float(value), unit))
        self._p.metrics.put(stream.scope, "AWS/Firehose", points)

    def came(self, stream: DeliveryStream, operation: str, records: int, size: int, seconds: float) -> None:
        """A PutRecord or PutRecordBatch was taken."""
        values = {
            "IncomingPutRequests": 1, "IncomingRecords": records, "IncomingBytes": size, f"{operation}.Requests": 1,
            f"{operation}.Bytes": size, f"{operation}.Latency": seconds * 1000,
        }  # fmt: skip
        if operation == "PutRecordBatch":
            values["PutRecordBatch.Records"] = records
        self.put(stream, values)

    def delivered(self, stream: DeliveryStream, *, records: int, size: int, oldest: float, backup: bool) -> None:
        """An object or a request reached its destination, or the backup bucket."""
        head = "BackupToS3" if backup else _TARGETS[stream.kind]
        age = max(self._k.clock.now() - oldest, 0.0)
        values = {
            f"{head}.Records": records, f"{head}.Bytes": size, f"{head}.Success": 1, f"{head}.DataFreshness": age,
        }  # fmt: skip
        if head == "DeliveryToS3":
            values["DeliveryToS3.ObjectCount"] = 1
        if stream.kind == "http" and not backup:
            values |= {f"{head}.ProcessedRecords": records, f"{head}.ProcessedBytes": size}
        self.put(stream, values)

    def failed(self, stream: DeliveryStream, *, backup: bool) -> None:
        """A delivery failed and will be tried again or given up."""
        head = "BackupToS3" if backup else _TARGETS[stream.kind]
        self.put(stream, {f"{head}.Success": 0})

    def minute(self, stream: DeliveryStream, *, age: float, partitions: int, behind_ms: float | None) -> None:
        """Gauges, at most once a minute."""
        now = math.floor(self._k.clock.now() / 60)
        if self._told.get(stream.uid) == now:
            return
        if len(self._told) > _STREAMS_MAX:
            self._told.clear()
        self._told[stream.uid] = now
        values = {f"{_TARGETS[stream.kind]}.DataFreshness": age}
        if stream.partition_keys:
            values |= {"PartitionCount": partitions, "ActivePartitionsLimit": 500}
        if behind_ms is not None:
            values["KinesisMillisBehindLatest"] = behind_ms
        self.put(stream, values)
