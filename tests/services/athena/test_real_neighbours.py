"""Athena over the real Glue and the real S3, as the house wires them."""

# ruff: noqa: E501 - statements are kept whole

from __future__ import annotations

from pathlib import Path

from lakebed.engines import sql_duckdb
from lakebed.services import athena, glue, s3
from tests.harness import Harness


async def test_lake_end_to_end(harness: Harness, tmp_path: Path) -> None:
    running = sql_duckdb.engine(harness.kernel, harness.ports)
    harness.add(s3.service, glue.service, athena.service)
    await harness.start()
    call = harness.call
    await call("s3", "CreateBucket", Bucket="lake")
    for day in ("2026-01-01", "2026-01-02"):
        await call(
            "s3", "PutObject", Bucket="lake", Key=f"ev/day={day}/a.json", Body=f'{{"Id": 7, "day": "{day}"}}\n'.encode()
        )
    await call(
        "athena",
        "CreateWorkGroup",
        Name="team",
        Configuration={"ResultConfiguration": {"OutputLocation": "s3://lake/out/"}},
    )

    async def run(sql: str) -> list[list[str | None]]:
        started = await call(
            "athena", "StartQueryExecution", QueryString=sql, WorkGroup="team", QueryExecutionContext={"Database": "db"}
        )
        await harness.clock.settle()
        made = (await call("athena", "GetQueryExecution", **started))["QueryExecution"]
        assert made["Status"]["State"] == "SUCCEEDED", made["Status"]
        found = await call("athena", "GetQueryResults", **started)
        return [[cell.get("VarCharValue") for cell in row["Data"]] for row in found["ResultSet"]["Rows"]]

    await run("CREATE DATABASE db")
    await run(
        "CREATE EXTERNAL TABLE ev (id int) PARTITIONED BY (day date) ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe' LOCATION 's3://lake/ev/'"
    )
    await run("MSCK REPAIR TABLE ev")
    assert await run("SELECT id, day FROM ev WHERE day = DATE '2026-01-02'") == [["id", "day"], ["7", "2026-01-02"]]
    await run(
        "CREATE TABLE t2 WITH (partitioned_by = ARRAY['day']) AS SELECT id * 2 AS n, CAST(day AS varchar) AS day FROM ev"
    )
    assert (await run("SELECT sum(n), count(DISTINCT day) FROM t2"))[1] == ["28", "2"]
    await run("CREATE OR REPLACE VIEW v AS SELECT n FROM t2")
    assert (await run("SELECT * FROM v LIMIT 1"))[1] == ["14"]
    assert await run("SHOW TABLES") == [["ev"], ["t2"], ["v"]]
    assert len(await run("SHOW PARTITIONS t2")) == 2
    await run("ALTER TABLE ev PARTITION (day='2026-01-02') RENAME TO PARTITION (day='2026-01-05')")
    await run("ALTER TABLE ev PARTITION (day='2026-01-05') SET LOCATION 's3://lake/ev/day=2026-01-01/'")
    await run("ALTER TABLE ev CHANGE id id bigint COMMENT 'who'")
    assert (await run("SELECT sum(id) FROM ev WHERE day = DATE '2026-01-05'"))[1] == ["7"]
    listed = await call("athena", "ListTableMetadata", CatalogName="AwsDataCatalog", DatabaseName="db")
    assert [each["Name"] for each in listed["TableMetadataList"]] == ["ev", "t2", "v"]
    await run("DROP VIEW v")
    await run("DROP DATABASE db CASCADE")
    await running.stop()
