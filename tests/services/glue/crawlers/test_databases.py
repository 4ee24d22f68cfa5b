"""A PostgreSQL server that the test starts itself: the connection is tested by logging in, its tables are crawled."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lakebed.kernel.errors import AwsError
from tests.services.glue.crawlers.conftest import ROLE, Lake, columns

psycopg = pytest.importorskip("psycopg", reason="needs lakebed[federation]")
_HOMES = [Path(home) / "bin" for home in sorted(map(str, Path("/usr/lib/postgresql").glob("*")), reverse=True)]
_BINARIES = next((home for home in _HOMES if (home / "initdb").exists()), None)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    if _BINARIES is None:
        pytest.skip("no PostgreSQL server on this machine")
    home = Path(tempfile.mkdtemp(prefix="crawled-"))
    user = "nobody" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name  # the server refuses to run as root
    if os.getuid() == 0:
        shutil.chown(home, user)
    extra = {"user": user, "group": pwd.getpwnam(user).pw_gid} if os.getuid() == 0 else {}
    (home / "password").write_text("secret-word")
    (home / "password").chmod(0o644)
    subprocess.run(
        [_BINARIES / "initdb", "-D", home / "data", "-U", "crawler", "-A", "scram-sha-256", "-N",
         f"--pwfile={home / 'password'}"], check=True, capture_output=True, **extra,
    )  # fmt: skip
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = int(free.getsockname()[1])
    control = [_BINARIES / "pg_ctl", "-D", home / "data", "-w"]
    options = f"-p {number} -c listen_addresses=127.0.0.1 -c unix_socket_directories={home} -c fsync=off"
    subprocess.run(
        [*control, "-l", home / "log", "-o", options, "start"], check=True, stdout=subprocess.DEVNULL, **extra
    )
    yield number
    subprocess.run([*control, "-m", "immediate", "stop"], check=False, capture_output=True, **extra)
    shutil.rmtree(home)


async def test_postgresql_is_tested_and_crawled(lake: Lake, port: int) -> None:
    where = {"host": "127.0.0.1", "port": port, "user": "crawler", "password": "secret-word", "dbname": "postgres"}
    with psycopg.connect(**where) as connection:
        connection.execute("CREATE TABLE orders (id bigint, total numeric(10,2), at timestamptz, note text)")
        connection.execute("CREATE TABLE hidden (id int)")
    properties = {
        "JDBC_CONNECTION_URL": f"jdbc:postgresql://127.0.0.1:{port}/postgres", "USERNAME": "crawler",
        "PASSWORD": "secret-word",
    }  # fmt: skip
    given = {"Name": "pg", "ConnectionType": "JDBC", "ConnectionProperties": properties}
    await lake.call("CreateConnection", ConnectionInput=given)
    await lake.call("TestConnection", ConnectionName="pg")
    shown = (await lake.call("GetConnection", Name="pg", HidePassword=True))["Connection"]
    assert "PASSWORD" not in shown["ConnectionProperties"]
    assert b"secret-word" not in (lake.harness.kernel.data / "state.db").read_bytes()
    target = {"ConnectionName": "pg", "Path": "postgres/public/%", "Exclusions": ["public/hidden"]}
    await lake.call("CreateCrawler", Name="c", Role=ROLE, DatabaseName="db", Targets={"JdbcTargets": [target]})
    await lake.succeed()
    tables = await lake.tables()
    assert list(tables) == ["postgres_public_orders"]
    assert columns(tables["postgres_public_orders"]) == {
        "id": "bigint", "total": "decimal(10,2)", "at": "timestamp", "note": "string",
    }  # fmt: skip
    assert tables["postgres_public_orders"]["Parameters"]["connectionName"] == "pg"
    await lake.call(
        "UpdateConnection",
        Name="pg",
        ConnectionInput={**given, "ConnectionProperties": {**properties, "PASSWORD": "no"}},
    )
    with pytest.raises(AwsError) as raised:
        await lake.call("TestConnection", ConnectionName="pg")
    assert raised.value.error_code == "InvalidInputException"


async def test_a_connection_leads_only_where_the_settings_allow(lake: Lake) -> None:
    properties = {"JDBC_CONNECTION_URL": "jdbc:postgresql://169.254.169.254:5432/x", "USERNAME": "u", "PASSWORD": "p"}
    given = {"Name": "far", "ConnectionType": "JDBC", "ConnectionProperties": properties}
    await lake.call("CreateConnection", ConnectionInput=given)
    with pytest.raises(AwsError, match="jdbc_hosts does not name the host"):
        await lake.call("TestConnection", ConnectionName="far")
