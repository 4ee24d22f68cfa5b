"""Fresh, locked DuckDB instances: one for each job, so that no job sees another's files, settings or leftovers.

Order matters: what may be touched is set first, then external access goes off (it cannot come back), then the
configuration is locked. Extensions are neither installed nor loaded, Python variables are no tables. Opening takes some
fifteen milliseconds, so the next two instances wait ready: another thread opens them (duckdb lets go of the interpreter
meanwhile) when a statement has ended.
https://duckdb.org/docs/stable/operations_manual/securing_duckdb/overview
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb

from lakebed.engines.sql_duckdb import native
from lakebed.lake.sql.macros import needed
from lakebed.ports.sql import SqlFailure

_SPARES = 2  # one for pruning partitions, one for the statement


class Instances:
    """Makes one instance after the other; ``interrupt`` (from another thread) stops the current one."""

    def __init__(self) -> None:
        self._limits: dict[str, int] = {"threads": 2, "memory_mb": 1024, "spill_gb": 20}
        self._spares: deque[Any] = deque()
        self._current: Any = None
        self._lock = threading.Lock()
        self._chores = ThreadPoolExecutor(1)
        self._stopped = False

    def limit(self, threads: int, memory_mb: int, spill_gb: int) -> None:
        """Set what each instance may take; comes before the first ``prepare``."""
        self._limits = {"threads": threads, "memory_mb": memory_mb, "spill_gb": spill_gb}

    @property
    def spill_bytes(self) -> int:
        """How much a statement may write beside its results."""
        return self._limits["spill_gb"] << 30

    def check(self) -> None:
        """Raises where the running statement was stopped; for work outside DuckDB."""
        if self._stopped:
            raise SqlFailure("USER_CANCELED", "Query was canceled")

    def prepare(self) -> None:
        """The statement has ended: its instance is closed and the next ones are opened, both in the background."""
        with self._lock:
            ended, self._current = self._current, None
        self._chores.submit(self._tidy, ended)

    def open(self, files: Sequence[str], directories: Sequence[Path]) -> Any:
        """An instance that may read ``files``, and read and write ``directories``."""
        if self._current is not None:
            self.prepare()
        connection = self._spares.popleft() if self._spares else self._open()
        if directories:
            spill = directories[0] / "spill"
            connection.execute(f"SET temp_directory={literal(str(spill))}")
            connection.execute(f"SET max_temp_directory_size='{self._limits['spill_gb']}GB'")
        if files:
            connection.execute(f"SET allowed_paths=[{', '.join(literal(path) for path in files)}]")
        if directories:
            listed = ", ".join(literal(f"{directory}/") for directory in directories)
            connection.execute(f"SET allowed_directories=[{listed}]")
        connection.execute("SET enable_external_access=false")
        connection.execute("SET lock_configuration=true")
        with self._lock:
            self._current, self._stopped = connection, False
        return connection

    def interrupt(self) -> None:
        """Stop what runs."""
        with self._lock:
            self._stopped = True
            if self._current is not None:
                self._current.interrupt()

    def _tidy(self, ended: Any) -> None:
        if ended is not None:
            ended.close()
        while len(self._spares) < _SPARES:
            self._spares.append(self._open())

    def _open(self) -> Any:
        connection = duckdb.connect(
            ":memory:",
            config={
                "python_enable_replacements": "false",
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
                "allow_community_extensions": "false",
                "threads": str(self._limits["threads"]),
                "memory_limit": f"{self._limits['memory_mb']}MB",
                "preserve_insertion_order": "true",
            },
        )
        connection.execute("SET TimeZone='UTC'")
        connection.execute("SET enable_profiling='no_output'")  # what ran is asked for when the statement has ended
        return connection


def execute(connection: Any, sql: str) -> Any:
    """Run a statement after making the macros it calls."""
    for macro in needed(sql):
        connection.execute(macro.replace("CREATE MACRO", "CREATE OR REPLACE MACRO", 1))
    if "lb_py_" in sql:
        native.register(connection, sql)
    return connection.execute(sql)


def literal(text: str) -> str:
    """A SQL string."""
    return "'" + text.replace("'", "''") + "'"
