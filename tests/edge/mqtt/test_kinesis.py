"""The first hop of the flow for real: devices, a rule, Kinesis; nothing acknowledged is lost, order per key is kept."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from lakebed.services.kinesis import service as kinesis
from lakebed.wire.mqtt import packets as mqtt
from tests.edge.mqtt.world import Device, World


async def test_devices_reach_a_kinesis_stream(tmp_path: Path) -> None:
    world = World(tmp_path / "data")
    world.harness.add(kinesis)
    await world.start()
    call = world.harness.call
    await call("kinesis", "CreateStream", StreamName="s", ShardCount=2)
    await world.harness.clock.advance(30)
    await world.rule(sql="SELECT *, topic(2) AS device FROM 'dt/+/flight'", partitionKey="${topic(2)}")
    files = await world.certificate()

    async def device(name: str) -> None:
        one = Device(world, files)
        await one.connect(name)
        for start in range(0, 200, 50):
            numbers = range(start, start + 50)
            one.say(*(mqtt.Publish(f"dt/{name}/flight", b'{"n":%d}' % n, 1, packet_id=n + 1) for n in numbers))
            assert [await one.hear() for _ in numbers] == [mqtt.Puback(n + 1) for n in numbers]
        await one.leave()

    await asyncio.gather(*(device(f"d{n}") for n in range(4)))
    by_device: dict[str, list[int]] = {}
    arn = (await call("kinesis", "DescribeStreamSummary", StreamName="s"))["StreamDescriptionSummary"]["StreamARN"]
    for shard in world.ports.streams.shards(arn):
        for record in world.ports.streams.read(arn, shard, 0, records_max=10_000, bytes_max=1 << 24):
            body = json.loads(record.data)
            assert record.partition_key == body["device"]
            by_device.setdefault(body["device"], []).append(body["n"])
    assert by_device == {f"d{n}": list(range(200)) for n in range(4)}
    await world.stop()
