"""What every SQL engine must do, whatever it is made of: one suite over the port, run by a subclass for each engine.

``can`` names what an engine is able to; a test of anything else is skipped, never weakened. The statements are Athena's.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lakebed.ports.sql import DataFile, Output, Relation, SqlEngine, SqlFailure, SqlJob, SqlOutcome
from lakebed.services.athena.results import RowReader

SLOW = "SELECT count(*) FROM UNNEST(sequence(1, 100000)) a(x), UNNEST(sequence(1, 100000)) b(y) WHERE x * y % 7 = 3"
ALL = frozenset({"cancel", "timeout", "memory", "spill", "crash", "write", "bytes", "prune", "nested"})


class Conformance:
    """Subclass it with a fixture ``engine``; ``kill_workers`` ends the engine's processes where it can ``crash``."""

    can = ALL

    def kill_workers(self, engine: Any) -> None:
        """End whatever runs statements, as a crash would."""
        raise NotImplementedError

    def running(self, engine: Any, job_id: str) -> bool:
        """Whether a job has reached a worker."""
        raise NotImplementedError

    def need(self, ability: str) -> None:
        """Skip what the engine does not claim."""
        if ability not in self.can:
            pytest.skip(f"this engine does not claim {ability}")

    async def run(
        self, engine: SqlEngine, sql: str, place: Path, **more: Any
    ) -> tuple[list[list[str | None]], SqlOutcome]:
        """Rows and outcome."""
        outcome = await engine.run(SqlJob(id=more.pop("id", "job"), sql=sql, output=Output(place), now=1.7e9, **more))
        return [row for row, _ in RowReader().feed(outcome.files[0].path.read_text(), True)][1:], outcome

    async def failure(self, engine: SqlEngine, sql: str, place: Path, **more: Any) -> SqlFailure:
        """The failure a statement must end in."""
        with pytest.raises(SqlFailure) as caught:
            await self.run(engine, sql, place, **more)
        return caught.value

    def table(self, place: Path, files: Sequence[str], **more: Any) -> Relation:
        """A text table of (id int, name string)."""
        made = []
        for at, text in enumerate(files):
            path = place / f"f{at}.csv"
            path.write_text(text)
            made.append(DataFile(str(path), len(text.encode()), partition=at if more else -1))
        return Relation("default", "t", [("id", "int"), ("name", "string")], files=made, format="csv",
                        options={"field.delim": ","}, **more)  # fmt: skip

    async def test_types_and_nulls(self, engine: SqlEngine, tmp_path: Path) -> None:
        sql = ("SELECT 1, BIGINT '2', 1.50, 2e0, true, 'x', DATE '2026-01-02', TIMESTAMP '2026-01-02 03:04:05', "
               "CAST(NULL AS varchar), X'6162', ''")  # fmt: skip
        rows, outcome = await self.run(engine, sql, tmp_path)
        assert rows == [
            ["1", "2", "1.50", "2.0", "true", "x", "2026-01-02", "2026-01-02 03:04:05.000", None, "61 62", ""]
        ]
        assert [column.type for column in outcome.columns] == [
            "integer", "bigint", "decimal", "double", "boolean", "varchar", "date", "timestamp", "varchar", "varbinary",
            "varchar",
        ]  # fmt: skip
        assert (outcome.rows, outcome.scanned_bytes) == (1, 0)

    async def test_nested(self, engine: SqlEngine, tmp_path: Path) -> None:
        self.need("nested")
        rows, _ = await self.run(engine, "SELECT ARRAY[1, NULL], MAP(ARRAY['a'], ARRAY[1]), ROW(1, 'b')", tmp_path)
        assert rows == [["[1, null]", "{a=1}", "{field0=1, field1=b}"]]

    @pytest.mark.parametrize(
        ("sql", "name"),
        [
            ("SELEC 1", "SYNTAX_ERROR"), ("SELECT nosuch", "COLUMN_NOT_FOUND"), ("SELECT * FROM nosuch", "TABLE_NOT_FOUND"),
            ("SELECT nosuch(1)", "FUNCTION_NOT_FOUND"), ("SELECT 1 = 'a'", "TYPE_MISMATCH"), ("SELECT 1 / 0", "DIVISION_BY_ZERO"),
            ("SELECT CAST('a' AS integer)", "INVALID_CAST_ARGUMENT"),
            ("SELECT BIGINT '9223372036854775807' + 1", "NUMERIC_VALUE_OUT_OF_RANGE"),
            ("SELECT (SELECT x FROM (VALUES 1, 2) t(x))", "SUBQUERY_MULTIPLE_ROWS"),
            ("SELECT ARRAY[1][2]", "INVALID_FUNCTION_ARGUMENT"),
        ],
    )  # fmt: skip
    async def test_errors_by_kind(self, engine: SqlEngine, tmp_path: Path, sql: str, name: str) -> None:
        assert (await self.failure(engine, sql, tmp_path)).name == name
        assert (await self.run(engine, "SELECT 1", tmp_path))[0] == [["1"]]

    @pytest.mark.parametrize(
        "sql",
        ["SELECT * FROM read_csv('/etc/passwd')", "COPY (SELECT 1) TO '/tmp/x'", "SELECT * FROM '/etc/passwd'", "SET x = 1",
         "ATTACH '/tmp/x'", "SELECT getenv('HOME')", "SELECT 1; SELECT 2"],
    )  # fmt: skip
    async def test_hostile_statements(self, engine: SqlEngine, tmp_path: Path, sql: str) -> None:
        failure = await self.failure(engine, sql, tmp_path)
        assert failure.category == 2
        assert "root:" not in failure.message

    async def test_cancel_running_and_early(self, engine: SqlEngine, tmp_path: Path) -> None:
        self.need("cancel")
        running = asyncio.ensure_future(self.failure(engine, SLOW, tmp_path / "a", id="slow"))
        while not self.running(engine, "slow"):
            await asyncio.sleep(0)
        assert engine.cancel("slow")
        assert (await running).name == "USER_CANCELED"
        assert not engine.cancel("later")
        assert (await self.failure(engine, "SELECT 1", tmp_path / "b", id="later")).name == "USER_CANCELED"

    async def test_timeout(self, engine: SqlEngine, tmp_path: Path) -> None:
        self.need("timeout")
        assert (await self.failure(engine, SLOW, tmp_path, timeout_seconds=0.3)).name == "EXCEEDED_TIME_LIMIT"
        assert (await self.run(engine, "SELECT 1", tmp_path))[0] == [["1"]]

    async def test_memory_limit(self, engine: SqlEngine, tmp_path: Path) -> None:
        self.need("memory")
        sql = "SELECT cardinality(array_agg(lpad(CAST(a AS varchar), 4000, 'y'))) FROM UNNEST(sequence(1, 100000)) t(a)"
        assert (await self.failure(engine, sql, tmp_path)).name == "EXCEEDED_LOCAL_MEMORY_LIMIT"

    async def test_spill(self, engine: SqlEngine, tmp_path: Path) -> None:
        self.need("spill")
        sql = ("SELECT count(*) FROM (SELECT a % 100000 AS k, lpad(CAST(a AS varchar), 2000, 'z') AS v, count(*) AS n "
               "FROM UNNEST(sequence(1, 100000)) t(a) GROUP BY 1, 2) q")  # fmt: skip
        assert (await self.run(engine, sql, tmp_path))[0] == [["100000"]]

    async def test_a_dead_worker_is_replaced(self, engine: SqlEngine, tmp_path: Path) -> None:
        self.need("crash")
        assert (await self.run(engine, "SELECT 1", tmp_path))[0] == [["1"]]
        self.kill_workers(engine)
        assert (await self.run(engine, "SELECT 2", tmp_path))[0] == [["2"]]

    @pytest.mark.parametrize("form", ["parquet", "json", "csv"])
    async def test_data_files(self, engine: SqlEngine, tmp_path: Path, form: str) -> None:
        self.need("write")
        output = Output(tmp_path / "out", form, "none", ["k"], ",")
        job = SqlJob(
            id="w", sql="SELECT x, 'v' AS s, x % 2 AS k FROM UNNEST(ARRAY[1, 2, 3]) t(x)", output=output, now=1.7e9
        )
        outcome = await engine.run(job)
        assert (outcome.rows, sorted(tuple(file.partition) for file in outcome.files)) == (3, [("0",), ("1",)])
        odd = next(file.path for file in outcome.files if tuple(file.partition) == ("1",))
        if form == "json":
            assert [json.loads(line)["x"] for line in odd.read_text().splitlines()] == [1, 3]
        elif form == "csv":
            assert odd.read_text() == "1,v\n3,v\n"
        else:
            assert odd.read_bytes()[:4] == b"PAR1"

    async def test_bytes_scanned_and_cutoff(self, engine: SqlEngine, tmp_path: Path) -> None:
        self.need("bytes")
        relation = self.table(tmp_path, ["1,a\n2,b\n", "3,c\n"])
        rows, outcome = await self.run(engine, "SELECT count(*) FROM t", tmp_path / "o", relations=[relation])
        assert (rows, outcome.scanned_bytes) == ([["3"]], 12)
        cut = await self.failure(engine, "SELECT * FROM t", tmp_path / "o", relations=[relation], scanned_bytes_max=11)
        assert cut.name == "EXCEEDED_SCAN_LIMIT"

    async def test_references_prune_describe(self, engine: SqlEngine, tmp_path: Path) -> None:
        self.need("prune")
        relation = self.table(
            tmp_path, ["1,a\n", "2,b\n"], partition_columns=[("day", "string")], partitions=[("x",), ("y",)]
        )
        named = await engine.references("WITH c AS (SELECT 1) SELECT * FROM c, t, other.u")
        assert [(table.database, table.name) for table in named] == [("default", "t"), ("other", "u")]
        sql = "SELECT id FROM t WHERE day = 'y' AND id > 0"
        job = SqlJob(id="p", sql=sql, output=Output(tmp_path / "o"), relations=[relation])
        assert [list(places) for places in await engine.prune(job)] == [[1]]
        assert [(column.name, column.type) for column in await engine.describe(job)] == [("id", "integer")]
