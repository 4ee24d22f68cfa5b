"""Function runtime: where a Lambda function's code really runs. Built by engines/run_python.

The runtime knows no IAM, no API and no function table: it is given an unpacked code directory, a handler, an environment
and limits, and runs one event at a time in each warm worker.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class FunctionSpec:
    """One published state of a function: ``key`` changes with code or configuration, so that old workers are retired.

    ``layers`` is the merged folder that is ``/opt`` (None without layers), ``json_log`` whether the log is JSON objects:
    the function's from ``log_level`` on, the platform's from ``system_level`` on.
    """

    key: str
    code: Path
    handler: str
    runtime: str
    environment: Mapping[str, str]
    memory_mb: int
    timeout_seconds: float
    arn: str
    name: str
    version: str
    log_group: str
    layers: Path | None = None
    ephemeral_mb: int = 512
    json_log: bool = False
    log_level: str = ""
    system_level: str = ""


@dataclass(frozen=True, slots=True)
class Execution:
    """What came of one event. ``error`` is None, "Handled" or "Unhandled" (then ``payload`` is AWS's error object);
    ``log`` the lines the function printed, with START, END and REPORT; ``log_stream`` the worker's stream name.
    ``streamed``: the answer went to the sink piece by piece, and ``payload`` is empty but for an error.
    ``provisioned``: a worker that was kept warm for provisioned concurrency ran it."""

    payload: bytes
    error: str | None
    log: str
    log_stream: str
    duration_ms: float
    billed_ms: int
    init_ms: float | None
    memory_used_mb: int
    streamed: bool = False
    provisioned: bool = False


class ResponseSink(Protocol):
    """Takes an answer that a function streams. A slow sink slows the function down."""

    async def begin(self, content_type: str) -> None:
        """The function began to answer."""
        ...

    async def write(self, piece: bytes) -> None:
        """The next bytes."""
        ...


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What an invocation carries besides its event. ``arn`` is the one the caller used (with its qualifier), ``trace``
    the X-Amzn-Trace-Id, ``sink`` who takes an answer that streams (None: it is collected)."""

    arn: str = ""
    client_context: Mapping[str, Any] | None = None
    trace: str = ""
    sink: ResponseSink | None = None


class FunctionRuntime(Protocol):
    """Bounded: at most the configured number of workers in all; a call waits its turn for at most ``wait_seconds``."""

    can: frozenset[str]  # runtimes this engine runs here, as Lambda names them: python3.11 ...

    async def execute(
        self,
        spec: FunctionSpec,
        event: bytes,
        *,
        request_id: str,
        credentials: Mapping[str, str],
        concurrency: int,
        deadline: float,
        circumstances: Circumstances = Circumstances(),
    ) -> Execution:
        """Run one event. ``credentials`` are AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN for this call;
        ``concurrency`` the most workers this spec may have; TooManyRequestsException when none became free until
        ``deadline``, a second of ``clock.monotonic``."""
        ...

    async def provision(self, spec: FunctionSpec, count: int, credentials: Mapping[str, str]) -> int:
        """Keep ``count`` workers of a spec started and initialised (0: none any more), whoever calls or does not; how many
        there are now. AwsError where the function's init phase fails."""
        ...

    async def retire(self, key: str) -> None:
        """Stop the warm workers of a spec."""
        ...

    async def probe(self) -> str | None:
        """None when healthy, else a sentence."""
        ...

    async def stop(self) -> None:
        """Stop every worker."""
        ...
