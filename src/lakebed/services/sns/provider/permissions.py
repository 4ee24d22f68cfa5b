"""AddPermission and RemovePermission: the short way to write a topic's policy.

https://docs.aws.amazon.com/sns/latest/api/API_AddPermission.html
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from lakebed.api import sns as api
from lakebed.ports.service import Context, operation
from lakebed.services.sns import attributes as rules
from lakebed.services.sns.model import Topic, invalid
from lakebed.services.sns.provider.desk import Desk

_GRANTABLE = (
    "AddPermission", "DeleteTopic", "GetTopicAttributes", "ListSubscriptionsByTopic", "Publish", "RemovePermission",
    "SetTopicAttributes", "Subscribe",
)  # fmt: skip


class PermissionOperations(Desk):
    """Statements by label."""

    @operation("AddPermission", action=None)
    async def add_permission(self, ctx: Context, req: api.AddPermissionInput) -> None:
        """https://docs.aws.amazon.com/sns/latest/api/API_AddPermission.html"""
        topic, label = self.topic(ctx, req["TopicArn"], "AddPermission"), req["Label"]
        actions, accounts = req["ActionName"], req["AWSAccountId"]
        if not label or not actions or any(action not in _GRANTABLE for action in actions):
            raise invalid("Policy statement action out of service scope!")
        if not accounts or any(len(account) != 12 or not account.isdigit() for account in accounts):
            raise invalid("AWSAccountId")
        policy, statements = _statements(topic)
        if any(statement.get("Sid") == label for statement in statements):
            raise invalid("Statement already exists")
        names = [f"SNS:{action}" for action in actions]
        principals = [f"arn:{ctx.scope.partition}:iam::{account}:root" for account in accounts]
        statements.append(
            {
                "Sid": label,
                "Effect": "Allow",
                "Principal": {"AWS": principals if len(principals) > 1 else principals[0]},
                "Action": names if len(names) > 1 else names[0],
                "Resource": topic.arn,
            }
        )
        self._put(topic, policy | {"Statement": statements})

    @operation("RemovePermission", action=None)
    async def remove_permission(self, ctx: Context, req: api.RemovePermissionInput) -> None:
        """https://docs.aws.amazon.com/sns/latest/api/API_RemovePermission.html. An unknown label: success, as AWS."""
        topic = self.topic(ctx, req["TopicArn"], "RemovePermission")
        policy, statements = _statements(topic)
        self._put(topic, policy | {"Statement": [one for one in statements if one.get("Sid") != req["Label"]]})

    def _put(self, topic: Topic, policy: dict[str, Any]) -> None:
        text = json.dumps(policy)
        if len(text) > rules.POLICY_BYTES_MAX:
            raise invalid("Policy Reason: the policy is too long")
        with self.k.db.tx() as tx:
            self.publisher.topics.put(
                tx, msgspec.structs.replace(topic, attributes=topic.attributes | {"Policy": text})
            )


def _statements(topic: Topic) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    policy: dict[str, Any] = json.loads(topic.policy)
    statements = policy.get("Statement", [])
    return policy, list(statements) if isinstance(statements, list) else [statements]
