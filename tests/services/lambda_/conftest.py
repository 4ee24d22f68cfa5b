"""A house with Lambda on fakes; ``lab.create()`` makes a function."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.awsrequest import HeadersDict

import tests.harness as harness_module
from lakebed.services import lambda_
from lakebed.wire.aws.message import HttpResponse
from tests.harness import Harness
from tests.services.lambda_.fakes import ROLE, FakeLogs, FakeObjects, FakeQueues, FakeRuntime, FakeStreams, zipped


class Lab:
    def __init__(self, harness: Harness) -> None:
        self.harness, self.clock = harness, harness.clock
        kernel = harness.kernel
        self.runtime, self.logs, self.objects = FakeRuntime(), FakeLogs(), FakeObjects()
        self.queues, self.streams = FakeQueues(kernel.clock, kernel.tasks), FakeStreams(kernel.clock, kernel.tasks)
        ports: Any = harness.ports
        ports.runtime, ports.logs, ports.objects = self.runtime, self.logs, self.objects
        ports.queues, ports.streams = self.queues, self.streams
        harness.add(lambda_.service)

    async def call(self, operation: str, **params: Any) -> dict[str, Any]:
        return await self.harness.call("lambda", operation, **params)

    async def create(
        self, name: str = "fn", code: Any = "def handler(e, c): return e", **changes: Any
    ) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "FunctionName": name, "Runtime": "python3.12", "Role": ROLE, "Handler": "app.handler",
            "Code": {"ZipFile": zipped(code)},
        }  # fmt: skip
        return await self.call("CreateFunction", **{**fields, **changes})


@pytest.fixture(autouse=True)
def header_names_in_any_case(monkeypatch: pytest.MonkeyPatch) -> None:
    """A real client's response headers know no case; botocore's parser asks for them in the model's spelling."""
    parse = harness_module._response

    async def parsed(model: Any, operation: str, response: HttpResponse) -> dict[str, Any]:
        response.headers = HeadersDict(response.headers)
        return await parse(model, operation, response)

    monkeypatch.setattr(harness_module, "_response", parsed)


@pytest.fixture
async def lab(harness: Harness) -> Lab:
    made = Lab(harness)
    await harness.start()
    return made
