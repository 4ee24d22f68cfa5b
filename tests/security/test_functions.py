"""Out of a function: what a hostile Lambda function can read, write, signal and reach, stated exactly.

docs/deviations/lambda.md says what holds where namespaces are allowed and where not; the tests ask the server's log which
of the two this machine is.
"""

# ruff: noqa: E501 - tables of attacks are kept whole

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.security.stage import MARK, Stage, package

PROBE = """
import glob, json, os, signal, socket, subprocess, sys, urllib.request


def tried(work):
    try:
        return work()
    except BaseException as failure:
        return f"!{type(failure).__name__}"


def handler(event, context):
    data, server, http = event["data"], event["server"], event["http"]
    found = {"pid": os.getpid(), "uid": os.getuid(), "environment": dict(os.environ)}
    found["data"] = tried(lambda: sorted(os.listdir(data)))
    found["state"] = tried(lambda: len(open(os.path.join(data, "state.db"), "rb").read()))
    found["master"] = tried(lambda: open(os.path.join(data, "iam.master.key"), "rb").read().hex())
    found["console token"] = tried(lambda: open(os.path.join(data, "console.token")).read())
    found["token"] = tried(lambda: open(os.path.join(data, "admin.token")).read())
    found["zips"] = tried(lambda: os.listdir(os.path.join(data, "lambda", "zips")))
    found["others"] = tried(lambda: [p for p in glob.glob(os.path.join(data, "scratch", "lambda", "*"))])
    found["write"] = tried(lambda: open(os.path.join(data, "planted"), "w").write("x"))
    found["own code"] = tried(lambda: open(os.path.join(os.environ["LAMBDA_TASK_ROOT"], "planted"), "w").write("x"))
    for what in ("mem", "environ", "maps", "fd", "root"):
        path = f"/proc/{server}/{what}"
        found[f"server {what}"] = tried(lambda: os.listdir(path) if what in ("fd", "root") else len(open(path, "rb").read(100)))
    found["kill"] = tried(lambda: os.kill(server, 0))
    found["kill group"] = tried(lambda: os.killpg(os.getpgid(server), 0))
    found["ptrace"] = tried(lambda: __import__("ctypes").CDLL(None).ptrace(16, server, 0, 0))
    found["mount"] = tried(lambda: __import__("ctypes").CDLL(None).umount2(data.encode(), 2))
    found["setuid"] = tried(lambda: os.setuid(0)) if os.getuid() else "!already"
    found["descriptors"] = tried(lambda: [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")])
    found["shadow"] = tried(lambda: open("/etc/shadow").read(10))
    for name in ("health", "status", "journal", "logs", "flow"):
        found[f"admin {name}"] = tried(lambda: urllib.request.urlopen(f"http://127.0.0.1:{http}/_lakebed/{name}", timeout=5).status)
    post = urllib.request.Request(f"http://127.0.0.1:{http}/_lakebed/clock", data=b'{"advance": 1}', method="POST")
    found["admin change"] = tried(lambda: urllib.request.urlopen(post, timeout=5).status)
    found["console"] = tried(lambda: urllib.request.urlopen(f"http://127.0.0.1:{http}/console/pipelines", timeout=5).status)
    import boto3
    found["s3"] = tried(lambda: boto3.client("s3").list_buckets()["Buckets"] and "listed")
    found["iam"] = tried(lambda: boto3.client("iam").list_users()["Users"] and "listed")
    return found
"""


@pytest.fixture(scope="module")
def found(stage: Stage) -> dict[str, Any]:
    """What a function without permissions found."""
    role = stage.role("escape-role", "lambda.amazonaws.com")
    functions = stage.client("lambda")
    functions.create_function(
        FunctionName="escape", Runtime="python3.11", Role=role, Handler="app.handler", Timeout=60, MemorySize=512,
        Code={"ZipFile": package(PROBE)},
    )  # fmt: skip
    event = {"data": str(stage.server.data), "server": stage.server.address["pid"], "http": stage.server.http_port}
    answer = functions.invoke(FunctionName="escape", Payload=json.dumps(event).encode())
    told: dict[str, Any] = json.load(answer["Payload"])
    assert "FunctionError" not in answer, told
    return told


@pytest.fixture(scope="module")
def sandbox(stage: Stage, found: dict[str, Any]) -> dict[str, Any]:
    """What the server says of the sandbox on this machine."""
    assert found
    for line in (stage.server.data / "server.log").read_text().splitlines():
        if '"function sandbox"' in line:
            told: dict[str, Any] = json.loads(line)
            return told
    raise AssertionError("the first worker of a boot tells what holds")


def guarded(sandbox: dict[str, Any]) -> bool:
    """Whether anything holds: namespaces, or another user."""
    return sandbox.get("hidden") == "" or bool(sandbox.get("nobody"))


def test_the_data_directory_is_out_of_reach(stage: Stage, found: dict[str, Any], sandbox: dict[str, Any]) -> None:
    if not guarded(sandbox):
        pytest.skip("neither namespaces nor another user here; docs/deviations/lambda.md says so")
    for what in ("state", "master", "token", "console token"):
        assert str(found[what]).startswith("!"), (what, found[what])
    assert str(found["zips"]).startswith("!") or found["zips"] == []
    assert not (stage.server.data / "planted").exists(), "what it writes there stays in a folder of its own namespace"
    others = found["others"] if isinstance(found["others"], list) else []
    assert len(others) <= 1, "the packages of other functions"


def test_the_package_is_read_only(found: dict[str, Any], sandbox: dict[str, Any]) -> None:
    if not guarded(sandbox):
        pytest.skip("see above")
    assert str(found["own code"]).startswith("!")


def test_the_server_can_not_be_seen_or_signalled(found: dict[str, Any], sandbox: dict[str, Any]) -> None:
    if not guarded(sandbox):
        pytest.skip("see above")
    for what in ("server mem", "server environ", "server maps", "server fd", "server root", "kill", "kill group"):
        assert str(found[what]).startswith("!"), (what, found[what])
    assert found["ptrace"] == -1
    assert found["mount"] == -1


def test_privileges_do_not_come_back(found: dict[str, Any]) -> None:
    if os.geteuid() == 0 and found["uid"] != 0:
        assert str(found["setuid"]).startswith("!")
        assert str(found["shadow"]).startswith("!")


def test_the_environment_is_lambdas_alone(stage: Stage, found: dict[str, Any]) -> None:
    names = set(found["environment"])
    assert not {name for name in names if name.startswith("LAKEBED_")}
    assert not names & {"VIRTUAL_ENV", "SSH_AUTH_SOCK", "LD_PRELOAD", "PWD", "USER"}
    assert found["environment"]["AWS_ACCESS_KEY_ID"].startswith("ASIA"), (
        "a session of its own role, not the server's key"
    )
    assert MARK not in json.dumps({name: value for name, value in found["environment"].items() if "ROOT" not in name})


def test_no_descriptor_of_the_server_is_handed_over(stage: Stage, found: dict[str, Any]) -> None:
    for target in found["descriptors"]:
        assert "state.db" not in target
        assert not target.startswith(str(stage.server.data / "log"))
    assert sum(target.startswith("socket:") for target in found["descriptors"]) <= 1


def test_calls_back_are_decided_by_its_role(found: dict[str, Any]) -> None:
    assert str(found["s3"]).startswith("!")
    assert str(found["iam"]).startswith("!")


def test_nothing_is_changed_through_the_administrators_door(found: dict[str, Any]) -> None:
    assert found["admin change"] == "!HTTPError"


def test_a_function_reads_nothing_through_the_console(found: dict[str, Any]) -> None:
    for what in ("admin journal", "admin logs", "admin flow", "admin status", "console"):
        assert str(found[what]).startswith("!"), what


FORK = """
import os, time
def handler(event, context):
    started = 0
    for _ in range(40):
        if os.fork() == 0:
            time.sleep(600)
            os._exit(0)
        started += 1
    return started
"""


def test_what_a_function_leaves_running_ends_with_it(stage: Stage, sandbox: dict[str, Any]) -> None:
    from tests.security.test_http import family

    functions = stage.client("lambda")
    functions.create_function(
        FunctionName="forks", Runtime="python3.11", Role=stage.names["role"], Handler="app.handler", Timeout=30,
        Code={"ZipFile": package(FORK)},
    )  # fmt: skip
    before = len(family(stage.server.address["pid"]))
    assert json.load(functions.invoke(FunctionName="forks", Payload=b"{}")["Payload"]) == 40
    functions.delete_function(FunctionName="forks")
    if sandbox.get("hidden") == "":
        import time

        deadline = time.monotonic() + 10
        while len(family(stage.server.address["pid"])) > before + 2:
            assert time.monotonic() < deadline
            time.sleep(0.05)


GREEDY = {
    "memory": "def handler(e, c):\n    x = []\n    while True:\n        x.append(bytearray(1 << 20))\n",
    "time": "def handler(e, c):\n    while True:\n        pass\n",
    "output": "def handler(e, c):\n    for _ in range(200000):\n        print('x' * 100)\n    return 1\n",
    "answer": "def handler(e, c):\n    return 'x' * (7 << 20)\n",
    "deep answer": "def handler(e, c):\n    x = []\n    for _ in range(100000):\n        x = [x]\n    return x\n",
    "frames": "import os, socket\ndef handler(e, c):\n    for fd in range(3, 20):\n        try:\n            os.write(fd, b'\\xff' * 64)\n"
              "        except OSError:\n            pass\n    return 1\n",
    "exit": "import os\ndef handler(e, c):\n    os._exit(0)\n",
    "threads": "import threading, time\ndef handler(e, c):\n    for _ in range(200):\n        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n    return 1\n",
}  # fmt: skip


@pytest.mark.parametrize("what", GREEDY)
def test_greedy_functions(stage: Stage, what: str) -> None:
    """Whatever it does, the caller gets an answer and the server lives."""
    functions, name = stage.client("lambda"), f"greedy-{what.replace(' ', '-')}"
    functions.create_function(
        FunctionName=name, Runtime="python3.11", Role=stage.names["role"], Handler="app.handler", Timeout=2, MemorySize=128,
        Code={"ZipFile": package(GREEDY[what])},
    )  # fmt: skip
    answer = functions.invoke(FunctionName=name, Payload=b"{}")
    assert answer["StatusCode"] == 200
    body = answer["Payload"].read()
    assert str(stage.server.data).encode() not in body
    if what in ("memory", "time", "answer", "deep answer", "exit"):
        assert "FunctionError" in answer, body[:200]
    functions.delete_function(FunctionName=name)
    assert Path(f"/proc/{stage.server.address['pid']}").exists() or os.name != "posix" or not Path("/proc").exists()
