"""Columns that come, go and are renamed; properties; what SHOW and DESCRIBE tell; DROP TABLE."""

from __future__ import annotations

import pytest

from tests.services.athena.iceberg.conftest import House
from tests.services.athena.iceberg.test_statements import CREATE, ROWS

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_columns_are_found_by_id(house: House) -> None:
    await house.run("CREATE TABLE e (a int, b string) LOCATION 's3://lake/e/' TBLPROPERTIES ('table_type'='ICEBERG')")
    await house.run("INSERT INTO e VALUES (1, 'one')")
    await house.run("ALTER TABLE e ADD COLUMNS (c double)")
    await house.run("ALTER TABLE e CHANGE COLUMN a a bigint")
    await house.run("ALTER TABLE e CHANGE b label string FIRST")
    await house.run("INSERT INTO e VALUES ('two', 3000000000, 0.5)")
    assert await house.rows("SELECT * FROM e ORDER BY a") == [["one", "1", None], ["two", "3000000000", "0.5"]]
    await house.run("ALTER TABLE e DROP COLUMN label")
    await house.run("ALTER TABLE e ADD COLUMNS (label string)")
    found = await house.rows("SELECT a, label FROM e ORDER BY a")
    assert found == [["1", None], ["3000000000", None]]  # a new column of the old name has a new id
    listed = {
        column["Name"]: column["Parameters"]["iceberg.field.current"]
        for column in (await house.table("e"))["StorageDescriptor"]["Columns"]
    }
    assert listed == {"a": "true", "c": "true", "label": "true", "b": "false"}
    assert "Cannot change column type" in await house.failure("ALTER TABLE e CHANGE a a int")
    assert (await house.failure("ALTER TABLE e ADD COLUMNS (c int)")).startswith("NOT_SUPPORTED")
    await house.run("ALTER TABLE e REPLACE COLUMNS (c double, a bigint, d string)")
    assert await house.rows("SELECT * FROM e ORDER BY a") == [[None, "1", None], ["0.5", "3000000000", None]]


async def test_partition_columns_stay(house: House) -> None:
    await house.run(CREATE)
    assert "Cannot drop partition field: ts" in await house.failure("ALTER TABLE t DROP COLUMN ts")


async def test_properties(house: House) -> None:
    await house.run(CREATE)
    await house.run(
        "ALTER TABLE t SET TBLPROPERTIES ('vacuum_min_snapshots_to_keep'='3', 'write_compression'='snappy')"
    )
    told = [row[0] for row in await house.rows("SHOW TBLPROPERTIES t")]
    assert "vacuum_min_snapshots_to_keep\t3" in told
    assert "write_compression\tsnappy" in told
    await house.run("ALTER TABLE t UNSET TBLPROPERTIES ('vacuum_min_snapshots_to_keep')")
    told = await house.rows("SHOW TBLPROPERTIES t('vacuum_min_snapshots_to_keep')")
    assert "does not have property" in str(told[0][0])
    assert "Unsupported table property key: colour" in await house.failure(
        "ALTER TABLE t SET TBLPROPERTIES ('colour'='red')"
    )


async def test_show_and_describe(house: House) -> None:
    await house.run(CREATE)
    made = "\n".join(str(row[0]) for row in await house.rows("SHOW CREATE TABLE t"))
    assert "PARTITIONED BY (day(`ts`), bucket(4, `id`))" in made
    described = [row[0] for row in await house.rows("DESCRIBE t")]
    assert "name\tstring\twho" in described
    assert "ts_day\tday\tts" in described
    assert [str(row[0]).strip() for row in await house.rows("SHOW COLUMNS IN t")] == ["id", "name", "ts", "amount"]
    await house.run("DROP TABLE t")
    again = made.replace("ts timestamp", "ts timestamp")
    await house.run(again)
    assert "\n".join(str(row[0]) for row in await house.rows("SHOW CREATE TABLE t")) == made


async def test_drop_takes_the_data(house: House) -> None:
    await house.run(CREATE)
    await house.run(ROWS)
    assert await house.keys("t/")
    await house.run("DROP TABLE t")
    assert await house.keys("t/") == []
    assert "does not exist" in await house.failure("SELECT * FROM t")


async def test_refusals(house: House) -> None:
    assert "External keyword not supported" in await house.failure(CREATE.replace("CREATE TABLE", "CREATE EXTERNAL TABLE")
                                                                   .replace("day(ts), bucket(4, id)", "d date"))  # fmt: skip
    assert "Unsupported table property key: x" in await house.failure(CREATE.replace("'format'", "'x'"))
    assert "ORC" in await house.failure(CREATE.replace("'parquet'", "'orc'"))
    assert "Only external tables" in await house.failure("CREATE TABLE u (a int) LOCATION 's3://lake/u/'")
    assert "Cannot partition by hour of id" in await house.failure(CREATE.replace("day(ts)", "hour(id)"))
    await house.run(CREATE)
    assert (await house.failure(CREATE)).startswith("TABLE_ALREADY_EXISTS")
    await house.run(CREATE.replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS"))
    assert "non-empty location" in await house.failure(CREATE.replace("TABLE t", "TABLE t2"))
    assert "not supported for Iceberg" in await house.failure("MSCK REPAIR TABLE t")
    await house.run("CREATE EXTERNAL TABLE h (a int) STORED AS PARQUET LOCATION 's3://lake/h/'")
    assert "supported for Iceberg tables only" in await house.failure("DELETE FROM h WHERE a = 1")
    assert "versioned" in await house.failure("SELECT * FROM h FOR VERSION AS OF 1")
