"""A house whose data catalogs lead somewhere: SQLite files, and servers that the tests start themselves."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import pytest

from lakebed.engines import connectors, sql_duckdb
from lakebed.services import athena, kms
from tests.harness import Harness
from tests.services.athena.conftest import House


@pytest.fixture
async def house(harness: Harness) -> AsyncIterator[House]:
    made = House(harness)
    running, reading = (
        sql_duckdb.engine(harness.kernel, harness.ports),
        connectors.engine(harness.kernel, harness.ports),
    )
    harness.add(kms.service, athena.service)
    await harness.start()
    yield made
    await running.stop()
    await reading.stop()


async def connected(house: House, name: str, kind: str, **properties: str) -> None:
    """A FEDERATED data catalog."""
    await house.call(
        "CreateDataCatalog", Name=name, Type="FEDERATED",
        Parameters={"connection-type": kind, "connection-properties": msgspec.json.encode(properties).decode()},
    )  # fmt: skip


def _free_port() -> int:
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        return int(door.getsockname()[1])


def _user(name: str) -> dict[str, object]:
    """Servers refuse to run as root; where the tests do, another user runs them."""
    if os.getuid() != 0:
        return {}
    with contextlib.suppress(KeyError):
        found = pwd.getpwnam(name)
        return {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": ()}
    pytest.skip(f"the tests run as root and there is no user {name} for the server")


def _program(*names: str) -> str:
    places = [*map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), "/usr/local/bin", "/usr/sbin"]
    for name in names:
        found = shutil.which(name, path=os.pathsep.join([*places, os.environ.get("PATH", "")]))
        if found is not None:
            return str(Path(found).resolve())
    pytest.skip(f"{names[0]} is not installed")


def _wait(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(300):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if server.poll() is not None:
            break
        time.sleep(0.1)
    pytest.skip(f"the server does not start here: {log.read_text()[-500:]}")


@contextlib.contextmanager
def _running(arguments: list[str], port: int, directory: Path, user: dict[str, object]) -> Iterator[int]:
    log = directory / "server.log"
    with log.open("wb") as out:
        server = subprocess.Popen(arguments, stdout=out, stderr=out, cwd=directory, **user)  # type: ignore[call-overload]
    try:
        _wait(port, server, log)
        yield port
    finally:
        server.terminate()
        server.wait(20)


def _room(name: str, user: dict[str, object]) -> Path:
    import tempfile

    made = Path(tempfile.mkdtemp(prefix=f"lakebed-{name}-"))
    if user:
        os.chown(made, int(str(user["user"])), int(str(user["group"])))
    return made


@pytest.fixture(scope="session")
def postgres() -> Iterator[int]:
    """A PostgreSQL server's port; user and password are lakebed."""
    pytest.importorskip("psycopg")
    program = _program("postgres")
    initdb = str(Path(program).parent / "initdb")
    user = _user("postgres")
    room, port = _room("postgres", user), _free_port()
    (room / "password").write_text("lakebed")
    (room / "password").chmod(0o644)
    subprocess.run(
        [
            initdb,
            "-D",
            str(room / "data"),
            "-U",
            "lakebed",
            "--auth=scram-sha-256",
            "--no-sync",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            f"--pwfile={room / 'password'}",
        ],
        check=True,
        capture_output=True,
        cwd=room,
        **user,
    )  # type: ignore[call-overload]
    arguments = [program, "-D", str(room / "data"), "-p", str(port), "-c", "listen_addresses=127.0.0.1",
                 "-c", f"unix_socket_directories={room}", "-c", "fsync=off", "-c", "log_statement=all"]  # fmt: skip
    try:
        with _running(arguments, port, room, user):
            _ready(port)
            yield port
    finally:
        shutil.rmtree(room, ignore_errors=True)


def _ready(port: int) -> None:
    import psycopg

    for _ in range(100):
        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(host="127.0.0.1", port=port, user="lakebed", password="lakebed", dbname="postgres").close()
            return
        time.sleep(0.1)


@pytest.fixture(scope="session")
def mysql() -> Iterator[int]:
    """A MariaDB or MySQL server's port; user and password are lakebed."""
    pymysql = pytest.importorskip("pymysql")
    program = _program("mariadbd", "mysqld")
    user = _user("mysql")
    room, port = _room("mysql", user), _free_port()
    install = shutil.which("mariadb-install-db")
    if install is None:
        subprocess.run(
            [program, "--no-defaults", f"--datadir={room / 'data'}", "--initialize-insecure"],
            check=True,
            capture_output=True,
            cwd=room,
            **user,
        )  # type: ignore[call-overload]
    else:
        subprocess.run(
            [
                install,
                "--no-defaults",
                f"--datadir={room / 'data'}",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
            ],
            check=True,
            capture_output=True,
            cwd=room,
            **user,
        )  # type: ignore[call-overload]
    arguments = [program, "--no-defaults", f"--datadir={room / 'data'}", f"--port={port}", "--bind-address=127.0.0.1",
                 f"--socket={room / 's.sock'}", "--innodb-buffer-pool-size=32M", f"--pid-file={room / 'pid'}"]  # fmt: skip
    try:
        with _running(arguments, port, room, user):
            with pymysql.connect(unix_socket=str(room / "s.sock"), user="root", autocommit=True) as root:
                root.cursor().execute("CREATE USER 'lakebed'@'%' IDENTIFIED BY 'lakebed'")
                root.cursor().execute("GRANT ALL ON *.* TO 'lakebed'@'%'")
            yield port
    finally:
        shutil.rmtree(room, ignore_errors=True)
