"""F9: the machine's clock jumps by ten minutes or an hour, either way, under a running server and across its restarts.

Clients live on the same machine and jump with it. Nothing acknowledged is lost, sequence numbers rise, what hides comes
back in its time, sessions and presigned URLs work as long as they should, and only a client that is itself wrong by more
than a quarter of an hour is told so. Lakebed's own time runs on the monotonic clock and never falls back
(``lakebed.kernel.world``). Leases, retention and buffers over days are tried by the manual clock in the services' tests.
"""

from __future__ import annotations

import datetime
import importlib
import random
import socket
import threading
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from bench.load import Call, signed
from tests.crash.rig import Server, eventually, patience, seed
from tests.faults import stores
from tests.faults.server import CLOCK
from tests.faults.stores import Writers, prepared

STEPS = (-3600.0, -600.0, 600.0, 3600.0)
VISIBILITY = 2


class Machine:
    """The machine's clock, as the server and botocore read it."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._path, self.off = path, 0.0
        self.step(0.0)
        self._mine = threading.local()
        for module in ("botocore.auth", "botocore.crt.auth"):  # the second where awscrt is installed
            with suppress(ImportError):
                monkeypatch.setattr(importlib.import_module(module), "get_current_datetime", self._now)

    def step(self, seconds: float) -> None:
        self.off += seconds
        self._path.with_suffix(".new").write_text(str(self.off))
        self._path.with_suffix(".new").replace(self._path)

    def wrong_here(self, seconds: float) -> None:
        """This thread's clock is off by so much more."""
        self._mine.off = seconds

    def _now(self, remove_tzinfo: bool = True) -> datetime.datetime:
        moment = datetime.datetime.now(datetime.UTC) + datetime.timedelta(
            seconds=self.off + getattr(self._mine, "off", 0.0)
        )
        return moment.replace(tzinfo=None) if remove_tzinfo else moment


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path / "clock", monkeypatch)


def _with_session(server: Server, given: dict[str, Any]) -> Any:
    return boto3.client(
        "sqs",
        endpoint_url=f"http://127.0.0.1:{server.http_port}",
        region_name="us-east-1",
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
        config=Config(retries={"total_max_attempts": 1}),
    )


def _read(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code


def _wrong_client_is_told(server: Server, machine: Machine, off: float) -> None:
    """By a signature of its own making: botocore learns the time from a refusal and tries again."""
    machine.wrong_here(off)
    request = signed(server.http_port, Call("s3", method="GET", path="/"))
    machine.wrong_here(0.0)
    with socket.create_connection(("127.0.0.1", server.http_port), timeout=10) as door:
        door.sendall(request)
        told = door.recv(65536)
        assert told.startswith(b"HTTP/1.1 403"), told[:100]
        assert b"RequestTimeTooSkewed" in told or b"RequestTimeTooSkewed" in door.recv(65536)


@pytest.mark.parametrize("steps", [3, pytest.param(50, marks=pytest.mark.slow)])
def test_the_clock_jumps(tmp_path: Path, machine: Machine, steps: int) -> None:
    chosen = seed()
    rng = random.Random(chosen)
    server = Server(tmp_path / "data", module="tests.faults.server", environment={CLOCK: str(tmp_path / "clock")})
    server.start()
    try:
        kinds = (stores.Messages, stores.Stream, stores.Objects, stores.Delivery)  # an MQTT session's hour may be over
        ledgers = prepared(server, kinds)
        hidden = server.client("sqs").create_queue(
            QueueName="hidden", Attributes={"VisibilityTimeout": str(VISIBILITY)}
        )["QueueUrl"]
        restarts, writers = 0, Writers(ledgers, pause=0.01)
        late = 0.0
        for number in range(steps):
            sqs = server.client("sqs")
            sqs.send_message(QueueUrl=hidden, MessageBody=str(number))
            assert len(sqs.receive_message(QueueUrl=hidden)["Messages"]) == 1, f"seed {chosen}"
            began = time.monotonic()
            s3 = server.client("s3", signature_version="s3v4")
            url = s3.generate_presigned_url("get_object", {"Bucket": "faults-s3", "Key": "first"}, ExpiresIn=300)
            session = server.client("sts").get_session_token(DurationSeconds=900)["Credentials"]
            step = rng.choice([step for step in STEPS if abs(machine.off + step) <= 7200])
            writers.stop()  # what is signed before the jump and read behind it is refused, rightly
            machine.step(step)
            writers = Writers(ledgers, pause=0.01)
            restarted = rng.random() < 0.5
            if restarted:
                server.kill()
                server.start()
                restarts += 1
            where = f"seed {chosen}, step {number} by {step:+.0f} s{' across a restart' if restarted else ''}"
            if not restarted:  # Lakebed's own time did not jump: a session of a quarter of an hour goes on
                _with_session(server, session).list_queues()
            fresh = s3.generate_presigned_url("get_object", {"Bucket": "faults-s3", "Key": "first"}, ExpiresIn=60)
            assert _read(fresh) == 200, f"{where}: a new presigned URL is refused"
            if abs(step) > 900:
                assert _read(url) == 403, f"{where}: a presigned URL of another hour is taken"
            _wrong_client_is_told(server, machine, rng.choice((-1000.0, 1000.0)))
            found: list[Any] = []

            def again(url: str = hidden, found: list[Any] = found) -> bool:
                found += server.client("sqs").receive_message(QueueUrl=url).get("Messages", [])
                return bool(found)

            eventually(again, patience(VISIBILITY + 10), f"{where}: hidden for good")
            late = max(late, time.monotonic() - began - VISIBILITY)
            server.client("sqs").delete_message(QueueUrl=hidden, ReceiptHandle=found[0]["ReceiptHandle"])
        writers.stop()
        for ledger in ledgers:
            ledger.check(f"seed {chosen}")
        print(
            f"{steps} steps, {restarts} of them across a restart, {sum(len(ledger.acknowledged) for ledger in ledgers):,} "
            f"acknowledged, 0 lost, sequence numbers rise; a hidden message came {late:.2f} s late at most"
        )
    finally:
        server.stop()
