"""Function URLs through the port, as the door asks; their settings through the API."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from lakebed.kernel.errors import AwsError
from lakebed.kernel.scope import ANONYMOUS
from lakebed.ports.functions import UrlAnswer, UrlRequest
from lakebed.services.lambda_ import urls
from tests.services.lambda_.conftest import Lab


async def url(lab: Lab, **changes: Any) -> str:
    await lab.create()
    made = await lab.call("CreateFunctionUrlConfig", FunctionName="fn", AuthType="NONE", **changes)
    assert made["FunctionUrl"].startswith("http://127.0.0.1:4566/_lambda/url/")
    return str(made["FunctionUrl"].split("/")[-2])


async def ask(lab: Lab, url_id: str, method: str = "GET", path: str = "/", **changes: Any) -> UrlAnswer:
    functions = lab.harness.ports.functions
    target = functions.url_target("127.0.0.1:4566", f"/_lambda/url/{url_id}{path}")
    assert target is not None
    fields: dict[str, Any] = {
        "method": method, "path": target.path, "query": "", "headers": {}, "body": b"", "principal": ANONYMOUS,
        "source_ip": "192.0.2.7", "request_id": "r",
    }  # fmt: skip
    return await functions.serve_url(target, UrlRequest(**{**fields, **changes}))


async def test_settings(lab: Lab) -> None:
    await url(lab, Cors={"AllowOrigins": ["https://a.example"]}, InvokeMode="RESPONSE_STREAM")
    with pytest.raises(AwsError, match="FunctionUrlConfig exists"):
        await lab.call("CreateFunctionUrlConfig", FunctionName="fn", AuthType="NONE")
    await lab.call("PublishVersion", FunctionName="fn")
    await lab.call("CreateAlias", FunctionName="fn", Name="live", FunctionVersion="1")
    await lab.call("CreateFunctionUrlConfig", FunctionName="fn", Qualifier="live", AuthType="AWS_IAM")
    listed = await lab.call("ListFunctionUrlConfigs", FunctionName="fn", MaxItems=1)
    rest = await lab.call("ListFunctionUrlConfigs", FunctionName="fn", Marker=listed["NextMarker"])
    assert [one["AuthType"] for page in (listed, rest) for one in page["FunctionUrlConfigs"]] == ["NONE", "AWS_IAM"]
    await lab.call("UpdateFunctionUrlConfig", FunctionName="fn", InvokeMode="BUFFERED")
    found = await lab.call("GetFunctionUrlConfig", FunctionName="fn")
    assert (found["InvokeMode"], found["Cors"]["AllowOrigins"]) == ("BUFFERED", ["https://a.example"])
    await lab.call("DeleteFunctionUrlConfig", FunctionName="fn")
    with pytest.raises(AwsError):
        await lab.call("GetFunctionUrlConfig", FunctionName="fn")
    with pytest.raises(AwsError):
        await lab.call("CreateFunctionUrlConfig", FunctionName="fn", Qualifier="1", AuthType="NONE")


async def test_the_event_is_format_two(lab: Lab) -> None:
    url_id = await url(lab)
    lab.runtime.behave = lambda event: event
    answer = await ask(
        lab, url_id, "POST", "/a%20b/c", query="x=1&x=2&y=a+b", body=b'{"a":1}',
        headers={"content-type": "application/json", "cookie": "p=1; q=2", "user-agent": "t"},
    )  # fmt: skip
    event = json.loads(answer.body)  # type: ignore[arg-type]
    assert (event["version"], event["rawPath"], event["body"]) == ("2.0", "/a b/c", '{"a":1}')
    assert event["queryStringParameters"] == {"x": "1,2", "y": "a b"}
    assert event["cookies"] == ["p=1", "q=2"]
    assert event["requestContext"]["http"]["sourceIp"] == "192.0.2.7"
    assert event["requestContext"]["domainName"].startswith(f"{url_id}.lambda-url.us-east-1.")
    answer = await ask(lab, url_id, "PUT", body=b"\xff\x00", headers={"content-type": "image/png"})
    event = json.loads(answer.body)  # type: ignore[arg-type]
    assert event["isBase64Encoded"]
    assert base64.b64decode(event["body"]) == b"\xff\x00"


@pytest.mark.parametrize(
    ("returned", "status", "kind", "body"),
    [
        ({"a": 1}, 200, "application/json", b'{"a": 1}'),
        ("text", 200, "application/json", b"text"),
        ({"statusCode": 201, "body": "made", "headers": {"Content-Type": "text/plain"}}, 201, "text/plain", b"made"),
        ({"statusCode": 200, "isBase64Encoded": True, "body": "/wA="}, 200, "application/json", b"\xff\x00"),
        ({"statusCode": 200, "isBase64Encoded": True, "body": "?"}, 502, "application/json", b"Internal Server Error"),
        ({"statusCode": "x"}, 502, "application/json", b"Internal Server Error"),
        ({"statusCode": 204}, 204, "application/json", b""),
    ],
)
async def test_what_a_function_returns(lab: Lab, returned: Any, status: int, kind: str, body: bytes) -> None:
    url_id = await url(lab)
    lab.runtime.behave = lambda _: returned
    answer = await ask(lab, url_id)
    assert (answer.status, dict(answer.headers)["content-type"], answer.body) == (status, kind, body)


def test_headers_can_not_be_split() -> None:
    told = urls.prelude(
        {"statusCode": 200, "headers": {"x": "a\r\nset-cookie: y", "ok": "1"}, "cookies": ["a=1", "b\n"]}
    )
    assert told == (200, [("ok", "1"), ("set-cookie", "a=1")])


async def test_failures_and_strangers(lab: Lab) -> None:
    url_id = await url(lab)

    def fail(_: Any) -> None:
        raise ValueError("secret")

    lab.runtime.behave = fail
    answer = await ask(lab, url_id)
    assert (answer.status, answer.body) == (502, b"Internal Server Error")
    await lab.call("PutFunctionConcurrency", FunctionName="fn", ReservedConcurrentExecutions=0)
    assert (await ask(lab, url_id)).status == 429
    assert (await ask(lab, "0" * 32)).status == 403
    assert lab.harness.ports.functions.url_target("mybucket.localhost", "/x") is None


async def test_cors(lab: Lab) -> None:
    cors = {
        "AllowOrigins": ["https://a.example"], "AllowMethods": ["GET"], "AllowHeaders": ["x-a"], "MaxAge": 60,
        "ExposeHeaders": ["x-b"],
    }  # fmt: skip
    url_id = await url(lab, Cors=cors)
    asked = {"origin": "https://a.example", "access-control-request-method": "GET"}
    before = await ask(lab, url_id, "OPTIONS", headers=asked)
    told = dict(before.headers)
    assert told["access-control-allow-origin"] == "https://a.example"
    assert (told["access-control-allow-methods"], told["access-control-max-age"]) == ("GET", "60")
    assert not lab.runtime.events
    answer = await ask(lab, url_id, headers={"origin": "https://a.example"})
    assert dict(answer.headers)["access-control-expose-headers"] == "x-b"
    answer = await ask(lab, url_id, headers={"origin": "https://b.example"})
    assert "access-control-allow-origin" not in dict(answer.headers)


async def test_a_function_that_does_not_stream_answers_whole(lab: Lab) -> None:
    url_id = await url(lab, InvokeMode="RESPONSE_STREAM")
    lab.runtime.behave = lambda _: {"a": 1}
    answer = await ask(lab, url_id)
    assert isinstance(answer.body, AsyncIterator)
    assert b"".join([piece async for piece in answer.body]) == b'{"a": 1}'


async def test_invoke_with_response_stream(lab: Lab) -> None:
    await lab.create()
    lab.runtime.behave = lambda _: {"a": 1}
    came = await lab.harness.services["lambda"].operations["InvokeWithResponseStream"].handler(
        lab.harness.context("lambda", "InvokeWithResponseStream"), {"FunctionName": "fn", "LogType": "Tail"}
    )  # fmt: skip
    events = [event async for event in came["EventStream"]]
    assert events[0] == {"PayloadChunk": {"Payload": b'{"a": 1}'}}
    assert "START" in base64.b64decode(events[1]["InvokeComplete"]["LogResult"]).decode()
