"""The network between clients and the doors is cut, mid-request and mid-answer: retries are harmless, nothing is half done.

Seven kinds of writers and a device work through a proxy that cuts by a seed. A cut call is in doubt, an acknowledged one is
there; a FIFO send and a PutObject tried until they are told have one effect; an upload that was cut leaves no draft, and
the server no connection.
"""

from __future__ import annotations

import random
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.crash.rig import UNTOLD, Acknowledged, Server, eventually, seed
from tests.crash.test_fifo import Producer
from tests.crash.test_flow import Device
from tests.faults import stores
from tests.faults.proxy import CuttingProxy
from tests.faults.stores import Writers, prepared


class FromDevice(stores.Session):
    """What a device publishes through the cut network, as a session that is away finds it later."""

    topics, number, device = "devices/#", "number", "elsewhere"


def _to_doors(server: Server, http: CuttingProxy, mqtt: CuttingProxy) -> Any:
    """The server as a client behind the bad network sees it."""
    return SimpleNamespace(
        client=lambda service, **more: server.client(
            service, port=http.port, retries={"total_max_attempts": 1}, **more
        ),
        mqtt_port=mqtt.port,
    )


def _connected(outside: Any, away: FromDevice, promised: Acknowledged) -> Device:
    """A device whose first connection may be cut as well: paho itself only tries later ones again."""
    for _ in range(20):
        with suppress(OSError):
            return Device("one", outside, away.tls, promised)
    raise AssertionError("no device connects")


def _open_connections(server: Server) -> int:
    """Established connections of the server's HTTP port."""
    mark = f":{server.http_port:04X}"
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return sum(fields[1].endswith(mark) and fields[3] == "01" for fields in map(str.split, lines))


def _overwrites(s3: Any, seconds: float) -> tuple[bytes, int]:
    """PutObject of one key over and over, each until it is told; the last body, how many calls were cut."""
    body, cut, until = b"", 0, time.monotonic() + seconds
    while time.monotonic() < until:
        body = f"{time.monotonic()} ".encode() * 8000
        while True:
            try:
                s3.put_object(Bucket="cut", Key="one", Body=body)
                break
            except (*UNTOLD, ClientError):
                cut += 1
    return body, cut


# A minute at most: a session that is away keeps 10,000 messages, which a device on a quiet machine sends in two.
@pytest.mark.slow
@pytest.mark.parametrize("seconds", [3.0, 60.0])
def test_cut_connections(tmp_path: Path, seconds: float) -> None:
    chosen = seed()
    rng = random.Random(chosen)
    server = Server(tmp_path / "data")
    server.start()
    http = CuttingProxy(server.http_port, rng.randrange(1 << 30), bytes_between_cuts=30_000)
    mqtt = CuttingProxy(server.mqtt_port, rng.randrange(1 << 30), bytes_between_cuts=20_000)
    try:
        ledgers = prepared(server)
        for ledger in ledgers:  # made directly, used through the proxy
            for name in ("iam", "sqs", "kinesis", "s3", "firehose", "data"):
                if hasattr(ledger.store, name):
                    service = "iot-data" if name == "data" else name
                    setattr(
                        ledger.store, name, server.client(service, port=http.port, retries={"total_max_attempts": 1})
                    )
        away = FromDevice(server)
        away.prepare()
        outside = _to_doors(server, http, mqtt)
        url = server.client("sqs").create_queue(QueueName="q.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
        server.client("s3").create_bucket(Bucket="cut")
        promised = Acknowledged(tmp_path / "promised.jsonl")
        device = _connected(outside, away, promised)
        producer, writers = Producer(outside, url, "g"), Writers(ledgers)
        body, cut = _overwrites(outside.client("s3"), seconds)
        writers.stop()
        producer.stop()
        device.stop()
        for ledger in ledgers:
            ledger.check(f"seed {chosen}")
        told = {number for _, number in promised.entries}
        numbers = away.found(told)
        assert told <= set(numbers), f"seed {chosen}: PUBACKs without messages: {sorted(told - set(numbers))[:10]}"
        assert (wrong := _out_of_order(numbers)) is None, f"seed {chosen}: the device's order: {wrong}"
        bodies = [message["Body"] for message in _drained(server, url)]
        assert bodies == [f"g {number}" for number in range(producer.confirmed)], (
            f"seed {chosen}: FIFO not exactly once"
        )
        assert server.client("s3").get_object(Bucket="cut", Key="one")["Body"].read() == body
        drafts = server.data / "objects" / "drafts"
        eventually(
            lambda: not list(drafts.iterdir()), 5, f"drafts of cut uploads are left: {len(list(drafts.iterdir()))}"
        )
        print(
            f"cuts {http.cuts} (HTTP) {mqtt.cuts} (MQTT), {cut} of one object's puts; acknowledged "
            f"{sum(len(ledger.acknowledged) for ledger in ledgers):,} + {len(told):,} by MQTT + {producer.confirmed} FIFO, 0 lost"
        )
        assert sum(http.cuts.values()) > 3 * seconds, "hardly a cut: the rig proves nothing"
        http.stop()
        if Path("/proc/net/tcp").exists():
            eventually(lambda: _open_connections(server) < 40, 5, "connections of dead clients stay open")
    finally:
        mqtt.stop()
        server.stop()


def _out_of_order(numbers: list[int]) -> str | None:
    """Where, among first appearances, one is followed by a smaller one."""
    first = list(dict.fromkeys(numbers))
    falls = [at for at in range(1, len(first)) if first[at] < first[at - 1]]
    return (
        f"{len(falls)} falls of {len(first)}, first at {first[max(0, falls[0] - 3) : falls[0] + 4]}" if falls else None
    )


def _drained(server: Server, url: str) -> list[dict[str, Any]]:
    sqs, found = server.client("sqs"), list[dict[str, Any]]()
    while got := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        found += got
        for message in got:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return found
