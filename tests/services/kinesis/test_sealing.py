"""Encryption of streams: bodies are sealed on disk, and a key that may not be used stops who writes and who reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lakebed.kernel.errors import AwsError
from lakebed.services import kinesis
from tests.harness import ROOT, Harness
from tests.keys import FakeKeys
from tests.services.kinesis.test_operations import ARN, drain, house, iterator, refusal

SECRET = b"only under seal"


async def encrypted(harness: Harness) -> FakeKeys:
    keys = FakeKeys()
    ports: Any = harness.ports
    ports.keys = keys
    await house(harness)
    await harness.call("kinesis", "StartStreamEncryption", StreamName="s", EncryptionType="KMS", KeyId="one")
    return keys


def on_disk(harness: Harness) -> bytes:
    return b"".join(path.read_bytes() for path in Path(harness.kernel.data / "log").rglob("*.log"))


async def test_bodies_are_sealed_and_read_back(harness: Harness) -> None:
    await encrypted(harness)
    put = await harness.call("kinesis", "PutRecord", StreamName="s", PartitionKey="keyed", Data=SECRET)
    assert put["EncryptionType"] == "KMS"
    assert SECRET not in on_disk(harness)
    assert b"keyed" not in on_disk(harness)
    found = await harness.call("kinesis", "GetRecords", ShardIterator=await iterator(harness))
    (record,) = found["Records"]
    assert (record["Data"], record["PartitionKey"], record["EncryptionType"]) == (SECRET, "keyed", "KMS")
    described = (await harness.call("kinesis", "DescribeStreamSummary", StreamName="s"))["StreamDescriptionSummary"]
    assert (described["EncryptionType"], described["KeyId"]) == ("KMS", "one")
    through_port = harness.ports.streams.read(
        ARN, "shardId-000000000000", 0, records_max=9, bytes_max=9, principal=ROOT
    )
    assert through_port[0].data == SECRET


async def test_keys_change_and_old_records_stay_readable(harness: Harness) -> None:
    await encrypted(harness)
    for key, data in (("one", b"a"), ("two", b"b")):
        await harness.call("kinesis", "StartStreamEncryption", StreamName="s", EncryptionType="KMS", KeyId=key)
        await harness.call("kinesis", "PutRecord", StreamName="s", PartitionKey="k", Data=data)
        await harness.clock.advance(301)
        await harness.call("kinesis", "PutRecord", StreamName="s", PartitionKey="k", Data=data * 2)
    await harness.call("kinesis", "StopStreamEncryption", StreamName="s", EncryptionType="KMS", KeyId="two")
    await harness.call("kinesis", "PutRecord", StreamName="s", PartitionKey="k", Data=b"c")
    assert await drain(harness) == [b"a", b"aa", b"b", b"bb", b"c"]
    assert b"c" in on_disk(harness)


async def test_a_key_that_may_not_be_used_stops_both_sides(harness: Harness) -> None:
    keys = await encrypted(harness)
    await harness.call("kinesis", "PutRecord", StreamName="s", PartitionKey="k", Data=b"x")
    at = await iterator(harness)
    put = {"StreamName": "s", "PartitionKey": "k", "Data": b"y"}
    for state, code in (("Disabled", "KMSDisabledException"), ("PendingDeletion", "KMSInvalidStateException")):
        keys.states["one"] = state
        assert await refusal(harness, "PutRecord", **put) == code
        assert await refusal(harness, "GetRecords", ShardIterator=at) == code
    keys.states["one"] = "Enabled"
    keys.denied = {"kms:Decrypt"}
    await harness.call("kinesis", "PutRecord", **put)
    assert await refusal(harness, "GetRecords", ShardIterator=at) == "KMSAccessDeniedException"
    keys.denied = {"kms:GenerateDataKey"}
    assert await refusal(harness, "PutRecord", **put) == "KMSAccessDeniedException"
    start = {"StreamName": "s", "EncryptionType": "KMS"}
    assert await refusal(harness, "StartStreamEncryption", KeyId="three", **start) == "KMSNotFoundException"


async def test_sealed_records_survive_a_restart_and_keys_are_forgotten_with_them(tmp_path: Path) -> None:
    first = Harness(tmp_path / "d")
    keys = await encrypted(first)
    await first.call("kinesis", "PutRecord", StreamName="s", PartitionKey="k", Data=SECRET)
    await first.stop()
    again = Harness(tmp_path / "d", first.clock)
    ports: Any = again.ports
    ports.keys = keys
    again.add(kinesis.service)
    await again.start()
    assert await drain(again) == [SECRET]
    await again.clock.advance(400)
    await again.call("kinesis", "PutRecord", StreamName="s", PartitionKey="k", Data=b"newer")
    await again.clock.advance(24 * 3600 + 400)
    (left,) = again.kernel.db.all("SELECT number FROM kinesis_data_key")
    assert left["number"] == 2
    await again.stop()


async def test_a_record_moved_to_another_stream_does_not_open(harness: Harness) -> None:
    await encrypted(harness)
    await harness.call("kinesis", "PutRecord", StreamName="s", PartitionKey="k", Data=SECRET)
    log = next(name for name in harness.kernel.segments.names("kinesis"))
    (record,) = harness.kernel.segments.log(log).read(0, records_max=1, bytes_max=1)
    await harness.kernel.segments.log(log).append([record.data[:-1] + bytes([record.data[-1] ^ 1])])
    with pytest.raises(OSError, match="does not open"):
        await harness.call("kinesis", "GetRecords", ShardIterator=await iterator(harness))


async def test_unencrypted_streams_never_ask_kms(harness: Harness) -> None:
    await house(harness)
    await harness.call("kinesis", "PutRecord", StreamName="s", PartitionKey="k", Data=b"x")
    assert await drain(harness) == [b"x"]
    with pytest.raises(AttributeError):
        _ = harness.ports.keys
    with pytest.raises(AwsError):
        await harness.call("kinesis", "StopStreamEncryption", StreamName="none", EncryptionType="KMS", KeyId="one")
