"""Settings of ``[services.kinesis]``."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class KinesisSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an operator may turn. AWS's quotas: https://docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html"""

    enforce_shard_limits: Annotated[
        bool,
        Meta(
            description="Refuse what exceeds AWS's 1 MiB/s or 1,000 records/s of a shard with "
            "ProvisionedThroughputExceededException, so that a client's retries can be tested."
        ),
    ] = False
    shards_max: Annotated[int, Meta(ge=1, description="Open shards an account may have in a region.")] = 500
