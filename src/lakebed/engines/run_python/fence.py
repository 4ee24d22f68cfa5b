"""A network of the function's own: the one way out, from the server's side.

The worker makes a listener in its network namespace (``127.0.0.1`` and the port of Lakebed's HTTP door, so that the
endpoint's address is the same) and hands it over. The server accepts on it and carries bytes to its own door: nothing else
of this machine or of any network can be reached from inside, and no process stands between.

What the door answers is decided by the door: a function reaches Lakebed's APIs with its role's credentials.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress

_CONNECTIONS_MAX = 256
_PIECE = 1 << 16


class Fence:
    """The listener of one worker."""

    def __init__(self, channel: socket.socket, door: Callable[[], tuple[str, int]]) -> None:
        self._channel, self._door = channel, door
        self._server: asyncio.Server | None = None
        self._carrying: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Take the listener that the worker sent before it answered."""
        _, descriptors, _, _ = socket.recv_fds(self._channel, 16, 1)
        listener = socket.socket(fileno=descriptors[0])
        listener.setblocking(False)
        self._server = await asyncio.start_server(self._accept, sock=listener)

    async def close(self) -> None:
        """With the worker."""
        if self._server is not None:
            self._server.close()
        for task in list(self._carrying):
            task.cancel()
        await asyncio.gather(*self._carrying, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if len(self._carrying) >= _CONNECTIONS_MAX:
            writer.close()
            return
        self._carrying.add(task)
        try:
            with suppress(OSError, asyncio.CancelledError):
                back, forth = await asyncio.open_connection(*self._door())
                try:
                    await asyncio.gather(_carry(reader, forth), _carry(back, writer))
                finally:
                    forth.close()
        finally:
            writer.close()
            self._carrying.discard(task)


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One direction, at the pace of its slower end."""
    while piece := await reader.read(_PIECE):
        writer.write(piece)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
