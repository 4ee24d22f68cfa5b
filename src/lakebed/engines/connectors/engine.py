"""The engine as the house holds it: the port, as requests to a child.

Reading changes nothing at the source, but a child that died is not asked again: whether the source or the rows killed it,
the statement's owner is told and may try again. Cancelling kills the child, and the source's server sees its client gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from lakebed.engines.connectors.frames import pack, size_of
from lakebed.engines.connectors.settings import ConnectorSettings
from lakebed.kernel.children import Child
from lakebed.kernel.kernel import Kernel
from lakebed.ports.connectors import Columns, Extract, Source
from lakebed.ports.sql import Demand, SqlFailure

_CATALOGUE_SECONDS = 60.0
_CANCELLED_MAX = 1000  # jobs that were cancelled before they began to read


class ConnectorEngine:
    """Implements ``lakebed.ports.connectors.Connectors``."""

    def __init__(self, k: Kernel, settings: ConnectorSettings) -> None:
        self._k, self._settings = k, settings
        self._idle: list[Child] = []
        self._busy: dict[Child, str] = {}
        self._cancelled: deque[str] = deque(maxlen=_CANCELLED_MAX)
        self._slots = asyncio.Semaphore(settings.workers)
        self._stopped = False

    async def schemas(self, source: Source) -> Sequence[str]:
        """See the port."""
        found: list[str] = await self._ask("", {"op": "schemas", **_reached(source)}, _CATALOGUE_SECONDS)
        return found

    async def tables(self, source: Source, schema: str) -> Sequence[str]:
        """See the port."""
        request = {"op": "tables", **_reached(source), "schema": schema}
        found: list[str] = await self._ask("", request, _CATALOGUE_SECONDS)
        return found

    async def columns(self, source: Source, schema: str, table: str) -> Columns:
        """See the port."""
        request = {"op": "columns", **_reached(source), "schema": schema, "table": table}
        return [(name, kind) for name, kind in await self._ask("", request, _CATALOGUE_SECONDS)]

    async def read(self, job_id: str, source: Source, table: tuple[str, str], demand: Demand, target: Path) -> Extract:
        """See the port."""
        request = {
            "op": "read", **_reached(source), "schema": table[0], "table": table[1], "columns": list(demand.columns),
            "predicate": demand.predicate, "limit": demand.limit, "target": str(target),
            "rows_max": self._settings.rows_max, "bytes_max": self._settings.bytes_max,
        }  # fmt: skip
        told = await self._ask(job_id, request, self._settings.timeout_seconds)
        return Extract(target, told["size"], told["rows"], told["bytes"])

    def cancel(self, job_id: str) -> None:
        """See the port."""
        self._cancelled.append(job_id)
        for child, job in self._busy.items():
            if job == job_id:
                child.kill()

    async def stop(self) -> None:
        """End the children."""
        self._stopped = True
        for child in [*self._idle, *self._busy]:
            child.kill()
            await child.wait()
        self._idle.clear()

    async def _ask(self, job_id: str, request: Mapping[str, Any], seconds: float) -> Any:
        async with self._slots:
            self._check(job_id)
            with self._k.clock.working():
                child = await self._take()
                self._busy[child] = job_id
                try:
                    async with asyncio.timeout(seconds):
                        answer = await _told(child, request)
                except TimeoutError:
                    await _end(child)
                    raise SqlFailure("EXCEEDED_TIME_LIMIT", "The data source took too long") from None
                except (OSError, EOFError, ValueError, msgspec.DecodeError):
                    await _end(child)
                    self._check(job_id)
                    raise SqlFailure("GENERIC_INTERNAL_ERROR", "The connector failed; try again.", category=1,
                                     retryable=True) from None  # fmt: skip
                except BaseException:
                    await asyncio.shield(_end(child))
                    raise
                else:
                    self._idle.append(child)
                finally:
                    del self._busy[child]
        if (failure := answer.get("failure")) is not None:
            raise SqlFailure(**failure)
        return answer["result"]

    def _check(self, job_id: str) -> None:
        if job_id and job_id in self._cancelled:
            raise SqlFailure("USER_CANCELED", "Query was canceled")

    async def _take(self) -> Child:
        while self._idle:
            child = self._idle.pop()
            if child.alive:
                return child
        if self._stopped:
            raise SqlFailure("SERVER_SHUTTING_DOWN", "The server is stopping.", category=1, retryable=True)
        return await self._k.children.spawn(
            "connectors",
            [sys.executable, "-I", "-m", "lakebed.engines.connectors.child", str(self._settings.memory_mb)],
            environment={"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "HOME": "/nonexistent", "TZ": "UTC"},
        )


async def _told(child: Child, request: Mapping[str, Any]) -> dict[str, Any]:
    stdin, stdout = child.process.stdin, child.process.stdout
    assert stdin is not None
    assert stdout is not None
    with contextlib.suppress(OSError):  # told by the read that follows
        stdin.write(pack(request))
        await stdin.drain()
    head = await stdout.readexactly(4)
    found: dict[str, Any] = msgspec.msgpack.decode(await stdout.readexactly(size_of(head)))
    return found


async def _end(child: Child) -> None:
    child.kill()
    await child.wait()


def _reached(source: Source) -> dict[str, Any]:
    return {"kind": source.kind, "settings": dict(source.settings)}
