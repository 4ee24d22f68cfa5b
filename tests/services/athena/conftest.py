"""A house with Athena, the real SQL engine, and fakes of Glue and S3."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from lakebed.engines.sql_duckdb import engine
from lakebed.services import athena
from tests.harness import Harness
from tests.services.athena.fakes import Catalog, Objects


class House:
    """Statements in, rows out."""

    def __init__(self, harness: Harness) -> None:
        self.harness = harness
        self.objects, self.catalog = Objects(harness.kernel.data / "fake"), Catalog()
        harness.ports.objects, harness.ports.catalog = self.objects, self.catalog  # type: ignore[assignment]

    async def call(self, operation: str, **params: Any) -> dict[str, Any]:
        return await self.harness.call("athena", operation, **params)

    async def put(self, url: str, body: bytes | str) -> None:
        bucket, _, key = url.removeprefix("s3://").partition("/")
        await self.objects.put(None, bucket, key, body.encode() if isinstance(body, str) else body)

    async def execute(self, sql: str, **params: Any) -> dict[str, Any]:
        params.setdefault("ResultConfiguration", {"OutputLocation": "s3://results/q/"})
        started = await self.call("StartQueryExecution", QueryString=sql, **params)
        await self.harness.clock.settle()
        found = await self.call("GetQueryExecution", QueryExecutionId=started["QueryExecutionId"])
        return found["QueryExecution"]

    async def rows(self, sql: str, **params: Any) -> list[list[str | None]]:
        made = await self.execute(sql, **params)
        assert made["Status"]["State"] == "SUCCEEDED", made["Status"]
        found = await self.call("GetQueryResults", QueryExecutionId=made["QueryExecutionId"])
        return [[cell.get("VarCharValue") for cell in row["Data"]] for row in found["ResultSet"]["Rows"]]

    def keys(self, place: str) -> list[str]:
        """The keys under ``bucket/prefix``."""
        bucket, _, prefix = place.partition("/")
        return sorted(key for where, key in self.objects.objects if where == bucket and key.startswith(prefix))

    async def failure(self, sql: str, **params: Any) -> str:
        made = await self.execute(sql, **params)
        assert made["Status"]["State"] == "FAILED", made["Status"]
        return str(made["Status"]["StateChangeReason"])


@pytest.fixture
async def house(harness: Harness) -> AsyncIterator[House]:
    made = House(harness)
    running = engine(harness.kernel, harness.ports)
    harness.add(athena.service)
    await harness.start()
    yield made
    await running.stop()
