"""The child: pyiceberg and pyarrow, one request at a time, no credentials, no network.

Standard output belongs to the frames alone. Threads of pyiceberg ask for files too, so a question and its answer go under
one lock. What a library raises over a stranger's file is told as the statement's failure, without its traceback.
"""

from __future__ import annotations

import os
import resource
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from lakebed.engines.iceberg.conversation import pack, size_of
from lakebed.kernel.children import die_with_parent
from lakebed.ports.sql import SqlFailure

Resolve = Callable[[str], Path]
Work = Callable[[Resolve, dict[str, Any]], Any]
Broken = tuple[type[BaseException], ...]


class Line:
    """The pipe to the server."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "wb", buffering=0)
        os.dup2(2, 1)
        self._in = sys.stdin.buffer
        self._lock = threading.Lock()

    def read(self) -> Any:
        """The next frame, None once the pipe is closed."""
        head = self._in.read(4)
        return msgspec.msgpack.decode(self._in.read(size_of(head))) if len(head) == 4 else None

    def write(self, message: Any) -> None:
        """Send a frame."""
        body = memoryview(pack(message))
        while body:
            body = body[self._out.write(body) :]

    def resolve(self, location: str) -> Path:
        """Ask the server where a location's bytes are."""
        with self._lock:
            self.write({"need": location})
            answer = self.read()
        if answer is None:
            os._exit(0)
        if "path" in answer:
            return Path(answer["path"])
        from lakebed.lake.tables.files import MissingFileError

        raise MissingFileError(f"{location} ({answer['missing']})")


def main() -> None:
    """Serve until the pipe closes."""
    die_with_parent()
    os.nice(5)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    line = Line()
    hello = line.read()
    if hello is None:
        return
    try:
        import pyarrow as pa
        from pyiceberg.manifest import clear_manifest_cache

        from lakebed.lake.tables import service
    except ImportError as missing:
        failure = {
            "name": "NOT_SUPPORTED",
            "message": f"Iceberg needs the extra: pip install 'lakebed[lake]' ({missing})",
        }
        line.write({"failure": {**failure, "category": 3, "retryable": False}})
        return
    pa.set_cpu_count(hello["threads"])
    _bounded(hello["memory_mb"])
    line.write({"result": True})
    while (request := line.read()) is not None:
        clear_manifest_cache()  # what a caller may read is decided anew for each request
        line.write(_answer(service.answer, line.resolve, request, service.BROKEN))


def _answer(work: Work, resolve: Resolve, request: dict[str, Any], broken: Broken) -> dict[str, Any]:
    try:
        return {"result": work(resolve, request)}
    except SqlFailure as failed:
        told = {"name": failed.name, "message": failed.message, "category": failed.category}
        return {"failure": {**told, "retryable": failed.retryable}}
    except FileNotFoundError as missing:
        return {"failure": {"name": "ICEBERG_CANNOT_OPEN_SPLIT", "message": f"File does not exist: {missing}",
                            "category": 2, "retryable": False}}  # fmt: skip
    except MemoryError:
        return {"failure": {"name": "EXCEEDED_LOCAL_MEMORY_LIMIT", "message": "The Iceberg engine's memory is used up.",
                            "category": 2, "retryable": False}}  # fmt: skip
    except broken as wrong:
        print(f"{type(wrong).__name__}: {wrong}", file=sys.stderr, flush=True)  # noqa: T201 - the child's log
        return {"failure": {"name": "ICEBERG_BAD_DATA", "message": f"{type(wrong).__name__}: {str(wrong)[:500]}",
                            "category": 2, "retryable": False}}  # fmt: skip


def _bounded(megabytes: int) -> None:
    """Address space: what is mapped now and so much more."""
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + (megabytes << 20),) * 2)


if __name__ == "__main__":
    main()
