"""Delivering events: at least once, in order, acting as ``s3.amazonaws.com`` for the bucket.

A destination that is gone, or whose policy no longer lets S3 in, will not come back by itself within a retry: the event
is logged, counted as an error of the bucket and kept in ``s3_undelivered``. Anything else (a throttle, a fault) raises,
and the outbox tries again with backoff.
"""

from __future__ import annotations

from typing import Any

import msgspec

from lakebed.kernel.errors import AwsError
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Principal
from lakebed.ports.house import Ports
from lakebed.services.s3.model import notifications
from lakebed.services.s3.model.notifications import Delivery
from lakebed.services.s3.model.shapes import Bucket
from lakebed.services.s3.store.buckets import Buckets

_SERVICE = "s3.amazonaws.com"
_SUBJECT = "Amazon S3 Notification"
_TRANSIENT = ("Throttling", "ThrottlingException", "TooManyRequestsException", "RequestThrottled", "OverLimit")


def service_principal(account: str) -> Principal:
    """S3 acting for a bucket of ``account``."""
    return Principal(account, _SERVICE, "service", _SERVICE)


class EventDelivery:
    """The outbox's handler."""

    def __init__(self, k: Kernel, p: Ports, buckets: Buckets) -> None:
        self._k, self._p, self._buckets = k, p, buckets

    async def deliver(self, message: Any) -> None:
        """Send one event to one target."""
        delivery = msgspec.convert(message, Delivery)
        bucket = self._buckets.find(delivery.bucket)
        if bucket is None:
            self._k.log.warning("s3 event of a deleted bucket dropped", bucket=delivery.bucket, target=delivery.target)
            return
        try:
            await self.send(bucket, delivery.kind, delivery.target, delivery.body, delivery.id)
        except AwsError as failure:
            if failure.error_code in _TRANSIENT or (failure.http_status or 400) >= 500:
                raise
            self._bury(bucket, delivery, failure)
            return
        self._k.meters.link(bucket.arn, delivery.target, 1)

    async def send(self, bucket: Bucket, kind: str, target: str, body: str, event_id: str = "") -> None:
        """Hand a message to a queue, topic, function or EventBridge as S3."""
        principal = service_principal(bucket.account)
        if kind == notifications.BRIDGE:
            event = msgspec.json.decode(body)
            await self._p.events.put(
                bucket.scope,
                "aws.s3",
                event["type"],
                event["detail"],
                resources=[bucket.arn],
                event_id=event_id or None,
            )
            return
        if kind == "sqs":
            await self._p.queues.send(principal, target, [body], source_arn=bucket.arn)
        elif kind == "sns":
            await self._p.topics.publish(principal, target, body, subject=_SUBJECT, source_arn=bucket.arn)
        else:
            await self._p.functions.invoke_later(principal, target, body.encode(), source_arn=bucket.arn)

    def check(self, bucket: Bucket, kind: str, target: str) -> None:
        """Raise the destination's error unless S3 could deliver there now."""
        principal = service_principal(bucket.account)
        if kind == notifications.BRIDGE:
            return  # the default bus of an account takes every event of its services
        if kind == "sqs":
            self._p.queues.check_destination(principal, target, source_arn=bucket.arn)
        elif kind == "sns":
            self._p.topics.check_destination(principal, target, source_arn=bucket.arn)
        else:
            self._p.functions.check_destination(principal, target, source_arn=bucket.arn)

    def _bury(self, bucket: Bucket, delivery: Delivery, failure: AwsError) -> None:
        self._k.log.error("s3 event undeliverable", bucket=bucket.name, target=delivery.target, exc=failure)
        self._k.meters.error(bucket.arn)
        with self._k.db.tx() as tx:
            self._buckets.bury(tx, bucket, delivery.target, delivery.body, self._k.clock.now(), str(failure))
