"""Events: EventBridge as other services use it. Built by services/events.

https://docs.aws.amazon.com/eventbridge/latest/ref/events-structure.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from lakebed.kernel.scope import Scope


class Events(Protocol):
    """The event buses of an account and region."""

    async def put(
        self,
        scope: Scope,
        source: str,
        detail_type: str,
        detail: Mapping[str, Any],
        *,
        resources: Sequence[str] = (),
        event_id: str | None = None,
        bus: str = "default",
    ) -> None:
        """An event of an AWS service (``source`` "aws.s3") to the default bus, or to ``bus`` where an owner named one
        (ResourceNotFoundException where it is gone), durable when this returns.

        Where the caller delivers from an outbox, ``event_id`` is the same at each attempt and a repeated one is dropped.
        """
        ...
