"""From a request to its stream or consumer: what is named is read, the permission asked for, the resource found.

The permission is asked for here and not in the edge because a resource's own policy counts too
(https://docs.aws.amazon.com/streams/latest/dev/controlling-access.html#resource-based-policies). By ARN a caller reaches
streams and consumers of other accounts where both sides allow it, for the operations of ``_SHARED``; another region's are
not found. A stream that does not exist is told only to who may ask for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lakebed.api import kinesis as api
from lakebed.kernel.arn import parse
from lakebed.kernel.errors import AwsError
from lakebed.kernel.scope import Scope
from lakebed.ports.house import Ports
from lakebed.ports.service import Context
from lakebed.services.kinesis.consumers import Consumer, ConsumerStore
from lakebed.services.kinesis.model import Stream
from lakebed.services.kinesis.provider.naming import stream_place
from lakebed.services.kinesis.store import StreamStore

# What a resource policy may share with another account.
_SHARED = frozenset({
    "DescribeStream", "DescribeStreamSummary", "GetRecords", "GetShardIterator", "ListShards", "PutRecord", "PutRecords",
    "DescribeStreamConsumer", "SubscribeToShard", "RegisterStreamConsumer", "ListStreamConsumers",
})  # fmt: skip


class Access:
    """What every provider of Kinesis starts from."""

    def __init__(self, p: Ports, store: StreamStore, consumers: ConsumerStore) -> None:
        self._p, self._store, self._consumers = p, store, consumers

    def stream(self, ctx: Context, req: object, action: str, *, member: str = "StreamARN") -> Stream:
        """The stream a request names, once the caller may do ``kinesis:<action>`` there."""
        scope, name = stream_place(ctx.scope, req, member)  # type: ignore[arg-type]  # every input's TypedDict
        found = self._store.find(scope, name)
        self.check(ctx, action, scope.arn("kinesis", f"stream/{name}"), scope, found.policy if found else "")
        if found is None:
            raise api.ResourceNotFoundException(f"Stream {name} under account {scope.account} not found.")
        return found

    def known_stream(self, ctx: Context, stream: Stream, action: str) -> Stream:
        """The same for a stream that a token names."""
        self.check(ctx, action, stream.arn, stream.scope, stream.policy)
        return stream

    def consumer(
        self, ctx: Context, req: Mapping[str, Any], action: str, *, member: str = "ConsumerARN"
    ) -> tuple[Stream, Consumer]:
        """The consumer a request names, by its ARN or by stream and name."""
        arn = req.get(member)
        if arn is None and ("StreamARN" not in req or "ConsumerName" not in req):
            raise api.InvalidArgumentException(
                "Either ConsumerARN or both StreamARN and ConsumerName must be provided."
            )
        stream_part = arn.rpartition("/consumer/")[0] if arn is not None else req["StreamARN"]
        if parse(stream_part) is None:
            raise api.InvalidArgumentException(f"Invalid {member} {arn}.")
        scope, name = stream_place(ctx.scope, {"StreamARN": stream_part}, "StreamARN")
        stream = self._store.find(scope, name)
        found = None
        for consumer in self._consumers.of(stream) if stream else ():
            if arn in (None, consumer.arn) and req.get("ConsumerName", consumer.name) == consumer.name:
                found = consumer
        named = arn or (found.arn if found else f"{stream_part}/consumer/{req['ConsumerName']}:*")
        self.check(ctx, action, named, scope, found.policy if found else "")
        if stream is None or found is None:
            raise api.ResourceNotFoundException(
                f"Consumer {arn or req['ConsumerName']} under account {scope.account} not found."
            )
        return stream, found

    def check(self, ctx: Context, action: str, arn: str, owner: Scope, policy: str) -> None:
        """Raise unless the caller may."""
        if owner.account != ctx.scope.account and action not in _SHARED:
            raise AwsError(
                "AccessDeniedException", f"User: {ctx.principal.arn} is not authorized to perform: kinesis:{action} "
                f"on resource: {arn} because operations of this kind are not shared between accounts", status=400,
            )  # fmt: skip
        self._p.identity.authorise(
            ctx.principal,
            f"kinesis:{action}",
            arn,
            conditions={
                "aws:SourceIp": ctx.source_ip,
                "aws:SecureTransport": "true" if ctx.endpoint.startswith("https:") else "false",
                "aws:UserAgent": ctx.headers.get("user-agent", ""),
                "aws:RequestedRegion": ctx.scope.region,
            },
            resource_policy=policy or None,
            resource_account=owner.account,
        )
