"""A house opens, starts, closes, and opens again on the same directory; a start that fails leaves nothing behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from lakebed.house import House
from lakebed.kernel.children import start_time
from lakebed.kernel.db import Database, SchemaTooNewError
from lakebed.kernel.lock import LockedError
from lakebed.kernel.settings import Settings, SettingsError, load

SHUTDOWN_SECONDS_MAX = 8.0  # half a second on an idle machine; this one is shared
FREE_PORTS = {"LAKEBED_HTTP_PORT": "0", "LAKEBED_MQTT_PORT": "0", "LAKEBED_LOG_LEVEL": "error"}


def settings(**more: str) -> Settings:
    return load(None, FREE_PORTS | more)


def s3_of(house: House) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=house.ports.addresses.http_url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


async def test_what_was_made_is_there_after_a_restart_in_the_same_process(tmp_path: Path) -> None:
    for number in range(3):
        house = await House.open(tmp_path / "data", settings(), stream=None)
        await house.start()
        try:
            s3 = s3_of(house)
            listed = await asyncio.to_thread(s3.list_buckets)
            await asyncio.to_thread(s3.create_bucket, Bucket=f"bucket-{number}")
            assert (tmp_path / "data" / "address.json").exists()
        finally:
            await house.close()
        assert [bucket["Name"] for bucket in listed["Buckets"]] == [f"bucket-{n}" for n in range(number)]
        assert not (tmp_path / "data" / "address.json").exists()
    assert not (tmp_path / "data" / "state.db-wal").exists(), "the last close checkpoints"


async def test_an_opened_house_that_never_started_closes(tmp_path: Path) -> None:
    house = await House.open(tmp_path, settings(), stream=None)
    await house.close()
    await (await House.open(tmp_path, settings(), stream=None)).close()
    assert not (tmp_path / "address.json").exists()


async def test_one_directory_one_house(tmp_path: Path) -> None:
    house = await House.open(tmp_path, settings(), stream=None)
    with pytest.raises(LockedError, match="another Lakebed runs"):
        await House.open(tmp_path, settings(), stream=None)
    await house.close()


@pytest.mark.parametrize("door", ["LAKEBED_HTTP_PORT", "LAKEBED_MQTT_PORT"])
async def test_a_start_that_fails_half_way_closes_cleanly_and_leaves_no_child(tmp_path: Path, door: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        house = await House.open(tmp_path, settings(**{door: str(taken.getsockname()[1])}), stream=None)
        house.ports.sql.warm()
        with pytest.raises(OSError, match="in use"):
            await house.start()
        pids = [int(path.suffixes[-2][1:]) for path in (tmp_path / "children").glob("*.pid")]
        await house.close()
    assert all(start_time(pid) is None for pid in pids)
    again = await House.open(tmp_path, settings(), stream=None)
    await again.start()
    await again.close()


async def test_a_step_of_closing_that_fails_stops_no_other(tmp_path: Path) -> None:
    house = await House.open(tmp_path, settings(), stream=None)
    await house.start()

    async def fail() -> None:
        raise OSError("no")

    house.ports.runtime.stop = fail  # type: ignore[method-assign]
    with pytest.raises(OSError, match="no"):
        await house.close()
    again = await House.open(tmp_path, settings(), stream=None)  # unlocked, checkpointed
    await again.close()


async def test_a_newer_schema_or_an_unknown_setting_leaves_the_directory_unlocked(tmp_path: Path) -> None:
    await (await House.open(tmp_path, settings(), stream=None)).close()
    with pytest.raises(SettingsError, match="no such setting"):
        await House.open(tmp_path, settings(LAKEBED_SERVICES_KINESIS_SHARDZ="1"), stream=None)
    db = Database(tmp_path / "state.db")
    with db.tx() as tx:
        tx.execute("INSERT INTO schema_version VALUES ('s3', 99, 'from the future', 0)")
    db.close()
    for _ in range(2):
        with pytest.raises(SchemaTooNewError, match="s3 is at version 99"):
            await House.open(tmp_path, settings(), stream=None)


async def test_files_are_the_owners_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        house = await House.open(tmp_path / "data", settings(), stream=None)
        await house.start()
        try:
            s3 = s3_of(house)
            await asyncio.to_thread(s3.create_bucket, Bucket="modes")
            await asyncio.to_thread(s3.put_object, Bucket="modes", Key="k", Body=b"x")
            await house.kernel.segments.log("a/b").append([b"x"])
        finally:
            await house.close()
    finally:
        os.umask(before)
    data = tmp_path / "data"
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    open_files = [path for path in data.rglob("*") if path.is_file() and path.stat().st_mode & 0o077]
    assert open_files == []


class Process:
    """``lakebed up`` with nothing around it."""

    def __init__(self, data: Path, *options: str) -> None:
        self.data = data
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lakebed.cli.main", "up", "--data", str(data), "--mqtt-port", "0", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ready(self) -> None:
        while not (self.data / "address.json").exists():
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() - self.started < 60
            time.sleep(0.01)

    def end(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_and_quickly(tmp_path: Path, number: signal.Signals) -> None:
    server = Process(tmp_path / "data", "--port", "0")
    server.ready()
    address = json.loads((tmp_path / "data" / "address.json").read_text())
    idle = socket.create_connection(("127.0.0.1", address["http_port"]))  # a client that keeps its connection
    began = time.monotonic()
    server.process.send_signal(number)
    code, out, err = server.end()
    idle.close()
    assert time.monotonic() - began < SHUTDOWN_SECONDS_MAX
    assert code == 0, err
    assert "Traceback" not in out + err
    assert not (tmp_path / "data" / "address.json").exists()


def test_a_second_one_on_the_directory_is_refused_at_once(tmp_path: Path) -> None:
    server = Process(tmp_path / "data", "--port", "0")
    server.ready()
    try:
        command = (
            f"import sys; from lakebed.cli.main import main; code = main({['up', '--data', str(tmp_path / 'data')]!r});"
        )
        command += "assert 'lakebed.house' not in sys.modules, 'half a second of imports'; sys.exit(code)"
        second = subprocess.run(
            [sys.executable, "-c", command], capture_output=True, text=True, timeout=60, check=False
        )
        assert (second.returncode, second.stderr) == (1, f"lakebed: another Lakebed runs on {tmp_path / 'data'}\n")
        assert (tmp_path / "data" / "address.json").exists(), "the first one's address is its own"
    finally:
        server.process.terminate()
        assert server.end()[0] == 0


def test_a_taken_port_is_told_in_a_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, out, err = Process(tmp_path, "--port", str(port)).end()
    assert code == 1
    assert (
        f"lakebed: the HTTP port 127.0.0.1:{port} cannot be opened (Address already in use); choose another with --port"
        in err
    )
    assert "Traceback" not in out + err


def test_a_stranger_with_no_key_is_no_root(tmp_path: Path) -> None:
    """The seeded key is the only one, and can be switched off."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "lakebed.toml").write_text("[seed]\naccess_key_id = ''\n")
    server = Process(data, "--port", "0")
    server.ready()
    try:
        address = json.loads((data / "address.json").read_text())
        s3 = boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{address['http_port']}",
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        with pytest.raises(ClientError, match="InvalidAccessKeyId"):
            s3.list_buckets()
    finally:
        server.process.terminate()
        server.end()
