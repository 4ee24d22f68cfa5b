"""The front door's application: administrators, browsers and AWS clients told apart by path and by what they carry.

``/_lakebed/…`` is Lakebed's own (no bucket may have that name). ``/console…``, and ``/`` from a browser, go to the console
when the request carries no AWS credentials: a bucket called ``console`` stays reachable for clients that sign. ``/_lambda/…``
and hosts with ``.lambda-url.`` are function URLs. All the rest is AWS. A WebSocket at ``/mqtt`` speaks MQTT to the broker.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from lakebed.edge.admin.endpoints import Administration
from lakebed.edge.aws.asgi import AsgiScope, Edge, Receive, Send
from lakebed.edge.aws.journal import Journal
from lakebed.edge.function_urls import FunctionUrls
from lakebed.edge.listener import Listener
from lakebed.edge.mqtt import websocket
from lakebed.edge.websocket import HandshakeError
from lakebed.kernel.kernel import Kernel
from lakebed.ports.house import Ports
from lakebed.ports.service import Service

Application = Callable[[AsgiScope, Receive, Send], Awaitable[None]]


class FrontDoor:
    """The HTTP door: built with the registry, opened once all services started, closed first."""

    def __init__(
        self,
        registry: Mapping[str, Service],
        k: Kernel,
        p: Ports,
        *,
        journal: Journal,
        administration: Administration,
        console: Application | None = None,
    ) -> None:
        self._listener = Listener(self, k.settings.http, k.log, self._upgrade)
        self._running: set[asyncio.Task[Any]] = set()
        self._is_ready = asyncio.Event()
        self._is_ready.set()
        self.refurnish(registry, k, p, journal=journal, administration=administration, console=console)

    def refurnish(
        self,
        registry: Mapping[str, Service],
        k: Kernel,
        p: Ports,
        *,
        journal: Journal,
        administration: Administration,
        console: Application | None = None,
    ) -> None:
        """What answers from now on, behind the same open port (a house that was reset)."""
        self.edge = Edge(registry, k, p, journal)
        self._urls = FunctionUrls(k, p, journal) if "lambda" in registry else None
        self._k, self._p, self._journal = k, p, journal
        self._administration, self._console = administration, console

    async def vacate(self) -> None:
        """Let new requests wait and end those that run with 503, except the one that asks."""
        self._is_ready.clear()
        others = self._running - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def reopen(self) -> None:
        """Serve again, those that waited first."""
        self._is_ready.set()

    async def open(self) -> tuple[str, int]:
        """Listen; ``p.addresses`` then tells the truth."""
        host, port = await self._listener.open()
        self._p.addresses.http_host, self._p.addresses.http_port = host, port
        return host, port

    async def close(self) -> None:
        """Stop accepting, let running requests finish (or end them with 503), write the journal's rest."""
        await self._listener.close()
        self._journal.flush()
        self._p.addresses.http_port = 0

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        task = asyncio.current_task()
        assert task is not None
        if not self._is_ready.is_set():
            await self._is_ready.wait()
        self._running.add(task)
        answer = _Answer(send)
        try:
            await self._serve(scope, receive, answer)
        except asyncio.CancelledError:
            # A reset, or the listener's drain is over (a long poll): the client may try again.
            await answer.unavailable()
        finally:
            self._running.discard(task)

    def _upgrade(self, scope: AsgiScope) -> tuple[bytes, asyncio.Protocol]:
        """MQTT over WebSocket."""
        if not self._is_ready.is_set():
            raise HandshakeError(503, "Lakebed is being reset.")
        return websocket.upgrade(scope, self._p, self._k.clock, self._p.broker.connect)

    async def _serve(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if path.startswith("/_lakebed/") or path == "/_lakebed":
            await self._administration.handle(scope, receive, send)
        elif self._console is not None and self._for_console(scope, path):
            await self._console(scope, receive, send)
        elif self._urls is not None and self._urls.takes(scope):
            await self._urls.handle(scope, receive, send)
        else:
            await self.edge.handle(scope, receive, send)

    def _for_console(self, scope: AsgiScope, path: str) -> bool:
        if not (path in ("/", "/console") or path.startswith("/console/")):
            return False
        headers: dict[bytes, bytes] = dict(scope["headers"])
        if b"authorization" in headers or b"X-Amz-" in scope["query_string"]:
            return False
        if path != "/":
            return True
        host = headers.get(b"host", b"").decode("latin-1").lower().rpartition(":")
        browses = scope["method"] in ("GET", "HEAD") and b"text/html" in headers.get(b"accept", b"")
        return browses and not self.edge.is_bucket_host(host[0] or host[2])


class _Answer:
    """``send`` that knows whether an answer began: one that did can only be cut, another is told 503."""

    def __init__(self, send: Send) -> None:
        self._send, self._is_begun = send, False

    async def __call__(self, message: Any) -> None:
        self._is_begun = True
        await self._send(message)

    async def unavailable(self) -> None:
        """For a request that a reset or the end of the drain cut short."""
        if self._is_begun:
            return
        headers = [(b"content-length", b"0"), (b"connection", b"close")]
        await self._send({"type": "http.response.start", "status": 503, "headers": headers})
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})
