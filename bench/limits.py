"""The bare limits of this machine: handlers of a few lines on the same HTTP server, and the disk's own sync.

They do what nobody can leave out and nothing of AWS: no signature, no identity, no model, no state. For ListQueues that is
nothing; for PutRecords: read the body, decode JSON and base64, write the data to one file, encode an answer as long as
Kinesis'; for a GET: read the file by a quarter of a megabyte and send it.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from bench.load import LARGE_BYTES, RECORD_SIZES, Call, json_call, measure, put_records, signed
from bench.servers import WORK, free_port

_BARE = """
import asyncio, base64, os, sys, uvloop, msgspec
from lakebed.edge.listener import Listener
from lakebed.kernel.clock import SystemClock
from lakebed.kernel.log import Log
from lakebed.kernel.settings import Http
port, large, log = int(sys.argv[1]), sys.argv[2], os.open(sys.argv[3], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
decode, encode = msgspec.json.decode, msgspec.json.encode
def put(body):
    records = decode(body)["Records"]
    os.write(log, b"".join([base64.b64decode(record["Data"]) for record in records]))
    return encode({"FailedRecordCount": 0, "Records": [
        {"SequenceNumber": "%056d" % number, "ShardId": "shardId-000000000001"} for number in range(len(records))]})
async def get(send):
    fd = os.open(large, os.O_RDONLY)
    size, at = os.fstat(fd).st_size, 0
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % size)]})
    while at < size:
        piece = os.pread(fd, 256 << 10, at)
        at += len(piece)
        await send({"type": "http.response.body", "body": piece, "more_body": at < size})
    os.close(fd)
async def app(scope, receive, send):
    pieces = []
    while True:
        message = await receive()
        pieces.append(message.get("body", b""))
        if not message.get("more_body"):
            break
    if scope["path"] == "/bench/large":
        return await get(send)
    body = b"".join(pieces)
    answer = put(body) if len(body) > 1000 else b"{}"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(answer))]})
    await send({"type": "http.response.body", "body": answer})
async def main():
    await Listener(app, Http(port=port), Log(SystemClock(), None)).open()
    await asyncio.Event().wait()
uvloop.run(main())
"""


def bare_handler() -> dict[str, float | str]:
    """The same requests against handlers of a few lines behind the same listener."""
    port = free_port()
    WORK.mkdir(parents=True, exist_ok=True)
    large, log = WORK / "bare.large", WORK / "bare.log"
    large.write_bytes(bytes(LARGE_BYTES))
    process = subprocess.Popen([sys.executable, "-c", _BARE, str(port), str(large), str(log)])
    try:
        request = signed(port, json_call("sqs", "AmazonSQS.ListQueues", version="1.0"))
        for _ in range(400):
            try:
                measure(port, request, seconds=0.1)
                break
            except (OSError, statistics.StatisticsError):
                time.sleep(0.01)
        one = measure(port, request)
        eight = measure(port, request, connections=8)
        found: dict[str, float | str] = {
            "ListQueues p50, ms": one.p50,
            "ListQueues p99, ms": one.p99,
            "ListQueues, 8 connections, requests/s": eight.per_second,
        }
        for size in RECORD_SIZES:
            got = measure(port, put_records(port, size), connections=2, seconds=3.0)
            found[f"PutRecords 500 × {size} B, records/s"] = got.per_second * 500
        got = measure(port, signed(port, Call("s3", method="GET", path="/bench/large")), seconds=3.0)
        found["S3 get 64 MB, MB/s"] = got.per_second * LARGE_BYTES / 1e6
        return found
    finally:
        process.kill()
        process.wait()
        large.unlink()
        log.unlink(missing_ok=True)


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
