"""ALTER TABLE on Hive tables."""

from __future__ import annotations

from tests.services.athena.conftest import House

FIELDS = "ROW FORMAT DELIMITED FIELDS TERMINATED BY ','"


async def test_columns(house: House) -> None:
    await house.put("s3://data/a/a.csv", "1,x,2.5\n")
    await house.execute(f"CREATE EXTERNAL TABLE a (id int, name string, w string) {FIELDS} LOCATION 's3://data/a/'")
    assert await house.rows("ALTER TABLE a CHANGE COLUMN w weight double COMMENT 'kg'") == []
    assert await house.rows("SELECT weight * 2 AS d FROM a") == [["d"], ["5.0"]]
    assert "kg" in str(await house.rows("DESCRIBE a"))
    await house.rows("ALTER TABLE a CHANGE id id bigint AFTER name")
    assert await house.rows("SHOW COLUMNS IN a") == [
        ["name                "],
        ["id                  "],
        ["weight              "],
    ]
    await house.rows("ALTER TABLE a CHANGE id number int FIRST")
    assert await house.rows("SELECT * FROM a") == [["number", "name", "weight"], ["1", "x", "2.5"]]
    made = await house.execute("ALTER TABLE a REPLACE COLUMNS (number int, `label` string)")
    assert (made["Status"]["State"], made["SubstatementType"]) == ("SUCCEEDED", "ALTER_TABLE")
    assert await house.rows("SELECT * FROM a") == [["number", "label"], ["1", "x"]]
    assert "COLUMN_NOT_FOUND" in await house.failure("ALTER TABLE a CHANGE nothing n int")
    assert "DUPLICATE_COLUMN_NAME" in await house.failure("ALTER TABLE a CHANGE label number int")
    assert "SYNTAX_ERROR" in await house.failure("ALTER TABLE a REPLACE COLUMNS (x colour)")
    assert "Iceberg tables only" in await house.failure("ALTER TABLE a DROP COLUMN label")
    assert "Iceberg tables only" in await house.failure("ALTER TABLE a UNSET TBLPROPERTIES ('k')")
    await house.execute("CREATE VIEW v AS SELECT 1 AS one")
    assert "is a view" in await house.failure("ALTER TABLE v CHANGE one two int")
    assert "TABLE_NOT_FOUND" in await house.failure("ALTER TABLE none CHANGE one two int")


async def test_serdes_that_read_by_name_keep_their_columns(house: House) -> None:
    serde = "ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'"
    await house.execute(f"CREATE EXTERNAL TABLE j (id int) {serde} LOCATION 's3://data/j/'")
    assert "SerDe may be incompatible" in await house.failure("ALTER TABLE j REPLACE COLUMNS (id bigint)")


async def test_places_and_partitions(house: House) -> None:
    await house.put("s3://data/old/a.csv", "1\n")
    await house.put("s3://data/new/a.csv", "2\n")
    await house.execute(f"CREATE EXTERNAL TABLE m (id int) {FIELDS} LOCATION 's3://data/old/'")
    await house.rows("ALTER TABLE m SET LOCATION 's3://data/new/'")
    assert await house.rows("SELECT id FROM m") == [["id"], ["2"]]
    await house.execute(
        f"CREATE EXTERNAL TABLE p (id int) PARTITIONED BY (d string) {FIELDS} LOCATION 's3://data/none/'"
    )
    await house.execute(
        "ALTER TABLE p ADD PARTITION (d='1') LOCATION 's3://data/old/' PARTITION (d='2') LOCATION 's3://data/new/'"
    )
    await house.rows("ALTER TABLE p PARTITION (d='1') RENAME TO PARTITION (d='9')")
    assert await house.rows("SELECT id, d FROM p ORDER BY d") == [["id", "d"], ["2", "2"], ["1", "9"]]
    await house.rows("ALTER TABLE p PARTITION (d='9') SET LOCATION 's3://data/new/'")
    assert await house.rows("SELECT id FROM p WHERE d = '9'") == [["id"], ["2"]]
    await house.rows("ALTER TABLE p PARTITION (d='9') ADD COLUMNS (more string)")
    await house.rows("ALTER TABLE p PARTITION (d='9') REPLACE COLUMNS (id bigint)")
    kept = {
        part["Values"][0]: part["StorageDescriptor"]["Columns"] for part in house.catalog.partitions_["default", "p"]
    }
    assert kept == {"2": [{"Name": "id", "Type": "int"}], "9": [{"Name": "id", "Type": "bigint"}]}
    assert "PARTITION_ALREADY_EXISTS" in await house.failure(
        "ALTER TABLE p PARTITION (d='9') RENAME TO PARTITION (d='2')"
    )
    assert "PARTITION_NOT_FOUND" in await house.failure("ALTER TABLE p PARTITION (d='5') SET LOCATION 's3://data/old/'")
