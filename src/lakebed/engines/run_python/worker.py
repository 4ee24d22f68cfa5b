"""Worker: the process a Lambda function's code runs in. The files of this process import nothing of Lakebed.

Started as ``python -I worker.py <frame fd> <log fd> <fence fd>``. The frame socket carries length-prefixed frames (4 bytes
of header size, 4 bytes of body size, a JSON header, a body); what the function prints goes to the log pipe, so that it can
not corrupt a frame. The first frame says how to set the sandbox up (``worker_sandbox.py``) and what to run; each further
one is an event. Python functions run in this process (``worker_python.py``); of other runtimes this process starts the
program and serves it the Lambda Runtime API (``worker_runtime_api.py``).

https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
"""

# pathlib would make every cold start slower.
# ruff: noqa: PTH100, PTH112, PTH118, PTH120

from __future__ import annotations

import importlib.util
import json
import os
import socket
import struct
import sys
import time
from typing import Any, NoReturn

_LENGTHS = struct.Struct("!II")
_FRAME_BYTES_MAX = 64 << 20
_AGAIN = "--sandboxed"


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

    def detach(self) -> int:
        """The bare descriptor, for a program that takes this one's place."""
        return self._socket.detach()

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


def _beside(name: str) -> Any:
    """A file beside this one, under a name no function's module has."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), name)
    spec = importlib.util.spec_from_file_location(f"_lakebed_{name.removesuffix('.py')}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _prepare(setup: dict[str, Any], code: str) -> None:
    """Environment, folder and module path of the function."""
    os.environ.clear()
    os.environ.update(setup["environment"])
    os.umask(0o022)
    if hasattr(time, "tzset"):
        time.tzset()
    os.chdir(code)


def _paths(code: str) -> None:
    extra = [path for path in os.environ.get("PYTHONPATH", "").split(":") if path and path != code]
    own = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [code, *extra, *(path for path in sys.path if path not in (own, ""))]
    sys.argv = [""]
    sys.dont_write_bytecode = True


def _become(setup: dict[str, Any], frames: Frames, told: dict[str, Any], code: str) -> NoReturn:
    """Start this program anew where the libraries of a layer must be found by its loader, or a wrapper is asked for."""
    fd = frames.detach()
    os.set_inheritable(fd, True)
    state = json.dumps({"handler": setup["handler"], "told": told, "code": code})
    command = [sys.executable, "-I", "-u", os.path.abspath(__file__), _AGAIN, str(fd), state]
    wrapper = os.environ.get("AWS_LAMBDA_EXEC_WRAPPER")
    if wrapper:
        command.insert(0, wrapper)
    os.execve(command[0], command, dict(os.environ))  # noqa: S606 - the function's own wrapper, in its sandbox


def _serve(frames: Frames, handler: str, told: dict[str, Any], code: str) -> NoReturn:
    python = _beside("worker_python.py")
    _paths(code)
    python.serve(frames, handler, told)
    os._exit(0)


def main() -> None:
    """Set up, import, then one event after the other until the socket closes."""
    if sys.argv[1] == _AGAIN:
        fd, state = int(sys.argv[2]), json.loads(sys.argv[3])
        os.set_inheritable(fd, False)
        _serve(Frames(fd), state["handler"], state["told"], state["code"])
    frame_fd, log_fd, fence_fd = (int(one) for one in sys.argv[1:4])
    os.dup2(log_fd, 1)
    os.dup2(log_fd, 2)
    os.close(log_fd)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.set_inheritable(frame_fd, False)
    frames = Frames(frame_fd)
    setup, _ = frames.receive()
    api = _beside("worker_runtime_api.py") if setup["command"] else None  # read before the old root goes
    sandbox = _beside("worker_sandbox.py").enter(setup, frame_fd, fence_fd)
    _prepare(setup, sandbox.code)
    if api is not None:
        api.serve(frames, setup, sandbox)
    libraries = any(os.path.isdir(os.path.join(folder, "lib")) for folder in (sandbox.code, sandbox.layers) if folder)
    if libraries or os.environ.get("AWS_LAMBDA_EXEC_WRAPPER"):
        _become(setup, frames, sandbox.told, sandbox.code)
    _serve(frames, setup["handler"], sandbox.told, sandbox.code)


if __name__ == "__main__":
    main()
