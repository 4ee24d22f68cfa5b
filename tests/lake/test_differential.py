"""Generated queries over small random tables: the rows as Athena prints them against SQLite's, and against themselves.

``t`` is a partitioned text table, so that pruning takes part; ``u`` is Parquet. A difference is a wrong row.
TLP: a query is the union of its parts where a condition holds, does not, and is unknown. NoREC: counting by WHERE and by
CASE must agree (https://arxiv.org/abs/2007.08292).
"""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import pytest

from lakebed.engines.sql_duckdb.instance import Instances
from lakebed.engines.sql_duckdb.jobs import answer
from lakebed.services.athena.results import RowReader
from tests.lake.queries import DAYS, Generator, Row, statement, table

Text = list[str | None]


class World:
    """Two tables in both engines."""

    def __init__(self, rng: random.Random, place: Path) -> None:
        self.place, self.instances = place, Instances()
        self.oracle = sqlite3.connect(":memory:")
        self.oracle.execute("PRAGMA case_sensitive_like = ON")
        t, u = table(rng), table(rng)
        for name, rows in (("t", t), ("u", u)):
            self.oracle.execute(f"CREATE TABLE {name} (a INTEGER, b INTEGER, s TEXT, day TEXT)")
            self.oracle.executemany(f"INSERT INTO {name} VALUES (?, ?, ?, ?)", rows)
        self.relations = [self._text(t), self._parquet(u)]

    def _text(self, rows: list[Row]) -> dict[str, Any]:
        files = []
        for at, day in enumerate(DAYS):
            lines = ["\x01".join("\\N" if v is None else str(v) for v in row[:3]) for row in rows if row[3] == day]
            if lines:
                path = self.place / f"t-{day}"
                path.write_text("\n".join(lines) + "\n")
                files.append({"path": str(path), "size": path.stat().st_size, "partition": at})
        return {"database": "default", "name": "t", "columns": [["a", "int"], ["b", "int"], ["s", "string"]],
                "partition_columns": [["day", "string"]], "partitions": [[day] for day in DAYS], "files": files,
                "format": "csv"}  # fmt: skip

    def _parquet(self, rows: list[Row]) -> dict[str, Any]:
        path = self.place / "u.parquet"
        with duckdb.connect() as connection:
            connection.execute("CREATE TABLE u (a INTEGER, b INTEGER, s VARCHAR, day VARCHAR)")
            if rows:
                connection.executemany("INSERT INTO u VALUES (?, ?, ?, ?)", rows)
            connection.execute(f"COPY u TO '{path}' (FORMAT parquet)")
        return {"database": "default", "name": "u", "format": "parquet",
                "columns": [["a", "int"], ["b", "int"], ["s", "string"], ["day", "string"]],
                "files": [{"path": str(path), "size": path.stat().st_size}]}  # fmt: skip

    def rows(self, sql: str) -> list[Text]:
        """The answer as Athena prints it; only the partitions that pruning keeps are handed over."""
        request = {
            "id": "x",
            "sql": sql,
            "relations": self.relations,
            "output": {"directory": str(self.place / "out")},
            "now": 1.7e9,
        }
        pruned = answer(self.instances, {"op": "prune", **request})
        assert "result" in pruned, (sql, pruned)
        kept = [
            {**relation, "files": [f for f in relation["files"] if f.get("partition", -1) in (-1, *places)]}
            for relation, places in zip(self.relations, pruned["result"], strict=True)
        ]
        told = answer(self.instances, {"op": "run", **request, "relations": kept})
        assert "result" in told, (sql, told)
        return [row for row, _ in RowReader().feed((self.place / "out" / "result.csv").read_text(), True)][1:]

    def expected(self, sql: str) -> list[Text]:
        """SQLite's answer as text."""
        return [[None if cell is None else str(cell) for cell in row] for row in self.oracle.execute(sql)]


def _bag(rows: list[Text]) -> Counter[tuple[str | None, ...]]:
    return Counter(tuple(row) for row in rows)


COUNTS = [40, pytest.param(1500, marks=pytest.mark.slow)]


@pytest.mark.parametrize("count", COUNTS)
def test_against_sqlite(tmp_path: Path, count: int) -> None:
    for number in range(count):
        rng = random.Random(number)
        if number % 20 == 0:
            world = World(rng, tmp_path)
        sql = statement(rng)
        assert _bag(world.rows(sql)) == _bag(world.expected(sql)), f"seed {number}: {sql}"


@pytest.mark.parametrize("count", [8, pytest.param(250, marks=pytest.mark.slow)])
def test_a_query_is_the_sum_of_its_parts(tmp_path: Path, count: int) -> None:
    for number in range(count):
        rng = random.Random(10_000 + number)
        if number % 10 == 0:
            world = World(rng, tmp_path)
        condition = Generator(rng, ("t", "u")).predicate()
        head = f"SELECT t.a, t.s, u.b FROM t {rng.choice(('', 'LEFT ', 'FULL '))}JOIN u ON t.a = u.a"
        parts = [
            world.rows(f"{head} WHERE {part}") for part in (condition, f"NOT ({condition})", f"({condition}) IS NULL")
        ]
        assert _bag(world.rows(head)) == sum((_bag(part) for part in parts), Counter()), f"seed {number}: {condition}"
        by_where = world.rows(f"SELECT count(*) FROM t WHERE {(alone := Generator(rng).predicate())}")
        assert by_where == world.rows(f"SELECT count(CASE WHEN {alone} THEN 1 END) FROM t"), f"seed {number}: {alone}"
