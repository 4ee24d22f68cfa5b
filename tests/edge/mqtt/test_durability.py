"""What survives the end of the process: sessions, queues, retained messages, the authority."""

from __future__ import annotations

from pathlib import Path

from lakebed.wire.mqtt import packets as mqtt
from tests.edge.mqtt.world import Device, World


async def test_a_persistent_session_survives_a_crash(tmp_path: Path) -> None:
    world = await World(tmp_path / "data").start()
    files = await world.certificate()
    root = world.door.authority.root_pem
    reader, writer = Device(world, files), Device(world, files)
    await reader.connect("reader", clean_start=False)
    await reader.subscribe("q/#")
    await writer.connect("writer")
    assert await writer.publish("q/1", b"1", 1) == mqtt.Puback(1)
    first = await reader.hear()
    assert first == mqtt.Publish("q/1", b"1", 1, packet_id=1)  # received and not acknowledged
    reader.drop()
    for number in range(2, 5):
        assert await writer.publish(f"q/{number}", b"%d" % number, number) == mqtt.Puback(number)
    await writer.publish("kept", b"r", 9, retain=True)

    world = await world.crash()
    assert world.door.authority.root_pem == root
    reader = Device(world, files)
    answer = await reader.connect("reader", clean_start=False)
    assert answer.session_present
    got = [await reader.hear() for _ in range(4)]
    assert [one.payload for one in got if isinstance(one, mqtt.Publish)] == [b"1", b"2", b"3", b"4"]
    assert isinstance(got[0], mqtt.Publish)
    assert got[0].dup
    assert got[0].packet_id == 1
    reader.say(*(mqtt.Puback(one.packet_id) for one in got if isinstance(one, mqtt.Publish)))
    assert await reader.quiet()
    reader.drop()

    world = await world.crash()
    reader = Device(world, files)
    assert (await reader.connect("reader", clean_start=False)).session_present
    assert await reader.quiet()
    await reader.subscribe("kept", qos=0)
    kept = await reader.hear()
    assert isinstance(kept, mqtt.Publish)
    assert kept.payload == b"r"
    await reader.leave()
    await world.stop()


async def test_sessions_end_when_they_expire(tmp_path: Path) -> None:
    world = await World(tmp_path / "data").start()
    files = await world.certificate()
    reader, writer = Device(world, files), Device(world, files)
    await reader.connect("reader", clean_start=False)
    await reader.subscribe("q")
    reader.drop()
    await writer.connect("writer")
    assert await writer.quiet()
    await world.harness.clock.advance(3590)
    await writer.publish("q", b"x")
    await world.harness.clock.advance(20)
    assert world.k.db.all("SELECT * FROM mqtt_session") == []
    assert world.k.db.all("SELECT * FROM mqtt_queued") == []
    reader = Device(world, files)
    assert not (await reader.connect("reader", clean_start=False)).session_present
    await world.stop()


async def test_a_window_of_one_hundred_and_the_rest_follows(tmp_path: Path) -> None:
    world = await World(tmp_path / "data").start()
    files = await world.certificate()
    reader, writer = Device(world, files), Device(world, files)
    await reader.connect("reader", clean_start=False)
    await reader.subscribe("q")
    reader.drop()
    await writer.connect("writer")
    writer.say(*(mqtt.Publish("q", b"%d" % n, 1, packet_id=n + 1) for n in range(250)))
    assert [await writer.hear() for _ in range(250)] == [mqtt.Puback(n + 1) for n in range(250)]
    reader = Device(world, files)
    await reader.connect("reader", clean_start=False)
    got: list[bytes] = []
    for _ in range(100):
        one = await reader.hear()
        assert isinstance(one, mqtt.Publish)
        got.append(one.payload)
    assert await reader.quiet()
    for number in range(250):
        reader.say(mqtt.Puback(number + 1))
        if number < 150:
            one = await reader.hear()
            assert isinstance(one, mqtt.Publish)
            got.append(one.payload)
    assert got == [b"%d" % n for n in range(250)]
    assert await reader.quiet()
    await world.stop()


def test_keys_are_private(tmp_path: Path) -> None:
    world = World(tmp_path / "data")
    for key in (tmp_path / "data" / "mqtt").glob("*.key"):
        assert key.stat().st_mode & 0o077 == 0
    world.k.db.close()
