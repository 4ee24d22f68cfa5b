"""Any sequence of well-formed packets: nothing raises, every accepted QoS 1 message is ingested once and acknowledged."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from lakebed.edge.mqtt.broker import MessageBroker
from lakebed.edge.mqtt.connection import Connection
from lakebed.ports.devices import DeviceIdentity, PublishedMessage
from lakebed.wire.mqtt import packets as mqtt
from lakebed.wire.mqtt.decode import Decoder
from lakebed.wire.mqtt.encode import encode
from tests.harness import SCOPE, make_kernel


class OpenGate:
    """Allows everything and keeps what it ingests."""

    def __init__(self) -> None:
        self.ingested: list[PublishedMessage] = []

    def identify(self, certificate_der: bytes | None, source_ip: str) -> DeviceIdentity:
        return DeviceIdentity(SCOPE, "c", source_ip)

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: True

    async def ingest(self, identity: object, client_id: str, messages: Sequence[PublishedMessage]) -> None:
        await asyncio.sleep(0)
        self.ingested += [message for message in messages if not message.topic.startswith("$aws/events/")]


class Wire(asyncio.Transport):
    """A transport that remembers."""

    def __init__(self, version: int) -> None:
        super().__init__()
        self.decoder, self.heard, self.closed = Decoder(1 << 20, version), [], False  # type: ignore[var-annotated]

    def write(self, data: Any) -> None:
        self.heard += self.decoder.feed(bytes(data))

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return None

    def is_closing(self) -> bool:
        return self.closed

    def get_write_buffer_size(self) -> int:
        return 0

    def close(self) -> None:
        self.closed = True

    abort = close

    def pause_reading(self) -> None:
        return None

    resume_reading = pause_reading


names = st.sampled_from(["a", "a/b", "+", "a/#", "#", "$share/g/a/#"])
packets = st.one_of(
    st.builds(
        lambda topic, payload, retain, dup, number: mqtt.Publish(topic, payload, 1, retain, dup, number),
        st.sampled_from(["a", "a/b", "$aws/rules/r/a"]),
        st.binary(max_size=5),
        st.booleans(),
        st.booleans(),
        st.integers(1, 9),
    ),
    st.builds(
        lambda topic, payload: mqtt.Publish(topic, payload), st.sampled_from(["a", "a/b"]), st.binary(max_size=5)
    ),
    st.builds(lambda name, qos: mqtt.Subscribe(1, (mqtt.Subscription(name, qos),)), names, st.integers(0, 1)),
    st.builds(lambda name: mqtt.Unsubscribe(2, (name,)), names),
    st.builds(lambda number: mqtt.Puback(number), st.integers(1, 20)),
    st.just(mqtt.Pingreq()),
)


@given(
    st.sampled_from([mqtt.V311, mqtt.V5]),
    st.lists(st.tuples(st.integers(0, 1), packets), max_size=25),
    st.booleans(),
    st.integers(1, 60),
)
@settings(max_examples=40, deadline=None)
def test_conversations(version: int, said: list[tuple[int, mqtt.Packet]], clean: bool, piece: int) -> None:
    async def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            k = make_kernel(Path(folder))
            k.db.migrate("mqtt", "lakebed.edge.mqtt", k.clock)
            broker, gate = MessageBroker(k), OpenGate()
            broker.open(gate)  # type: ignore[arg-type]
            wires, connections = [Wire(version), Wire(version)], [Connection(broker, set()) for _ in range(2)]
            streams = [encode(mqtt.Connect(version, f"d{who}", clean), version) for who in range(2)]
            for who, packet in said:
                streams[who] += encode(packet, version)
            for wire, connection, stream in zip(wires, connections, streams, strict=True):
                connection.connection_made(wire)
                for at in range(0, len(stream), piece):
                    connection.data_received(stream[at : at + piece])
            await asyncio.sleep(0.001)
            while broker._background:
                await asyncio.sleep(0)
            await asyncio.sleep(0)
            for who, wire in enumerate(wires):
                assert wire.decoder.failure is None
                assert not wire.closed
                sent = [one for speaker, one in said if speaker == who and isinstance(one, mqtt.Publish)]
                acks = [one.packet_id for one in wire.heard if isinstance(one, mqtt.Puback)]
                assert acks == [one.packet_id for one in sent if one.qos]
                for kind, answer in ((mqtt.Subscribe, mqtt.Suback), (mqtt.Pingreq, mqtt.Pingresp)):
                    asked = sum(speaker == who and isinstance(one, kind) for speaker, one in said)
                    assert sum(isinstance(one, answer) for one in wire.heard) == asked
            published = sorted((one.topic, one.payload) for _, one in said if isinstance(one, mqtt.Publish))
            assert sorted((one.topic, one.payload) for one in gate.ingested) == published
            await broker.close()
            rows = k.db.all("SELECT 1 FROM mqtt_session")
            assert len(rows) == (0 if clean or version == mqtt.V5 else 2)
            k.segments.close()
            k.db.close()

    asyncio.run(run())
