"""``network = "lakebed"``: a function reaches the endpoint and nothing else."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from lakebed.engines.run_python.settings import RunPythonSettings
from lakebed.kernel.errors import AwsError
from tests.engines.run_python.test_runtime import Lab
from tests.harness import Harness

PROBE = """
import os, socket, urllib.request
def tried(work):
    try: return work()
    except OSError as failure: return f"!{type(failure).__name__}"
def handler(event, context):
    return {
        "endpoint": tried(lambda: urllib.request.urlopen(os.environ["AWS_ENDPOINT_URL"] + "/hello", timeout=5).read().decode()),
        "other port": tried(lambda: socket.create_connection(("127.0.0.1", event["other"]), timeout=2) and "reached"),
        "outside": tried(lambda: socket.create_connection(("192.0.2.1", 80), timeout=2) and "reached"),
    }
"""


async def _hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
    await writer.drain()
    writer.close()


@pytest.fixture
async def fenced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Lab, int]]:
    """A runtime with a network of its own, an endpoint that says hello, and a listener it must not reach."""
    harness = Harness(tmp_path / "data")
    folder = harness.kernel.data / "code"
    folder.mkdir(parents=True)
    door = await asyncio.start_server(_hello, "127.0.0.1", 0)
    other = socket.create_server(("127.0.0.1", 0))
    given = type(harness.kernel.settings).section

    def section(self, *path):  # type: ignore[no-untyped-def]
        found = given(self, *path)
        return msgspec.structs.replace(found, network="lakebed") if isinstance(found, RunPythonSettings) else found

    monkeypatch.setattr(type(harness.kernel.settings), "section", section)
    lab = Lab(harness, folder)
    port = door.sockets[0].getsockname()[1]
    lab.runtime._endpoint = lambda: f"http://127.0.0.1:{port}"
    yield lab, other.getsockname()[1]
    await lab.runtime.stop()
    door.close()
    other.close()


async def test_the_endpoint_is_the_only_way_out(fenced: tuple[Lab, int]) -> None:
    lab, other = fenced
    spec = lab.spec(PROBE, timeout_seconds=20.0)
    try:
        came = await lab.run(spec, {"other": other})
    except AwsError as refused:
        assert "no network of their own" in refused.message
        pytest.skip("this machine allows no network namespaces: functions do not run, which is what is promised")
    told = json.loads(came.payload)
    assert told["endpoint"] == "hello"
    assert told["other port"].startswith("!")
    assert told["outside"].startswith("!")
