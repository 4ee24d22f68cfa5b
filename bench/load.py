"""A quick raw client: signed once, sent many times over kept connections. What it costs itself is far below a server's answer.

A server that closes the connection after each answer (moto's) is given a new one each time, and the time that takes counts.
"""

from __future__ import annotations

import asyncio
import base64
import json
import statistics
import time
from dataclasses import dataclass
from typing import Any

import botocore.auth
import botocore.awsrequest
import botocore.session
from botocore.credentials import Credentials

HANGS_AFTER = 60.0  # seconds; a server that hangs is a result too
RECORD_SIZES, LARGE_BYTES = (200, 1000), 64 << 20


@dataclass(frozen=True, slots=True)
class Figures:
    """Latencies in milliseconds and requests per second of one run; ``failures`` answers that were not 2xx."""

    p50: float
    p99: float
    worst: float
    per_second: float
    failures: int
    count: int


@dataclass(frozen=True, slots=True)
class Call:
    """One AWS call as raw HTTP: the service's signing name, and what its protocol puts where."""

    service: str
    body: bytes = b""
    target: str = ""
    content_type: str = ""
    method: str = "POST"
    path: str = "/"


def json_call(service: str, target: str, body: bytes = b"{}", version: str = "1.1") -> Call:
    """A call of the JSON protocol."""
    return Call(service, body, target, f"application/x-amz-json-{version}")


def signed(port: int, call: Call) -> bytes:
    """The bytes of a signed HTTP/1.1 request; valid for the quarter of an hour a benchmark takes."""
    headers = {"Host": f"127.0.0.1:{port}"}
    if call.target:
        headers["X-Amz-Target"] = call.target
    if call.content_type:
        headers["Content-Type"] = call.content_type
    url = f"http://127.0.0.1:{port}{call.path}"
    request = botocore.awsrequest.AWSRequest(call.method, url, headers=headers, data=call.body)
    signer = botocore.auth.S3SigV4Auth if call.service == "s3" else botocore.auth.SigV4Auth
    signer(Credentials("test", "test"), call.service, "us-east-1").add_auth(request)
    lines = [f"{call.method} {call.path} HTTP/1.1", *(f"{name}: {value}" for name, value in request.headers.items())]
    lines.append(f"Content-Length: {len(call.body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + call.body


def put_records(port: int, size: int) -> bytes:
    """PutRecords of 500 records of so many bytes."""
    data = base64.b64encode(b"x" * size).decode()
    records = [{"Data": data, "PartitionKey": f"key-{number}"} for number in range(500)]
    body = json.dumps({"StreamName": "bench", "Records": records}).encode()
    return signed(port, json_call("kinesis", "Kinesis_20131202.PutRecords", body))


async def _exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> tuple[int, bool]:
    """Send, read the answer whole: its status, and whether the server keeps the connection."""
    writer.write(request)
    bodiless = request.startswith(b"HEAD ")
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if bodiless:
        pass
    elif b"content-length:" in head:
        left = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        while left:
            piece = await reader.read(min(left, 1 << 20))
            if not piece:
                raise EOFError("the answer ends early")
            left -= len(piece)
    elif b"transfer-encoding: chunked" in head:
        length = -1
        while length:
            length = int((await reader.readline()).strip(), 16)
            await reader.readexactly(length + 2)
    return int(head[9:12]), b"connection: close" not in head


class _Connection:
    """A connection that is opened when there is none."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, request: bytes) -> int:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 22)
        status, kept = await _exchange(*self._streams, request)
        if not kept:
            self.close()
        return status

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def _run(port: int, request: bytes, connections: int, seconds: float) -> Figures:
    times: list[float] = []
    failures = 0

    async def one(until: float) -> None:
        nonlocal failures
        connection = _Connection(port)
        while (began := time.perf_counter()) < until:
            status = await connection.send(request)
            times.append((time.perf_counter() - began) * 1000)
            failures += not 200 <= status < 300
        connection.close()

    await one(time.perf_counter() + seconds / 10)
    times.clear()
    failures = 0
    began = time.perf_counter()
    await asyncio.gather(*(one(began + seconds) for _ in range(connections)))
    taken = time.perf_counter() - began
    ordered = sorted(times)
    return Figures(
        statistics.median(ordered),
        ordered[int((len(ordered) - 1) * 0.99)],
        ordered[-1],
        len(times) / taken,
        failures,
        len(times),
    )


async def _cycles(port: int, url: str, seconds: float) -> float:
    def sqs(operation: str, **members: Any) -> bytes:
        body = json.dumps({"QueueUrl": url} | members).encode()
        return signed(port, json_call("sqs", f"AmazonSQS.{operation}", body, version="1.0"))

    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
    taken = []

    async def timed(request: bytes) -> bytes:
        began = time.perf_counter()
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        body = await reader.readexactly(int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0]))
        taken[-1] += (time.perf_counter() - began) * 1000
        if head[9:12] != b"200":
            raise RuntimeError(body[:90])
        return body

    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        taken.append(0.0)
        await timed(sqs("SendMessage", MessageBody="x" * 200))
        received = json.loads(await timed(sqs("ReceiveMessage")))["Messages"]
        await timed(sqs("DeleteMessage", ReceiptHandle=received[0]["ReceiptHandle"]))
    writer.close()
    return statistics.median(taken)


def queue_cycle(port: int, url: str, seconds: float = 2.0) -> float:
    """The median of SendMessage, ReceiveMessage and DeleteMessage together, in milliseconds; signing does not count."""
    return asyncio.run(asyncio.wait_for(_cycles(port, url, seconds), seconds + HANGS_AFTER))


def measure(port: int, request: bytes, *, connections: int = 1, seconds: float = 2.0) -> Figures:
    """Send one request over and over for so many seconds, after a tenth of that to warm up."""
    return asyncio.run(asyncio.wait_for(_run(port, request, connections, seconds), seconds + HANGS_AFTER))


def client(port: int, service: str, **config: Any) -> Any:
    """A boto3 client on one server."""
    import boto3
    from botocore.config import Config

    return boto3.client(
        service,
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"max_attempts": 1}, read_timeout=HANGS_AFTER, s3={"addressing_style": "path"}, **config),
    )
