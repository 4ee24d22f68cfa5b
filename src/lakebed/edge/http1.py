"""HTTP/1.1 on one connection: httptools' parser on one side, an ASGI application on the other.

Requests run one after the other: what a client pipelines waits its turn, and is not read further meanwhile. Bodies stream
both ways with back-pressure: reading stops while a quarter of a megabyte waits for the application, ``send`` waits while
the socket is full. ``Expect: 100-continue`` is answered when the application first asks for the body. A head is bounded
in size; how long one may take is watched by the listener, which sweeps over ``waits_since``.

A request for a WebSocket at ``/mqtt`` is handed, with its socket, to what ``Shared.upgrade`` gives; any other upgrade is
answered as HTTP/1.1. TLS is the listener's: a client certificate is handed on in the scope's ``state``.
https://www.rfc-editor.org/rfc/rfc9112, https://asgi.readthedocs.io/en/latest/specs/www.html
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, cast

import httptools

from lakebed.edge.websocket import HandshakeError, is_upgrade
from lakebed.kernel.log import Log
from lakebed.kernel.settings import Http

HEAD_SECONDS_MAX = 15.0
KEEP_ALIVE_SECONDS = 75
_SWEPT_AT_ONCE = 100
_WAITING_BYTES_MAX = 256 << 10  # of a body, before the socket is left alone
_BODILESS = (204, 304)
_NOT_IN_NAMES = re.compile(rb'[\x00-\x20\x7f()<>@,;:\\"\[\]={}/?]')
_NOT_IN_VALUES = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_STATUS_LINES = {status.value: b"HTTP/1.1 %d %s\r\n" % (status, status.phrase.encode()) for status in HTTPStatus}
_ASGI = {"version": "3.0", "spec_version": "2.3"}
Message = dict[str, Any]
Application = Callable[[Any, Any, Any], Awaitable[None]]
Upgrade = Callable[[Message], tuple[bytes, asyncio.Protocol]]
_UPGRADED_PATH = b"/mqtt"


class Shared:
    """What all connections of a door have in common."""

    def __init__(self, app: Application, http: Http, log: Log, upgrade: Upgrade | None = None) -> None:
        self.app, self.http, self.log, self.upgrade = app, http, log, upgrade
        self.connections: set[Connection] = set()
        self.tasks: set[asyncio.Task[None]] = set()

    def sweep(self, now: float) -> None:
        """End connections whose head takes too long (slow-loris) or that were idle too long."""
        self._sweep_some(list(self.connections), now)

    def _sweep_some(self, rest: list[Connection], now: float) -> None:
        """A hundred at a time: ten thousand idle connections in one go would hold everybody up for milliseconds."""
        if len(rest) > _SWEPT_AT_ONCE:
            asyncio.get_running_loop().call_soon(self._sweep_some, rest[:-_SWEPT_AT_ONCE], now)
        for connection in rest[-_SWEPT_AT_ONCE:]:
            if connection.waits_since is None or connection.transport.is_closing():
                continue
            waited = now - connection.waits_since
            if connection.awaits_head and waited > HEAD_SECONDS_MAX:
                connection.refuse(408, "The request head took too long.")
            elif waited > KEEP_ALIVE_SECONDS:
                connection.transport.close()


class Connection(asyncio.Protocol):
    """One connection: parses heads, feeds bodies to the exchange they belong to, starts exchanges in turn."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._loop = asyncio.get_running_loop()
        self._parser: Any = httptools.HttpRequestParser(self)
        # What follows a request with "Connection: close" is ignored instead of spoiling that request's answer.
        self._parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._waiting: deque[Exchange] = deque()
        self._arriving: Exchange | None = None
        self._running: Exchange | None = None
        self._writable: asyncio.Future[None] | None = None
        self._is_reading = True
        self._head_bytes = 0
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._expects_continue = False
        self._upgrading: Message | None = None
        self._certificate: bytes | None = None
        self.transport: asyncio.Transport
        self.awaits_head = True
        self.waits_since: float | None = self._loop.time()

    # the transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        self._server, self._client = (
            (transport.get_extra_info(end) or ("", 0))[:2] for end in ("sockname", "peername")
        )
        tls = transport.get_extra_info("ssl_object")
        self._scheme = "http" if tls is None else "https"
        self._certificate = None if tls is None else tls.getpeercert(binary_form=True)
        self._shared.connections.add(self)
        if len(self._shared.connections) > self._shared.http.connections_max:
            self.refuse(503, "Too many connections.")

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        self._shared.connections.discard(self)
        self.waits_since = self._parser = None
        for exchange in (self._running, self._arriving):
            if exchange is not None:
                exchange.lose()
        self._waiting.clear()
        self.resume_writing()

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self._upgrading is not None:
                self._upgrade(self._upgrading, data[upgrade.args[0] :])
            elif self._arriving is not None:
                self._arriving.keep_alive = False  # the parser takes no further request
        except httptools.HttpParserError:
            self.refuse(400, "Invalid HTTP request received.")

    def pause_writing(self) -> None:
        if self._writable is None:
            self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        if self._writable is not None:
            self._writable.set_result(None)
            self._writable = None

    # the parser's side

    def on_message_begin(self) -> None:
        self._head_bytes, self._url, self._headers, self._expects_continue = 0, b"", [], False
        self.awaits_head, self.waits_since = True, self._loop.time()

    def on_url(self, url: bytes) -> None:
        self._url += url
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value) + 4)
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self._expects_continue = True
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        self.waits_since = None
        if self.transport.is_closing():
            return
        scope = self._scope()
        if self._is_upgraded(scope):
            self._upgrading = scope
            return
        keep_alive = scope["http_version"] != "1.0" and self._parser.should_keep_alive()
        exchange = self._arriving = Exchange(self, scope, keep_alive)
        exchange.expects_continue = self._expects_continue
        if self._running is None:
            self._start(exchange)
        else:
            self.pause_reading()
            self._waiting.append(exchange)

    def on_body(self, body: bytes) -> None:
        if self._arriving is not None:
            self._arriving.feed(body)

    def on_message_complete(self) -> None:
        if self._arriving is not None:
            self._arriving.end()

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > self._shared.http.header_bytes_max and not self.transport.is_closing():
            self.refuse(431, "The request head is too large.")

    def _scope(self) -> Message:
        # The path as sent, untouched: a URL parser would read one of two slashes as a host.
        path, _, query = self._url.partition(b"?")
        if path.startswith((b"http://", b"https://")):  # absolute form, as proxies send it
            path = b"/" + path.split(b"/", 3)[3] if path.count(b"/") > 2 else b"/"
        return {
            "type": "http",
            "asgi": _ASGI,
            "http_version": self._parser.get_http_version(),
            "server": self._server,
            "client": self._client,
            "scheme": self._scheme,
            "root_path": "",
            "method": self._parser.get_method().decode("ascii"),
            "path": path.decode("latin-1"),
            "raw_path": path,
            "query_string": query.partition(b"#")[0],
            "headers": self._headers,
            "state": {} if self._certificate is None else {"certificate": self._certificate},
        }

    def _is_upgraded(self, scope: Message) -> bool:
        """Whether the request becomes a WebSocket: it asks for it, at the one path, with nothing before it unanswered."""
        is_free = self._shared.upgrade is not None and self._running is None
        wants = scope["raw_path"] == _UPGRADED_PATH and is_upgrade(self._headers)
        return is_free and wants and bool(self._parser.should_upgrade())

    def _upgrade(self, scope: Message, rest: bytes) -> None:
        """Hand the socket to the protocol it asks for."""
        assert self._shared.upgrade is not None
        try:
            head, protocol = self._shared.upgrade(scope)
        except HandshakeError as refused:
            self.refuse(refused.status, refused.message)
            return
        except Exception as bug:
            self._shared.log.error("the upgrade failed", exc=bug)  # noqa: TRY400 - our log takes the exception
            self.refuse(500, "Internal Server Error")
            return
        self._shared.connections.discard(self)
        self.transport.write(head)
        self.transport.set_protocol(protocol)
        protocol.connection_made(self.transport)
        if rest:
            protocol.data_received(rest)

    # the exchange's side

    def pause_reading(self) -> None:
        if self._is_reading:
            self._is_reading = False
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        if not self._is_reading and not self._waiting:
            self._is_reading = True
            if not self.transport.is_closing():
                self.transport.resume_reading()

    async def drained(self) -> None:
        """Wait while the socket is full."""
        while self._writable is not None:
            await asyncio.shield(self._writable)

    def completed(self, exchange: Exchange) -> None:
        """The answer was sent: close, or take the next request."""
        self._running = None
        if not exchange.keep_alive or self.transport.is_closing():
            self.transport.close()
        elif self._waiting:
            self._start(self._waiting.popleft())
        elif self.waits_since is None:
            self.awaits_head, self.waits_since = False, self._loop.time()
        self.resume_reading()

    def refuse(self, status: int, text: str) -> None:
        """Answer outside any exchange, and close."""
        body = text.encode()
        head = b"content-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
        self.transport.write(_STATUS_LINES[status] + head + body)
        self.transport.close()

    def retire(self) -> None:
        """Close as soon as the running exchange, if any, is done."""
        if self._running is None:
            self.transport.close()
        else:
            self._running.keep_alive = False

    def _start(self, exchange: Exchange) -> None:
        self._running = exchange
        task = self._loop.create_task(exchange.run(self._shared.app, self._shared.log))
        self._shared.tasks.add(task)
        task.add_done_callback(self._shared.tasks.discard)


class Exchange:
    """One request and its answer, as ASGI sees them."""

    def __init__(self, connection: Connection, scope: Message, keep_alive: bool) -> None:
        self._connection = connection
        self._scope = scope
        self.keep_alive, self.expects_continue = keep_alive, False
        self._pieces: list[bytes] = []
        self._waiting_bytes = 0
        self._is_whole = self._is_told = self._is_lost = False
        self._arrival: asyncio.Future[None] | None = None
        self._is_begun = self._is_complete = self._is_chunked = self._is_bodiless = False
        self._left: int | None = None

    def feed(self, piece: bytes) -> None:
        """A part of the body; what comes after the answer is read and forgotten."""
        if self._is_complete:
            return
        self._pieces.append(piece)
        self._waiting_bytes += len(piece)
        if self._waiting_bytes > _WAITING_BYTES_MAX:
            self._connection.pause_reading()
        self._wake()

    def end(self) -> None:
        """The body is whole."""
        self._is_whole = True
        self._wake()

    def lose(self) -> None:
        """The client went away."""
        self._is_lost = True
        self._wake()

    async def run(self, app: Application, log: Log) -> None:
        """The application's whole part in it."""
        try:
            await app(self._scope, self.receive, self.send)
        except asyncio.CancelledError:
            self._connection.transport.close()
            raise
        except Exception as bug:
            log.error("the application failed", path=self._scope["path"], exc=bug)  # noqa: TRY400 - our log takes the exception
        if self._is_complete or self._is_lost:
            return
        if self._is_begun:  # a short answer must not look whole
            self._connection.transport.close()
        else:
            self._connection.refuse(500, "Internal Server Error")

    async def receive(self) -> Message:
        """ASGI's ``receive``."""
        if self.expects_continue and not self._is_begun and not self._is_lost:
            self._connection.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.expects_continue = False
        while not (self._pieces or (self._is_whole and not self._is_told) or self._is_lost or self._is_complete):
            self._connection.resume_reading()
            if self._arrival is None:
                self._arrival = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._arrival)
        if self._is_lost or self._is_complete:
            return {"type": "http.disconnect"}
        body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces, self._waiting_bytes, self._is_told = [], 0, self._is_whole
        return {"type": "http.request", "body": body, "more_body": not self._is_whole}

    async def send(self, message: Message) -> None:
        """ASGI's ``send``; into the void once the client is gone."""
        await self._connection.drained()
        if self._is_lost:
            return
        if self._is_complete:
            raise RuntimeError("the answer was complete already")
        if not self._is_begun:
            self._begin(message["status"], message["headers"])
        else:
            self._continue(message.get("body", b""), message.get("more_body", False))

    def _begin(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        if self.expects_continue:  # never told to go on, the client may leave the body out and send its next request
            self.keep_alive = False
        lines = [_STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status]
        names = set()
        for name, value in headers:
            if _NOT_IN_NAMES.search(name) or _NOT_IN_VALUES.search(value):
                raise RuntimeError("a header would break the answer's head")
            name = name.lower()
            names.add(name)
            if name == b"content-length":
                self._left = int(value)
            elif name == b"connection" and b"close" in value.lower():
                self.keep_alive = False
            lines.append(b"%b: %b\r\n" % (name, value))
        self._is_bodiless = self._scope["method"] == "HEAD" or status in _BODILESS
        if self._is_bodiless:
            self._left = None
        elif self._left is None:
            self._is_chunked = self._scope["http_version"] != "1.0"  # there the closed connection is the end
            if self._is_chunked:
                lines.append(b"transfer-encoding: chunked\r\n")
        if not self.keep_alive and b"connection" not in names:
            lines.append(b"connection: close\r\n")
        lines.append(b"\r\n")
        self._is_begun = True
        self._connection.transport.write(b"".join(lines))

    def _continue(self, body: bytes, more: bool) -> None:
        write = self._connection.transport.write
        if self._is_bodiless:
            pass
        elif self._is_chunked:
            framed = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            write(framed if more else framed + b"0\r\n\r\n")
        else:
            if self._left is not None:
                self._left -= len(body)
                if self._left < 0 or (self._left and not more):
                    raise RuntimeError("the body is not as long as the answer's head says")
            if body:
                write(body)
        if not more:
            self._is_complete = True
            self._wake()
            self._connection.completed(self)

    def _wake(self) -> None:
        if self._arrival is not None:
            self._arrival.set_result(None)
            self._arrival = None
