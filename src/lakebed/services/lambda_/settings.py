"""Settings of Lambda, section ``[services.lambda]``."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class LambdaSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bounds; AWS's quotas where AWS has one."""

    concurrent_executions: Annotated[int, Meta(ge=1, description="The account's concurrency, as AWS counts it.")] = 1000
    wait_seconds: Annotated[
        float, Meta(gt=0, description="How long a synchronous call may wait for a free worker before it is throttled.")
    ] = 60.0
    later_parallel: Annotated[int, Meta(ge=1, description="Asynchronous invocations that run at the same time.")] = 8
    later_max: Annotated[int, Meta(ge=1, description="Asynchronous invocations an account may have waiting.")] = 100_000
    batches_parallel: Annotated[
        int, Meta(ge=1, description="Batches of one SQS mapping that run at the same time.")
    ] = 5
    mappings_max: Annotated[int, Meta(ge=1, description="Event source mappings of an account and region.")] = 1000
    code_bytes_max: Annotated[int, Meta(ge=1, description="Stored code of an account and region, zipped.")] = 75 << 30
    url_suffix: Annotated[
        str,
        Meta(
            description="Function URLs are told as http://<id>.lambda-url.<region>.<suffix>:<port>/ with this suffix, which "
            "clients must resolve; empty: by path, under <endpoint>/_lambda/url/<id>/. Both always work."
        ),
    ] = ""
