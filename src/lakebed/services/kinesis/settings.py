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
            "ProvisionedThroughputExceededException, and its 2 MiB/s or five calls of reads, so that a client's retries "
            "can be tested."
        ),
    ] = False
    shards_max: Annotated[int, Meta(ge=1, description="Open shards an account may have in a region.")] = 500
    on_demand_shards_max: Annotated[
        int, Meta(ge=4, description="Shards that on-demand scaling gives a stream at most (AWS: 200 MiB/s by default).")
    ] = 200
    on_demand_streams_max: Annotated[
        int, Meta(ge=1, description="Streams in on-demand mode an account may have in a region.")
    ] = 50
