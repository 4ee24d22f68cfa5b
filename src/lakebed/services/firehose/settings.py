"""Settings of ``[services.firehose]``."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class FirehoseSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an operator may turn."""

    backlog_bytes_max: Annotated[
        int,
        Meta(
            ge=1 << 20,
            description="Undelivered bytes a delivery stream may hold on disk. Beyond, puts are answered "
            "ServiceUnavailableException and a Kinesis source is not read on.",
        ),
    ] = 8 << 30
    http_endpoint_networks: Annotated[
        tuple[str, ...],
        Meta(
            description="Networks (CIDR) beyond the public internet in which HTTP endpoints may be, on any port. Without "
            "them an endpoint must have a public address and port 443."
        ),
    ] = ()
    http_endpoint_ca_file: Annotated[
        str, Meta(description="A PEM file of further authorities that may vouch for HTTP endpoints.")
    ] = ""
    streams_max: Annotated[int, Meta(ge=1, description="Delivery streams of an account in a region.")] = 5000
