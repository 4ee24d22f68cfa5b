"""Counting goes on after a restart."""

from __future__ import annotations

from pathlib import Path

from lakebed.kernel.meter_keeper import MeterKeeper
from tests.harness import make_kernel


async def test_totals_and_links_survive_a_restart(tmp_path: Path) -> None:
    kernel = make_kernel(tmp_path)
    kernel.meters.into("arn:a", 3, 30)
    kernel.meters.out("arn:a", 2, 20, to="arn:b")
    kernel.meters.error("arn:b")
    MeterKeeper(kernel.db, kernel.meters).keep()
    kernel.meters.into("arn:a", 100)
    kernel.db.close()

    again = make_kernel(tmp_path)
    keeper = MeterKeeper(again.db, again.meters)
    keeper.restore()
    snapshot = again.meters.snapshot()
    assert snapshot["links"] == [{"source": "arn:a", "target": "arn:b", "records": 2}]
    found = snapshot["resources"]
    assert isinstance(found, dict)
    assert (found["arn:a"]["recordsIn"], found["arn:a"]["recordsOut"], found["arn:a"]["bytesIn"]) == (3, 2, 30)
    assert found["arn:b"]["errors"] == 1
    assert found["arn:a"]["rateIn"] == 0
    again.meters.into("arn:a")
    await keeper.activate()
    assert again.meters.totals()["meters"]["arn:a"][0] == 4
