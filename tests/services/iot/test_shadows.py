"""Shadow documents by properties, the operations, and the reserved topics with a real connection."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakebed.kernel.errors import AwsError
from lakebed.services.iot.shadows import document
from lakebed.services.iot.shadows.keeper import parse_topic
from lakebed.wire.mqtt import packets as mqtt
from tests.edge.mqtt.world import Device, World

_LEAF = st.none() | st.booleans() | st.integers(0, 3) | st.text(max_size=3)
_STATE = st.dictionaries(
    st.sampled_from("abc"),
    st.recursive(_LEAF, lambda inner: st.dictionaries(st.sampled_from("xyz"), inner, max_size=3), max_leaves=6),
    max_size=3,
)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = await World(tmp_path / "data").start()
    yield made
    await made.stop()


def leaves(value: Any) -> Any:
    return {key: leaves(inner) for key, inner in value.items()} if isinstance(value, dict) else None


@given(st.lists(st.tuples(st.sampled_from(["desired", "reported"]), _STATE), max_size=6))
def test_updates_keep_state_and_metadata_alike(updates: list[tuple[str, dict[str, Any]]]) -> None:
    shadow: document.Shadow | None = None
    for version, (section, patch) in enumerate(updates):
        change = document.read_change(json.dumps({"state": {section: patch}}).encode())
        shadow = document.changed(shadow, version, change, 100 + version)
        assert shadow.version == version + 1
        assert "null" not in json.dumps(shadow.state)
        for name, state in shadow.state.items():
            stamps = json.loads(
                json.dumps(shadow.metadata[name]), object_hook=lambda o: None if "timestamp" in o else o
            )
            assert stamps == leaves(state)
        reported = shadow.state.get("reported", {})
        again = document.changed(
            shadow, shadow.version, document.Change({"reported": shadow.delta}, None, None), 200
        )  # reporting what differs leaves nothing that differs, where no object must take a value's place
        if not shadow.delta:
            assert again.state.get("reported", {}) == reported
        assert again.delta == {} or any(isinstance(v, dict) for v in shadow.delta.values())


def wrong(payload: Any) -> tuple[int, str]:
    with pytest.raises(document.ShadowError) as caught:
        document.read_change(payload if isinstance(payload, bytes) else json.dumps(payload).encode())
    return caught.value.code, caught.value.message


def nested(levels: int) -> dict[str, Any]:
    tree: Any = 1
    for _ in range(levels):
        tree = {"a": tree}
    return {"state": {"desired": tree}}


def test_what_is_refused() -> None:
    assert wrong(b"{") == (400, "Invalid JSON")
    assert wrong(b"[]") == (400, "Invalid JSON")
    assert wrong({"clientToken": "x"}) == (400, "Missing required node: state")
    assert wrong({"state": 1}) == (400, "State node must be an object")
    assert wrong({"state": {"desired": 1}}) == (400, "Desired node must be an object")
    assert wrong({"state": {"other": {}}}) == (400, "State contains an invalid node: 'other'")
    assert wrong({"state": {"desired": {"a": [1, None]}}})[1] == "State contains an invalid node: 'desired.a[1]'"
    assert wrong({"state": {}, "version": "1"}) == (400, "Invalid version")
    assert wrong({"state": {}, "clientToken": "x" * 65}) == (400, "Invalid clientToken")
    assert wrong(nested(9))[0] == 400
    assert wrong(b'{"state":{"desired":{"a":"\xff"}}}')[0] in (400, 415)
    assert wrong({"state": {"desired": {"a": "x" * 8200}}})[0] == 413
    assert document.read_change(json.dumps(nested(8)).encode()).version is None


def test_request_topics() -> None:
    assert parse_topic("$aws/things/t/shadow/get") == ("get", "t", "")
    assert parse_topic("$aws/things/t/shadow/name/n/update") == ("update", "t", "n")
    for topic in ("$aws/things/t/shadow/get/accepted", "$aws/things//shadow/get", "$aws/things/t/jobs/get", "a"):
        assert parse_topic(topic) is None


async def test_operations(world: World) -> None:
    call = world.harness.call

    async def update(state: Any, name: str = "", **more: Any) -> Any:
        body = json.dumps({"state": state, **more}).encode()
        named = {"shadowName": name} if name else {}
        return json.loads(
            (await call("iot-data", "UpdateThingShadow", thingName="t", payload=body, **named))["payload"].read()
        )

    now = int(world.k.clock.now())
    told = await update({"desired": {"led": "on", "rgb": [1, 2]}, "reported": {"led": "off"}}, clientToken="c")
    assert told == {
        "state": {"desired": {"led": "on", "rgb": [1, 2]}, "reported": {"led": "off"}},
        "metadata": {
            "desired": {"led": {"timestamp": now}, "rgb": [{"timestamp": now}, {"timestamp": now}]},
            "reported": {"led": {"timestamp": now}},
        },
        "version": 1, "timestamp": now, "clientToken": "c",
    }  # fmt: skip
    got = json.loads((await call("iot-data", "GetThingShadow", thingName="t"))["payload"].read())
    assert got["state"]["delta"] == {"led": "on", "rgb": [1, 2]}
    with pytest.raises(AwsError) as conflict:
        await update({"desired": {"led": None}}, version=7)
    assert (conflict.value.error_code, conflict.value.message) == ("ConflictException", "Version conflict")
    assert (await update({"desired": None}, version=1))["state"] == {"desired": None}
    got = json.loads((await call("iot-data", "GetThingShadow", thingName="t"))["payload"].read())
    assert got["state"] == {"reported": {"led": "off"}}
    await call("iot-data", "DeleteThingShadow", thingName="t")
    with pytest.raises(AwsError) as absent:
        await call("iot-data", "GetThingShadow", thingName="t")
    assert absent.value.error_code == "ResourceNotFoundException"
    assert absent.value.message == "No shadow exists with name: 't'"
    assert (await update({"reported": {"a": 1}}))["version"] == 3
    with pytest.raises(AwsError) as large:
        await update({"reported": {"a": "x" * 8000, "b": "y" * 400}})
    assert (large.value.error_code, large.value.http_status) == ("RequestEntityTooLargeException", 413)
    for name in ("b", "a", "c"):
        await update({"reported": {"a": 1}}, name)
    page = await call("iot-data", "ListNamedShadowsForThing", thingName="t", pageSize=2)
    assert page["results"] == ["a", "b"]
    rest = await call("iot-data", "ListNamedShadowsForThing", thingName="t", nextToken=page["nextToken"])
    assert rest["results"] == ["c"]


async def hear(device: Device) -> tuple[str, Any]:
    packet = await device.hear()
    assert isinstance(packet, mqtt.Publish), packet
    if packet.qos:
        device.say(mqtt.Puback(packet.packet_id))
    return packet.topic, json.loads(packet.payload)


async def test_topics(world: World) -> None:
    device = Device(world, await world.certificate())
    await device.connect()
    await device.subscribe("$aws/things/t/shadow/+/+", "$aws/things/t/shadow/name/+/+/+", qos=1)
    device.say(mqtt.Publish("$aws/things/t/shadow/get", b'{"clientToken":"x"}', 0))
    topic, body = await hear(device)
    assert topic == "$aws/things/t/shadow/get/rejected"
    assert (body["code"], body["message"], body["clientToken"]) == (404, "No shadow exists with name: 't'", "x")
    state = {"desired": {"led": "on"}, "reported": {"led": "off"}}
    device.say(mqtt.Publish("$aws/things/t/shadow/update", json.dumps({"state": state}).encode(), 0))
    heard = dict([await hear(device) for _ in range(3)])
    assert heard["$aws/things/t/shadow/update/accepted"]["version"] == 1
    assert heard["$aws/things/t/shadow/update/delta"]["state"] == {"led": "on"}
    assert heard["$aws/things/t/shadow/update/documents"]["current"]["state"] == state
    device.say(mqtt.Publish("$aws/things/t/shadow/name/n/update", b'{"state":{"reported":{"a":1}}}', 0))
    assert {(await hear(device))[0].rpartition("/")[2] for _ in range(2)} == {"accepted", "documents"}
    device.say(mqtt.Publish("$aws/things/t/shadow/delete", b"", 0))
    assert (await hear(device))[0] == "$aws/things/t/shadow/delete/accepted"
    info = await world.harness.call("iot-data", "GetConnection", clientId="d1", includeSocketInformation=True)
    assert (info["connected"], info["sourceIp"], info["targetPort"]) == (True, "127.0.0.1", world.port)
    listed = await world.harness.call("iot-data", "ListSubscriptions", clientId="d1")
    assert listed["subscriptions"][0] == {"topicFilter": "$aws/things/t/shadow/+/+", "qos": 1}
    device.say(mqtt.Publish("$aws/things/t/other", b"", 0))
    assert await device.hear() is None
