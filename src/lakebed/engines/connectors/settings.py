"""``[engines.connectors]``."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class ConnectorSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much reading other data sources may take."""

    workers: Annotated[int, Meta(ge=1, le=32, description="Processes; as many tables are read at once.")] = 4
    memory_mb: Annotated[int, Meta(ge=256, description="Address space each may use beyond what it starts with.")] = 2048
    rows_max: Annotated[int, Meta(ge=1, description="Rows one statement may take of a table.")] = 100_000_000
    bytes_max: Annotated[int, Meta(ge=1, description="Bytes one statement may take of a table.")] = 10 << 30
    timeout_seconds: Annotated[float, Meta(gt=0, description="Most that reading a table may take.")] = 1800.0
