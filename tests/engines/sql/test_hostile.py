"""Statements that try to reach files, settings, the network or the engine itself: every one is refused and nothing happens.

Three lines of defence: the compiler's allow-list, the locked instance, the process. The second is tried by itself below.
"""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from lakebed.engines.sql_duckdb.instance import Instances
from lakebed.engines.sql_duckdb.jobs import answer

STATEMENTS = [line for line in Path(__file__).with_name("hostile.sql").read_text().splitlines() if line.strip()]
NEW_FILES = (Path("/tmp/lakebed_hostile"), Path("/tmp/lakebed_hostile.db"))


@pytest.fixture(scope="module")
def instances() -> Instances:
    return Instances()


def run(instances: Instances, sql: str, directory: Path) -> dict:
    return answer(
        instances, {"op": "run", "id": "x", "sql": sql, "output": {"directory": str(directory)}, "now": 1.7e9}
    )


@pytest.mark.parametrize("sql", STATEMENTS)
def test_refused(instances: Instances, sql: str, tmp_path: Path) -> None:
    told = run(instances, sql, tmp_path / "out")
    assert "failure" in told, told
    message = str(told["failure"])
    assert "root:" not in message
    assert "duckdb" not in message.lower()
    assert not (tmp_path / "out" / "result.csv").exists()
    assert not any(path.exists() for path in NEW_FILES)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_text('/etc/passwd')", "SELECT * FROM '/etc/passwd'", "COPY (SELECT 1) TO '/tmp/lakebed_hostile'",
        "ATTACH '/tmp/lakebed_hostile.db'", "INSTALL httpfs", "LOAD httpfs", "SET enable_external_access=true",
        "SET lock_configuration=false", "SELECT * FROM instances", "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM read_csv('{scratch}/../secret')", "COPY (SELECT 1) TO '{scratch}/../secret'",
        "SELECT * FROM read_csv('http://127.0.0.1:9/x')",
    ],
)  # fmt: skip
def test_locked_instance_alone(instances: Instances, sql: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("1\n")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    connection = instances.open([], [scratch])
    try:
        rows = connection.execute(sql.replace("{scratch}", str(scratch))).fetchall()
    except duckdb.Error:
        rows = []
    assert rows == []
    assert (tmp_path / "secret").read_text() == "1\n"
    assert not any(path.exists() for path in NEW_FILES)


def test_deep_nesting_is_an_error_not_a_crash(instances: Instances, tmp_path: Path) -> None:
    for sql in (
        "SELECT " + "(" * 3000 + "1" + ")" * 3000,
        "SELECT 1" + " + 1" * 3000,
        "SELECT * FROM " + "(SELECT * FROM " * 200 + "(VALUES 1)" + ")" * 200,
    ):
        told = run(instances, sql, tmp_path / "out")
        assert "failure" in told
