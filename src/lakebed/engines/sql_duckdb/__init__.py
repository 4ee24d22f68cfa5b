"""SQL over files by DuckDB, in its own processes: implements ``ports.sql.SqlEngine`` and ``ports.conversion.Converter``.

Nothing of DuckDB or sqlglot is imported in the server process. ``engine(k, p)`` sets ``p.sql`` and ``p.converter`` and
returns the engine; ``await engine.stop()`` ends its workers.
"""

from __future__ import annotations

from lakebed.engines.sql_duckdb.engine import DuckdbEngine
from lakebed.engines.sql_duckdb.pool import Pool
from lakebed.engines.sql_duckdb.settings import SqlDuckdbSettings
from lakebed.kernel.kernel import Kernel
from lakebed.ports.house import Ports

__all__ = ["DuckdbEngine", "SqlDuckdbSettings", "engine"]


def engine(k: Kernel, p: Ports) -> DuckdbEngine:
    """The engine of a house."""
    made = DuckdbEngine(k, Pool(k, k.settings.section("engines", "sql_duckdb", SqlDuckdbSettings)))
    p.sql = p.converter = made
    return made
