"""Tables over CSV, JSON and Parquet, results exactly where they are reported to be."""

from __future__ import annotations

import asyncio

import duckdb
import pytest

from lakebed.kernel.errors import AwsError
from tests.services.athena.conftest import House

CSV = """CREATE EXTERNAL TABLE people (id int, name string, score double) ROW FORMAT DELIMITED FIELDS TERMINATED BY ','
STORED AS TEXTFILE LOCATION 's3://data/people/'"""


async def test_csv_table_to_results_in_s3(house: House) -> None:
    await house.put("s3://data/people/a.csv", "1,alice,10.5\n2,bob,20\n3,carol,\n")
    assert (await house.execute(CSV))["Status"]["State"] == "SUCCEEDED"
    made = await house.execute("SELECT id, name, score FROM people ORDER BY id")
    assert made["Status"]["State"] == "SUCCEEDED", made
    place = made["ResultConfiguration"]["OutputLocation"]
    assert place == f"s3://results/q/{made['QueryExecutionId']}.csv"
    assert house.objects.text(place) == '"id","name","score"\n"1","alice","10.5"\n"2","bob","20.0"\n"3","carol",\n'
    assert made["Statistics"]["DataScannedInBytes"] == 31
    assert made["StatementType"] == "DML"
    found = await house.call("GetQueryResults", QueryExecutionId=made["QueryExecutionId"])
    assert [column["Type"] for column in found["ResultSet"]["ResultSetMetadata"]["ColumnInfo"]] == [
        "integer",
        "varchar",
        "double",
    ]
    assert found["ResultSet"]["Rows"][3]["Data"] == [{"VarCharValue": "3"}, {"VarCharValue": "carol"}, {}]


async def test_json_partitions_pruned(house: House) -> None:
    await house.execute(
        "CREATE EXTERNAL TABLE ev (Device string, v double, s struct<a:int>) PARTITIONED BY (day string) "
        "ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe' LOCATION 's3://data/ev/'"
    )
    for day in (1, 2, 3):
        await house.put(
            f"s3://data/ev/day=2026-01-0{day}/x.json", f'{{"DEVICE":"d{day}","v":{day}.5,"s":{{"a":{day}}}}}\n'
        )
    lines = await house.rows("MSCK REPAIR TABLE ev")
    assert len(lines) == 4
    assert await house.rows("SHOW PARTITIONS ev") == [["day=2026-01-01"], ["day=2026-01-02"], ["day=2026-01-03"]]
    made = await house.execute("SELECT device, v, s.a, day FROM ev WHERE day > '2026-01-01' AND v > 3")
    one = len('{"DEVICE":"d1","v":1.5,"s":{"a":1}}\n')
    assert made["Statistics"]["DataScannedInBytes"] == 2 * one
    assert (await house.rows("SELECT device, v, s.a, day FROM ev WHERE day > '2026-01-01' AND v > 3"))[1:] == [
        ["d3", "3.5", "3", "2026-01-03"]
    ]


async def test_parquet_bytes_scanned_by_column(house: House, tmp_path) -> None:
    path = tmp_path / "p.parquet"
    duckdb.connect().execute(
        f"COPY (SELECT range::INT AS id, 'n' || range AS name FROM range(1000)) TO '{path}' (FORMAT parquet)"
    )
    footer = int.from_bytes(path.read_bytes()[-8:-4], "little") + 8
    size = dict(
        duckdb.connect()
        .execute(f"SELECT path_in_schema, sum(total_compressed_size) FROM parquet_metadata('{path}') GROUP BY 1")
        .fetchall()
    )
    await house.put("s3://data/pq/p.parquet", path.read_bytes())
    await house.execute(
        "CREATE EXTERNAL TABLE pq (id int, name string, late string) STORED AS PARQUET LOCATION 's3://data/pq/'"
    )
    assert (await house.rows("SELECT sum(id), max(late) FROM pq"))[1] == ["499500", None]
    assert (await house.execute("SELECT sum(id) FROM pq"))["Statistics"]["DataScannedInBytes"] == size["id"] + footer
    assert (await house.execute("SELECT count(*) FROM pq"))["Statistics"]["DataScannedInBytes"] == footer
    assert (await house.execute("SELECT max(name) FROM pq WHERE id > 5000"))["Statistics"][
        "DataScannedInBytes"
    ] == footer
    twice = await house.execute("SELECT count(*) FROM pq a CROSS JOIN pq b WHERE a.id > 5000 AND b.id < 10")
    assert twice["Statistics"]["DataScannedInBytes"] == size["id"] + footer
    assert (await house.execute("SELECT * FROM pq"))["Statistics"]["DataScannedInBytes"] == size["id"] + size[
        "name"
    ] + footer


async def test_ctas_round_trip_partitioned(house: House) -> None:
    made = await house.execute(
        "CREATE TABLE made WITH (format='PARQUET', external_location='s3://data/made/', partitioned_by=ARRAY['k']) AS "
        "SELECT 1 AS id, ARRAY[1, NULL] AS xs, 'a' AS k UNION ALL SELECT 2, ARRAY[3], 'b b'"
    )
    assert made["Status"]["State"] == "SUCCEEDED", made["Status"]
    assert made["SubstatementType"] == "CREATE_TABLE_AS_SELECT"
    manifest = house.objects.text(made["Statistics"]["DataManifestLocation"]).splitlines()
    assert len(manifest) == 2
    assert await house.rows("SELECT * FROM made ORDER BY id") == [
        ["id", "xs", "k"],
        ["1", "[1, null]", "a"],
        ["2", "[3]", "b b"],
    ]
    assert "TABLE_ALREADY_EXISTS" in await house.failure("CREATE TABLE made AS SELECT 1 AS a")
    assert "HIVE_PATH_ALREADY_EXISTS" in await house.failure(
        "CREATE TABLE other WITH (external_location='s3://data/made/') AS SELECT 1 AS a"
    )
    inserted = await house.execute("INSERT INTO made SELECT 3, ARRAY[9], 'c'")
    assert inserted["Status"]["State"] == "SUCCEEDED", inserted["Status"]
    assert (await house.rows("SELECT count(*) FROM made"))[1] == ["3"]
    assert len(await house.rows("SHOW PARTITIONS made")) == 3


async def test_views_unload_prepared(house: House) -> None:
    await house.execute("CREATE TABLE base AS SELECT 1 AS a, 'x' AS b")
    assert (await house.execute("CREATE VIEW v AS SELECT a + 1 AS c, b FROM base"))["Status"]["State"] == "SUCCEEDED"
    assert await house.rows("SELECT * FROM v") == [["c", "b"], ["2", "x"]]
    made = await house.execute("UNLOAD (SELECT * FROM v) TO 's3://data/un/' WITH (format='JSON', compression='none')")
    assert made["Status"]["State"] == "SUCCEEDED", made["Status"]
    place = house.objects.text(made["Statistics"]["DataManifestLocation"]).strip()
    assert house.objects.text(place) == '{"c":2,"b":"x"}\n'
    await house.execute("PREPARE q FROM SELECT ? + a FROM base WHERE b = ?")
    assert (await house.rows("EXECUTE q USING 5, 'x'"))[1] == ["6"]
    assert (await house.rows("EXECUTE IMMEDIATE 'SELECT ? || ''!'' FROM base' USING 'y'"))[1] == ["y!"]
    assert (await house.rows("SELECT ? FROM base WHERE a = ?", ExecutionParameters=["'o''k'", "1"]))[1] == ["o'k"]
    assert "INVALID_PARAMETER_USAGE" in await house.failure("SELECT ?", ExecutionParameters=["(SELECT 1)"])


async def test_paging_and_nulls(house: House) -> None:
    made = await house.execute(
        "SELECT x, CASE WHEN x % 2 = 0 THEN 'é,\"\n' END AS y FROM UNNEST(sequence(1, 2500)) t(x) ORDER BY x"
    )
    token, rows = {}, []
    while True:
        page = await house.call("GetQueryResults", QueryExecutionId=made["QueryExecutionId"], **token)
        rows += page["ResultSet"]["Rows"]
        if "NextToken" not in page:
            break
        assert len(page["ResultSet"]["Rows"]) == 1000
        token = {"NextToken": page["NextToken"]}
    assert len(rows) == 2501
    assert rows[0]["Data"] == [{"VarCharValue": "x"}, {"VarCharValue": "y"}]
    assert rows[1]["Data"] == [{"VarCharValue": "1"}, {}]
    assert rows[2500]["Data"] == [{"VarCharValue": "2500"}, {"VarCharValue": 'é,"\n'}]


async def test_failures_have_trino_names(house: House) -> None:
    assert (await house.failure("SELECT nosuch")).startswith(
        "COLUMN_NOT_FOUND: line 1:8: Column 'nosuch' cannot be resolved"
    )
    assert "TABLE_NOT_FOUND" in await house.failure("SELECT * FROM nowhere")
    assert "DIVISION_BY_ZERO" in await house.failure("SELECT 1/0")
    assert "TYPE_MISMATCH" in await house.failure("SELECT 1 = '1'")
    assert "FUNCTION_NOT_FOUND" in await house.failure("SELECT getenv('HOME')")
    with pytest.raises(AwsError, match="mismatched input 'SELEC'"):
        await house.execute("SELEC 1")


async def test_stop_a_running_query(house: House) -> None:
    started = await house.call(
        "StartQueryExecution",
        QueryString="SELECT count(*) FROM UNNEST(sequence(1, 100000)) a(x), UNNEST(sequence(1, 100000)) b(y) WHERE x * y % 7 = 3",
        ResultConfiguration={"OutputLocation": "s3://results/"},
    )
    while (await house.call("GetQueryExecution", **started))["QueryExecution"]["Status"]["State"] == "QUEUED":
        await asyncio.sleep(0)
    await house.call("StopQueryExecution", **started)
    await house.harness.clock.settle()
    made = (await house.call("GetQueryExecution", **started))["QueryExecution"]
    assert made["Status"]["State"] == "CANCELLED"
    assert (await house.rows("SELECT 1"))[1] == ["1"]
