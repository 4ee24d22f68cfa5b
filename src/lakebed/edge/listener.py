"""The listener: our own socket, its connections (``http1``), the clock over them, and the drain at the end.

What a public door needs besides the protocol is here: a deadline for heads (slow-loris) and for idle connections, kept by
one sweep over all of them instead of a timer for each request, and a close that lets running requests finish.
"""

from __future__ import annotations

import asyncio
import socket

from lakebed.edge.http1 import Application, Connection, Shared, Upgrade
from lakebed.kernel.log import Log
from lakebed.kernel.settings import Http

DRAIN_SECONDS = 1.5  # a supervisor's patience is short, and a client tries again what is answered 503
_SWEEP_SECONDS = 1.0


class Listener:
    """An open door. ``open`` binds, ``close`` drains and shuts."""

    def __init__(self, app: Application, http: Http, log: Log, upgrade: Upgrade | None = None) -> None:
        self._http, self._log = http, log
        self._shared = Shared(app, http, log, upgrade)
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.TimerHandle | None = None

    async def open(self) -> tuple[str, int]:
        """Bind and listen; the address really bound (port 0 takes any free one)."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Connection(self._shared), self._http.host, self._http.port, backlog=2048, reuse_address=True
        )
        self._sweeper = loop.call_later(_SWEEP_SECONDS, self._sweep)
        bound: socket.socket = self._server.sockets[0]
        host, port = bound.getsockname()[:2]
        return str(host), int(port)

    @property
    def connections(self) -> int:
        """Connections open now."""
        return len(self._shared.connections)

    async def close(self) -> None:
        """Stop accepting, let running requests finish for a moment, then cut."""
        if self._server is None:
            return
        self._server.close()
        for connection in list(self._shared.connections):
            connection.retire()
        running = set(self._shared.tasks)
        if running:
            _, late = await asyncio.wait(running, timeout=DRAIN_SECONDS)
            if late:
                self._log.warning("requests cut at shutdown", count=len(late))
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        for connection in list(self._shared.connections):
            connection.transport.close()
        if self._sweeper is not None:
            self._sweeper.cancel()
        self._server = None

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        self._sweeper = loop.call_later(_SWEEP_SECONDS, self._sweep)
        self._shared.sweep(loop.time())
