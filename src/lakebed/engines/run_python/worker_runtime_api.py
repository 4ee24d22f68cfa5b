"""The Lambda Runtime API, served to one program: node's bootstrap or the executable of a custom runtime.

A file of the worker's process; it imports nothing of Lakebed. The program is a child of this process, in the same
sandbox, and asks over HTTP on loopback (AWS_LAMBDA_RUNTIME_API) for its events. Each worker has a listener of its own,
which answers nobody else: in a network of its own nobody else is there, and on the host's network the process at the other
end of a connection is looked up (``/proc/net/tcp`` names its socket, ``/proc/*/fd`` who holds it) and must be one of this
sandbox. Where there is no ``/proc`` that can not be told, and the port alone guards.

Built: invocation/next, response (buffered, and streamed with trailers), error, init/error. The extensions, telemetry and
logs APIs answer 404.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
https://docs.aws.amazon.com/lambda/latest/dg/runtimes-custom.html
"""

# ruff: noqa: PTH113, PTH115, PTH118, PTH208, S606

from __future__ import annotations

import json
import os
import queue
import signal
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any, NoReturn

_RESPONSE_BYTES_MAX = 6 * 1024 * 1024 + 100
_STREAM_BYTES_MAX = 200 << 20
_HEAD_BYTES_MAX = 64 << 10
_PREFIX = "/2018-06-01/runtime/"
_AFTER_ANSWER_SECONDS = 0.1  # for what a program prints between its answer and its next question
_REASONS = {
    200: "OK",
    202: "Accepted",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    413: "Payload Too Large",
}


class _Event:
    """One invocation on its way."""

    def __init__(self, header: dict[str, Any], body: bytes) -> None:
        self.header, self.body = header, body
        self.deadline_ms = int((time.time() + header["timeout"]) * 1000)
        self.answer: tuple[bool, bytes] | None = None
        self.answered = threading.Event()
        self.next_asked, self.told = threading.Event(), threading.Event()


class _Api:
    """The state that the connections' threads share."""

    def __init__(self, frames: Any, told: dict[str, Any], program: int) -> None:
        self._frames, self.told, self.program = frames, told, program
        self.events: queue.Queue[_Event] = queue.Queue()
        self.current: _Event | None = None
        self.lock, self._sending = threading.Lock(), threading.Lock()
        self.ready = threading.Event()
        self.started = time.monotonic()

    def send(self, header: dict[str, Any], body: bytes = b"") -> None:
        """A frame to Lakebed, from whichever thread."""
        with self._sending:
            self._frames.send(header, body)

    def init_done(self) -> None:
        """The first question: what came before it was the init phase."""
        with self.lock:
            if self.ready.is_set():
                return
            self.ready.set()
        init_ms = (time.monotonic() - self.started) * 1000
        self.send({"init_ms": init_ms, "error": False, "peak_kb": self.peak_kb(), **self.told})

    def init_failed(self, body: bytes) -> None:
        """The program says that it can not begin."""
        with self.lock:
            if self.ready.is_set():
                return
            self.ready.set()
        self.send({"error": True, "peak_kb": self.peak_kb(), **self.told}, body)

    def next(self) -> _Event:
        """The next event, once there is one."""
        if self.current is not None:
            self.current.next_asked.set()
        self.init_done()
        event = self.events.get()
        self.current = event
        self.send({"begun": True})
        return event

    def answered(self, request_id: str, failed: bool, body: bytes) -> bool:
        """Whether the program answered the event it has; each event is answered once."""
        event = self.current
        with self.lock:
            if event is None or event.header["request_id"] != request_id or event.answer is not None:
                return False
            event.answer = failed, body
        event.answered.set()
        return True

    def run(self) -> NoReturn:
        """Events from Lakebed, one after the other; ends with the socket."""
        while True:
            header, body = self._frames.receive()
            event = _Event(header, body)
            self.events.put(event)
            event.answered.wait()
            event.next_asked.wait(_AFTER_ANSWER_SECONDS)
            assert event.answer is not None
            failed, answer = event.answer
            self.send({"error": failed, "peak_kb": self.peak_kb()}, answer)
            event.told.set()

    def ended(self) -> None:
        """The program is gone: what it answered before is still told."""
        event = self.current
        if event is not None and event.answered.is_set():
            event.next_asked.set()
            event.told.wait(1.0)

    def peak_kb(self) -> int:
        """Peak resident memory of the program."""
        try:
            with open(f"/proc/{self.program}/status", "rb") as status:
                for line in status:
                    if line.startswith(b"VmHWM"):
                        return int(line.split()[1])
        except OSError:
            pass
        return 0

    def is_ours(self, address: tuple[str, int], here: int) -> bool:
        """Whether the process at the other end of a connection is one of this sandbox."""
        if self.told["network"] == "lakebed":
            return True
        try:
            inode = _inode(address[1], here)
        except OSError:
            return True  # no /proc: nothing can be told
        return inode is not None and any(_holds(pid, inode) for pid in self._processes())

    def _processes(self) -> list[int]:
        everyone = [int(name) for name in os.listdir("/proc") if name.isdigit()]
        if self.told["hidden"] == "":
            return everyone
        parents = {pid: _parent(pid) for pid in everyone}
        return [pid for pid in everyone if self.program in _ancestors(pid, parents)]


def _ancestors(pid: int, parents: dict[int, int]) -> Iterator[int]:
    while pid:
        yield pid
        pid = parents.get(pid, 0)


def _parent(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return int(file.read().rsplit(")", 1)[1].split()[1])
    except (OSError, IndexError):
        return 0


def _inode(port: int, here: int) -> str | None:
    """The socket whose own port is ``port`` and that talks to ``here``."""
    with open("/proc/net/tcp") as table:
        for line in table:
            fields = line.split()
            if fields[1].endswith(f":{port:04X}") and fields[2].endswith(f":{here:04X}"):
                return fields[9]
    return None


def _holds(pid: int, inode: str) -> bool:
    try:
        return any(os.readlink(f"/proc/{pid}/fd/{fd}") == f"socket:[{inode}]" for fd in os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return False


class _Connection:
    """One HTTP/1.1 connection of the program, any number of requests."""

    def __init__(self, api: _Api, connection: socket.socket) -> None:
        self._api, self._connection = api, connection
        self._file = connection.makefile("rb")

    def serve(self) -> None:
        """Until the other side closes."""
        try:
            with self._connection:
                self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if not self._api.is_ours(self._connection.getpeername(), self._connection.getsockname()[1]):
                    self._send(403, {"errorMessage": "Forbidden", "errorType": "Forbidden"})
                    return
                while self._one():
                    pass
        except (OSError, ValueError):
            pass  # the program went away, or does not speak HTTP

    def _one(self) -> bool:
        line = self._file.readline(_HEAD_BYTES_MAX).decode("latin-1").split()
        if len(line) != 3:
            return False
        headers = self._headers()
        if headers.get("expect", "").lower() == "100-continue":
            self._connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._handle(line[0], line[1].partition("?")[0], headers)
        return headers.get("connection", "").lower() != "close"

    def _headers(self) -> dict[str, str]:
        found: dict[str, str] = {}
        size = 0
        while (line := self._file.readline(_HEAD_BYTES_MAX)) not in (b"\r\n", b"\n", b""):
            size += len(line)
            if size > _HEAD_BYTES_MAX:
                raise ValueError("a head beyond every limit")
            name, _, value = line.decode("latin-1").partition(":")
            found[name.strip().lower()] = value.strip()
        return found

    def _body(self, headers: dict[str, str], trailers: dict[str, str]) -> Iterator[bytes]:
        """The request's body, piece by piece; what follows a chunked one goes into ``trailers``."""
        if headers.get("transfer-encoding", "").lower() != "chunked":
            left = int(headers.get("content-length") or 0)
            while left:
                piece = self._file.read1(min(left, 1 << 16))
                if not piece:
                    raise ValueError("the body ended early")
                left -= len(piece)
                yield piece
            return
        while size := int(self._file.readline(1024).partition(b";")[0], 16):
            if size > _STREAM_BYTES_MAX:
                raise ValueError("a chunk beyond every limit")
            while size:
                piece = self._file.read1(min(size, 1 << 16))
                if not piece:
                    raise ValueError("the body ended early")
                size -= len(piece)
                yield piece
            self._file.readline(8)
        trailers.update(self._headers())

    def _handle(self, method: str, path: str, headers: dict[str, str]) -> None:
        asked = path.removeprefix(_PREFIX) if path.startswith(_PREFIX) else ""
        parts = asked.split("/")
        if method == "GET" and asked == "invocation/next":
            self._next()
        elif method == "POST" and asked == "init/error":
            self._api.init_failed(self._whole(headers) or b"{}")
            self._send(202, {"status": "OK"})
        elif method == "POST" and len(parts) == 3 and parts[0] == "invocation" and parts[2] == "response":
            self._response(parts[1], headers)
        elif method == "POST" and len(parts) == 3 and parts[0] == "invocation" and parts[2] == "error":
            body = self._whole(headers) or _error(headers.get("lambda-runtime-function-error-type", "Unhandled"), "")
            self._accept(self._api.answered(parts[1], True, (body or b"")[:_RESPONSE_BYTES_MAX]))
        else:
            self._whole(headers)
            self._send(404, {"errorMessage": "Not Found", "errorType": "NotFound"})

    def _next(self) -> None:
        event = self._api.next()
        header = event.header
        told = {
            "Lambda-Runtime-Aws-Request-Id": header["request_id"],
            "Lambda-Runtime-Deadline-Ms": str(event.deadline_ms),
            "Lambda-Runtime-Invoked-Function-Arn": header["arn"],
            "Lambda-Runtime-Trace-Id": header["trace"],
        }
        if header["client_context"]:
            told["Lambda-Runtime-Client-Context"] = json.dumps(header["client_context"])
        self._send(200, event.body, told)

    def _response(self, request_id: str, headers: dict[str, str]) -> None:
        event = self._api.current
        if event is None or event.header["request_id"] != request_id:
            self._whole(headers)
            self._accept(False)
            return
        if headers.get("lambda-runtime-function-response-mode", "").lower() == "streaming":
            self._streamed(event, headers)
            return
        body = self._whole(headers)
        if body is None:
            message = f"Response payload size exceeded maximum allowed payload size ({_RESPONSE_BYTES_MAX} bytes)."
            self._api.answered(request_id, True, _error("Function.ResponseSizeTooLarge", message))
            self._send(413, {"errorMessage": message, "errorType": "RequestEntityTooLarge"})
            return
        self._accept(self._api.answered(request_id, False, body))

    def _streamed(self, event: _Event, headers: dict[str, str]) -> None:
        """Pieces go to the caller as they come; for a caller that takes none they are the whole answer."""
        trailers: dict[str, str] = {}
        size, kept = 0, bytearray()
        live = event.header["streams"]
        if live:
            self._api.send({"begin": headers.get("content-type", "application/octet-stream")})
        for piece in self._body(headers, trailers):
            size += len(piece)
            if size > (_STREAM_BYTES_MAX if live else _RESPONSE_BYTES_MAX):
                continue
            if live:
                self._api.send({"piece": True}, piece)
            else:
                kept += piece
        kind, told = trailers.get("lambda-runtime-function-error-type"), None
        if kind:
            told = _decoded(trailers.get("lambda-runtime-function-error-body", "")) or _error(kind, "")
        elif size > (_STREAM_BYTES_MAX if live else _RESPONSE_BYTES_MAX):
            told = _error("Function.ResponseSizeTooLarge", "Response payload size exceeded the maximum allowed.")
        answer = told if told is not None else bytes(kept)
        self._accept(self._api.answered(event.header["request_id"], told is not None, answer))

    def _whole(self, headers: dict[str, str]) -> bytes | None:
        pieces, size = [], 0
        for piece in self._body(headers, {}):
            size += len(piece)
            if size <= _RESPONSE_BYTES_MAX:
                pieces.append(piece)
        return b"".join(pieces) if size <= _RESPONSE_BYTES_MAX else None

    def _accept(self, known: bool) -> None:
        if known:
            self._send(202, {"status": "OK"})
        else:
            self._send(400, {"errorMessage": "Invalid request ID", "errorType": "InvalidRequestID"})

    def _send(self, status: int, body: bytes | dict[str, Any], headers: dict[str, str] | None = None) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        head = [
            f"HTTP/1.1 {status} {_REASONS[status]}",
            "Content-Type: application/json",
            f"Content-Length: {len(data)}",
        ]
        head += [f"{name}: {value}" for name, value in (headers or {}).items()]
        self._connection.sendall(("\r\n".join(head) + "\r\n\r\n").encode("latin-1", "replace") + data)


def _error(kind: str, message: str) -> bytes:
    return json.dumps({"errorType": kind, "errorMessage": message}).encode()


def _decoded(text: str) -> bytes:
    import base64
    import binascii

    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return text.encode()


def _executable(setup: dict[str, Any], sandbox: Any) -> list[str]:
    """The command line; of a custom runtime the first bootstrap there is."""
    folders = {"{code}": sandbox.code, "{layers}": sandbox.layers}
    command = []
    for part in setup["command"]:
        for mark, folder in folders.items():
            part = part.replace(mark, folder)
        command.append(part)
    if command != ["bootstrap"]:
        wrapper = setup["environment"].get("AWS_LAMBDA_EXEC_WRAPPER")
        return [wrapper, *command] if wrapper else command
    for folder in filter(None, (sandbox.code, sandbox.layers)):
        if os.path.isfile(os.path.join(folder, "bootstrap")):
            return [os.path.join(folder, "bootstrap")]
    return []


def _start(command: list[str]) -> int:
    """The program as a child, without anything of ours but the log pipe; an exec that fails is told by exit 127."""
    program = os.fork()
    if program:
        return program
    for number in (signal.SIGXFSZ, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execve(command[0], command, dict(os.environ))
    except OSError as failure:
        os.write(1, f"fork/exec {command[0]}: {failure.strerror}\n".encode())
    os._exit(127)


def _follow(api: _Api) -> NoReturn:
    """End as the program ends."""
    _, status = os.waitpid(api.program, 0)
    api.ended()
    code = os.waitstatus_to_exitcode(status)
    if code < 0 and -code not in (signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ):  # Python takes these
        os.kill(os.getpid(), -code)
        time.sleep(1)
    os._exit(code if code >= 0 else 128 - code)


def _accept(listener: socket.socket, api: _Api) -> NoReturn:
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_Connection(api, connection).serve, daemon=True).start()


def serve(frames: Any, setup: dict[str, Any], sandbox: Any) -> NoReturn:
    """Start the program and serve it until it ends or Lakebed goes."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(16)
    os.environ["AWS_LAMBDA_RUNTIME_API"] = f"127.0.0.1:{listener.getsockname()[1]}"
    command = _executable(setup, sandbox)
    if not command:
        message = f"Couldn't find valid bootstrap(s): [{sandbox.code}/bootstrap {sandbox.layers or '/opt'}/bootstrap]"
        frames.send({"error": True, "peak_kb": 0, **sandbox.told}, _error("Runtime.InvalidEntrypoint", message))
        os._exit(1)
    if not os.access(command[0], os.X_OK):
        message = f"fork/exec {command[0]}: permission denied"
        frames.send({"error": True, "peak_kb": 0, **sandbox.told}, _error("Runtime.InvalidEntrypoint", message))
        os._exit(1)
    api = _Api(frames, sandbox.told, _start(command))
    threading.Thread(target=_accept, args=(listener, api), daemon=True).start()
    threading.Thread(target=_follow, args=(api,), daemon=True).start()
    api.run()
