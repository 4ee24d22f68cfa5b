"""kill -9 while Iceberg tables are written: INSERT and MERGE count exactly once or not at all, and nothing lies in the
table's folder that its metadata does not lead to (F5 of the fault plan)."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import pytest

from tests.clients.test_iceberg import catalog
from tests.crash.rig import Server, eventually, seed

pytest.importorskip("pyiceberg")
FINAL = ("SUCCEEDED", "FAILED", "CANCELLED")
ROWS = 50


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


def _ends(server: Server, started: dict[str, str]) -> dict[str, str]:
    athena, found = server.client("athena"), dict[str, str]()

    def finished() -> bool:
        for name, identifier in started.items():
            status = athena.get_query_execution(QueryExecutionId=identifier)["QueryExecution"]["Status"]
            found[name] = status["State"]
        return all(state in FINAL for state in found.values())

    eventually(finished, 120, "every statement ends")
    return found


def _reachable(table: Any) -> set[str]:
    found = {table.metadata_location, *(entry.metadata_file for entry in table.metadata.metadata_log)}
    for snapshot in table.metadata.snapshots:
        found.add(snapshot.manifest_list)
        for manifest in snapshot.manifests(table.io):
            found.add(manifest.manifest_path)
            found |= {entry.data_file.file_path for entry in manifest.fetch_manifest_entry(table.io)}
    return found


@pytest.mark.parametrize("kills", [3, pytest.param(25, marks=pytest.mark.slow)])
def test_exactly_once_or_not_at_all(tmp_path: Path, kills: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(seed())
    server = Server(tmp_path / "data")
    server.start()
    try:
        server.client("s3").create_bucket(Bucket="crash")
        server.client("glue").create_database(DatabaseInput={"Name": "crash"})
        first = _start(
            server.client("athena"),
            "CREATE TABLE t WITH (table_type='ICEBERG', location='s3://crash/t/', partitioning=ARRAY['bucket(4, id)']) AS "
            "SELECT x AS id, 'counter' AS tag, 0 AS n FROM UNNEST(sequence(1, 8)) s(x)",
        )
        assert first is not None
        assert _ends(server, {"first": first}) == {"first": "SUCCEEDED"}
        started: dict[str, str] = {}
        for number in range(kills):
            statements = {
                f"insert{number}": f"INSERT INTO t SELECT x, 'i{number}', 0 FROM UNNEST(sequence(1, {ROWS})) s(x)",
                f"merge{number}": "MERGE INTO t USING (SELECT 'counter' AS tag) s ON t.tag = s.tag "
                "WHEN MATCHED THEN UPDATE SET n = t.n + 1",
            }
            for name in rng.sample(list(statements), 2):
                if (identifier := _start(server.client("athena"), statements[name])) is not None:
                    started[name] = identifier
            time.sleep(rng.uniform(0.1, 1.5))
            server.kill()
            server.start()
        ends = _ends(server, started)
        rows = catalog(server, "glue").load_table(("crash", "t")).scan().to_arrow().to_pylist()
        for name in [name for name in ends if name.startswith("insert")]:
            counted = sum(row["tag"] == f"i{name[6:]}" for row in rows)
            assert counted == (ROWS if ends[name] == "SUCCEEDED" else 0), (name, ends[name], counted)
        merges = sum(state == "SUCCEEDED" for name, state in ends.items() if name.startswith("merge"))
        assert sorted(row["n"] for row in rows if row["tag"] == "counter") == [merges] * 8
        pages = server.client("s3").get_paginator("list_objects_v2").paginate(Bucket="crash", Prefix="t/")
        listed = {f"s3://crash/{item['Key']}" for page in pages for item in page.get("Contents", [])}
        assert listed == _reachable(catalog(server, "glue").load_table(("crash", "t")))
    finally:
        server.kill()
