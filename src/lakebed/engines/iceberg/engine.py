"""The engine as the house holds it: requests to a child, and the child's questions for files, answered as the caller."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from lakebed.engines.iceberg.conversation import pack, size_of
from lakebed.engines.iceberg.settings import IcebergSettings
from lakebed.kernel.children import Child
from lakebed.kernel.errors import AwsError
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Principal
from lakebed.ports.house import Ports
from lakebed.ports.sql import SqlFailure
from lakebed.ports.tables import Json, Plan, PlannedDelete, PlannedFile, Selection, Staged

_START_SECONDS = 60.0
_LOCATION = re.compile(r"s3[an]?://([^/]+)/(.+)", re.DOTALL)


class ChildDiedError(Exception):
    """The process ended, or spoke nonsense, before it answered."""


class IcebergEngine:
    """Implements ``lakebed.ports.tables.Tables``."""

    def __init__(self, k: Kernel, p: Ports, settings: IcebergSettings) -> None:
        self._k, self._p, self._settings = k, p, settings
        self._idle: list[Child] = []
        self._busy: set[Child] = set()
        self._slots = asyncio.Semaphore(settings.workers)
        self._numbers = itertools.count()
        self._stopped = False

    async def plan(self, principal: Principal, selection: Selection) -> Plan:
        """See the port."""
        told = await self._ask(principal, {"op": "plan", **_selected(selection), "predicate": selection.predicate})
        return Plan(
            [PlannedFile(*file) for file in told["files"]], [PlannedDelete(*delete) for delete in told["deletes"]]
        )

    async def stage(
        self, principal: Principal, operation: str, metadata_location: str | None, request: Json, scratch: Path
    ) -> Staged:
        """See the port."""
        asked = {
            **request,
            "op": "stage",
            "operation": operation,
            "metadata_location": metadata_location,
            "scratch": str(scratch / f"stage-{next(self._numbers)}"),
            "uuid": self._k.ids.uuid(),
            "snapshot_id": int.from_bytes(self._k.ids.secret(8), "big") >> 1 or 1,
            "now_ms": int(self._k.clock.now() * 1000),
        }
        told = await self._ask(principal, asked)
        return Staged(
            told["metadata_location"],
            [(location, Path(path)) for location, path in told["files"]],
            told["metadata"],
            told["facts"],
        )

    async def inspect(self, principal: Principal, selection: Selection, name: str, scratch: Path) -> tuple[Path, int]:
        """See the port."""
        asked = {"op": "inspect", **_selected(selection), "name": name, **self._place(scratch)}
        told = await self._ask(principal, asked)
        return Path(told["path"]), told["rows"]

    async def reachable(self, principal: Principal, metadata_location: str, scratch: Path) -> Path:
        """See the port."""
        asked = {"op": "reachable", "metadata_location": metadata_location, **self._place(scratch)}
        return Path((await self._ask(principal, asked))["path"])

    async def stop(self) -> None:
        """End the children."""
        self._stopped = True
        for child in [*self._idle, *self._busy]:
            child.kill()
            await child.wait()
        self._idle.clear()

    def _place(self, scratch: Path) -> dict[str, Any]:
        return {"scratch": str(scratch), "number": next(self._numbers)}

    async def _ask(self, principal: Principal, request: Mapping[str, Any]) -> Any:
        """A request on any child; tried again once when the child dies (it changed nothing)."""
        async with self._slots:
            for attempt in (1, 2):
                with self._k.clock.working():
                    try:
                        return await self._once(principal, request, fresh=attempt == 2)
                    except ChildDiedError as died:
                        self._k.log.warning("iceberg child died", attempt=attempt, told=str(died)[:200])
        raise SqlFailure("ICEBERG_INTERNAL_ERROR", "The Iceberg engine failed; try again.", category=1, retryable=True)

    async def _once(self, principal: Principal, request: Mapping[str, Any], *, fresh: bool) -> Any:
        child = await self._take(fresh=fresh)
        self._busy.add(child)
        try:
            async with asyncio.timeout(self._settings.timeout_seconds):
                answer = await self._converse(child, request, principal)
        except TimeoutError:
            child.kill()
            raise SqlFailure("EXCEEDED_TIME_LIMIT", "The Iceberg engine took too long") from None
        except BaseException:
            child.kill()
            await asyncio.shield(child.wait())
            raise
        else:
            self._idle.append(child)
        finally:
            self._busy.discard(child)
        if (failure := answer.get("failure")) is not None:
            raise SqlFailure(**failure)
        return answer["result"]

    async def _converse(self, child: Child, request: Mapping[str, Any], principal: Principal) -> dict[str, Any]:
        """The request, the questions it raises, its answer."""
        await _send(child, request)
        asked = 0
        while True:
            answer = await _receive(child)
            if "need" not in answer:
                return answer
            asked += 1
            if asked % 64 == 0:
                await self._k.clock.sleep_until(self._k.clock.now())  # others go between
            await _send(child, await self._found(principal, answer["need"]))

    async def _found(self, principal: Principal, location: str) -> dict[str, str]:
        matched = _LOCATION.fullmatch(location)
        if matched is None:
            return {"missing": "not an S3 location"}
        try:
            info = await self._p.objects.head(principal, matched[1], matched[2])
        except AwsError as wrong:
            return {"missing": wrong.error_code}
        return {"path": str(info.path)}

    async def _take(self, *, fresh: bool) -> Child:
        while self._idle and not fresh:
            child = self._idle.pop()
            if child.alive:
                return child
        if self._stopped:
            raise SqlFailure("SERVER_SHUTTING_DOWN", "The server is stopping.", category=1, retryable=True)
        child = await self._k.children.spawn(
            "iceberg",
            [sys.executable, "-I", "-m", "lakebed.engines.iceberg.child"],
            environment={"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "HOME": "/nonexistent", "TZ": "UTC",
                         "PYICEBERG_MAX_WORKERS": "4"},
        )  # fmt: skip
        try:
            async with asyncio.timeout(_START_SECONDS):
                await _send(child, {"threads": 2, "memory_mb": self._settings.memory_mb})
                answer = await _receive(child)
        except BaseException:
            child.kill()
            raise
        if (failure := answer.get("failure")) is not None:
            child.kill()
            await child.wait()
            raise SqlFailure(**failure)
        return child


def _selected(selection: Selection) -> dict[str, Any]:
    return {"metadata_location": selection.metadata_location, "snapshot_id": selection.snapshot_id}


async def _send(child: Child, message: Any) -> None:
    stdin = child.process.stdin
    assert stdin is not None
    with contextlib.suppress(OSError):  # told by the read that follows
        stdin.write(pack(message))
        await stdin.drain()


async def _receive(child: Child) -> dict[str, Any]:
    stdout = child.process.stdout
    assert stdout is not None
    try:
        head = await stdout.readexactly(4)
        found: dict[str, Any] = msgspec.msgpack.decode(await stdout.readexactly(size_of(head)))
    except (OSError, EOFError, ValueError, msgspec.DecodeError) as broken:
        raise ChildDiedError(str(broken)) from None
    return found
