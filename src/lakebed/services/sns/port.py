"""SNS for other services: S3's notifications, IoT rules. Implements ports.topics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lakebed.kernel.scope import Principal
from lakebed.services.sns import model
from lakebed.services.sns.publishing import Publisher
from lakebed.services.sns.signer import Signer


class SnsTopics:
    """Implements ``lakebed.ports.topics.Topics``."""

    def __init__(self, publisher: Publisher, signer: Signer) -> None:
        self._publisher, self._signer = publisher, signer

    async def publish(
        self, principal: Principal, topic_arn: str, message: str, *, subject: str = "", structure: str = "",
        source_arn: str | None = None, attributes: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> str:  # fmt: skip
        """See the port."""
        topic = self._publisher.authorised(principal, "Publish", topic_arn, source_arn)
        entry: dict[str, Any] = {"Message": message}
        if subject:
            entry["Subject"] = subject
        if structure:
            entry["MessageStructure"] = structure
        if attributes:
            entry["MessageAttributes"] = attributes
        (published,) = self._publisher.publish(topic, [model.draft_of(entry, topic)], principal)
        return published.message_id

    def check_destination(self, principal: Principal, topic_arn: str, *, source_arn: str | None = None) -> None:
        """See the port."""
        self._publisher.authorised(principal, "Publish", topic_arn, source_arn)

    async def signing_certificate(self) -> str:
        """See the port."""
        await self._signer.ready()
        return self._signer.certificate_pem
