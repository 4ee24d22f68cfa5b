"""Node and custom runtimes on the Runtime API: handlers of every kind, streaming, layers, and who may speak to it."""

# ruff: noqa: E501 - programs are kept whole

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from lakebed.ports.runtime import Circumstances
from tests.engines.run_python.test_runtime import Lab, lab  # noqa: F401 - the fixture

NODE = pytest.mark.skipif(shutil.which("node") is None, reason="there is no node on this machine")
BOOTSTRAP = """#!/bin/sh
api="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation"
while true; do
  event=$(curl -sS -D /tmp/head "$api/next")
  id=$(grep -i lambda-runtime-aws-request-id /tmp/head | tr -d '\\r' | cut -d' ' -f2)
  deadline=$(grep -ic lambda-runtime-deadline-ms /tmp/head)
  echo "log of $id"
  case "$event" in
    *fail*) curl -sS -X POST "$api/$id/error" -H 'Lambda-Runtime-Function-Error-Type: My.Error' \
              -d '{"errorType":"My.Error","errorMessage":"as asked"}' ;;
    *exit*) exit 7 ;;
    *stream*) (printf 'one,'; printf 'two') | curl -sS -X POST "$api/$id/response" -T - \
              -H 'Lambda-Runtime-Function-Response-Mode: streaming' -H 'Content-Type: text/plain' ;;
    *) curl -sS -X POST "$api/$id/response" -d "{\\"got\\":$event,\\"deadline\\":$deadline,\\"in\\":\\"$PWD\\"}" ;;
  esac > /dev/null
done
"""


class Sink:
    def __init__(self) -> None:
        self.kind, self.pieces = "", []  # type: ignore[var-annotated]

    async def begin(self, content_type: str) -> None:
        self.kind = content_type

    async def write(self, piece: bytes) -> None:
        self.pieces.append(piece)


def node(lab: Lab, files: str | dict[str, str], **changes: Any) -> Any:  # noqa: F811
    given = {"index.js": files} if isinstance(files, str) else files
    return lab.spec(given, **{"runtime": "nodejs20.x", "handler": "index.handler", "memory_mb": 256, **changes})


def custom(lab: Lab, text: str = BOOTSTRAP, **changes: Any) -> Any:  # noqa: F811
    spec = lab.spec({"bootstrap": text}, **{"runtime": "provided.al2023", "handler": "any", **changes})
    (spec.code / "bootstrap").chmod(0o755)
    return spec


HANDLERS = {
    "async": ({"index.js": "exports.handler = async (event, context) => ({ event, id: context.awsRequestId })"}, None),
    "module": ({"index.mjs": "export const handler = async (event, context) => ({ event, id: context.awsRequestId })"}, None),
    "package": (
        {
            "package.json": '{"type":"module"}',
            "index.js": "import fs from 'node:fs';\nexport const handler = async (event, c) => ({ event, id: c.awsRequestId })",
        },
        None,
    ),
    "callback": ({"index.js": "exports.handler = (event, c, callback) => callback(null, { event, id: c.awsRequestId })"}, None),
    "late callback": (
        {"index.js": "exports.handler = (event, c, done) => { setTimeout(() => done(null, { event, id: c.awsRequestId }), 20) }"},
        None,
    ),
    "folders": (
        {"src/deep/index.cjs": "exports.a = { b: async (event, c) => ({ event, id: c.awsRequestId }) }"},
        "src/deep/index.a.b",
    ),
}  # fmt: skip


@NODE
@pytest.mark.parametrize("kind", HANDLERS)
async def test_node_handlers(lab: Lab, kind: str) -> None:  # noqa: F811
    files, handler = HANDLERS[kind]
    spec = node(lab, files, handler=handler or "index.handler")
    for number in range(2):
        came = await lab.run(spec, {"n": number}, request_id=f"req-{number}")
        assert came.error is None, came.payload
        assert json.loads(came.payload) == {"event": {"n": number}, "id": f"req-{number}"}


@NODE
@pytest.mark.parametrize(
    ("source", "handler", "kind", "message"),
    [
        ("exports.handler = async () => { throw new TypeError('no') }", "index.handler", "TypeError", "no"),
        ("exports.handler = (e, c, done) => done(new RangeError('far'))", "index.handler", "RangeError", "far"),
        ("exports.handler = async () => ({ n: 1n })", "index.handler", "Runtime.MarshalError", "BigInt"),
        ("exports.other = 1", "index.handler", "Runtime.HandlerNotFound", "undefined or not exported"),
        ("require('nowhere')", "index.handler", "Runtime.ImportModuleError", "nowhere"),
        ("exports.handler = ((", "index.handler", "Runtime.UserCodeSyntaxError", "SyntaxError"),
        ("", "absent.handler", "Runtime.ImportModuleError", "absent"),
        ("exports.handler = async () => process.exit(3)", "index.handler", "Runtime.ExitError", "exit status 3"),
        ("throw new Error('at import')", "index.handler", "Error", "at import"),
        ("exports.handler = () => { Promise.reject(new Error('lost')); setTimeout(() => {}, 500) }", "index.handler",
         "Runtime.UnhandledPromiseRejection", "lost"),
        ("exports.handler = async () => 'x'.repeat(7000000)", "index.handler", "Function.ResponseSizeTooLarge", "6291556"),
    ],
)  # fmt: skip
async def test_node_errors(lab: Lab, source: str, handler: str, kind: str, message: str) -> None:  # noqa: F811
    came = await lab.run(node(lab, source, handler=handler))
    told = json.loads(came.payload)
    assert came.error == "Unhandled"
    assert told["errorType"] == kind
    assert message in told["errorMessage"]


@NODE
async def test_node_context_log_and_environment(lab: Lab) -> None:  # noqa: F811
    source = """
exports.handler = async (event, context) => {
  console.log("hello", { a: 1 });
  console.warn("careful");
  return { left: context.getRemainingTimeInMillis(), arn: context.invokedFunctionArn, memory: context.memoryLimitInMB,
           root: process.env.LAMBDA_TASK_ROOT, key: process.env.AWS_ACCESS_KEY_ID, trace: process.env._X_AMZN_TRACE_ID };
};
"""
    spec = node(lab, source)
    came = await lab.run(spec, circumstances=Circumstances(trace="Root=1-2-3"))
    told = json.loads(came.payload)
    assert 2000 < told["left"] <= 3000
    assert (told["memory"], told["key"], told["trace"]) == ("256", "ASIA1", "Root=1-2-3")
    [worker] = lab.runtime.pool.idle_of(spec.key)
    if not worker.isolation["hidden"]:
        assert told["root"] == "/var/task"
    lines = came.log.splitlines()
    assert lines[1].endswith("\treq-1\tINFO\thello { a: 1 }")
    assert lines[2].endswith("\treq-1\tWARN\tcareful")
    assert came.memory_used_mb > 10


@NODE
async def test_node_streams(lab: Lab) -> None:  # noqa: F811
    source = """
exports.handler = awslambda.streamifyResponse(async (event, stream, context) => {
  stream.setContentType("text/plain");
  stream.write("one,");
  await new Promise((then) => setTimeout(then, 10));
  if (event.fail) throw new Error("half way");
  stream.write("two");
  stream.end();
});
"""
    spec, sink = node(lab, source), Sink()
    came = await lab.run(spec, circumstances=Circumstances(sink=sink))
    assert (sink.kind, b"".join(sink.pieces), came.streamed, came.error) == ("text/plain", b"one,two", True, None)
    assert len(sink.pieces) == 2
    assert (await lab.run(spec)).payload == b"one,two"  # a caller that takes no stream gets the whole
    came = await lab.run(spec, {"fail": 1}, circumstances=Circumstances(sink=Sink()))
    assert came.error == "Unhandled"
    assert json.loads(came.payload)["errorMessage"] == "half way"


@NODE
async def test_node_logs_objects(lab: Lab) -> None:  # noqa: F811
    source = (
        "exports.handler = async () => { console.debug('no'); console.info('yes', 1); console.error(new Error('bad')) }"
    )
    came = await lab.run(node(lab, source, json_log=True, log_level="INFO"))
    first, second = (json.loads(line) for line in came.log.splitlines() if '"level"' in line)
    assert (first["level"], first["message"], first["requestId"]) == ("INFO", "yes 1", "req-1")
    assert (second["level"], second["errorMessage"]) == ("ERROR", "bad")


async def test_custom_runtime(lab: Lab) -> None:  # noqa: F811
    spec = custom(lab)
    for number in range(2):
        came = await lab.run(spec, {"n": number}, request_id=f"req-{number}")
        told = json.loads(came.payload)
        assert (told["got"], told["deadline"]) == ({"n": number}, 1)
        assert f"log of req-{number}" in came.log
    failed = await lab.run(spec, {"fail": 1})
    assert json.loads(failed.payload) == {"errorType": "My.Error", "errorMessage": "as asked"}
    sink = Sink()
    came = await lab.run(spec, {"stream": 1}, circumstances=Circumstances(sink=sink))
    assert (sink.kind, b"".join(sink.pieces), came.error) == ("text/plain", b"one,two", None)
    assert json.loads((await lab.run(spec, {"exit": 1})).payload)["errorType"] == "Runtime.ExitError"


async def test_a_package_without_bootstrap(lab: Lab) -> None:  # noqa: F811
    came = await lab.run(lab.spec("x = 1", runtime="provided.al2"))
    assert json.loads(came.payload)["errorType"] == "Runtime.InvalidEntrypoint"
    spec = lab.spec({"bootstrap": "#!/bin/sh\n"}, runtime="provided.al2")
    assert "permission denied" in json.loads((await lab.run(spec)).payload)["errorMessage"]


LAYERED = """
import ctypes, os, sys
from shared import greeting
def handler(e, c):
    return [greeting, os.environ["PATH"].split(":")[-1], os.environ["LD_LIBRARY_PATH"].endswith("/lib")]
"""


async def test_layers_are_opt(lab: Lab, tmp_path: Path) -> None:  # noqa: F811
    layer = lab.folder / "layer"
    for name, text in (("python/shared.py", "greeting = 'from a layer'"), ("lib/x", ""), ("nodejs/node_modules/deep/index.js", "module.exports = 7")):  # fmt: skip
        (layer / name).parent.mkdir(parents=True)
        (layer / name).write_text(text)
    spec = lab.spec(LAYERED, layers=layer)
    greeting, last, found = json.loads((await lab.run(spec)).payload)
    assert greeting == "from a layer"
    assert last.endswith("/bin")
    assert found
    if shutil.which("node"):
        spec = node(lab, "exports.handler = async () => require('deep')", layers=layer)
        assert (await lab.run(spec)).payload == b"7"


async def test_ephemeral_storage_is_a_limit(lab: Lab) -> None:  # noqa: F811
    source = "import tempfile\ndef handler(e, c):\n    with open('/tmp/x', 'wb') as f: f.write(bytes(e['mb'] << 20))\n"
    spec = lab.spec(source, ephemeral_mb=16, memory_mb=512, timeout_seconds=20.0)
    assert (await lab.run(spec, {"mb": 8})).error is None
    [worker] = lab.runtime.pool.idle_of(spec.key)
    if worker.isolation["hidden"]:
        pytest.skip(f"this machine allows no namespaces: {worker.isolation}")
    came = await lab.run(spec, {"mb": 24})
    assert json.loads(came.payload)["errorType"] == "OSError"
    assert "No space left" in json.loads(came.payload)["errorMessage"]


async def test_only_a_workers_own_processes_reach_its_runtime_api(lab: Lab) -> None:  # noqa: F811
    """A listener on the host's loopback answers its own sandbox alone."""
    told = lab.folder / "port"
    told.write_text("")
    report = BOOTSTRAP.replace("while true", 'echo "api is $AWS_LAMBDA_RUNTIME_API"\nwhile true', 1)
    came = await lab.run(custom(lab, report))
    port = int(came.log.split("api is 127.0.0.1:")[1].split()[0])
    source = (
        "import urllib.request, urllib.error\ndef handler(e, c):\n"
        "    try: return urllib.request.urlopen(f\"http://127.0.0.1:{e['port']}/2018-06-01/runtime/invocation/next\", timeout=2).status\n"
        "    except urllib.error.HTTPError as refused: return refused.code\n"
    )
    other = lab.spec(source)
    assert (await lab.run(other, {"port": port})).payload == b"403"


async def test_a_layers_wrapper_starts_the_runtime(lab: Lab) -> None:  # noqa: F811
    source = "import os\ndef handler(e, c): return os.environ['WRAPPED']"
    files = {"app.py": source, "wrap": '#!/bin/sh\nexport WRAPPED=yes\nexec "$@"\n'}
    spec = lab.spec(files, environment={"AWS_LAMBDA_EXEC_WRAPPER": "/var/task/wrap"})
    (spec.code / "wrap").chmod(0o755)
    came = await lab.run(spec)
    [worker] = lab.runtime.pool.idle_of(spec.key) or [None]
    if worker is None:
        pytest.skip("no namespaces here: there is no /var/task")
    assert came.payload == b'"yes"'
