"""A house with Kinesis, Firehose and fakes of their neighbours."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from lakebed.kernel.clock import ManualClock
from lakebed.kernel.errors import AwsError
from lakebed.services import firehose, kinesis
from tests.harness import Harness
from tests.services.firehose.neighbours import Buckets, Catalog, Functions, LinesConverter, Logs, each

ROLE = "arn:aws:iam::000000000000:role/delivery"
ARN = "arn:aws:firehose:us-east-1:000000000000:deliverystream/d"
STREAM = "arn:aws:kinesis:us-east-1:000000000000:stream/s"
FUNCTION = "arn:aws:lambda:us-east-1:000000000000:function:change"
BUCKET = "arn:aws:s3:::lake"


class House:
    """Kinesis and Firehose on a directory; ``again`` opens it as after kill -9."""

    def __init__(self, directory: Path, clock: ManualClock | None = None, buckets: Buckets | None = None) -> None:
        self.directory, self.clock = directory, clock or ManualClock()
        self.harness = Harness(directory, self.clock)
        self.buckets = buckets or Buckets()
        self.functions, self.logs = Functions(lambda event: each(event, bytes.upper)), Logs()
        self.converter = LinesConverter()
        ports: Any = self.harness.ports
        ports.objects, ports.functions, ports.logs = self.buckets, self.functions, self.logs
        ports.catalog, ports.converter = Catalog(), self.converter
        self.harness.add(kinesis.service, firehose.service)

    async def start(self) -> House:
        await self.harness.start()
        return self

    async def again(self) -> House:
        """The next process on the same directory: nothing of this one is closed in order."""
        await self.harness.kernel.tasks.stop()
        following = House(self.directory, self.clock, self.buckets)
        following.functions.transform = self.functions.transform
        following.harness.kernel.ids._random.seed(len(self.buckets.puts) + 7)  # type: ignore[attr-defined]
        return await following.start()

    async def call(self, operation: str, **params: Any) -> dict[str, Any]:
        return await self.harness.call("firehose", operation, **params)

    async def refusal(self, operation: str, **params: Any) -> str:
        with pytest.raises(AwsError) as caught:
            await self.call(operation, **params)
        return caught.value.error_code

    async def create(self, source: str = "", size: int = 5, interval: int = 60, **destination: Any) -> None:
        more: dict[str, Any] = {}
        if source:
            more = {
                "DeliveryStreamType": "KinesisStreamAsSource",
                "KinesisStreamSourceConfiguration": {"KinesisStreamARN": source, "RoleARN": ROLE},
            }
        await self.call(
            "CreateDeliveryStream",
            DeliveryStreamName="d",
            ExtendedS3DestinationConfiguration={
                "RoleARN": ROLE,
                "BucketARN": BUCKET,
                "BufferingHints": {"SizeInMBs": size, "IntervalInSeconds": interval},
                **destination,
            },
            **more,
        )

    async def put(self, *records: bytes) -> None:
        for start in range(0, len(records), 500):
            part = records[start : start + 500]
            await self.call("PutRecordBatch", DeliveryStreamName="d", Records=[{"Data": each} for each in part])
        await self.clock.settle()

    async def put_stream(self, *records: tuple[str, bytes]) -> None:
        for start in range(0, len(records), 500):
            entries = [{"PartitionKey": key, "Data": data} for key, data in records[start : start + 500]]
            await self.harness.call("kinesis", "PutRecords", StreamName="s", Records=entries)
        await self.clock.settle()

    def meter(self, arn: str = ARN) -> dict[str, Any]:
        found: Any = self.harness.kernel.meters.snapshot()["resources"]
        return dict(found[arn])


def processor(**parameters: str) -> dict[str, Any]:
    listed = [{"ParameterName": key, "ParameterValue": value} for key, value in parameters.items()]
    return {
        "Enabled": True,
        "Processors": [
            {"Type": "Lambda", "Parameters": [{"ParameterName": "LambdaArn", "ParameterValue": FUNCTION}, *listed]}
        ],
    }


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = await House(tmp_path / "data").start()
    yield made
    await made.harness.stop()
