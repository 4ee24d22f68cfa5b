"""The service on its real runtime: a package goes in, a process answers, its log is written; kill -9 loses nothing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from lakebed.engines.run_python import PythonRuntime
from lakebed.kernel.backup import restore_backup, write_backup
from lakebed.services import lambda_
from tests.harness import Harness
from tests.services.lambda_.fakes import QUEUE, ROLE, FakeLogs, FakeQueues, zipped

CODE = """
import json, os
from pkg.part import twice
def handler(event, context):
    print("got", json.dumps(event)[:40])
    if event.get("fail"):
        raise RuntimeError("as asked")
    return {"twice": twice(event.get("n", 0)), "key": os.environ["AWS_ACCESS_KEY_ID"], "arn": context.invoked_function_arn}
"""
FILES = {"app.py": CODE, "pkg/__init__.py": "", "pkg/part.py": "def twice(n): return 2 * n"}


class House:
    def __init__(self, directory: Path) -> None:
        self.harness = Harness(directory)
        ports: Any = self.harness.ports
        kernel = self.harness.kernel
        self.logs, self.queues = FakeLogs(), FakeQueues(kernel.clock, kernel.tasks)
        ports.logs, ports.queues = self.logs, self.queues
        ports.runtime = self.runtime = PythonRuntime(kernel, lambda: "http://127.0.0.1:4566")
        self.harness.add(lambda_.service)

    async def call(self, operation: str, **params: Any) -> dict[str, Any]:
        return await self.harness.call("lambda", operation, **params)

    async def invoke(self, event: Any, name: str = "fn", **params: Any) -> Any:
        came = await self.call("Invoke", FunctionName=name, Payload=json.dumps(event).encode(), **params)
        return json.loads(came["Payload"].read())

    async def stop(self) -> None:
        await self.harness.stop()
        await self.runtime.stop()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = House(tmp_path / "data")
    await made.harness.start()
    yield made
    await made.stop()


async def create(house: House, files: Any = None, **changes: Any) -> None:
    await house.call(
        "CreateFunction", FunctionName="fn", Runtime="python3.12", Role=ROLE, Handler="app.handler",
        Code={"ZipFile": zipped(files or FILES)}, **changes,
    )  # fmt: skip


async def test_invoke(house: House) -> None:
    await create(house)
    got = await house.invoke({"n": 21})
    assert got == {"twice": 42, "key": "ASIATEST", "arn": "arn:aws:lambda:us-east-1:000000000000:function:fn"}
    groups = {group for group, _, _ in house.logs.lines}
    lines = [line for _, _, line in house.logs.lines]
    assert groups == {"/aws/lambda/fn"}
    assert lines[1] == 'got {"n": 21}'
    assert lines[-1].startswith("REPORT")
    failed = await house.invoke({"fail": 1})
    assert (failed["errorType"], failed["errorMessage"]) == ("RuntimeError", "as asked")


async def test_new_code_is_used_at_once(house: House) -> None:
    await create(house)
    await house.invoke({"n": 1})
    await house.call("UpdateFunctionCode", FunctionName="fn", ZipFile=zipped("def handler(e, c): return 'new'"))
    assert await house.invoke({}) == "new"
    assert house.runtime.pool.size == 1


async def test_boto3_in_a_function_is_told_our_endpoint(house: House) -> None:
    source = "import boto3\ndef handler(e, c): return boto3.client('s3').meta.endpoint_url"
    await create(house, source, MemorySize=256, Timeout=30)
    assert await house.invoke({}) == "http://127.0.0.1:4566"


async def test_queue_to_worker(house: House) -> None:
    source = (
        "def handler(e, c): return {'batchItemFailures': "
        "[{'itemIdentifier': r['messageId']} for r in e['Records'] if r['body'] == 'bad']}"
    )
    await create(house, source)
    await house.call(
        "CreateEventSourceMapping", EventSourceArn=QUEUE, FunctionName="fn",
        FunctionResponseTypes=["ReportBatchItemFailures"],
    )  # fmt: skip
    house.queues.put(QUEUE, "good", "bad", "good")
    await house.harness.clock.advance(0)
    assert house.queues.bodies(QUEUE) == ["bad"]


async def test_a_restart_runs_what_was_queued(tmp_path: Path) -> None:
    first = House(tmp_path / "data")
    await create(first)  # its tasks never start: the event stays queued, as after a kill
    await first.call("Invoke", FunctionName="fn", InvocationType="Event", Payload=b'{"n": 3}')
    await first.stop()
    second = House(tmp_path / "data")
    await second.harness.start()
    await second.harness.clock.advance(1)
    assert 'got {"n": 3}' in [line for _, _, line in second.logs.lines]
    assert not second.harness.kernel.db.all("SELECT 1 FROM lambda_later")
    await second.stop()


async def test_a_backup_holds_the_package_and_not_what_is_made_from_it(house: House, tmp_path: Path) -> None:
    await create(house)
    await house.invoke({"n": 1})
    kernel, archive = house.harness.kernel, tmp_path / "backup.tar"
    await write_backup(kernel.data, archive, kernel.db, kernel.disk)
    restore_backup(archive, tmp_path / "restored")
    names = {path.relative_to(tmp_path / "restored").parts[0] for path in (tmp_path / "restored").rglob("*.*")}
    assert "scratch" not in names
    again = House(tmp_path / "restored")
    await again.harness.start()
    assert (await again.invoke({"n": 2}))["twice"] == 4
    await again.stop()
