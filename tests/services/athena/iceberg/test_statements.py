"""What users write about Iceberg tables, and what they see of it."""

from __future__ import annotations

import pytest

from tests.services.athena.iceberg.conftest import House

pytestmark = pytest.mark.asyncio(loop_scope="module")
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


async def test_parameters_go_where_the_statement_has_them(house: House) -> None:
    await house.run(CREATE)
    await house.run(ROWS)
    await house.run("INSERT INTO t (id, name) VALUES (?, ?)", ExecutionParameters=["4", "'d'"])
    await house.run("UPDATE t SET name = ?, amount = ? WHERE id = ?", ExecutionParameters=["'z?'", "7.25", "1"])
    await house.run(
        "MERGE INTO t USING (SELECT CAST(? AS bigint) AS id) s ON t.id = s.id WHEN MATCHED AND t.name = ? THEN DELETE "
        "WHEN MATCHED THEN UPDATE SET name = ?",
        ExecutionParameters=["2", "'nobody'", "'merged'"],
    )
    await house.run("DELETE FROM t WHERE id = ?", ExecutionParameters=["3"])
    assert await house.rows("SELECT id, name, amount FROM t ORDER BY 1") == [
        ["1", "z?", "7.25"], ["2", "merged", "2.50"], ["4", "d", None]]  # fmt: skip
    for wrong in (["1", "2"], ["(SELECT 1)"]):
        made = await house.execute("DELETE FROM t WHERE id = ?", ExecutionParameters=wrong)
        assert made["Status"]["StateChangeReason"].startswith("INVALID_PARAMETER_USAGE"), wrong


async def test_subqueries_views_and_hidden_columns(house: House) -> None:
    await house.run(CREATE)
    await house.run(ROWS)
    await house.run("CREATE VIEW v AS SELECT id, upper(name) AS name FROM t")
    assert await house.rows("SELECT name FROM v WHERE id = 2") == [["B"]]
    await house.run(
        "UPDATE t SET amount = (SELECT max(amount) FROM t) + 1 WHERE id NOT IN (SELECT id FROM t WHERE id < 3)"
    )
    assert await house.rows("SELECT amount FROM t WHERE id = 3") == [["3.50"]]
    await house.run(
        "MERGE INTO t USING t AS other ON t.id = other.id + 1 WHEN MATCHED THEN UPDATE SET name = other.name"
    )
    assert await house.rows("SELECT id, name FROM t ORDER BY 1") == [["1", "a"], ["2", "a"], ["3", "b"]]
    paths = await house.rows('SELECT DISTINCT "$path" FROM t')
    assert all(str(row[0]).startswith("s3://lake/t/data/") for row in paths)
    assert await house.rows('SELECT count(DISTINCT "$path") FROM t WHERE "$file_size" > 0') == [[str(len(paths))]]
    assert "cannot be resolved" in await house.failure("DELETE FROM t WHERE lb_nothing = 1")
    assert "mismatched" in await house.failure("UPDATE t SET amount = 'x'")
    assert "does not have a column named nope" in await house.failure("UPDATE t SET nope = 1")


async def test_types_come_back_as_they_went(house: House) -> None:
    await house.run(
        "CREATE TABLE k (b boolean, i int, l bigint, f float, d double, m decimal(20,5), s string, x binary, "
        "dt date, ts timestamp, a array<int>, mp map<string,int>, st struct<p:int,q:array<string>>) "
        "LOCATION 's3://lake/k/' TBLPROPERTIES ('table_type'='ICEBERG')"
    )
    await house.run(
        "INSERT INTO k SELECT true, 1, 3000000000, REAL '1.5', 2.5E0, DECIMAL '123.45678', 'é\"', X'00ff', DATE '2026-01-01', "
        "TIMESTAMP '2026-01-01 00:00:00.123', ARRAY[1, NULL], MAP(ARRAY['x'], ARRAY[1]), "
        "CAST(ROW(1, ARRAY['y']) AS ROW(p integer, q ARRAY(varchar)))"
    )
    await house.run("INSERT INTO k (i) VALUES (7)")
    found = await house.rows("SELECT * FROM k ORDER BY i")
    assert found[0][:4] == ["true", "1", "3000000000", "1.5"]
    assert found[0][4:9] == ["2.5", "123.45678", 'é"', "00 ff", "2026-01-01"]
    assert str(found[0][9]).startswith("2026-01-01 00:00:00.123")
    assert found[0][10:] == ["[1, null]", "{x=1}", "{p=1, q=[y]}"]
    assert found[1] == [None, "7", *[None] * 11]
