"""The hand on ``shim.c``: build it, arm it, disarm it. Needs a C compiler and a dynamic linker that preloads (Linux)."""

from __future__ import annotations

import errno
import mmap
import shutil
import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_PLAN = struct.Struct("8i480s")
KINDS = {"write": 1, "sync": 2, "open": 4, "rename": 8, "truncate": 16, "mkdir": 32}
POSSIBLE = sys.platform == "linux" and shutil.which("cc") is not None


@dataclass(frozen=True)
class Fault:
    """The ``nth`` call of one of ``kinds`` on a path with ``place`` in it fails; ``lasting``: so do all behind it."""

    kinds: tuple[str, ...]
    nth: int
    error: int = errno.EIO
    lasting: bool = False
    shorten: int = 0
    place: str = ""

    def __str__(self) -> str:
        what = f"{self.shorten} bytes only" if self.shorten else errno.errorcode[self.error]
        return f"{what} at {'/'.join(self.kinds)} {self.nth}{' and on' if self.lasting else ''} of {self.place}"


class Shim:
    """A built shim and the page it looks at."""

    def __init__(self, folder: Path) -> None:
        self._library, self._page = folder / "shim.so", folder / "shim.plan"
        source = Path(__file__).with_name("shim.c")
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", str(self._library), str(source), "-ldl"], check=True)
        self._page.write_bytes(bytes(_PLAN.size))
        with self._page.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), _PLAN.size)

    @property
    def environment(self) -> dict[str, str]:
        """What the server is started with."""
        return {"LD_PRELOAD": str(self._library), "LAKEBED_TEST_SHIM": str(self._page)}

    def arm(self, fault: Fault) -> None:
        """From the next call on."""
        kinds = sum(KINDS[kind] for kind in fault.kinds)
        self._memory[:] = _PLAN.pack(
            0, kinds, fault.error, fault.nth, fault.lasting, fault.shorten, 0, 0, fault.place.encode()
        )
        self._memory[0:4] = struct.pack("i", 1)

    def disarm(self) -> int:
        """Nothing fails any more; how many calls did."""
        self._memory[0:4] = struct.pack("i", 0)
        return int(_PLAN.unpack(self._memory[:])[7])
