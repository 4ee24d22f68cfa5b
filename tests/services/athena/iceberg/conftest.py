"""Athena, Glue and S3 themselves, with both engines: Iceberg statements end to end without sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from lakebed.engines import iceberg, sql_duckdb
from lakebed.services import athena, glue, s3
from tests.harness import Harness

Rows = list[list[str | None]]


class House:
    """Statements in, rows out."""

    def __init__(self, harness: Harness) -> None:
        self.harness = harness

    async def open(self) -> None:
        self.sql = sql_duckdb.engine(self.harness.kernel, self.harness.ports)
        self.tables = iceberg.engine(self.harness.kernel, self.harness.ports)
        self.harness.add(s3.service, glue.service, athena.service)
        await self.harness.start()

    async def close(self) -> None:
        await self.sql.stop()
        await self.tables.stop()

    async def make(self) -> None:
        for bucket in ("lake", "results"):
            await self.harness.call("s3", "CreateBucket", Bucket=bucket)
        await self.harness.call("glue", "CreateDatabase", DatabaseInput={"Name": "db"})

    async def execute(self, sql: str, **params: Any) -> dict[str, Any]:
        params.setdefault("ResultConfiguration", {"OutputLocation": "s3://results/q/"})
        params.setdefault("QueryExecutionContext", {"Database": "db"})
        started = await self.harness.call("athena", "StartQueryExecution", QueryString=sql, **params)
        await self.harness.clock.settle()
        found = await self.harness.call("athena", "GetQueryExecution", QueryExecutionId=started["QueryExecutionId"])
        return found["QueryExecution"]

    async def run(self, sql: str, **params: Any) -> dict[str, Any]:
        made = await self.execute(sql, **params)
        assert made["Status"]["State"] == "SUCCEEDED", made["Status"]
        return await self.harness.call("athena", "GetQueryResults", QueryExecutionId=made["QueryExecutionId"])

    async def rows(self, sql: str, **params: Any) -> Rows:
        """Without the header."""
        found = await self.run(sql, **params)
        listed = [[cell.get("VarCharValue") for cell in row["Data"]] for row in found["ResultSet"]["Rows"]]
        return listed[1:] if sql.lstrip().upper().startswith(("SELECT", "WITH")) else listed

    async def failure(self, sql: str) -> str:
        made = await self.execute(sql)
        assert made["Status"]["State"] == "FAILED", made["Status"]
        return str(made["Status"]["StateChangeReason"])

    async def table(self, name: str) -> dict[str, Any]:
        return (await self.harness.call("glue", "GetTable", DatabaseName="db", Name=name))["Table"]

    async def keys(self, prefix: str = "", bucket: str = "lake") -> list[str]:
        found = await self.harness.call("s3", "ListObjectsV2", Bucket=bucket, Prefix=prefix)
        return [each["Key"] for each in found.get("Contents", [])]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """One house for a module: its engines' processes take a second to start."""
    made = House(Harness(tmp_path_factory.mktemp("iceberg") / "data"))
    await made.open()
    yield made
    await made.close()
    await made.harness.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def house(opened: House) -> AsyncIterator[House]:
    """An empty database and bucket."""
    await opened.make()
    yield opened
    await opened.harness.call("glue", "DeleteDatabase", Name="db")
    for bucket in ("lake", "results"):
        for key in await opened.keys(bucket=bucket):
            await opened.harness.call("s3", "DeleteObject", Bucket=bucket, Key=key)
        await opened.harness.call("s3", "DeleteBucket", Bucket=bucket)
