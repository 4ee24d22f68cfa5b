"""The broker's behaviour, packet by packet, over TLS with our own codec."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Sequence
from pathlib import Path

import pytest

from lakebed.kernel.errors import AwsError
from lakebed.ports.devices import IngestUnavailableError
from lakebed.wire.mqtt import packets as mqtt
from lakebed.wire.mqtt.reasons import Reason
from tests.edge.mqtt.world import Device, World

V5 = mqtt.V5


async def test_connect_terms_of_version_5(world: World) -> None:
    files = await world.certificate()
    answer = await Device(world, files, V5).connect("", keep_alive=5, properties={"session_expiry_interval": 9999})
    assert answer.reason == Reason.SUCCESS
    terms = answer.properties
    assert terms["server_keep_alive"] == 30
    assert terms["session_expiry_interval"] == 3600
    assert terms["maximum_qos"] == 1
    assert terms["assigned_client_identifier"].startswith("$GEN/")


async def test_without_a_certificate_there_is_no_mqtt(world: World) -> None:
    context = ssl.create_default_context(cadata=world.door.authority.root_pem)
    device = Device(world, ("", "", ""), V5)  # type: ignore[arg-type]
    world.context = lambda *_: context  # type: ignore[method-assign]
    assert (await device.connect()).reason == Reason.NOT_AUTHORIZED
    assert await device.hear() is None


async def test_inactive_certificates_are_refused_and_revoked_ones_lose_their_connection(world: World) -> None:
    files = await world.certificate()
    device = Device(world, files)
    await device.connect()
    certificate_id = files[2].rsplit("/", 1)[1]
    await world.harness.call("iot", "UpdateCertificate", certificateId=certificate_id, newStatus="INACTIVE")
    assert await device.hear() is None
    assert (await Device(world, files, V5).connect()).reason == Reason.NOT_AUTHORIZED
    await world.harness.call("iot", "UpdateCertificate", certificateId=certificate_id, newStatus="ACTIVE")
    assert (await Device(world, files).connect()).reason == 0


async def test_policy_denial(world: World) -> None:
    arn = "arn:aws:iot:us-east-1:000000000000:"
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "iot:Connect", "Resource": arn + "client/d*"},
            {"Effect": "Allow", "Action": "iot:Publish", "Resource": arn + "topic/dt/${iot:ClientId}/*"},
            {"Effect": "Deny", "Action": "iot:Publish", "Resource": arn + "topic/dt/*/secret"},
            {"Effect": "Allow", "Action": ["iot:Subscribe"], "Resource": arn + "topicfilter/dt/+/x"},
        ],
    }
    files = await world.certificate(policy, "strict")
    assert (await Device(world, files).connect("other")).reason == 5
    device = Device(world, files)
    await device.connect("d1")
    assert await device.publish("dt/d1/x", b"1") == mqtt.Puback(1)
    assert await device.subscribe("dt/+/x", "dt/#") == (1, 0x80)
    assert await device.publish("dt/d1/x", b"2") == mqtt.Puback(1)  # iot:Receive is not allowed: nothing arrives
    assert await device.quiet()
    assert await device.publish("dt/d2/x", b"3") is None  # 3.1.1: the connection ends
    five = Device(world, files, V5)
    await five.connect("d1")
    assert await five.publish("dt/d1/secret", b"4") == mqtt.Puback(1, Reason.NOT_AUTHORIZED)
    assert await five.publish("dt/d1/x", b"5", retain=True) == mqtt.Puback(1, Reason.NOT_AUTHORIZED)
    assert await five.publish("$aws/things/x/shadow/update", b"6") == mqtt.Puback(1, Reason.NOT_AUTHORIZED)


async def test_takeover_ends_the_older_connection(world: World) -> None:
    files = await world.certificate()
    first, second = Device(world, files, V5), Device(world, files, V5)
    await first.connect("same")
    await second.connect("same")
    assert await first.hear() == mqtt.Disconnect(Reason.SESSION_TAKEN_OVER)
    assert await second.quiet()
    assert [info.client_id for info in world.door.broker.connections()] == ["same"]


async def test_qos_and_overlap_and_no_local(world: World) -> None:
    files = await world.certificate()
    device = Device(world, files, V5)
    await device.connect()
    await device.ask(
        mqtt.Subscribe(
            1,
            (mqtt.Subscription("a/+", 0), mqtt.Subscription("a/b", 1)),
            {"subscription_identifier": [7]},
        )
    )
    device.say(mqtt.Publish("a/b", b"x", 1, packet_id=3, properties={"user_property": [("k", "v")]}))
    got = await device.hear()
    assert isinstance(got, mqtt.Publish)
    assert (got.qos, got.payload) == (1, b"x")
    assert got.properties["user_property"] == [("k", "v")]
    assert got.properties["subscription_identifier"] == [7, 7]
    assert await device.hear() == mqtt.Puback(3)
    await device.ask(mqtt.Subscribe(2, (mqtt.Subscription("n", 1, no_local=True),)))
    assert await device.publish("n", b"x") == mqtt.Puback(1)
    assert await device.quiet()


async def test_topic_aliases(world: World) -> None:
    files = await world.certificate()
    device = Device(world, files, V5)
    await device.connect()
    await device.subscribe("al", qos=0)
    device.say(
        mqtt.Publish("al", b"1", properties={"topic_alias": 3}), mqtt.Publish("", b"2", properties={"topic_alias": 3})
    )
    assert [(await device.hear()).payload for _ in range(2)] == [b"1", b"2"]  # type: ignore[union-attr]
    device.say(mqtt.Publish("", b"2", properties={"topic_alias": 4}))
    assert await device.hear() == mqtt.Disconnect(Reason.PROTOCOL_ERROR)


async def test_shared_subscriptions_take_turns(world: World) -> None:
    files = await world.certificate()
    one, two, sender = Device(world, files), Device(world, files), Device(world, files)
    for device, name in ((one, "1"), (two, "2"), (sender, "3")):
        await device.connect(name)
    for device in (one, two):
        assert await device.subscribe("$share/g/s/#", qos=0) == (0,)
    for number in range(4):
        await sender.publish("s/x", b"%d" % number)
    got = [[(await device.hear()).payload for _ in range(2)] for device in (one, two)]  # type: ignore[union-attr]
    assert sorted(got[0] + got[1]) == [b"0", b"1", b"2", b"3"]
    assert await one.quiet()
    assert await two.quiet()


async def test_retained_messages(world: World) -> None:
    files = await world.certificate()
    device = Device(world, files, V5)
    await device.connect()
    await device.publish("r/1", b"one", retain=True)
    await device.publish("r/2", b"two", retain=True)
    await device.subscribe("r/+")
    got = [await device.hear() for _ in range(2)]
    assert [(one.topic, one.payload, one.retain) for one in got if isinstance(one, mqtt.Publish)] == [
        ("r/1", b"one", True),
        ("r/2", b"two", True),
    ]
    listed = await world.harness.call("iot-data", "ListRetainedMessages")
    assert [one["topic"] for one in listed["retainedTopics"]] == ["r/1", "r/2"]
    found = await world.harness.call("iot-data", "GetRetainedMessage", topic="r/1")
    assert found["payload"].read() if hasattr(found["payload"], "read") else found["payload"] == b"one"
    await device.publish("r/1", b"", retain=True)
    listed = await world.harness.call("iot-data", "ListRetainedMessages")
    assert [one["topic"] for one in listed["retainedTopics"]] == ["r/2"]


async def test_wills(world: World) -> None:
    files = await world.certificate()
    watcher, device = Device(world, files), Device(world, files)
    await watcher.connect("watcher")
    await watcher.subscribe("will")
    will = mqtt.Will("will", b"gone", 1)
    await device.connect("d", will=will)
    await device.leave()
    assert await watcher.quiet()
    device = Device(world, files)
    await device.connect("d", will=will)
    device.drop()
    got = await watcher.hear()
    assert isinstance(got, mqtt.Publish)
    assert got.payload == b"gone"
    watcher.say(mqtt.Puback(got.packet_id))
    delayed = Device(world, files, V5)
    late = mqtt.Will("will", b"late", 1, False, {"will_delay_interval": 60})
    await delayed.connect("d5", will=late, properties={"session_expiry_interval": 600})
    delayed.drop()
    assert await watcher.quiet()
    await world.harness.clock.advance(61)
    got = await watcher.hear()
    assert isinstance(got, mqtt.Publish)
    assert got.payload == b"late"


async def test_a_stop_speaks_wills(tmp_path: Path) -> None:
    world = await World(tmp_path / "data").start()
    files = await world.certificate()
    watcher, device, delayed = Device(world, files), Device(world, files), Device(world, files, V5)
    await watcher.connect("watcher", clean_start=False)
    await watcher.subscribe("will")
    await device.connect("d", will=mqtt.Will("will", b"gone", 1))
    late = mqtt.Will("will", b"late", 1, False, {"will_delay_interval": 60})
    await delayed.connect("d5", will=late, properties={"session_expiry_interval": 600})
    await world.door.close()
    again = await world.crash()
    watcher = Device(again, files)
    await watcher.connect("watcher", clean_start=False)
    assert {(await watcher.hear()).payload for _ in range(2)} == {b"gone", b"late"}  # type: ignore[union-attr]
    await again.stop()


async def test_a_silent_connection_ends(world: World) -> None:
    files = await world.certificate()
    device = Device(world, files, V5)
    await device.connect(keep_alive=30)
    connection = next(iter(world.door._sockets))
    connection.heard_at -= 46
    await world.harness.clock.advance(6)
    assert await device.hear() == mqtt.Disconnect(Reason.KEEP_ALIVE_TIMEOUT)


async def test_lifecycle_events(world: World) -> None:
    files = await world.certificate()
    watcher, device = Device(world, files), Device(world, files)
    await watcher.connect("watcher")
    await watcher.subscribe("$aws/events/presence/#", qos=0)
    await device.connect("d")
    device.drop()
    events = [json.loads((await watcher.hear()).payload) for _ in range(2)]  # type: ignore[union-attr]
    assert [event["eventType"] for event in events] == ["connected", "disconnected"]
    assert events[1]["disconnectReason"] == "CONNECTION_LOST"
    assert events[0]["clientId"] == "d"


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        (mqtt.Publish("a", b"x", 2, packet_id=1), Reason.QOS_NOT_SUPPORTED),
        (mqtt.Publish("a" * 257, b"x"), Reason.TOPIC_NAME_INVALID),
        (mqtt.Publish("/".join("abcdefghi"), b"x"), Reason.TOPIC_NAME_INVALID),
        (mqtt.Publish("a", b"x" * (131_073)), Reason.PACKET_TOO_LARGE),
        (mqtt.Subscribe(1, tuple(mqtt.Subscription(f"a{n}") for n in range(9))), Reason.QUOTA_EXCEEDED),
        (mqtt.Connect(V5, "again"), Reason.PROTOCOL_ERROR),
        (mqtt.Pingresp(), Reason.PROTOCOL_ERROR),
    ],
)
async def test_what_breaks_a_limit_ends_the_connection_with_a_reason(
    world: World, packet: mqtt.Packet, reason: Reason
) -> None:
    device = Device(world, await world.certificate(), V5)
    await device.connect()
    assert await device.ask(packet) == mqtt.Disconnect(reason)
    assert await device.hear() is None


async def test_malformed_floods_leave_nothing_behind(world: World) -> None:
    files = await world.certificate()
    for noise in (b"\x00" * 5000, b"\xff" * 5000, b"\x10\x02\x00\x00", b"\x30" * 300):
        device = await Device(world, files).open()
        device.say_bytes(noise)
        assert await device.hear() is None or await device.hear() is None
    device = Device(world, files)
    await device.connect()
    assert await device.quiet()
    assert len(world.door.broker.connections()) == 1


async def test_puback_follows_ingest_and_its_failure_keeps_the_message_with_the_device(world: World) -> None:
    device = Device(world, await world.certificate())
    await device.connect()

    async def unavailable(*_: object, **__: object) -> None:
        raise IngestUnavailableError("disk full")

    world.ports.gate.ingest = unavailable  # type: ignore[method-assign]
    assert await device.publish("a", b"x") is None


async def test_a_batch_reaches_the_stream_in_order_and_in_few_puts(world: World) -> None:
    await world.rule(sql="SELECT * FROM 'dt/#'", partitionKey="${topic(2)}")
    device = Device(world, await world.certificate())
    await device.connect()
    device.say(*(mqtt.Publish(f"dt/{n % 3}", b"%d" % n, 1, packet_id=n + 1) for n in range(1000)))
    assert [await device.hear() for _ in range(1000)] == [mqtt.Puback(n + 1) for n in range(1000)]
    assert world.streams.records == [b"%d" % n for n in range(1000)]
    assert world.streams.puts[0][1][4] == ("1", b"4")
    assert len(world.streams.puts) < 60
    meter = world.k.meters.snapshot()["resources"]["arn:aws:iot:us-east-1:000000000000:rule/r"]  # type: ignore[index]
    assert (meter["recordsIn"], meter["recordsOut"]) == (1000, 1000)


async def test_a_connection_is_ended_by_the_api(world: World) -> None:
    device = Device(world, await world.certificate(), V5)
    await device.connect("d", properties={"session_expiry_interval": 600})
    await world.harness.call("iot-data", "DeleteConnection", clientId="d", cleanSession=True)
    assert await device.hear() == mqtt.Disconnect(Reason.ADMINISTRATIVE_ACTION)
    assert world.k.db.all("SELECT * FROM mqtt_session") == []
    with pytest.raises(AwsError, match="not connected"):
        await world.harness.call("iot-data", "DeleteConnection", clientId="d")


async def test_a_consumer_that_does_not_read_is_bounded_and_delays_nobody(world: World) -> None:
    files = await world.certificate()
    slow, writer = Device(world, files, V5), Device(world, files, V5)
    await slow.connect("slow")
    await slow.subscribe("big", qos=0)
    slow.writer.transport.pause_reading()  # type: ignore[attr-defined]
    await writer.connect("writer")
    for number in range(160):
        assert await writer.publish("big", b"x" * 131_072, number + 1) == mqtt.Puback(number + 1)
    connection = next(one for one in world.door._sockets if one.client_id == "slow")
    assert connection.session is not None
    assert connection.session.dropped > 0
    assert connection._out_bytes < 4 << 20
    slow.drop()
    assert await writer.quiet()


async def test_reading_pauses_while_rules_are_busy(world: World) -> None:
    device = Device(world, await world.certificate())
    await device.connect()
    gate, waiting, sizes = world.ports.gate.ingest, asyncio.Event(), []

    async def slow(identity: object, client_id: str, messages: Sequence[object]) -> None:
        sizes.append(len(messages))
        await waiting.wait()

    world.ports.gate.ingest = slow  # type: ignore[method-assign]
    connection = next(iter(world.door._sockets))
    payload = b"x" * 100_000
    device.say(*(mqtt.Publish("a", payload, 1, packet_id=n + 1) for n in range(300)))
    for _ in range(2000):
        if connection._is_paused:
            break
        await asyncio.sleep(0.001)
    assert connection._is_paused
    assert connection._pending_bytes < 3 * (4 << 20)
    waiting.set()
    assert [await device.hear() for _ in range(300)] == [mqtt.Puback(n + 1) for n in range(300)]
    assert sum(sizes) == 300
    world.ports.gate.ingest = gate  # type: ignore[method-assign]
