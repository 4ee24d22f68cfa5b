"""The conformance suite against DuckDB in worker processes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from lakebed.engines.sql_duckdb.engine import DuckdbEngine
from lakebed.engines.sql_duckdb.pool import Pool
from lakebed.engines.sql_duckdb.settings import SqlDuckdbSettings
from tests.engines.sql.conformance import Conformance
from tests.harness import Harness


class TestDuckdb(Conformance):
    """sql_duckdb, with little memory"""

    @pytest.fixture
    async def engine(self, harness: Harness) -> AsyncIterator[Any]:
        made = DuckdbEngine(harness.kernel, Pool(harness.kernel, SqlDuckdbSettings(workers=1, memory_mb=128)))
        yield made
        await made.stop()

    def kill_workers(self, engine: Any) -> None:
        for worker in engine._pool._idle:
            worker.child.process.kill()

    def running(self, engine: Any, job_id: str) -> bool:
        return job_id in engine._pool._busy
