"""The house: the one file that knows every room. It opens the state, wires services to ports and doors, runs, closes.

    house = await House.open(data, settings)      # state opened, migrated, recovered; nothing listens yet
    await house.start()                            # children reaped, doors open, tasks driven
    await house.close()                            # doors shut, requests drained, tasks and children stopped, checkpoint

One house owns one data directory (``lock`` is held for its lifetime). Order matters and is written down once, here: IAM
before everything that asks it; ports before doors; doors open before ``address.json`` says where they are.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from lakebed.edge.admin.endpoints import Administration, Handles
from lakebed.edge.aws.journal import Journal
from lakebed.edge.door import Application, FrontDoor
from lakebed.edge.loopback import Loopback
from lakebed.edge.mqtt.door import DeviceDoor
from lakebed.engines import run_python, sql_duckdb
from lakebed.kernel.backup import write_backup
from lakebed.kernel.blobs import Blobs
from lakebed.kernel.children import Children
from lakebed.kernel.clock import Clock, SystemClock
from lakebed.kernel.db import Database
from lakebed.kernel.disk import LocalDisk
from lakebed.kernel.ids import Ids, RandomIds
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.log import Log
from lakebed.kernel.meters import Meters
from lakebed.kernel.outbox import Outbox
from lakebed.kernel.runs import Runs
from lakebed.kernel.scope import Principal, Scope
from lakebed.kernel.segments import LogStore
from lakebed.kernel.settings import Settings
from lakebed.kernel.tasks import Tasks
from lakebed.kernel.world import WorldClock, open_clock
from lakebed.ports.house import Ports
from lakebed.ports.service import Service
from lakebed.services import athena, firehose, glue, iam, iot, kinesis, lambda_, logs, s3, sqs, sts

VERSION = "0.1.0"
# Every service, in the order in which they are built. IAM first: all others ask it.
SERVICES: tuple[Callable[[Kernel, Ports], Service | Sequence[Service]], ...] = (
    iam.service, sts.service, logs.service, s3.service, sqs.service, lambda_.service, kinesis.service, firehose.service,
    glue.service, athena.service, iot.service,
)  # fmt: skip
_FILES_MIN = 4096


class HouseLockedError(Exception):
    """Another Lakebed owns the data directory."""


def open_kernel(data: Path, settings: Settings, clock: Clock | None, ids: Ids, stream: TextIO | None) -> Kernel:
    """The kernel on a data directory: files opened, kernel tables migrated, earlier runs claimable."""
    power_safe = settings.storage.durability == "power"
    db = Database(data / "state.db", power_safe=power_safe)
    db.migrate("kernel", "lakebed.kernel", SystemClock())
    world = clock or open_clock(db)
    log = Log(world, stream, level=settings.log.level)
    disk, tasks = LocalDisk(power_safe=power_safe), Tasks(world, log)
    runs = Runs(db, world, ids.uuid())
    runs.release_others()
    return Kernel(
        settings=settings,
        data=data,
        clock=world,
        ids=ids,
        log=log,
        disk=disk,
        db=db,
        tasks=tasks,
        outbox=Outbox(db, world, tasks, log),
        runs=runs,
        blobs=Blobs(data / "objects", disk, ids),
        segments=LogStore(data / "log", disk, world),
        meters=Meters(world),
        children=Children(data / "children"),
    )


def doors_and_engines(k: Kernel, p: Ports) -> DeviceDoor:
    """What services find behind ports that no service offers: engines, and the MQTT door (not yet open)."""
    sql_duckdb.engine(k, p)
    p.runtime = run_python.PythonRuntime(k, lambda: p.addresses.http_url)
    door = DeviceDoor(k, p.addresses)
    p.broker, p.authority = door.broker, door.authority
    return door


def services(k: Kernel, p: Ports) -> dict[str, Service]:
    """Every service by name, its tasks registered."""
    registry: dict[str, Service] = {}
    for factory in SERVICES:
        made = factory(k, p)
        for service in [made] if isinstance(made, Service) else made:
            registry[service.name] = service
            for task in service.tasks:
                k.tasks.add(task)
    return registry


class House:
    """An opened house. Make it with ``House.open``."""

    def __init__(self, k: Kernel, lock: TextIO) -> None:
        self.kernel, self.ports, self._lock = k, Ports(), lock
        self._mqtt = doors_and_engines(k, self.ports)
        self.registry = services(k, self.ports)
        journal = Journal(k.db, k.log, k.settings.admin.journal_rows_max)
        world = WorldClock(k.db, k.clock) if isinstance(k.clock, SystemClock) else None
        if world is not None:
            k.tasks.add(world)
        k.tasks.add(_Sync(k.segments))
        administration = Administration(
            self.registry,
            k,
            self.ports,
            journal=journal,
            handles=Handles(version=VERSION, world=world, backup=self._backup),
        )
        console = _Console(k, Loopback(self.registry, k, self.ports, journal), administration)
        self._http = FrontDoor(
            self.registry, k, self.ports, journal=journal, administration=administration, console=console
        )

    @classmethod
    async def open(
        cls,
        data: Path,
        settings: Settings,
        *,
        clock: Clock | None = None,
        ids: Ids | None = None,
        stream: TextIO | None = sys.stderr,
    ) -> House:
        """Open the state of ``data``, made when absent. HouseLockedError where another house has it."""
        data = data.absolute()
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = _lock(data)
        try:
            return cls(open_kernel(data, settings, clock, ids or RandomIds(), stream), lock)
        except BaseException:
            lock.close()
            raise

    async def start(self) -> None:
        """Recover, open the doors, drive the tasks; when this returns every door listens."""
        k, p = self.kernel, self.ports
        _raise_file_limit()
        k.children.reap_orphans()
        k.blobs.sweep(p.objects.known_blobs())
        for service in self.registry.values():
            if service.start is not None:
                await service.start()
        k.tasks.start()
        await self._mqtt.open(p.gate)
        await self._http.open()
        k.disk.write_atomic(k.data / "address.json", json.dumps(self._addresses(), indent=1).encode())
        k.log.info("listening", http=p.addresses.http_url, mqtt=p.addresses.mqtt_port)

    async def close(self) -> None:
        """Shut the doors, drain, stop what runs, checkpoint. Also after a start that failed half way."""
        k = self.kernel
        k.disk.remove(k.data / "address.json")
        await self._mqtt.close()
        await self._http.close()
        await k.tasks.stop()
        for service in reversed(self.registry.values()):
            if service.stop is not None:
                await service.stop()
        await self.ports.runtime.stop()
        await self.ports.sql.stop()
        await k.children.stop_all()
        k.segments.close()
        k.db.close()
        self._lock.close()

    async def _backup(self, target: Path) -> Mapping[str, Any]:
        return await write_backup(self.kernel.data, target, self.kernel.db, self.kernel.disk)

    def _addresses(self) -> dict[str, Any]:
        where, seed = self.ports.addresses, self.kernel.settings.seed
        return {
            "http_host": _reachable(where.http_host),
            "http_port": where.http_port,
            "mqtt_host": _reachable(where.mqtt_host),
            "mqtt_port": where.mqtt_port,
            "mqtt_ca": str(self._mqtt.authority.root_path),
            "access_key_id": seed.access_key_id,
            "secret_access_key": seed.secret_access_key,
            "pid": os.getpid(),
        }


class _Console:
    """The console, imported at its first request: it is half of the modules and none of a pipeline's work."""

    def __init__(self, k: Kernel, loopback: Loopback, administration: Administration) -> None:
        self._k, self._loopback, self._administration = k, loopback, administration
        self._app: Application | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self._app is None:
            self._app = self._build()
        await self._app(scope, receive, send)

    def _build(self) -> Application:
        from lakebed.console.app import build
        from lakebed.console.backend import Backend

        account = self._k.settings.seed.account
        root = f"arn:aws:iam::{account}:root"
        user = Principal(account, root, "root", account, root)

        async def call(service: str, operation: str, params: Mapping[str, Any], scope: Scope) -> dict[str, Any]:
            return await self._loopback.call(service, operation, params, user, scope)

        return build(
            Backend(
                call=call,
                flow=self._administration.flow,
                clock=self._k.clock,
                scope=Scope(account, "us-east-1"),
                version=VERSION,
            )
        )


class _Sync:
    """Put log files on the medium once a second: what ``durability = "process"`` promises beyond kill -9."""

    name = "kernel:sync"
    period = 1.0

    def __init__(self, segments: LogStore) -> None:
        self._segments = segments

    async def activate(self) -> float | None:
        await self._segments.flush()
        return None


def _lock(data: Path) -> TextIO:
    lock = (data / "lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise HouseLockedError(f"another Lakebed runs on {data}") from None
    return lock


def _reachable(host: str) -> str:
    """Where a client on this machine finds a door that listens everywhere."""
    return "127.0.0.1" if host in ("0.0.0.0", "") else "::1" if host == "::" else host  # noqa: S104


def _raise_file_limit() -> None:
    """Segments, sockets and workers need descriptors; many systems begin at 256 or 1,024."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES_MIN if hard == resource.RLIM_INFINITY else min(_FILES_MIN, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
