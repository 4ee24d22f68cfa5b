"""The child: drivers of other databases, one request at a time; a connection lives as long as its request.

Standard output belongs to the frames alone. What a driver raises is told as the statement's failure, in one line, without
a traceback; drivers do not put passwords into their messages, and what looks like one is taken out all the same.
"""

from __future__ import annotations

import os
import resource
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from lakebed.engines.connectors.frames import pack, size_of
from lakebed.kernel.children import die_with_parent
from lakebed.ports.sql import SqlFailure

_MESSAGE_MAX = 500


def main() -> None:
    """Serve until the pipe closes."""
    die_with_parent()
    os.nice(5)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    out = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    import duckdb  # noqa: F401 - mapped before the limit is set

    _bounded(int(sys.argv[1]))
    while len(head := sys.stdin.buffer.read(4)) == 4:
        request = msgspec.msgpack.decode(sys.stdin.buffer.read(size_of(head)))
        body = memoryview(pack(_answer(request)))
        while body:
            body = body[out.write(body) :]


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    from lakebed.engines.connectors import reading

    try:
        return {"result": reading.answer(request, _opener(request))}
    except SqlFailure as failed:
        told = {"name": failed.name, "message": failed.message, "category": failed.category}
        return {"failure": {**told, "retryable": failed.retryable}}
    except MemoryError:
        return _failed("EXCEEDED_LOCAL_MEMORY_LIMIT", "The connector's memory is used up.", request)
    except _broken() as wrong:
        where = request.get("settings", {})
        place = where.get("host") and f" at {where['host']}:{where.get('port', '')}"
        line = str(wrong.args[-1] if wrong.args else wrong).strip().split("\n")[0]
        return _failed("GENERIC_USER_ERROR", f"{request.get('kind')}{place or ''}: {line}", request)


def _failed(name: str, message: str, request: dict[str, Any]) -> dict[str, Any]:
    if secret := request.get("settings", {}).get("password"):
        message = message.replace(secret, "***")
    return {"failure": {"name": name, "message": message[:_MESSAGE_MAX], "category": 2, "retryable": False}}


def _opener(request: dict[str, Any]) -> Callable[[], Any]:
    """What connects; the drivers are imported where they are needed."""
    kind = request.get("kind", "")
    if kind == "sqlite":
        from lakebed.engines.connectors.sqlite import Sqlite

        return lambda: Sqlite(request["settings"])
    try:
        if kind == "postgresql":
            from lakebed.engines.connectors.postgresql import Postgresql

            return lambda: Postgresql(request["settings"])
        if kind == "mysql":
            from lakebed.engines.connectors.mysql import Mysql

            return lambda: Mysql(request["settings"])
    except ImportError as missing:
        told = f"{kind} needs the extra: pip install 'lakebed[federation]' ({missing.name})"
        raise SqlFailure("NOT_SUPPORTED", told, category=3) from None
    raise SqlFailure("NOT_SUPPORTED", f"a connector for {kind} is not built in Lakebed")


def _broken() -> tuple[type[Exception], ...]:
    """What the drivers that are loaded raise."""
    loaded = {name: sys.modules[name] for name in ("psycopg", "pymysql", "duckdb") if name in sys.modules}
    found = [module.Error for module in loaded.values()]
    return (sqlite3.Error, OSError, UnicodeError, ValueError, *found)


def _bounded(megabytes: int) -> None:
    """Address space: what is mapped now and so much more."""
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + (megabytes << 20),) * 2)


if __name__ == "__main__":
    main()
