"""F10: the server is stopped and goes on; its children die. Others hardly notice, and each child is back in seconds.

SIGSTOP freezes the whole server (a laptop's lid, a debugger, a starved host): clients time out, nothing acknowledged is
lost and everything works after SIGCONT. Then kill -9 of an engine while queries run, and of a function's worker while it
is invoked: what was under way ends within ten seconds, one way or the other, and the next one works within three.
"""

from __future__ import annotations

import io
import json
import os
import random
import signal
import time
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from tests.crash.rig import Server, eventually, patience, seed
from tests.crash.test_flow import role
from tests.faults import stores
from tests.faults.prober import Prober
from tests.faults.stores import Writers, prepared

ENDS_WITHIN, BACK_WITHIN = 10.0, 3.0
P99_RATIO, NOTICED_MS = 2.0, 25.0  # a p99 below so many milliseconds is nobody's trouble, whatever its ratio


@pytest.mark.parametrize(("stops", "seconds"), [(1, 2.0), pytest.param(5, 30.0, marks=pytest.mark.slow)])
def test_a_stopped_server_goes_on(tmp_path: Path, stops: int, seconds: float) -> None:
    chosen = seed()
    server = Server(tmp_path / "data")
    server.start()
    try:
        kinds = tuple(kind for kind in stores.ALL if kind is not stores.Parts)
        ledgers, slowest = prepared(server, kinds), 0.0
        writers = Writers(ledgers)
        for _ in range(stops):
            time.sleep(0.5)
            server.signal(signal.SIGSTOP)
            began = time.monotonic()
            with pytest.raises(BotoCoreError):  # an error within the client's own patience, no endless wait
                server.client("sqs", read_timeout=1.0, retries={"total_max_attempts": 1}).list_queues()
            assert time.monotonic() - began < ENDS_WITHIN
            time.sleep(max(0.0, seconds - (time.monotonic() - began)))
            server.signal(signal.SIGCONT)
            began = time.monotonic()
            server.client("sqs").list_queues()
            slowest = max(slowest, time.monotonic() - began)
        time.sleep(0.5)
        writers.stop()
        for ledger in ledgers:
            ledger.write_until_acknowledged(patience(5))
            ledger.check(f"seed {chosen}")
        print(f"{stops} stops of {seconds:g} s, first answer after {slowest:.2f} s, "
              f"{sum(len(ledger.acknowledged) for ledger in ledgers):,} acknowledged, 0 lost")  # fmt: skip
        assert slowest < patience(ENDS_WITHIN)
    finally:
        server.signal(signal.SIGCONT)
        server.stop()


def _children(server: Server, name: str) -> list[int]:
    """Pids of running children whose record's name begins so."""
    found = []
    for record in (server.data / "children").glob(f"{name}*.pid"):
        pid = int(record.read_text().partition(" ")[0])
        with suppress(ProcessLookupError):
            os.kill(pid, 0)
            found.append(pid)
    return found


def _function(server: Server) -> Callable[[], bool]:
    """A function that takes a moment; the call says whether it came off."""
    arn = role(server, "faults-lambda", "lambda.amazonaws.com")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("m.py", "import time\ndef handler(event, context):\n    time.sleep(0.15)\n    return event\n")
    functions = server.client("lambda")
    code = {"ZipFile": packed.getvalue()}
    functions.create_function(FunctionName="f", Runtime="python3.12", Role=arn, Handler="m.handler", Code=code)
    eventually(
        lambda: functions.get_function(FunctionName="f")["Configuration"].get("State", "Active") == "Active",
        20,
        "pending",
    )

    def call() -> bool:
        try:
            told = functions.invoke(FunctionName="f", Payload=b'{"a": 1}')
        except ClientError as failure:
            assert failure.response["ResponseMetadata"]["HTTPStatusCode"] >= 500
            return False
        answer = told["Payload"].read()
        assert "FunctionError" in told or json.loads(answer) == {"a": 1}, answer
        return "FunctionError" not in told

    return call


def _query(server: Server) -> Callable[[], bool]:
    """A query that takes a moment; the call says whether its rows are right."""
    server.client("s3").create_bucket(Bucket="faults-athena")
    athena: Any = server.client("athena")

    def call() -> bool:
        sql = "SELECT count(*) AS n FROM UNNEST(sequence(1, 2000000)) t(x)"
        where = {"OutputLocation": "s3://faults-athena/"}
        started = athena.start_query_execution(QueryString=sql, ResultConfiguration=where)["QueryExecutionId"]
        while True:
            state = athena.get_query_execution(QueryExecutionId=started)["QueryExecution"]["Status"]["State"]
            if state not in ("QUEUED", "RUNNING"):
                break
            time.sleep(0.01)
        if state != "SUCCEEDED":
            return False
        rows = athena.get_query_results(QueryExecutionId=started)["ResultSet"]["Rows"]
        assert rows[1]["Data"][0]["VarCharValue"] == "2000000", "a query that succeeded has wrong rows"
        return True

    return call


@pytest.mark.parametrize("kills", [2, pytest.param(50, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", ["engine", "function"])
def test_a_dead_child_is_replaced(tmp_path: Path, kind: str, kills: int) -> None:
    chosen = seed()
    rng = random.Random(chosen)
    server = Server(tmp_path / "data")
    server.start()
    try:
        call = _query(server) if kind == "engine" else _function(server)
        name = "sql" if kind == "engine" else "lambda"
        assert call()
        longest = back = 0.0
        with Prober(server.http_port) as prober:
            until = time.monotonic() + (2 if kills < 10 else 10)
            while time.monotonic() < until:  # the baseline has the same work, without kills
                assert call()
            quiet = time.monotonic()
            survived = 0
            for _ in range(kills):
                began = time.monotonic()
                killer = _kill_later(server, name, rng.uniform(0.0, 0.3))
                survived += call()
                killer()
                ended = time.monotonic()
                longest = max(longest, ended - began)
                eventually(call, patience(ENDS_WITHIN), f"seed {chosen}: no {kind} works")
                back = max(back, time.monotonic() - ended)
            end = time.monotonic()
        before, during = prober.p99(0, quiet), prober.p99(quiet, end)
        print(
            f"{kind}: {kills} kills, {survived} calls survived, the rest failed; longest call {longest:.2f} s, next worked "
            f"after {back:.2f} s at most; others' p99 {before:.1f} ms before, {during:.1f} ms during, {prober.failures()} failed"
        )
        assert longest < patience(ENDS_WITHIN), f"seed {chosen}"
        assert back < patience(BACK_WITHIN), f"seed {chosen}"
        assert not prober.failures()
        if kills > 10:
            assert during <= max(P99_RATIO * before, patience(NOTICED_MS)), (
                f"seed {chosen}: {before:.1f} → {during:.1f} ms"
            )
    finally:
        server.stop()


def _kill_later(server: Server, name: str, seconds: float) -> Callable[[], None]:
    """SIGKILL to every such child after so long; the result waits until it was sent."""
    import threading

    def kill() -> None:
        time.sleep(seconds)
        for pid in _children(server, name):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    return thread.join
