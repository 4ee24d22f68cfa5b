"""Which stream a request names: StreamName, StreamARN or both, and the ARN its permission is asked for.

https://docs.aws.amazon.com/kinesis/latest/APIReference/API_DescribeStreamSummary.html. A stream of another account is
never found (deviation: no resource policies yet).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lakebed.api import kinesis as api
from lakebed.kernel.arn import parse
from lakebed.kernel.scope import Scope
from lakebed.services.kinesis import tokens


def stream_name(scope: Scope, request: Mapping[str, Any], member: str = "StreamARN") -> str:
    """The name a request means; AWS's errors where it means none, or two."""
    name, arn = request.get("StreamName"), request.get(member)
    if arn is None:
        if name is None:
            raise api.InvalidArgumentException("Either StreamARN or StreamName must be provided.")
        return str(name)
    parts = parse(arn)
    if parts is None or parts.service != "kinesis" or not parts.resource.startswith("stream/"):
        raise api.InvalidArgumentException(f"Invalid StreamARN {arn}.")
    named = parts.resource.removeprefix("stream/")
    if name is not None and name != named:
        raise api.InvalidArgumentException("StreamARN and StreamName do not name the same stream.")
    if (parts.account, parts.region) != (scope.account, scope.region):
        raise api.ResourceNotFoundException(f"Stream {named} under account {parts.account} not found.")
    return named


def stream_arn(scope: Scope, request: Mapping[str, Any]) -> str:
    """What a permission is asked for."""
    return scope.arn("kinesis", f"stream/{stream_name(scope, request)}")


def resource_arn(scope: Scope, request: Mapping[str, Any]) -> str:
    """The same for operations that name a ``ResourceARN``."""
    return scope.arn("kinesis", f"stream/{stream_name(scope, request, 'ResourceARN')}")


def token_uid(request: Mapping[str, Any], member: str) -> str:
    """The stream a token claims to be of."""
    uid = tokens.peek_uid(request[member])
    if uid is None:
        raise api.InvalidArgumentException(f"Invalid {member}.")
    return uid
