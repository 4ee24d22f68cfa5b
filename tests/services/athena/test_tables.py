"""Tables that change, and tables whose partitions are projected."""

from __future__ import annotations

import pytest

from lakebed.ports.sql import SqlFailure
from lakebed.services.athena import projection
from tests.services.athena.conftest import House

FIELDS = "ROW FORMAT DELIMITED FIELDS TERMINATED BY ','"


async def test_properties_columns_and_views(house: House) -> None:
    await house.put("s3://data/p/a.csv", "1,x\n")
    await house.execute(f"CREATE EXTERNAL TABLE p (id int) {FIELDS} LOCATION 's3://data/p/' TBLPROPERTIES ('k'='v')")
    assert (await house.execute("ALTER TABLE p ADD COLUMNS (name string COMMENT 'who')"))["Status"][
        "State"
    ] == "SUCCEEDED"
    assert await house.rows("SELECT * FROM p") == [["id", "name"], ["1", "x"]]
    await house.execute("ALTER TABLE p SET TBLPROPERTIES ('k'='w', 'n'='1')")
    assert await house.rows("SHOW TBLPROPERTIES p ('k')") == [["w"]]
    assert ["n\t1"] in await house.rows("SHOW TBLPROPERTIES p")
    assert "DUPLICATE_COLUMN_NAME" in await house.failure("ALTER TABLE p ADD COLUMNS (id int)")
    await house.execute("CREATE VIEW pv AS SELECT 1 AS one")
    assert await house.rows("SHOW VIEWS") == [["pv"]]
    assert await house.rows("TABLE p") == [["id", "name"], ["1", "x"]]


async def test_projected_partitions(house: House) -> None:
    await house.put("s3://data/logs/2026/01/02/eu/a.csv", "5\n")
    await house.put("s3://data/logs/2026/01/03/us/a.csv", "70\n")
    made = await house.execute(
        f"CREATE EXTERNAL TABLE logs (n int) PARTITIONED BY (day string, region string) {FIELDS} LOCATION 's3://data/logs/' "
        "TBLPROPERTIES ('projection.enabled'='true', 'projection.day.type'='date', 'projection.day.format'='yyyy/MM/dd', "
        "'projection.day.range'='2026/01/01,2026/01/05', 'projection.region.type'='enum', 'projection.region.values'='eu,us', "
        "'storage.location.template'='s3://data/logs/${day}/${region}')"
    )
    assert made["Status"]["State"] == "SUCCEEDED", made
    assert await house.rows("SELECT * FROM logs ORDER BY n") == [
        ["n", "day", "region"],
        ["5", "2026/01/02", "eu"],
        ["70", "2026/01/03", "us"],
    ]
    one = await house.execute("SELECT n FROM logs WHERE day = '2026/01/02'")
    assert one["Statistics"]["DataScannedInBytes"] == 2
    assert (await house.rows("SELECT sum(n) FROM logs WHERE region = 'ap'"))[1] == [None]
    assert "NOT_SUPPORTED" in await house.failure("INSERT INTO logs SELECT 1, '2026/01/02', 'eu'")


@pytest.mark.parametrize(
    ("given", "values"),
    [
        ({"type": "integer", "range": "1,10", "interval": "4"}, ["1", "5", "9"]),
        ({"type": "integer", "range": "8,11", "digits": "3"}, ["008", "009", "010", "011"]),
        ({"type": "date", "format": "yyyyMMdd", "range": "20260131,20260201"}, ["20260131", "20260201"]),
        ({"type": "enum", "values": "a, b"}, ["a", "b"]),
        ({"type": "date", "format": "yyyy-MM", "range": "2025-11,2026-02"}, ["2025-11", "2025-12", "2026-01", "2026-02"]),
        ({"type": "date", "format": "yyyy-MM-dd", "range": "NOW-2DAYS,NOW"}, ["2023-11-12", "2023-11-13", "2023-11-14"]),
        ({"type": "date", "format": "yyyy-MM-dd'T'HH", "range": "2026-01-01T22,2026-01-02T01", "interval.unit": "HOURS"},
         ["2026-01-01T22", "2026-01-01T23", "2026-01-02T00", "2026-01-02T01"]),
    ],
)  # fmt: skip
def test_values(given: dict[str, str], values: list[str]) -> None:
    properties = {f"projection.k.{name}": value for name, value in given.items()}
    table = {"Parameters": properties, "StorageDescriptor": {"Location": "s3://bucket/t/"}}
    found = projection.partitions(table, ["k"], 1.7e9)
    assert [part["Values"] for part in found] == [[value] for value in values]
    assert found[0]["StorageDescriptor"]["Location"] == f"s3://bucket/t/k={values[0].replace(':', '%3A')}/"


def test_what_is_refused() -> None:
    for given in (
        {"type": "injected"},
        {"type": "integer", "range": "1,1000000000"},
        {"type": "date", "format": "MM", "range": "1,2"},
    ):
        properties = {f"projection.k.{name}": value for name, value in given.items()}
        with pytest.raises(SqlFailure):
            projection.partitions(
                {"Parameters": properties, "StorageDescriptor": {"Location": "s3://bucket/t/"}}, ["k"], 0.0
            )
