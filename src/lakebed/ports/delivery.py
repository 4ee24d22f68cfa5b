"""Delivery: Firehose as other services use it. Built by services/firehose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from lakebed.kernel.scope import Principal


class Delivery(Protocol):
    """Delivery streams are named by ARN. Errors are Firehose's."""

    async def put(self, principal: Principal, delivery_stream_arn: str, records: Sequence[bytes]) -> None:
        """Put records to a DirectPut stream; durable when this returns."""
        ...
