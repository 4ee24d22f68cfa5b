"""NDJSON to Parquet: types, case, rejections by line. Read back by DuckDB in the test's own process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from lakebed.engines.sql_duckdb import DuckdbEngine, engine
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


async def test_orc_holds_the_same_rows(converter: DuckdbEngine, tmp_path: Path) -> None:
    orc = pytest.importorskip("pyarrow.orc")
    source, target = tmp_path / "in", tmp_path / "out"
    columns = [("a", "int"), ("s", "struct<k:bigint,l:array<string>>"), ("at", "timestamp"), ("d", "decimal(6,2)")]
    lines = [{"A": n, "s": {"K": n, "l": ["x", None]}, "at": "2026-01-02 03:04:05", "d": "1.256"} for n in range(3)]
    options = {"StripeSizeBytes": 8 << 20, "FormatVersion": "V0_12", "BloomFilterColumns": ["a"], "EnablePadding": True}
    for compression in ("zlib", "snappy", "none"):
        made = await converter.convert(
            Conversion(
                _lines(source, *lines, "{"), target, columns, format="orc", compression=compression, options=options
            )
        )
        assert (made.rows, [line for line, _ in made.rejected]) == (3, [3])
        rows = orc.ORCFile(str(target)).read().to_pylist()
        assert [row["a"] for row in rows] == [0, 1, 2]
        assert rows[1]["s"] == {"k": 1, "l": ["x", None]}
        assert str(rows[0]["d"]) == "1.26"
        assert str(rows[0]["at"]).startswith("2026-01-02 03:04:05")


async def test_deserialisers_have_their_options(converter: DuckdbEngine, tmp_path: Path) -> None:
    lines: list[Any] = [
        {"dot.key": 1, "at": "03/Feb/2026:04:05:06 +0100", "in": {"x.y": 2}},
        {"dot.key": 2, "at": 1_770_087_906_123},
        {"dot.key": 3, "at": "2026-02-03 03:05:06"},
    ]
    columns = [("dot_key", "int"), ("at", "timestamp"), ("in", "struct<x_y:int>")]
    job = Conversion(
        _lines(tmp_path / "in", *lines), tmp_path / "out", columns, dots_to_underscores=True,
        timestamp_formats=["dd/MMM/yyyy:HH:mm:ss Z", "millis"],
    )  # fmt: skip
    made = await converter.convert(job)
    assert [line for line, _ in made.rejected] == [2]
    rows = duckdb.connect().execute(f"SELECT * FROM read_parquet('{tmp_path / 'out'}')").fetchall()
    assert [row[0] for row in rows] == [1, 2]
    assert str(rows[0][1]) == "2026-02-03 03:05:06"
    assert str(rows[1][1]) == "2026-02-03 03:05:06.123000"
    assert rows[0][2] == {"x_y": 2}
