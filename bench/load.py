"""A quick raw client: signed once, sent many times over kept connections. What it costs itself is far below a server's answer."""

from __future__ import annotations

import asyncio
import statistics
import time
from dataclasses import dataclass
from typing import Any

import botocore.auth
import botocore.awsrequest
import botocore.session
from botocore.credentials import Credentials


@dataclass(frozen=True, slots=True)
class Figures:
    """Latencies in milliseconds and requests per second of one run; ``failures`` answers that were not 2xx."""

    p50: float
    p99: float
    per_second: float
    failures: int


def signed(port: int, service: str, target: str, body: bytes, *, method: str = "POST", path: str = "/") -> bytes:
    """The bytes of a signed HTTP/1.1 request; valid for the quarter of an hour a benchmark takes."""
    headers = {"Host": f"127.0.0.1:{port}"}
    if target:
        version = "1.0" if service == "sqs" else "1.1"
        headers |= {"X-Amz-Target": target, "Content-Type": f"application/x-amz-json-{version}"}
    request = botocore.awsrequest.AWSRequest(method, f"http://127.0.0.1:{port}{path}", headers=headers, data=body)
    signer = botocore.auth.S3SigV4Auth if service == "s3" else botocore.auth.SigV4Auth
    signer(Credentials("test", "test"), service, "us-east-1").add_auth(request)
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in request.headers.items())]
    lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def _exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> tuple[int, int]:
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head[9:12])
    lower = head.lower()
    size = 0
    if b"content-length:" in lower:
        size = int(lower.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        left = size
        while left:
            left -= len(await reader.read(min(left, 1 << 20)))
    elif b"transfer-encoding: chunked" in lower:
        while True:
            length = int((await reader.readline()).strip() or b"0", 16)
            size += length
            await reader.readexactly(length + 2)
            if length == 0:
                break
    return status, size


async def _run(port: int, request: bytes, connections: int, requests: int) -> Figures:
    times: list[float] = []
    failures = 0

    async def one(count: int) -> None:
        nonlocal failures
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
        for _ in range(count):
            began = time.perf_counter()
            status, _ = await _exchange(reader, writer, request)
            times.append((time.perf_counter() - began) * 1000)
            failures += not 200 <= status < 300
        writer.close()

    await one(min(20, requests))
    times.clear()
    failures = 0
    began = time.perf_counter()
    await asyncio.gather(*(one(requests // connections) for _ in range(connections)))
    seconds = time.perf_counter() - began
    ordered = sorted(times)
    return Figures(statistics.median(ordered), ordered[int(len(ordered) * 0.99) - 1], len(times) / seconds, failures)


def measure(port: int, request: bytes, *, connections: int = 1, requests: int = 1000) -> Figures:
    """Send one request many times."""
    return asyncio.run(_run(port, request, connections, requests))


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
        config=Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"}, **config),
    )
