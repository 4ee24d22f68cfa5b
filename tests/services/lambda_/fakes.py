"""Small fakes of the ports Lambda stands on, and a runtime that calls Python functions in this process."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lakebed.kernel.clock import Clock
from lakebed.kernel.errors import AwsError
from lakebed.kernel.scope import Principal, Scope
from lakebed.kernel.tasks import Tasks
from lakebed.ports.objects import ObjectInfo
from lakebed.ports.queues import Outgoing, QueueMessage
from lakebed.ports.runtime import Execution, FunctionSpec
from lakebed.ports.streams import StreamFacts, StreamRecord

ROLE = "arn:aws:iam::000000000000:role/fn"
QUEUE = "arn:aws:sqs:us-east-1:000000000000:q"
DEAD = "arn:aws:sqs:us-east-1:000000000000:dead"
STREAM = "arn:aws:kinesis:us-east-1:000000000000:stream/s"


def zipped(files: Mapping[str, str] | str) -> bytes:
    """A deployment package."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, text in ({"app.py": files} if isinstance(files, str) else files).items():
            archive.writestr(name, text)
    return packed.getvalue()


class FakeRuntime:
    """Runs ``behave(event)``; an exception is a function error."""

    can = frozenset({"python3.11", "python3.12"})

    def __init__(self) -> None:
        self.behave: Callable[[Any], Any] = lambda event: event
        self.events: list[Any] = []
        self.calls: list[dict[str, Any]] = []
        self.specs: list[FunctionSpec] = []
        self.retired: list[str] = []
        self.room = 16
        self.kept: dict[str, int] = {}

    async def provision(self, spec: FunctionSpec, count: int, credentials: Mapping[str, str]) -> int:
        self.kept[spec.key] = min(count, self.room)
        return self.kept[spec.key]

    async def execute(self, spec: FunctionSpec, event: bytes, **given: Any) -> Execution:
        self.specs.append(spec)
        self.calls.append(given)
        self.events.append(json.loads(event))
        try:
            payload, error = json.dumps(self.behave(json.loads(event))).encode(), None
        except (ValueError, KeyError) as failure:
            kind = type(failure).__name__
            payload, error = json.dumps({"errorType": kind, "errorMessage": str(failure)}).encode(), "Unhandled"
        log = f"START\nhello\nREPORT RequestId: {given['request_id']}\n"
        return Execution(payload, error, log, "2026/01/01/[$LATEST]abc", 1.0, 1, None, 20)

    async def retire(self, key: str) -> None:
        self.retired.append(key)


class FakeLogs:
    def __init__(self) -> None:
        self.lines: list[tuple[str, str, str]] = []

    def write(self, scope: Scope, group: str, stream: str, events: Sequence[tuple[float, str]]) -> None:
        self.lines += [(group, stream, text) for _, text in events]


class FakeQueues:
    """Queues with a visibility timeout of 30 s."""

    def __init__(self, clock: Clock, tasks: Tasks) -> None:
        self.clock, self.tasks = clock, tasks
        self.messages: dict[str, list[dict[str, Any]]] = {QUEUE: [], DEAD: []}
        self.subscribers: dict[str, list[str]] = {}
        self.sent: list[Outgoing] = []

    async def send(self, principal: Principal, queue_arn: str, bodies: Sequence[str]) -> None:
        self.put(queue_arn, *bodies)

    async def deliver(self, principal: Principal, queue_arn: str, messages: Sequence[Outgoing]) -> None:
        self.sent += messages
        self.put(queue_arn, *(message.body for message in messages))

    def put(self, queue_arn: str, *bodies: str) -> None:
        for body in bodies:
            number = sum(map(len, self.messages.values()))
            self._queue(queue_arn).append({"id": f"m{number}", "body": body, "visible": self.clock.now(), "count": 0})
        for task in self.subscribers.get(queue_arn, ()):
            self.tasks.poke(task)

    def receive(
        self, principal: Principal, queue_arn: str, limit: int, *, visibility_seconds: float | None = None
    ) -> Sequence[QueueMessage]:
        found = []
        for message in self._queue(queue_arn):
            if len(found) < limit and message["visible"] <= self.clock.now():
                message["visible"] = self.clock.now() + 30
                message["count"] += 1
                md5 = hashlib.md5(message["body"].encode()).hexdigest()
                attributes = {"ApproximateReceiveCount": str(message["count"])}
                user = {"k": {"StringValue": "v", "DataType": "String"}}
                found.append(QueueMessage(message["id"], f"r-{message['id']}", message["body"], md5, attributes, user))
        return found

    def delete(self, principal: Principal, queue_arn: str, receipt_handles: Sequence[str]) -> None:
        kept = [one for one in self._queue(queue_arn) if f"r-{one['id']}" not in receipt_handles]
        self.messages[queue_arn][:] = kept

    def release(self, queue_arn: str, receipt_handles: Sequence[str], *, delay_seconds: float = 0.0) -> None:
        for message in self._queue(queue_arn):
            if f"r-{message['id']}" in receipt_handles:
                message["visible"] = self.clock.now() + delay_seconds

    def next_visible_at(self, queue_arn: str) -> float | None:
        return min((message["visible"] for message in self._queue(queue_arn)), default=None)

    def visibility_seconds(self, queue_arn: str) -> float:
        self._queue(queue_arn)
        return 30.0

    def subscribe(self, queue_arn: str, task: str) -> None:
        self.subscribers.setdefault(queue_arn, []).append(task)

    def unsubscribe(self, queue_arn: str, task: str) -> None:
        self.subscribers[queue_arn].remove(task)

    def bodies(self, queue_arn: str) -> list[str]:
        return [message["body"] for message in self.messages[queue_arn]]

    def _queue(self, queue_arn: str) -> list[dict[str, Any]]:
        if queue_arn not in self.messages:
            raise AwsError("QueueDoesNotExist", "The specified queue does not exist.")
        return self.messages[queue_arn]


class FakeStreams:
    """One stream; ``closed`` shards have ended."""

    def __init__(self, clock: Clock, tasks: Tasks) -> None:
        self.clock, self.tasks = clock, tasks
        self.records: dict[str, list[StreamRecord]] = {"shardId-000000000000": []}
        self.closed: set[str] = set()
        self.subscribers: list[str] = []
        self.uid = "first"

    def facts(self, stream_arn: str) -> StreamFacts:
        return StreamFacts(self.uid, 86_400.0)

    def add(self, *datas: str, shard: str = "shardId-000000000000", key: str = "key") -> None:
        for data in datas:
            at = self.records[shard]
            at.append(StreamRecord(len(at), f"seq{len(at)}", key, data.encode(), self.clock.now()))
        for task in self.subscribers:
            self.tasks.poke(task)

    def shards(self, stream_arn: str) -> Sequence[str]:
        return list(self.records)

    def read(
        self, stream_arn: str, shard_id: str, offset: int, *, records_max: int, bytes_max: int,
        principal: Principal | None = None,
    ) -> Sequence[StreamRecord]:  # fmt: skip
        return self.records[shard_id][offset : offset + records_max]

    def position(self, stream_arn: str, shard_id: str, start: str, timestamp: float | None = None) -> int:
        return len(self.records[shard_id]) if start == "LATEST" else 0

    def finished(self, stream_arn: str, shard_id: str, offset: int) -> bool:
        return shard_id in self.closed and offset >= len(self.records[shard_id])

    def subscribe(self, stream_arn: str, task: str) -> None:
        self.subscribers.append(task)

    def unsubscribe(self, stream_arn: str, task: str) -> None:
        self.subscribers.remove(task)


class FakeObjects:
    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], bytes] = {}

    async def head(self, principal: Principal, bucket: str, key: str) -> ObjectInfo:
        if (bucket, key) not in self.objects:
            raise AwsError("NoSuchKey", "The specified key does not exist.", status=404)
        return ObjectInfo(bucket, key, len(self.objects[bucket, key]), "e", 0.0, Path("/nowhere"))

    async def read(self, info: ObjectInfo, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        yield self.objects[info.bucket, info.key]
