"""Athena queries by boto3; as a program eight at a time: ``python -m bench.queries PORT SQL``, a line when all are started."""

from __future__ import annotations

import sys
import time
from typing import Any

from bench.load import client

_SECONDS_MAX = 60.0


def begin(athena: Any, sql: str) -> str:
    """Start a query; its id."""
    started = athena.start_query_execution(
        QueryString=sql,
        QueryExecutionContext={"Database": "bench"},
        ResultConfiguration={"OutputLocation": "s3://bench-athena/results/"},
    )
    return str(started["QueryExecutionId"])


def finish(athena: Any, query: str, *, poll_seconds: float) -> list[list[str]]:
    """Wait for a query; its rows, without the line of names."""
    deadline = time.perf_counter() + _SECONDS_MAX
    while True:
        status = athena.get_query_execution(QueryExecutionId=query)["QueryExecution"]["Status"]
        if status["State"] in ("SUCCEEDED", "FAILED", "CANCELLED"):
            break
        if time.perf_counter() > deadline:
            raise RuntimeError(f"{status['State']} after {_SECONDS_MAX} s")
        time.sleep(poll_seconds)
    if status["State"] != "SUCCEEDED":
        raise RuntimeError(status.get("StateChangeReason", status["State"]))
    rows = athena.get_query_results(QueryExecutionId=query)["ResultSet"]["Rows"][1:]
    return [[cell.get("VarCharValue", "") for cell in row["Data"]] for row in rows]


def main() -> None:
    """Eight rounds of eight queries at once."""
    athena = client(int(sys.argv[1]), "athena")
    queries = [begin(athena, sys.argv[2]) for _ in range(8)]
    print("started", flush=True)
    for _ in range(7):
        queries += [begin(athena, sys.argv[2]) for _ in range(8)]
        for query in queries[:8]:
            finish(athena, query, poll_seconds=0.02)
        del queries[:8]
    for query in queries:
        finish(athena, query, poll_seconds=0.02)


if __name__ == "__main__":
    main()
