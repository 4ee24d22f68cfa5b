"""HTTP/1.1 by raw bytes against small applications."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from lakebed.edge import listener
from lakebed.edge.listener import Listener
from lakebed.kernel.clock import SystemClock
from lakebed.kernel.log import Log
from lakebed.kernel.settings import Http

Talk = Callable[[bytes], Awaitable[bytes]]
HOST = b"Host: x\r\n"


async def whole(receive: Any) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the path, the query and the body; ``/stream`` without a length, ``/early`` before the body."""
    path = scope["path"]
    if path == "/early":
        await send({"type": "http.response.start", "status": 403, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"no", "more_body": False})
        return
    if path == "/bug":
        raise ValueError("secret")
    if path == "/injected":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x", b"1\r\nevil: 1")]})
    body = b"%b?%b %b" % (scope["raw_path"], scope["query_string"], await whole(receive))
    if path == "/stream":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for at in range(0, len(body), 5):
            await send({"type": "http.response.body", "body": body[at : at + 5], "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        return
    length = len(body) + (5 if path == "/short" else 0)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % length)]})
    await send({"type": "http.response.body", "body": body, "more_body": False})


@asynccontextmanager
async def served(app: Any = echo) -> AsyncIterator[Talk]:
    door = Listener(app, Http(port=0), Log(SystemClock(), None))
    host, port = await door.open()

    async def talk(sent: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(sent)
        got = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        return got

    yield talk
    await door.close()
    assert door.connections == 0 or app is not echo


LAST = b"GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


async def test_pipelined_requests_are_answered_in_order() -> None:
    async with served() as talk:
        got = await talk(b"".join(b"GET /%d?q=%d HTTP/1.1\r\nHost: x\r\n\r\n" % (n, n) for n in range(50)) + LAST)
    assert got.count(b"HTTP/1.1 200 OK") == 51
    assert [got.index(b"/%d?q=%d" % (n, n)) for n in range(50)] == sorted(
        got.index(b"/%d?q=%d" % (n, n)) for n in range(50)
    )
    assert got.endswith(b"connection: close\r\n\r\n/last? ")


async def test_chunked_both_ways() -> None:
    async with served() as talk:
        body = b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
        got = await talk(b"POST /stream HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + body + LAST)
    assert b"transfer-encoding: chunked" in got
    assert b"5\r\n/stre\r\n5\r\nam? a\r\n4\r\nbcde\r\n0\r\n\r\nHTTP/1.1 200" in got


async def test_an_early_answer_lets_the_rest_of_the_body_pass() -> None:
    async with served() as talk:
        body = b"x" * (3 << 20)
        got = await talk(b"PUT /early HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body + LAST)
    assert got.startswith(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nnoHTTP/1.1 200 OK")


async def test_a_body_that_was_never_asked_for_ends_the_connection() -> None:
    async with served() as talk:
        got = await talk(b"PUT /early HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 90\r\n\r\n" + LAST)
    assert got == b"HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno"


async def test_a_large_body_arrives_whole_though_the_reader_is_slow() -> None:
    body = bytes(range(256)) * 20_000
    seen = []

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        taken = b""
        more = True
        while more:
            message = await receive()
            seen.append(len(message["body"]))
            taken, more = taken + message["body"], message["more_body"]
            await asyncio.to_thread(lambda: None)
        assert taken == body
        await send({"type": "http.response.start", "status": 204, "headers": [(b"connection", b"close")]})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async with served(slow) as talk:
        got = await talk(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    assert got == b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n"
    assert max(seen) < 1 << 20


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (b"HEAD /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
         b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\n"),
        (b"GET /stream HTTP/1.0\r\n\r\n", b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n/stream? "),
        (b"GET http://h//a/b?c HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
         b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\nconnection: close\r\n\r\n//a/b?c "),
        (b"GET /u HTTP/1.1\r\nHost: x\r\nConnection: upgrade, http2-settings\r\nUpgrade: h2c\r\n\r\n",
         b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\n/u? "),
        (b"GET /bug HTTP/1.1\r\nHost: x\r\n\r\n",
         (b"HTTP/1.1 500 Internal Server Error\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 21\r\n"
         b"connection: close\r\n\r\nInternal Server Error")),
    ],
)  # fmt: skip
async def test_to_the_byte(request_: bytes, expected: bytes) -> None:
    async with served() as talk:
        assert await talk(request_) == expected


@pytest.mark.parametrize(
    "request_",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",  # smuggling
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"GET / HTTP/1.1\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00",  # TLS
    ],
)
async def test_ambiguous_heads_are_refused(request_: bytes) -> None:
    async with served() as talk:
        assert (await talk(request_)).startswith(b"HTTP/1.1 400 Bad Request")


async def test_what_breaks_an_answer_closes_it() -> None:
    async with served() as talk:
        assert b"evil" not in await talk(b"GET /injected HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200 OK" not in (await talk(b"GET /short HTTP/1.1\r\nHost: x\r\n\r\n")).partition(b"\r\n\r\n")[2]


async def test_idle_connections_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lakebed.edge.http1.KEEP_ALIVE_SECONDS", 0)
    monkeypatch.setattr(listener, "_SWEEP_SECONDS", 0.01)
    async with served() as talk:
        assert (await talk(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")).endswith(b"\r\n\r\n/a? ")


async def test_a_client_that_left_is_a_disconnect() -> None:
    told: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def waiting(scope: Any, receive: Any, send: Any) -> None:
        await whole(receive)
        started.set()
        told.set_result(await receive())

    started = asyncio.Event()
    door = Listener(waiting, Http(port=0), Log(SystemClock(), None))
    _, writer = await asyncio.open_connection(*await door.open())
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    await started.wait()
    writer.close()
    assert await asyncio.wait_for(told, 5) == {"type": "http.disconnect"}
    await door.close()
