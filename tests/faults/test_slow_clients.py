"""F13: clients that are slow on purpose or by accident. The others hardly notice, memory stays bounded.

Slow loris (heads that never end), idle kept connections, a reader that takes a gigabyte by the byte, long polls of clients
that do not read: all at once, while a prober asks something small. A head has fifteen seconds.
"""

from __future__ import annotations

import json
import resource
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from bench.load import Call, json_call, signed
from tests.crash.rig import Server, eventually, patience
from tests.faults.prober import Prober

P99_RATIO, NOTICED_MS, MEMORY_MB, HEAD_SECONDS = 1.5, 25.0, 64.0, 15.0


class Attack(NamedTuple):
    """How many of each, and for how long."""

    loris: int
    idle: int
    polls: int
    object_mb: int
    seconds: float


SHORT, FULL = Attack(100, 300, 50, 32, 1.0), Attack(500, 10_000, 200, 1024, 25.0)


def _connected(server: Server, first: bytes, count: int) -> list[socket.socket]:
    made = []
    for _ in range(count):
        door = socket.create_connection(("127.0.0.1", server.http_port), timeout=30)
        door.sendall(first)
        made.append(door)
    return made


def _closed(doors: list[socket.socket]) -> int:
    """How many were ended from the other side, with or without a last word."""
    count = 0
    for door in doors:
        door.setblocking(False)
        try:
            while door.recv(65536):
                pass
            count += 1
        except BlockingIOError:
            pass
        except OSError:
            count += 1
    return count


def _large(server: Server, megabytes: int) -> None:
    """An object of so many megabytes, by parts."""
    s3, where = server.client("s3", read_timeout=60), {"Bucket": "slow", "Key": "large"}
    s3.create_bucket(Bucket="slow")
    upload = s3.create_multipart_upload(**where)["UploadId"]
    part = bytes(32 << 20)
    parts = [
        {"PartNumber": n, "ETag": s3.upload_part(**where, UploadId=upload, PartNumber=n, Body=part)["ETag"]}
        for n in range(1, megabytes // 32 + 1)
    ]
    s3.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": parts})


def _may_open(count: int) -> None:
    """Descriptors for both ends: the server inherits the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        pytest.skip(f"this machine allows {hard} descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count), hard))


@pytest.mark.parametrize("attack", [SHORT, pytest.param(FULL, marks=pytest.mark.slow)], ids=["short", "full"])
def test_slow_clients_trouble_nobody(tmp_path: Path, attack: Attack) -> None:
    _may_open(attack.loris + attack.idle + attack.polls + 500)
    server = Server(tmp_path / "data", environment={"LAKEBED_HTTP_CONNECTIONS_MAX": "12000"})
    server.start()
    doors: list[socket.socket] = []
    try:
        _large(server, attack.object_mb)
        url = server.client("sqs").create_queue(QueueName="empty")["QueueUrl"]
        poll = json.dumps({"QueueUrl": url, "WaitTimeSeconds": 20}).encode()
        with Prober(server.http_port) as prober:
            time.sleep(attack.seconds)
            before_mb, quiet = server.rss_mb(), time.monotonic()
            loris = _connected(server, b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ", attack.loris)
            began = time.monotonic()
            ask = signed(server.http_port, json_call("sqs", "AmazonSQS.ListQueues", version="1.0"))
            idle = _connected(server, ask, attack.idle)
            polls = _connected(
                server,
                signed(server.http_port, json_call("sqs", "AmazonSQS.ReceiveMessage", poll, "1.0")),
                attack.polls,
            )
            get = signed(server.http_port, Call("s3", method="GET", path="/slow/large"))
            trickle = _connected(server, get, 1)[0]
            doors += [*loris, *idle, *polls, trickle]
            start = time.monotonic()
            taken, most_mb = 0, 0.0
            while time.monotonic() < start + attack.seconds:
                taken += len(trickle.recv(1))
                for door in loris[:: max(1, attack.loris // 20)]:
                    with suppress(OSError):  # refused by now
                        door.sendall(b"x")
                most_mb = max(most_mb, server.rss_mb())
                time.sleep(0.1)
            end = time.monotonic()
            if attack is FULL:
                eventually(
                    lambda: _closed(loris) == attack.loris, patience(HEAD_SECONDS), "slow heads are still waited for"
                )
        before, during = prober.p99(0, quiet), prober.p99(start, end)
        arriving = prober.p99(quiet, start)
        print(
            f"{attack.loris} slow heads, {attack.idle:,} idle, {attack.polls} long polls, {taken} bytes of "
            f"{attack.object_mb} MB read: others' p99 {before:.1f} ms before, {arriving:.1f} ms while they come, "
            f"{during:.1f} ms then; {prober.failures()} failed; memory {before_mb:.0f} → {most_mb:.0f} MB"
        )
        assert prober.failures() == 0
        assert most_mb - before_mb <= MEMORY_MB
        if attack is FULL:
            assert during <= max(P99_RATIO * before, patience(NOTICED_MS))
            assert time.monotonic() - began < attack.seconds + 2 * HEAD_SECONDS + 60
    finally:
        for door in doors:
            door.close()
        server.stop()
