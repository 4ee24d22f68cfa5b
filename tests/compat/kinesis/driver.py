"""Client programs, run by ``__main__`` in the clients' environment; each prints a line and counts when it fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import traceback
import uuid
from collections.abc import Callable
from typing import Any

import boto3

URL = os.environ["AWS_ENDPOINT_URL"]
kinesis: Any = boto3.client("kinesis", endpoint_url=URL)


def stream(shards: int) -> str:
    """A new stream."""
    name = f"compat-{uuid.uuid4().hex[:8]}"
    kinesis.create_stream(StreamName=name, ShardCount=shards)
    kinesis.get_waiter("stream_exists").wait(StreamName=name)
    return name


def read(name: str) -> list[dict[str, Any]]:
    """Everything in a stream."""
    found = []
    for shard in kinesis.list_shards(StreamName=name)["Shards"]:
        at = kinesis.get_shard_iterator(StreamName=name, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")
        found += kinesis.get_records(ShardIterator=at["ShardIterator"])["Records"]
    return found


def kpl_aggregation() -> None:
    """aws-kinesis-agg packs, the stream carries it untouched, its deaggregator unpacks."""
    from aws_kinesis_agg import aggregator, deaggregator  # the clients' environment has it

    name, packer = stream(1), aggregator.RecordAggregator()
    for number in range(50):
        packer.add_user_record(f"key-{number % 5}", f"record {number}".encode())
    key, explicit, data = packer.clear_and_get().get_contents()
    placed = {"ExplicitHashKey": explicit} if explicit else {}
    kinesis.put_record(StreamName=name, PartitionKey=key, Data=data, **placed)
    whole = [
        {"kinesis": {"data": __import__("base64").b64encode(each["Data"]).decode(), "partitionKey": each["PartitionKey"],
                     "sequenceNumber": each["SequenceNumber"], "kinesisSchemaVersion": "1.0",
                     "approximateArrivalTimestamp": 1.0}, "eventSource": "aws:kinesis"}
        for each in read(name)
    ]  # fmt: skip
    assert len(whole) == 1
    assert len(deaggregator.deaggregate_records(whole)) == 50


def aiokpl_producer() -> None:
    """aiokpl's pipeline: shard map, aggregation, batches; every record confirmed with its place."""
    import anyio
    from aiokpl import Config, Producer

    name = stream(3)

    async def produce() -> None:
        config = Config(
            region="us-east-1", endpoint_url=URL, aws_access_key_id="test", aws_secret_access_key="test",
            record_max_buffered_time_ms=50,
        )  # fmt: skip
        async with Producer(config) as producer:
            waiting = [
                await producer.put_record(stream=name, partition_key=f"k{number}", data=b"x" * 100)
                for number in range(200)
            ]
            results = [await outcome.wait() for outcome in waiting]
        assert all(result.success for result in results)

    anyio.run(produce)
    assert read(name)


def aws_cli() -> None:
    """A stream's life by the AWS CLI."""

    def aws(*arguments: str) -> Any:
        made = subprocess.run(
            [os.environ["LAKEBED_AWS_CLI"], "kinesis", *arguments, "--output", "json"], check=True, capture_output=True
        )
        return json.loads(made.stdout or "null")

    name = f"cli-{uuid.uuid4().hex[:8]}"
    aws("create-stream", "--stream-name", name, "--stream-mode-details", "StreamMode=ON_DEMAND")
    arn = aws("describe-stream-summary", "--stream-name", name)["StreamDescriptionSummary"]["StreamARN"]
    aws("enable-enhanced-monitoring", "--stream-name", name, "--shard-level-metrics", "ALL")
    aws("start-stream-encryption", "--stream-name", name, "--encryption-type", "KMS", "--key-id", "alias/aws/kinesis")
    put = aws("put-record", "--stream-name", name, "--partition-key", "k", "--data", "hello")
    assert put["EncryptionType"] == "KMS"
    assert [each["Data"] for each in read(name)] == [b"hello"]
    consumer = aws("register-stream-consumer", "--stream-arn", arn, "--consumer-name", "c", "--tags", "team=blue")
    assert aws("list-tags-for-resource", "--resource-arn", consumer["Consumer"]["ConsumerARN"])["Tags"]
    aws("delete-stream", "--stream-name", name, "--enforce-consumer-deletion")


PROGRAMS: tuple[Callable[[], None], ...] = (kpl_aggregation, aiokpl_producer, aws_cli)


def main() -> int:
    """How many failed."""
    failed = 0
    for program in PROGRAMS:
        began = time.monotonic()
        try:
            program()
            outcome = "passed"
        except Exception:
            traceback.print_exc()
            outcome, failed = "FAILED", failed + 1
        print(f"{program.__name__:20} {outcome} {time.monotonic() - began:.1f} s")
    return failed


if __name__ == "__main__":
    sys.exit(main())
