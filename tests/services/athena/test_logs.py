"""The documented log tables of ``examples/logs``: each is made, and each saved query answers over generated lines."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "examples" / "logs"))
import catalogue  # type: ignore[import-not-found]
import generate  # type: ignore[import-not-found]

from tests.services.athena.conftest import House


@pytest.mark.parametrize("log", catalogue.LOGS, ids=[log.table for log in catalogue.LOGS])
async def test_a_log_is_read(house: House, log: catalogue.Log) -> None:
    body = generate.text(log.table, 200).encode()
    await house.put(f"s3://data/{log.table}/x.log.gz", gzip.compress(body))
    made = await house.execute(log.ddl.replace("{location}", f"s3://data/{log.table}/"))
    assert made["Status"]["State"] == "SUCCEEDED", made["Status"]
    assert (await house.rows(f"SELECT count(*) FROM {log.table}"))[1:] == [["200"]]
    first = (await house.rows(f"SELECT * FROM {log.table} LIMIT 1"))[1]
    assert sum(cell is None for cell in first) <= 3, first  # a pattern that does not fit gives rows of NULLs
    for name, sql in log.queries.items():
        rows = await house.rows(sql)
        assert len(rows) > 1, (name, rows)
