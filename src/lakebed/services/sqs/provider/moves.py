"""Message move tasks: dead letters go back to where they came from, or to another queue.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-configure-dead-letter-queue-redrive.html
"""

from __future__ import annotations

from typing import Any

import msgspec

from lakebed.api import sqs as api
from lakebed.kernel.errors import AwsError
from lakebed.ports.service import Context, operation
from lakebed.services.sqs.attributes import parameter_error
from lakebed.services.sqs.model import Move, Queue
from lakebed.services.sqs.provider.desk import Desk
from lakebed.services.sqs.work import MOVES_TASK

_RATE_MAX = 500
_LISTED_MAX = 10


class MoveOperations(Desk):
    """Start, list, cancel."""

    @operation("StartMessageMoveTask", action=None)
    async def start_message_move_task(self, ctx: Context, req: api.StartMessageMoveTaskRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html"""
        source, rate = (
            self._existing(ctx, req["SourceArn"], "StartMessageMoveTask"),
            req.get("MaxNumberOfMessagesPerSecond"),
        )
        for action in ("ReceiveMessage", "DeleteMessage"):
            self.exchange.authorised(ctx.principal, f"sqs:{action}", source.arn)
        if rate is not None and not 1 <= rate <= _RATE_MAX:
            raise parameter_error(
                f"Value {rate} for parameter MaxNumberOfMessagesPerSecond is invalid. "
                f"Reason: You must enter a value that is between 1 and {_RATE_MAX}."
            )
        destination = req.get("DestinationArn")
        if destination is not None:
            if self._existing(ctx, destination, "SendMessage").is_fifo != source.is_fifo:
                raise parameter_error("Source queue and destination queue must be of the same type.")
            if destination == source.arn:
                raise parameter_error("Source queue arn and destination queue arn cannot be the same.")
        if not self._is_dead_letter_queue(source):
            raise parameter_error("Source queue must be configured as a Dead Letter Queue.")
        with self.k.db.tx() as tx:
            if any(move.status == "RUNNING" for move in self.exchange.moves.latest(source.arn, 1)):
                raise api.UnsupportedOperation(
                    "There is already a task running. Only one active task is allowed for a source queue arn at a given "
                    "time."
                )
            to_move, handle = self.exchange.messages.counts(source, ctx.now)[0], self.k.ids.uuid()
            move = Move(source.arn, 0, handle, destination, rate, "RUNNING", "", to_move, 0, ctx.now)
            self.exchange.moves.insert(tx, source, move)
            tx.after_commit(lambda: self.k.tasks.poke(MOVES_TASK))
        return {"TaskHandle": handle}

    @operation("ListMessageMoveTasks", action=None)
    async def list_message_move_tasks(self, ctx: Context, req: api.ListMessageMoveTasksRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ListMessageMoveTasks.html"""
        source, limit = self._existing(ctx, req["SourceArn"], "ListMessageMoveTasks"), req.get("MaxResults", 1)
        if not 1 <= limit <= _LISTED_MAX:
            raise parameter_error(
                f"Value {limit} for parameter MaxResults is invalid. Reason: Must be between 1 and {_LISTED_MAX}."
            )
        return {"Results": [_shown(move) for move in self.exchange.moves.latest(source.arn, limit)]}

    @operation("CancelMessageMoveTask", action=None)
    async def cancel_message_move_task(self, ctx: Context, req: api.CancelMessageMoveTaskRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CancelMessageMoveTask.html"""
        move = self.exchange.moves.find(req["TaskHandle"])
        if move is None:
            raise api.ResourceNotFoundException("Task does not exist.")
        self._existing(ctx, move.source, "CancelMessageMoveTask")
        if move.status != "RUNNING":
            raise api.UnsupportedOperation("Only active tasks can be cancelled.")
        with self.k.db.tx() as tx:
            self.exchange.moves.put(tx, msgspec.structs.replace(move, status="CANCELLED"))
        return {"ApproximateNumberOfMessagesMoved": move.moved}

    def _existing(self, ctx: Context, arn: str, action: str) -> Queue:
        """A queue by ARN; these operations answer ResourceNotFoundException where there is none."""
        try:
            return self.exchange.authorised(ctx.principal, f"sqs:{action}", arn)
        except AwsError as wrong:
            if wrong.error_code != "QueueDoesNotExist":
                raise
            raise api.ResourceNotFoundException(
                "The resource that you specified for the SourceArn parameter doesn't exist."
            ) from None

    def _is_dead_letter_queue(self, queue: Queue) -> bool:
        after = ""
        while page := self.exchange.queues.after(queue.scope, "", after, 1000):
            if any(other.redrive and other.redrive[0] == queue.arn for other in page):
                return True
            after = page[-1].name
        return False


def _shown(move: Move) -> dict[str, Any]:
    told: dict[str, Any] = {
        "Status": move.status,
        "SourceArn": move.source,
        "ApproximateNumberOfMessagesMoved": move.moved,
        "ApproximateNumberOfMessagesToMove": move.to_move,
        "StartedTimestamp": int(move.started * 1000),
    }
    optional = {
        "TaskHandle": move.handle if move.status == "RUNNING" else None,
        "DestinationArn": move.destination,
        "MaxNumberOfMessagesPerSecond": move.rate,
        "FailureReason": move.failure or None,
    }
    return told | {member: value for member, value in optional.items() if value is not None}
