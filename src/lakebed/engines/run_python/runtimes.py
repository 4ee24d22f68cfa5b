"""Which runtimes there are here, and how the program of each is started.

- ``python3.9`` … ``python3.14``: the interpreter that runs Lakebed, whatever minor version the function names.
- ``nodejs18.x`` … ``nodejs24.x``: the ``node`` on the machine, where there is one.
- ``provided``, ``provided.al2``, ``provided.al2023``: the package's own ``bootstrap``.

The environment is Lambda's, from nothing: what is listed here, what the function configured, the credentials of the call.
``{code}``, ``{layers}`` and ``{tmp}`` stand for the folders as the sandbox shows them.

https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html
https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lakebed.engines.run_python.settings import RunPythonSettings
from lakebed.ports.runtime import FunctionSpec

PYTHON = frozenset(f"python3.{minor}" for minor in range(9, 15))
NODE = frozenset(f"nodejs{major}.x" for major in (18, 20, 22, 24))
PROVIDED = frozenset(("provided", "provided.al2", "provided.al2023"))
_HERE = Path(__file__).resolve().parent
_PATH = "/usr/local/bin:/usr/bin:/bin"


def node() -> str | None:
    """The ``node`` of this machine."""
    return shutil.which("node")


def available() -> frozenset[str]:
    """What can be run here."""
    return PYTHON | PROVIDED | (NODE if node() else frozenset())


@dataclass(frozen=True, slots=True)
class Launch:
    """How one worker is started. ``door`` tells where the HTTP door listens."""

    runtime: str
    settings: RunPythonSettings
    door: Callable[[], tuple[str, int]]

    @property
    def is_served(self) -> bool:
        """Whether the program is another one than the worker itself, and asks the Runtime API."""
        return self.runtime not in PYTHON

    @property
    def limits_addresses(self) -> bool:
        """An address-space limit is a second net under Python; other programs reserve what they never use."""
        return not self.is_served

    @property
    def sandbox(self) -> bool:
        """Whether it is to be closed in."""
        return self.settings.sandbox

    @property
    def network(self) -> str:
        """Whose network it has."""
        return self.settings.network

    @property
    def tmp_in_memory(self) -> bool:
        """Whether ``/tmp`` is a file system of its own, with a size."""
        return self.settings.tmp_in_memory

    @property
    def runtime_dir(self) -> str:
        """What lies in ``/var/runtime``."""
        return str(_HERE / "node") if self.runtime in NODE else ""

    def port(self) -> int:
        """The port of Lakebed's endpoint inside a network of the function's own."""
        return self.door()[1]

    def programs(self) -> list[str]:
        """Folders that the function's user must be able to enter."""
        return [str(_prefix(found))] if self.runtime in NODE and (found := node()) else []

    def visible(self) -> list[str]:
        """What of this machine is shown inside, besides the system's own folders."""
        interpreter = [sys.prefix, sys.base_prefix, os.path.dirname(os.__file__), str(_HERE)]  # noqa: PTH120 - a string
        return [*interpreter, *self.programs(), *self.settings.visible]

    def command(self, spec: FunctionSpec) -> list[str]:
        """The program that asks the Runtime API; empty for Python."""
        if self.runtime in PROVIDED:
            return ["bootstrap"]
        found = node() if self.runtime in NODE else None
        if found is None:
            return []
        return [
            found,
            f"--max-old-space-size={max(64, spec.memory_mb * 9 // 10)}",
            str(_HERE / "node" / "bootstrap.mjs"),
        ]

    def placed(self, spec: FunctionSpec) -> dict[str, str]:
        """The part of the environment that names folders."""
        own = spec.environment
        path = [own.get("PATH", _PATH), "{layers}/bin"] if spec.layers else [own.get("PATH", _PATH)]
        placed = {
            "LAMBDA_TASK_ROOT": "{code}",
            "LAMBDA_RUNTIME_DIR": "/var/runtime",
            "TMPDIR": own.get("TMPDIR", "{tmp}"),
            "PATH": ":".join(path),
            "LD_LIBRARY_PATH": _joined(
                "/lib64:/usr/lib64:{code}:{code}/lib", "{layers}/lib" if spec.layers else "", own.get("LD_LIBRARY_PATH", "")
            ),
        }  # fmt: skip
        if self.runtime in PYTHON:
            layered = f"{{layers}}/python:{{layers}}/python/lib/{self.runtime}/site-packages" if spec.layers else ""
            placed["PYTHONPATH"] = _joined("{code}", own.get("PYTHONPATH", ""), layered)
        if self.runtime in NODE:
            major = self.runtime.removeprefix("nodejs").removesuffix(".x")
            layered = (
                f"{{layers}}/nodejs/node{major}/node_modules:{{layers}}/nodejs/node_modules" if spec.layers else ""
            )
            placed["NODE_PATH"] = _joined(own.get("NODE_PATH", ""), layered, "{code}/node_modules:{code}")
        return placed


def _joined(*parts: str) -> str:
    return ":".join(filter(None, parts))


def _prefix(program: str) -> Path:
    """The folder a program's installation lies in: above its ``bin``."""
    return Path(program).resolve().parent.parent
