"""Encryption of delivery streams: what waits is sealed on disk, and is delivered plain."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from tests.keys import FakeKeys
from tests.services.firehose.conftest import BUCKET, ROLE, STREAM, House, processor

SECRET = b"only under seal"
KEY = "arn:aws:kms:us-east-1:000000000000:key/one"
CUSTOMERS = {"KeyType": "CUSTOMER_MANAGED_CMK", "KeyARN": KEY}


def keys_of(house: House) -> FakeKeys:
    ports: Any = house.harness.ports
    ports.keys = FakeKeys()
    keys: FakeKeys = ports.keys
    return keys


def on_disk(house: House) -> bytes:
    return b"".join(path.read_bytes() for path in Path(house.directory / "log").rglob("*.log"))


async def seal(house: House) -> None:
    await house.call(
        "StartDeliveryStreamEncryption", DeliveryStreamName="d", DeliveryStreamEncryptionConfigurationInput=CUSTOMERS
    )


async def status(house: House) -> dict[str, Any]:
    described = await house.call("DescribeDeliveryStream", DeliveryStreamName="d")
    found: dict[str, Any] = described["DeliveryStreamDescription"]["DeliveryStreamEncryptionConfiguration"]
    return found


async def test_what_waits_is_sealed_and_delivered_plain(house: House) -> None:
    keys_of(house)
    await house.create(interval=600)
    await house.put(b"before ")
    await seal(house)
    assert await status(house) == {"Status": "ENABLED", **CUSTOMERS}
    put = await house.call("PutRecord", DeliveryStreamName="d", Record={"Data": SECRET})
    assert put["Encrypted"] is True
    assert SECRET not in on_disk(house)
    await house.call("StopDeliveryStreamEncryption", DeliveryStreamName="d")
    assert await status(house) == {"Status": "DISABLED"}
    await house.put(b" after")
    await house.clock.advance(600)
    assert list(house.buckets.objects.values()) == [b"before " + SECRET + b" after"]


async def test_with_a_function_both_logs_are_sealed(house: House) -> None:
    keys_of(house)
    await house.create(ProcessingConfiguration=processor(BufferIntervalInSeconds="60"), interval=300)
    await seal(house)
    await house.put(SECRET)
    await house.clock.advance(61)
    assert SECRET not in on_disk(house)
    assert SECRET.upper() not in on_disk(house)
    assert base64.b64encode(SECRET) not in on_disk(house)
    await house.clock.advance(301)
    assert list(house.buckets.objects.values()) == [SECRET.upper()]


async def test_a_disabled_key_stops_puts_and_delays_deliveries(house: House) -> None:
    keys = keys_of(house)
    await house.create()
    await seal(house)
    await house.put(SECRET)
    keys.states["one"] = "Disabled"
    record = {"DeliveryStreamName": "d", "Record": {"Data": b"x"}}
    assert await house.refusal("PutRecord", **record) == "InvalidKMSResourceException"
    await house.clock.advance(120)
    assert not house.buckets.objects
    keys.states["one"] = "Enabled"
    await house.clock.advance(300)
    assert list(house.buckets.objects.values()) == [SECRET]


async def test_sealed_records_survive_a_restart(house: House) -> None:
    keys = keys_of(house)
    await house.create()
    await seal(house)
    await house.put(SECRET)
    again = await house.again()
    ports: Any = again.harness.ports
    ports.keys = keys
    await again.clock.advance(61)
    assert list(again.buckets.objects.values()) == [SECRET]
    await again.harness.stop()


async def test_keys_are_checked(house: House) -> None:
    keys_of(house)
    await house.create()
    for wrong in ({"KeyType": "CUSTOMER_MANAGED_CMK"}, {"KeyType": "AWS_OWNED_CMK", "KeyARN": KEY}):
        given = {"DeliveryStreamName": "d", "DeliveryStreamEncryptionConfigurationInput": wrong}
        assert await house.refusal("StartDeliveryStreamEncryption", **given) == "InvalidArgumentException"
    absent = {"KeyType": "CUSTOMER_MANAGED_CMK", "KeyARN": KEY[:-3] + "nil"}
    given = {"DeliveryStreamName": "d", "DeliveryStreamEncryptionConfigurationInput": absent}
    assert await house.refusal("StartDeliveryStreamEncryption", **given) == "InvalidKMSResourceException"
    await house.harness.call("kinesis", "CreateStream", StreamName="s", ShardCount=1)
    assert await house.refusal(
        "CreateDeliveryStream", DeliveryStreamName="k", DeliveryStreamType="KinesisStreamAsSource",
        KinesisStreamSourceConfiguration={"KinesisStreamARN": STREAM, "RoleARN": ROLE},
        ExtendedS3DestinationConfiguration={"RoleARN": ROLE, "BucketARN": BUCKET},
        DeliveryStreamEncryptionConfigurationInput={"KeyType": "AWS_OWNED_CMK"},
    ) == "InvalidArgumentException"  # fmt: skip
