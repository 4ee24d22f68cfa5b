"""Python functions inside their worker: the handler is imported once and called for each event, as Lambda's runtime does.

A file of the worker's process; it imports nothing of Lakebed.

https://docs.aws.amazon.com/lambda/latest/dg/python-handler.html
https://docs.aws.amazon.com/lambda/latest/dg/python-context.html
https://docs.aws.amazon.com/lambda/latest/dg/python-logging.html
"""

# pathlib and contextlib would make every cold start slower.
# ruff: noqa: SIM105

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
import time
import traceback
from typing import Any

_RESPONSE_BYTES_MAX = 6 * 1024 * 1024 + 100
_RECORD_FIELDS = frozenset(
    [
        "name",
        "msg",
        "args",
        "levelname",
        "levelno",
        "pathname",
        "filename",
        "module",
        "exc_info",
        "exc_text",
        "stack_info",
        "lineno",
        "funcName",
        "created",
        "msecs",
        "relativeCreated",
        "thread",
        "threadName",
        "processName",
        "process",
        "taskName",
        "aws_request_id",
        "message",
        "asctime",
    ]
)


class CognitoIdentity:
    """``context.identity``: present, and empty unless a mobile client called."""

    cognito_identity_id = None
    cognito_identity_pool_id = None


class ClientContext:
    """``context.client_context`` as the X-Amz-Client-Context header gave it."""

    def __init__(self, given: dict[str, Any]) -> None:
        self.custom = given.get("custom")
        self.env = given.get("env")
        self.client = given.get("client")


class LambdaContext:
    """The second argument of a handler."""

    def __init__(self, header: dict[str, Any], deadline: float) -> None:
        self.aws_request_id = header["request_id"]
        self.log_group_name = os.environ.get("AWS_LAMBDA_LOG_GROUP_NAME")
        self.log_stream_name = os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME")
        self.function_name = os.environ.get("AWS_LAMBDA_FUNCTION_NAME")
        self.memory_limit_in_mb = os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
        self.function_version = os.environ.get("AWS_LAMBDA_FUNCTION_VERSION")
        self.invoked_function_arn = header["arn"]
        self.client_context = ClientContext(header["client_context"]) if header.get("client_context") else None
        self.identity = CognitoIdentity()
        self._deadline = deadline

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the function times out."""
        return max(0, int((self._deadline - time.monotonic()) * 1000))

    def log(self, message: object) -> None:
        """Write to the function's log, as the runtime offers it."""
        sys.stdout.write(str(message))


class _CurrentRequest:
    request_id = ""


def _as_json() -> bool:
    return os.environ.get("AWS_LAMBDA_LOG_FORMAT") == "JSON"


def _stamp() -> str:
    now = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now * 1000) % 1000:03d}Z"


def _install_logging() -> None:
    """Lambda's handler on the root logger: level, time, request id and message, as text or as a JSON object."""
    import logging

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            try:
                sys.stdout.write(self.format(record))
                sys.stdout.flush()
            except Exception:  # a broken log record must not fail the function
                self.handleError(record)

    class Request(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            record.aws_request_id = _CurrentRequest.request_id
            return True

    class Json(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            told: dict[str, Any] = {
                "timestamp": _stamp(), "level": record.levelname, "message": record.getMessage(), "logger": record.name,
            }  # fmt: skip
            if record.exc_info and record.exc_info[1] is not None:
                failure = record.exc_info[1]
                told.update(errorType=type(failure).__name__, errorMessage=str(failure), stackTrace=_trace(failure))
            told.update({name: value for name, value in vars(record).items() if name not in _RECORD_FIELDS})
            return json.dumps({**told, "requestId": _CurrentRequest.request_id}, default=str) + "\n"

    logging.Formatter.converter = time.gmtime
    handler = Handler()
    text = logging.Formatter(
        "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s\n", "%Y-%m-%dT%H:%M:%S"
    )
    handler.setFormatter(Json() if _as_json() else text)
    handler.addFilter(Request())
    root = logging.getLogger()
    root.addHandler(handler)
    if level := os.environ.get("AWS_LAMBDA_LOG_LEVEL"):
        root.setLevel({"TRACE": "DEBUG", "FATAL": "CRITICAL", "WARN": "WARNING"}.get(level, level))


def _error(kind: str, message: str, trace: list[str], request_id: str = "") -> bytes:
    return json.dumps(
        {"errorMessage": message, "errorType": kind, "requestId": request_id, "stackTrace": trace}
    ).encode()


def _print_error(kind: str, message: str, trace: list[str]) -> None:
    if _as_json():
        told = {
            "timestamp": _stamp(), "log_level": "ERROR", "errorMessage": message, "errorType": kind,
            "requestId": _CurrentRequest.request_id, "stackTrace": trace,
        }  # fmt: skip
        sys.stdout.write(json.dumps(told) + "\n")
        return
    text = f"[ERROR] {kind}: {message}\n"
    if trace:
        text += "Traceback (most recent call last):\n" + "".join(trace)
    sys.stdout.write(text)


def _load(handler: str) -> tuple[Any, bytes | None]:
    """The handler, or AWS's error object."""
    module_name, dot, function_name = handler.rpartition(".")
    if not dot or not module_name:
        message = f"Bad handler '{handler}': not enough values to unpack (expected 2, got 1)"
        return _failed("Runtime.MalformedHandlerName", message, [])
    name = module_name.replace("/", ".")
    try:
        module = importlib.import_module(name)
    except ImportError as failure:
        return _failed("Runtime.ImportModuleError", f"Unable to import module '{module_name}': {failure}", [])
    except SyntaxError as failure:
        trace = [f'  File "{failure.filename}" Line {failure.lineno}\n    {(failure.text or "").strip()}\n']
        return _failed("Runtime.UserCodeSyntaxError", f"Syntax error in module '{module_name}': {failure}", trace)
    except Exception as failure:  # whatever the user's module raises
        return _failed(type(failure).__name__, str(failure), _trace(failure))
    found = getattr(module, function_name, None)
    if found is None:
        return _failed("Runtime.HandlerNotFound", f"Handler '{function_name}' missing on module '{module_name}'", [])
    return found, None


def _failed(kind: str, message: str, trace: list[str]) -> tuple[None, bytes]:
    _print_error(kind, message, trace)
    return None, _error(kind, message, trace)


def _trace(failure: BaseException) -> list[str]:
    """The user's frames: ours and importlib's are left out."""
    frames = [
        frame
        for frame in traceback.extract_tb(failure.__traceback__)
        if frame.filename != __file__
        and not frame.filename.startswith("<frozen importlib")
        and not frame.filename.endswith("importlib/__init__.py")
    ]
    return [line.rstrip("\n") + "\n" for line in traceback.format_list(frames)]


def _peak_kb() -> int:
    """Peak resident memory of this program (ru_maxrss would count the process that forked us)."""
    try:
        with open("/proc/self/status", "rb") as status:
            for line in status:
                if line.startswith(b"VmHWM"):
                    return int(line.split()[1])
    except OSError:
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // 1024 if sys.platform == "darwin" else peak


def serve(frames: Any, handler: str, told: dict[str, Any]) -> None:
    """Import the handler, then one event after the other."""
    _install_logging()
    started = time.monotonic()
    function, failure = _load(handler)
    _flush()
    init_ms = (time.monotonic() - started) * 1000
    frames.send({"init_ms": init_ms, "error": failure is not None, "peak_kb": _peak_kb(), **told}, failure or b"")
    if failure is not None:
        os._exit(1)
    while True:
        header, body = frames.receive()
        frames.send({"begun": True})  # without this frame Lakebed may give the event to another worker
        _invoke(frames, function, header, body)


def _invoke(frames: Any, function: Any, header: dict[str, Any], body: bytes) -> None:
    os.environ.update(header["environment"])
    os.environ["_X_AMZN_TRACE_ID"] = header["trace"]
    _CurrentRequest.request_id = header["request_id"]
    context = LambdaContext(header, time.monotonic() + header["timeout"])
    failed: bytes | None = None
    answer = b""
    try:
        result = function(json.loads(body), context)
        try:
            answer = json.dumps(result, ensure_ascii=header["ascii"]).encode()
        except (TypeError, ValueError, RecursionError) as failure:
            message = f"Unable to marshal response: {failure}"
            _print_error("Runtime.MarshalError", message, [])
            failed = _error("Runtime.MarshalError", message, [], header["request_id"])
    except Exception as failure:  # whatever the user's handler raises
        kind, trace = type(failure).__name__, _trace(failure)
        _print_error(kind, str(failure), trace)
        failed = _error(kind, str(failure), trace, header["request_id"])
    if failed is None and len(answer) > _RESPONSE_BYTES_MAX:
        message = f"Response payload size exceeded maximum allowed payload size ({_RESPONSE_BYTES_MAX} bytes)."
        failed = json.dumps({"errorType": "Function.ResponseSizeTooLarge", "errorMessage": message}).encode()
    _flush()
    payload = answer if failed is None else failed[:_RESPONSE_BYTES_MAX]
    frames.send({"error": failed is not None, "peak_kb": _peak_kb()}, payload)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            pass
