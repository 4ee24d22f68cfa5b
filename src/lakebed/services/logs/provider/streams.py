"""Log streams.

https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DescribeLogStreams.html
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec

from lakebed.api import logs as api
from lakebed.ports.service import Context, operation
from lakebed.services.logs.journal import RETENTION_TASK
from lakebed.services.logs.model import Stream
from lakebed.services.logs.provider.desk import Desk, group_arn, stream_arn

_PAGE = 50


class StreamOperations(Desk):
    """Streams of a group."""

    @operation("CreateLogStream", resource=group_arn)
    async def create_log_stream(self, ctx: Context, req: api.CreateLogStreamRequest) -> None:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogStream.html"""
        with self.k.db.tx() as tx:
            group = self.group(ctx, req)
            if self.journal.streams.find(group, req["logStreamName"]) is not None:
                raise api.ResourceAlreadyExistsException("The specified log stream already exists")
            self.journal.streams.insert(tx, group, req["logStreamName"], self.journal.now())

    @operation("DeleteLogStream", resource=stream_arn)
    async def delete_log_stream(self, ctx: Context, req: api.DeleteLogStreamRequest) -> None:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DeleteLogStream.html"""
        with self.k.db.tx() as tx:
            group = self.group(ctx, req)
            self.journal.streams.delete(tx, group, self.journal.stream(group, req["logStreamName"]))
            tx.after_commit(lambda: self.k.tasks.poke(RETENTION_TASK))

    @operation("DescribeLogStreams", resource=group_arn)
    async def describe_log_streams(self, ctx: Context, req: api.DescribeLogStreamsRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DescribeLogStreams.html"""
        group, limit, descending = self.group(ctx, req), req.get("limit", _PAGE), req.get("descending", False)
        prefix, after = req.get("logStreamNamePrefix", ""), _read_token(req.get("nextToken"))
        if req.get("orderBy") == "LastEventTime":
            if prefix:
                raise api.InvalidParameterException("Cannot order by LastEventTime with a logStreamNamePrefix.")
            found = self.journal.streams.by_last_event(group, after, limit + 1, descending=descending)
        else:
            name = after[1] if after else None
            found = self.journal.streams.by_name(group, prefix, name, limit + 1, descending=descending)
        result: dict[str, Any] = {"logStreams": [stream.shown(group) for stream in found[:limit]]}
        if len(found) > limit:
            result["nextToken"] = _token(found[limit - 1])
        return result


def _token(stream: Stream) -> str:
    return base64.urlsafe_b64encode(msgspec.msgpack.encode((stream.last_event, stream.name))).decode()


def _read_token(token: str | None) -> tuple[int, str] | None:
    if token is None:
        return None
    try:
        return msgspec.msgpack.decode(base64.urlsafe_b64decode(token), type=tuple[int, str])
    except (binascii.Error, ValueError, msgspec.DecodeError):
        raise api.InvalidParameterException("The specified nextToken is invalid.") from None
