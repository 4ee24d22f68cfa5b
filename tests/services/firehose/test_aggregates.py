"""Aggregated records are taken apart; whatever else comes is left alone."""

from __future__ import annotations

from hashlib import md5

from hypothesis import given
from hypothesis import strategies as st

from lakebed.services.firehose.aggregates import MAGIC, parts_of
from tests.services.firehose.conftest import STREAM, House, processor


def varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def aggregate(records: list[tuple[str, bytes]]) -> bytes:
    keys = sorted({key for key, _ in records})
    message = b"".join(field(1, key.encode()) for key in keys) + field(2, b"12")
    for key, data in records:
        message += field(3, field(1, keys.index(key)) + field(2, 0) + field(3, data))
    return MAGIC + message + md5(message).digest()


@given(st.lists(st.tuples(st.text(max_size=20), st.binary(max_size=200)), min_size=1, max_size=10))
def test_aggregates_come_apart(records: list[tuple[str, bytes]]) -> None:
    assert parts_of(aggregate(records)) == records


@given(st.binary(max_size=60), st.booleans(), st.booleans())
def test_other_records_are_left_alone(message: bytes, marked: bool, signed: bool) -> None:
    record = (MAGIC if marked else b"") + message + (md5(message).digest() if signed else b"x" * 16)
    parts = parts_of(record)
    assert parts is None or (marked and signed)


async def test_a_kinesis_source_is_deaggregated(house: House) -> None:
    await house.harness.call("kinesis", "CreateStream", StreamName="s", ShardCount=1)
    await house.create(STREAM, ProcessingConfiguration=processor(BufferIntervalInSeconds="0"))
    await house.put_stream(("k", aggregate([("a", b"one "), ("b", b"two ")])), ("k", b"three"))
    await house.clock.advance(60)
    assert list(house.buckets.under("").values()) == [b"ONE TWO THREE"]
    metadata = [r["kinesisRecordMetadata"] for event in house.functions.events for r in event["records"]]
    assert [(m["partitionKey"], m["subsequenceNumber"]) for m in metadata] == [("a", 0), ("b", 1), ("k", 0)]
    assert metadata[0]["sequenceNumber"] == metadata[1]["sequenceNumber"]
    assert house.meter(STREAM)["recordsOut"] == 2
    assert (house.meter()["recordsIn"], house.meter()["recordsOut"]) == (3, 3)


async def test_aggregates_larger_than_a_batch_and_empty_ones(house: House) -> None:
    await house.harness.call("kinesis", "CreateStream", StreamName="s", ShardCount=1)
    await house.create(STREAM)
    many = aggregate([("k", b"%d," % n) for n in range(12_000)])
    empty = aggregate([])
    await house.put_stream(("k", many), ("k", empty), ("k", b"end"))
    await house.clock.advance(60)
    body = b"".join(house.buckets.under("").values())
    assert body == b"".join(b"%d," % n for n in range(12_000)) + empty + b"end"
