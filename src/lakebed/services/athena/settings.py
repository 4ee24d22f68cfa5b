"""``[services.athena]``."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class AthenaSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much Athena runs at once."""

    running_max: Annotated[int, Meta(ge=1, le=200, description="Statements taken out of the queue at once.")] = 8
    federation_hosts: Annotated[
        tuple[str, ...],
        Meta(description="Hosts, or host:port, that data catalogs may lead to: federated queries reach no other."),
    ] = ("127.0.0.1", "localhost", "::1")
    queued_max: Annotated[
        int, Meta(ge=1, le=100_000, description="Statements of a region that may wait or run at once.")
    ] = 400
    dml_timeout_seconds: Annotated[float, Meta(gt=0, description="A query's time limit (AWS's default: 30 min).")] = (
        1800.0
    )
