"""A TCP proxy that cuts: in the middle of a request, in the middle of an answer, politely (FIN) or not (RST), by a seed.

Each connection is given, when it opens, how many bytes may pass each way. What passed before the cut really arrived, so a
request may have been done although its client never hears of it: exactly what a bad network does.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import threading
from contextlib import suppress
from typing import Any


class CuttingProxy:
    """Listens on a port of its own in a thread of its own; ``target`` is read for each connection, so it may move."""

    def __init__(self, target: int, chosen: int, *, bytes_between_cuts: int) -> None:
        self.target = target
        self.cuts = {"request": 0, "answer": 0}
        self.port = 0
        self._rng, self._mean = random.Random(chosen), bytes_between_cuts
        self._loop = asyncio.new_event_loop()
        self._listens = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._listens.wait(10)

    def stop(self) -> None:
        """Close it; what is open is cut."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self) -> None:
        server = self._loop.run_until_complete(asyncio.start_server(self._accept, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._listens.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0.05))

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.CancelledError):  # at the end; asyncio would report it
            await self._serve(reader, writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        side = self._rng.choice(("request", "answer"))
        # Answers are shorter than requests here, so a cut there must come sooner to come at all.
        budget = int(self._rng.expovariate(1 / self._mean) / (1 if side == "request" else 4))
        rude = self._rng.random() < 0.5
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.close()
            return
        ways = [
            asyncio.ensure_future(_pass(reader, far_writer, budget if side == "request" else -1)),
            asyncio.ensure_future(_pass(far_reader, writer, budget if side == "answer" else -1)),
        ]
        done, rest = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        if any(way.result() for way in done):
            self.cuts[side] += 1
            if rude:
                for end in (writer, far_writer):
                    _reset(end)
        for way in rest:
            way.cancel()
        for end in (writer, far_writer):
            with suppress(OSError):
                end.close()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, budget: int) -> bool:
    """Bytes from one end to the other; True once the budget (-1: none) is used up, False at the end of the stream."""
    with suppress(OSError):
        while piece := await reader.read(65536):
            if 0 <= budget < len(piece):
                writer.write(piece[:budget])
                await writer.drain()
                return True
            budget -= len(piece) if budget >= 0 else 0
            writer.write(piece)
            await writer.drain()
    return False


def _reset(writer: asyncio.StreamWriter) -> None:
    raw: Any = writer.get_extra_info("socket")
    if raw is not None:
        with suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
