"""Answers that stream: from a function's pieces to whoever reads them, at the reader's pace.

``Stream`` is the runtime's sink and the reader's iterator. The queue between them holds a few pieces; a function that
answers faster than its reader reads waits. When the reader goes away the function still comes to its end, and its pieces
are dropped.

https://docs.aws.amazon.com/lambda/latest/dg/configuration-response-streaming.html
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from lakebed.ports.runtime import Execution, ResponseSink

_PIECES_MAX = 8
DEFAULT_TYPE = "application/octet-stream"


class Stream:
    """One streamed invocation."""

    def __init__(self) -> None:
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue(_PIECES_MAX)
        self._begun = asyncio.Event()
        self._gone = False
        self._running: asyncio.Task[Execution] | None = None
        self.content_type = DEFAULT_TYPE
        self.execution: Execution | None = None

    async def begin(self, content_type: str) -> None:
        """The function began to answer."""
        self.content_type = content_type
        self._begun.set()

    async def write(self, piece: bytes) -> None:
        """The next bytes."""
        if piece and not self._gone:
            await self._pieces.put(piece)

    async def open(self, run: Callable[[ResponseSink], Awaitable[Execution]]) -> None:
        """Start the function; returns when it began to answer or is done. What ``run`` raises before that is raised."""
        self._running = asyncio.ensure_future(self._run(run))
        waiting = asyncio.ensure_future(self._begun.wait())
        await asyncio.wait((self._running, waiting), return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if self._running.done():
            self._running.result()

    async def pieces(self) -> AsyncIterator[bytes]:
        """The answer; a function that did not stream gives its whole in one piece. ``execution`` is set at the end."""
        assert self._running is not None
        try:
            while (piece := await self._pieces.get()) is not None:
                yield piece
            execution = await self._running
            if not execution.streamed and not execution.error and execution.payload:
                yield execution.payload
        finally:
            self._gone = True
            while not self._pieces.empty():  # a writer that waits goes on, into nothing
                self._pieces.get_nowait()

    async def _run(self, run: Callable[[ResponseSink], Awaitable[Execution]]) -> Execution:
        try:
            self.execution = await run(self)
            return self.execution
        finally:
            if not self._gone:
                await self._pieces.put(None)
