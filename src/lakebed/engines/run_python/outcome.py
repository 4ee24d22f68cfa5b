"""What a function's end looks like to its caller and in its log: AWS's error objects and lines. Pure.

https://docs.aws.amazon.com/lambda/latest/dg/python-exceptions.html
https://docs.aws.amazon.com/lambda/latest/dg/python-logging.html
https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-logformat.html
"""

from __future__ import annotations

import json
import math
import signal
from collections.abc import Mapping
from typing import Any


def failure(kind: str, message: str) -> bytes:
    """An error object of the platform itself: no stack trace, no request id member."""
    return json.dumps({"errorType": kind, "errorMessage": message}).encode()


def timed_out(request_id: str, seconds: float) -> bytes:
    """The function ran longer than its timeout."""
    return failure("Sandbox.Timedout", f"RequestId: {request_id} Error: Task timed out after {seconds:.2f} seconds")


def exited(request_id: str, code: int | None) -> bytes:
    """The worker ended without an answer; ``code`` as subprocess tells it (negative: a signal)."""
    if code is None or code == 0:
        reason = "Runtime exited without providing a reason"
    elif code < 0:
        reason = f"Runtime exited with error: signal: {_signal_name(-code)}"
    else:
        reason = f"Runtime exited with error: exit status {code}"
    return failure("Runtime.ExitError", f"RequestId: {request_id} Error: {reason}")


def out_of_memory(request_id: str) -> bytes:
    """The worker used more memory than the function has."""
    return failure("Runtime.OutOfMemory", f"RequestId: {request_id} Error: Runtime exited with error: signal: killed")


def with_request_id(payload: bytes, request_id: str) -> bytes:
    """An error of the init phase, told to the caller of this request."""
    try:
        found = json.loads(payload)
    except ValueError:
        return payload
    if isinstance(found, dict) and "requestId" in found:
        found["requestId"] = request_id
    return json.dumps(found).encode()


def report(
    request_id: str, *, duration_ms: float, billed_ms: int, memory_mb: int, used_mb: int, init_ms: float | None
) -> str:
    """The REPORT line."""
    line = (
        f"REPORT RequestId: {request_id}\tDuration: {duration_ms:.2f} ms\tBilled Duration: {billed_ms} ms\t"
        f"Memory Size: {memory_mb} MB\tMax Memory Used: {used_mb} MB\t"
    )
    return line if init_ms is None else f"{line}Init Duration: {init_ms:.2f} ms\t"


def platform(kind: str, stamp: str, record: Mapping[str, Any]) -> str:
    """A line of the platform as a JSON object, ``kind`` being ``start``, ``runtimeDone`` or ``report``."""
    return json.dumps({"time": stamp, "type": f"platform.{kind}", "record": record})


def metrics(
    *, duration_ms: float, billed_ms: int, memory_mb: int, used_mb: int, init_ms: float | None
) -> dict[str, float | int]:
    """The REPORT line's figures as the JSON format has them."""
    told: dict[str, float | int] = {
        "durationMs": round(duration_ms, 3), "billedDurationMs": billed_ms, "memorySizeMB": memory_mb,
        "maxMemoryUsedMB": used_mb,
    }  # fmt: skip
    return told if init_ms is None else {**told, "initDurationMs": round(init_ms, 3)}


def billed(duration_ms: float, init_ms: float | None) -> int:
    """Whole milliseconds, the init phase included, as AWS bills since August 2025."""
    return max(1, math.ceil(duration_ms + (init_ms or 0.0)))


def _signal_name(number: int) -> str:
    names = {signal.SIGKILL: "killed", signal.SIGSEGV: "segmentation fault", signal.SIGABRT: "aborted"}
    return names.get(number, f"signal {number}")  # type: ignore[call-overload, no-any-return]
