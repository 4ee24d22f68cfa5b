"""Several writers at once, random statements against a dictionary, tables that others made."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

from lakebed.lake.tables.commit import METADATA
from tests.harness import Harness
from tests.services.athena.iceberg.conftest import House

pytestmark = pytest.mark.asyncio(loop_scope="module")

pa = pytest.importorskip("pyarrow")
TABLE = (
    "CREATE TABLE m (k int, v int) PARTITIONED BY (bucket(2, k)) LOCATION 's3://lake/m/' "
    "TBLPROPERTIES ('table_type'='ICEBERG')"
)


async def test_writers_at_once_lose_nothing(house: House) -> None:
    await house.run(TABLE)
    await house.run("INSERT INTO m VALUES (0, 0)")
    statements = [f"INSERT INTO m VALUES ({at}, {at})" for at in range(1, 4)]
    statements += ["UPDATE m SET v = v + 1 WHERE k = 0"] * 3
    started = [
        await house.harness.call(
            "athena", "StartQueryExecution", QueryString=sql, QueryExecutionContext={"Database": "db"},
            ResultConfiguration={"OutputLocation": "s3://results/q/"},
        )
        for sql in statements
    ]  # fmt: skip
    await house.harness.clock.settle()
    done = 0
    for each, sql in zip(started, statements, strict=True):
        found = await house.harness.call("athena", "GetQueryExecution", QueryExecutionId=each["QueryExecutionId"])
        status = found["QueryExecution"]["Status"]
        assert status["State"] == "SUCCEEDED" or "ICEBERG_COMMIT_ERROR" in status["StateChangeReason"], status
        done += status["State"] == "SUCCEEDED" and sql.startswith("UPDATE")
    assert await house.rows("SELECT v FROM m WHERE k = 0") == [[str(done)]]
    assert await house.rows("SELECT count(*) FROM m") == [["4"]]


async def test_a_lost_race_leaves_no_files(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.run(TABLE)
    await house.run("INSERT INTO m VALUES (1, 1)")
    before = await house.keys("m/")
    real = house.harness.ports.catalog.update_table

    def lose(principal: Any, scope: Any, database: str, table: Any, *, version: str | None = None) -> None:
        real(principal, scope, database, table, version="999")

    monkeypatch.setattr(house.harness.ports.catalog, "update_table", lose)
    told = await house.failure("UPDATE m SET v = 2")
    assert told.startswith("ICEBERG_COMMIT_ERROR: Failed to commit Iceberg update to table: db.m")
    assert await house.keys("m/") == before


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow), pytest.param(3, marks=pytest.mark.slow)])
async def test_random_statements_against_a_dictionary(house: House, seed: int) -> None:
    rng, model = random.Random(seed), dict[int, int | None]()
    await house.run(TABLE)
    for step in range(14 if seed == 1 else 40):
        low, high = sorted(rng.sample(range(12), 2))
        match rng.choice(["insert", "update", "delete", "merge", "merge", "optimize"]):
            case "insert":
                fresh = [k for k in range(12) if k not in model and rng.random() < 0.5]
                if fresh:
                    await house.run(f"INSERT INTO m VALUES {', '.join(f'({k}, {k})' for k in fresh)}")
                    model |= {k: k for k in fresh}
            case "update":
                found = await house.run(f"UPDATE m SET v = k * {step} WHERE k BETWEEN {low} AND {high}")
                hit = [k for k in model if low <= k <= high]
                assert found["UpdateCount"] == len(hit)
                model |= {k: k * step for k in hit}
            case "delete":
                await house.run(f"DELETE FROM m WHERE k >= {low} AND (k < {high} OR v IS NULL)")
                model = {k: v for k, v in model.items() if not (k >= low and (k < high or v is None))}
            case "merge":
                rows = {k: rng.choice([None, rng.randrange(100)]) for k in range(low, high)}
                values = ", ".join(f"({k}, {'NULL' if v is None else v})" for k, v in rows.items())
                await house.run(
                    f"MERGE INTO m AS t USING (SELECT k, v FROM (VALUES {values}, (99, NULL)) AS s(k, v)) AS s ON t.k = s.k "
                    "WHEN MATCHED AND s.v % 3 = 0 THEN DELETE "
                    "WHEN MATCHED AND s.v IS NOT NULL THEN UPDATE SET v = coalesce(t.v, 0) + s.v "
                    "WHEN NOT MATCHED AND s.k < 50 THEN INSERT VALUES (s.k, s.v)"
                )
                for k, v in rows.items():
                    if k not in model:
                        model[k] = v
                    elif v is not None and v % 3 == 0:
                        del model[k]
                    elif v is not None:
                        model[k] = (model[k] or 0) + v
            case _:
                await house.run("ALTER TABLE m SET TBLPROPERTIES ('optimize_rewrite_data_file_threshold'='2')")
                await house.run("OPTIMIZE m REWRITE DATA USING BIN_PACK")
        seen = {int(str(k)): None if v is None else int(v) for k, v in await house.rows("SELECT k, v FROM m")}
        assert seen == model, step


async def test_restart_between_statements(tmp_path: Path) -> None:
    first = House(Harness(tmp_path / "data"))
    await first.open()
    await first.make()
    await first.run(TABLE)
    await first.run("INSERT INTO m VALUES (1, 2)")
    await first.close()
    await first.harness.stop()
    second = House(Harness(tmp_path / "data"))
    await second.open()
    assert await second.rows("SELECT * FROM m") == [["1", "2"]]
    await second.close()
    await second.harness.stop()


async def test_a_table_with_equality_deletes(house: House) -> None:
    """As Flink writes them: rows equal to those of the delete file are gone, newer ones are not."""
    await house.run(TABLE.replace(" PARTITIONED BY (bucket(2, k))", ""))
    await house.run("INSERT INTO m VALUES (1, 1), (2, NULL), (3, 3)")
    await _with_equality_delete(house, [1, 2])
    assert await house.rows("SELECT k FROM m ORDER BY 1") == [["3"]]
    await house.run("INSERT INTO m VALUES (1, 10)")
    assert await house.rows("SELECT k, v FROM m ORDER BY 1") == [["1", "10"], ["3", "3"]]
    await house.run("UPDATE m SET v = 4 WHERE k = 3")
    await house.run("ALTER TABLE m SET TBLPROPERTIES ('optimize_rewrite_data_file_threshold'='1')")
    await house.run("OPTIMIZE m REWRITE DATA USING BIN_PACK")
    assert await house.rows("SELECT k, v FROM m ORDER BY 1") == [["1", "10"], ["3", "4"]]
    assert await house.rows('SELECT count(*) FROM "m$files" WHERE content > 0') == [["0"]]


async def _with_equality_delete(house: House, keys: list[int]) -> None:
    """Commit an equality delete on ``k`` with the library's own writers."""
    import pyarrow.parquet as pq
    from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
    from pyiceberg.table.snapshots import Operation
    from pyiceberg.typedef import Record

    from lakebed.lake.tables import changes
    from lakebed.lake.tables.commit import place, table_input
    from lakebed.lake.tables.files import HouseFiles
    from lakebed.lake.tables.snapshots import Change
    from lakebed.ports.tables import Staged
    from tests.harness import ROOT, SCOPE

    table, objects = await house.table("m"), house.harness.ports.objects
    paths = {f"s3://lake/{key}": (await objects.head(ROOT, "lake", key)).path for key in await house.keys("m/")}
    scratch = house.harness.kernel.data / "by-hand"
    io = HouseFiles(paths.__getitem__, scratch)
    request = {"uuid": "00000000-0000-0000-0000-00000000abcd", "snapshot_id": 4711, "now_ms": 1_750_000_000_000}
    stage = changes.Stage(io, table["Parameters"][METADATA], request)
    output = io.new_output("s3://lake/m/data/equality.parquet")
    schema = pa.schema([pa.field("k", pa.int32(), metadata={"PARQUET:field_id": "1"})])
    with output.create() as stream:
        pq.write_table(pa.table({"k": pa.array(keys, pa.int32())}, schema=schema), stream)
    file = DataFile.from_args(
        content=DataFileContent.EQUALITY_DELETES, file_path=output.location, file_format=FileFormat.PARQUET,
        partition=Record(), record_count=len(keys), file_size_in_bytes=len(output), column_sizes={}, value_counts={},
        null_value_counts={}, nan_value_counts={}, lower_bounds={}, upper_bounds={}, key_metadata=None, split_offsets=[4],
        equality_ids=[1], sort_order_id=None,
    )  # fmt: skip
    file.spec_id = 0
    told = stage.finished(stage.snapshot(Change(Operation.DELETE, added_deletes=[file])))
    staged = Staged(told["metadata_location"], [(name, Path(path)) for name, path in told["files"]], told["metadata"])
    await place(objects, ROOT, staged)
    house.harness.ports.catalog.update_table(ROOT, SCOPE, "db", table_input("m", staged, table))
    await asyncio.sleep(0)
