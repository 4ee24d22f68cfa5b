"""Child processes: started in their own process group, dying with us, with a bounded log, and reaped after a crash.

A child's main calls ``die_with_parent`` first. Every child is recorded (pid and start time) in ``children/`` so that the
next boot kills what a crashed one left behind without ever hitting a stranger that got the same pid. Talking to the child
(frames on its standard streams or a socket) is the business of whoever starts it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_LOG_BYTES_MAX = 8 << 20


def die_with_parent() -> None:
    """Called by a child first: the kernel kills it when its parent goes (Linux; elsewhere its closed pipe must do)."""
    if sys.platform == "linux":
        import ctypes  # the parent does without

        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() == 1:
            os._exit(0)


def start_time(pid: int) -> str | None:
    """The kernel's start tick of a process, None when there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return None
    return fields[19] if fields[0] != "Z" else None


class Child:
    """One running child. ``stdin``/``stdout`` are its frames' streams; stderr goes to ``<name>.log``."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, record: Path) -> None:
        self.name, self.process, self._record = name, process, record

    @property
    def pid(self) -> int:
        """Process id, also its group's."""
        return self.process.pid

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return self.process.returncode is None

    async def wait(self) -> int:
        """Its exit code, once it ended."""
        code = await self.process.wait()
        self._record.unlink(missing_ok=True)
        return code

    async def stop(self, grace_seconds: float = 2.0) -> None:
        """TERM to the group, KILL after the grace; returns when it is gone."""
        for signal_number in (signal.SIGTERM, signal.SIGKILL):
            if not self.alive:
                break
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal_number)
            with suppress(TimeoutError):
                await asyncio.wait_for(self.process.wait(), grace_seconds)
        self._record.unlink(missing_ok=True)

    def kill(self) -> None:
        """KILL the group now; ``wait`` follows."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)


class Children:
    """All children of a house; records and logs in ``directory``."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._running: dict[str, Child] = {}
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)

    async def spawn(
        self,
        name: str,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str],
        working_directory: Path | None = None,
        pass_fds: Sequence[int] = (),
    ) -> Child:
        """Start ``arguments`` with exactly ``environment`` (nothing of ours is inherited)."""
        log = self._directory / f"{name}.log"
        if log.exists() and log.stat().st_size > _LOG_BYTES_MAX:
            log.replace(log.with_suffix(".log.1"))
        with log.open("ab") as errors:
            process = await asyncio.create_subprocess_exec(
                *arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                env=dict(environment),
                cwd=working_directory,
                start_new_session=True,
                pass_fds=tuple(pass_fds),
                limit=1 << 20,
            )
        record = self._directory / f"{name}.{process.pid}.pid"
        record.write_text(f"{process.pid} {start_time(process.pid) or ''}")
        child = self._running[f"{name}.{process.pid}"] = Child(name, process, record)
        return child

    def reap_orphans(self) -> int:
        """At boot: kill what an earlier boot left running; returns how many."""
        killed = 0
        for record in self._directory.glob("*.pid"):
            pid_text, _, started = record.read_text().partition(" ")
            if pid_text.isdigit() and started and start_time(int(pid_text)) == started:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(int(pid_text), signal.SIGKILL)
                    killed += 1
            record.unlink(missing_ok=True)
        return killed

    async def stop_all(self) -> None:
        """Stop in reverse order of their start."""
        for child in reversed(list(self._running.values())):
            await child.stop()
        self._running.clear()
