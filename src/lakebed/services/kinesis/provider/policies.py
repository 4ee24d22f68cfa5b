"""Resource policies of streams and of registered consumers.

https://docs.aws.amazon.com/streams/latest/dev/resource-based-policy-examples.html. Only the owner's account may attach,
read or remove one. Principal, actions and the resource must be this stream's or consumer's own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import msgspec

from lakebed.api import kinesis as api
from lakebed.kernel.kernel import Kernel
from lakebed.ports.service import Context, operation
from lakebed.services.kinesis.access import Access
from lakebed.services.kinesis.consumers import Consumer, ConsumerStore
from lakebed.services.kinesis.model import Stream
from lakebed.services.kinesis.provider.naming import is_consumer, resource_arn
from lakebed.services.kinesis.store import StreamStore

_POLICY_BYTES_MAX = 20_480


class PolicyOperations:
    """Operations on resource policies. The permission is asked for by ``Access``, in the handler."""

    def __init__(self, k: Kernel, access: Access, store: StreamStore, consumers: ConsumerStore) -> None:
        self.k, self.access, self.store, self.consumers = k, access, store, consumers

    @operation("PutResourcePolicy", action=None, resource=resource_arn, refused=("StreamId",))
    async def put_resource_policy(self, ctx: Context, req: api.PutResourcePolicyInput) -> None:
        """https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutResourcePolicy.html"""
        stream, consumer = self._require(ctx, req, "PutResourcePolicy")
        _check(req["Policy"], req["ResourceARN"])
        self._keep(stream, consumer, req["Policy"])

    @operation("GetResourcePolicy", action=None, resource=resource_arn, refused=("StreamId",))
    async def get_resource_policy(self, ctx: Context, req: api.GetResourcePolicyInput) -> api.GetResourcePolicyOutput:
        """An empty policy where there is none.

        https://docs.aws.amazon.com/kinesis/latest/APIReference/API_GetResourcePolicy.html
        """
        stream, consumer = self._require(ctx, req, "GetResourcePolicy")
        return {"Policy": (consumer.policy if consumer else stream.policy) or "{}"}

    @operation("DeleteResourcePolicy", action=None, resource=resource_arn, refused=("StreamId",))
    async def delete_resource_policy(self, ctx: Context, req: api.DeleteResourcePolicyInput) -> None:
        """https://docs.aws.amazon.com/kinesis/latest/APIReference/API_DeleteResourcePolicy.html"""
        stream, consumer = self._require(ctx, req, "DeleteResourcePolicy")
        if not (consumer.policy if consumer else stream.policy):
            raise api.ResourceNotFoundException(f"No resource policy found for resource ARN {req['ResourceARN']}.")
        self._keep(stream, consumer, "")

    def _require(self, ctx: Context, req: Any, action: str) -> tuple[Stream, Consumer | None]:
        if is_consumer(req["ResourceARN"]):
            return self.access.consumer(ctx, req, action, member="ResourceARN")
        return self.access.stream(ctx, req, action, member="ResourceARN"), None

    def _keep(self, stream: Stream, consumer: Consumer | None, policy: str) -> None:
        with self.k.db.tx() as tx:
            if consumer is not None:
                self.consumers.update(tx, stream, replace(consumer, policy=policy))
            else:
                self.store.update(tx, replace(stream, policy=policy))


def _check(text: str, arn: str) -> None:
    """A policy about this resource that says who may do what of Kinesis."""
    if len(text.encode()) > _POLICY_BYTES_MAX:
        raise api.LimitExceededException(f"The policy is larger than {_POLICY_BYTES_MAX} bytes.")
    try:
        document = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        raise _invalid("the policy is not JSON") from None
    statements = document.get("Statement") if isinstance(document, dict) else None
    for statement in statements if isinstance(statements, list) else [statements]:
        if not isinstance(statement, dict) or statement.get("Effect") not in ("Allow", "Deny"):
            raise _invalid("each statement needs an Effect of Allow or Deny")
        if not statement.get("Principal") and not statement.get("NotPrincipal"):
            raise _invalid("each statement needs a Principal")
        actions = list(_texts(statement.get("Action")))
        if not actions or not all(action == "*" or action.lower().startswith("kinesis:") for action in actions):
            raise _invalid("each statement needs Actions of kinesis")
        resources = list(_texts(statement.get("Resource")))
        if not resources or not all(resource in ("*", arn) for resource in resources):
            raise _invalid("the Resource must be the resource the policy is attached to")


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        yield from (each for each in value if isinstance(each, str))


def _invalid(why: str) -> api.InvalidArgumentException:
    return api.InvalidArgumentException(f"Invalid resource policy: {why}.")
