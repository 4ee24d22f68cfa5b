"""kill -9 while statements run: what succeeded has its result, what writes tables did so whole or not at all.

The statements write several files (one for each partition), so that a kill falls between them; the server is started again
each time and takes its queries up anew. https://docs.aws.amazon.com/athena/latest/ug/ctas.html
"""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import pytest

from tests.crash.rig import Server, eventually, seed

FINAL = ("SUCCEEDED", "FAILED", "CANCELLED")
ROWS, PARTS = 400, 8
SELECT = f"SELECT x, CAST(x % {PARTS} AS varchar) AS k FROM UNNEST(sequence(1, {ROWS})) t(x)"


def _start(athena: Any, sql: str) -> str | None:
    try:
        started = athena.start_query_execution(
            QueryString=sql,
            QueryExecutionContext={"Database": "crash"},
            ResultConfiguration={"OutputLocation": "s3://crash/results/"},
        )
    except Exception:  # killed in between: nothing was promised
        return None
    return str(started["QueryExecutionId"])


def _keys(server: Server, prefix: str) -> list[str]:
    pages = server.client("s3").get_paginator("list_objects_v2").paginate(Bucket="crash", Prefix=prefix)
    return [item["Key"] for page in pages for item in page.get("Contents", [])]


def _round(server: Server, rng: random.Random, number: int, started: dict[str, str]) -> None:
    athena = server.client("athena")
    statements = {
        f"ctas{number}": f"CREATE TABLE t{number} WITH (external_location='s3://crash/ctas{number}/', "
        f"partitioned_by=ARRAY['k']) AS {SELECT}",
        f"unload{number}": f"UNLOAD ({SELECT}) TO 's3://crash/unload{number}/' "
        "WITH (format='JSON', compression='none', partitioned_by=ARRAY['k'])",
        f"insert{number}": f"INSERT INTO base {SELECT}",
        f"select{number}": f"SELECT count(*) AS n FROM ({SELECT})",
    }
    names = list(statements)
    rng.shuffle(names)
    for name in names:
        if (identifier := _start(athena, statements[name])) is not None:
            started[name] = identifier
    time.sleep(rng.uniform(0.0, 0.5))
    server.kill()
    server.start()


def _check(server: Server, started: dict[str, str], ends: dict[str, str]) -> int:
    """What each statement left; the number of INSERTs that counted."""
    inserted = 0
    for name, state in ends.items():
        done = state == "SUCCEEDED"
        if name.startswith("select"):
            assert not done or _keys(server, f"results/{started[name]}.csv"), f"{name}: no result"
        elif name.startswith("insert"):
            found = [key for key in _keys(server, "base/") if started[name].replace("-", "") in key]
            assert len(found) == (PARTS if done else 0), (name, state, found)
            inserted += done
        else:
            assert len(_keys(server, f"{name}/")) == (PARTS if done else 0), (name, state)
        if name.startswith("ctas"):
            tables = {table["Name"] for table in server.client("glue").get_tables(DatabaseName="crash")["TableList"]}
            assert (f"t{name[4:]}" in tables) == done, (name, state)
    return inserted


@pytest.mark.parametrize("kills", [4, pytest.param(20, marks=pytest.mark.slow)])
def test_whole_or_nothing(tmp_path: Path, kills: int) -> None:
    rng = random.Random(seed())
    server = Server(tmp_path / "data")
    server.start()
    try:
        server.client("s3").create_bucket(Bucket="crash")
        server.client("glue").create_database(DatabaseInput={"Name": "crash"})
        started: dict[str, str] = {}
        made = _start(server.client("athena"), f"CREATE TABLE base WITH (external_location='s3://crash/base/', "
                      f"partitioned_by=ARRAY['k']) AS {SELECT} WHERE x < 0")  # fmt: skip
        assert made is not None
        ends: dict[str, str] = {}

        def finished(identifiers: dict[str, str]) -> bool:
            athena = server.client("athena")
            for name, identifier in identifiers.items():
                status = athena.get_query_execution(QueryExecutionId=identifier)["QueryExecution"]["Status"]
                ends[name] = status["State"]
            return all(ends[name] in FINAL for name in identifiers)

        eventually(lambda: finished({"base": made}), 60, "the first table is made")
        assert ends.pop("base") == "SUCCEEDED"
        for number in range(kills):
            _round(server, rng, number, started)
        eventually(lambda: finished(started), 120, "every statement ends")
        inserted = _check(server, started, ends)
        print(f"{kills} kills, {len(started)} statements, {sum(s == 'SUCCEEDED' for s in ends.values())} succeeded")
        count = _start(server.client("athena"), "SELECT count(*) AS n FROM base")
        assert count is not None
        eventually(lambda: finished({"count": count}), 60, "the count ends")
        rows = server.client("athena").get_query_results(QueryExecutionId=count)["ResultSet"]["Rows"]
        assert rows[1]["Data"][0]["VarCharValue"] == str(inserted * ROWS)
    finally:
        server.stop()
