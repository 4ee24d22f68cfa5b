"""Partitions are left out only where no row of the answer can need them."""

# ruff: noqa: E501 - statements are kept whole

from __future__ import annotations

import pytest

from tests.services.athena.conftest import House

FIELDS = "ROW FORMAT DELIMITED FIELDS TERMINATED BY ','"


@pytest.fixture
async def tables(house: House) -> House:
    for name in ("t", "u"):
        await house.execute(
            f"CREATE EXTERNAL TABLE {name} (id int) PARTITIONED BY (day string) {FIELDS} LOCATION 's3://data/{name}/'"
        )
    for day, ids in (("a", "1\n2\n"), ("b", "3\n")):
        await house.put(f"s3://data/t/day={day}/f.csv", ids)
    await house.put("s3://data/u/day=a/f.csv", "1\n")
    await house.put("s3://data/u/day=b/f.csv", "9\n")
    await house.execute("MSCK REPAIR TABLE t")
    await house.execute("MSCK REPAIR TABLE u")
    return house


@pytest.mark.parametrize(
    ("sql", "rows", "scanned"),
    [
        ("SELECT id FROM t WHERE day = 'b'", [["3"]], 2),
        ("SELECT t.id FROM t LEFT JOIN u ON t.id = u.id WHERE u.day IS NULL ORDER BY 1", [["2"], ["3"]], 10),
        ("SELECT t.id FROM t LEFT JOIN u ON t.id = u.id WHERE u.day = 'a' ORDER BY 1", [["1"]], 8),
        ("SELECT t.id FROM t LEFT JOIN u ON t.id = u.id WHERE u.day = 'a' OR u.day IS NULL ORDER BY 1", [["1"], ["2"], ["3"]], 10),
        ("SELECT u.id FROM t RIGHT JOIN u ON t.id = u.id WHERE coalesce(t.day, 'x') = 'x' ORDER BY 1", [["9"]], 10),
        ("SELECT u.id FROM t FULL JOIN u ON t.id = u.id WHERE t.day IS NULL ORDER BY 1", [["9"]], 10),
        ("SELECT id FROM t WHERE NOT EXISTS (SELECT 1 FROM u WHERE t.day = 'a') ORDER BY 1", [["3"]], 10),
        ("SELECT id FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.day = 'b' AND t.day = 'a') ORDER BY 1", [["1"], ["2"]], 8),
        ("SELECT t.id FROM t JOIN t AS o ON t.id = o.id WHERE t.day = 'a' AND o.day >= 'a' ORDER BY 1", [["1"], ["2"]], 6),
        ("SELECT t.id FROM t JOIN u USING (day) WHERE day = 'b'", [["3"]], 6),
        ("SELECT id FROM t FULL JOIN u USING (id) WHERE coalesce(t.day, u.day) = 'b' ORDER BY 1", [["3"], ["9"]], 10),
    ],
)  # fmt: skip
async def test_rows_and_bytes(tables: House, sql: str, rows: list[list[str]], scanned: int) -> None:
    made = await tables.execute(sql)
    assert (await tables.rows(sql))[1:] == rows
    assert made["Statistics"]["DataScannedInBytes"] <= scanned
