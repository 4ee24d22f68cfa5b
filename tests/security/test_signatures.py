"""Signatures and presigned URLs taken apart on the real server: every part of what is signed, changed one by one."""

# ruff: noqa: E501, PT008 - tables of attacks are kept whole

from __future__ import annotations

import hashlib
import http.client
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import botocore.auth
import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.security.stage import MARK, Enemy, Stage


def send(stage: Stage, method: str, target: str, headers: dict[str, str], body: bytes = b"") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", stage.server.http_port, timeout=10)
    try:
        connection.request(method, target, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def signed(stage: Stage, method: str, target: str, body: bytes = b"", **more: Any) -> dict[str, str]:
    """Headers of a signed request; ``service`` s3 or another."""
    who = more.get("who") or Enemy("test", "test")
    service, region = more.get("service", "s3"), more.get("region", "us-east-1")
    request = AWSRequest(method, f"{stage.url}{target}", data=body, headers=more.get("headers", {}))
    keys = Credentials(who.key, who.secret, who.token)
    (S3SigV4Auth if service == "s3" else SigV4Auth)(keys, service, region).add_auth(request)
    return {"Host": f"127.0.0.1:{stage.server.http_port}", **dict(request.headers.items())}


TARGET = f"/{MARK}-bucket/{MARK}-signed?x-id=PutObject"
BODY = b"signed body"

CHANGES: dict[str, dict[str, Any]] = {
    "method": {"method": "DELETE"}, "method HEAD": {"method": "HEAD"}, "method POST": {"method": "POST"},
    "key": {"target": f"/{MARK}-bucket/{MARK}-other?x-id=PutObject"},
    "bucket": {"target": f"/{MARK}-other/{MARK}-signed?x-id=PutObject"},
    "path dot": {"target": f"/{MARK}-bucket/./{MARK}-signed?x-id=PutObject"},
    "path dots": {"target": f"/{MARK}-bucket/x/../{MARK}-signed?x-id=PutObject"},
    "path double slash": {"target": f"/{MARK}-bucket//{MARK}-signed?x-id=PutObject"},
    "path twice encoded": {"target": f"/{MARK}-bucket/{MARK}%252dsigned?x-id=PutObject"},
    "path encoded slash": {"target": f"/{MARK}-bucket%2f{MARK}-other?x-id=PutObject"},
    "query added": {"target": TARGET + "&tagging="}, "query removed": {"target": TARGET.split("?")[0]},
    "query changed": {"target": TARGET + "x"}, "query acl": {"target": TARGET + "&acl"},
    "body": {"body": b"other body!"}, "body longer": {"body": BODY + b"x"}, "body empty": {"body": b""},
    "date": {"headers": {"X-Amz-Date": "20260101T000000Z"}},
    "date format": {"headers": {"X-Amz-Date": "2026-01-01"}}, "date missing": {"headers": {"X-Amz-Date": None}},
    "content hash": {"headers": {"X-Amz-Content-SHA256": "0" * 64}},
    "content hash unsigned": {"headers": {"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}},
    "content hash streaming": {"headers": {"X-Amz-Content-SHA256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER"}},
    "content hash missing": {"headers": {"X-Amz-Content-SHA256": None}},
    "host": {"headers": {"Host": "evil.example"}}, "host bucket": {"headers": {"Host": "other.s3.amazonaws.com"}},
    "amz header": {"headers": {"x-amz-meta-evil": "1"}}, "amz acl": {"headers": {"x-amz-acl": "public-read"}},
    "amz copy": {"headers": {"x-amz-copy-source": f"{MARK}-bucket/{MARK}-key"}},
    "amz token": {"headers": {"x-amz-security-token": "x"}}, "amz target": {"headers": {"x-amz-target": "Kinesis_20131202.ListStreams"}},
    "amz tagging": {"headers": {"X-AMZ-TAGGING": "a=b"}},
}  # fmt: skip


@pytest.mark.parametrize("what", CHANGES)
def test_s3_requests(stage: Stage, what: str) -> None:
    change = CHANGES[what]
    headers = signed(stage, "PUT", TARGET, BODY)
    for name, value in change.get("headers", {}).items():
        headers = {key: inner for key, inner in headers.items() if key.lower() != name.lower()}
        if value is not None:
            headers[name] = value
    status, body = send(
        stage, change.get("method", "PUT"), change.get("target", TARGET), headers, change.get("body", BODY)
    )
    assert 400 <= status < 500, (status, body)
    listed = stage.client("s3").list_objects_v2(Bucket=f"{MARK}-bucket", Prefix=f"{MARK}-signed")["KeyCount"]
    assert listed == 0, "nothing was written"


def test_s3_requests_untouched_are_good(stage: Stage) -> None:
    target = TARGET.replace("signed", "untouched")
    assert send(stage, "PUT", target, signed(stage, "PUT", target, BODY), BODY)[0] == 200


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (0, "nokey"), (0, "test/"), (0, ""), (0, "BETAROOTKEY000000001"), (0, "000000000000"), (1, "20200101"), (2, "eu-west-1"),
        (2, "cn-north-1"), (2, ""), (2, "us-east-1/../x"), (3, "sqs"), (3, "sts"), (3, ""), (3, "S3"), (4, "aws5_request"),
    ],
)  # fmt: skip
def test_credential_scopes(stage: Stage, at: int, value: str) -> None:
    headers = signed(stage, "PUT", TARGET, BODY)
    text = headers["Authorization"]
    scope = text.split("Credential=")[1].split(",")[0]
    parts = scope.split("/")
    parts[at] = value
    headers["Authorization"] = text.replace(scope, "/".join(parts))
    status, body = send(stage, "PUT", TARGET, headers, BODY)
    assert 400 <= status < 500, (status, body)


@pytest.mark.parametrize(
    "text",
    [
        "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 ", "AWS4-ECDSA-P256-SHA256 Credential=x", "AWS test:abc", "Basic dGVzdDp0ZXN0",
        "Bearer test", "AWS4-HMAC-SHA1 Credential=test/20260101/us-east-1/s3/aws4_request,SignedHeaders=host,Signature=0",
        "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request,SignedHeaders=,Signature=" + "0" * 64,
        "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request,SignedHeaders=host,Signature=", "\x01", "=" * 8000,
        "AWS4-HMAC-SHA256 Credential=" + "/" * 2000 + ",SignedHeaders=host,Signature=" + "0" * 64,
        "AWS4-HMAC-SHA256 Credential=test/2026/us-east-1/s3/aws4_request,SignedHeaders=" + "host;" * 1500 + ",Signature=" + "0" * 64,
    ],
)  # fmt: skip
def test_authorization_headers_that_are_none(stage: Stage, text: str) -> None:
    try:
        headers = {"Authorization": text, "x-amz-date": "20260101T000000Z", "x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
        status, _ = send(stage, "GET", f"/{MARK}-bucket/{MARK}-key", headers)
    except (http.client.HTTPException, ConnectionError, ValueError):
        return
    assert 400 <= status < 500


@pytest.mark.parametrize("minutes", [-16, -60 * 24, 16, 60 * 24 * 365])
def test_skew(stage: Stage, minutes: int) -> None:
    with mock.patch.object(
        botocore.auth,
        "get_current_datetime",
        lambda **_: datetime.now(UTC).replace(tzinfo=None) + timedelta(minutes=minutes),
    ):
        headers = signed(stage, "GET", f"/{MARK}-bucket/{MARK}-key")
    status, body = send(stage, "GET", f"/{MARK}-bucket/{MARK}-key", headers)
    assert (status, b"RequestTimeTooSkewed" in body) == (403, True)


def presigned(stage: Stage, method: str = "GET", key: str = f"{MARK}-key", seconds: int = 60, **more: Any) -> str:
    request = AWSRequest(method, f"{stage.url}/{MARK}-bucket/{key}", headers=more.get("headers", {}))
    S3SigV4QueryAuth(Credentials("test", "test"), "s3", "us-east-1", expires=seconds).add_auth(request)
    parts = urlsplit(request.url)
    return f"{parts.path}?{parts.query}"


URL_CHANGES = {
    "method": lambda u: ("DELETE", u), "put": lambda u: ("PUT", u), "key": lambda u: ("GET", u.replace(f"{MARK}-key", "other", 1)),
    "expiry": lambda u: ("GET", u.replace("X-Amz-Expires=60", "X-Amz-Expires=604800")),
    "expiry zero": lambda u: ("GET", u.replace("X-Amz-Expires=60", "X-Amz-Expires=0")),
    "expiry negative": lambda u: ("GET", u.replace("X-Amz-Expires=60", "X-Amz-Expires=-1")),
    "expiry huge": lambda u: ("GET", u.replace("X-Amz-Expires=60", "X-Amz-Expires=" + "9" * 40)),
    "expiry twice": lambda u: ("GET", u + "&X-Amz-Expires=604800"),
    "signature twice": lambda u: ("GET", u + "&X-Amz-Signature=" + "0" * 64),
    "signature": lambda u: ("GET", u[:-1] + ("0" if u[-1] != "0" else "1")),
    "signature upper": lambda u: ("GET", u[:-64] + u[-64:].upper() if u[-64:].upper() != u[-64:] else u + "x"),
    "date": lambda u: ("GET", u.replace("X-Amz-Date=2026", "X-Amz-Date=2027")),
    "query": lambda u: ("GET", u + "&response-content-type=text/html"), "version": lambda u: ("GET", u + "&versionId=null"),
    "algorithm": lambda u: ("GET", u.replace("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256")),
    "no expiry": lambda u: ("GET", u.replace("&X-Amz-Expires=60", "")),
    "token": lambda u: ("GET", u + "&X-Amz-Security-Token=x"), "lower names": lambda u: ("GET", u.replace("X-Amz-", "x-amz-")),
    "region": lambda u: ("GET", u.replace("us-east-1", "eu-west-1")), "key id": lambda u: ("GET", u.replace("Credential=test", "Credential=nobody")),
    "signed headers": lambda u: ("GET", u.replace("SignedHeaders=host", "SignedHeaders=date")),
}  # fmt: skip


@pytest.mark.parametrize("what", URL_CHANGES)
def test_presigned_urls(stage: Stage, what: str) -> None:
    method, target = URL_CHANGES[what](presigned(stage))
    status, body = send(stage, method, target, {}, b"x" if method == "PUT" else b"")
    assert 400 <= status < 500, (status, body)
    assert b"alpha's content" not in body


@pytest.mark.parametrize(
    "header", ["x-amz-meta-evil", "x-amz-acl", "x-amz-tagging", "x-amz-copy-source", "x-amz-security-token"]
)
def test_presigned_urls_bind_amz_headers(stage: Stage, header: str) -> None:
    value = f"{MARK}-bucket/{MARK}-key" if "copy" in header else "a=b"
    status, _ = send(stage, "PUT", presigned(stage, "PUT", "presigned-put"), {header: value}, b"x")
    assert status == 403


def test_presigned_urls_end(stage: Stage) -> None:
    assert send(stage, "GET", presigned(stage), {})[0] == 200
    with mock.patch.object(
        botocore.auth,
        "get_current_datetime",
        lambda **_: datetime.now(UTC).replace(tzinfo=None) - timedelta(seconds=61),
    ):
        old = presigned(stage)
    assert send(stage, "GET", old, {})[0] == 403
    both = signed(stage, "GET", f"/{MARK}-bucket/{MARK}-key")
    assert send(stage, "GET", presigned(stage), both)[0] == 400, "one way to sign at a time"


def test_presigned_version_2_binds_what_it_names(stage: Stage) -> None:
    """What the older signature does not cover must not choose another operation."""
    s3 = stage.client("s3", signature_version="s3")
    url = s3.generate_presigned_url(
        "get_object", Params={"Bucket": f"{MARK}-bucket", "Key": f"{MARK}-key"}, ExpiresIn=60
    )
    parts = urlsplit(url)
    good = f"{parts.path}?{parts.query}"
    assert send(stage, "GET", good, {})[0] == 200
    for more in (
        "acl",
        "tagging",
        "uploadId=x",
        "versionId=null",
        "attributes",
        "torrent",
        "partNumber=1",
        "legal-hold",
        "retention",
    ):
        status, body = send(stage, "GET", f"{good}&{more}", {})
        assert status in (400, 403, 404, 501) or body == b"alpha's content", (more, status, body)
    listing = s3.generate_presigned_url("list_objects", Params={"Bucket": f"{MARK}-bucket"}, ExpiresIn=60)
    parts = urlsplit(listing)
    for more in (
        "policy", "policyStatus", "acl", "cors", "encryption", "lifecycle", "location", "logging", "notification", "replication",
        "ownershipControls", "publicAccessBlock", "tagging", "versioning", "versions", "website", "uploads", "accelerate",
        "requestPayment", "object-lock", "intelligent-tiering", "inventory", "metrics", "analytics", "session", "metadataTable",
    ):  # fmt: skip
        status, body = send(stage, "GET", f"{parts.path}?{parts.query}&{more}", {})
        assert status >= 400 or b"<ListBucketResult" in body, (more, status, body[:200])
    put = s3.generate_presigned_url("create_bucket", Params={"Bucket": f"{MARK}-bucket"}, ExpiresIn=60)
    parts = urlsplit(put)
    for more in (
        "policy",
        "ownershipControls",
        "publicAccessBlock",
        "versioning",
        "tagging",
        "lifecycle",
        "encryption",
        "notification",
    ):
        status, _ = send(stage, "PUT", f"{parts.path}?{parts.query}&{more}", {}, b"{}")
        assert status >= 400, more
        delete = s3.generate_presigned_url(
            "delete_object", Params={"Bucket": f"{MARK}-bucket", "Key": "x"}, ExpiresIn=60
        )
        assert send(stage, "DELETE", delete.removeprefix(stage.url).replace("/x?", "?"), {})[0] == 403


JSON = {
    "service": "kinesis",
    "headers": {"X-Amz-Target": "Kinesis_20131202.ListStreams", "Content-Type": "application/x-amz-json-1.1"},
}


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"X-Amz-Target": "Kinesis_20131202.DeleteStream"}, b"{}"), ({"X-Amz-Target": "Firehose_20150804.ListDeliveryStreams"}, b"{}"),
        ({}, b'{"Limit": 1}'), ({"x-amz-evil": "1"}, b"{}"), ({"X-Amz-Content-SHA256": hashlib.sha256(b"x").hexdigest()}, b"x"),
        ({"Host": "evil.example"}, b"{}"),
    ],
)  # fmt: skip
def test_json_requests(stage: Stage, headers: dict[str, str], body: bytes) -> None:
    given = signed(stage, "POST", "/", b"{}", **JSON)
    for name, value in headers.items():
        given = {key: inner for key, inner in given.items() if key.lower() != name.lower()} | {name: value}
    status, answer = send(stage, "POST", "/", given, body)
    assert 400 <= status < 500, answer
    assert b"StreamNames" not in answer


def test_the_signing_name_binds_the_service(stage: Stage) -> None:
    """A signature for one service is none for another, whatever target or action the body names."""
    given = signed(stage, "POST", "/", b"{}", service="sqs", headers=JSON["headers"])
    status, answer = send(stage, "POST", "/", given, b"{}")
    assert status >= 400, answer
    body = b"Action=ListUsers&Version=2010-05-08"
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for service in ("sts", "kinesis", "s3", "cloudwatch", "unheard-of"):
        status, answer = send(stage, "POST", "/", signed(stage, "POST", "/", body, service=service, headers=form), body)
        assert status >= 400, (service, answer)
        assert b"ListUsersResult" not in answer


def test_errors_do_not_help_to_forge(stage: Stage) -> None:
    headers = signed(stage, "GET", f"/{MARK}-bucket/{MARK}-key", who=Enemy("test", "wrong"))
    good = signed(stage, "GET", f"/{MARK}-bucket/{MARK}-key")
    status, body = send(stage, "GET", f"/{MARK}-bucket/{MARK}-key", headers)
    assert status == 403
    assert good["Authorization"].split("Signature=")[1].encode() not in body
    assert b"beta-secret" not in body


def chunked(
    stage: Stage, chunks: list[tuple[bytes, bytes | None]], *, length: int, key: str, tail: bytes = b""
) -> tuple[int, bytes]:
    """A signed streaming upload whose chunks may be tampered with: (data, data sent instead)."""
    import hmac

    target = f"/{MARK}-bucket/{key}"
    kind = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
    headers = {
        "x-amz-content-sha256": kind,
        "x-amz-decoded-content-length": str(length),
        "content-encoding": "aws-chunked",
    }
    with (
        mock.patch.object(S3SigV4Auth, "_should_sha256_sign_payload", lambda *_: True),
        mock.patch.object(S3SigV4Auth, "payload", lambda *_: kind),
    ):
        given = signed(stage, "PUT", target, b"", headers=headers)
    given = {name: value for name, value in given.items() if name.lower() != "x-amz-content-sha256"} | {
        "x-amz-content-sha256": kind
    }
    authorization = given["Authorization"]
    date, scope = given["X-Amz-Date"], authorization.split("Credential=test/")[1].split(",")[0]
    signing = b"AWS4test"
    for part in scope.split("/"):
        signing = hmac.digest(signing, part.encode(), "sha256")
    previous = authorization.split("Signature=")[1]
    empty = hashlib.sha256(b"").hexdigest()
    body = b""
    for data, instead in [*chunks, (b"", None)]:
        text = f"AWS4-HMAC-SHA256-PAYLOAD\n{date}\n{scope}\n{previous}\n{empty}\n{hashlib.sha256(data).hexdigest()}"
        previous = hmac.digest(signing, text.encode(), "sha256").hex()
        body += (
            b"%x;chunk-signature=%s\r\n" % (len(data), previous.encode())
            + (data if instead is None else instead)
            + b"\r\n"
        )
    return send(stage, "PUT", target, given, body + tail)


def test_signed_chunks(stage: Stage) -> None:
    assert chunked(stage, [(b"a" * 70000, None), (b"b" * 10, None)], length=70010, key="chunks-good")[0] == 200
    attacks = {
        "data": ([(b"a" * 70000, b"x" * 70000), (b"b" * 10, None)], 70010, b""),
        "last byte": ([(b"a" * 70000, None), (b"b" * 10, b"b" * 9 + b"x")], 70010, b""),
        "length": ([(b"a" * 70000, None)], 70010, b""), "longer": ([(b"a" * 70000, None), (b"b" * 20, None)], 70010, b""),
        "tail": ([(b"a" * 70000, None), (b"b" * 10, None)], 70010, b"5\r\nevil!\r\n"),
    }  # fmt: skip
    for what, (chunks, length, tail) in attacks.items():
        status, body = chunked(stage, chunks, length=length, key="chunks-bad", tail=tail)
        assert 400 <= status < 500, (what, status, body)
    found = stage.client("s3").list_objects_v2(Bucket=f"{MARK}-bucket", Prefix="chunks-bad")
    assert found["KeyCount"] == 0


def test_replays_of_the_body_hash(stage: Stage) -> None:
    """A signature is of one body: the same head with another body is refused, also for JSON."""
    body = json.dumps({"StreamName": f"{MARK}-stream"}).encode()
    given = signed(
        stage,
        "POST",
        "/",
        body,
        service="kinesis",
        headers={**JSON["headers"], "X-Amz-Target": "Kinesis_20131202.DescribeStreamSummary"},
    )
    assert send(stage, "POST", "/", given, body)[0] == 200
    assert send(stage, "POST", "/", given, body.replace(b"stream", b"strean"))[0] == 400


PATHS = [
    ("/%61lphamark-bucket/alphamark-key", "bucket"), ("/alphamark-bucket/%61lphamark-key", "key"),
    ("/alphamark-bucket%2Falphamark-key", "slash"), ("/alphamark-bucket/alphamark-key%00", "nul"),
    ("/alphamark-bucket/alphamark-key%20", "space"), ("/alphamark-bucket/alphamark-key/", "tail"),
    ("/alphamark-bucket/alphamark-key;x", "semicolon"), ("//alphamark-bucket/alphamark-key", "double"),
    ("/x/../alphamark-bucket/alphamark-key", "dots"), ("/x/%2e%2e/alphamark-bucket/alphamark-key", "encoded dots"),
    ("/alphamark-bucket\\alphamark-key", "backslash"), ("/alphamark-bucket/alphamark-key#f", "fragment"),
    ("/alphamark-bucket/alphamark%C0%ADkey", "overlong"), ("/alphamark-bucket/alphamark%FFkey", "not utf-8"),
]  # fmt: skip


@pytest.mark.parametrize(("target", "what"), PATHS)
def test_what_is_signed_is_what_is_reached(stage: Stage, target: str, what: str) -> None:
    """A policy for one key decides for that key however it is spelled: signing and routing read a path alike."""
    enemy = _only_public(stage)
    headers = signed(stage, "GET", target, who=enemy)
    try:
        status, body = send(stage, "GET", target, headers)
    except (http.client.HTTPException, ValueError, ConnectionError):
        return
    assert b"alpha's content" not in body, what
    assert 400 <= status < 500


_only: dict[str, Enemy] = {}


def _only_public(stage: Stage) -> Enemy:
    if stage.url not in _only:
        statement = {"Effect": "Deny", "Action": "s3:*", "Resource": f"arn:aws:s3:::{MARK}-bucket/{MARK}-key"}
        _only[stage.url] = stage.user("only-public", {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}, statement)
    return _only[stage.url]
