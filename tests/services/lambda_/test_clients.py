"""Real clients against a real server: boto3's event stream, function URLs by path and host, signed and not, links, layers."""

from __future__ import annotations

import http.client
import io
import json
import shutil
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import EventStreamError

from tests.crash.rig import Server

NODE = pytest.mark.skipif(shutil.which("node") is None, reason="there is no node on this machine")
ECHO = """
import os, boto3
from shared import greeting
def handler(event, context):
    path = event.get("rawPath")
    if path == "/s3":
        return {"statusCode": 200, "body": str(len(boto3.client("s3").list_buckets()["Buckets"]))}
    return {"statusCode": 201, "headers": {"X-Greeting": greeting}, "cookies": ["a=1", "b=2"],
            "body": path or "direct"}
"""
STREAM = """
exports.handler = awslambda.streamifyResponse(async (event, stream) => {
  if (event.rawPath) {
    stream = awslambda.HttpResponseStream.from(stream, { statusCode: 203, headers: { "x-kind": "streamed" } });
  }
  for (const piece of ["one ", "two ", "three"]) {
    stream.write(piece);
    await new Promise((then) => setTimeout(then, 30));
  }
  if (event.fail) throw new Error("half way");
  stream.end();
});
"""


def zipped(files: dict[str, str]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return packed.getvalue()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("lambda") / "data")
    made.start()
    iam: Any = made.client("iam")
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    iam.create_role(RoleName="fn", AssumeRolePolicyDocument=document)
    iam.attach_role_policy(RoleName="fn", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    yield made
    made.stop()


@pytest.fixture(scope="module")
def functions(server: Server) -> Any:
    """Echo with a layer, and a function that streams where there is node."""
    client: Any = server.client("lambda")
    layer = client.publish_layer_version(
        LayerName="shared", Content={"ZipFile": zipped({"python/shared.py": "greeting = 'hello'"})}
    )
    role = "arn:aws:iam::000000000000:role/fn"
    client.create_function(
        FunctionName="echo", Runtime="python3.12", Role=role, Handler="app.handler", Timeout=20, MemorySize=512,
        Code={"ZipFile": zipped({"app.py": ECHO})}, Layers=[layer["LayerVersionArn"]],
    )  # fmt: skip
    if shutil.which("node"):
        client.create_function(
            FunctionName="stream", Runtime="nodejs20.x", Role=role, Handler="index.handler", Timeout=20, MemorySize=512,
            Code={"ZipFile": zipped({"index.js": STREAM})},
        )  # fmt: skip
    return client


def fetch(url: str, headers: dict[str, str] | None = None, data: bytes | None = None) -> tuple[int, Any, bytes]:
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, data=data, headers=headers or {}), timeout=30
        ) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.headers, refused.read()


def test_a_url_without_credentials(server: Server, functions: Any) -> None:
    url = functions.create_function_url_config(FunctionName="echo", AuthType="NONE")["FunctionUrl"]
    assert fetch(url)[0] == 403, "AuthType NONE alone lets nobody in"
    functions.add_permission(
        FunctionName="echo", StatementId="public", Action="lambda:InvokeFunctionUrl", Principal="*",
        FunctionUrlAuthType="NONE",
    )  # fmt: skip
    status, headers, body = fetch(f"{url}a/b?x=1", {"authorization": "Bearer mine"})
    assert (status, headers["x-greeting"], body) == (201, "hello", b"/a/b")
    assert headers.get_all("set-cookie") == ["a=1", "b=2"]
    assert fetch(f"{url}s3")[2] == b"0"
    url_id = url.rstrip("/").rpartition("/")[2]
    by_host = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=30)
    by_host.request("GET", "/by/host", headers={"Host": f"{url_id}.lambda-url.us-east-1.localhost:{server.http_port}"})
    assert by_host.getresponse().read() == b"/by/host"
    by_host.close()
    functions.delete_function_url_config(FunctionName="echo")
    assert fetch(url)[0] == 403


def test_a_url_that_asks_for_iam(functions: Any) -> None:
    url = functions.create_function_url_config(FunctionName="echo", AuthType="AWS_IAM")["FunctionUrl"]
    assert fetch(url)[0] == 403
    for secret, expected in (("test", 201), ("wrong", 403)):
        request = AWSRequest("POST", f"{url}signed", data=b"{}")
        SigV4Auth(Credentials("test", secret), "lambda", "us-east-1").add_auth(request)
        assert fetch(request.url, dict(request.headers), b"{}")[0] == expected
    functions.delete_function_url_config(FunctionName="echo")


@NODE
def test_response_streams(functions: Any) -> None:
    came = functions.invoke_with_response_stream(FunctionName="stream", Payload=b"{}", LogType="Tail")
    events = list(came["EventStream"])
    pieces = [event["PayloadChunk"]["Payload"] for event in events if "PayloadChunk" in event]
    assert pieces == [b"one ", b"two ", b"three"]
    assert "LogResult" in events[-1]["InvokeComplete"]
    failed = list(functions.invoke_with_response_stream(FunctionName="stream", Payload=b'{"fail":1}')["EventStream"])
    assert failed[-1]["InvokeComplete"]["ErrorCode"] == "Unhandled"
    assert "half way" in failed[-1]["InvokeComplete"]["ErrorDetails"]
    plain = functions.invoke(FunctionName="stream", Payload=b"{}")
    assert plain["Payload"].read() == b"one two three"
    with pytest.raises((EventStreamError, functions.exceptions.ResourceNotFoundException)):
        functions.invoke_with_response_stream(FunctionName="absent", Payload=b"{}")


@NODE
def test_a_url_that_streams(functions: Any) -> None:
    url = functions.create_function_url_config(FunctionName="stream", AuthType="NONE", InvokeMode="RESPONSE_STREAM")
    functions.add_permission(
        FunctionName="stream", StatementId="public", Action="lambda:InvokeFunctionUrl", Principal="*",
        FunctionUrlAuthType="NONE",
    )  # fmt: skip
    status, headers, body = fetch(url["FunctionUrl"])
    assert (status, headers["x-kind"], body) == (203, "streamed", b"one two three")
    assert headers["transfer-encoding"] == "chunked"


def test_packages_are_fetched_by_their_links(functions: Any) -> None:
    where = functions.get_function(FunctionName="echo")["Code"]["Location"]
    status, _, body = fetch(where)
    assert status == 200
    assert zipfile.ZipFile(io.BytesIO(body)).read("app.py").decode() == ECHO
    assert fetch(where.replace("Signature=", "Signature=f"))[0] == 403
    where = functions.get_layer_version(LayerName="shared", VersionNumber=1)["Content"]["Location"]
    assert zipfile.ZipFile(io.BytesIO(fetch(where)[2])).namelist() == ["python/shared.py"]


def test_variables_under_a_key(server: Server, functions: Any) -> None:
    keys: Any = server.client("kms")
    key = keys.create_key()["KeyMetadata"]["Arn"]
    source = "import os\ndef handler(e, c): return os.environ['SECRET']"
    functions.create_function(
        FunctionName="sealed", Runtime="python3.12", Role="arn:aws:iam::000000000000:role/fn", Handler="app.handler",
        Code={"ZipFile": zipped({"app.py": source})}, Environment={"Variables": {"SECRET": "alphasecret"}}, KMSKeyArn=key,
    )  # fmt: skip
    assert json.load(functions.invoke(FunctionName="sealed")["Payload"]) == "alphasecret"
    told = functions.get_function_configuration(FunctionName="sealed")
    assert (told["KMSKeyArn"], told["Environment"]["Variables"]) == (key, {"SECRET": "alphasecret"})
    assert b"alphasecret" not in (server.data / "state.db").read_bytes()
    functions.update_function_configuration(FunctionName="sealed", Environment={"Variables": {"SECRET": "second"}})
    assert json.load(functions.invoke(FunctionName="sealed")["Payload"]) == "second"
    keys.disable_key(KeyId=key)
    functions.update_function_configuration(FunctionName="sealed", Timeout=9)
    with pytest.raises(functions.exceptions.KMSDisabledException):
        functions.invoke(FunctionName="sealed")
    assert "Error" in functions.get_function_configuration(FunctionName="sealed")["Environment"]


def test_provisioned_workers_are_warm(functions: Any) -> None:
    functions.publish_version(FunctionName="echo")
    functions.create_alias(FunctionName="echo", Name="live", FunctionVersion="1")
    functions.put_provisioned_concurrency_config(
        FunctionName="echo", Qualifier="live", ProvisionedConcurrentExecutions=1
    )
    for _ in range(200):
        got = functions.get_provisioned_concurrency_config(FunctionName="echo", Qualifier="live")
        if got["Status"] != "IN_PROGRESS":
            break
    assert (got["Status"], got["AvailableProvisionedConcurrentExecutions"]) == ("READY", 1)
    import base64

    came = functions.invoke(FunctionName="echo", Qualifier="live", LogType="Tail")
    assert "Init Duration" not in base64.b64decode(came["LogResult"]).decode()
