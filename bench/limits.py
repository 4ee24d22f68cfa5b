"""The bare limits of this machine: a handler that does nothing on the same HTTP server, and the disk's own sync."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from bench.load import json_call, measure, signed
from bench.servers import WORK, free_port

_BARE = """
import asyncio, uvloop
from lakebed.edge.listener import Listener
from lakebed.kernel.clock import SystemClock
from lakebed.kernel.log import Log
from lakebed.kernel.settings import Http
async def app(scope, receive, send):
    while (await receive()).get("more_body"): pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"{}"})
async def main():
    await Listener(app, Http(port=PORT), Log(SystemClock(), None)).open()
    await asyncio.Event().wait()
uvloop.run(main())
"""


def bare_handler() -> dict[str, float | str]:
    """The same request against an empty application behind the same listener: HTTP without anything of AWS."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-c", _BARE.replace("PORT", str(port))])
    try:
        request = signed(port, json_call("sqs", "AmazonSQS.ListQueues", version="1.0"))
        for _ in range(400):
            try:
                measure(port, request, seconds=0.01)
                break
            except OSError:
                time.sleep(0.01)
        one = measure(port, request)
        eight = measure(port, request, connections=8)
        return {
            "ListQueues p50, ms": one.p50,
            "ListQueues p99, ms": one.p99,
            "ListQueues, 8 connections, requests/s": eight.per_second,
        }
    finally:
        process.kill()
        process.wait()


def disk_sync_ms(path: Path = WORK / "sync") -> float:
    """Median of fdatasync after appending 4 KB."""
    path.parent.mkdir(parents=True, exist_ok=True)
    times = []
    fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    try:
        for _ in range(50):
            os.write(fd, bytes(4096))
            began = time.perf_counter()
            os.fdatasync(fd)
            times.append((time.perf_counter() - began) * 1000)
    finally:
        os.close(fd)
        path.unlink()
    return sorted(times)[25]
