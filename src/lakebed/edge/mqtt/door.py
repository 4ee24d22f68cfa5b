"""The listener: opens the TLS port, keeps the certificates, and sweeps silent connections and ended sessions.

A client that speaks HTTP here (the first byte tells) gets HTTP over TLS: MQTT over WebSocket at ``/mqtt``, as AWS serves
both on port 443, and what ``devicehttp`` answers for devices with certificates.

Silence is measured with the monotonic clock, because a client's pings follow real time even where Lakebed's world runs
faster; sessions and delayed wills end in the world's time.
"""

from __future__ import annotations

import asyncio
from typing import Any

from lakebed.edge.http1 import Connection as HttpConnection
from lakebed.edge.http1 import Shared
from lakebed.edge.mqtt import devicehttp, limits, websocket
from lakebed.edge.mqtt.authority import Authority
from lakebed.edge.mqtt.broker import MessageBroker
from lakebed.edge.mqtt.connection import Connection
from lakebed.kernel.kernel import Kernel
from lakebed.ports.devices import BrokerAddress, DeviceGate
from lakebed.ports.house import Ports
from lakebed.wire.mqtt.reasons import Reason


class DeviceDoor:
    """Made before the services (``broker`` and ``authority`` become ports), opened after them."""

    def __init__(self, k: Kernel, p: Ports) -> None:
        self.k, self._p, self._addresses = k, p, p.addresses
        k.db.migrate("mqtt", "lakebed.edge.mqtt", k.clock)
        names = {"localhost", "127.0.0.1", "::1", k.settings.mqtt.host} - {"0.0.0.0", "::", ""}  # noqa: S104
        self.authority = Authority(k.data / "mqtt", k.disk, k.clock, names=sorted(names))
        self.broker = self._made(k)
        self._http = Shared(self._serve, k.settings.http, k.log, self._upgrade)
        self._server: asyncio.Server | None = None
        self._sockets: set[Connection] = set()

    async def open(self, gate: DeviceGate) -> None:
        """Bring sessions back and listen, unless the settings say not to; OSError where the port is taken."""
        self.reopen(gate)
        if not self.k.settings.mqtt.enabled:
            return
        self._server = await asyncio.get_running_loop().create_server(
            lambda: Connection(self.broker, self._sockets, http=lambda: HttpConnection(self._http)),
            self.k.settings.mqtt.host,
            self.k.settings.mqtt.port,
            ssl=self.authority.context,
            ssl_handshake_timeout=limits.HANDSHAKE_SECONDS,
            backlog=512,
        )
        port = self._server.sockets[0].getsockname()[1]
        self.broker.bound = BrokerAddress(self.k.settings.mqtt.host, port, None)
        self._addresses.mqtt_host, self._addresses.mqtt_port = self.k.settings.mqtt.host, port

    def _made(self, k: Kernel) -> MessageBroker:
        broker = MessageBroker(k)
        broker.connections_made = lambda identity: Connection(broker, self._sockets, signed=identity)
        return broker

    def _upgrade(self, scope: dict[str, Any]) -> tuple[bytes, asyncio.Protocol]:
        return websocket.upgrade(scope, self._p, self.k.clock, self.broker.connect)

    async def _serve(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        await devicehttp.serve(self._p.gate, scope, receive, send)

    async def vacate(self) -> None:
        """Before the house is emptied: end the connections, speak no wills, wait for what they began."""
        await self.k.tasks.remove(_Sweep.name)
        await self.broker.close(wills=False)

    def refurnish(self, k: Kernel, p: Ports) -> None:
        """A fresh broker on a fresh kernel behind the open port; ``reopen`` follows once the services are there."""
        for connection in list(self._sockets):
            connection.end(Reason.SERVER_SHUTTING_DOWN, "SERVER_INITIATED_DISCONNECT", will=False)
        k.db.migrate("mqtt", "lakebed.edge.mqtt", k.clock)
        bound, self.k, self._p, self.broker = self.broker.bound, k, p, self._made(k)
        self.broker.bound = bound

    def reopen(self, gate: DeviceGate) -> None:
        """Serve the connections that come from now on."""
        self.broker.open(gate)
        self.k.tasks.add(_Sweep(self))

    async def close(self) -> None:
        """Stop listening, end the connections, wait for what they began."""
        if self._server is not None:
            self._server.close()
        await self.k.tasks.remove(_Sweep.name)
        await self.broker.close()
        for connection in list(self._sockets):
            connection.end(Reason.SERVER_SHUTTING_DOWN, "SERVER_INITIATED_DISCONNECT", will=False)
        for http in list(self._http.connections):
            http.retire()
        self._addresses.mqtt_port = 0

    def sweep(self) -> None:
        """End connections that were silent for one and a half keep alives, or never said CONNECT."""
        now = self.k.clock.monotonic()
        for connection in list(self._sockets):
            if now - connection.heard_at > connection.silence_seconds:
                connection.end(Reason.KEEP_ALIVE_TIMEOUT, "MQTT_KEEP_ALIVE_TIMEOUT")
        self._http.sweep(asyncio.get_running_loop().time())


class _Sweep:
    name = "mqtt:sweep"
    period = 5.0

    def __init__(self, door: DeviceDoor) -> None:
        self._door = door

    async def activate(self) -> float | None:
        self._door.sweep()
        return self._door.broker.sweep(self._door.k.clock.now())
