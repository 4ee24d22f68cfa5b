"""The listener: uvicorn's HTTP/1.1 protocol on our own socket, with the limits a public door needs.

uvicorn parses (httptools), streams with back-pressure and answers 100-continue; what it lacks is added here: a bound on
the request head, a deadline for it (slow-loris), a cap on connections, and a drain that lets running requests finish. The
application is a plain ASGI callable, so another server may carry it.

Uvicorn's ``Server`` is not used: it wants the signals and the loop, which belong to the house.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from lakebed.kernel.log import Log
from lakebed.kernel.settings import Http

HEAD_SECONDS_MAX = 15.0
KEEP_ALIVE_SECONDS = 75
DRAIN_SECONDS = 10.0
_REFUSED = (
    b"HTTP/1.1 %d %s\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s"
)


class _Protocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, config: uvicorn.Config, state: ServerState, http: Http) -> None:
        super().__init__(config, state, {})
        self._http = http
        self._head_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        super().connection_made(transport)
        if len(self.connections) > self._http.connections_max:
            self._refuse(503, b"Service Unavailable", b"Too many connections.")
            return
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_arrived()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        super().data_received(data)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_bytes = 0
        if self._head_timer is None:
            self._await_head()

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value) + 4)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._head_arrived()
        # What was sent, untouched: a URL parser would read a path of two slashes as a host.
        path, _, query = self.url.partition(b"?")
        sent, self.url = path, b"/?" + query
        super().on_headers_complete()
        self.url = sent
        if sent.startswith((b"http://", b"https://")):  # absolute form, as proxies send it
            sent = b"/" + sent.split(b"/", 3)[3] if sent.count(b"/") > 2 else b"/"
        self.scope["raw_path"], self.scope["path"] = sent, sent.decode("latin-1")

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        super()._start_asgi_task(cycle, _closing_when_unread(cycle, app) if cycle.waiting_for_100_continue else app)

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > self._http.header_bytes_max and not self.transport.is_closing():
            self._refuse(431, b"Request Header Fields Too Large", b"The request head is too large.")

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_SECONDS_MAX, self._too_slow)

    def _head_arrived(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _too_slow(self) -> None:
        if not self.transport.is_closing():
            self._refuse(408, b"Request Timeout", b"The request head took too long.")

    def _refuse(self, status: int, phrase: bytes, text: bytes) -> None:
        self.transport.write(_REFUSED % (status, phrase, len(text), text))
        self.transport.close()


def _closing_when_unread(cycle: Any, app: Any) -> Any:
    """The application, for a client that waits for 100-continue: an answer without it ends the connection.

    Such a client may leave the body out, and its next request would be read as that body.
    https://www.rfc-editor.org/rfc/rfc9110#section-10.1.1
    """

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        async def told(message: Any) -> None:
            if message["type"] == "http.response.start" and cycle.waiting_for_100_continue:
                cycle.keep_alive = False
            await send(message)

        await app(scope, receive, told)

    return answer


class Listener:
    """An open door. ``open`` binds, ``close`` drains and shuts."""

    def __init__(self, app: Any, http: Http, log: Log) -> None:
        self._http, self._log = http, log
        self._config = uvicorn.Config(
            app,
            http=_Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
        )
        self._state = ServerState()
        self._server: asyncio.Server | None = None

    async def open(self) -> tuple[str, int]:
        """Bind and listen; the address really bound (port 0 takes any free one)."""
        self._config.load()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Protocol(self._config, self._state, self._http),
            self._http.host,
            self._http.port,
            backlog=2048,
            reuse_address=True,
        )
        bound: socket.socket = self._server.sockets[0]
        host, port = bound.getsockname()[:2]
        return str(host), int(port)

    @property
    def connections(self) -> int:
        """Connections open now."""
        return len(self._state.connections)

    async def close(self) -> None:
        """Stop accepting, let running requests finish for ten seconds, then cut."""
        if self._server is None:
            return
        self._server.close()
        for connection in list(self._state.connections):
            connection.shutdown()
        running = set(self._state.tasks)
        if running:
            _, late = await asyncio.wait(running, timeout=DRAIN_SECONDS)
            if late:
                self._log.warning("requests cut at shutdown", count=len(late))
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        for connection in list(self._state.connections):
            if connection.transport is not None:
                connection.transport.close()
        self._server = None
