"""Secrets where they do not belong: the flights pipeline runs whole, then everything the server wrote is searched."""

# ruff: noqa: E501 - tables of attacks are kept whole

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.crash.rig import Server
from tests.security.test_http import family

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "flights" / "pipeline.py"


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Server, dict[str, bytes]]:
    """A server after the example and a user's own keys; (server, secrets by what they are)."""
    folder = tmp_path_factory.mktemp("secrets")
    server = Server(folder / "data")
    server.start()
    iam, sts = server.client("iam"), server.client("sts")
    iam.create_user(UserName="holder")
    key = iam.create_access_key(UserName="holder")["AccessKey"]
    session = sts.get_session_token()["Credentials"]
    device = server.client("iot").create_keys_and_certificate(setAsActive=True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.http_port}", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--root-ca", server.address["mqtt_ca"], "--rows", "1000", "--summary", str(folder / "s.json")],
        env=environment, capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    secrets = {
        "a secret access key": key["SecretAccessKey"].encode(), "a session's secret": session["SecretAccessKey"].encode(),
        "a session token": session["SessionToken"].encode(), "a device's private key": device["keyPair"]["PrivateKey"].split("\n")[3].encode(),
    }  # fmt: skip
    return server, secrets


def test_nothing_written_holds_a_secret(ran: tuple[Server, dict[str, bytes]]) -> None:
    server, secrets = ran
    for path in server.data.rglob("*"):
        if not path.is_file():
            continue
        content = path.read_bytes()
        for what, secret in secrets.items():
            assert secret not in content, (what, path)
        if (
            b"PRIVATE KEY-----" in content
            and b"-----BEGIN PUBLIC" not in content
            and not path.name.endswith((".zip", ".py"))
        ):
            assert path.stat().st_mode & 0o077 == 0, f"a private key others may read: {path}"


def test_nothing_told_holds_a_secret(ran: tuple[Server, dict[str, bytes]]) -> None:
    server, secrets = ran
    token, master = (server.data / "admin.token").read_bytes().strip(), (server.data / "iam.master.key").read_bytes()
    told = b""
    for name in ("status", "tasks", "flow", "logs?limit=1000", "journal?limit=1000"):
        connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=10)
        connection.request("GET", f"/_lakebed/{name}", headers={"X-Lakebed-Token": token.decode()})
        answer = connection.getresponse()
        assert answer.status == 200
        told += answer.read()
        connection.close()
    told += (server.data / "server.log").read_bytes()
    console = (server.data / "console.token").read_bytes().strip()
    for secret in [*secrets.values(), token, console, master, b"Signature=", b"X-Amz-Signature", b"AWS4-HMAC"]:
        assert secret not in told


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_no_process_is_started_with_a_secret(ran: tuple[Server, dict[str, bytes]]) -> None:
    server, secrets = ran
    token = (server.data / "admin.token").read_bytes().strip()
    for pid in family(server.address["pid"]):
        try:
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        for secret in [*secrets.values(), token]:
            assert secret not in arguments


def test_what_is_lent_to_functions_is_not_kept(ran: tuple[Server, dict[str, bytes]]) -> None:
    """The state holds sealed secrets only: no ASIA key stands beside anything that opens it."""
    server, _ = ran
    address = json.loads((server.data / "address.json").read_text())
    assert (server.data / "address.json").stat().st_mode & 0o077 == 0 or address["secret_access_key"] == "test"
    assert server.stop() == 0
    assert "Traceback" not in (server.data / "server.log").read_text("utf-8", "replace")
