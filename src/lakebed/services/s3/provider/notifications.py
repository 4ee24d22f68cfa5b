"""PutBucketNotificationConfiguration and its read.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketNotificationConfiguration.html. Every destination must exist
and let S3 in, and queues and topics receive ``s3:TestEvent``, before the configuration is stored.
"""

from __future__ import annotations

from typing import Any

import msgspec

from lakebed.api import s3 as api
from lakebed.kernel.errors import AwsError
from lakebed.ports.service import Context, operation
from lakebed.services.s3.model import notifications
from lakebed.services.s3.model.errors import invalid_argument
from lakebed.services.s3.model.notifications import Target
from lakebed.services.s3.model.shapes import Bucket
from lakebed.services.s3.provider.request import bucket_arn
from lakebed.services.s3.state import Core
from lakebed.services.s3.work import EventDelivery


class NotificationOperations:
    """Where a bucket's events go."""

    def __init__(self, core: Core, delivery: EventDelivery) -> None:
        self.k, self.access, self.buckets, self.delivery = core.k, core.access, core.buckets, delivery

    @operation("PutBucketNotificationConfiguration", action=None, resource=bucket_arn)
    async def put_bucket_notification_configuration(self, ctx: Context, req: dict[str, Any]) -> None:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketNotificationConfiguration.html"""
        bucket = self.access.bucket(ctx, req, "s3:PutBucketNotification")
        new_ids = [self.k.ids.uuid() for _ in range(2 * notifications.CONFIGURATIONS_MAX)]
        targets = notifications.parse_configuration(req["NotificationConfiguration"], bucket, new_ids)
        if not req.get("SkipDestinationValidation"):
            await self._prove(ctx, bucket, targets)
        with self.k.db.tx() as tx:
            self.buckets.require(bucket.name)
            self.buckets.put(tx, bucket.name, "notification", msgspec.msgpack.encode(targets) if targets else None)

    async def _prove(self, ctx: Context, bucket: Bucket, targets: list[Target]) -> None:
        """Every destination takes S3's events; new queues and topics get a test event."""
        before = {target.arn for target in notifications.targets(bucket)}
        for target in targets:
            try:
                self.delivery.check(bucket, target.kind, target.arn)
                if target.kind in ("sqs", "sns") and target.arn not in before:
                    message = notifications.probe_event(bucket, ctx.request_id, ctx.now)
                    await self.delivery.send(bucket, target.kind, target.arn, message)
            except AwsError as failure:
                raise invalid_argument(
                    "Unable to validate the following destination configurations",
                    target.arn,
                    f"The destination queue, topic or function does not exist or does not let S3 in ({failure.error_code})",
                ) from None

    @operation("GetBucketNotificationConfiguration", action=None, resource=bucket_arn)
    async def get_bucket_notification_configuration(
        self, ctx: Context, req: dict[str, Any]
    ) -> api.NotificationConfiguration:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketNotificationConfiguration.html"""
        bucket = self.access.bucket(ctx, req, "s3:GetBucketNotification")
        return notifications.configuration(notifications.targets(bucket))  # type: ignore[return-value]  # by members
