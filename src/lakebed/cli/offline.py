"""Commands that work without a running Lakebed: start one, examine the machine, restore, run the demonstration."""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import shutil
import signal
import socket
import sqlite3
import sys
from importlib import metadata
from pathlib import Path

from lakebed.cli.output import CliError, Progress, show
from lakebed.kernel.settings import Settings, SettingsError, load


def settings_of(data: Path, config: Path | None, environ: dict[str, str]) -> Settings:
    """The settings of a data directory, with overrides."""
    if config is not None and not config.exists():
        raise CliError(f"{config} does not exist", 2)
    try:
        return load(config or data / "lakebed.toml", environ)
    except SettingsError as wrong:
        raise CliError(str(wrong), 2) from None


def up(options: argparse.Namespace) -> int:
    """``lakebed up``: run until SIGINT or SIGTERM."""
    gc.disable()  # modules and services live as long as the process: a tenth of the start went into looking through them
    from lakebed.house import House, HouseLockedError
    from lakebed.kernel.db import SchemaTooNewError

    environ = dict(os.environ)
    if options.port is not None:
        environ["LAKEBED_HTTP_PORT"] = str(options.port)
    if options.mqtt_port is not None:
        environ["LAKEBED_MQTT_PORT"] = str(options.mqtt_port)
    settings = settings_of(options.data, options.config, environ)
    os.umask(0o077)  # state, keys and logs are the owner's alone

    async def run() -> None:
        house = await House.open(options.data, settings)
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stopping.set)
        try:
            await house.start()
            gc.freeze()
            gc.enable()
            addresses = house.ports.addresses
            document = {"http": addresses.http_url, "mqtt": addresses.mqtt_port, "data": str(options.data.absolute())}
            mqtt = f"{addresses.mqtt_host}:{addresses.mqtt_port}" if addresses.mqtt_port else "off"
            show(
                options.json,
                document,
                f"Lakebed listens on {addresses.http_url} (MQTT {mqtt}), state in {document['data']}\n"
                f"console   {addresses.http_url}/console\n"
                f'clients   eval "$(lakebed env --data {options.data})"',
            )
            sys.stdout.flush()
            await stopping.wait()
        finally:
            await house.close()

    try:
        _run(run())
    except (HouseLockedError, SchemaTooNewError) as failure:
        raise CliError(str(failure)) from None
    except OSError as failure:
        raise CliError(f"cannot start: {failure}") from None
    return 0


def _run(main: object) -> None:
    try:
        import uvloop

        uvloop.run(main)  # type: ignore[arg-type]  # a coroutine; object keeps this line free of Any
    except ImportError:
        asyncio.run(main)  # type: ignore[arg-type]


def doctor(options: argparse.Namespace) -> int:
    """``lakebed doctor``: one line a check; exit code 1 when one of them fails."""
    settings = settings_of(options.data, None, dict(os.environ))
    checks = [
        ("python", sys.version_info >= (3, 11), f"{sys.version.split()[0]} (3.11 or newer is needed)"),
        ("sqlite", sqlite3.sqlite_version_info >= (3, 37), f"{sqlite3.sqlite_version} (3.37 or newer: STRICT tables)"),
    ]
    for package in ("duckdb", "botocore", "uvicorn"):
        try:
            checks.append((package, True, metadata.version(package)))
        except metadata.PackageNotFoundError:
            checks.append((package, False, "is not installed"))
    parent = options.data if options.data.exists() else options.data.absolute().parent
    free = shutil.disk_usage(parent).free
    checks.append(("disk", free > 1 << 30, f"{free >> 30} GiB free at {parent} (at least 1 GiB)"))
    checks.append(("data", os.access(parent, os.W_OK), f"{options.data} is writable"))
    if not (options.data / "address.json").exists():
        for name, host, port in (
            ("http port", settings.http.host, settings.http.port),
            ("mqtt port", settings.mqtt.host, settings.mqtt.port),
        ):
            checks.append((name, _is_free(host, port), f"{host}:{port} is free (change it in lakebed.toml)"))
    else:
        from lakebed.cli.online import ask

        document = ask(options.data, "GET", "health")
        checks.append(("server", document["healthy"], "answers and is healthy"))
    document = [{"check": name, "ok": good, "detail": detail} for name, good, detail in checks]
    show(
        options.json,
        document,
        "\n".join(f"{'ok  ' if good else 'FAIL'}  {name}: {text}" for name, good, text in checks),
    )
    return 0 if all(good for _, good, _ in checks) else 1


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def restore(options: argparse.Namespace) -> int:
    """``lakebed restore ARCHIVE --data DIR``."""
    from lakebed.kernel.backup import BackupError, restore_backup

    progress = Progress(quiet=options.json)
    progress.update(f"restoring {options.archive} …")
    try:
        counts = restore_backup(options.archive, options.data)
    except BackupError as failure:
        raise CliError(str(failure)) from None
    progress.step(f"{options.data}: {counts['files']} files, {counts['bytes']:,} bytes")
    show(options.json, counts, "")
    return 0


def backup_at_rest(data: Path, target: Path) -> dict[str, int]:
    """A backup while no server runs."""
    from lakebed.kernel.backup import BackupError, write_backup
    from lakebed.kernel.db import Database
    from lakebed.kernel.disk import LocalDisk

    if not (data / "state.db").exists():
        raise CliError(f"{data} holds no Lakebed state")
    db = Database(data / "state.db")
    try:
        return asyncio.run(write_backup(data, target, db, LocalDisk()))
    except BackupError as failure:
        raise CliError(str(failure)) from None
    finally:
        db.close()


def demo(options: argparse.Namespace) -> int:
    """``lakebed demo``: see ``cli/demo.py``."""
    from lakebed.cli.demo import run_demo

    return run_demo(options)
