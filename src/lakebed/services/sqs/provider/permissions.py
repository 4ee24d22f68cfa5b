"""AddPermission and RemovePermission: the short way to write a queue policy.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_AddPermission.html
"""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

from lakebed.api import sqs as api
from lakebed.ports.service import Context, operation
from lakebed.services.sqs.attributes import parameter_error
from lakebed.services.sqs.model import Queue
from lakebed.services.sqs.provider.desk import Desk

_LABEL = re.compile(r"[A-Za-z0-9_-]{1,80}", re.ASCII)
_GRANTABLE = (
    "*", "ChangeMessageVisibility", "DeleteMessage", "GetQueueAttributes", "GetQueueUrl", "ListDeadLetterSourceQueues",
    "PurgeQueue", "ReceiveMessage", "SendMessage",
)  # fmt: skip
_ACTIONS_MAX = 7


class PermissionOperations(Desk):
    """Statements by label."""

    @operation("AddPermission", action=None)
    async def add_permission(self, ctx: Context, req: api.AddPermissionRequest) -> None:
        """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_AddPermission.html"""
        queue, label = self.queue(ctx, req["QueueUrl"], "AddPermission"), req["Label"]
        _check(label, req["Actions"], req["AWSAccountIds"])
        policy, statements = _statements(queue)
        if any(statement.get("Sid") == label for statement in statements):
            raise parameter_error(f"Value {label} for parameter Label is invalid. Reason: Already exists.")
        actions = [f"SQS:{action}" for action in req["Actions"]]
        principals = [f"arn:{ctx.scope.partition}:iam::{account}:root" for account in req["AWSAccountIds"]]
        statements.append(
            {
                "Sid": label,
                "Effect": "Allow",
                "Principal": {"AWS": principals if len(principals) > 1 else principals[0]},
                "Action": actions if len(actions) > 1 else actions[0],
                "Resource": queue.arn,
            }
        )
        self._put(queue, policy | {"Statement": statements}, ctx.now)

    @operation("RemovePermission", action=None)
    async def remove_permission(self, ctx: Context, req: api.RemovePermissionRequest) -> None:
        """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_RemovePermission.html"""
        queue, label = self.queue(ctx, req["QueueUrl"], "RemovePermission"), req["Label"]
        policy, statements = _statements(queue)
        left = [statement for statement in statements if statement.get("Sid") != label]
        if len(left) == len(statements):
            raise parameter_error(
                f"Value {label} for parameter Label is invalid. Reason: can't find label on existing policy."
            )
        self._put(queue, policy | {"Statement": left} if left else None, ctx.now)

    def _put(self, queue: Queue, policy: dict[str, Any] | None, now: float) -> None:
        attributes = {key: value for key, value in queue.attributes.items() if key != "Policy"}
        if policy is not None:
            attributes["Policy"] = json.dumps(policy)
        with self.k.db.tx() as tx:
            self.exchange.queues.put(tx, msgspec.structs.replace(queue, attributes=attributes, modified=now))


def _check(label: str, actions: list[str], accounts: list[str]) -> None:
    if not _LABEL.fullmatch(label):
        raise parameter_error(f"Value {label} for parameter Label is invalid. Reason: Must be alphanumeric, - or _.")
    for action in actions:
        if action not in _GRANTABLE:
            raise parameter_error(
                f"Value SQS:{action} for parameter ActionName is invalid. Reason: Only the queue owner is allowed to "
                "invoke this action."
            )
    if not 1 <= len(actions) <= _ACTIONS_MAX:
        raise api.OverLimit(f"{len(actions)} Actions were found, maximum allowed is {_ACTIONS_MAX}.")
    if not accounts or any(len(account) != 12 or not account.isdigit() for account in accounts):
        raise parameter_error(f"Value {accounts} for parameter PrincipalId is invalid. Reason: Unable to verify.")


def _statements(queue: Queue) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The queue's policy and a list of its statements; a fresh one where there is none."""
    if queue.policy is None:
        return {"Version": "2012-10-17", "Id": f"{queue.arn}/SQSDefaultPolicy"}, []
    policy: dict[str, Any] = json.loads(queue.policy)
    statements = policy.get("Statement", [])
    return policy, list(statements) if isinstance(statements, list) else [statements]
