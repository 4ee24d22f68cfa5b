"""What goes back on the wire: the headers every answer carries, whole bodies at once, streams as they come.

A stream is sent at the pace of its reader (the server waits while the socket is full) and is closed when the reader goes
away. A stream that fails half way can only be cut: the client sees a short body.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from lakebed.kernel.clock import Clock
from lakebed.kernel.log import Log
from lakebed.wire.aws.dialect import host_id
from lakebed.wire.aws.message import HttpResponse
from lakebed.wire.aws.scalars import write_rfc822

_Message = MutableMapping[str, Any]
Channel = tuple[Callable[[], Awaitable[_Message]], Callable[[_Message], Awaitable[None]]]


@dataclass(slots=True)
class Sent:
    """What was sent; ``error`` where a stream ended early."""

    status: int
    size: int = 0
    error: str = ""


class Answers:
    """Sends responses."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._date = (0, b"")

    async def send(self, response: HttpResponse, service: str, request_id: str, channel: Channel, log: Log) -> Sent:
        """Head and body."""
        _, send = channel
        headers = [(b"date", self._now()), (b"server", b"Lakebed")]
        names = set()
        for name, value in response.headers.items():
            names.add(name.lower())
            headers.append((name.lower().encode("latin-1"), value.encode("latin-1", "replace")))
        if service == "s3":
            if "x-amz-request-id" not in names:
                headers.append((b"x-amz-request-id", request_id.encode()))
            if "x-amz-id-2" not in names:
                headers.append((b"x-amz-id-2", host_id(request_id).encode()))
        elif "x-amzn-requestid" not in names:
            headers.append((b"x-amzn-requestid", request_id.encode()))
        body, sent = response.body, Sent(response.status)
        whole = isinstance(body, bytes)
        if isinstance(body, bytes) and "content-length" not in names and response.status not in (204, 304):
            headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        if isinstance(body, bytes):
            sent.size = len(body)
            await send({"type": "http.response.body", "body": body, "more_body": False})
        if not whole and not isinstance(body, bytes):
            await self._stream(body, sent, request_id, channel, log)
        return sent

    async def _stream(
        self, body: AsyncIterator[bytes], sent: Sent, request_id: str, channel: Channel, log: Log
    ) -> None:
        receive, send = channel
        gone = asyncio.ensure_future(_until_gone(receive))
        try:
            async for piece in body:
                if gone.done():
                    sent.error = "ClientDisconnected"
                    return
                if piece:
                    sent.size += len(piece)
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except Exception as failure:
            sent.error = "StreamBroken"
            log.error("answer broken off", request_id=request_id, exc=failure)  # noqa: TRY400 - our log takes the exception
            raise  # the server cuts the connection: a short body must not look whole
        finally:
            gone.cancel()
            close = getattr(body, "aclose", None)
            if close is not None:
                await close()

    def _now(self) -> bytes:
        """The Date header of this second (the machine's time: clients correct their clocks by it)."""
        second = int(self._clock.wall())
        if self._date[0] != second:
            self._date = (second, write_rfc822(second).encode())
        return self._date[1]


async def _until_gone(receive: Callable[[], Awaitable[_Message]]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
