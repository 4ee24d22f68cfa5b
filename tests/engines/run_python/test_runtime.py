"""Real worker processes: what AWS's Python runtime does, and what happens to workers that misbehave."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lakebed.engines.run_python import PythonRuntime
from lakebed.kernel.children import start_time
from lakebed.kernel.errors import AwsError
from lakebed.ports.runtime import Execution, FunctionSpec
from tests.harness import Harness

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "ASIA1", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t"}
ARN = "arn:aws:lambda:eu-west-1:000000000000:function:f"


class Lab:
    """Functions from source text."""

    def __init__(self, harness: Harness, folder: Path) -> None:
        self.harness, self.folder = harness, folder
        self.runtime = PythonRuntime(harness.kernel, lambda: "http://127.0.0.1:4566")

    def spec(self, source: str | Mapping[str, str], **changes: Any) -> FunctionSpec:
        files = {"app.py": source} if isinstance(source, str) else source
        code = self.folder / f"code{len(list(self.folder.iterdir()))}"
        for name, text in files.items():
            path = code / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        fields: dict[str, Any] = {
            "key": str(code), "code": code, "handler": "app.handler", "runtime": "python3.12", "environment": {},
            "memory_mb": 128, "timeout_seconds": 3.0, "arn": ARN, "name": "f", "version": "$LATEST",
            "log_group": "/aws/lambda/f",
        }  # fmt: skip
        return FunctionSpec(**{**fields, **changes})

    async def run(self, spec: FunctionSpec, event: Any = None, **changes: Any) -> Execution:
        options: dict[str, Any] = {
            "request_id": "req-1", "credentials": CREDENTIALS, "concurrency": 10,
            "deadline": self.harness.clock.monotonic() + 20,
        }  # fmt: skip
        return await self.runtime.execute(spec, json.dumps(event or {}).encode(), **{**options, **changes})


@pytest.fixture
async def lab(harness: Harness, tmp_path: Path) -> AsyncIterator[Lab]:
    folder = harness.kernel.data / "code"
    folder.mkdir(parents=True)
    made = Lab(harness, folder)
    yield made
    await made.runtime.stop()


ECHO = """
import os, sys
count = 0
def handler(event, context):
    global count
    count += 1
    print("hello", file=sys.stderr)
    print("from the function")
    return {"event": event, "count": count, "name": context.function_name, "version": context.function_version,
            "arn": context.invoked_function_arn, "memory": context.memory_limit_in_mb, "id": context.aws_request_id,
            "group": context.log_group_name, "stream": context.log_stream_name,
            "left": context.get_remaining_time_in_millis(), "env": dict(os.environ), "pid": os.getpid()}
"""


async def test_event_context_environment_and_log(lab: Lab) -> None:
    spec = lab.spec(ECHO, environment={"STAGE": "test"})
    came = await lab.run(spec, {"a": 1})
    got = json.loads(came.payload)
    assert came.error is None
    assert (got["event"], got["name"], got["version"], got["arn"]) == ({"a": 1}, "f", "$LATEST", ARN)
    assert (got["memory"], got["id"], got["group"]) == ("128", "req-1", "/aws/lambda/f")
    assert 2000 < got["left"] <= 3000
    env = got["env"]
    assert env["STAGE"] == "test"
    assert env["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4566"
    assert env["AWS_REGION"] == "eu-west-1"
    assert env["AWS_ACCESS_KEY_ID"] == "ASIA1"
    assert "HOME" not in env
    assert came.log_stream == got["stream"]
    lines = came.log.splitlines()
    assert lines[0] == "START RequestId: req-1 Version: $LATEST"
    assert lines[1:3] == ["hello", "from the function"]
    assert lines[3] == "END RequestId: req-1"
    assert lines[4].startswith("REPORT RequestId: req-1\tDuration: ")
    assert "Init Duration" in lines[4]


async def test_second_event_finds_the_worker_warm_with_fresh_credentials(lab: Lab) -> None:
    spec = lab.spec(ECHO)
    first = json.loads((await lab.run(spec)).payload)
    came = await lab.run(spec, credentials={**CREDENTIALS, "AWS_ACCESS_KEY_ID": "ASIA2"}, request_id="req-2")
    second = json.loads(came.payload)
    assert (first["count"], second["count"]) == (1, 2)
    assert second["env"]["AWS_ACCESS_KEY_ID"] == "ASIA2"
    assert came.init_ms is None
    assert "Init Duration" not in came.log


@pytest.mark.parametrize(
    ("source", "handler", "kind", "message"),
    [
        (
            "import nowhere",
            "app.handler",
            "Runtime.ImportModuleError",
            "Unable to import module 'app': No module named",
        ),
        ("x = 1", "app.handler", "Runtime.HandlerNotFound", "Handler 'handler' missing on module 'app'"),
        ("def handler(:", "app.handler", "Runtime.UserCodeSyntaxError", "Syntax error in module 'app'"),
        ("x = 1", "handler", "Runtime.MalformedHandlerName", "Bad handler 'handler'"),
        ("raise ValueError('at import')", "app.handler", "ValueError", "at import"),
        ("def handler(e, c): raise KeyError('k')", "app.handler", "KeyError", "'k'"),
        ("def handler(e, c): return object()", "app.handler", "Runtime.MarshalError", "Unable to marshal response"),
        ("def handler(e, c): return 'x' * 7_000_000", "app.handler", "Function.ResponseSizeTooLarge", "6291556 bytes"),
        ("import os\ndef handler(e, c): os._exit(3)", "app.handler", "Runtime.ExitError", "exit status 3"),
        (
            "import sys\ndef handler(e, c): sys.exit(0)",
            "app.handler",
            "Runtime.ExitError",
            "without providing a reason",
        ),
        ("import os\ndef handler(e, c): os.kill(os.getpid(), 9)", "app.handler", "Runtime.ExitError", "signal: killed"),
        ("import os\ndef handler(e, c): os.abort()", "app.handler", "Runtime.ExitError", "signal: aborted"),
        ("def handler(e, c): b = bytearray(200 << 20)", "app.handler", "Runtime.OutOfMemory", "signal: killed"),
    ],
)
async def test_errors_are_awss(lab: Lab, source: str, handler: str, kind: str, message: str) -> None:
    came = await lab.run(lab.spec(source, handler=handler))
    got = json.loads(came.payload)
    assert came.error == "Unhandled"
    assert got["errorType"] == kind
    assert message in got["errorMessage"]
    assert came.log.splitlines()[-1].startswith("REPORT")


async def test_stack_trace_shows_only_the_users_frames(lab: Lab) -> None:
    came = await lab.run(lab.spec("def inner():\n    1 / 0\ndef handler(e, c):\n    inner()\n"))
    trace = json.loads(came.payload)["stackTrace"]
    assert len(trace) == 2
    assert "in handler" in trace[0]
    assert "in inner" in trace[1]
    assert "[ERROR] ZeroDivisionError: division by zero" in came.log


async def test_timeout_kills_the_worker(lab: Lab) -> None:
    spec = lab.spec("def handler(e, c):\n    while e.get('spin'): pass\n    return 1", timeout_seconds=0.2)
    came = await lab.run(spec, {"spin": 1})
    assert "Task timed out after 0.20 seconds" in json.loads(came.payload)["errorMessage"]
    assert "req-1 Task timed out after 0.20 seconds" in came.log
    assert not lab.runtime.pool.idle_of(spec.key)
    assert (await lab.run(spec)).payload == b"1"


async def test_packages_and_slashes_in_handlers(lab: Lab) -> None:
    files = {"src/__init__.py": "", "src/deep/__init__.py": "", "src/deep/main.py": "def go(e, c): return __name__"}
    assert (await lab.run(lab.spec(files, handler="src/deep/main.go"))).payload == b'"src.deep.main"'
    assert (await lab.run(lab.spec(files, handler="src.deep.main.go"))).payload == b'"src.deep.main"'


async def test_an_idle_worker_that_is_killed_is_replaced(lab: Lab) -> None:
    spec = lab.spec(ECHO)
    await lab.run(spec)
    [worker] = lab.runtime.pool.idle_of(spec.key)
    os.kill([worker.pid, *_descendants(worker.pid)][-1], signal.SIGKILL)
    assert json.loads((await lab.run(spec)).payload)["count"] == 1


async def test_workers_of_one_function_are_capped_and_others_wait(lab: Lab) -> None:
    spec = lab.spec("import os, time\nme = os.urandom(8).hex()\ndef handler(e, c):\n    time.sleep(0.1)\n    return me")
    came = await asyncio.gather(*(lab.run(spec, concurrency=2) for _ in range(4)))
    assert len({one.payload for one in came}) == 2
    with pytest.raises(AwsError) as refused:
        await asyncio.gather(*(lab.run(spec, concurrency=1, deadline=lab.harness.clock.monotonic()) for _ in range(2)))
    assert refused.value.error_code == "TooManyRequestsException"


async def test_idle_workers_retire_by_the_clock(lab: Lab) -> None:
    spec = lab.spec(ECHO)
    await lab.harness.start()
    await lab.run(spec)
    assert lab.runtime.pool.size == 1
    await lab.harness.clock.advance(400)
    assert lab.runtime.pool.size == 0


async def test_retire_stops_warm_workers(lab: Lab) -> None:
    spec = lab.spec(ECHO)
    await lab.run(spec)
    await lab.runtime.retire(spec.key)
    assert lab.runtime.pool.size == 0


async def test_sandbox_hides_the_data_directory(lab: Lab) -> None:
    secret = lab.harness.kernel.data / "secret.txt"
    secret.write_text("x")
    source = (
        "import os, tempfile\ndef handler(e, c):\n    open(tempfile.mkstemp()[1], 'w').write('x')\n"
        "    return [os.path.exists(e['p']), os.path.exists(__file__), tempfile.gettempdir()]"
    )
    spec = lab.spec(source)
    exists, own, folder = json.loads((await lab.run(spec, {"p": str(secret)})).payload)
    [worker] = lab.runtime.pool.idle_of(spec.key)
    assert own
    assert folder == ("/tmp" if not worker.isolation["hidden"] else folder)
    assert exists is bool(worker.isolation["hidden"])  # hidden, or a reason is told


async def test_the_package_is_read_only(lab: Lab) -> None:
    source = "def handler(e, c):\n    open(__file__, 'a').write('x')"
    spec = lab.spec(source)
    came = await lab.run(spec)
    [worker] = lab.runtime.pool.idle_of(spec.key)
    if worker.isolation["hidden"]:
        pytest.skip(f"this machine allows no namespaces: {worker.isolation}")
    assert json.loads(came.payload)["errorType"] in ("OSError", "PermissionError")
    assert (spec.code / "app.py").read_text() == source


async def test_worker_has_no_capabilities_and_no_view_of_the_server(lab: Lab) -> None:
    source = (
        "import os\ndef handler(e, c):\n"
        "    caps = [line.split()[1] for line in open('/proc/self/status') if line.startswith('Cap')]\n"
        "    try: seen = os.listdir(f'/proc/{os.getppid()}/root' + e['data'])\n"
        "    except OSError as denied: seen = None\n"
        "    return [caps, seen]"
    )
    spec = lab.spec(source)
    caps, seen = json.loads((await lab.run(spec, {"data": str(lab.harness.kernel.data.resolve())})).payload)
    [worker] = lab.runtime.pool.idle_of(spec.key)
    if not worker.isolation["bare"] or worker.isolation["hidden"]:
        pytest.skip(f"this machine allows no sandbox: {worker.isolation}")
    assert set(caps) == {"0000000000000000"}
    assert seen is None


async def test_processes_a_function_leaves_running_end_with_its_worker(lab: Lab) -> None:
    source = (
        "import os, subprocess\ndef handler(e, c):\n"
        "    subprocess.Popen(['sleep', '300'], start_new_session=True)\n"
        "    return [pid for pid in os.listdir('/proc') if pid.isdigit()]"
    )
    spec = lab.spec(source)
    seen = json.loads((await lab.run(spec)).payload)
    [worker] = lab.runtime.pool.idle_of(spec.key)
    if worker.isolation["hidden"]:
        pytest.skip(f"this machine allows no namespaces: {worker.isolation}")
    assert set(seen) <= {"1", "2", "3"} or str(os.getpid()) in seen  # /proc may not be mountable in a container
    tree = _descendants(worker.pid)
    assert len(tree) == 3  # init, the function, sleep
    await lab.runtime.retire(spec.key)
    await asyncio.to_thread(_wait_gone, tree)
    assert not [pid for pid in tree if start_time(pid)]


def _descendants(pid: int) -> list[int]:
    children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [*children, *(below for child in children for below in _descendants(child))]


def _wait_gone(pids: list[int]) -> None:
    for _ in range(200):
        if not any(start_time(pid) for pid in pids):
            return
        time.sleep(0.01)


async def test_logging_module_has_lambdas_format(lab: Lab) -> None:
    source = "import logging\ndef handler(e, c):\n    logging.getLogger().warning('careful %s', 1)"
    came = await lab.run(lab.spec(source))
    line = came.log.splitlines()[1]
    assert line.startswith("[WARNING]\t")
    assert line.endswith("\treq-1\tcareful 1")


async def test_warm_calls_are_quick(lab: Lab) -> None:
    spec = lab.spec("def handler(e, c): return e")
    cold = await lab.run(spec)
    assert cold.init_ms is not None
    clock = lab.harness.clock
    started = clock.monotonic()
    for _ in range(50):
        await lab.run(spec, {"a": 1})
    assert (clock.monotonic() - started) / 50 < 0.05  # the target is 3 ms; a shared machine gets slack


async def test_workers_die_with_a_killed_server(lab: Lab) -> None:
    """A server process starts a worker that never ends its event; the server is killed with SIGKILL."""
    script = lab.folder / "server.py"
    script.write_text(
        "import asyncio, pathlib, sys\n"
        "from tests.harness import Harness\n"
        "from tests.engines.run_python.test_runtime import Lab\n"
        "async def main():\n"
        "    folder = pathlib.Path(sys.argv[1]); (folder / 'data' / 'code').mkdir(parents=True)\n"
        "    lab = Lab(Harness(folder / 'data'), folder / 'data' / 'code')\n"
        "    spec = lab.spec('import time\\ndef handler(e, c): time.sleep(100)', timeout_seconds=100.0)\n"
        "    running = asyncio.ensure_future(lab.run(spec))\n"
        "    while not list((folder / 'data' / 'children').glob('*.pid')): await asyncio.sleep(0.01)\n"
        "    await asyncio.sleep(0.2)\n"
        "    print('ready', flush=True)\n"
        "    await running\n"
        "asyncio.run(main())\n"
    )
    server = await asyncio.create_subprocess_exec(
        sys.executable, str(script), str(lab.folder / "other"), stdout=asyncio.subprocess.PIPE,
        env={"PYTHONPATH": str(Path(__file__).resolve().parents[3])},
    )  # fmt: skip
    assert server.stdout is not None
    assert await server.stdout.readline() == b"ready\n"
    [record] = (lab.folder / "other" / "data" / "children").glob("*.pid")
    outer = int(record.read_text().split()[0])
    tree = [outer, *_descendants(outer)]
    server.kill()
    await server.wait()
    await asyncio.to_thread(_wait_gone, tree)
    assert not [pid for pid in tree if start_time(pid)]


async def test_what_an_operator_shows_is_seen_also_below_tmp(lab: Lab, tmp_path: Path) -> None:
    shown, kept = tmp_path / "shown", tmp_path / "kept"
    for folder in (shown, kept):
        folder.mkdir()
        (folder / "x").write_text("x")
    for folder in (tmp_path, shown):
        folder.chmod(0o755)
    pool = lab.runtime.pool
    pool.settings = msgspec.structs.replace(pool.settings, visible=(str(shown),))
    spec = lab.spec("import os\ndef handler(e, c): return [os.path.exists(p + '/x') for p in e['paths']]")
    seen = json.loads((await lab.run(spec, {"paths": [str(shown), str(kept)]})).payload)
    [worker] = pool.idle_of(spec.key)
    if worker.isolation["hidden"]:
        pytest.skip(f"this machine allows no namespaces: {worker.isolation}")
    assert seen == [True, False]
