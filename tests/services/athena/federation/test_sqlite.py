"""A SQLite file in S3 as a data catalog."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from lakebed.kernel.errors import AwsError
from tests.services.athena.conftest import House
from tests.services.athena.federation.conftest import connected


async def _shop(house: House, tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as made:
        made.execute("CREATE TABLE Orders (Id INTEGER, customer TEXT, total REAL, paid BOOLEAN, day DATE, raw BLOB)")
        made.executemany(
            "INSERT INTO Orders VALUES (?,?,?,?,?,?)",
            [(1, "Ann", 10.5, 1, "2026-01-01", b"\x00\xff"), (2, 'B "ob"\nx', 0.1, 0, "2026-01-02", None),
             (3, "", None, None, None, b""), (4, None, 1e300, 1, "2026-02-01", b"z")],
        )  # fmt: skip
    await house.put("s3://data/shop.db", path.read_bytes())
    await connected(house, "Shop", "SQLITE", location="s3://data/shop.db")


async def test_rows_and_types(house: House, tmp_path: Path) -> None:
    await _shop(house, tmp_path)
    assert await house.rows('SELECT * FROM "shop"."main"."orders" ORDER BY id') == [
        ["id", "customer", "total", "paid", "day", "raw"],
        ["1", "Ann", "10.5", "true", "2026-01-01", "00 ff"],
        ["2", 'B "ob"\nx', "0.1", "false", "2026-01-02", None],
        ["3", "", None, None, None, ""],
        ["4", None, "1.0E300", "true", "2026-02-01", "7a"],
    ]
    assert await house.rows('SELECT count(*) FROM "shop"."main"."orders"') == [["_col0"], ["4"]]


async def test_joined_with_s3_and_billed_by_what_was_read(house: House, tmp_path: Path) -> None:
    await _shop(house, tmp_path)
    await house.put("s3://data/people/a.csv", "Ann,Berlin\nEve,Rome\n")
    await house.execute(
        "CREATE EXTERNAL TABLE people (name string, city string) ROW FORMAT DELIMITED FIELDS TERMINATED BY ',' "
        "LOCATION 's3://data/people/'"
    )
    sql = "SELECT o.id, p.city FROM shop.main.orders o JOIN people p ON p.name = o.customer WHERE o.id IN (1, 9)"
    assert (await house.rows(sql))[1:] == [["1", "Berlin"]]
    made = await house.execute(sql)
    assert made["Statistics"]["DataScannedInBytes"] == len("Ann,Berlin\nEve,Rome\n") + len("1") + len("Ann")


@pytest.mark.parametrize(
    ("condition", "ids", "scanned"),
    [
        ("id = 2", "2", 1), ("id BETWEEN 2 AND 3", "23", 2), ("id <= 1", "1", 1), ("customer IS NULL", "4", 1),
        ("customer LIKE 'An%'", "1", 4), ("customer >= 'B'", "2", 9), ("customer = ''", "3", 1),
        ("total > 5e0 OR id = 3", "134", None),
    ],
)  # fmt: skip
async def test_conditions_are_handed_down(
    house: House, tmp_path: Path, condition: str, ids: str, scanned: int | None
) -> None:
    await _shop(house, tmp_path)
    made = await house.execute(f"SELECT id FROM shop.main.orders WHERE {condition} ORDER BY id")
    assert made["Status"]["State"] == "SUCCEEDED", made["Status"]
    found = await house.call("GetQueryResults", QueryExecutionId=made["QueryExecutionId"])
    assert "".join(row["Data"][0]["VarCharValue"] for row in found["ResultSet"]["Rows"][1:]) == ids
    if scanned is not None:
        assert made["Statistics"]["DataScannedInBytes"] == scanned


async def test_limit_is_handed_down(house: House, tmp_path: Path) -> None:
    await _shop(house, tmp_path)
    made = await house.execute("SELECT id FROM shop.main.orders LIMIT 2")
    assert made["Statistics"]["DataScannedInBytes"] == 2
    assert len(await house.rows("SELECT id FROM shop.main.orders ORDER BY id DESC LIMIT 2")) == 3


async def test_session_catalog_and_metadata(house: House, tmp_path: Path) -> None:
    await _shop(house, tmp_path)
    context = {"Catalog": "Shop", "Database": "main"}
    assert (await house.rows("SELECT max(id) FROM orders", QueryExecutionContext=context))[1] == ["4"]
    assert "NOT_SUPPORTED" in await house.failure("SHOW TABLES", QueryExecutionContext=context)
    found = await house.call("ListDatabases", CatalogName="Shop")
    assert [each["Name"] for each in found["DatabaseList"]] == ["main"]
    listed = await house.call("ListTableMetadata", CatalogName="Shop", DatabaseName="main")
    assert [each["Name"] for each in listed["TableMetadataList"]] == ["orders"]
    table = (await house.call("GetTableMetadata", CatalogName="Shop", DatabaseName="main", TableName="orders"))[
        "TableMetadata"
    ]
    assert [each["Type"] for each in table["Columns"]] == ["bigint", "string", "double", "boolean", "date", "binary"]
    with pytest.raises(AwsError) as wrong:
        await house.call("GetTableMetadata", CatalogName="Shop", DatabaseName="main", TableName="none")
    assert wrong.value.error_code == "MetadataException"


async def test_failures_by_name(house: House, tmp_path: Path) -> None:
    await _shop(house, tmp_path)
    assert "CATALOG_NOT_FOUND" in await house.failure("SELECT 1 FROM nowhere.a.b")
    assert "SCHEMA_NOT_FOUND" in await house.failure("SELECT 1 FROM shop.other.orders")
    assert "TABLE_NOT_FOUND" in await house.failure("SELECT 1 FROM shop.main.nothing")
    assert "COLUMN_NOT_FOUND" in await house.failure("SELECT nothing FROM shop.main.orders")
    await house.put("s3://data/no.db", b"this is no database at all" * 100)
    await connected(house, "broken", "SQLITE", location="s3://data/no.db")
    assert "GENERIC_USER_ERROR" in await house.failure("SELECT 1 FROM broken.main.t")


async def test_ctas_and_view_over_a_source(house: House, tmp_path: Path) -> None:
    await _shop(house, tmp_path)
    made = await house.execute(
        "CREATE TABLE kept WITH (format='PARQUET') AS SELECT id, total FROM shop.main.orders WHERE id < 3"
    )
    assert made["Status"]["State"] == "SUCCEEDED", made["Status"]
    assert (await house.rows("SELECT sum(id) FROM kept"))[1] == ["3"]
    await house.execute("CREATE VIEW paid AS SELECT id FROM shop.main.orders WHERE paid")
    assert await house.rows("SELECT id FROM paid ORDER BY 1") == [["id"], ["1"], ["4"]]
