"""Invoke: synchronous, asynchronous, dry, and with an answer that streams.

A function that fails is a success of the API: 200 with X-Amz-Function-Error. The resource policy of the function counts,
so the permission is decided here and not in the edge.

https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
https://docs.aws.amazon.com/lambda/latest/api/API_InvokeWithResponseStream.html
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from lakebed.api import lambda_ as api
from lakebed.ports.runtime import Execution, ResponseSink
from lakebed.ports.service import Context, operation
from lakebed.services.lambda_.invoking import Event, Invoker
from lakebed.services.lambda_.later import LaterQueue
from lakebed.services.lambda_.names import reference, resource
from lakebed.services.lambda_.streaming import Stream

SYNC_BYTES_MAX, ASYNC_BYTES_MAX = 6_291_456, 1_048_576
_CONTEXT_CHARS_MAX = 3583
_TAIL_BYTES = 4096


class InvocationOperations:
    """Invoke, InvokeWithResponseStream."""

    def __init__(self, invoker: Invoker, queue: LaterQueue) -> None:
        self.invoker, self.queue = invoker, queue

    @operation("Invoke", action=None, resource=resource(qualified=True), refused=("DurableExecutionName", "TenantId"))
    async def invoke(self, ctx: Context, req: api.InvocationRequest) -> api.InvocationResponse:
        """https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html"""
        named = reference(ctx.scope, req["FunctionName"], req.get("Qualifier"))
        self.invoker.authorise(ctx.principal, named)
        kind = req.get("InvocationType", "RequestResponse")
        limit = ASYNC_BYTES_MAX if kind == "Event" else SYNC_BYTES_MAX
        payload = await _read(req.get("Payload", b""), limit) or b"{}"
        version = self.invoker.resolve(named)
        _check_json(payload)
        context = _client_context(req.get("ClientContext", ""))
        if kind == "DryRun":
            return {"StatusCode": 204, "ExecutedVersion": version.version, "Payload": b""}
        if kind == "Event":
            text = msgspec.json.encode(context).decode() if context else ""
            self.queue.add(named, payload, text, request_id=ctx.request_id, trace=_trace(ctx))
            return {"StatusCode": 202, "Payload": b""}
        came = await self.invoker.run(named, version, Event(payload, ctx.request_id, context, trace=_trace(ctx)))
        told: api.InvocationResponse = {
            "StatusCode": 200,
            "Payload": came.payload,
            "ExecutedVersion": version.version,
        }
        if came.error:
            told["FunctionError"] = came.error
        if req.get("LogType") == "Tail":
            told["LogResult"] = _tail(came)
        return told

    @operation("InvokeWithResponseStream", action=None, resource=resource(qualified=True), refused=("TenantId",))
    async def invoke_with_response_stream(
        self, ctx: Context, req: api.InvokeWithResponseStreamRequest
    ) -> api.InvokeWithResponseStreamResponse:
        """https://docs.aws.amazon.com/lambda/latest/api/API_InvokeWithResponseStream.html"""
        named = reference(ctx.scope, req["FunctionName"], req.get("Qualifier"))
        self.invoker.authorise(ctx.principal, named)
        payload = await _read(req.get("Payload", b""), SYNC_BYTES_MAX) or b"{}"
        version = self.invoker.resolve(named)
        _check_json(payload)
        context = _client_context(req.get("ClientContext", ""))
        if req.get("InvocationType") == "DryRun":
            return {"StatusCode": 204, "ExecutedVersion": version.version, "EventStream": _nothing()}
        stream = Stream()

        async def run(sink: ResponseSink) -> Execution:
            event = Event(payload, ctx.request_id, context, trace=_trace(ctx), sink=sink)
            return await self.invoker.run(named, version, event)

        await stream.open(run)
        return {
            "StatusCode": 200,
            "ExecutedVersion": version.version,
            "ResponseStreamContentType": stream.content_type,
            "EventStream": _events(stream, tail=req.get("LogType") == "Tail"),
        }


async def _events(stream: Stream, *, tail: bool) -> AsyncIterator[dict[str, Any]]:
    """The pieces, and how it ended."""
    async for piece in stream.pieces():
        yield {"PayloadChunk": {"Payload": piece}}
    ended: dict[str, str] = {}
    came = stream.execution
    if came is not None and came.error:
        ended = {"ErrorCode": came.error, "ErrorDetails": came.payload.decode("utf-8", "replace")}
    if came is not None and tail:
        ended["LogResult"] = _tail(came)
    yield {"InvokeComplete": ended}


async def _nothing() -> AsyncIterator[dict[str, Any]]:
    yield {"InvokeComplete": {}}


def _tail(came: Execution) -> str:
    return base64.b64encode(came.log.encode()[-_TAIL_BYTES:]).decode()


def _trace(ctx: Context) -> str:
    return ctx.headers.get("x-amzn-trace-id", "")


async def _read(payload: bytes | AsyncIterator[bytes], limit: int) -> bytes:
    """The payload, refused as soon as it is too large."""
    pieces, size = [], 0
    if isinstance(payload, bytes | bytearray):
        pieces, size = [bytes(payload)], len(payload)
    else:
        async for piece in payload:
            size += len(piece)
            if size > limit:
                break
            pieces.append(piece)
    if size > limit:
        raise api.RequestTooLargeException(
            f"Request must be smaller than {limit} bytes for the InvokeFunction operation", members={"Type": "User"}
        )
    return b"".join(pieces)


def _check_json(payload: bytes) -> None:
    try:
        msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as failure:
        raise api.InvalidRequestContentException(
            f"Could not parse request body into json: {failure}", members={"Type": "User"}
        ) from None


def _client_context(text: str) -> dict[str, Any] | None:
    if not text:
        return None
    if len(text) > _CONTEXT_CHARS_MAX:
        raise api.RequestTooLargeException("Client context must be no more than 3583 bytes.", members={"Type": "User"})
    try:
        found = msgspec.json.decode(base64.b64decode(text))
    except (msgspec.DecodeError, binascii.Error, ValueError):
        found = None
    if not isinstance(found, dict):
        raise api.InvalidRequestContentException(
            "Client context must be a valid Base64-encoded JSON object.", members={"Type": "User"}
        ) from None
    return found
