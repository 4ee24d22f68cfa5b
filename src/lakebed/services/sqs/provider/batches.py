"""Up to ten messages in a request; each entry succeeds or fails alone.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-batch-api-actions.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from lakebed.api import sqs as api
from lakebed.kernel.errors import AwsError
from lakebed.ports.service import Context, operation
from lakebed.services.sqs import model
from lakebed.services.sqs.model import Draft
from lakebed.services.sqs.provider.desk import Desk
from lakebed.services.sqs.provider.messages import sent

_Result = TypeVar(
    "_Result",
    "api.SendMessageBatchResult",
    "api.DeleteMessageBatchResult",
    "api.ChangeMessageVisibilityBatchResult",
)


class BatchOperations(Desk):
    """SendMessageBatch, DeleteMessageBatch, ChangeMessageVisibilityBatch."""

    @operation("SendMessageBatch", action=None)
    async def send_message_batch(self, ctx: Context, req: api.SendMessageBatchRequest) -> api.SendMessageBatchResult:
        """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html"""
        queue, entries = self.queue(ctx, req["QueueUrl"], "SendMessage"), req["Entries"]
        model.check_entry_ids(entries, "SendMessageBatchRequestEntry")
        result: api.SendMessageBatchResult = {"Successful": [], "Failed": []}
        drafts: list[tuple[str, Draft]] = []
        total = sum(model.size_of(Draft(entry["MessageBody"], attributes=_plain(entry))) for entry in entries)
        if total > model.MESSAGE_BYTES_MAX:
            raise api.BatchRequestTooLong(
                f"Batch requests cannot be longer than {model.MESSAGE_BYTES_MAX} bytes. You have sent {total} bytes."
            )
        for entry in entries:
            try:
                draft = model.draft_of(entry, queue, ctx.headers.get("x-amzn-trace-id", ""))
                self.exchange.check_sizes(queue, [draft])
                drafts.append((entry["Id"], draft))
            except AwsError as wrong:
                result["Failed"].append(_failed(entry["Id"], wrong))
        if drafts:
            told_all = self.exchange.send(queue, [draft for _, draft in drafts], ctx.principal)
            for (entry_id, draft), told_one in zip(drafts, told_all, strict=True):
                told = sent(draft, told_one)
                result["Successful"].append({"Id": entry_id, **told})  # type: ignore[typeddict-item]  # same members
        return _without_empty(result)

    @operation("DeleteMessageBatch", action=None)
    async def delete_message_batch(
        self, ctx: Context, req: api.DeleteMessageBatchRequest
    ) -> api.DeleteMessageBatchResult:
        """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessageBatch.html"""
        queue, entries = self.queue(ctx, req["QueueUrl"], "DeleteMessage"), req["Entries"]
        model.check_entry_ids(entries, "DeleteMessageBatchRequestEntry")
        result: api.DeleteMessageBatchResult = {"Successful": [], "Failed": []}
        with self.k.db.tx():
            for entry in entries:
                handle = entry["ReceiptHandle"]
                failure = _attempt(entry["Id"], lambda handle=handle: self.exchange.delete(queue, handle))  # type: ignore[misc]
                if failure is None:
                    result["Successful"].append({"Id": entry["Id"]})
                else:
                    result["Failed"].append(failure)
        return _without_empty(result)

    @operation("ChangeMessageVisibilityBatch", action=None)
    async def change_message_visibility_batch(
        self, ctx: Context, req: api.ChangeMessageVisibilityBatchRequest
    ) -> api.ChangeMessageVisibilityBatchResult:
        """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibilityBatch.html"""
        queue, entries = self.queue(ctx, req["QueueUrl"], "ChangeMessageVisibility"), req["Entries"]
        model.check_entry_ids(entries, "ChangeMessageVisibilityBatchRequestEntry")
        result: api.ChangeMessageVisibilityBatchResult = {"Successful": [], "Failed": []}
        for entry in entries:
            handle, seconds = entry["ReceiptHandle"], entry.get("VisibilityTimeout", queue.visibility_seconds)
            change = lambda handle=handle, seconds=seconds: self.exchange.hide(queue, handle, seconds)  # noqa: E731
            failure = _attempt(entry["Id"], change)
            if failure is None:
                result["Successful"].append({"Id": entry["Id"]})
            else:
                result["Failed"].append(failure)
        return _without_empty(result)


def _plain(entry: api.SendMessageBatchRequestEntry) -> dict[str, dict[str, object]]:
    return {name: dict(value) for name, value in (entry.get("MessageAttributes") or {}).items()}


def _attempt(entry_id: str, change: Callable[[], None]) -> api.BatchResultErrorEntry | None:
    try:
        change()
    except AwsError as wrong:
        return _failed(entry_id, wrong)
    return None


def _failed(entry_id: str, wrong: AwsError) -> api.BatchResultErrorEntry:
    return {"Id": entry_id, "SenderFault": True, "Code": wrong.error_code, "Message": wrong.message}


def _without_empty(result: _Result) -> _Result:
    """AWS leaves an empty list out."""
    return cast(
        "_Result", {member: entries for member, entries in cast("dict[str, object]", result).items() if entries}
    )
