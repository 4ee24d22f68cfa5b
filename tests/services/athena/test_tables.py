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
    await house.rows("INSERT INTO logs (region, n, day) SELECT 'us', 8, '2026/01/04'")  # to where the template says
    assert (await house.rows("SELECT n, day, region FROM logs WHERE day = '2026/01/04'"))[1:] == [
        ["8", "2026/01/04", "us"]
    ]


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


async def test_injected_partitions(house: House) -> None:
    for device in ("a", "b", "c"):
        await house.put(f"s3://data/dev/{device}/x.csv", f"{ord(device)}\n")
    await house.execute(
        f"CREATE EXTERNAL TABLE dev (n int) PARTITIONED BY (device string) {FIELDS} LOCATION 's3://data/dev/' TBLPROPERTIES "
        "('projection.enabled'='true', 'projection.device.type'='injected', "
        "'storage.location.template'='s3://data/dev/${device}')"
    )
    assert (await house.rows("SELECT n, device FROM dev WHERE device = 'b'"))[1:] == [["98", "b"]]
    assert (await house.rows("SELECT sum(n) FROM dev WHERE device IN ('a', 'c') AND n > 0"))[1:] == [["196"]]
    for sql in (
        "SELECT n FROM dev",
        "SELECT n FROM dev WHERE device > 'a'",
        "SELECT n FROM dev WHERE device = 'a' OR n = 1",
    ):
        assert (await house.failure(sql)).startswith(
            "CONSTRAINT_VIOLATION: For the injected projected partition column device"
        )


async def test_metadata_as_rows(house: House) -> None:
    await house.execute(
        f"CREATE EXTERNAL TABLE m (n int COMMENT 'how many', a array<string>) PARTITIONED BY (day string) {FIELDS} "
        "LOCATION 's3://data/m/'"
    )
    await house.execute("CREATE VIEW w AS SELECT 1 AS one")
    await house.execute("ALTER TABLE m ADD PARTITION (day='x') PARTITION (day='__HIVE_DEFAULT_PARTITION__')")
    assert (await house.rows('SELECT * FROM "m$partitions" ORDER BY day'))[1:] == [["x"], [None]]
    sql = "SELECT column_name, ordinal_position, data_type, comment, extra_info FROM information_schema.columns"
    assert (await house.rows(f"{sql} WHERE table_name = 'm' ORDER BY 2"))[1:] == [
        ["n", "1", "integer", "how many", None], ["a", "2", "array(varchar)", None, None],
        ["day", "3", "varchar", None, "partition key"],
    ]  # fmt: skip
    assert (await house.rows("SELECT table_name, table_type FROM information_schema.tables ORDER BY 1"))[1:] == [
        ["m", "BASE TABLE"], ["w", "VIEW"]
    ]  # fmt: skip
    assert (await house.rows("SELECT view_definition FROM information_schema.views"))[1:] == [["SELECT 1 AS one"]]
    assert "TABLE_NOT_FOUND" in await house.failure("SELECT * FROM information_schema.applicable_roles")


async def test_explain(house: House) -> None:
    await house.put("s3://data/e/a.csv", "1,x\n2,y\n")
    await house.execute(f"CREATE EXTERNAL TABLE e (n int, s string) {FIELDS} LOCATION 's3://data/e/'")
    sql = "SELECT s, count(*) FROM e JOIN (VALUES 1, 2) v(k) ON n = k WHERE s > 'a' GROUP BY s ORDER BY s"
    text = "\n".join(row[0] or "" for row in await house.rows(f"EXPLAIN {sql}"))
    assert text.startswith("Fragment 0 [SINGLE]\n    Output[columnNames = s, _col1]")
    for told in ("Sort", "Aggregate", "InnerJoin", "TableScan[table = awsdatacatalog:default:e]", "Estimates: {rows:"):
        assert told in text
    assert "lb_" not in text
    assert "/" not in text
    analyzed = await house.execute(f"EXPLAIN ANALYZE {sql}")
    assert (analyzed["StatementType"], analyzed["SubstatementType"]) == ("UTILITY", "EXPLAIN")
    assert analyzed["Statistics"]["DataScannedInBytes"] == 8
    assert '"name": "Output"' in "".join(row[0] or "" for row in await house.rows(f"EXPLAIN (FORMAT JSON) {sql}"))
    assert (await house.rows(f"EXPLAIN (TYPE VALIDATE) {sql}")) == [["true"]]
    assert "COLUMN_NOT_FOUND" in await house.failure("EXPLAIN (TYPE VALIDATE) SELECT nosuch FROM e")
    assert '"table": "e"' in "".join(row[0] or "" for row in await house.rows(f"EXPLAIN (TYPE IO, FORMAT JSON) {sql}"))
    assert (await house.rows(f"EXPLAIN (TYPE LOGICAL, FORMAT GRAPHVIZ) {sql}"))[0] == ["digraph logical_plan {"]
    ran = await house.execute(sql)
    told = await house.call("GetQueryRuntimeStatistics", QueryExecutionId=ran["QueryExecutionId"])
    stage = told["QueryRuntimeStatistics"]["OutputStage"]
    assert (stage["State"], stage["OutputRows"], stage["InputBytes"]) == ("FINISHED", 2, 8)
    assert stage["QueryStagePlan"]["Name"] == "Output"
