"""MQTT over WebSocket with an unmodified client, IAM's word on what it does, and HTTPS for devices on the same port."""

from __future__ import annotations

import asyncio
import json
import ssl
from http.client import HTTPSConnection
from typing import Any

import paho.mqtt.client as paho
import pytest
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from lakebed.edge.websocket import HandshakeError, handshake
from lakebed.kernel.errors import AwsError
from tests.edge.mqtt.world import World

_REQUEST = {
    "upgrade": "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    "sec-websocket-protocol": "mqtt",
}


@pytest.fixture(autouse=True)
def note_use(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world.ports.identity, "note_use", lambda *_: None, raising=False)


def presigned(port: int, secret: str = "test", service: str = "iotdevicegateway") -> str:
    """The path of a presigned URL."""
    request = AWSRequest("GET", f"https://localhost:{port}/mqtt", headers={"host": f"localhost:{port}"})
    SigV4QueryAuth(Credentials("test", secret), service, "us-east-1", expires=300).add_auth(request)
    return "/mqtt?" + str(request.url).partition("?")[2]


def client(world: World, path: str, version: Any = paho.MQTTv311) -> paho.Client:
    made = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="ws", protocol=version, transport="websockets")
    made.tls_set(str(world.door.authority.root_path))
    made.ws_set_options(path=path)
    return made


@pytest.mark.parametrize("version", [paho.MQTTv311, paho.MQTTv5])
async def test_paho_talks_over_a_signed_websocket(world: World, version: Any) -> None:
    device, got, ready = client(world, presigned(world.port), version), [], asyncio.Event()
    loop = asyncio.get_running_loop()
    device.on_connect = lambda *_: device.subscribe("a/#", 1)
    device.on_subscribe = lambda *_: device.publish("a/b", b"x" * 100_000, 1)

    def on_message(_client: Any, _data: Any, message: Any) -> None:
        got.append((message.topic, len(message.payload)))
        loop.call_soon_threadsafe(ready.set)

    device.on_message = on_message
    await asyncio.to_thread(device.connect, "localhost", world.port)
    device.loop_start()
    await asyncio.wait_for(ready.wait(), 10)
    assert got == [("a/b", 100_000)]
    assert world.door.broker.connections()[0].certificate_id == ""
    await asyncio.to_thread(device.disconnect)
    device.loop_stop()


@pytest.mark.parametrize("path", ["/mqtt", "wrong secret", "wrong service"])
async def test_unsigned_and_wrongly_signed_are_refused(world: World, path: str) -> None:
    asked = {
        "wrong secret": presigned(world.port, secret="other"),
        "wrong service": presigned(world.port, service="s3"),
    }.get(path, path)
    with pytest.raises(paho.WebsocketConnectionError):
        await asyncio.to_thread(client(world, asked).connect, "localhost", world.port)


async def test_iam_decides_about_a_signed_connection(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    def authorise(_principal: Any, action: str, resource: str, **_: Any) -> None:
        asked.append((action, resource.rpartition(":")[2]))
        raise AwsError("AccessDeniedException", "no")

    monkeypatch.setattr(world.ports.identity, "authorise", authorise, raising=False)
    device, refused = client(world, presigned(world.port)), asyncio.Event()
    loop = asyncio.get_running_loop()
    device.on_connect = lambda *_: loop.call_soon_threadsafe(refused.set)
    await asyncio.to_thread(device.connect, "localhost", world.port)
    device.loop_start()
    await asyncio.wait_for(refused.wait(), 10)
    device.loop_stop()
    assert asked == [("iot:Connect", "client/ws")]


def test_the_handshake_is_the_rfcs() -> None:
    assert b"sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in handshake(_REQUEST, "mqtt")
    for name, value in (
        ("sec-websocket-version", "8"), ("sec-websocket-key", "x"), ("sec-websocket-protocol", "chat"),
    ):  # fmt: skip
        with pytest.raises(HandshakeError):
            handshake({**_REQUEST, name: value}, "mqtt")


def ask(
    context: ssl.SSLContext, port: int, method: str, path: str, body: bytes = b"", **headers: str
) -> tuple[int, Any]:
    """One HTTPS request, as devices make them."""
    http = HTTPSConnection("localhost", port, context=context, timeout=10)
    http.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    answer = http.getresponse()
    told = answer.status, json.loads(answer.read())
    http.close()
    return told


async def test_https_for_devices(world: World) -> None:
    files = await world.certificate()
    role = "arn:aws:iam::000000000000:role/r"
    await world.harness.call("iot", "CreateRoleAlias", roleAlias="a", roleArn=role, credentialDurationSeconds=900)
    await world.rule(sql="SELECT * FROM 'dt/#'")
    context = world.context(*files[:2])

    async def device(*request: Any, **headers: str) -> tuple[int, Any]:
        return await asyncio.to_thread(ask, context, world.port, *request, **headers)

    status, told = await device("POST", "/topics/dt/x?qos=1", b"hello")
    assert (status, told["message"]) == (200, "OK")
    assert world.streams.records == [b"hello"]
    assert (await device("POST", "/things/t/shadow?name=n", b'{"state":{"reported":{"a":1}}}'))[1]["version"] == 1
    assert (await device("GET", "/things/t/shadow"))[0] == 404
    told = (await device("GET", "/role-aliases/a/credentials"))[1]
    assert set(told["credentials"]) == {"accessKeyId", "secretAccessKey", "sessionToken", "expiration"}
    assert (await device("GET", "/role-aliases/other/credentials"))[0] == 403
    assert (await device("GET", "/role-aliases/a/credentials", x_amzn_iot_thingname="t"))[0] == 403
    context = ssl.create_default_context(cadata=world.door.authority.root_pem)
    assert (await device("POST", "/topics/dt/x?qos=1", b"hello"))[0] == 403
