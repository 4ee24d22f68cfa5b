"""Out of the SQL engine: a corpus of hostile statements through Athena and through the engine's own port.

A canary file lies outside the data directory, a canary socket listens on the loopback address; neither is ever touched.
What a refused statement says tells of no file, version, setting or environment. Bombs end within the limits while other
calls stay quick.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest
from botocore.exceptions import ClientError

from lakebed.engines.sql_duckdb.instance import Instances
from lakebed.engines.sql_duckdb.jobs import answer
from tests.security.stage import MARK, Stage

CORPUS = [
    tuple(line.split(" | ", 1))
    for line in Path(__file__).with_name("hostile.sql").read_text("utf-8").splitlines()
    if line and not line.startswith("--")
]
SECRET = "canary-text-7c1e"
_TELLS = re.compile(
    rf"duckdb|sqlglot|python|/usr/|/root|/home|/tmp/|site-packages|{SECRET}|v\d+\.\d+\.\d+|Traceback", re.IGNORECASE
)


@dataclass
class Trap:
    """The canaries."""

    folder: Path
    port: int
    heard: list[Any]

    @property
    def canary(self) -> Path:
        return self.folder / "canary.csv"

    @property
    def new(self) -> Path:
        return self.folder / "new"

    def fill(self, sql: str, data: Path) -> str:
        for name, value in (("canary", self.canary), ("new", self.new), ("port", self.port), ("data", data)):
            sql = sql.replace("{" + name + "}", str(value))
        return sql

    def untouched(self) -> None:
        assert self.heard == []
        assert sorted(path.name for path in self.folder.iterdir()) == ["canary.csv"]
        assert self.canary.read_text() == f"{SECRET},1\n"


@pytest.fixture(scope="module")
def trap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trap]:
    folder = tmp_path_factory.mktemp("canary")
    listener = socket.create_server(("127.0.0.1", 0))
    heard: list[Any] = []

    def listen() -> None:
        while True:
            try:
                heard.append(listener.accept()[1])
            except OSError:
                return

    threading.Thread(target=listen, daemon=True).start()
    made = Trap(folder, listener.getsockname()[1], heard)
    made.canary.write_text(f"{SECRET},1\n")
    os.utime(made.canary, (1_000_000_000, 1_000_000_000))
    yield made
    listener.close()
    made.untouched()
    assert made.canary.stat().st_mtime == 1_000_000_000


def judged(expected: str, found: dict[str, Any], sql: str, *given: str) -> str:
    """What is wrong with how a statement ended; "" where nothing is."""
    state, reason = found["Status"]["State"], found["Status"].get("StateChangeReason", "")
    shown = reason.replace(sql, "")
    for text in sorted(given, key=len, reverse=True):  # what the statement said itself may be said again
        shown = shown.replace(text, "")
    if expected == "refused" and state != "FAILED":
        return f"{state}: {sql}"
    if expected == "runs" and state != "SUCCEEDED":
        return f"{reason}: {sql}"
    if "GENERIC_INTERNAL_ERROR" in reason or "INTERNAL_ERROR" in reason:
        return f"internal: {reason}: {sql}"
    told = _TELLS.search(re.sub(r"'[^']*'|\"[^\"]*\"|`[^`]*`", "", shown))
    return f"tells {told[0]!r} in {reason!r}: {sql}" if told or SECRET in reason else ""


def test_the_corpus_is_large_enough() -> None:
    assert len(CORPUS) >= 150


def test_through_athena(stage: Stage, trap: Trap) -> None:
    """Every statement through StartQueryExecution, two at a time; the engine answers as before in between."""
    from botocore.exceptions import ClientError

    def one(case: tuple[str, ...]) -> str:
        expected, text = case
        sql = trap.fill(text, stage.server.data)
        try:
            found = stage.query(sql)
        except ClientError as refused:  # at the call already: a syntax error
            return "" if expected == "refused" else f"{refused}: {sql}"
        return judged(expected, found, sql, str(trap.canary), str(trap.new), str(stage.server.data))

    cases = [case for case in CORPUS if case[0] != "bound"]
    with ThreadPoolExecutor(2) as pool:
        wrong = [text for text in pool.map(one, cases) if text]
    assert wrong == []
    assert stage.query("SELECT typeof(now()), 1")["Status"]["State"] == "SUCCEEDED"
    trap.untouched()


def test_prepared_statements_are_read_when_they_run(stage: Stage, trap: Trap) -> None:
    for at, text in enumerate(
        ["COPY (SELECT 1) TO '{new}'", "SELECT * FROM read_text('{canary}')", "SELECT 1; SELECT 2", "SELECT ?"]
    ):
        stage.query(f"PREPARE evil{at} FROM {trap.fill(text, stage.server.data)}")
    for sql in (
        "EXECUTE evil0", "EXECUTE evil1", "EXECUTE evil2",
        f"EXECUTE evil3 USING (SELECT content FROM read_text('{trap.canary}'))", "EXECUTE evil3 USING getenv('HOME')",
        "EXECUTE evil3 USING 1, 2", "EXECUTE evil3 USING 1) q; COPY (SELECT 1) TO '/tmp/x' --",
    ):  # fmt: skip
        with contextlib.suppress(ClientError):  # refused at the call already
            assert stage.query(sql)["Status"]["State"] == "FAILED", sql
    parameters = [
        "read_text('/etc/passwd')",
        "1); COPY (SELECT 1) TO '/tmp/x' --",
        "getenv('HOME')",
        "'a' || getenv('HOME')",
    ]
    for parameter in parameters:
        found = stage.query("SELECT ? AS a", ExecutionParameters=[parameter])
        assert found["Status"]["State"] == "FAILED", parameter
    trap.untouched()


# What the service answers before the engine is asked.
ABOVE = ("SELECT 1;", "PREPARE p FROM", "EXPLAIN ANALYZE SELECT 1", "SELECT * FROM information_schema.schemata")


def test_through_the_engines_port(trap: Trap, tmp_path: Path) -> None:
    instances, wrong = Instances(), []
    for at, (expected, text) in enumerate(CORPUS):
        if expected == "bound":
            continue
        sql = trap.fill(text, tmp_path)
        out = tmp_path / str(at)
        told = answer(instances, {"op": "run", "id": "x", "sql": sql, "output": {"directory": str(out)}, "now": 1.7e9})
        if (expected == "refused") != ("failure" in told):
            wrong.append((told, sql))
        if (out / "result.csv").exists() and SECRET in (out / "result.csv").read_text():
            wrong.append(("read", sql))
    # The port reads queries alone: what is a statement of another kind above it is refused here as well.
    assert [case for case in wrong if not case[1].startswith(ABOVE)] == []
    trap.untouched()


def test_the_locked_instance_alone(trap: Trap, tmp_path: Path) -> None:
    """Behind the compiler: DuckDB itself, locked, refuses what would touch a file or the network."""
    for _, text in CORPUS:
        sql = trap.fill(text, tmp_path)
        if (
            not re.search(r"read_|glob|COPY|ATTACH|INSTALL|LOAD|SET |EXPORT|IMPORT|parquet_|sniff|{", sql)
            or "repeat" in sql
        ):
            continue
        scratch = tmp_path / "scratch"
        scratch.mkdir(exist_ok=True)
        instances = Instances()
        connection = instances.open([], [scratch])
        try:
            rows = str(connection.execute(sql).fetchall())
        except (duckdb.Error, ValueError):
            rows = ""
        assert SECRET not in rows.replace(str(trap.folder), ""), sql
        trap.untouched()


BOMBS = [text for expected, text in CORPUS if expected == "bound"]


def resident(pid: int) -> int:
    from tests.security.test_http import family

    total = 0
    for one in family(pid):
        try:
            total += int(Path(f"/proc/{one}/statm").read_text().split()[1]) * 4096
        except OSError:
            continue
    return total


def test_bombs(stage: Stage) -> None:
    """Two at a time, as many as there are workers: each ends within the limits, and the rest of the house stays quick."""
    done = threading.Event()
    slowest, peak = [0.0], [0]

    def others() -> None:
        s3 = stage.client("s3")
        while not done.is_set():
            started = time.monotonic()
            s3.head_object(Bucket=stage.names["bucket"], Key=f"{MARK}-key")
            slowest[0] = max(slowest[0], time.monotonic() - started)
            peak[0] = max(peak[0], resident(stage.server.address["pid"]))
            done.wait(0.05)

    def one(sql: str) -> tuple[str, float]:
        began = time.monotonic()
        return judged("bound", stage.query(sql), sql), time.monotonic() - began

    watcher = threading.Thread(target=others)
    watcher.start()
    try:
        with ThreadPoolExecutor(2) as pool:
            ended = list(pool.map(one, BOMBS))
    finally:
        done.set()
        watcher.join()
    assert [wrong for wrong, _ in ended if wrong] == []
    assert max(seconds for _, seconds in ended) < 12
    assert slowest[0] < 2.5, "another call waited"
    assert peak[0] < 3072 << 20, f"{peak[0] >> 20} MiB"
