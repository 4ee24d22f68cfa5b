"""TPC-H: each query through the compiler, against bare DuckDB over the same files running the original text.

``LAKEBED_TPCH`` names a directory with the eight tables as Parquet (``tpchgen-cli parquet -s 1 --output-dir <directory>``,
https://pypi.org/project/tpchgen-cli/); without it the test is skipped. Rows are compared as numbers and text: what differs by
design is the scale of decimal quotients, which Trino's rules set.
"""

from __future__ import annotations

import os
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import duckdb
import pytest

from lakebed.engines.sql_duckdb.instance import Instances
from lakebed.engines.sql_duckdb.jobs import answer
from lakebed.services.athena.results import RowReader

PLACE = os.environ.get("LAKEBED_TPCH", "")
LINES = (Path(__file__).parent / "golden" / "tpch.sql").read_text().splitlines()
QUERIES = [line for line in LINES if not line.startswith("--")]
TABLES = ("customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier")
_HIVE = {"BIGINT": "bigint", "INTEGER": "int", "VARCHAR": "string", "DATE": "date", "DOUBLE": "double"}


def relations(place: Path) -> list[dict[str, Any]]:
    """The tables as the engine takes them."""
    made = []
    for name in TABLES:
        path = place / f"{name}.parquet"
        described = duckdb.connect().execute(f"DESCRIBE SELECT * FROM '{path}'").fetchall()
        columns = [[row[0], _HIVE.get(row[1], row[1].lower())] for row in described]
        files = [{"path": str(path), "size": path.stat().st_size}]
        made.append({"database": "default", "name": name, "columns": columns, "files": files})
    return made


def _close(a: str | None, b: str | None) -> bool:
    if a == b:
        return True
    try:
        x, y = Decimal(a or "x"), Decimal(b or "x")
    except InvalidOperation:
        return False
    digits = min(max(0, -int(x.as_tuple().exponent)), max(0, -int(y.as_tuple().exponent)))
    return abs(x - y) <= max(Decimal(10) ** -digits, abs(x) * Decimal("1e-9"))


@pytest.mark.slow
@pytest.mark.skipif(not PLACE, reason="LAKEBED_TPCH names no data")
@pytest.mark.parametrize("number", range(1, 23))
def test_query(number: int, tmp_path: Path) -> None:
    sql, place = QUERIES[number - 1], Path(PLACE)
    request = {"op": "run", "id": "x", "sql": sql, "relations": relations(place), "now": 1.7e9}
    told = answer(Instances(), {**request, "output": {"directory": str(tmp_path)}})
    assert "result" in told, told
    rows = [row for row, _ in RowReader().feed((tmp_path / "result.csv").read_text(), True)][1:]
    bare = duckdb.connect()
    for name in TABLES:
        bare.execute(f"CREATE VIEW {name} AS SELECT * FROM '{place / name}.parquet'")
    wanted = [[None if cell is None else str(cell) for cell in row] for row in bare.execute(sql).fetchall()]
    assert len(rows) == len(wanted)
    for got, expected in zip(rows, wanted, strict=True):
        assert all(_close(a, b) for a, b in zip(got, expected, strict=True)), (got, expected)
