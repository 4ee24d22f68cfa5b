"""S3 on a harness, called as boto3 would call it, and small fakes of the neighbours that take events."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from lakebed.kernel.errors import AwsError
from lakebed.ports.keys import DataKey
from lakebed.services import s3 as package
from tests.harness import Harness

Call = Callable[..., Awaitable[dict[str, Any]]]


class FakeQueues:
    """Takes what S3 sends; ``missing`` queues do not exist, ``failing`` ones fail that many times."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []
        self.principals: list[tuple[str, str | None]] = []
        self.missing: set[str] = set()
        self.failing = 0

    def check_destination(self, principal: Any, queue_arn: str, *, source_arn: str | None = None) -> None:
        self.principals.append((principal.arn, source_arn))
        if queue_arn in self.missing:
            raise AwsError("AWS.SimpleQueueService.NonExistentQueue", "The specified queue does not exist.", status=400)

    async def send(self, principal: Any, queue_arn: str, bodies: list[str], *, source_arn: str | None = None) -> None:
        if self.failing:
            self.failing -= 1
            raise AwsError("InternalFailure", "disk full", status=500)
        self.check_destination(principal, queue_arn, source_arn=source_arn)
        self.sent += [(queue_arn, body) for body in bodies]


class FakeTopics:
    """Takes publications; a topic called ``missing`` does not exist."""

    def __init__(self) -> None:
        self.published: list[tuple[str, str, str]] = []

    def check_destination(self, principal: Any, topic_arn: str, *, source_arn: str | None = None) -> None:
        assert (principal.arn, source_arn) == ("s3.amazonaws.com", "arn:aws:s3:::shelf")
        if topic_arn.endswith("missing"):
            raise AwsError("NotFound", "Topic does not exist", status=404)

    async def publish(
        self, principal: Any, topic_arn: str, message: str, *, subject: str = "", source_arn: str | None = None
    ) -> str:
        self.check_destination(principal, topic_arn, source_arn=source_arn)
        self.published.append((topic_arn, subject, message))
        return "message"


class FakeFunctions:
    """Takes invocations."""

    def __init__(self) -> None:
        self.invoked: list[tuple[str, bytes]] = []

    def check_destination(self, principal: Any, function_arn: str, *, source_arn: str | None = None) -> None:
        if "missing" in function_arn:
            raise AwsError("ResourceNotFoundException", "Function not found", status=404)

    async def invoke_later(
        self, principal: Any, function_arn: str, payload: bytes, *, source_arn: str | None = None
    ) -> str:
        self.check_destination(principal, function_arn, source_arn=source_arn)
        self.invoked.append((function_arn, payload))
        return "request"


class FakeKeys:
    """A KMS with keys that can be disabled; a wrapped key is its number, which only the same context opens."""

    def __init__(self) -> None:
        self.disabled: set[str] = set()
        self.asked: list[tuple[str, str]] = []
        self._made: dict[bytes, tuple[str, bytes, dict[str, str]]] = {}

    def key_arn(self, principal: Any, scope: Any, key: str) -> str:
        if "missing" in key:
            raise AwsError("NotFoundException", f"Key '{key}' does not exist", status=400)
        if key in self.disabled:
            raise AwsError("DisabledException", f"{key} is disabled.", status=400)
        return key if key.startswith("arn:") else f"arn:aws:kms:us-east-1:000000000000:key/{key.removeprefix('alias/')}"

    def generate_data_key(self, principal: Any, scope: Any, key: str, *, context: Any, via: str) -> DataKey:
        arn = self.key_arn(principal, scope, key)
        self.asked.append(("generate", principal.arn))
        wrapped = str(len(self._made)).encode()
        plain = hashlib.sha256(wrapped).digest()
        self._made[wrapped] = (key, plain, dict(context))
        return DataKey(arn, plain, wrapped)

    def decrypt(self, principal: Any, scope: Any, ciphertext: bytes, *, context: Any, via: str) -> bytes:
        key, plain, bound = self._made[ciphertext]
        self.key_arn(principal, scope, key)
        self.asked.append(("decrypt", principal.arn))
        assert dict(context) == bound
        return plain


class FakeEvents:
    """Takes events."""

    def __init__(self) -> None:
        self.put_events: list[tuple[str, str, Any, Any, str | None]] = []

    async def put(
        self,
        scope: Any,
        source: str,
        detail_type: str,
        detail: Any,
        *,
        resources: Any = (),
        event_id: str | None = None,
    ) -> None:
        self.put_events.append((source, detail_type, detail, resources, event_id))


def caller_of(harness: Harness) -> Call:
    """``await s3("PutObject", Bucket=…)`` on a harness; streaming bodies come back as bytes."""

    async def call(operation: str, **params: Any) -> dict[str, Any]:
        answer = await harness.call("s3", operation, **params)
        body = answer.get("Body")
        if hasattr(body, "read"):
            answer["Body"] = body.read()
        return answer

    return call


@pytest.fixture
async def s3(harness: Harness) -> Call:
    """S3 with a bucket ``shelf`` and fake neighbours."""
    harness.ports.queues = FakeQueues()  # type: ignore[assignment]
    harness.ports.topics = FakeTopics()  # type: ignore[assignment]
    harness.ports.functions = FakeFunctions()  # type: ignore[assignment]
    harness.ports.keys = FakeKeys()
    harness.ports.events = FakeEvents()
    harness.add(package.service)
    await harness.start()
    call = caller_of(harness)
    await call("CreateBucket", Bucket="shelf")
    return call


async def refused(awaitable: Awaitable[Any]) -> AwsError:
    """The error a call ends with."""
    try:
        await awaitable
    except AwsError as failure:
        return failure
    raise AssertionError("the call succeeded")


async def leftovers(harness: Harness) -> int:
    """Files that no row names, once the house had the time to remove what it meant to."""
    await harness.clock.settle()
    return harness.kernel.blobs.sweep(harness.ports.objects.known_blobs())
