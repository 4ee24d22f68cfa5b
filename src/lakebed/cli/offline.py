"""Commands that work without a running Lakebed: start one, examine the machine, restore, run the demonstration."""

from __future__ import annotations

import argparse
import asyncio
import errno
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
from lakebed.kernel.lock import LockedError, hold
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
    environ = dict(os.environ)
    if options.port is not None:
        environ["LAKEBED_HTTP_PORT"] = str(options.port)
    if options.mqtt_port is not None:
        environ["LAKEBED_MQTT_PORT"] = str(options.mqtt_port)
    settings = settings_of(options.data, options.config, environ)
    os.umask(0o077)  # state, keys and logs are the owner's alone
    _refuse_second(options.data)
    gc.disable()  # modules and services live as long as the process: a tenth of the start went into looking through them
    from lakebed.house import House
    from lakebed.kernel.db import SchemaTooNewError

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
            # The link signs in whoever reads it: on a terminal, not in a file that collects output.
            link = f"lakebed console --data {options.data}"
            if sys.stdout.isatty():
                from lakebed.cli.online import console_link

                link = console_link(options.data)
            show(
                options.json,
                document,
                f"Lakebed listens on {addresses.http_url} (MQTT {mqtt}), state in {document['data']}\n"
                f"console   {link}\n"
                f'clients   eval "$(lakebed env --data {options.data})"',
            )
            sys.stdout.flush()
            await stopping.wait()
        finally:
            await house.close()

    try:
        _run(run())
    except (LockedError, SchemaTooNewError) as failure:
        raise CliError(str(failure)) from None
    except SettingsError as wrong:
        raise CliError(str(wrong), 2) from None
    except OSError as failure:
        raise CliError(_why_not_started(failure, settings)) from None
    return 0


def _refuse_second(data: Path) -> None:
    """Say so before the services are even imported."""
    if data.is_dir():
        try:
            hold(data).close()
        except LockedError as failure:
            raise CliError(str(failure)) from None
        except OSError as failure:
            raise CliError(f"cannot use {data}: {failure.strerror}") from None


def _why_not_started(failure: OSError, settings: Settings) -> str:
    if failure.errno in (errno.EADDRINUSE, errno.EACCES, errno.EADDRNOTAVAIL):
        doors = [("HTTP", "--port", settings.http.host, settings.http.port)]
        if settings.mqtt.enabled:
            doors.append(("MQTT", "--mqtt-port", settings.mqtt.host, settings.mqtt.port))
        for name, option, host, port in doors:
            if port and not _is_free(host, port):
                return (
                    f"the {name} port {host}:{port} cannot be opened ({os.strerror(failure.errno)}); "
                    f"choose another with {option} or in lakebed.toml"
                )
    return f"cannot start: {failure}"


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
    for package in ("duckdb", "botocore", "httptools"):
        try:
            checks.append((package, True, metadata.version(package)))
        except metadata.PackageNotFoundError:
            checks.append((package, False, "is not installed"))
    parent = options.data if options.data.exists() else options.data.absolute().parent
    free = shutil.disk_usage(parent).free
    checks.append(("disk", free > 1 << 30, f"{free >> 30} GiB free at {parent} (at least 1 GiB)"))
    checks.append(("data", os.access(parent, os.W_OK), f"{options.data} is writable"))
    checks += _checks_of_doors(options.data, settings)
    document = [{"check": name, "ok": good, "detail": detail} for name, good, detail in checks]
    show(
        options.json,
        document,
        "\n".join(f"{'ok  ' if good else 'FAIL'}  {name}: {text}" for name, good, text in checks),
    )
    return 0 if all(good for _, good, _ in checks) else 1


def _checks_of_doors(data: Path, settings: Settings) -> list[tuple[str, bool, str]]:
    """The server's health where one runs, else whether one could listen."""
    if (data / "address.json").exists():
        from lakebed.cli.online import ask

        try:
            is_healthy = ask(data, "GET", "health")["status"] == "ok"
        except CliError as failure:
            # Left behind by a server that was killed: the next start replaces it.
            return [("server", False, f"{failure} (start it with `lakebed up`)")]
        return [("server", is_healthy, "answers and is healthy")]
    doors = [("http port", settings.http.host, settings.http.port)]
    if settings.mqtt.enabled:
        doors.append(("mqtt port", settings.mqtt.host, settings.mqtt.port))
    return [
        (name, _is_free(host, port), f"{host}:{port} is free (change it in lakebed.toml)") for name, host, port in doors
    ]


def _is_free(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
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
    except OSError as failure:
        raise CliError(f"{options.data}: {failure.strerror}") from None
    text = f"{options.data}: {counts['files']} files, {counts['bytes']:,} bytes"
    progress.step(text)
    show(options.json, counts | {"data": str(options.data.absolute())}, text)
    return 0


def backup_at_rest(data: Path, target: Path) -> dict[str, int]:
    """A backup while no server runs."""
    from lakebed.kernel.backup import BackupError, write_backup
    from lakebed.kernel.db import Database
    from lakebed.kernel.disk import LocalDisk

    if not (data / "state.db").exists():
        raise CliError(f"{data} holds no Lakebed state")
    try:
        lock = hold(data)
    except LockedError:
        raise CliError(f"the Lakebed that runs on {data} does not answer", 3) from None
    db = Database(data / "state.db")
    try:
        return asyncio.run(write_backup(data, target, db, LocalDisk()))
    except BackupError as failure:
        raise CliError(str(failure)) from None
    except OSError as failure:
        raise CliError(f"{target}: {failure.strerror}") from None
    finally:
        db.close()
        lock.close()


def demo(options: argparse.Namespace) -> int:
    """``lakebed demo``: see ``cli/demo.py``."""
    from lakebed.cli.demo import run_demo

    return run_demo(options)
