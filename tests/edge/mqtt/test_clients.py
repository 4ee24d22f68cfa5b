"""Unmodified paho clients over TLS."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import paho.mqtt.client as paho
import pytest

from tests.edge.mqtt.world import World, paho_client


@pytest.mark.parametrize("version", [paho.MQTTv311, paho.MQTTv5])
async def test_paho_publishes_and_subscribes(world: World, version: int) -> None:
    files = await world.certificate()
    await world.rule()

    def run() -> list[bytes]:
        got: list[bytes] = []
        subscribed, all_there = threading.Event(), threading.Event()
        reader, writer = paho_client(world, files, "reader", version), paho_client(world, files, "writer", version)
        reader.on_subscribe = lambda *_: subscribed.set()

        def on_message(_client: Any, _data: Any, message: paho.MQTTMessage) -> None:
            got.append(message.payload)
            if len(got) == 200:
                all_there.set()

        reader.on_message = on_message
        for client in (reader, writer):
            client.connect("localhost", world.port)
            client.loop_start()
        reader.subscribe("dt/+/x", qos=1)
        assert subscribed.wait(5)
        infos = [writer.publish("dt/1/x", b'{"n":%d}' % n, qos=1) for n in range(200)]
        for info in infos:
            info.wait_for_publish(10)
        assert all_there.wait(5)
        for client in (reader, writer):
            client.disconnect()
            client.loop_stop()
        return got

    got = await asyncio.to_thread(run)
    wanted = [b'{"n":%d}' % n for n in range(200)]
    assert got == wanted
    assert [record for record in world.streams.records if record.startswith(b'{"n"')] == wanted
