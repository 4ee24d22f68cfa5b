"""A door, IoT Core and a device of each kind: paho in its own thread, and a bare client that speaks with our codec."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from lakebed.edge.mqtt.door import DeviceDoor
from lakebed.kernel.clock import ManualClock
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.settings import Mqtt, Settings
from lakebed.ports.house import Ports
from lakebed.services.iot import service as iot
from lakebed.wire.mqtt import packets as mqtt
from lakebed.wire.mqtt.decode import Decoder
from lakebed.wire.mqtt.encode import encode
from tests.harness import Harness

ALLOW_ALL = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iot:*", "Resource": "*"}]}


def make_csr() -> tuple[str, str]:
    """A P-256 key and its signing request: much quicker than RSA."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "device")])
    csr = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private.decode(), csr.public_bytes(Encoding.PEM).decode()


class FakeStreams:
    """Keeps what was put, in order."""

    def __init__(self) -> None:
        self.puts: list[tuple[str, list[tuple[str, bytes]]]] = []

    async def put(self, principal: Any, stream_arn: str, records: Sequence[tuple[str, bytes]]) -> None:
        await asyncio.sleep(0)
        self.puts.append((stream_arn, list(records)))

    @property
    def records(self) -> list[bytes]:
        return [data for _, records in self.puts for _, data in records]


class World:
    """Everything a device meets."""

    def __init__(self, directory: Path, clock: ManualClock | None = None) -> None:
        self.directory = directory
        self.harness = Harness(directory, clock)
        k = self.harness.kernel
        object.__setattr__(k, "settings", Settings(mqtt=Mqtt(port=0)))
        self.k: Kernel = k
        self.ports: Ports = self.harness.ports
        self.streams = FakeStreams()
        self.ports.streams = self.streams  # type: ignore[assignment]
        self.door = DeviceDoor(k, self.ports)
        self.ports.broker, self.ports.authority = self.door.broker, self.door.authority
        self.harness.add(iot)

    async def start(self) -> World:
        await self.harness.start()
        await self.door.open(self.ports.gate)
        return self

    async def stop(self) -> None:
        await self.door.close()
        await self.harness.stop()

    async def crash(self) -> World:
        """What is left of a process that was killed: its files. The old one no longer writes."""
        self.k.db._connection.close()
        server = self.door._server
        assert server is not None
        server.close()
        for connection in list(self.door._sockets):
            connection._ended = True
            connection._transport.abort()
        await self.k.tasks.stop()
        return await World(self.directory, self.harness.clock).start()

    async def certificate(self, policy: dict[str, Any] | None = None, name: str = "all") -> tuple[Path, Path, str]:
        """A new active certificate with a policy: certificate file, key file, ARN."""
        private, csr = make_csr()
        made = await self.harness.call(
            "iot", "CreateCertificateFromCsr", certificateSigningRequest=csr, setAsActive=True
        )
        await self.harness.call("iot", "CreatePolicy", policyName=name, policyDocument=json.dumps(policy or ALLOW_ALL))
        await self.harness.call("iot", "AttachPolicy", policyName=name, target=made["certificateArn"])
        folder = self.directory.parent
        pem, key = folder / f"{name}.pem", folder / f"{name}.key"
        pem.write_text(made["certificatePem"])
        key.write_text(private)
        return pem, key, made["certificateArn"]

    @property
    def port(self) -> int:
        port = self.door.broker.address.tls_port
        assert port is not None
        return port

    def context(self, pem: Path, key: Path) -> ssl.SSLContext:
        context = ssl.create_default_context(cadata=self.door.authority.root_pem)
        context.load_cert_chain(pem, key)
        return context

    async def rule(self, name: str = "r", sql: str = "SELECT * FROM '#'", **action: Any) -> None:
        kinesis = {"kinesis": {"roleArn": "arn:aws:iam::000000000000:role/r", "streamName": "s", **action}}
        await self.harness.call(
            "iot", "CreateTopicRule", ruleName=name, topicRulePayload={"sql": sql, "actions": [kinesis]}
        )


class Device:
    """A bare MQTT client on our codec: says exactly what a test wants said."""

    def __init__(self, world: World, files: tuple[Path, Path, str], version: int = mqtt.V311) -> None:
        self.world, self.files, self.version = world, files, version
        self.got: list[mqtt.Packet] = []

    async def open(self) -> Device:
        self.reader, self.writer = await asyncio.open_connection(
            "127.0.0.1", self.world.port, ssl=self.world.context(*self.files[:2]), server_hostname="localhost"
        )
        self._decoder = Decoder(1 << 20, self.version)
        return self

    async def connect(self, client_id: str = "d1", **fields: Any) -> mqtt.Connack:
        await self.open()
        self.say(mqtt.Connect(self.version, client_id, **fields))
        answer = await self.hear()
        assert isinstance(answer, mqtt.Connack)
        return answer

    def say(self, *packets: mqtt.Packet) -> None:
        self.writer.write(b"".join(encode(packet, self.version) for packet in packets))

    def say_bytes(self, data: bytes) -> None:
        self.writer.write(data)

    async def hear(self, seconds: float = 5.0) -> mqtt.Packet | None:
        """The next packet; None where the connection ended."""
        while not self.got:
            try:
                data = await asyncio.wait_for(self.reader.read(65536), seconds)
            except (ConnectionError, ssl.SSLError):
                return None
            if not data:
                return None
            self.got += self._decoder.feed(data)
        return self.got.pop(0)

    async def ask(self, packet: mqtt.Packet) -> mqtt.Packet | None:
        self.say(packet)
        return await self.hear()

    async def quiet(self) -> bool:
        """Whether nothing comes before the answer to a ping."""
        return isinstance(await self.ask(mqtt.Pingreq()), mqtt.Pingresp)

    async def publish(self, topic: str, payload: bytes, packet_id: int = 1, **fields: Any) -> mqtt.Packet | None:
        return await self.ask(mqtt.Publish(topic, payload, 1, packet_id=packet_id, **fields))

    async def subscribe(self, *filters: str, qos: int = 1) -> tuple[int, ...]:
        wanted = tuple(mqtt.Subscription(name, qos) for name in filters)
        answer = await self.ask(mqtt.Subscribe(9, wanted))
        assert isinstance(answer, mqtt.Suback), answer
        return answer.reasons

    def drop(self) -> None:
        """End without DISCONNECT."""
        self.writer.transport.abort()

    async def leave(self) -> None:
        self.say(mqtt.Disconnect())
        await self.hear()
        self.writer.close()


def paho_client(
    world: World, files: tuple[Path, Path, str], client_id: str, version: int = paho.MQTTv311
) -> paho.Client:
    """An unmodified client on real sockets."""
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=client_id, protocol=version)
    client.tls_set(str(world.door.authority.root_path), str(files[0]), str(files[1]))
    return client
