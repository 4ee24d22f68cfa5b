"""The pool: engine processes, started on first use, one job each at a time, replaced when they die.

The server process never imports duckdb or sqlglot (start-up and idle memory, and a crash there costs a worker only). A
worker gets an empty environment, holds no secret and dies with us; what its statements may touch is decided in
``instance.py``. It runs as our own user, since objects are 0600 of that user: the sandbox is the locked engine, the
allow-listing compiler and the process boundary with its limits, not another user.

A job whose worker died is tried once more (nothing of it was visible), then fails as INTERNAL_ERROR.
"""

from __future__ import annotations

import asyncio
import sys
from collections import OrderedDict
from contextlib import suppress
from typing import Any

import msgspec

from lakebed.engines.sql_duckdb.frames import pack, size_of
from lakebed.engines.sql_duckdb.settings import SqlDuckdbSettings
from lakebed.kernel.children import Child
from lakebed.kernel.kernel import Kernel
from lakebed.ports.sql import SqlFailure

_CANCEL_GRACE_SECONDS = 1.0
_EARLY_MAX = 1000


class WorkerDiedError(Exception):
    """The process ended, or spoke nonsense, before it answered."""


class Worker:
    """One engine process."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self.job = ""

    async def ask(self, message: dict[str, Any], timeout_seconds: float) -> Any:
        """One request and its answer."""
        stdin, stdout = self.child.process.stdin, self.child.process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            stdin.write(pack(message))
            await stdin.drain()
            async with asyncio.timeout(timeout_seconds):
                head = await stdout.readexactly(4)
                return msgspec.msgpack.decode(await stdout.readexactly(size_of(head)))
        except TimeoutError:
            self.child.kill()
            raise SqlFailure("EXCEEDED_TIME_LIMIT", "Query timeout") from None
        except (OSError, EOFError, ValueError, msgspec.DecodeError) as broken:
            self.child.kill()
            raise WorkerDiedError(str(broken)) from None

    def interrupt(self) -> None:
        """Ask the running job to stop."""
        with suppress(OSError, RuntimeError):
            assert self.child.process.stdin is not None
            self.child.process.stdin.write(pack({"op": "cancel"}))


class Pool:
    """Workers, idle and busy."""

    def __init__(self, k: Kernel, settings: SqlDuckdbSettings) -> None:
        self._k, self._settings = k, settings
        self._idle: list[Worker] = []
        self._busy: dict[str, Worker] = {}
        self._cancelled: set[str] = set()
        self._early: OrderedDict[str, None] = OrderedDict()  # stopped before they reached a worker
        self._slots = asyncio.Semaphore(settings.workers)
        self._background: set[asyncio.Task[None]] = set()
        self._stopped = False

    def warm(self) -> None:
        """Start one worker in the background if there is none."""
        if not self._idle and not self._busy and not self._background and not self._stopped:
            self._spawn_task(self._prewarm())

    async def ask(self, job_id: str, message: dict[str, Any], timeout_seconds: float) -> Any:
        """Run one request on any worker; tried again once when the worker dies."""
        async with self._slots:
            for attempt in (1, 2):
                with self._k.clock.working():
                    try:
                        return _answer(await self._once(job_id, message, timeout_seconds, fresh=attempt == 2))
                    except WorkerDiedError:
                        if job_id in self._cancelled:
                            raise SqlFailure("USER_CANCELED", "Query was canceled") from None
                        self._k.log.warning("sql worker died", job=job_id, attempt=attempt)
                    finally:
                        if attempt == 2:
                            self._cancelled.discard(job_id)
            raise SqlFailure("INTERNAL_ERROR", "The query engine failed; try again.", category=1, retryable=True)

    def cancel(self, job_id: str) -> bool:
        """Interrupt, and kill a worker that does not listen."""
        worker = self._busy.get(job_id)
        if worker is None:
            self._early[job_id] = None
            if len(self._early) > _EARLY_MAX:
                self._early.popitem(last=False)
            return False
        self._cancelled.add(job_id)
        worker.interrupt()
        self._spawn_task(self._kill_later(worker, job_id))
        return True

    async def stop(self) -> None:
        """Stop all workers."""
        self._stopped = True
        for task in list(self._background):
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        for worker in [*self._idle, *self._busy.values()]:
            worker.child.kill()
            await worker.child.wait()
        self._idle.clear()

    async def _once(self, job_id: str, message: dict[str, Any], timeout_seconds: float, *, fresh: bool) -> Any:
        worker = await (self._start() if fresh else self._take())  # others that rest may be as dead as the first
        if job_id in self._early:
            self._idle.append(worker)
            raise SqlFailure("USER_CANCELED", "Query was canceled")
        self._busy[job_id] = worker
        try:
            answer = await worker.ask(message, timeout_seconds)
        except BaseException:
            worker.child.kill()
            await asyncio.shield(worker.child.wait())
            raise
        else:
            self._idle.append(worker)
            return answer
        finally:
            self._busy.pop(job_id, None)
            self._cancelled.discard(job_id) if worker.child.alive else None

    async def _take(self) -> Worker:
        while self._idle:
            worker = self._idle.pop(0)  # the one that rested longest has its next instance ready
            if worker.child.alive:
                return worker
        return await self._start()

    async def _start(self) -> Worker:
        if self._stopped:
            raise SqlFailure("SERVER_SHUTTING_DOWN", "The server is stopping.", category=1, retryable=True)
        child = await self._k.children.spawn(
            "sql-duckdb",
            [sys.executable, "-I", "-m", "lakebed.engines.sql_duckdb.worker"],
            environment={"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "HOME": "/nonexistent", "TZ": "UTC"},
        )
        worker = Worker(child)
        settings = self._settings
        limits = {"threads": settings.threads, "memory_mb": settings.memory_mb, "spill_gb": settings.spill_gb}
        await worker.ask({"op": "hello", **limits}, 60.0)
        return worker

    async def _prewarm(self) -> None:
        async with self._slots:
            with suppress(WorkerDiedError, SqlFailure), self._k.clock.working():
                self._idle.append(await self._start())

    async def _kill_later(self, worker: Worker, job_id: str) -> None:
        await asyncio.wait({asyncio.ensure_future(worker.child.process.wait())}, timeout=_CANCEL_GRACE_SECONDS)
        if self._busy.get(job_id) is worker:
            worker.child.kill()

    def _spawn_task(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)


def _answer(answer: Any) -> Any:
    if (failure := answer.get("failure")) is not None:
        raise SqlFailure(
            failure["name"], failure["message"], category=failure["category"], retryable=failure["retryable"]
        )
    return answer["result"]
