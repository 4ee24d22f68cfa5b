"""NDJSON to Parquet: types, case, rejections by line. Read back by DuckDB in the test's own process."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest

from lakebed.engines.sql_duckdb import DuckdbEngine, engine
from lakebed.kernel.errors import AwsError
from lakebed.ports.conversion import Conversion
from tests.harness import Harness


@pytest.fixture
async def converter(harness: Harness):
    made = engine(harness.kernel, harness.ports)
    yield made
    await made.stop()


def _lines(path: Path, *records: object) -> Path:
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in records))
    return path


async def test_types_case_and_rejections(converter: DuckdbEngine, tmp_path: Path) -> None:
    source = _lines(
        tmp_path / "in",
        {
            "Id": 1,
            "name": "a",
            "price": "1.255",
            "at": "2026-01-02T03:04:05Z",
            "tags": ["x", None],
            "s": {"A": 5},
            "b": True,
        },
        {"id": "x"},
        "not json",
        {"ID": 2, "ts": 1767323045, "d": "2026-02-03", "m": {"k": 1}, "extra": 1, "at": 1767323045123, "raw": "ab"},
        [1],
        {"id": 2**40},
        {"when": "2026-01-01 00:00:00.5"},
    )
    target = tmp_path / "out.parquet"
    columns = [
        ("id", "int"),
        ("name", "string"),
        ("price", "decimal(5,2)"),
        ("at", "timestamp"),
        ("tags", "array<string>"),
        ("s", "struct<a:bigint>"),
        ("b", "boolean"),
        ("d", "date"),
        ("m", "map<string,int>"),
        ("raw", "binary"),
    ]
    made = await converter.convert(Conversion(source, target, columns, rename={"when": "at"}))
    assert made.rows == 3
    assert [line for line, _ in made.rejected] == [1, 2, 4, 5]
    rows = duckdb.connect().execute(f"SELECT * FROM read_parquet('{target}')").fetchall()
    assert rows[0][:3] == (1, "a", __import__("decimal").Decimal("1.26"))
    assert str(rows[0][3]) == "2026-01-02 03:04:05"
    assert rows[0][4:7] == (["x", None], {"a": 5}, True)
    assert str(rows[1][3]) == "2026-01-02 03:04:05.123000"
    assert rows[1][8] == {"k": 1}
    assert rows[1][9] == b"ab"
    assert str(rows[2][3]) == "2026-01-01 00:00:00.500000"
    assert not list(tmp_path.glob(".*ndjson"))


async def test_nothing_accepted_writes_no_file(converter: DuckdbEngine, tmp_path: Path) -> None:
    made = await converter.convert(Conversion(_lines(tmp_path / "in", "{"), tmp_path / "o", [("a", "int")]))
    assert made.rows == 0
    assert len(made.rejected) == 1
    assert not (tmp_path / "o").exists()


async def test_orc_is_refused_by_name(converter: DuckdbEngine, tmp_path: Path) -> None:
    with pytest.raises(AwsError, match="orc"):
        await converter.convert(Conversion(_lines(tmp_path / "in", {}), tmp_path / "o", [("a", "int")], format="orc"))
