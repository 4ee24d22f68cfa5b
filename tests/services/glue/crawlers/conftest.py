"""A house with the real Glue, S3, SQS, Logs, Athena and engine: objects in, tables out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from lakebed.engines import sql_duckdb
from lakebed.services import athena, glue, logs, s3, sqs
from tests.harness import Harness

ROLE = "arn:aws:iam::000000000000:role/crawler"


class Lake:
    """A bucket ``lake``, a crawler, the catalog it fills."""

    def __init__(self, harness: Harness) -> None:
        self.harness = harness

    async def call(self, operation: str, **params: Any) -> dict[str, Any]:
        return await self.harness.call("glue", operation, **params)

    async def put(self, objects: Mapping[str, bytes | str]) -> None:
        for key, body in objects.items():
            data = body.encode() if isinstance(body, str) else body
            await self.harness.call("s3", "PutObject", Bucket="lake", Key=key, Body=data)

    async def delete(self, *keys: str) -> None:
        for key in keys:
            await self.harness.call("s3", "DeleteObject", Bucket="lake", Key=key)

    async def create(self, name: str = "c", path: str = "s3://lake/", **params: Any) -> None:
        target = {"Path": path, **params.pop("Target", {})}
        params = {"Role": ROLE, "DatabaseName": "db", "Targets": {"S3Targets": [target]}, **params}
        await self.call("CreateCrawler", Name=name, **params)

    async def crawl(self, name: str = "c") -> dict[str, Any]:
        await self.call("StartCrawler", Name=name)
        await self.harness.clock.settle()
        found = (await self.call("GetCrawler", Name=name))["Crawler"]
        assert found["State"] == "READY", found
        return dict(found["LastCrawl"])

    async def succeed(self, name: str = "c") -> None:
        last = await self.crawl(name)
        assert last["Status"] == "SUCCEEDED", last

    async def tables(self) -> dict[str, dict[str, Any]]:
        found = await self.call("GetTables", DatabaseName="db")
        return {table["Name"]: table for table in found["TableList"]}

    async def partitions(self, table: str) -> list[list[str]]:
        found = await self.call("GetPartitions", DatabaseName="db", TableName=table)
        return [one["Values"] for one in found["Partitions"]]

    async def query(self, sql: str) -> list[list[str | None]]:
        started = await self.harness.call(
            "athena", "StartQueryExecution", QueryString=sql, QueryExecutionContext={"Database": "db"},
            ResultConfiguration={"OutputLocation": "s3://results/"},
        )  # fmt: skip
        await self.harness.clock.settle()
        made = (await self.harness.call("athena", "GetQueryExecution", **started))["QueryExecution"]
        assert made["Status"]["State"] == "SUCCEEDED", made["Status"]
        found = await self.harness.call("athena", "GetQueryResults", **started)
        return [[cell.get("VarCharValue") for cell in row["Data"]] for row in found["ResultSet"]["Rows"]]


@pytest.fixture
async def lake(harness: Harness) -> AsyncIterator[Lake]:
    running = sql_duckdb.engine(harness.kernel, harness.ports)
    harness.add(s3.service, sqs.service, logs.service, glue.service, athena.service)
    await harness.start()
    for bucket in ("lake", "results"):
        await harness.call("s3", "CreateBucket", Bucket=bucket)
    yield Lake(harness)
    await running.stop()


def columns(table: dict[str, Any]) -> dict[str, str]:
    return {one["Name"]: one["Type"] for one in table["StorageDescriptor"]["Columns"]}
