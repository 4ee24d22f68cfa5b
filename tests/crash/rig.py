"""The crash rig: a real server process, a killer with a seed, clients that write down what was acknowledged.

A kill is SIGKILL to the server at an instant drawn from the seed; the server is started again on the same directory and
ports. "Lost" means: in the acknowledgement log, and not where it should be after recovery and drain. Seeds are printed, so
a failing run can be played again (``LAKEBED_CRASH_SEED=…``).
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from botocore.handlers import add_expect_header
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from lakebed.cli import online

START_SECONDS_MAX = 40.0  # half a second on an idle machine; ours may be anything but
# A call that ended so may or may not have been done: the server died, or the answer did not arrive whole.
UNTOLD = (BotoCoreError, ResponseParserError, HTTPError, OSError)


def seed() -> int:
    """The run's seed: given, or drawn and printed."""
    chosen = int(os.environ.get("LAKEBED_CRASH_SEED") or random.SystemRandom().randrange(1 << 30))
    print(f"crash seed {chosen}")
    return chosen


class Server:
    """``lakebed up`` as a process of its own. Ports are chosen at the first start and kept.

    ``module`` runs in its place (tests.faults.server: the same server with a switch in it); ``environment`` is added to
    ours at each start. ``log``: where it writes when the data directory itself is to be full.
    """

    def __init__(
        self,
        data: Path,
        *,
        module: str = "lakebed.cli.main",
        environment: Mapping[str, str] | None = None,
        log: Path | None = None,
    ) -> None:
        self.data, self.log = data, log or data / "server.log"
        self.environment = dict(environment or {})
        self.http_port = self.mqtt_port = 0
        self.starts = 0
        self.slowest_start = 0.0
        self._module = module
        self._process: subprocess.Popen[bytes] | None = None
        data.mkdir(parents=True, exist_ok=True)

    def start(self) -> None:
        """Start and return once it answers."""
        began = time.monotonic()
        (self.data / "address.json").unlink(missing_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    sys.executable, "-m", self._module, "up", "--data", str(self.data),
                    "--port", str(self.http_port), "--mqtt-port", str(self.mqtt_port),
                ],
                stdout=log,
                stderr=log,
                env=os.environ | self.environment,
            )  # fmt: skip
        while not (self.data / "address.json").exists():
            assert self._process.poll() is None, self.tail()
            assert time.monotonic() - began < START_SECONDS_MAX, self.tail()
            time.sleep(0.005)
        where = self.address
        self.http_port, self.mqtt_port = where["http_port"], where["mqtt_port"]
        self.starts += 1
        self.slowest_start = max(self.slowest_start, time.monotonic() - began)

    @property
    def address(self) -> dict[str, Any]:
        """What the server says of itself."""
        found: dict[str, Any] = json.loads((self.data / "address.json").read_text())
        return found

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def signal(self, number: int) -> None:
        """Send it a signal (SIGSTOP, SIGCONT)."""
        assert self._process is not None
        self._process.send_signal(number)

    @property
    def pid(self) -> int:
        """The process that runs, or ran last."""
        assert self._process is not None
        return self._process.pid

    def died(self, within: float = 0.0) -> bool:
        """Whether it ended by itself, at the latest after so many seconds."""
        assert self._process is not None
        try:
            self._process.wait(within)
        except subprocess.TimeoutExpired:
            return False
        return True

    def rss_mb(self) -> float:
        """Resident memory of the server itself, without its children."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        return 0.0

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        return self._process.returncode

    def advance(self, seconds: float) -> None:
        """Move Lakebed's time forward, as ``lakebed clock advance`` does."""
        online.ask(self.data, "POST", "clock", {"advance": seconds})

    def tail(self) -> str:
        """The end of its log."""
        return self.log.read_text("utf-8", "replace")[-3000:]

    def client(self, service: str, *, port: int = 0, **config: Any) -> Any:
        """A boto3 client that gives up quickly: a killed server must not stall the rig. ``port``: a proxy's."""
        settings = {
            "retries": {"max_attempts": 1, "mode": "standard"},
            "connect_timeout": 2,
            "read_timeout": 10,
            "s3": {"addressing_style": "path"},
        } | config
        made = boto3.client(
            service,
            endpoint_url=f"http://127.0.0.1:{port or self.http_port}",
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(**settings),
        )
        if port and service == "s3":
            # Cut behind "100 Continue", botocore reads the end of the stream for ever, and no other thread gets to run.
            made.meta.events.unregister("before-call.s3", add_expect_header)
        return made


def patience(seconds: float) -> float:
    """A time target as it stands on a machine with room, six times that on one that others keep busy."""
    is_calm = os.getloadavg()[0] < 2 * (os.cpu_count() or 1)
    return seconds if is_calm else 6 * seconds


class Acknowledged:
    """What was promised: one JSON line each, written by the client the moment it was told."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a")
        self._lock = threading.Lock()
        self.entries: list[Any] = []

    def add(self, entry: Any) -> None:
        """Write it down."""
        with self._lock:
            self._file.write(json.dumps(entry) + "\n")
            self._file.flush()
            self.entries.append(entry)


def kill_repeatedly(
    server: Server, rng: random.Random, kills: int, *, between: tuple[float, float] = (0.02, 0.6)
) -> None:
    """Let it run for a drawn while, kill, start; ``kills`` times."""
    for _ in range(kills):
        time.sleep(rng.uniform(*between))
        server.kill()
        server.start()


def eventually(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait for the outside world, bounded."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"after {seconds} s: {what}"
        time.sleep(0.05)
