"""CTAS, INSERT and UNLOAD in every format and compression: what was written reads back as it was."""

from __future__ import annotations

import itertools

import pytest

from tests.services.athena.conftest import House

ROWS = """SELECT * FROM (VALUES (1, CAST('x' AS varchar), DATE '2026-01-02', 1.5e0, DECIMAL '2.50', ARRAY['a', NULL], true),
(NULL, NULL, NULL, NULL, NULL, NULL, NULL)) t(a, s, d, f, n, l, b)"""
SHOWN = [["1", "x", "2026-01-02", "1.5", "2.50", "[a, null]", "true"], [None] * 7]
CASES = [
    *itertools.product(["PARQUET"], ["SNAPPY", "GZIP", "ZSTD", "LZ4", "NONE"]),
    *itertools.product(["ORC"], ["ZLIB", "SNAPPY", "ZSTD"]), *itertools.product(["AVRO"], ["DEFLATE", "SNAPPY"]),
    *itertools.product(["TEXTFILE", "JSON"], ["GZIP", "ZSTD", "BZIP2", "SNAPPY", "LZ4", "DEFLATE", "NONE"]),
]  # fmt: skip


@pytest.mark.parametrize(("form", "compression"), CASES)
async def test_round_trip(house: House, form: str, compression: str) -> None:
    made = await house.execute(f"CREATE TABLE t WITH (format='{form}', write_compression='{compression}') AS {ROWS}")
    assert made["Status"]["State"] == "SUCCEEDED", made["Status"]
    assert (await house.rows("SELECT * FROM t ORDER BY a"))[1:] == SHOWN
    await house.rows("INSERT INTO t (s, a) SELECT 'more', 2")
    assert (await house.rows("SELECT a, s, l FROM t ORDER BY a"))[2] == ["2", "more", None]


async def test_defaults_and_refusals(house: House) -> None:
    await house.execute("CREATE TABLE t WITH (format='TEXTFILE', external_location='s3://data/t/') AS SELECT 1 AS a")
    assert [key.rpartition(".")[2] for key in house.keys("data/t/")] == ["gz"]
    for given in ("format='PARQUET', write_compression='BZIP2'", "format='ORC', write_compression='DEFLATE'"):
        assert "NOT_SUPPORTED" in await house.failure(f"CREATE TABLE u WITH ({given}) AS SELECT 1 AS a")
    for given in ("compression_level=3", "write_compression='ZSTD', compression_level=40", "bucketed_by=ARRAY['a']"):
        assert "INVALID_TABLE_PROPERTY" in await house.failure(f"CREATE TABLE u WITH ({given}) AS SELECT 1 AS a")
    await house.execute("CREATE TABLE v AS SELECT 'x' AS s")
    assert "Cannot truncate non-space characters" in await house.failure("INSERT INTO v SELECT 'xy'")
    await house.rows("UNLOAD (SELECT 1 AS a) TO 's3://data/u/' WITH (format='AVRO', compression='SNAPPY')")
    assert len(house.keys("data/u/")) == 1


async def test_buckets_follow_hives_hash(house: House) -> None:
    """https://docs.aws.amazon.com/athena/latest/ug/ctas-bucketing-guidance.html; 'abc' hashes to 96354 as in Java."""
    await house.execute(
        "CREATE TABLE b WITH (bucketed_by=ARRAY['s'], bucket_count=4, external_location='s3://data/b/') AS "
        "SELECT s FROM (VALUES 'abc', 'a', 'b', 'c') t(s)"
    )
    keys = house.keys("data/b/")
    assert [key[2:10] for key in keys] == ["000001_0", "000002_0", "000003_0"]
    found = await house.rows('SELECT s, substr("$path", 13, 6) FROM b ORDER BY s')
    assert found[1:] == [["a", "000001"], ["abc", "000002"], ["b", "000002"], ["c", "000003"]]
    assert "not supported on bucketed tables" in await house.failure("INSERT INTO b SELECT 'x'")


async def test_more_than_a_hundred_partitions(house: House) -> None:
    sql = "CREATE TABLE p WITH (partitioned_by=ARRAY['k']) AS SELECT 1 AS a, k FROM UNNEST(sequence(1, {0})) t(k)"
    assert "HIVE_TOO_MANY_OPEN_PARTITIONS" in await house.failure(sql.format(101))
    assert (await house.execute(sql.format(100)))["Status"]["State"] == "SUCCEEDED"
    assert (await house.rows('SELECT count(*), max(k) FROM "p$partitions"'))[1:] == [["100", "100"]]


@pytest.mark.parametrize(
    ("properties", "refused"),
    [
        ("table_type = 'hive', is_external = true", ""),
        ("table_type = 'delta'", "neither HIVE nor ICEBERG"),
        ("is_external = false", "is_external"),
    ],
)
async def test_hive_tables_are_named_as_dbt_names_them(house: House, properties: str, refused: str) -> None:
    sql = f"CREATE TABLE kind WITH ({properties}, external_location = 's3://data/kind/') AS SELECT 1 AS a"
    made = await house.execute(sql)
    assert made["Status"]["State"] == ("FAILED" if refused else "SUCCEEDED")
    assert refused in made["Status"].get("StateChangeReason", "")
