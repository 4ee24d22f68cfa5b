"""Every way to tamper with a signed request, over a real socket; what each protocol family calls the refusal."""

from __future__ import annotations

import http.client
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import botocore.auth
import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from lakebed.kernel.scope import Principal
from tests.edge.conftest import Fragment
from tests.edge.probe import PROBES
from tests.edge.test_door import refused
from tests.harness import ROOT


def signed(
    fragment: Fragment, method: str = "PUT", path: str = "/b/k?tagging=1", body: bytes = b"body", **kwargs: Any
) -> AWSRequest:
    keys = Credentials(kwargs.pop("key", "test"), kwargs.pop("secret", "test"), kwargs.pop("token", None))
    service, region = kwargs.pop("service", "s3"), kwargs.pop("region", "us-east-1")
    request = AWSRequest(method, f"{fragment.url}{path}", data=body, headers=kwargs.pop("headers", {}))
    (S3SigV4Auth if service == "s3" else SigV4Auth)(keys, service, region).add_auth(request)
    return request


def send(fragment: Fragment, request: AWSRequest, **change: Any) -> tuple[int, str]:
    """Status and body; ``change`` replaces method, path, body or single headers (None removes one)."""
    headers = dict(request.headers.items()) | change.get("headers", {})
    where = urlsplit(request.url)
    connection = http.client.HTTPConnection(fragment.p.addresses.http_host, fragment.p.addresses.http_port, timeout=10)
    try:
        connection.request(
            change.get("method", request.method),
            change.get("path", f"{where.path}?{where.query}"),
            change.get("body", request.data),
            {name: value for name, value in headers.items() if value is not None},
        )
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


async def tamper(fragment: Fragment, **change: Any) -> tuple[int, str]:
    return await fragment.run(send, fragment, signed(fragment, path="/b/k?x-id=PutObject"), **change)


async def test_untouched_is_accepted(fragment: Fragment) -> None:
    assert (await tamper(fragment))[0] == 200


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"path": "/b/other?x-id=PutObject"}, 403, "SignatureDoesNotMatch"),
        ({"path": "/b/k?x-id=PutObject&more=1"}, 403, "SignatureDoesNotMatch"),
        ({"method": "GET", "path": "/b/1?x-id=PutObject"}, 403, "SignatureDoesNotMatch"),
        ({"headers": {"X-Amz-Meta-Extra": "unsigned"}}, 403, "AccessDenied"),
        ({"headers": {"X-Amz-Date": "20200101T000000Z"}}, 403, "SignatureDoesNotMatch"),
        ({"headers": {"X-Amz-Content-SHA256": "0" * 64}}, 403, "SignatureDoesNotMatch"),
        ({"headers": {"X-Amz-Content-SHA256": None}}, 400, "InvalidRequest"),
        ({"body": b"evil"}, 400, "XAmzContentSHA256Mismatch"),
        ({"headers": {"Authorization": "AWS4-HMAC-SHA256 Credential=test"}}, 400, "AuthorizationHeaderMalformed"),
        ({"headers": {"Authorization": "AWS test:abc"}}, 400, "InvalidRequest"),
        ({"headers": {"Authorization": None}}, 403, "AccessDenied"),
    ],
)
async def test_tampered_s3_requests(fragment: Fragment, change: dict[str, Any], status: int, code: str) -> None:
    PROBES["s3"].bodies.clear()
    got, body = await tamper(fragment, **change)
    if change.get("headers", {}).get("Authorization", "") is None:
        # Anonymous reaches S3, which decides by the bucket's policy: the probe has none and asks nobody.
        assert got == 200
        assert PROBES["s3"].contexts[-1].principal.kind == "anonymous"
        return
    assert (got, f"<Code>{code}</Code>" in body) == (status, True), body
    assert PROBES["s3"].bodies == {}


@pytest.mark.parametrize("part", ["date", "region", "service", "term"])
async def test_tampered_scope(fragment: Fragment, part: str) -> None:
    request = signed(fragment)
    scope = {"date": ("/us-east-1/", "/eu-west-1/"), "region": ("us-east-1", "us-east-2"),
             "service": ("/s3/", "/sqs/"), "term": ("aws4_request", "aws5_request")}  # fmt: skip
    old, new = scope[part]
    authorization = request.headers["Authorization"].replace(old, new)
    status, body = await fragment.run(send, fragment, request, headers={"Authorization": authorization})
    assert status in (400, 403, 501), body


async def test_region_must_look_like_one(fragment: Fragment) -> None:
    status, body = await fragment.run(send, fragment, signed(fragment, region="nowhere"))
    assert (status, "valid region" in body) == (403, True)


@pytest.mark.parametrize(
    ("service", "call", "wrong", "unknown", "status"),
    [
        ("sts", "get_caller_identity", "SignatureDoesNotMatch", "InvalidClientTokenId", 403),
        ("kinesis", "list_streams", "InvalidSignatureException", "UnrecognizedClientException", 400),
        ("s3", "list_buckets", "SignatureDoesNotMatch", "InvalidAccessKeyId", 403),
    ],
)
async def test_wrong_secret_and_unknown_key(
    fragment: Fragment, service: str, call: str, wrong: str, unknown: str, status: int
) -> None:
    bad = fragment.client(service, secret="no")
    assert (await fragment.run(refused, getattr(bad, call)))[:2] == (wrong, status)
    stranger = fragment.client(service, key="AKIASTRANGER", secret="no")
    assert (await fragment.run(refused, getattr(stranger, call)))[:2] == (unknown, status)


@pytest.mark.parametrize("minutes", [-16, 16])
async def test_skewed_clocks(fragment: Fragment, minutes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    moment = datetime.now(UTC).replace(tzinfo=None) + timedelta(minutes=minutes)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda *_, **__: moment)
    status, body = await fragment.run(send, fragment, signed(fragment))
    assert (status, "RequestTimeTooSkewed" in body) == (403, True), body


async def test_sessions_tokens_and_their_end(fragment: Fragment) -> None:
    identity = fragment.p.identity
    session = Principal(
        ROOT.account, "arn:aws:sts::000000000000:assumed-role/r/s", "role", "AROA:s", "arn:aws:iam::000000000000:role/r"
    )
    keys = identity.issue_session(session, seconds=900)
    mine = fragment.client("sts", keys.access_key_id, keys.secret_access_key, keys.session_token)
    assert (await fragment.run(mine.get_caller_identity))["Arn"] == session.arn
    for token in (None, "other" * 20):
        other = fragment.client("sts", keys.access_key_id, keys.secret_access_key, token)
        assert (await fragment.run(refused, other.get_caller_identity))[:2] == ("InvalidClientTokenId", 403)
    lasting = fragment.client("sts", "test", "test", "unasked")
    assert (await fragment.run(refused, lasting.get_caller_identity))[0] == "InvalidClientTokenId"
    await fragment.harness.clock.advance(901)
    assert (await fragment.run(refused, mine.get_caller_identity))[:2] == ("ExpiredToken", 403)
    data = fragment.client("kinesis", keys.access_key_id, keys.secret_access_key, keys.session_token)
    assert (await fragment.run(refused, data.list_streams))[:2] == ("ExpiredTokenException", 400)


@pytest.mark.parametrize("version", [{}, {"signature_version": "s3v4"}], ids=["as boto3 comes", "version 4"])
async def test_presigned_urls(fragment: Fragment, monkeypatch: pytest.MonkeyPatch, version: dict[str, str]) -> None:
    client = fragment.client("s3", **version)

    def get(url: str, method: str = "GET") -> tuple[int, str]:
        where = urlsplit(url)
        connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=10)
        connection.request(method, f"{where.path}?{where.query}")
        answer = connection.getresponse()
        told = answer.status, answer.read().decode()
        connection.close()
        return told

    url = client.generate_presigned_url("get_object", {"Bucket": "b", "Key": "1"}, ExpiresIn=60)
    assert (await fragment.run(get, url))[0] == 200
    assert (await fragment.run(get, url.replace("/b/1", "/b/2")))[0] == 403
    assert (await fragment.run(get, url, "PUT"))[0] == 403
    later = url.replace("X-Amz-Expires=60", "X-Amz-Expires=600").replace("Expires=1", "Expires=2")
    assert later != url
    assert (await fragment.run(get, later))[0] == 403
    assert (await fragment.run(get, f"{url}&versionId=1"))[0] == 403
    late = client.generate_presigned_url("get_object", {"Bucket": "b", "Key": "1"}, ExpiresIn=1)
    monkeypatch.setattr(fragment.k.clock, "wall", lambda: datetime.now(UTC).timestamp() + 3)
    status, body = await fragment.run(get, late)
    assert (status, "Request has expired" in body) == (403, True)


async def test_chunk_signatures_are_checked(fragment: Fragment) -> None:
    """A body signed chunk by chunk; each kind of damage is refused, and nothing is stored."""
    from lakebed.wire.aws import sigv4
    from lakebed.wire.aws.message import HttpRequest

    data = b"z" * 70000
    headers = {"x-amz-decoded-content-length": str(len(data)), "content-encoding": "aws-chunked"}
    request = AWSRequest("PUT", f"{fragment.url}/b/chunked", headers=headers)

    class Streaming(S3SigV4Auth):
        def payload(self, _: Any) -> str:
            return "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"

    Streaming(Credentials("test", "test"), "s3", "us-east-1").add_auth(request)
    claim = sigv4.read_claim(HttpRequest("PUT", "/b/chunked", "", {k.lower(): v for k, v in request.headers.items()}))
    assert claim is not None

    def framed(pieces: list[bytes], secret: str = "test") -> bytes:
        import hashlib
        import hmac

        key = sigv4.signing_key(secret, claim.date, claim.region, claim.service)
        previous, out = claim.signature, b""
        for piece in [*pieces, b""]:
            text = "\n".join(["AWS4-HMAC-SHA256-PAYLOAD", claim.signed_at, claim.scope, previous,
                              hashlib.sha256(b"").hexdigest(), hashlib.sha256(piece).hexdigest()])  # fmt: skip
            previous = hmac.new(key, text.encode(), "sha256").hexdigest()
            out += f"{len(piece):x};chunk-signature={previous}\r\n".encode() + piece + b"\r\n"
        return out

    good = framed([data[:65536], data[65536:]])
    stored = PROBES["s3"].bodies
    stored.clear()
    assert (await fragment.run(send, fragment, request, path="/b/chunked", body=good))[0] == 200
    assert stored["b/chunked"][0] == len(data)
    stored.clear()
    for broken in (
        good.replace(b"zz", b"zy", 1),
        framed([data], "other"),
        good[:-80],
        good.replace(b"chunk-signature", b"chunk-signaturE"),
    ):
        status, body = await fragment.run(send, fragment, request, path="/b/chunked", body=broken)
        assert status in (400, 403), body
        assert stored == {}


async def test_sdk_trailers_arrive_decoded(fragment: Fragment) -> None:
    """boto3 sends aws-chunked with a checksum trailer for a file-like body over plain HTTP only where asked."""
    client = fragment.client("s3", request_checksum_calculation="when_supported")
    await fragment.run(client.put_object, Bucket="b", Key="t", Body=b"q" * 300_000, ChecksumAlgorithm="SHA256")
    assert PROBES["s3"].bodies["b/t"][0] == 300_000


async def test_denied_callers(fragment: Fragment) -> None:
    call = fragment.harness.call
    await call("iam", "CreateUser", UserName="bob")
    key = (await call("iam", "CreateAccessKey", UserName="bob"))["AccessKey"]
    mine = (key["AccessKeyId"], key["SecretAccessKey"])
    code, status, message = await fragment.run(
        refused, fragment.client("kinesis", *mine).put_record, StreamName="x", Data=b"1", PartitionKey="1"
    )
    assert (code, status) == ("AccessDeniedException", 400)
    assert message == (
        "User: arn:aws:iam::000000000000:user/bob is not authorized to perform: kinesis:PutRecord on resource: "
        "arn:aws:kinesis:us-east-1:000000000000:stream/x because no identity-based policy allows the kinesis:PutRecord action"
    )
    assert (await fragment.run(refused, fragment.client("iam", *mine).list_users))[:2] == ("AccessDenied", 403)
    document = '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"kinesis:Put*","Resource":"*"}}'
    await call("iam", "PutUserPolicy", UserName="bob", PolicyName="p", PolicyDocument=document)
    done = await fragment.run(fragment.client("kinesis", *mine).put_record, StreamName="x", Data=b"1", PartitionKey="1")
    assert done["ShardId"]
    await call("iam", "UpdateAccessKey", UserName="bob", AccessKeyId=mine[0], Status="Inactive")
    code, *_ = await fragment.run(refused, fragment.client("sts", *mine).get_caller_identity)
    assert code == "InvalidClientTokenId"
