"""The port: one event in, one execution out, whatever the user's code did.

The environment is Lambda's, from nothing: only what is listed here and in ``runtimes.py``, what the function configured,
and the credentials of the call. ``AWS_ENDPOINT_URL`` points to this house, so that an SDK in a function talks to Lakebed
and to nobody else.

https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from lakebed.engines.run_python import outcome, runtimes
from lakebed.engines.run_python.pool import IdleWorkers, Pool
from lakebed.engines.run_python.settings import RunPythonSettings
from lakebed.engines.run_python.worker_process import (
    Answer,
    WorkerEndedError,
    WorkerMemoryError,
    WorkerProcess,
    WorkerTimeoutError,
)
from lakebed.kernel.arn import parse
from lakebed.kernel.errors import AwsError
from lakebed.kernel.kernel import Kernel
from lakebed.ports.runtime import Circumstances, Execution, FunctionSpec


class _NotBegunError(Exception):
    """A warm worker was dead before it saw the event: another one may take it."""


@dataclass(frozen=True, slots=True)
class _Call:
    request_id: str
    event: bytes
    credentials: Mapping[str, str]
    around: Circumstances


class PythonRuntime:
    """``FunctionRuntime`` of Python, node and custom runtimes; one of a house. ``endpoint`` tells where functions reach
    Lakebed."""

    def __init__(self, kernel: Kernel, endpoint: Callable[[], str]) -> None:
        self.k, self._endpoint = kernel, endpoint
        self.can = runtimes.available()
        self.isolation: Mapping[str, Any] | None = None  # of the first worker: hidden ("" or why not), nobody, bare
        settings = kernel.settings.section("engines", "run_python", RunPythonSettings)
        self.pool = Pool(kernel, settings, self._door)
        self._fenced = settings.network == "lakebed"
        kernel.tasks.add(IdleWorkers(self.pool))

    async def execute(
        self,
        spec: FunctionSpec,
        event: bytes,
        *,
        request_id: str,
        credentials: Mapping[str, str],
        concurrency: int,
        deadline: float,
        circumstances: Circumstances = Circumstances(),  # noqa: B008 - immutable
    ) -> Execution:
        """See the port; ``deadline`` is a second of ``clock.monotonic`` until which a call may wait for a worker."""
        call = _Call(request_id, event, credentials, circumstances)
        with self.k.clock.working():
            while True:
                try:
                    worker = await self.pool.take(spec, concurrency, deadline)
                except OSError as failure:  # no more processes, no more disk
                    self.k.log.warning("function worker did not start", function=spec.name, exc=failure)
                    raise AwsError("ServiceException", "No function worker could be started.", status=500) from None
                try:
                    return await self._run(worker, call)
                except _NotBegunError:
                    continue
                finally:
                    await self.pool.give(worker)

    async def provision(self, spec: FunctionSpec, count: int, credentials: Mapping[str, str]) -> int:
        """Workers started and initialised ahead; those beyond the pool's size are not."""
        self.pool.keep(spec.key, count)
        with self.k.clock.working():
            while len(kept := self.pool.idle_of(spec.key)) + self.pool.busy(spec.key) < count:
                try:
                    worker = await self.pool.reserve(spec)
                except OSError as failure:
                    self.k.log.warning("function worker did not start", function=spec.name, exc=failure)
                    break
                if worker is None:
                    break
                try:
                    failed = await self._begin(worker, credentials, "provisioned-concurrency")
                finally:
                    await self.pool.give(worker)
                if failed is not None:
                    raise AwsError("FUNCTION_ERROR_INIT_FAILURE", failed.decode("utf-8", "replace")[:200])
            return len(kept) + self.pool.busy(spec.key)

    async def retire(self, key: str) -> None:
        """Stop the warm workers of a spec."""
        await self.pool.retire(key)

    async def probe(self) -> str | None:
        """None when healthy, else a sentence."""
        return None if os.access(sys.executable, os.X_OK) else f"{sys.executable} is not executable"

    async def stop(self) -> None:
        """Stop every worker."""
        await self.pool.stop()

    async def _run(self, worker: WorkerProcess, call: _Call) -> Execution:
        clock, spec = self.k.clock, worker.spec
        started, init_ms, answer, warm = clock.monotonic(), None, None, worker.ready
        notes, until = "", started + spec.timeout_seconds
        try:
            if not worker.ready:
                first = await worker.init(self._environment(worker, call.credentials, "on-demand"))
                init_ms = (clock.monotonic() - started) * 1000
                started = clock.monotonic()
                until = started + spec.timeout_seconds
                answer = first if first.header.get("error", True) else None
                self._check_isolation(worker)
            if answer is None:
                answer = await worker.invoke(self._header(worker, call), call.event, until, call.around.sink)
            payload, failed = answer.body, bool(answer.header.get("error", True))
            if not worker.ready:
                payload = outcome.with_request_id(payload, call.request_id)
        except WorkerTimeoutError:
            payload, failed = outcome.timed_out(call.request_id, spec.timeout_seconds), True
            notes = f"{_stamp(clock.now())} {call.request_id} Task timed out after {spec.timeout_seconds:.2f} seconds\n"
        except WorkerMemoryError:
            payload, failed = outcome.out_of_memory(call.request_id), True
            notes = f"RequestId: {call.request_id} Error: Runtime exited with error: signal: killed\n"
        except WorkerEndedError:
            if warm and not worker.begun:
                raise _NotBegunError from None
            code = await worker.ended()
            payload, failed = outcome.exited(call.request_id, code), True
            notes = f"RequestId: {call.request_id} Error: Runtime exited (status {code})\n"
        if not worker.ready:
            await worker.end()
        duration_ms = (clock.monotonic() - started) * 1000
        return self._execution(worker, call, _Outcome(payload, failed, answer, duration_ms, init_ms, notes))

    async def _begin(self, worker: WorkerProcess, credentials: Mapping[str, str], kind: str) -> bytes | None:
        """The init phase ahead of any event; the function's error where it fails."""
        worker.provisioned = True
        try:
            answer = await worker.init(self._environment(worker, credentials, kind))
        except (WorkerTimeoutError, WorkerMemoryError, WorkerEndedError) as failure:
            return f"{type(failure).__name__}: {failure}".encode()
        self._check_isolation(worker)
        return answer.body if answer.header.get("error", True) else None

    def _check_isolation(self, worker: WorkerProcess) -> None:
        """Once a boot an operator is told what holds user code and what does not; a fence that is asked for must stand."""
        if self.isolation is None:
            self.isolation = worker.isolation
            self.k.log.info("function sandbox", **worker.isolation)
        if self._fenced and worker.isolation["network"] != "lakebed":
            worker.ready = False
            raise AwsError(
                "ServiceException", "This system allows functions no network of their own; none runs.", status=500
            )

    def _door(self) -> tuple[str, int]:
        """Where the endpoint listens."""
        where = urlsplit(self._endpoint())
        return where.hostname or "127.0.0.1", where.port or 80

    def _execution(self, worker: WorkerProcess, call: _Call, came: _Outcome) -> Execution:
        spec = worker.spec
        used = max(1, int(came.answer.header.get("peak_kb", 0)) // 1024) if came.answer else spec.memory_mb
        billed = outcome.billed(came.duration_ms, came.init_ms)
        printed = worker.take_log() + came.notes
        if printed and not printed.endswith("\n"):
            printed += "\n"
        figures: dict[str, Any] = {
            "duration_ms": came.duration_ms, "billed_ms": billed, "memory_mb": spec.memory_mb, "used_mb": used,
            "init_ms": came.init_ms,
        }  # fmt: skip
        log = self._json_log(spec, call, came, (printed, figures)) if spec.json_log else (
            f"START RequestId: {call.request_id} Version: {spec.version}\n{printed}"
            f"END RequestId: {call.request_id}\n{outcome.report(call.request_id, **figures)}\n"
        )  # fmt: skip
        return Execution(
            payload=came.payload,
            error="Unhandled" if came.failed else None,
            log=log,
            log_stream=worker.log_stream,
            duration_ms=came.duration_ms,
            billed_ms=billed,
            init_ms=came.init_ms,
            memory_used_mb=used,
            streamed=worker.streamed,
            provisioned=worker.provisioned,
        )

    def _json_log(self, spec: FunctionSpec, call: _Call, came: _Outcome, printed: tuple[str, Mapping[str, Any]]) -> str:
        """The platform's lines as objects, those that the function's system level lets through."""
        lines, figures = printed
        begun = _stamp(self.k.clock.now() - came.duration_ms / 1000)
        ended, level = _stamp(self.k.clock.now()), spec.system_level or "INFO"
        status = {"requestId": call.request_id, "status": "error" if came.failed else "success"}
        log = ""
        if level in ("DEBUG", "INFO"):
            start = {"requestId": call.request_id, "version": spec.version}
            log += outcome.platform("start", begun, start) + "\n"
        log += lines
        if level == "DEBUG":
            log += outcome.platform("runtimeDone", ended, status) + "\n"
        if level in ("DEBUG", "INFO") or came.failed:
            record = {**status, "metrics": outcome.metrics(**figures)}
            log += outcome.platform("report", ended, record) + "\n"
        return log

    def _environment(self, worker: WorkerProcess, credentials: Mapping[str, str], kind: str) -> dict[str, str]:
        spec = worker.spec
        arn = parse(spec.arn)
        region = arn.region if arn else "us-east-1"
        json_log = {"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": spec.log_level or "INFO"}
        return {
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "AWS_CONFIG_FILE": os.devnull,  # the server's user may have files of its own, for the real AWS
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            **spec.environment,
            "_HANDLER": spec.handler,
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{spec.runtime}",
            "AWS_LAMBDA_FUNCTION_NAME": spec.name,
            "AWS_LAMBDA_FUNCTION_VERSION": spec.version,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(spec.memory_mb),
            "AWS_LAMBDA_INITIALIZATION_TYPE": kind,
            "AWS_LAMBDA_LOG_GROUP_NAME": spec.log_group,
            "AWS_LAMBDA_LOG_STREAM_NAME": worker.log_stream,
            "AWS_ENDPOINT_URL": spec.environment.get("AWS_ENDPOINT_URL", self._inside()),
            "AWS_EC2_METADATA_DISABLED": "true",
            **(json_log if spec.json_log else {}),
            **credentials,
        }

    def _inside(self) -> str:
        """The endpoint as a function reaches it."""
        return f"http://127.0.0.1:{self._door()[1]}" if self._fenced else self._endpoint()

    def _header(self, worker: WorkerProcess, call: _Call) -> dict[str, Any]:
        spec = worker.spec
        return {
            "request_id": call.request_id,
            "arn": call.around.arn or spec.arn,
            "timeout": spec.timeout_seconds,
            "ascii": spec.runtime in ("python3.9", "python3.10", "python3.11"),
            "client_context": dict(call.around.client_context) if call.around.client_context else None,
            "trace": call.around.trace,
            "streams": call.around.sink is not None,
            "environment": dict(call.credentials),
        }


@dataclass(frozen=True, slots=True)
class _Outcome:
    payload: bytes
    failed: bool
    answer: Answer | None
    duration_ms: float
    init_ms: float | None
    notes: str


def _stamp(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
