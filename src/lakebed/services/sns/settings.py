"""Settings of ``[services.sns]``."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class SnsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an operator may turn."""

    http_endpoint_networks: Annotated[
        tuple[str, ...],
        Meta(
            description="Networks (CIDR) beyond the public internet in which HTTP and HTTPS subscriptions may be. Without "
            "them an endpoint must have a public address."
        ),
    ] = ()
    http_endpoint_ca_file: Annotated[
        str, Meta(description="A PEM file of further authorities that may vouch for HTTPS subscriptions.")
    ] = ""
