"""Worker: the process a Lambda function's code runs in. A file on its own: it imports nothing of Lakebed.

Started as ``python -I worker.py <frame fd> <log fd>``. The frame socket carries length-prefixed frames (4 bytes of header
size, 4 bytes of body size, a JSON header, a body); what the function prints goes to the log pipe, so that it can not
corrupt a frame. The first frame says how to set the sandbox up and what to import; each further one is an event.

Sandbox, each step only where it works without privileges that are not there: a mount namespace in which Lakebed's data
directory is empty but for the function's own code and temporary folder and ``/tmp`` is private, a process namespace of its
own, another user when we are root, no capabilities, limits on core dumps, file size and address space.
docs/deviations/lambda.md says what this is and what it is not.

https://docs.aws.amazon.com/lambda/latest/dg/python-handler.html
https://docs.aws.amazon.com/lambda/latest/dg/python-context.html
"""

# pathlib and contextlib would make every cold start slower.
# ruff: noqa: PTH100, PTH103, PTH116, PTH120, SIM105

from __future__ import annotations

import ctypes
import importlib
import json
import os
import resource
import signal
import socket
import struct
import sys
import time
import traceback
from typing import Any, NoReturn

_LENGTHS = struct.Struct("!II")
_RESPONSE_BYTES_MAX = 6 * 1024 * 1024 + 100
_FRAME_BYTES_MAX = 64 << 20
_MS_READ_ONLY, _MS_REMOUNT, _MS_BIND, _MS_REC, _MS_PRIVATE = 1, 32, 4096, 16384, 1 << 18
_CLONE_NEWNS, _CLONE_NEWUSER, _CLONE_NEWPID = 0x00020000, 0x10000000, 0x20000000
_NOBODY = 65534
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 1, 4, 24, 38
_CAPABILITY_VERSION_3 = 0x20080522


class Frames:
    """Blocking frames over the socket to Lakebed."""

    def __init__(self, fd: int) -> None:
        self._socket = socket.socket(fileno=fd)

    def receive(self) -> tuple[dict[str, Any], bytes]:
        """The next frame; ends the process when Lakebed is gone."""
        head, body = _LENGTHS.unpack(self._exactly(_LENGTHS.size))
        return json.loads(self._exactly(head)), self._exactly(body)

    def send(self, header: dict[str, Any], body: bytes = b"") -> None:
        """One frame."""
        head = json.dumps(header).encode()
        self._socket.sendall(_LENGTHS.pack(len(head), len(body)) + head + body)

    def _exactly(self, size: int) -> bytes:
        if size > _FRAME_BYTES_MAX:
            os._exit(70)
        pieces, left = [], size
        while left:
            piece = self._socket.recv(min(left, 1 << 20))
            if not piece:
                os._exit(0)
            pieces.append(piece)
            left -= len(piece)
        return b"".join(pieces)


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


def _install_logging() -> None:
    """Lambda's handler on the root logger: level, time, request id, message."""
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

    logging.Formatter.converter = time.gmtime
    handler = Handler()
    handler.setFormatter(
        logging.Formatter(
            "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s\n", "%Y-%m-%dT%H:%M:%S"
        )
    )
    handler.addFilter(Request())
    logging.getLogger().addHandler(handler)


def _error(kind: str, message: str, trace: list[str], request_id: str = "") -> bytes:
    return json.dumps(
        {"errorMessage": message, "errorType": kind, "requestId": request_id, "stackTrace": trace}
    ).encode()


def _print_error(kind: str, message: str, trace: list[str]) -> None:
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


def _reachable(path: str, uid: int) -> bool:
    """Whether ``uid``, without any privilege, reaches ``path``."""
    try:
        while True:
            found = os.stat(path)
            if not found.st_mode & (0o100 if found.st_uid == uid else 0o001):
                return False
            if path == "/":
                return True
            path = os.path.dirname(path)
    except OSError:
        return False


def _hide(libc: ctypes.CDLL, setup: dict[str, Any]) -> str | None:
    """Own mount namespace: the data directory is empty but for what the function needs. None, or why it did not work."""
    uid, gid = os.geteuid(), os.getegid()

    def must(code: int, what: str) -> None:
        if code != 0:
            raise OSError(ctypes.get_errno(), what)

    def mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
        must(
            libc.mount(
                source.encode(), target.encode(), kind.encode() if kind else None, ctypes.c_ulong(flags),
                data.encode() if data else None,
            ),
            f"mount {target}",
        )  # fmt: skip

    try:
        must(libc.unshare(_CLONE_NEWNS | _CLONE_NEWPID | (0 if uid == 0 else _CLONE_NEWUSER)), "unshare")
        if uid != 0:
            for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
                with open(f"/proc/self/{name}", "w") as file:
                    file.write(text)
        mount("none", "/", None, _MS_REC | _MS_PRIVATE)
        kept = [setup["code"], setup["tmp"]]
        opened = [os.open(path, os.O_PATH | os.O_DIRECTORY) for path in kept]
        mount("tmpfs", setup["hide"], "tmpfs", 2 | 4, "size=64k,mode=755")  # nosuid, nodev
        for path, fd in zip(kept, opened, strict=True):
            os.makedirs(path, exist_ok=True)
            mount(f"/proc/self/fd/{fd}", path, None, _MS_BIND)
            os.close(fd)
        try:
            mount("none", setup["code"], None, _MS_BIND | _MS_REMOUNT | _MS_READ_ONLY)
        except OSError:
            pass  # below a mount whose flags may not be changed here
        if setup["private_tmp"]:
            mount(setup["tmp"], "/tmp", None, _MS_BIND)  # noqa: S108 - the function's own
    except OSError as failure:
        return str(failure)
    return None


def _enter_process_namespace(libc: ctypes.CDLL, frame_fd: int) -> None:
    """Go on as a grandchild: the first process stands by outside, the second is the namespace's init and reaps.

    Inside, no other process can be seen or signalled; when the function's process ends, or Lakebed does, init ends and
    the kernel kills whatever the function left running.
    """
    child = os.fork()
    if child:
        _stand_by(libc, frame_fd, child, init=False)
    libc.mount(
        b"proc", b"/proc", b"proc", ctypes.c_ulong(2 | 4 | 8), None
    )  # where refused, /proc shows the host's pids
    child = os.fork()
    if child:
        _stand_by(libc, frame_fd, child, init=True)


def _stand_by(libc: ctypes.CDLL, frame_fd: int, child: int, *, init: bool) -> NoReturn:
    """Wait for the function's process and end as it ended; hold nothing that would keep its pipes open."""
    os.close(frame_fd)
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (1, 2):
        os.dup2(null, fd)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ended, status = os.wait()
    while ended != child:
        ended, status = os.wait()
    code = os.waitstatus_to_exitcode(status)
    if init:
        os._exit(code if code >= 0 else 128 - code)  # an init can not kill itself
    if code > 128:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), code - 128)
    os._exit(code if code >= 0 else 1)


def _limit(setup: dict[str, Any]) -> None:
    for name, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, setup["file_bytes"]),
        (resource.RLIMIT_AS, setup["address_bytes"]),
    ):
        _, hard = resource.getrlimit(name)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        try:
            resource.setrlimit(name, (value, value))
        except (OSError, ValueError):
            pass
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a too large file is an OSError, not a death


def _needed() -> tuple[str, ...]:
    return sys.prefix, os.path.dirname(os.__file__)


def _become_nobody(libc: ctypes.CDLL, setup: dict[str, Any]) -> bool:
    """Leave root, where nobody else's rights reach the interpreter; file permissions then guard the data directory."""
    if os.geteuid() != 0 or not all(_reachable(path, _NOBODY) for path in _needed()):
        return False
    os.chown(setup["tmp"], _NOBODY, _NOBODY)
    for path in (setup["code"], setup["tmp"]):
        if not _reachable(path, _NOBODY):
            _reach_by_descriptor(setup, path)
    os.setgroups([])
    os.setgid(_NOBODY)
    os.setuid(_NOBODY)
    libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)  # else /proc/self stays root's
    return True


def _reach_by_descriptor(setup: dict[str, Any], path: str) -> None:
    """A folder below ones that nobody may not enter: named by an open descriptor from now on."""
    descriptor = os.open(path, os.O_PATH | os.O_DIRECTORY)
    os.set_inheritable(descriptor, True)
    name = f"/proc/self/fd/{descriptor}"
    for key in ("code", "tmp"):
        setup[key] = name if setup[key] == path else setup[key]
    environment = setup["environment"]
    for key, value in environment.items():
        environment[key] = value.replace(path, name)


def _drop_capabilities(libc: ctypes.CDLL, setup: dict[str, Any]) -> bool:
    """Without capabilities even root can not unmount what hides the data, nor look into the server's process."""
    paths = [path for path in (*_needed(), setup["code"]) if not path.startswith("/proc/self/fd/")]
    if not all(_reachable(path, os.geteuid()) for path in paths):
        return False
    for capability in range(64):
        libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    return bool(libc.capset(header, (ctypes.c_uint32 * 6)()) == 0)


def _sandbox(setup: dict[str, Any], frame_fd: int) -> dict[str, Any]:
    """Close the doors; what came of it is told to Lakebed."""
    told: dict[str, Any] = {"hidden": "not on this platform", "nobody": False, "bare": False}
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() == 1 and setup["parent"] != 1:
            os._exit(0)
        if not setup["hide"]:
            told["hidden"] = "switched off"
        else:
            told["hidden"] = _hide(libc, setup) or ""
            if not told["hidden"]:
                _enter_process_namespace(libc, frame_fd)
            told["nobody"] = _become_nobody(libc, setup)
            told["bare"] = _drop_capabilities(libc, setup)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # again: changing the user cleared it
    _limit(setup)
    return told


def _prepare(setup: dict[str, Any]) -> None:
    os.environ.clear()
    os.environ.update(setup["environment"])
    os.umask(0o022)
    if hasattr(time, "tzset"):
        time.tzset()
    os.chdir(setup["code"])
    extra = [path for path in os.environ.get("PYTHONPATH", "").split(":") if path and path != setup["code"]]
    own = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [setup["code"], *extra, *(path for path in sys.path if path not in (own, ""))]
    sys.argv = [""]
    sys.dont_write_bytecode = True


def _invoke(frames: Frames, function: Any, header: dict[str, Any], body: bytes) -> None:
    os.environ.update(header["environment"])
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


def main() -> None:
    """Set up, import, then one event after the other until the socket closes."""
    frame_fd, log_fd = int(sys.argv[1]), int(sys.argv[2])
    os.dup2(log_fd, 1)
    os.dup2(log_fd, 2)
    os.close(log_fd)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.set_inheritable(frame_fd, False)
    frames = Frames(frame_fd)
    setup, _ = frames.receive()
    sandbox = _sandbox(setup, frame_fd)
    _prepare(setup)
    _install_logging()
    started = time.monotonic()
    function, failure = _load(setup["handler"])
    _flush()
    init_ms = (time.monotonic() - started) * 1000
    frames.send({"init_ms": init_ms, "error": failure is not None, "peak_kb": _peak_kb(), **sandbox}, failure or b"")
    if failure is not None:
        os._exit(1)
    while True:
        header, body = frames.receive()
        frames.send({"begun": True})  # without this frame Lakebed may give the event to another worker
        _invoke(frames, function, header, body)


if __name__ == "__main__":
    main()
