"""What browsers send, over a real socket: preflights, answers to other origins, forms with every kind of policy."""

from __future__ import annotations

import base64
import http.client
import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

from tests.crash.rig import Server

ORIGIN = "https://pages.example"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("browsers") / "data")
    running.start()
    s3 = running.client("s3")
    s3.create_bucket(Bucket="forms")
    rule = {"AllowedOrigins": ["https://*.example"], "AllowedMethods": ["GET", "PUT", "POST"], "AllowedHeaders": ["x-*"],
            "ExposeHeaders": ["ETag"], "MaxAgeSeconds": 60}  # fmt: skip
    s3.put_bucket_cors(Bucket="forms", CORSConfiguration={"CORSRules": [rule]})
    yield running
    running.stop()


def ask(
    server: Server, method: str, path: str, headers: dict[str, str], body: bytes = b""
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=10)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
    finally:
        connection.close()


def send(server: Server, fields: dict[str, str], content: bytes = b"hello", name: str = "a.txt") -> Any:
    boundary = "xYzZy"
    body = b"".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'.encode()
        for field, value in fields.items()
    )
    body += (
        (
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\nContent-Type: text/plain\r\n\r\n'
        ).encode()
        + content
        + f'\r\n--{boundary}\r\nContent-Disposition: form-data; name="late"\r\n\r\nx\r\n--{boundary}--\r\n'.encode()
    )
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}", "Origin": ORIGIN}
    return ask(server, "POST", "/forms", headers, body)


def signed(server: Server, key: str, fields: dict[str, str], conditions: list[Any], **more: Any) -> dict[str, str]:
    client = boto3.client(
        "s3", endpoint_url=f"http://127.0.0.1:{server.http_port}", region_name="us-east-1", aws_access_key_id="test",
        aws_secret_access_key="test", config=Config(signature_version="s3v4"),
    )  # fmt: skip
    made = client.generate_presigned_post("forms", key, Fields=dict(fields), Conditions=conditions, **more)
    found: dict[str, str] = made["fields"]
    return found


def test_a_preflight_needs_no_signature(server: Server) -> None:
    headers = {"Origin": ORIGIN, "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "X-Amz-Date"}
    status, told, _ = ask(server, "OPTIONS", "/forms/k", headers)
    assert status == 200
    assert told["access-control-allow-origin"] == ORIGIN
    assert (told["access-control-allow-headers"], told["access-control-max-age"]) == ("x-amz-date", "60")
    for wrong in ({"Origin": "https://evil.test"}, {"Access-Control-Request-Method": "DELETE"}):
        assert ask(server, "OPTIONS", "/forms/k", headers | wrong)[0] == 403
    assert ask(server, "OPTIONS", "/forms/k", {"Origin": ORIGIN})[0] == 400


def test_answers_show_themselves_to_the_origin(server: Server) -> None:
    s3 = server.client("s3")
    s3.put_object(Bucket="forms", Key="k", Body=b"x")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "forms", "Key": "k"})
    path = url.partition(str(server.http_port))[2]
    status, told, body = ask(server, "GET", path, {"Origin": ORIGIN})
    assert (status, body, told["access-control-allow-origin"]) == (200, b"x", ORIGIN)
    assert "access-control-allow-origin" not in ask(server, "GET", path, {"Origin": "https://evil.test"})[1]
    assert ask(server, "GET", "/forms/k", {"Origin": ORIGIN})[1]["access-control-expose-headers"] == "ETag"


def test_a_form_uploads_what_its_policy_allows(server: Server) -> None:
    fields = signed(
        server, "in/${filename}", {"success_action_status": "201", "x-amz-meta-by": "me"},
        [{"success_action_status": "201"}, {"x-amz-meta-by": "me"}, ["content-length-range", 1, 10]],
    )  # fmt: skip
    status, told, body = send(server, fields)
    assert (status, told["access-control-allow-origin"]) == (201, ORIGIN)
    assert b"<Key>in/a.txt</Key>" in body
    stored = server.client("s3").get_object(Bucket="forms", Key="in/a.txt")
    assert (stored["Body"].read(), stored["Metadata"]) == (b"hello", {"by": "me"})
    assert (send(server, fields, b"x" * 11)[0], send(server, fields, b"")[0]) == (400, 400)
    assert b"EntityTooLarge" in send(server, fields, b"x" * 300_000)[2]


def test_a_form_redirects_where_it_is_told(server: Server) -> None:
    target = {"success_action_redirect": "https://pages.example/done?a=1"}
    status, told, _ = send(server, signed(server, "r", target, [target]))
    assert status == 303
    assert told["location"].startswith("https://pages.example/done?a=1&bucket=forms&key=r&etag=%22")
    assert send(server, signed(server, "plain", {}, []))[0] == 204


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"acl": "public-read"}, b"AccessDenied"),
        ({"key": "elsewhere"}, b"AccessDenied"),
        ({"x-amz-signature": "0" * 64}, b"SignatureDoesNotMatch"),
        ({"x-amz-credential": "nobody/20260101/us-east-1/s3/aws4_request"}, b"InvalidA"),
        ({"policy": base64.b64encode(b"{}").decode()}, b"SignatureDoesNotMatch"),
    ],
)
def test_what_a_policy_does_not_allow_is_refused(server: Server, change: dict[str, str], code: bytes) -> None:
    status, _, body = send(server, signed(server, "k", {}, []) | change)
    assert status in (400, 403)
    assert code in body


def test_a_form_of_nobody_needs_the_buckets_consent(server: Server) -> None:
    assert send(server, {"key": "anonymous"})[0] == 403
    expired = signed(server, "k", {}, [], ExpiresIn=-5)
    assert b"Policy expired" in send(server, expired)[2]
    s3 = server.client("s3")
    s3.delete_public_access_block(Bucket="forms")
    statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::forms/open/*"}
    s3.put_bucket_policy(Bucket="forms", Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    assert send(server, {"key": "open/k"})[0] == 204


def test_hosts_that_name_a_bucket(server: Server) -> None:
    s3 = server.client("s3")
    s3.put_object(Bucket="forms", Key="host", Body=b"by host")
    for host in (
        "forms.localhost",
        "forms.s3.localhost.localstack.cloud",
        "forms.s3.eu-west-1.amazonaws.com",
        "forms.lake.lan",
    ):
        status, _, body = ask(server, "GET", "/host", {"Host": host})
        assert (status, b"AccessDenied" in body, b"<Resource>/forms/host</Resource>" in body) == (403, True, True), host
    body = ask(server, "GET", "/forms/host", {"Host": "lake.lan"})[2]
    assert b"<Resource>/forms/host</Resource>" in body


def test_an_access_point_by_arn(server: Server) -> None:
    settings = {"endpoint_url": f"http://127.0.0.1:{server.http_port}", "region_name": "us-east-1"}
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    control = boto3.client("s3control", **settings, **keys)

    def keep_host(request: Any, **_: Any) -> None:
        """What a resolver of *.localhost would do; the account's label of the host is not resolved here."""
        request.url = request.url.replace("000000000000.127.0.0.1", "127.0.0.1")

    control.meta.events.register("before-sign", keep_host)
    made = control.create_access_point(AccountId="000000000000", Name="door", Bucket="forms")
    s3 = server.client("s3")
    s3.put_object(Bucket=made["Alias"], Key="by-alias", Body=b"x")
    assert s3.get_object(Bucket="forms", Key="by-alias")["Body"].read() == b"x"
    body = ask(server, "GET", "/by-alias", {"Host": "door-000000000000.s3-accesspoint.us-east-1.amazonaws.com"})[2]
    assert b"AccessDenied" in body
