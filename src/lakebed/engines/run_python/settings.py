"""Settings of the function runtime, section ``[engines.run_python]``."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class RunPythonSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many workers, how long they stay, and what holds them."""

    workers_max: Annotated[int, Meta(ge=1, le=1000, description="Worker processes in all; a call waits its turn.")] = 16
    idle_seconds: Annotated[float, Meta(gt=0, description="A worker nobody called for so long is stopped.")] = 300.0
    age_seconds_max: Annotated[
        float, Meta(gt=0, description="A worker this old is replaced, before its first credentials expire.")
    ] = 21_600.0
    waiting_max: Annotated[int, Meta(ge=0, description="Calls that may wait for a worker; beyond: throttled.")] = 1000
    sandbox: Annotated[
        bool, Meta(description="Namespaces, a root file system of its own and another user, where that works.")
    ] = True
    network: Annotated[
        Literal["host", "lakebed"],
        Meta(
            description='"host": functions use this machine\'s network. "lakebed": a network of their own, whose only way '
            "out is Lakebed's HTTP port; a function does not run where the system allows no such namespace."
        ),
    ] = "host"
    tmp_in_memory: Annotated[
        bool,
        Meta(
            description="A function's /tmp in memory, as large as EphemeralStorage says. Else on disk, without a limit."
        ),
    ] = True
    visible: Annotated[
        tuple[str, ...], Meta(description="Further paths of this machine that functions see, besides the system's own.")
    ] = ()
