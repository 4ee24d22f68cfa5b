"""Time travel, metadata tables, what a scan leaves out and what it reads; OPTIMIZE and VACUUM."""

from __future__ import annotations

import pytest

from tests.services.athena.iceberg.conftest import House
from tests.services.athena.iceberg.test_statements import CREATE, ROWS

pytestmark = pytest.mark.asyncio(loop_scope="module")
PLAIN = "CREATE TABLE p (id bigint, name string) LOCATION 's3://lake/p/' TBLPROPERTIES ('table_type'='ICEBERG'{})"


async def test_time_travel(house: House) -> None:
    await house.run(PLAIN.format(""))
    await house.run("INSERT INTO p VALUES (1, 'a')")
    await house.harness.clock.advance(3600)
    await house.run("ALTER TABLE p CHANGE name label string")
    await house.run("INSERT INTO p VALUES (2, 'b')")
    snapshots = [row[0] for row in await house.rows('SELECT snapshot_id FROM "p$history" ORDER BY made_current_at')]
    first, second = snapshots
    assert await house.rows(f"SELECT name FROM p FOR VERSION AS OF {first}") == [["a"]]
    assert await house.rows(f"SELECT label FROM p FOR VERSION AS OF {second} ORDER BY 1") == [["a"], ["b"]]
    ago = "FOR TIMESTAMP AS OF (current_timestamp - interval '30' minute)"
    assert await house.rows(f"SELECT count(*) FROM p {ago}") == [["1"]]
    both = f"SELECT count(*) FROM p FOR VERSION AS OF {first} o RIGHT JOIN p n ON o.id = n.id WHERE o.id IS NULL"
    assert await house.rows(both) == [["1"]]
    assert "No version history table at or before" in await house.failure(
        "SELECT * FROM p FOR TIMESTAMP AS OF TIMESTAMP '2001-01-01 00:00:00 UTC'"
    )
    assert "Iceberg snapshot ID does not exists" in await house.failure("SELECT * FROM p FOR VERSION AS OF 42")


async def test_metadata_tables(house: House) -> None:
    await house.run(CREATE)
    await house.run(ROWS)
    await house.run("DELETE FROM t WHERE id = 2")
    assert await house.rows('SELECT operation, summary[\'total-records\'] FROM "t$snapshots" ORDER BY committed_at') == [
        ["append", "3"], ["delete", "2"]]  # fmt: skip
    files = await house.rows('SELECT content, file_format, record_count FROM "t$files" ORDER BY 1, 3')
    assert files == [["0", "PARQUET", "1"], ["0", "PARQUET", "1"]]  # the file that lost all its rows is gone
    found = await house.rows('SELECT partition.ts_day, record_count FROM "t$partitions" ORDER BY 1')
    assert found == [["2026-01-01", "1"], ["2026-01-02", "1"]]
    assert await house.rows('SELECT name, type FROM "t$refs"') == [["main", "BRANCH"]]
    assert await house.rows('SELECT sum(added_rows_count + existing_rows_count) FROM "t$manifests"') == [["2"]]
    assert len(await house.rows('SELECT * FROM "t$history"')) == 2
    bounds = await house.rows('SELECT lower_bounds[1], upper_bounds[1] FROM "t$files" ORDER BY 1')
    assert bounds == [["1", "1"], ["3", "3"]]


async def test_partitions_and_columns_that_are_not_read(house: House) -> None:
    await house.run(CREATE)
    await house.run(ROWS)

    async def scanned(sql: str) -> int:
        return int((await house.execute(sql))["Statistics"]["DataScannedInBytes"])

    everything = await scanned("SELECT * FROM t")
    one_day = await scanned("SELECT * FROM t WHERE ts < TIMESTAMP '2026-01-02 00:00:00'")
    one_bucket = await scanned("SELECT * FROM t WHERE id = 1 AND amount > 0")
    assert 0 < one_day < everything / 2
    assert one_bucket == one_day
    assert await scanned("SELECT id FROM t") < everything
    assert await scanned("SELECT count(*) FROM t WHERE ts > TIMESTAMP '2027-01-01 00:00:00'") == 0
    assert await house.rows("SELECT id FROM t WHERE ts BETWEEN DATE '2026-01-02' AND DATE '2026-01-03' ORDER BY 1") == [
        ["2"], ["3"]]  # fmt: skip
    assert await house.rows("SELECT id FROM t WHERE name IS NULL OR id IN (1, 7)") in ([["1"], ["3"]], [["3"], ["1"]])


async def test_optimize(house: House) -> None:
    await house.run(PLAIN.format(", 'optimize_rewrite_data_file_threshold'='3'"))
    for at in range(4):
        await house.run(f"INSERT INTO p VALUES ({at}, 'x'), ({at + 100}, 'y')")
    await house.run("DELETE FROM p WHERE id = 101")
    assert await house.rows('SELECT content, count(*) FROM "p$files" GROUP BY 1 ORDER BY 1') == [["0", "4"], ["1", "1"]]
    await house.run("OPTIMIZE p REWRITE DATA USING BIN_PACK")
    assert await house.rows('SELECT content, record_count FROM "p$files"') == [["0", "7"]]
    assert len(await house.rows("SELECT * FROM p")) == 7
    counted = 'SELECT operation, count(*) FROM "p$snapshots" GROUP BY 1 ORDER BY 1'
    assert await house.rows(counted) == [["append", "4"], ["delete", "1"], ["replace", "1"]]
    await house.run("OPTIMIZE p REWRITE DATA USING BIN_PACK")  # nothing to do
    assert len(await house.rows('SELECT * FROM "p$snapshots"')) == 6
    assert "partitioned by" in await house.failure("OPTIMIZE p REWRITE DATA USING BIN_PACK WHERE name = 'x'")


async def test_vacuum(house: House) -> None:
    await house.run(PLAIN.format(", 'vacuum_max_snapshot_age_seconds'='3600'"))
    await house.run("INSERT INTO p VALUES (1, 'a'), (2, 'b')")
    await house.run("DELETE FROM p WHERE id = 1")
    await house.run("DELETE FROM p WHERE id = 2")
    await house.run("INSERT INTO p VALUES (3, 'c')")
    await house.harness.call("s3", "PutObject", Bucket="lake", Key="p/data/orphan.parquet", Body=b"left behind")
    before = await house.keys("p/")
    await house.run("VACUUM p")
    assert await house.keys("p/") == before  # nothing is old enough
    await house.harness.clock.advance(7200)
    await house.harness.call("s3", "PutObject", Bucket="lake", Key="p/data/fresh.parquet", Body=b"being written")
    await house.run("VACUUM p")
    assert len(await house.rows('SELECT * FROM "p$snapshots"')) == 1
    after = await house.keys("p/data/")
    assert "p/data/orphan.parquet" not in after
    assert "p/data/fresh.parquet" in after
    assert await house.rows("SELECT * FROM p") == [["3", "c"]]
    paths = {str(row[0]) for row in await house.rows('SELECT file_path FROM "p$files"')}
    assert {f"s3://lake/{key}" for key in after} - {"s3://lake/p/data/fresh.parquet"} == paths


async def test_create_table_as(house: House) -> None:
    await house.run(
        "CREATE TABLE c WITH (table_type='ICEBERG', is_external=false, location='s3://lake/c/', format='PARQUET', "
        "partitioning=ARRAY['month(day)', 'truncate(name, 1)']) AS "
        "SELECT * FROM (VALUES (DATE '2026-01-05', 'ab', 1), (DATE '2026-02-05', 'cd', 2)) v(day, name, n)"
    )
    assert await house.rows("SELECT * FROM c ORDER BY 1") == [["2026-01-05", "ab", "1"], ["2026-02-05", "cd", "2"]]
    assert len(await house.rows('SELECT * FROM "c$partitions"')) == 2
    assert "location is required" in await house.failure("CREATE TABLE d WITH (table_type='ICEBERG') AS SELECT 1 a")
    await house.run("CREATE TABLE n WITH (table_type='ICEBERG', location='s3://lake/n/') AS SELECT 1 a WITH NO DATA")
    assert await house.rows("SELECT * FROM n") == []
    await house.run("INSERT INTO c (n, day) SELECT n, day FROM c")
    assert await house.rows("SELECT count(*), count(name) FROM c") == [["4", "2"]]
