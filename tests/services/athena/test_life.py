"""Idempotence, workgroups, cut-offs, restarts, saved statements, metadata: everything around a query."""

from __future__ import annotations

import pytest

from lakebed.engines import sql_duckdb
from lakebed.kernel.errors import AwsError
from lakebed.services import athena
from lakebed.services.athena import price_usd
from tests.harness import Harness
from tests.services.athena.conftest import House

OUT = {"OutputLocation": "s3://results/q/"}


async def test_client_request_token(house: House) -> None:
    token = "t" * 32
    one = await house.call(
        "StartQueryExecution", QueryString="SELECT 1", ClientRequestToken=token, ResultConfiguration=OUT
    )
    two = await house.call(
        "StartQueryExecution", QueryString="SELECT 1", ClientRequestToken=token, ResultConfiguration=OUT
    )
    assert one == two
    with pytest.raises(AwsError, match="Idempotent parameters do not match"):
        await house.call(
            "StartQueryExecution", QueryString="SELECT 2", ClientRequestToken=token, ResultConfiguration=OUT
        )


async def test_output_location_rules(house: House) -> None:
    with pytest.raises(AwsError, match="No output location provided"):
        await house.call("StartQueryExecution", QueryString="SELECT 1")
    await house.call(
        "CreateWorkGroup", Name="w", Configuration={"ResultConfiguration": {"OutputLocation": "s3://results/w"}}
    )
    made = await house.execute("SELECT 1", WorkGroup="w")
    assert made["ResultConfiguration"]["OutputLocation"] == f"s3://results/w/{made['QueryExecutionId']}.csv"
    await house.call("UpdateWorkGroup", WorkGroup="w", ConfigurationUpdates={"EnforceWorkGroupConfiguration": False})
    made = await house.execute("SELECT 1", WorkGroup="w")
    assert made["ResultConfiguration"]["OutputLocation"].startswith("s3://results/q/")
    await house.call("UpdateWorkGroup", WorkGroup="w", State="DISABLED")
    with pytest.raises(AwsError, match="disabled"):
        await house.execute("SELECT 1", WorkGroup="w")
    with pytest.raises(AwsError, match="not empty"):
        await house.call("DeleteWorkGroup", WorkGroup="w")
    await house.call("DeleteWorkGroup", WorkGroup="w", RecursiveDeleteOption=True)
    assert [group["Name"] for group in (await house.call("ListWorkGroups"))["WorkGroups"]] == ["primary"]


async def test_scan_cutoff_fails_before_reading(house: House) -> None:
    await house.put("s3://data/big/a.csv", b"1\n" * 6_000_000)
    await house.execute("CREATE EXTERNAL TABLE big (a int) LOCATION 's3://data/big/'")
    await house.call(
        "CreateWorkGroup",
        Name="w",
        Configuration={"BytesScannedCutoffPerQuery": 10_000_000, "EnforceWorkGroupConfiguration": False},
    )
    assert "Bytes scanned limit was exceeded" in await house.failure("SELECT count(*) FROM big", WorkGroup="w")


async def test_listing_newest_first_with_pages(house: House) -> None:
    ids = []
    for number in range(5):
        ids.append((await house.execute(f"SELECT {number}"))["QueryExecutionId"])
        await house.harness.clock.advance(1)
    first = await house.call("ListQueryExecutions", MaxResults=3)
    rest = await house.call("ListQueryExecutions", MaxResults=3, NextToken=first["NextToken"])
    assert first["QueryExecutionIds"] + rest["QueryExecutionIds"] == ids[::-1]
    assert "NextToken" not in rest
    batch = await house.call("BatchGetQueryExecution", QueryExecutionIds=[ids[0], "nope"])
    assert len(batch["QueryExecutions"]) == len(batch["UnprocessedQueryExecutionIds"]) == 1


async def test_missing_result_bucket_is_a_failure_not_a_success(house: House) -> None:
    assert "HIVE_INVALID_BUCKET" in await house.failure(
        "SELECT 1", ResultConfiguration={"OutputLocation": "s3://nowhere/x/"}
    )


async def test_a_killed_worker_is_replaced_and_the_query_tried_again(house: House) -> None:
    await house.rows("SELECT 1")
    pool = house.harness.ports.sql._pool  # type: ignore[attr-defined]
    for worker in pool._idle:
        worker.child.kill()
    assert (await house.rows("SELECT 2"))[1] == ["2"]


async def test_running_at_a_crash_runs_again(harness: Harness) -> None:
    house = House(harness)
    running = sql_duckdb.engine(harness.kernel, harness.ports)
    harness.add(athena.service)
    started = await house.call("StartQueryExecution", QueryString="SELECT 41 + 1", ResultConfiguration=OUT)
    run = harness.kernel.runs.claim("athena")  # as an earlier boot did, which then died
    assert run is not None
    harness.kernel.runs.owner = "another boot"
    harness.kernel.runs.release_others()
    await harness.start()
    await harness.clock.settle()
    made = (await house.call("GetQueryExecution", **started))["QueryExecution"]
    assert made["Status"]["State"] == "SUCCEEDED"
    await running.stop()


async def test_saved_statements(house: House) -> None:
    made = await house.call("CreateNamedQuery", Name="n", Database="default", QueryString="SELECT 1")
    assert (await house.call("GetNamedQuery", **made))["NamedQuery"]["QueryString"] == "SELECT 1"
    assert (await house.call("ListNamedQueries"))["NamedQueryIds"] == [made["NamedQueryId"]]
    await house.call("DeleteNamedQuery", **made)
    with pytest.raises(AwsError):
        await house.call("GetNamedQuery", **made)
    await house.call("CreatePreparedStatement", StatementName="p1", WorkGroup="primary", QueryStatement="SELECT ? + 1")
    assert (await house.rows("EXECUTE p1", ExecutionParameters=["4"]))[1] == ["5"]
    with pytest.raises(AwsError) as missing:
        await house.call("GetPreparedStatement", StatementName="q1", WorkGroup="primary")
    assert missing.value.error_code == "ResourceNotFoundException"


async def test_definitions_and_metadata(house: House) -> None:
    await house.execute("CREATE DATABASE IF NOT EXISTS shop COMMENT 'c'")
    assert await house.rows("SHOW DATABASES") == [["default"], ["shop"]]
    await house.execute(
        "CREATE EXTERNAL TABLE shop.t (a int COMMENT 'x', b string) PARTITIONED BY (d string) STORED AS PARQUET LOCATION 's3://data/t/'"
    )
    await house.execute("ALTER TABLE shop.t ADD PARTITION (d='1') PARTITION (d='2') LOCATION 's3://data/other/'")
    assert await house.rows("SHOW PARTITIONS shop.t") == [["d=1"], ["d=2"]]
    assert "PARTITION_ALREADY_EXISTS" in await house.failure("ALTER TABLE shop.t ADD PARTITION (d='1')")
    await house.execute("ALTER TABLE shop.t DROP PARTITION (d='1')")
    assert await house.rows("SHOW PARTITIONS shop.t") == [["d=2"]]
    text = "\n".join(row[0] or "" for row in await house.rows("SHOW CREATE TABLE shop.t"))
    await house.execute("DROP TABLE shop.t")
    assert (await house.execute(text))["Status"]["State"] == "SUCCEEDED"
    table = await house.call("GetTableMetadata", CatalogName="AwsDataCatalog", DatabaseName="shop", TableName="t")
    assert [column["Name"] for column in table["TableMetadata"]["Columns"]] == ["a", "b"]
    with pytest.raises(AwsError) as missing:
        await house.call("GetTableMetadata", CatalogName="AwsDataCatalog", DatabaseName="shop", TableName="no")
    assert missing.value.error_code == "MetadataException"
    assert "SCHEMA_NOT_EMPTY" in await house.failure("DROP DATABASE shop")
    assert (await house.execute("DROP DATABASE shop CASCADE"))["Status"]["State"] == "SUCCEEDED"


def test_price() -> None:
    assert price_usd(1 << 40, "DML") == 5.0
    assert price_usd(1, "DML") == price_usd(10 << 20, "DML")
    assert price_usd(1 << 40, "DDL") == 0.0
