"""The engine's own process: reads requests from standard input, answers on standard output, one at a time.

A second thread reads the pipe so that a cancel is heard while a statement runs. Standard output belongs to the frames
alone: it is moved to another descriptor first, so that nothing a library prints can break them.
"""

from __future__ import annotations

import os
import queue
import resource
import sys
import threading
from typing import Any, BinaryIO

import msgspec

from lakebed.engines.sql_duckdb.frames import pack, size_of
from lakebed.kernel.children import die_with_parent


def main() -> None:
    """Serve until the pipe closes."""
    die_with_parent()
    os.nice(5)  # a statement takes every core there is; requests of other services go before it
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NPROC, resource.getrlimit(resource.RLIMIT_NPROC))
    frames = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    from lakebed.engines.sql_duckdb.instance import Instances
    from lakebed.engines.sql_duckdb.jobs import answer

    instances = Instances()
    requests: queue.Queue[Any] = queue.Queue()
    threading.Thread(target=_read, args=(sys.stdin.buffer, requests, instances), daemon=True).start()
    while (request := requests.get()) is not None:
        body = pack(answer(instances, request))
        while body:
            body = body[frames.write(body) :]
        instances.prepare()
    os._exit(0)


def _read(stream: BinaryIO, requests: queue.Queue[Any], instances: Any) -> None:
    while len(head := stream.read(4)) == 4:
        request = msgspec.msgpack.decode(stream.read(size_of(head)))
        if request["op"] == "cancel":
            instances.interrupt()
        else:
            requests.put(request)
    instances.interrupt()
    requests.put(None)


if __name__ == "__main__":
    main()
