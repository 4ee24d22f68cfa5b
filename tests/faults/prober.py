"""A client that keeps asking something small and says how long each answer took: ``python -m tests.faults.prober PORT``.

A process of its own, so that the rig's threads do not stand in its way. It asks about a hundred times a second over one
connection, opened again when it breaks, until its standard input ends, then prints ``[[when, milliseconds], …]`` as JSON
(``when`` by the machine's monotonic clock); a negative time is a failure.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path

from bench.load import _exchange, json_call, signed

EVERY_SECONDS, GIVE_UP_SECONDS = 0.01, 20.0


async def _probe(port: int) -> list[tuple[float, float]]:
    request = signed(port, json_call("sqs", "AmazonSQS.ListQueues", version="1.0"))
    asking: list[tuple[float, float]] = []
    loop = asyncio.get_running_loop()
    ended = loop.run_in_executor(None, sys.stdin.read)
    streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
    while not ended.done():
        began = time.monotonic()
        try:
            if streams is None:
                streams = await asyncio.open_connection("127.0.0.1", port)
            status, _ = await asyncio.wait_for(_exchange(*streams, request), GIVE_UP_SECONDS)
            asking.append((began, (time.monotonic() - began) * 1000 * (1 if status == 200 else -1)))
        except (OSError, EOFError, TimeoutError):
            asking.append((began, -(time.monotonic() - began) * 1000))
            streams = None
        await asyncio.sleep(EVERY_SECONDS)
    return asking


class Prober:
    """The process, and what it measured once the block ended."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.asked: list[tuple[float, float]] = []

    def __enter__(self) -> Prober:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.prober", str(self._port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parent.parent.parent,
        )
        return self

    def __exit__(self, *_: object) -> None:
        told, _nothing = self._process.communicate()
        self.asked = [(when, took) for when, took in json.loads(told or "[]")]

    def p99(self, start: float = 0.0, end: float = float("inf")) -> float:
        """Of the answers asked for between two moments, in milliseconds."""
        took = sorted(abs(took) for when, took in self.asked if start <= when < end)
        return took[int((len(took) - 1) * 0.99)] if took else float("nan")

    def failures(self) -> int:
        """Calls without an answer."""
        return sum(took < 0 for _, took in self.asked)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_probe(int(sys.argv[1])))))
