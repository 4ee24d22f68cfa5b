"""Publish and PublishBatch.

https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
https://docs.aws.amazon.com/sns/latest/dg/sns-batch-api-actions.html
"""

from __future__ import annotations

from lakebed.api import sns as api
from lakebed.kernel.errors import AwsError
from lakebed.ports.service import Context, operation
from lakebed.services.sns import model
from lakebed.services.sns.model import Draft, invalid
from lakebed.services.sns.provider.desk import Desk


class PublicationOperations(Desk):
    """Messages in."""

    @operation("Publish", action=None, refused=("PhoneNumber",))
    async def publish(self, ctx: Context, req: api.PublishInput) -> api.PublishResponse:
        """https://docs.aws.amazon.com/sns/latest/api/API_Publish.html"""
        arn = req.get("TopicArn") or req.get("TargetArn")
        if not arn or (req.get("TopicArn") and req.get("TargetArn")):
            raise invalid("TopicArn or TargetArn Reason: exactly one of them is needed")
        topic = self.topic(ctx, arn, "Publish")
        (published,) = self.publisher.publish(
            topic, [model.draft_of(req, topic, ctx.headers.get("x-amzn-trace-id", ""))], ctx.principal
        )
        result: api.PublishResponse = {"MessageId": published.message_id}
        if topic.is_fifo:
            result["SequenceNumber"] = published.sequence_number
        return result

    @operation("PublishBatch", action=None)
    async def publish_batch(self, ctx: Context, req: api.PublishBatchInput) -> api.PublishBatchResponse:
        """https://docs.aws.amazon.com/sns/latest/api/API_PublishBatch.html"""
        topic, entries = self.topic(ctx, req["TopicArn"], "Publish"), req["PublishBatchRequestEntries"]
        model.check_entry_ids(entries)
        result: api.PublishBatchResponse = {"Successful": [], "Failed": []}
        drafts: list[tuple[str, Draft]] = []
        for entry in entries:
            try:
                drafts.append((entry["Id"], model.draft_of(entry, topic, ctx.headers.get("x-amzn-trace-id", ""))))
            except AwsError as wrong:
                failed: api.BatchResultErrorEntry = {
                    "Id": entry["Id"], "SenderFault": True, "Code": wrong.error_code, "Message": wrong.message,
                }  # fmt: skip
                result["Failed"].append(failed)
        if sum(draft.size for _, draft in drafts) > topic.size_max:
            raise api.BatchRequestTooLongException(
                "The length of all the messages put together is more than the limit."
            )
        if drafts:
            told = self.publisher.publish(topic, [draft for _, draft in drafts], ctx.principal)
            for (entry_id, _), published in zip(drafts, told, strict=True):
                entry_result: api.PublishBatchResultEntry = {"Id": entry_id, "MessageId": published.message_id}
                if topic.is_fifo:
                    entry_result["SequenceNumber"] = published.sequence_number
                result["Successful"].append(entry_result)
        return result
