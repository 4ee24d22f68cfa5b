"""Topics: SNS as other services use it. Built by services/sns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from lakebed.kernel.scope import Principal


class Topics(Protocol):
    """Topics are named by ARN. Errors are SNS's (NotFoundException, ...)."""

    async def publish(
        self, principal: Principal, topic_arn: str, message: str, *, subject: str = "", structure: str = "",
        source_arn: str | None = None, attributes: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> str:  # fmt: skip
        """Publish, durable when this returns; the message id. The topic's own policy counts, with ``aws:SourceArn`` and
        ``aws:SourceAccount`` where a service publishes for a resource. ``structure`` "json" and ``attributes`` as in
        Publish."""
        ...

    def check_destination(self, principal: Principal, topic_arn: str, *, source_arn: str | None = None) -> None:
        """Raise unless the topic exists and ``principal`` may publish to it."""
        ...

    async def signing_certificate(self) -> str:
        """PEM of the certificate notifications are signed with."""
        ...
