"""``[engines.sql_duckdb]``."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class SqlDuckdbSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much the SQL engine may take."""

    workers: Annotated[int, Meta(ge=1, le=64, description="Engine processes; as many statements run at once.")] = 2
    threads: Annotated[int, Meta(ge=1, le=256, description="Threads of each engine process.")] = 2
    memory_mb: Annotated[int, Meta(ge=128, description="DuckDB's memory limit in each; beyond it spills to disk.")] = (
        1024
    )
    spill_gb: Annotated[int, Meta(ge=0, description="Most a statement may spill to disk.")] = 20
