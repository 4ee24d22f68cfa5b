"""Two small services for the door's tests: an S3 that keeps bodies' hashes and streams, a Kinesis that answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from hashlib import md5
from typing import Any

from lakebed.kernel.errors import AwsError
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Scope
from lakebed.ports.house import Ports
from lakebed.ports.service import Context, Service, operation, operations_of

PIECE = b"x" * 65536


def _stream(scope: Scope, request: dict[str, Any]) -> str:
    return scope.arn("kinesis", f"stream/{request['StreamName']}")


class ProbeS3:
    def __init__(self, p: Ports) -> None:
        self.p = p
        self.bodies: dict[str, tuple[int, str]] = {}
        self.contexts: list[Context] = []
        self.pieces_sent = 0

    @operation("PutObject", action=None, refused=("SSECustomerKey",))
    async def put_object(self, ctx: Context, req: dict[str, Any]) -> dict[str, Any]:
        digest, size, body = md5(), 0, req.get("Body", b"")
        if isinstance(body, bytes):
            digest.update(body)
            size = len(body)
        else:
            async for piece in body:
                digest.update(piece)
                size += len(piece)
        self.contexts.append(ctx)
        self.bodies[f"{req['Bucket']}/{req['Key']}"] = (size, digest.hexdigest())
        return {"ETag": f'"{digest.hexdigest()}"'}

    @operation("GetObject", action=None)
    async def get_object(self, ctx: Context, req: dict[str, Any]) -> dict[str, Any]:
        self.contexts.append(ctx)
        if not (req["Key"].isascii() and req["Key"].isdigit()):
            raise AwsError("NoSuchKey", "The specified key does not exist.", status=404)
        pieces = int(req["Key"])

        async def body() -> AsyncIterator[bytes]:
            for _ in range(pieces):
                self.pieces_sent += 1
                yield PIECE

        return {"Body": body(), "ContentLength": pieces * len(PIECE)}

    @operation("HeadObject", action=None)
    async def head_object(self, ctx: Context, req: dict[str, Any]) -> dict[str, Any]:
        self.p.identity.authorise(ctx.principal, "s3:GetObject", f"arn:aws:s3:::{req['Bucket']}/{req['Key']}")
        return {"ContentLength": 5, "ETag": '"x"'}


class ProbeKinesis:
    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.waiting = asyncio.Event()

    @operation("ListStreams")
    async def list_streams(self, ctx: Context, req: dict[str, Any]) -> dict[str, Any]:
        if req.get("ExclusiveStartStreamName") == "wait":
            self.waiting.set()
            await self.gate.wait()
        return {"StreamNames": [], "HasMoreStreams": False}

    @operation("PutRecord", resource=_stream, refused=("SequenceNumberForOrdering",))
    async def put_record(self, ctx: Context, req: dict[str, Any]) -> dict[str, Any]:
        return {"ShardId": "shardId-000000000000", "SequenceNumber": str(len(req["Data"]))}

    @operation("DescribeLimits")
    async def broken(self, ctx: Context, req: dict[str, Any]) -> dict[str, Any]:
        raise RuntimeError("secret path /somewhere")


def probes(k: Kernel, p: Ports) -> list[Service]:
    made = [ProbeS3(p), ProbeKinesis()]
    for name, probe in zip(("s3", "kinesis"), made, strict=True):
        PROBES[name] = probe
    return [
        Service("s3", operations_of(made[0], prefix="s3")),
        Service("kinesis", operations_of(made[1], prefix="kinesis")),
    ]


PROBES: dict[str, Any] = {}
