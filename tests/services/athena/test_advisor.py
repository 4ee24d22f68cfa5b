"""The cost advisor: what it says it measures, what it recommends, and when it recommends nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lakebed.ports.advice import Advice
from tests.harness import ROOT, SCOPE
from tests.services.athena.conftest import House

ROWS = [
    {"id": at, "day": f"2026-01-{at % 10 + 1:02d}", "note": f"the same words again and again {at % 7}"}
    for at in range(4000)
]


async def advice(house: House, table: str = "logs") -> Advice:
    harness = house.harness
    found: Advice = await harness.ports.advice.table(ROOT, SCOPE, "default", table)
    return found


async def json_table(house: House, files: int = 8) -> None:
    await house.execute(
        "CREATE EXTERNAL TABLE logs (id int, day string, note string) ROW FORMAT SERDE "
        "'org.openx.data.jsonserde.JsonSerDe' LOCATION 's3://data/logs/'"
    )
    for at in range(files):
        await house.put(f"s3://data/logs/{at}.json", "\n".join(json.dumps(row) for row in ROWS[at::files]))


async def test_a_text_table_is_better_in_parquet_by_the_day_that_is_asked_for(house: House) -> None:
    await json_table(house)
    for _ in range(3):
        made = await house.execute("SELECT note FROM logs WHERE day = '2026-01-04'")
    scanned = made["Statistics"]["DataScannedInBytes"]
    told = await advice(house)
    assert (told.files, told.sampled_files, told.queries, told.assumed) == (8, 8, 3, False)
    assert told.sampled_bytes == told.size == scanned
    best, plain = told.savings
    assert best.title.endswith("partitioned by day")
    assert best.scanned_now == plain.scanned_now == 3 * scanned
    assert best.scanned_then < plain.scanned_then < plain.scanned_now / 5
    assert best.stored_now == told.size
    assert best.stored_then < told.size
    assert best.dollars_now == best.dollars_then > 0  # under ten megabytes a query costs the same


async def test_the_statement_does_what_was_measured(house: House) -> None:
    await json_table(house)
    await house.execute("SELECT note FROM logs WHERE day = '2026-01-04'")
    for saving in (await advice(house)).savings:
        made = await house.execute(saving.sql)
        assert made["Status"]["State"] == "SUCCEEDED", made["Status"]
    made = await house.execute("SELECT note FROM logs_by_day WHERE day = '2026-01-04'")
    assert made["Statistics"]["DataScannedInBytes"] == pytest.approx(
        (await advice(house)).savings[0].scanned_then, abs=2
    )
    assert await house.rows("SELECT count(*) FROM logs_by_day") == [["_col0"], ["4000"]]


async def test_a_range_is_a_filter_too(house: House) -> None:
    await json_table(house)
    await house.execute("SELECT id FROM logs WHERE day BETWEEN '2026-01-02' AND '2026-01-03'")
    assert (await advice(house)).savings[0].title.endswith("partitioned by day")


async def test_without_history_one_full_scan_is_assumed(house: House) -> None:
    await json_table(house)
    told = await advice(house)
    assert told.assumed
    assert told.savings[0].scanned_now == told.size
    assert len(told.savings) == 1


async def test_a_good_layout_is_left_alone(house: House) -> None:
    await json_table(house)
    made = await house.execute(
        "CREATE TABLE good WITH (format='PARQUET', write_compression='ZSTD', external_location='s3://data/good/') "
        "AS SELECT * FROM logs"
    )
    assert made["Status"]["State"] == "SUCCEEDED", made["Status"]
    await house.execute("SELECT id FROM good")
    told = await advice(house, "good")
    assert not told.savings
    assert told.notes


async def test_too_many_partitions_are_told(house: House) -> None:
    await json_table(house)
    await house.execute("SELECT note FROM logs WHERE id = 4")
    told = await advice(house)
    assert len(told.savings) == 1
    assert any("more than 100 partitions" in note for note in told.notes)


async def test_large_text_is_sampled_from_its_beginning(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lakebed.services.athena.advisor.SAMPLE_BYTES_MAX", 20_000)
    await json_table(house, files=1)
    told = await advice(house)
    assert 19_000 < told.sampled_bytes <= 20_000 < told.size
    assert told.savings[0].stored_now == told.size


async def test_one_query_that_has_ended(house: House) -> None:
    await json_table(house)
    made = await house.execute("SELECT id FROM logs")
    port: Any = house.harness.ports.advice
    found = await port.query(ROOT, SCOPE, made["QueryExecutionId"])
    assert [(each.table, each.queries) for each in found] == [("logs", 1)]
    assert found[0].savings
    assert not await port.query(ROOT, SCOPE, "unknown")


async def test_views_and_empty_tables_say_so(house: House) -> None:
    await house.execute("CREATE EXTERNAL TABLE logs (id int) STORED AS PARQUET LOCATION 's3://data/none/'")
    assert (await advice(house)).notes == ["The table has no data."]
    await house.execute("CREATE VIEW seen AS SELECT 1 AS one")
    assert (await advice(house, "seen")).notes == ["A view is not measured."]
