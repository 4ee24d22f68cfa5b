"""Firehose for other services (IoT rules): ``lakebed.ports.delivery.Delivery``."""

from __future__ import annotations

from collections.abc import Sequence

from lakebed.api import firehose as api
from lakebed.kernel.arn import parse
from lakebed.kernel.scope import Principal, Scope
from lakebed.ports.house import Ports
from lakebed.services.firehose.puts import Puts, check_batch
from lakebed.services.firehose.store import DeliveryStore


class DeliveryPort:
    """Implements ``Delivery``."""

    def __init__(self, p: Ports, store: DeliveryStore, puts: Puts) -> None:
        self._p, self._store, self._puts = p, store, puts

    async def put(self, principal: Principal, delivery_stream_arn: str, records: Sequence[bytes]) -> None:
        """As PutRecordBatch, all or an error."""
        parts = parse(delivery_stream_arn)
        if parts is None or parts.service != "firehose" or not parts.resource.startswith("deliverystream/"):
            raise api.InvalidArgumentException(f"Invalid delivery stream ARN {delivery_stream_arn}.")
        self._p.identity.authorise(
            principal, "firehose:PutRecordBatch", delivery_stream_arn, resource_account=parts.account
        )
        check_batch(records)
        scope = Scope(parts.account, parts.region, parts.partition)
        stream = self._store.require(scope, parts.resource.removeprefix("deliverystream/"))
        await self._puts.put(stream, records)
