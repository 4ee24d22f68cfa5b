"""Which stream a request names: StreamName, StreamARN or both, and the ARN its permission is asked for.

https://docs.aws.amazon.com/kinesis/latest/APIReference/API_DescribeStreamSummary.html. A name is the caller's own
account's; an ARN may be another's. A stream of another region is never found.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lakebed.api import kinesis as api
from lakebed.kernel.arn import parse
from lakebed.kernel.scope import Scope
from lakebed.services.kinesis import tokens


def stream_place(scope: Scope, request: Mapping[str, Any], member: str = "StreamARN") -> tuple[Scope, str]:
    """Whose stream a request means, and its name; AWS's errors where it means none, or two."""
    name, arn = request.get("StreamName"), request.get(member)
    if arn is None:
        if name is None:
            raise api.InvalidArgumentException("Either StreamARN or StreamName must be provided.")
        return scope, str(name)
    parts = parse(arn)
    if parts is None or parts.service != "kinesis" or not parts.resource.startswith("stream/"):
        raise api.InvalidArgumentException(f"Invalid StreamARN {arn}.")
    named = parts.resource.removeprefix("stream/")
    if name is not None and name != named:
        raise api.InvalidArgumentException("StreamARN and StreamName do not name the same stream.")
    if parts.region != scope.region or parts.partition != scope.partition:
        raise api.ResourceNotFoundException(f"Stream {named} under account {parts.account} not found.")
    return Scope(parts.account, scope.region, scope.partition), named


def stream_arn(scope: Scope, request: Mapping[str, Any]) -> str:
    """What a permission is asked for."""
    owner, name = stream_place(scope, request)
    return owner.arn("kinesis", f"stream/{name}")


def resource_arn(_scope: Scope, request: Mapping[str, Any]) -> str:
    """The same for operations that name a ``ResourceARN``: a stream's or a consumer's."""
    return str(request["ResourceARN"])


def consumer_arn(scope: Scope, request: Mapping[str, Any]) -> str:
    """What a permission on a consumer is asked for: its ARN, or what of it is known."""
    if "ConsumerARN" in request:
        return str(request["ConsumerARN"])
    return f"{stream_arn(scope, request)}/consumer/{request.get('ConsumerName', '*')}:*"


def is_consumer(arn: str) -> bool:
    """Whether a ResourceARN is a consumer's."""
    return "/consumer/" in arn


def token_uid(request: Mapping[str, Any], member: str) -> str:
    """The stream a token claims to be of."""
    uid = tokens.peek_uid(request[member])
    if uid is None:
        raise api.InvalidArgumentException(f"Invalid {member}.")
    return uid
