"""Real PostgreSQL and MySQL servers as data catalogs: types, conditions, joins, failures, cancelling."""

# ruff: noqa: E501 - statements are kept whole

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.services.athena.conftest import House
from tests.services.athena.federation.conftest import connected

_PG = """
CREATE SCHEMA IF NOT EXISTS shop;
CREATE TABLE shop."Orders" (id int PRIMARY KEY, name text, total numeric(12,2), at timestamp, tz timestamptz, day date, ok boolean,
  raw bytea, real4 real, wide numeric, doc jsonb, tags int[], code char(4), u uuid);
INSERT INTO shop."Orders" VALUES
 (1, 'Ann', 10.50, '2026-01-01 10:00:00.123', '2026-01-01 12:00:00+02', '2026-01-01', true, '\\x00ff', 0.1,
  12345678901234567890.123456789, '{"a": 1}', '{1,2}', 'ab', '00000000-0000-0000-0000-000000000001'),
 (2, 'ann', -3.25, NULL, NULL, NULL, false, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
 (3, E'Zoë "x",\\n%', 0, '1999-12-31 23:59:59', NULL, '1999-12-31', NULL, '', 1e10, 0, 'null', '{}', '', NULL);
CREATE TABLE shop.numbers AS SELECT n, n * 2 AS twice FROM generate_series(1, 20000) n;
CREATE VIEW shop.slow AS SELECT n, pg_sleep(0.01) IS NULL AS s FROM shop.numbers;
"""


@pytest.fixture
async def pg(house: House, postgres: int) -> House:
    import psycopg

    with psycopg.connect(
        host="127.0.0.1", port=postgres, user="lakebed", password="lakebed", dbname="postgres"
    ) as made:
        made.execute("DROP SCHEMA IF EXISTS shop CASCADE")
        made.execute(_PG.encode())
    await connected(house, "pg", "POSTGRESQL", host="127.0.0.1", port=str(postgres), database="postgres",
                    username="lakebed", password="lakebed")  # fmt: skip
    return house


async def _ids(house: House, sql: str) -> tuple[list[str | None], int]:
    made = await house.execute(sql)
    assert made["Status"]["State"] == "SUCCEEDED", made["Status"]
    found = await house.call("GetQueryResults", QueryExecutionId=made["QueryExecutionId"])
    rows: list[dict[str, Any]] = found["ResultSet"]["Rows"][1:]
    return [row["Data"][0].get("VarCharValue") for row in rows], made["Statistics"]["DataScannedInBytes"]


async def test_postgres_types(pg: House) -> None:
    rows = await pg.rows("SELECT * FROM pg.shop.orders ORDER BY id")
    assert rows[1] == ["1", "Ann", "10.50", "2026-01-01 10:00:00.123", "2026-01-01 10:00:00.000 UTC", "2026-01-01", "true",
                       "00 ff", "0.1", "12345678901234567890.123456789", '{"a": 1}', "{1,2}", "ab",
                       "00000000-0000-0000-0000-000000000001"]  # fmt: skip
    assert rows[2] == ["2", "ann", "-3.25", *[None] * 3, "false", *[None] * 7]
    assert rows[3][1] == 'Zoë "x",\n%'
    assert (await pg.rows("SELECT typeof(total), typeof(tz), typeof(wide), typeof(raw) FROM pg.shop.orders LIMIT 1"))[1] == [
        "decimal(12,2)", "timestamp(3) with time zone", "varchar", "varbinary"]  # fmt: skip


@pytest.mark.parametrize(
    ("condition", "ids", "scanned"),
    [
        ("name = 'ann'", ["2"], 4), ("name > 'Ann'", ["2", "3"], None), ("name LIKE 'A%'", ["1"], 4),
        ("total BETWEEN 0 AND 11", ["1", "3"], None), ("at < TIMESTAMP '2000-01-01 00:00:00'", ["3"], 20),
        ("day = DATE '2026-01-01'", ["1"], 11), ("ok", ["1"], None), ("id IN (2, 3)", ["2", "3"], 2),
        ("at IS NOT NULL AND id > 1", ["3"], None), ("name <> 'Ann'", ["2", "3"], None), ("name = 'it''s %s'", [], 0),
        ("code = 'ab'", ["1"], 3), ("total = 10.5", ["1"], None), ("u IS NULL", ["2", "3"], 2),
    ],
)  # fmt: skip
async def test_postgres_conditions(pg: House, condition: str, ids: list[str], scanned: int | None) -> None:
    found, size = await _ids(pg, f"SELECT id FROM pg.shop.orders WHERE {condition} ORDER BY id")
    assert found == ids
    assert scanned is None or size == scanned


async def test_postgres_joined_and_limited(pg: House) -> None:
    await pg.put("s3://data/n/a.csv", "1,one\n2,two\n30000,none\n")
    await pg.execute("CREATE EXTERNAL TABLE n (id int, word string) ROW FORMAT DELIMITED FIELDS TERMINATED BY ',' "
                     "LOCATION 's3://data/n/'")  # fmt: skip
    rows = await pg.rows("SELECT n.word, m.twice FROM n LEFT JOIN pg.shop.numbers m ON m.n = n.id ORDER BY n.id")
    assert rows[1:] == [["one", "2"], ["two", "4"], ["none", None]]
    found, size = await _ids(pg, "SELECT n FROM pg.shop.numbers LIMIT 7")
    assert (len(found), size) == (7, 7)
    assert (await _ids(pg, "SELECT count(*) FROM pg.shop.numbers"))[0] == ["20000"]
    assert (await _ids(pg, "SELECT sum(twice) FROM pg.shop.numbers WHERE n > 19998"))[0] == [str(2 * (19999 + 20000))]


async def test_postgres_failures(pg: House, postgres: int) -> None:
    await connected(pg, "wrong", "POSTGRESQL", host="127.0.0.1", port=str(postgres), database="postgres",
                    username="lakebed", password="not-it-at-all")  # fmt: skip
    told = await pg.failure("SELECT 1 FROM wrong.shop.orders")
    assert "GENERIC_USER_ERROR" in told
    assert "not-it-at-all" not in told
    assert "SCHEMA_NOT_FOUND" in await pg.failure("SELECT 1 FROM pg.pg_catalog.pg_authid")


async def test_postgres_cancelled(pg: House, postgres: int) -> None:
    import psycopg

    started = await pg.call("StartQueryExecution", QueryString="SELECT count(s) FROM pg.shop.slow",
                            ResultConfiguration={"OutputLocation": "s3://results/q/"})  # fmt: skip
    asked = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'lakebed'"
    with psycopg.connect(host="127.0.0.1", port=postgres, user="lakebed", password="lakebed", dbname="postgres",
                         autocommit=True) as watch:  # fmt: skip

        async def until(count: int) -> None:
            async with asyncio.timeout(20):
                while watch.execute(asked).fetchone() != (count,):
                    await asyncio.sleep(0.02)

        await until(1)
        await pg.call("StopQueryExecution", **started)
        await until(0)
    await pg.harness.clock.settle()
    found = await pg.call("GetQueryExecution", **started)
    assert found["QueryExecution"]["Status"]["State"] == "CANCELLED"


_MYSQL = (
    "DROP DATABASE IF EXISTS Shop", "CREATE DATABASE Shop CHARACTER SET utf8mb4",
    """CREATE TABLE Shop.Orders (id INT PRIMARY KEY, name VARCHAR(40) COLLATE utf8mb4_general_ci, total DECIMAL(12,2), at DATETIME(3),
      day DATE, ok TINYINT(1), raw BLOB, big BIGINT UNSIGNED, bits BIT(1), kind ENUM('a','b'), dbl DOUBLE, y YEAR)""",
    "INSERT INTO Shop.Orders VALUES (1,'Ann',10.50,'2026-01-01 10:00:00.123','2026-01-01',1,x'00ff',18446744073709551615,1,'a',0.1,2026)",
    "INSERT INTO Shop.Orders VALUES (2,'ann',-3.25,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL)",
    "INSERT INTO Shop.Orders VALUES (3,'Zoë \"x\",\\n%\\\\',0,'1999-12-31 23:59:59','1999-12-31',NULL,x'',0,0,'b',1e300,1999)",
)  # fmt: skip


@pytest.fixture
async def my(house: House, mysql: int) -> House:
    import pymysql

    with pymysql.connect(host="127.0.0.1", port=mysql, user="lakebed", password="lakebed", autocommit=True,
                         charset="utf8mb4") as made:  # fmt: skip
        for statement in _MYSQL:
            made.cursor().execute(statement)
    await connected(house, "my", "MYSQL", host="127.0.0.1", port=str(mysql), username="lakebed", password="lakebed")
    return house


async def test_mysql_types(my: House) -> None:
    rows = await my.rows("SELECT * FROM my.shop.orders ORDER BY id")
    assert rows[1] == ["1", "Ann", "10.50", "2026-01-01 10:00:00.123", "2026-01-01", "1", "00 ff", "18446744073709551615",
                       "true", "a", "0.1", "2026"]  # fmt: skip
    assert rows[2] == ["2", "ann", "-3.25", None, None, "0", *[None] * 6]
    assert rows[3][1] == 'Zoë "x",\n%\\'
    assert rows[3][10] == "1.0E300"


@pytest.mark.parametrize(
    ("condition", "ids", "scanned"),
    [
        ("name = 'ann'", ["2"], None), ("name > 'Ann'", ["2", "3"], None), ("name LIKE 'A%'", ["1"], 4),
        ("name <> 'Ann'", ["2", "3"], None), ("total BETWEEN 0 AND 11", ["1", "3"], None),
        ("at < TIMESTAMP '2000-01-01 00:00:00'", ["3"], None), ("day = DATE '2026-01-01'", ["1"], 11),
        ("id IN (2, 3)", ["2", "3"], 2), ("raw IS NULL", ["2"], 1), ("name = 'it''s \\%s'", [], 0),
        ("big > 5", ["1"], None), ("ok = 1", ["1"], None), ("dbl > 1e10", ["3"], None),
    ],
)  # fmt: skip
async def test_mysql_conditions(my: House, condition: str, ids: list[str], scanned: int | None) -> None:
    found, size = await _ids(my, f"SELECT id FROM my.shop.orders WHERE {condition} ORDER BY id")
    assert found == ids
    assert scanned is None or size == scanned


async def test_three_sources_in_one_statement(pg: House, my: House) -> None:
    await pg.put("s3://data/n/a.csv", "1\n2\n")
    await pg.execute("CREATE EXTERNAL TABLE n (id int) LOCATION 's3://data/n/'")
    sql = ("SELECT n.id, a.name, b.total FROM n JOIN pg.shop.orders a ON a.id = n.id "
           "JOIN my.shop.orders b ON b.id = n.id ORDER BY 1")  # fmt: skip
    assert (await pg.rows(sql))[1:] == [["1", "Ann", "10.50"], ["2", "ann", "-3.25"]]
