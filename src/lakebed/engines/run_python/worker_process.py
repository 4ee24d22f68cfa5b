"""One worker as the server sees it: its socket, its log pipe, its private folder, and what may go wrong with it.

The log pipe is drained until it is empty once the answer is here: the worker flushes before it answers, so every line a
function printed belongs to its own invocation. Memory is watched as resident size, as Lambda counts it: an address-space
limit of 128 MB would fail programs that only reserve. Durations are the machine's (``clock.monotonic``).

https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import struct
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakebed.engines.run_python.fence import Fence
from lakebed.kernel.children import Child
from lakebed.kernel.kernel import Kernel
from lakebed.ports.runtime import FunctionSpec, ResponseSink

if TYPE_CHECKING:
    from lakebed.engines.run_python.runtimes import Launch

WORKER = Path(__file__).with_name("worker.py")
INIT_SECONDS = 10.0
LOG_BYTES_MAX = 4 << 20
FRAME_BYTES_MAX = 8 << 20
_LENGTHS = struct.Struct("!II")
_MEMORY_POLL_SECONDS = 0.05
_PAGE = os.sysconf("SC_PAGE_SIZE")
_ADDRESS_SLACK = 4 << 30
_FILE_BYTES_MAX = 10 << 30
_TREE_MAX = 256  # processes of one worker whose memory is added up
_USERS_FIRST, _USERS = 61_184, 4_300  # systemd's range of users that exist only while they run


class WorkerEndedError(Exception):
    """The worker is gone, without an answer."""


class WorkerTimeoutError(Exception):
    """No answer in time; the worker was killed."""


class WorkerMemoryError(Exception):
    """The worker used more memory than its function has, and was killed."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A frame from the worker."""

    header: dict[str, Any]
    body: bytes


class WorkerProcess:
    """A running worker of one spec. ``start``, ``init`` once, then ``invoke`` any number of times, then ``end``."""

    def __init__(self, kernel: Kernel, spec: FunctionSpec, folder: Path, launch: Launch) -> None:
        self.k, self.spec, self.launch = kernel, spec, launch
        self._folder = folder
        date = _date(kernel.clock.now())
        self.log_stream = f"{date}/[{spec.version}]{kernel.ids.uuid().replace('-', '')}"
        self.born = self.last_used = kernel.clock.now()
        self.isolation: dict[str, Any] = {}
        self.ready = False
        self.begun = False
        self.streamed = False
        self.provisioned = False
        self._log = bytearray()
        self._log_dropped = 0
        self._fence: Fence | None = None
        self._ending: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Spawn the process; it waits for its set-up frame."""
        self._folder.mkdir(parents=True, mode=0o700)
        (self._folder / "tmp").mkdir(mode=0o700)
        ours, theirs = socket.socketpair()
        self._channel, fence_end = socket.socketpair()
        self._log_fd, log_write = os.pipe2(os.O_CLOEXEC) if hasattr(os, "pipe2") else os.pipe()
        os.set_blocking(self._log_fd, False)
        handed = (theirs.fileno(), log_write, fence_end.fileno())
        try:
            self._child: Child = await self.k.children.spawn(
                "lambda-worker",
                [sys.executable, "-I", "-u", str(WORKER), *(str(fd) for fd in handed)],
                environment={"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "MALLOC_ARENA_MAX": "2"},
                pass_fds=handed,
            )
        except BaseException:
            ours.close()
            self._channel.close()
            os.close(self._log_fd)
            raise
        finally:
            theirs.close()
            fence_end.close()
            os.close(log_write)
        self._reader, self._writer = await asyncio.open_connection(sock=ours)
        asyncio.get_running_loop().add_reader(self._log_fd, self._take_log)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._child.pid

    @property
    def usable(self) -> bool:
        """Whether it is there to take another event."""
        return self.ready and self._ending is None and self._child.alive and not self._reader.at_eof()

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it lives."""
        return self._child.process.returncode

    async def init(self, environment: Mapping[str, str]) -> Answer:
        """Set up the sandbox and bring the program to where it asks for its first event."""
        spec, data, launch = self.spec, self.k.data.resolve(), self.launch
        setup = {
            "environment": dict(environment),
            "placed": launch.placed(spec),
            "handler": spec.handler,
            "command": launch.command(spec),
            "code": str(spec.code),
            "layers": str(spec.layers) if spec.layers else "",
            "runtime_dir": launch.runtime_dir,
            "tmp": str(self._folder / "tmp"),
            "tmp_bytes": spec.ephemeral_mb << 20 if launch.tmp_in_memory else 0,
            "root": str(self._folder / "root"),
            "hide": str(data) if launch.sandbox else "",
            "visible": launch.visible(),
            "programs": launch.programs(),
            "network": launch.network,
            "fence_port": launch.port(),
            "uid": _USERS_FIRST + int(self._folder.name) % _USERS,
            "file_bytes": _FILE_BYTES_MAX,
            "address_bytes": (spec.memory_mb << 20) + _ADDRESS_SLACK if launch.limits_addresses else 0,
            "parent": os.getpid(),
        }
        answer = await self._exchange(setup, b"", self.k.clock.monotonic() + INIT_SECONDS)
        self.isolation = {name: answer.header.get(name) for name in ("hidden", "nobody", "bare", "network", "depth")}
        self.ready = not answer.header.get("error", True)
        if self.isolation["network"] == "lakebed":
            self._fence = Fence(self._channel, self.launch.door)
            await self._fence.open()
        return answer

    async def invoke(
        self, header: Mapping[str, Any], event: bytes, until: float, sink: ResponseSink | None = None
    ) -> Answer:
        """Run one event; ``until`` is a ``clock.monotonic`` second. ``begun`` tells whether the code saw the event."""
        self.begun = self.streamed = False
        return await self._exchange(header, event, until, sink)

    def take_log(self) -> str:
        """What was printed since the last time."""
        self._take_log()
        text = bytes(self._log).decode("utf-8", "replace")
        if self._log_dropped:
            text += f"\n[lakebed] {self._log_dropped} bytes of output beyond {LOG_BYTES_MAX} were dropped\n"
        self._log.clear()
        self._log_dropped = 0
        return text

    async def end(self) -> None:
        """Kill it and remove its folder; any number of callers."""
        if self._ending is None:
            self._ending = asyncio.create_task(self._end())
        await asyncio.shield(self._ending)

    async def ended(self) -> int:
        """Wait for its end; the exit code."""
        return await self._child.wait()

    async def _end(self) -> None:
        self._child.kill()
        if self._fence is not None:
            await self._fence.close()
        self._channel.close()
        self._writer.close()
        await self._child.wait()
        await self._close_streams()
        asyncio.get_running_loop().remove_reader(self._log_fd)
        self._take_log()
        os.close(self._log_fd)
        self._log_fd = -1
        with suppress(OSError):
            await self._writer.wait_closed()
        await asyncio.to_thread(shutil.rmtree, self._folder, True)

    async def _close_streams(self) -> None:
        """The standard streams we do not use; left to the garbage they would outlive their loop."""
        process = self._child.process
        with suppress(OSError):
            if process.stdin is not None:
                process.stdin.close()
                await process.stdin.wait_closed()
            if process.stdout is not None:
                await process.stdout.read()

    async def _exchange(
        self, header: Mapping[str, Any], body: bytes, until: float, sink: ResponseSink | None = None
    ) -> Answer:
        head = json.dumps(header).encode()
        self._writer.write(_LENGTHS.pack(len(head), len(body)) + head + body)
        waiting = asyncio.ensure_future(self._receive(sink))
        try:
            await self._watched(waiting, until)
            answer = waiting.result()
        except BaseException:
            waiting.cancel()
            self.ready = False
            raise
        if int(answer.header.get("peak_kb", 0)) > self.spec.memory_mb << 10:
            self.ready = False
            raise WorkerMemoryError
        return answer

    async def _watched(self, waiting: asyncio.Future[Answer], until: float) -> None:
        """Return when the answer is here; look at the time and the memory meanwhile."""
        while not waiting.done():
            left = until - self.k.clock.monotonic()
            if left <= 0:
                raise WorkerTimeoutError
            await asyncio.wait((waiting,), timeout=min(left, _MEMORY_POLL_SECONDS))
            if not waiting.done() and self._resident_bytes() > self.spec.memory_mb << 20:
                raise WorkerMemoryError

    async def _receive(self, sink: ResponseSink | None) -> Answer:
        """The answer; what comes before it is news of the event, and pieces of an answer that streams."""
        while True:
            answer = await self._frame()
            if "begun" in answer.header:
                self.begun = True
            elif "begin" in answer.header and sink is not None:
                self.streamed = True
                await sink.begin(str(answer.header["begin"])[:256])
            elif "piece" in answer.header and sink is not None:
                await sink.write(answer.body)
            else:
                return answer

    async def _frame(self) -> Answer:
        try:
            head, body = _LENGTHS.unpack(await self._reader.readexactly(_LENGTHS.size))
            if head + body > FRAME_BYTES_MAX:
                raise WorkerEndedError("a frame beyond every limit")
            header = json.loads(await self._reader.readexactly(head))
            if not isinstance(header, dict) or not isinstance(header.get("peak_kb", 0), int):
                raise WorkerEndedError("not a frame")
            return Answer(header, await self._reader.readexactly(body))
        except (asyncio.IncompleteReadError, OSError, ValueError) as failure:
            raise WorkerEndedError(str(failure)) from None

    def _resident_bytes(self) -> int:
        """Memory of the function's processes: below those that stand by, and below the one that serves a Runtime API."""
        pid = self.pid
        for _ in range(int(self.isolation.get("depth") or 0)):
            pid = next(iter(_children(pid)), pid)
        pending, tree = _children(pid) if self.launch.is_served else [pid], list[int]()
        while pending and len(tree) < _TREE_MAX:
            tree.append(pending.pop())
            pending += _children(tree[-1])
        total = sum(_resident(pid) for pid in tree)
        if len(tree) > 1 and total > self.spec.memory_mb << 20:
            total = sum(_proportional(pid) for pid in tree)  # forks share most of what they have
        return total

    def _take_log(self) -> None:
        if self._log_fd < 0:
            return
        with suppress(BlockingIOError):
            while chunk := os.read(self._log_fd, 65536):
                room = LOG_BYTES_MAX - len(self._log)
                self._log += chunk[:room]
                self._log_dropped += max(0, len(chunk) - room)
            asyncio.get_running_loop().remove_reader(self._log_fd)  # end of file: every writer is gone


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except (OSError, IndexError, ValueError):
        return 0


def _proportional(pid: int) -> int:
    """Shared pages divided among those that share them; slow, and asked only in doubt."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) << 10
    except (OSError, IndexError, ValueError):
        pass
    return 0


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (OSError, ValueError):
        return []


def _date(now: float) -> str:
    """``2026/11/24`` of an epoch second."""
    return datetime.fromtimestamp(now, UTC).strftime("%Y/%m/%d")
