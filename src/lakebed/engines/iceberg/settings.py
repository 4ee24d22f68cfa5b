"""``[engines.iceberg]``."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class IcebergSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much the Iceberg engine may take."""

    workers: Annotated[int, Meta(ge=1, le=16, description="Processes; as many changes are prepared at once.")] = 2
    memory_mb: Annotated[int, Meta(ge=512, description="Address space each may use beyond what it starts with.")] = 4096
    timeout_seconds: Annotated[float, Meta(gt=0, description="Most one step (a plan, a change) may take.")] = 1800.0
