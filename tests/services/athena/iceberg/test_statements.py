"""What users write about Iceberg tables, and what they see of it."""

from __future__ import annotations

from tests.services.athena.iceberg.conftest import House

CREATE = (
    "CREATE TABLE t (id bigint, name string COMMENT 'who', ts timestamp, amount decimal(10,2)) "
    "PARTITIONED BY (day(ts), bucket(4, id)) LOCATION 's3://lake/t/' "
    "TBLPROPERTIES ('table_type'='ICEBERG', 'format'='parquet', 'write_compression'='zstd')"
)
ROWS = (
    "INSERT INTO t VALUES (1, 'a', TIMESTAMP '2026-01-01 10:00:00', 1.50), (2, 'b', TIMESTAMP '2026-01-02 10:00:00', 2.50), "
    "(3, NULL, TIMESTAMP '2026-01-02 11:00:00', NULL)"
)


async def test_create_insert_select(house: House) -> None:
    await house.run(CREATE)
    table = await house.table("t")
    assert table["TableType"] == "EXTERNAL_TABLE"
    assert table["Parameters"]["table_type"] == "ICEBERG"
    assert table["Parameters"]["metadata_location"].startswith("s3://lake/t/metadata/00000-")
    assert [column["Name"] for column in table["StorageDescriptor"]["Columns"]] == ["id", "name", "ts", "amount"]
    assert table["StorageDescriptor"]["Columns"][1]["Parameters"]["iceberg.field.id"] == "2"
    assert await house.rows("SELECT * FROM t") == []
    await house.run(ROWS)
    found = await house.rows("SELECT id, name, amount FROM t ORDER BY id")
    assert found == [["1", "a", "1.50"], ["2", "b", "2.50"], ["3", None, None]]
    after = await house.table("t")
    assert after["Parameters"]["previous_metadata_location"] == table["Parameters"]["metadata_location"]


async def test_delete_update_merge(house: House) -> None:
    await house.run(CREATE)
    await house.run(ROWS)
    assert (await house.run("DELETE FROM t WHERE id = 2"))["UpdateCount"] == 1
    assert await house.rows("SELECT id FROM t ORDER BY 1") == [["1"], ["3"]]
    assert (await house.run("UPDATE t SET name = 'c', amount = amount + 1 WHERE id = 1"))["UpdateCount"] == 1
    assert await house.rows("SELECT id, name, amount FROM t ORDER BY 1") == [["1", "c", "2.50"], ["3", None, None]]
    merged = await house.run(
        "MERGE INTO t USING (VALUES (1, 'x'), (3, 'gone'), (9, 'new')) AS s(id, name) ON t.id = s.id "
        "WHEN MATCHED AND s.name = 'gone' THEN DELETE "
        "WHEN MATCHED THEN UPDATE SET name = s.name "
        "WHEN NOT MATCHED THEN INSERT (id, name) VALUES (s.id, upper(s.name))"
    )
    assert merged["UpdateCount"] == 3
    assert await house.rows("SELECT id, name FROM t ORDER BY 1") == [["1", "x"], ["9", "NEW"]]


async def test_merge_that_hits_a_row_twice(house: House) -> None:
    await house.run(CREATE)
    await house.run(ROWS)
    told = await house.failure(
        "MERGE INTO t USING (VALUES 1, 1) AS s(id) ON t.id = s.id WHEN MATCHED THEN UPDATE SET name = 'x'"
    )
    assert told.startswith(
        "MERGE_TARGET_ROW_MULTIPLE_MATCHES: One MERGE target table row matched more than one source row"
    )
    assert await house.rows("SELECT name FROM t WHERE id = 1") == [["a"]]
