"""Golden pairs: a statement, and the rows as Athena prints them.

``provenance``: ``derived`` — reasoned from Trino's and Athena's documentation, never from running AWS;
``documented`` — the example stands on a documentation page. Modes: unordered rows, map entries in any order, JSON compared
as JSON, approx:T with a relative tolerance.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from lakebed.engines.sql_duckdb.instance import Instances
from lakebed.engines.sql_duckdb.jobs import answer
from lakebed.services.athena.results import RowReader

GOLDEN = Path(__file__).parent / "golden"
PAIRS = [json.loads(line) for line in (GOLDEN / "trino.jsonl").read_text().splitlines()]
# Written from the documentation's pages before any of them was tried: 96 right, 7 wrong rows, 47 refused at the first run.
DOCUMENTED = [json.loads(line) for line in (GOLDEN / "documented.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def instances() -> Instances:
    return Instances()


def _numbers(text: Any) -> list[float]:
    return [float(each) for each in re.findall(r"-?[\d.]+(?:E-?\d+)?", str(text))]


def _same(wanted: Any, got: Any, mode: str) -> bool:
    if wanted == got:
        return True
    if wanted is None or got is None:
        return False
    if mode.startswith("approx"):
        tolerance, pairs = float(mode.split(":")[1]), list(zip(_numbers(wanted), _numbers(got), strict=True))
        return all(abs(a - b) <= tolerance * max(abs(a), 1e-9) for a, b in pairs)
    if mode == "map":
        return sorted(wanted.strip("{}").split(", ")) == sorted(got.strip("{}").split(", "))
    return mode == "json" and json.loads(wanted) == json.loads(got)


@pytest.mark.parametrize("pair", DOCUMENTED, ids=[pair["sql"][:60] for pair in DOCUMENTED])
def test_documented_pair(instances: Instances, pair: dict[str, Any], tmp_path: Path) -> None:
    """Right rows, or a refusal by name; never other rows."""
    told = answer(
        instances, {"op": "run", "id": "x", "sql": pair["sql"], "output": {"directory": str(tmp_path)}, "now": 1.7e9}
    )
    if "failure" in told:
        assert pair.get("refused"), told
    else:
        assert not pair.get("refused"), "it works now: take the mark away"
        _check(pair, tmp_path)


@pytest.mark.parametrize("pair", PAIRS, ids=[pair["sql"][:60] for pair in PAIRS])
def test_pair(instances: Instances, pair: dict[str, Any], tmp_path: Path) -> None:
    told = answer(
        instances, {"op": "run", "id": "x", "sql": pair["sql"], "output": {"directory": str(tmp_path)}, "now": 1.7e9}
    )
    if "error" in pair:
        assert pair["error"] in f"{told['failure']['name']}: {told['failure']['message']}"
        return
    assert "result" in told, told
    _check(pair, tmp_path)


def _check(pair: dict[str, Any], tmp_path: Path) -> None:
    rows = [row for row, _ in RowReader().feed((tmp_path / "result.csv").read_text(), True)][1:]
    wanted, mode = pair.get("rows", rows), pair.get("mode", "")
    if mode == "unordered":
        wanted, rows = sorted(wanted, key=str), sorted(rows, key=str)
    assert len(wanted) == len(rows)
    for left, right in zip(wanted, rows, strict=True):
        assert len(left) == len(right)
        assert all(_same(a, b, mode) for a, b in zip(left, right, strict=True)), (left, right)
