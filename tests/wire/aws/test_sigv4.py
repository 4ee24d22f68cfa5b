"""SigV4 against botocore's own signers: headers, presigned URLs, S3's chunks, and what is refused."""

from __future__ import annotations

import datetime
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from lakebed.kernel.errors import AwsError
from lakebed.wire.aws import sigv4
from lakebed.wire.aws.message import HttpRequest

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
CREDENTIALS = Credentials("AKIDEXAMPLE", SECRET)
WITH_TOKEN = Credentials("ASIAEXAMPLE", SECRET, "a/token+with=signs")


def _signed(signer: Any, method: str, url: str, body: bytes = b"", **headers: str) -> HttpRequest:
    request = AWSRequest(method=method, url=url, data=body, headers={"Host": urlsplit(url).netloc, **headers})
    signer.add_auth(request)
    prepared = request.prepare()
    parts = urlsplit(prepared.url)
    kept = {
        name.lower(): value if isinstance(value, str) else value.decode() for name, value in prepared.headers.items()
    }
    return HttpRequest(method, parts.path or "/", parts.query, {"host": parts.netloc, **kept}, body)


def _now() -> float:
    return datetime.datetime.now(datetime.UTC).timestamp()


def _verify(request: HttpRequest, secret: str = SECRET, now: float | None = None) -> sigv4.Claim:
    claim = sigv4.read_claim(request)
    assert claim is not None
    digest = sha256(request.body).hexdigest()
    sigv4.verify(claim, request, secret, payload_sha256=digest, now=_now() if now is None else now)
    return claim


def _signers(service: str, credentials: Credentials) -> Any:
    return (botocore.auth.S3SigV4Auth if service == "s3" else botocore.auth.SigV4Auth)(
        credentials, service, "us-east-1"
    )


_SEGMENT = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), min_size=1, max_size=8)


@pytest.mark.parametrize("service", ["s3", "kinesis", "lambda"])
@settings(max_examples=40, deadline=None)
@given(segments=st.lists(_SEGMENT, max_size=4), query=st.dictionaries(_SEGMENT, _SEGMENT, max_size=3), body=st.binary())
def test_what_botocore_signs_is_accepted(service: str, segments: list[str], query: dict[str, str], body: bytes) -> None:
    from urllib.parse import quote, urlencode

    path = "/" + "/".join(quote(part, safe="~") for part in segments if part not in (".", ".."))
    asked = "?" + urlencode(query, quote_via=quote, safe="-_.~") if query else ""
    url = f"http://localhost:4566{path}{asked}"
    claim = _verify(_signed(_signers(service, WITH_TOKEN), "POST", url, body, **{"X-Amz-Thing": "a   b"}))
    assert (claim.service, claim.access_key_id, claim.kind) == (service, "ASIAEXAMPLE", "header")
    assert claim.session_token == WITH_TOKEN.token


def test_s3_presigned() -> None:
    signer = botocore.auth.S3SigV4QueryAuth(WITH_TOKEN, "s3", "eu-west-1", expires=60)
    request = _signed(signer, "GET", "http://localhost:4566/bucket/a%20b/c?x=%2F")
    claim = _verify(request)
    assert (claim.kind, claim.expires, claim.region, claim.session_token) == (
        "presigned",
        60,
        "eu-west-1",
        WITH_TOKEN.token,
    )
    with pytest.raises(AwsError) as late:
        _verify(request, now=_now() + 61)
    assert (late.value.error_code, late.value.message) == ("AccessDenied", "Request has expired")
    request.query = request.query.replace("X-Amz-Expires=60", "X-Amz-Expires=604801")
    with pytest.raises(AwsError, match="AuthorizationQueryParametersError"):
        _verify(request)


def test_presigned_of_another_service() -> None:
    signer = botocore.auth.SigV4QueryAuth(CREDENTIALS, "sts", "us-east-1", expires=900)
    assert (
        _verify(_signed(signer, "GET", "http://localhost/?Action=GetCallerIdentity&Version=2011-06-15")).service
        == "sts"
    )


@pytest.mark.parametrize(
    ("service", "code"),
    [("s3", "SignatureDoesNotMatch"), ("iam", "SignatureDoesNotMatch"), ("kinesis", "InvalidSignatureException")],
)
def test_changed_requests_are_refused(service: str, code: str) -> None:
    url = "http://localhost:4566/a/b?x=1"
    original = _signed(_signers(service, CREDENTIALS), "PUT", url, b"body", **{"X-Amz-Meta-A": "1"})
    _verify(original)

    def changed(**what: Any) -> HttpRequest:
        request = HttpRequest(original.method, original.raw_path, original.query, dict(original.headers), original.body)
        for name, value in what.items():
            setattr(request, name, value)
        return request

    signature = original.headers["authorization"][:-4] + "0000"
    for request in (
        changed(method="GET"),
        changed(raw_path="/a/c"),
        changed(query="x=2"),
        changed(headers={**original.headers, "x-amz-meta-a": "2"}),
        changed(headers={**original.headers, "host": "evil"}),
        changed(headers={**original.headers, "authorization": signature}),
    ):
        with pytest.raises(AwsError) as refused:
            _verify(request)
        assert refused.value.error_code == code
    with pytest.raises(AwsError, match=code):
        _verify(original, secret="other")
    with pytest.raises(AwsError, match="XAmzContentSHA256Mismatch" if service == "s3" else code):
        _verify(changed(body=b"other"))
    with pytest.raises(AwsError, match="AccessDenied" if service == "s3" else code):
        _verify(changed(headers={**original.headers, "x-amz-acl": "public-read"}))


def test_clocks_apart() -> None:
    s3 = _signed(_signers("s3", CREDENTIALS), "GET", "http://localhost/b")
    kinesis = _signed(_signers("kinesis", CREDENTIALS), "POST", "http://localhost/")
    for shift in (-901, 902):
        with pytest.raises(AwsError, match="RequestTimeTooSkewed"):
            _verify(s3, now=_now() + shift)
        with pytest.raises(AwsError, match=r"InvalidSignatureException: Signature (expired|not yet)"):
            _verify(kinesis, now=_now() + shift)
    _verify(s3, now=_now() + 890)


def test_anonymous_and_unreadable() -> None:
    assert sigv4.read_claim(HttpRequest("GET", "/", "a=b")) is None
    credential = "Credential=a/20150830/us-east-1/iam/aws4_request"
    whole = f"AWS4-HMAC-SHA256 {credential}, SignedHeaders=host, Signature={'0' * 64}"
    date = {"x-amz-date": "20150830T123600Z"}
    assert sigv4.read_claim(HttpRequest("GET", "/", headers={"authorization": whole, **date})) is not None
    for header, more in [
        ("AWS key:signature", date),
        ("AWS4-ECDSA-P256-SHA256 " + whole[17:], date),
        (whole.replace("Signature=", "Sig="), date),
        (whole.replace("aws4_request", "aws5"), date),
        (whole.replace("=host", "=date"), date),
        (whole, {}),
        (whole, {"x-amz-date": "20150831T123600Z"}),
        (whole.replace("20150830", "", 1), date),
    ]:
        with pytest.raises(AwsError) as refused:
            sigv4.read_claim(HttpRequest("GET", "/", headers={"authorization": header, **more}))
        assert (refused.value.http_status or 0) in (400, 403)


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=200), query=st.text(max_size=100), date=st.text(max_size=20))
def test_claims_are_refused_never_crash(text: str, query: str, date: str) -> None:
    for headers, asked in [
        ({"authorization": f"AWS4-HMAC-SHA256 {text}", "x-amz-date": date}, ""),
        ({}, f"X-Amz-Algorithm=AWS4-HMAC-SHA256&{query}"),
    ]:
        try:
            sigv4.read_claim(HttpRequest("GET", "/", asked, headers))
        except AwsError as error:
            assert (error.http_status or 400) < 500
