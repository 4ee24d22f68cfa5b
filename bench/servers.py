"""The servers under measurement, each in its own process; peers live in throw-away environments under ``.bench/``."""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / ".bench"
PEERS = {"ministack": "ministack[full]", "moto_server": "moto[server,all]"}


def free_port() -> int:
    """A port nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment_of(peer: str) -> Path | None:
    """The peer's own virtual environment, made on first use; None where it cannot be installed."""
    venv = WORK / "venvs" / peer
    marker = venv / ".ready"
    if not marker.exists():
        shutil.rmtree(venv, ignore_errors=True)
        print(f"installing {PEERS[peer]} …", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        pip = [str(venv / "bin/pip"), "install", "-q", "--disable-pip-version-check", PEERS[peer]]
        if subprocess.run(pip, check=False).returncode != 0:
            return None
        marker.touch()
    return venv


@dataclass(slots=True)
class Running:
    """A started server: where it answers, its process, how long its start took."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    start_seconds: float
    data: Path = field(default_factory=Path)

    def rss_mb(self) -> float:
        """Resident memory of the process and all its descendants."""
        return sum(_rss(pid) for pid in _family(self.process.pid)) / 1024

    def stop(self) -> None:
        """End it and everything it started."""
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start(name: str) -> Running | None:
    """Start a server by name and wait for its first HTTP answer."""
    port, data = free_port(), WORK / "data" / name
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir(parents=True)
    environment = dict(os.environ) | {"PYTHONDONTWRITEBYTECODE": ""}
    if name == "lakebed":
        lakebed = str(Path(sys.executable).parent / "lakebed")
        command = [lakebed, "up", "--data", str(data), "--port", str(port), "--mqtt-port", "0"]
    else:
        venv = environment_of(name)
        if venv is None:
            return None
        if name == "ministack":
            environment |= {"GATEWAY_PORT": str(port), "PORT": str(port), "BIND_HOST": "127.0.0.1"}
            environment |= {"MINISTACK_HOST": "127.0.0.1", "DATA_DIR": str(data)}
            command = [str(venv / "bin/ministack")]
        else:
            command = [str(venv / "bin/moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    began = time.perf_counter()
    log = (data / "bench.log").open("wb")
    process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=data)
    while True:
        if process.poll() is not None or time.perf_counter() - began > 60:
            process.kill()
            print(f"{name} did not start: {(data / 'bench.log').read_text('utf-8', 'replace')[-400:]}")
            return None
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/")
            connection.getresponse().read()
            return Running(name, port, process, time.perf_counter() - began, data)
        except OSError:
            time.sleep(0.005)


def _rss(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0


def _family(pid: int) -> list[int]:
    found = [pid]
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except (OSError, IndexError):
                continue
            if parent == pid:
                found += _family(int(entry.name))
    return found
