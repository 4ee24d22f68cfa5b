"""Settings of the Python function runtime, section ``[engines.run_python]``."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class RunPythonSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many workers, how long they stay."""

    workers_max: Annotated[int, Meta(ge=1, le=1000, description="Worker processes in all; a call waits its turn.")] = 16
    idle_seconds: Annotated[float, Meta(gt=0, description="A worker nobody called for so long is stopped.")] = 300.0
    age_seconds_max: Annotated[
        float, Meta(gt=0, description="A worker this old is replaced, before its first credentials expire.")
    ] = 21_600.0
    waiting_max: Annotated[int, Meta(ge=0, description="Calls that may wait for a worker; beyond: throttled.")] = 1000
    sandbox: Annotated[bool, Meta(description="Hide the data directory and change user, where that works.")] = True
