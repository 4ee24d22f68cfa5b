"""``[services.glue]``."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class GlueSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What connections may reach."""

    jdbc_hosts: Annotated[
        tuple[str, ...],
        Meta(description="Hosts, or host:port, that JDBC connections may lead to: tests and crawlers reach no other."),
    ] = ("127.0.0.1", "localhost", "::1")
