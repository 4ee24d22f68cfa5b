"""The port: one event in, one execution out, whatever the user's code did.

The environment is Lambda's, from nothing: only what is listed here, what the function configured, and the credentials of
the call. ``AWS_ENDPOINT_URL`` points to this house, so that boto3 in a function talks to Lakebed and to nobody else.

https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lakebed.engines.run_python import outcome
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
from lakebed.ports.runtime import Execution, FunctionSpec

RUNTIMES = frozenset(f"python3.{minor}" for minor in range(9, 15))


class _NotBegunError(Exception):
    """A warm worker was dead before it saw the event: another one may take it."""


@dataclass(frozen=True, slots=True)
class _Call:
    request_id: str
    event: bytes
    credentials: Mapping[str, str]
    client_context: Mapping[str, Any] | None
    invoked_arn: str


class PythonRuntime:
    """``FunctionRuntime`` of Python functions; one of a house. ``endpoint`` tells where functions reach Lakebed."""

    can = RUNTIMES

    def __init__(self, kernel: Kernel, endpoint: Callable[[], str]) -> None:
        self.k, self._endpoint = kernel, endpoint
        self.isolation: Mapping[str, Any] | None = None  # of the first worker: hidden ("" or why not), nobody, bare
        settings = kernel.settings.section("engines", "run_python", RunPythonSettings)
        self.pool = Pool(kernel, settings)
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
        client_context: Mapping[str, Any] | None = None,
        invoked_arn: str | None = None,
    ) -> Execution:
        """See the port; ``deadline`` is a second of ``clock.monotonic`` until which a call may wait for a worker."""
        call = _Call(request_id, event, credentials, client_context, invoked_arn or spec.arn)
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
        notes = ""
        try:
            if not worker.ready:
                first = await worker.init(self._environment(worker, call))
                init_ms = (clock.monotonic() - started) * 1000
                started = clock.monotonic()
                answer = first if first.header.get("error", True) else None
                self._tell_isolation(worker)
            if answer is None:
                answer = await worker.invoke(self._header(worker, call), call.event, started + spec.timeout_seconds)
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

    def _tell_isolation(self, worker: WorkerProcess) -> None:
        """Once a boot: an operator should know what holds user code, and what does not."""
        if self.isolation is None:
            self.isolation = worker.isolation
            self.k.log.info("function sandbox", **worker.isolation)

    def _execution(self, worker: WorkerProcess, call: _Call, came: _Outcome) -> Execution:
        spec = worker.spec
        used = int(came.answer.header.get("peak_kb", 0)) // 1024 if came.answer else spec.memory_mb
        billed = outcome.billed(came.duration_ms, came.init_ms)
        printed = worker.take_log() + came.notes
        if printed and not printed.endswith("\n"):
            printed += "\n"
        report = outcome.report(
            call.request_id,
            duration_ms=came.duration_ms,
            billed_ms=billed,
            memory_mb=spec.memory_mb,
            used_mb=used,
            init_ms=came.init_ms,
        )
        log = (
            f"START RequestId: {call.request_id} Version: {spec.version}\n{printed}"
            f"END RequestId: {call.request_id}\n{report}\n"
        )
        return Execution(
            payload=came.payload,
            error="Unhandled" if came.failed else None,
            log=log,
            log_stream=worker.log_stream,
            duration_ms=came.duration_ms,
            billed_ms=billed,
            init_ms=came.init_ms,
            memory_used_mb=used,
        )

    def _environment(self, worker: WorkerProcess, call: _Call) -> dict[str, str]:
        spec = worker.spec
        arn = parse(spec.arn)
        region = arn.region if arn else "us-east-1"
        return {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "AWS_CONFIG_FILE": os.devnull,  # the server's user may have files of its own, for the real AWS
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            **spec.environment,
            "PYTHONPATH": ":".join(filter(None, (str(spec.code), spec.environment.get("PYTHONPATH", "")))),
            "_HANDLER": spec.handler,
            "LAMBDA_TASK_ROOT": str(spec.code),
            "LAMBDA_RUNTIME_DIR": str(spec.code),
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{spec.runtime}",
            "AWS_LAMBDA_FUNCTION_NAME": spec.name,
            "AWS_LAMBDA_FUNCTION_VERSION": spec.version,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(spec.memory_mb),
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": spec.log_group,
            "AWS_LAMBDA_LOG_STREAM_NAME": worker.log_stream,
            "AWS_ENDPOINT_URL": spec.environment.get("AWS_ENDPOINT_URL", self._endpoint()),
            "AWS_EC2_METADATA_DISABLED": "true",
            **call.credentials,
        }

    def _header(self, worker: WorkerProcess, call: _Call) -> dict[str, Any]:
        spec = worker.spec
        return {
            "request_id": call.request_id,
            "arn": call.invoked_arn,
            "timeout": spec.timeout_seconds,
            "ascii": spec.runtime in ("python3.9", "python3.10", "python3.11"),
            "client_context": dict(call.client_context) if call.client_context else None,
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
