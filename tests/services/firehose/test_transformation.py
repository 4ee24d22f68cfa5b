"""Lambda transformation, dynamic partitioning, format conversion and what goes to the error prefix."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from lakebed.services.firehose import transform
from tests.services.firehose.conftest import ARN, FUNCTION, ROLE, STREAM, House, processor
from tests.services.firehose.neighbours import each

CONVERSION = {
    "Enabled": True,
    "SchemaConfiguration": {"RoleARN": ROLE, "DatabaseName": "db", "TableName": "t", "Region": "us-east-1"},
    "InputFormatConfiguration": {"Deserializer": {"OpenXJsonSerDe": {"ColumnToJsonKeyMappings": {"site": "Where"}}}},
    "OutputFormatConfiguration": {"Serializer": {"ParquetSerDe": {"Compression": "GZIP"}}},
}
PARTITIONED: dict[str, Any] = {
    "DynamicPartitioningConfiguration": {"Enabled": True},
    "Prefix": "p/site=!{partitionKeyFromLambda:site}/y=!{timestamp:yyyy}/",
    "ErrorOutputPrefix": "e/!{firehose:error-output-type}/",
}


def error_lines(house: House, prefix: str = "e/") -> list[dict[str, Any]]:
    return [json.loads(line) for body in house.buckets.under(prefix).values() for line in body.splitlines()]


async def test_outcomes_of_a_function(house: House) -> None:
    def change(data: bytes) -> Any:
        return {
            b"drop": None,
            b"fail": {"result": "ProcessingFailed", "data": ""},
            b"odd": {"result": "Perhaps"},
            b"base": {"result": "Ok", "data": "!"},
        }.get(data, data.upper())

    house.functions.transform = lambda event: each(event, change)
    await house.create(ProcessingConfiguration=processor(BufferIntervalInSeconds="5"))
    await house.put(b"good", b"drop", b"fail", b"odd", b"base", b"end")
    assert house.functions.events == []
    await house.clock.advance(5)
    (event,) = house.functions.events
    assert event["deliveryStreamArn"] == ARN
    assert event["region"] == "us-east-1"
    assert "sourceKinesisStreamArn" not in event
    await house.clock.advance(60)
    assert list(house.buckets.under("2025/").values()) == [b"GOODEND"]
    lines = error_lines(house, "processing-failed/2025/06/15/15/d-1-")
    assert [line["errorCode"] for line in lines] == [
        "Lambda.ProcessingFailedStatus",
        "Lambda.JsonProcessingException",
        "Lambda.JsonProcessingException",
    ]
    assert base64.b64decode(lines[0]["rawData"]) == b"fail"
    assert lines[0]["lambdaArn"] == FUNCTION
    assert lines[0]["attemptsMade"] == 1
    meter = house.meter()
    assert (meter["recordsIn"], meter["recordsOut"], meter["dropped"], meter["errors"]) == (6, 2, 1, 3)
    assert meter["waiting"] == 0


async def test_a_function_that_fails_is_tried_again_then_skipped(house: House) -> None:
    await house.create(ProcessingConfiguration=processor(BufferIntervalInSeconds="0", NumberOfRetries="2"))
    house.functions.failures = 2
    await house.put(b"a")
    await house.clock.advance(10)
    assert len(house.functions.events) == 3
    house.functions.failures = 3
    await house.put(b"b")
    await house.clock.advance(10)
    await house.put(b"c")
    await house.clock.advance(60)
    assert b"".join(house.buckets.under("2025/").values()) == b"AC"
    (line,) = error_lines(house, "processing-failed/")
    assert (line["errorCode"], line["attemptsMade"]) == ("Lambda.FunctionError", 3)
    assert "boom" in line["errorMessage"]


async def test_a_batch_is_handed_over_by_size(house: House) -> None:
    await house.create(ProcessingConfiguration=processor(BufferSizeInMBs="0.2", BufferIntervalInSeconds="900"))
    await house.put(*[b"x" * 1000] * 250)
    assert [len(event["records"]) for event in house.functions.events] == [210]
    await house.clock.advance(900)
    assert [len(event["records"]) for event in house.functions.events] == [210, 40]


async def test_kinesis_metadata_reaches_the_function(house: House) -> None:
    await house.harness.call("kinesis", "CreateStream", StreamName="s", ShardCount=1)
    await house.create(STREAM, ProcessingConfiguration=processor(BufferIntervalInSeconds="0"))
    await house.put_stream(("key", b"a"))
    (event,) = house.functions.events
    assert event["sourceKinesisStreamArn"] == STREAM
    metadata = event["records"][0]["kinesisRecordMetadata"]
    assert metadata["partitionKey"] == "key"
    assert metadata["shardId"] == "shardId-000000000000"
    assert len(metadata["sequenceNumber"]) == 56
    await house.clock.advance(60)
    assert list(house.buckets.under("2025/").values()) == [b"A"]


async def test_an_event_never_exceeds_lambdas_limit(house: House) -> None:
    await house.harness.call("kinesis", "CreateStream", StreamName="s", ShardCount=2)
    await house.create(STREAM, ProcessingConfiguration=processor(BufferSizeInMBs="3", BufferIntervalInSeconds="1"))
    await house.put_stream(*[(f"k{n % 10}", b"%06d" % n + b"." * 290) for n in range(9000)])
    await house.clock.advance(70)
    assert len(house.functions.events) > 1
    assert all(len(json.dumps(event)) < 6.5e6 for event in house.functions.events)
    body = b"".join(house.buckets.under("").values())
    found = [int(body[place : place + 6]) for place in range(0, len(body), 296)]
    assert sorted(found) == list(range(9000))
    for key in range(10):
        own = [number for number in found if number % 10 == key]
        assert own == sorted(own)


def test_answers_that_break_the_contract() -> None:
    def codes(answer: Any) -> list[str]:
        raw = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        return [outcome.code for outcome in transform.outcomes(raw, 2)]

    first, second = transform.record_id(0), transform.record_id(1)
    okay = {"recordId": first, "result": "Ok", "data": ""}
    assert codes(b"not json") == ["Lambda.JsonProcessingException"] * 2
    assert codes([1]) == ["Lambda.JsonProcessingException"] * 2
    assert codes({"records": [okay]}) == ["", "Lambda.MissingRecordId"]
    assert codes({"records": [okay, okay, {**okay, "recordId": second}]}) == ["Lambda.DuplicatedRecordId", ""]
    assert codes(b"x" * (6 * 1024 * 1024 + 1)) == ["Lambda.FunctionError"] * 2


async def test_partitions_follow_the_keys_of_the_function(house: House) -> None:
    def change(data: bytes) -> Any:
        site = json.loads(data).get("site", "")
        return {"result": "Ok", "data": base64.b64encode(data).decode(), "metadata": {"partitionKeys": {"site": site}}}

    house.functions.transform = lambda event: each(event, change)
    await house.create(size=64, ProcessingConfiguration=processor(BufferIntervalInSeconds="0"), **PARTITIONED)
    records = [json.dumps({"site": f"s{n % 3}", "n": n}).encode() for n in range(30)]
    await house.put(*records, b'{"n": 99}', json.dumps({"site": "x" * 600}).encode())
    await house.clock.advance(60)
    assert len(house.buckets.under("p/")) == 3
    for site in range(3):
        (body,) = house.buckets.under(f"p/site=s{site}/y=2025/d-1-").values()
        assert body == b"".join(records[site::3])
    lines = error_lines(house, "e/processing-failed/")
    assert [line["errorCode"] for line in lines] == [
        "DynamicPartitioning.MissingKeys",
        "DynamicPartitioning.KeysTooLong",
    ]


async def test_partitions_beyond_the_limit_go_to_the_error_prefix(house: House) -> None:
    def change(data: bytes) -> Any:
        keys = {"site": data.decode()}
        return {"result": "Ok", "data": base64.b64encode(data).decode(), "metadata": {"partitionKeys": keys}}

    house.functions.transform = lambda event: each(event, change)
    await house.create(size=64, ProcessingConfiguration=processor(BufferIntervalInSeconds="0"), **PARTITIONED)
    await house.put(*[b"%d" % n for n in range(510)])
    await house.clock.advance(60)
    assert len(house.buckets.under("p/")) == 500
    assert [line["errorCode"] for line in error_lines(house)] == [
        "DynamicPartitioning.ActivePartitionsLimitExceeded"
    ] * 10


async def test_records_become_columns_and_bad_ones_error_lines(house: House) -> None:
    await house.create(
        size=64,
        DataFormatConversionConfiguration=CONVERSION,
        Prefix="t/",
    )
    await house.put(b'{"n": 1}', b"no json", b'{\n "n": 2\n}', b'{"n":3}\n', b'{"n":4}\n{"n":5}', b"")
    await house.clock.advance(60)
    ((key, body),) = house.buckets.under("t/2025/").items()
    assert key.endswith(".parquet")
    assert body == b'PAR1{"n": 1}\n{"n": 2}\n{"n": 3}'
    (job,) = house.converter.jobs
    assert job.columns == [("n", "bigint"), ("site", "string")]
    assert (job.compression, job.rename, job.case_insensitive) == ("gzip", {"Where": "site"}, True)
    lines = error_lines(house, "t/format-conversion-failed/")
    assert [base64.b64decode(line["rawData"]) for line in lines] == [b"no json", b'{"n":4}\n{"n":5}', b""]
    assert lines[0]["dataCatalogTable"]["tableName"] == "t"
    meter = house.meter()
    assert (meter["recordsOut"], meter["errors"]) == (3, 3)
    assert list((house.directory / "objects/drafts").iterdir()) == []


@pytest.mark.parametrize("interval", ["0", "30"])
async def test_a_function_taken_away_lets_its_records_through_first(house: House, interval: str) -> None:
    await house.create(interval=60, ProcessingConfiguration=processor(BufferIntervalInSeconds=interval))
    await house.put(b"a")
    await house.call(
        "UpdateDestination",
        DeliveryStreamName="d",
        CurrentDeliveryStreamVersionId="1",
        DestinationId="destinationId-000000000001",
        ExtendedS3DestinationUpdate={"ProcessingConfiguration": {"Enabled": False}},
    )
    await house.put(b"b")
    await house.put(b"c")
    await house.clock.advance(61)
    assert b"".join(house.buckets.under("").values()).lower() == b"abc"


async def test_what_is_buffered_when_the_partition_keys_change_is_delivered(house: House) -> None:
    keys = {"site": "s", "kind": "k"}

    def change(data: bytes) -> Any:
        return {"result": "Ok", "data": base64.b64encode(data).decode(), "metadata": {"partitionKeys": keys}}

    house.functions.transform = lambda event: each(event, change)
    await house.create(size=64, ProcessingConfiguration=processor(BufferIntervalInSeconds="0"), **PARTITIONED)
    await house.put(b"a")
    await house.call(
        "UpdateDestination",
        DeliveryStreamName="d",
        CurrentDeliveryStreamVersionId="1",
        DestinationId="destinationId-000000000001",
        ExtendedS3DestinationUpdate={"Prefix": "p/!{partitionKeyFromLambda:kind}/"},
    )
    await house.put(b"b")
    await house.clock.advance(60)
    assert list(house.buckets.under("p/__HIVE_DEFAULT_PARTITION__/").values()) == [b"a"]
    assert list(house.buckets.under("p/k/").values()) == [b"b"]


async def test_partitions_by_a_query_over_the_records(house: House) -> None:
    query = '{site: .meta.site, day: .time | strftime("%d")}'
    parameters = {"MetadataExtractionQuery": query, "JsonParsingEngine": "JQ-1.6"}
    listed = [{"ParameterName": key, "ParameterValue": value} for key, value in parameters.items()]
    extraction = {"Enabled": True, "Processors": [{"Type": "MetadataExtraction", "Parameters": listed}]}
    await house.create(
        size=64,
        ProcessingConfiguration=extraction,
        DynamicPartitioningConfiguration={"Enabled": True},
        Prefix="q/!{partitionKeyFromQuery:site}/!{partitionKeyFromQuery:day}/",
        ErrorOutputPrefix="e/!{firehose:error-output-type}/",
    )
    records = [json.dumps({"meta": {"site": f"s{n % 2}"}, "time": 1750000000}).encode() for n in range(10)]
    await house.put(*records, b"no json")
    await house.clock.advance(60)
    for site in range(2):
        assert list(house.buckets.under(f"q/s{site}/15/").values()) == [b"".join(records[site::2])]
    (line,) = error_lines(house)
    assert line["errorCode"] == "DynamicPartitioning.MetadataExtractionFailed"
    assert "lambdaArn" not in line
    meter = house.meter()
    assert (meter["recordsIn"], meter["recordsOut"], meter["errors"], meter["waiting"]) == (11, 10, 1, 0)
