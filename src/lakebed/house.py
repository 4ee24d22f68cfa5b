"""The house: the one file that knows every room. It opens the state, wires services to ports and doors, runs, closes.

    house = await House.open(data, settings)      # state opened, migrated, recovered; nothing listens yet
    await house.start()                            # children reaped, doors open, tasks driven
    await house.close()                            # doors shut, requests drained, tasks and children stopped, checkpoint

One house owns one data directory (``lock`` is held for its lifetime). Order matters and is written down once, here: IAM
before everything that asks it; ports before doors; doors open before ``address.json`` says where they are.

``reset`` empties a running house: a fresh kernel and fresh services on empty files take the place of the old ones behind
doors that stay open. The old files are moved aside and deleted by a thread. A marker makes it whole: a house that dies
half way through a reset finishes it when it is opened again.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO, TypedDict

from lakebed.edge.admin.endpoints import Administration, Handles, RefusedError
from lakebed.edge.admin.token import Token
from lakebed.edge.aws.journal import Journal
from lakebed.edge.door import Application, FrontDoor
from lakebed.edge.loopback import Loopback
from lakebed.edge.mqtt.door import DeviceDoor
from lakebed.engines import connectors, iceberg, run_python, sql_duckdb
from lakebed.kernel import emptying
from lakebed.kernel.backup import write_backup
from lakebed.kernel.blobs import Blobs
from lakebed.kernel.children import Children
from lakebed.kernel.clock import Clock, SystemClock
from lakebed.kernel.db import Database
from lakebed.kernel.disk import DiskFailedError, LocalDisk
from lakebed.kernel.ids import Ids, RandomIds
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.lock import hold
from lakebed.kernel.log import Log
from lakebed.kernel.meter_keeper import MeterKeeper
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
from lakebed.services import (
    athena,
    cloudwatch,
    events,
    firehose,
    glue,
    iam,
    iot,
    kinesis,
    kms,
    lambda_,
    logs,
    s3,
    sns,
    sqs,
    sts,
)

VERSION = "0.1.0"
# Every service, in the order in which they are built; they stop in the reverse. IAM first: all others ask it. CloudWatch
# early: what others publish while they stop still arrives.
SERVICES: tuple[Callable[[Kernel, Ports], Service | Sequence[Service]], ...] = (
    iam.service, sts.service, kms.service, logs.service, cloudwatch.service, s3.service, sqs.service, lambda_.service,
    kinesis.service, firehose.service, glue.service, athena.service, iot.service, sns.service, events.service,
)  # fmt: skip
# What a reset takes away: the kernel's files and those of the services. Keys, children's logs and what an operator put
# into the directory stay.
STATE = ("state.db", "state.db-wal", "state.db-shm", "log", "objects", "scratch", "lambda", "athena")
_FILES_MIN = 4096
_SESSION_SECONDS = 900  # AWS's least; the console's connection to MQTT needs less


class _Furniture(TypedDict):
    registry: Mapping[str, Service]
    k: Kernel
    p: Ports
    journal: Journal
    administration: Administration
    console: Application


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


def renewed(old: Kernel) -> Kernel:
    """A kernel on emptied files. Time, randomness, the log, children and the disk are the house's and go on."""
    db = Database(old.data / "state.db", power_safe=old.disk.power_safe)
    db.migrate("kernel", "lakebed.kernel", old.clock)
    tasks = Tasks(old.clock, old.log)
    return dataclasses.replace(
        old,
        db=db,
        tasks=tasks,
        outbox=Outbox(db, old.clock, tasks, old.log),
        runs=Runs(db, old.clock, old.ids.uuid()),
        blobs=Blobs(old.data / "objects", old.disk, old.ids),
        segments=LogStore(old.data / "log", old.disk, old.clock),
    )


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
        sql_duckdb.engine(k, self.ports)
        self._mqtt = DeviceDoor(k, self.ports)
        self._console_token = Token(k.data, "console.token", k.ids)
        with k.db.tx():  # one commit for the tables of all services, when they are new
            furniture = self._furnish()
        self._http = FrontDoor(**furniture)
        k.settings.refuse_unknown()
        self._opened_at = k.clock.monotonic()
        self._resetting = asyncio.Lock()
        self._clearing: set[asyncio.Task[None]] = set()

    def _furnish(self) -> _Furniture:
        """Everything between the doors and the kernel; for the kernel, ports and MQTT broker of the moment."""
        k, p = self.kernel, self.ports
        p.broker, p.authority = self._mqtt.broker, self._mqtt.authority
        p.runtime = run_python.PythonRuntime(k, lambda: p.addresses.http_url)
        iceberg.engine(k, p)
        connectors.engine(k, p)
        self.registry = services(k, p)
        self._journal = Journal(k.db, k.log, k.settings.admin.journal_rows_max)
        world = WorldClock(k.db, k.clock) if isinstance(k.clock, SystemClock) else None
        if world is not None:
            k.tasks.add(world)
        k.tasks.add(_Sync(k.segments))
        self._keeper = MeterKeeper(k.db, k.meters)
        self._keeper.restore()
        k.tasks.add(self._keeper)
        handles = Handles(version=VERSION, world=world, backup=self._backup, reset=self.reset)
        administration = Administration(self.registry, k, p, journal=self._journal, handles=handles)
        loopback = Loopback(self.registry, k, p, self._journal)
        console = _Console(k, p, loopback, administration, self._journal, self._about, self._console_token)
        return {
            "registry": self.registry,
            "k": k,
            "p": p,
            "journal": self._journal,
            "administration": administration,
            "console": console,
        }

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
        """Open the state of ``data``, made when absent. LockedError where another house has it."""
        data = data.absolute()
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = hold(data)
        try:
            if emptying.is_begun(data):
                emptying.empty(data, STATE, LocalDisk())
            k = open_kernel(data, settings, clock, ids or RandomIds(), stream)
            try:
                return cls(k, lock)
            except BaseException:
                k.db.close()
                raise
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
        self._clear_aside()
        k.log.info("listening", http=p.addresses.http_url, mqtt=p.addresses.mqtt_port)

    async def close(self) -> None:
        """Shut the doors, drain, stop what runs, checkpoint. Also after a start that failed half way.

        Each step is taken whatever became of those before it; the last failure is raised at the end.
        """
        async with self._resetting, contextlib.AsyncExitStack() as steps:
            k = self.kernel
            steps.callback(self._lock.close)
            steps.callback(k.db.close)
            steps.callback(k.segments.close)
            steps.callback(self._keeper.keep)
            steps.push_async_callback(k.children.stop_all)
            steps.push_async_callback(self._stop_clearing)
            steps.push_async_callback(self.ports.sql.stop)
            self._push_stop_of_services(steps)
            steps.push_async_callback(self._http.close)
            steps.push_async_callback(self._mqtt.close)
            k.disk.remove(k.data / "address.json")

    def _push_stop_of_services(self, steps: contextlib.AsyncExitStack) -> None:
        """Tasks, then services in reverse order, then the functions' workers."""
        steps.push_async_callback(self.ports.runtime.stop)
        steps.push_async_callback(self.ports.tables.stop)
        steps.push_async_callback(self.ports.connectors.stop)
        for service in self.registry.values():
            if service.stop is not None:
                steps.push_async_callback(service.stop)
        steps.push_async_callback(self.kernel.tasks.stop)

    async def reset(self) -> None:
        """Empty the house: all state of all services is gone and the seeded principal is back; doors stay open.

        Requests under way are answered 503, devices are disconnected, time goes on. What was confirmed before is gone,
        what is confirmed afterwards stays; RefusedError while a backup is being written.
        """
        async with self._resetting:
            old = self.kernel
            if old.disk.is_held:
                raise RefusedError(409, "A backup is being written.")
            await self._http.vacate()
            try:
                await self._mqtt.vacate()
                async with contextlib.AsyncExitStack() as steps:
                    self._push_stop_of_services(steps)
                self._replace()
                for service in self.registry.values():
                    if service.start is not None:
                        await service.start()
                self.kernel.tasks.start()
            finally:
                self._http.reopen()
            self._clear_aside()
            self.kernel.log.info("reset")

    def _replace(self) -> None:
        """From old files to new ones in one step of the loop: nobody sees half of it."""
        old = self.kernel
        self._journal.flush()
        old.segments.discard()
        old.db.discard()
        emptying.empty(old.data, STATE, old.disk)
        old.meters.clear()
        k = self.kernel = renewed(old)
        if isinstance(k.clock, SystemClock):
            WorldClock(k.db, k.clock).advance(0.0)  # the new state remembers how far time is
        before, self.ports = self.ports, Ports(self.ports.addresses)
        # The engine keeps nothing of a service, and its workers take half a second to start.
        self.ports.sql, self.ports.converter = before.sql, before.converter
        with k.db.tx():
            self._mqtt.refurnish(k, self.ports)
            furniture = self._furnish()
        self._http.refurnish(**furniture)
        self._mqtt.reopen(self.ports.gate)

    def _clear_aside(self) -> None:
        """Delete in a thread what was moved aside."""
        task = asyncio.create_task(asyncio.to_thread(emptying.delete_aside, self.kernel.data))
        self._clearing.add(task)
        task.add_done_callback(self._clearing.discard)

    async def _stop_clearing(self) -> None:
        await asyncio.gather(*self._clearing, return_exceptions=True)

    async def _backup(self, target: Path) -> Mapping[str, Any]:
        return await write_backup(self.kernel.data, target, self.kernel.db, self.kernel.disk)

    def _about(self) -> dict[str, Any]:
        """What the console's first page tells of the doors."""
        k, where, at = self.kernel, self.ports.addresses, self._addresses()
        data = str(k.data)
        return {
            "http": where.http_url,
            "mqtt": f"{at['mqtt_host']}:{at['mqtt_port']}" if where.mqtt_port else "",
            "mqtt_ca": at["mqtt_ca"],
            "data": data,
            "uptime_seconds": k.clock.monotonic() - self._opened_at,
            "env_command": f'eval "$(lakebed env --data {shlex.quote(data)})"',
            "environment": {
                "AWS_ENDPOINT_URL": where.http_url,
                "AWS_ACCESS_KEY_ID": at["access_key_id"],
                "AWS_SECRET_ACCESS_KEY": at["secret_access_key"],
                "AWS_DEFAULT_REGION": "us-east-1",
            },
        }

    def _addresses(self) -> dict[str, Any]:
        where, seed = self.ports.addresses, self.kernel.settings.seed
        return {
            "http_url": where.http_url,
            "http_host": _reachable(where.http_host),
            "http_port": where.http_port,
            "mqtt_host": _reachable(where.mqtt_host),
            "mqtt_port": where.mqtt_port,
            "mqtt_ca": str(self._mqtt.authority.root_path),
            "access_key_id": seed.access_key_id,
            "secret_access_key": seed.secret_access_key,
            "console_token": self._console_token.text,
            "pid": os.getpid(),
        }


class _Console:
    """The console, imported at its first request: it is half of the modules and none of a pipeline's work."""

    def __init__(
        self,
        k: Kernel,
        p: Ports,
        loopback: Loopback,
        administration: Administration,
        journal: Journal,
        about: Callable[[], Mapping[str, Any]],
        token: Token,
    ) -> None:
        self._k, self._p, self._loopback, self._administration = k, p, loopback, administration
        self._journal, self._about, self._token = journal, about, token
        self._app: Application | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self._app is None:
            self._app = self._build()
        await self._app(scope, receive, send)

    def _build(self) -> Application:
        from lakebed.console.app import build
        from lakebed.console.backend import Backend
        from lakebed.console.sessions import Sessions
        from lakebed.ports.advice import Advice
        from lakebed.wire.aws.presign import presigned, presigned_form

        account = self._k.settings.seed.account
        root = f"arn:aws:iam::{account}:root"
        user = Principal(account, root, "root", account, root)

        async def call(service: str, operation: str, params: Mapping[str, Any], scope: Scope) -> dict[str, Any]:
            return await self._loopback.call(service, operation, params, user, scope)

        def device_link(scope: Scope) -> str:
            keys = self._p.identity.issue_session(user, seconds=_SESSION_SECONDS)
            return presigned(
                f"{self._p.addresses.http_url.replace('http', 'ws', 1)}/mqtt",
                "iotdevicegateway",
                scope.region,
                key=keys.access_key_id,
                secret=keys.secret_access_key,
                token=keys.session_token,
            )

        def upload(scope: Scope, bucket: str, prefix: str, back: str) -> Mapping[str, str]:
            keys, now = self._p.identity.issue_session(user, seconds=_SESSION_SECONDS), self._k.clock.now()
            return presigned_form(
                {"success_action_redirect": back},
                [{"bucket": bucket}, ["starts-with", "$key", prefix], ["starts-with", "$content-type", ""]],
                scope.region,
                (keys.access_key_id, keys.secret_access_key, keys.session_token),
                now=now,
                ends=now + _SESSION_SECONDS,
            )

        async def advise_table(scope: Scope, database: str, name: str) -> Sequence[Advice]:
            return [await self._p.advice.table(user, scope, database, name)]

        return build(
            Backend(
                call=call,
                flow=self._administration.flow,
                clock=self._k.clock,
                scope=Scope(account, "us-east-1"),
                version=VERSION,
                sessions=Sessions(self._token.text, self._k.clock.wall),
                status=self._about,
                tasks=lambda: [asdict(status) for status in self._k.tasks.status()],
                requests=self._journal.read,
                token=self._k.ids.secret(24).hex(),
                device_link=device_link,
                upload=upload,
                advise_table=advise_table,
                advise_query=lambda scope, query: self._p.advice.query(user, scope, query),
                peek=lambda arn, limit: self._p.queues.peek(user, arn, limit),
                attempt=lambda scope, sql, topic, payload: self._p.rules.attempt(user, scope, sql, topic, payload),
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
        if self._segments.failed:
            raise DiskFailedError(
                f"logs that take nothing more until a restart: {', '.join(self._segments.failed[:5])}"
            )
        return None


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
