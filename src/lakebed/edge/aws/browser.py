"""What browsers send to S3 beside its operations: a preflight (OPTIONS) and a form with a file (POST).

Neither carries a signature the way operations do: a preflight none at all, a form in its fields, over the policy it brings
(version 4, or version 2 for those that still write it). ``ports.browsers`` decides the rest.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-authentication-HTTPPOST.html
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import AsyncIterator, Mapping

from lakebed.edge.aws import authenticate
from lakebed.kernel.errors import AwsError
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import ANONYMOUS, Principal, Scope
from lakebed.ports.browsers import Form
from lakebed.ports.house import Ports
from lakebed.wire.aws.formdata import FormReader
from lakebed.wire.aws.message import HttpRequest, HttpResponse
from lakebed.wire.aws.sigv4 import signing_key

_CREDENTIAL = re.compile(r"([\w.+=@-]{1,128})/(\d{8})/([a-z0-9-]{1,64})/s3/aws4_request")


def is_preflight(request: HttpRequest) -> bool:
    """Whether a browser asks what a page may do."""
    return request.method == "OPTIONS"


def is_form(request: HttpRequest) -> bool:
    """Whether a browser sends a form with a file."""
    kind = request.headers.get("content-type", "").lower()
    return request.method == "POST" and kind.startswith("multipart/form-data")


def bucket_in(path: str) -> str:
    """The bucket of a path-style path."""
    return path.removeprefix("/").partition("/")[0]


def preflight(p: Ports, request: HttpRequest) -> HttpResponse:
    """The answer to OPTIONS."""
    origin, method = request.headers.get("origin", ""), request.headers.get("access-control-request-method", "")
    if not origin or not method:
        raise AwsError(
            "BadRequest", "Insufficient information. Origin request header needed." if not origin else
            "Invalid Access-Control-Request-Method: null", status=400,
        )  # fmt: skip
    asked = request.headers.get("access-control-request-headers", "")
    names = [name.strip() for name in asked.split(",") if name.strip()]
    told = p.browsers.preflight(bucket_in(request.raw_path), origin, method, names)
    return HttpResponse(200, dict(told))


async def read_form(request: HttpRequest, pieces: AsyncIterator[bytes]) -> FormReader:
    """The form, read up to its file."""
    reader = FormReader(request.headers["content-type"], pieces)
    await reader.head()
    return reader


def signed_by(fields: Mapping[str, str], p: Ports, k: Kernel) -> tuple[Principal, Scope, bytes | None]:
    """Who signed the form's policy, where, and the policy; nobody where there is none."""
    encoded = fields.get("policy")
    if encoded is None:
        return ANONYMOUS, Scope(ANONYMOUS.account, "us-east-1"), None
    try:
        policy = base64.b64decode(encoded, validate=False)
    except (binascii.Error, ValueError):
        policy = b""
    if "x-amz-signature" in fields or "x-amz-credential" in fields:
        access_key_id, region = _check_v4(fields)
    else:
        access_key_id, region = _field(fields, "awsaccesskeyid"), "us-east-1"
        _field(fields, "signature")
    caller = authenticate.known_key(access_key_id, fields.get("x-amz-security-token"), p, k.clock)
    if not _is_signed(fields, encoded, caller.secret):
        raise AwsError(
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. Check your key and signing "
            "method.",
            status=403,
        )
    return caller.principal, Scope(caller.principal.account, region), policy


def _check_v4(fields: Mapping[str, str]) -> tuple[str, str]:
    """The key and the region that the fields of version 4 name."""
    if _field(fields, "x-amz-algorithm") != "AWS4-HMAC-SHA256":
        raise AwsError("InvalidArgument", 'X-Amz-Algorithm only supports "AWS4-HMAC-SHA256"', status=400)
    found = _CREDENTIAL.fullmatch(_field(fields, "x-amz-credential"))
    if found is None or not _field(fields, "x-amz-date").startswith(found[2]):
        raise AwsError("InvalidArgument", "The credential of the form is malformed.", status=400)
    _field(fields, "x-amz-signature")
    return found[1], found[3]


def _is_signed(fields: Mapping[str, str], encoded: str, secret: str) -> bool:
    if "x-amz-signature" in fields:
        found = _CREDENTIAL.fullmatch(fields["x-amz-credential"])
        assert found is not None
        key = signing_key(secret, found[2], found[3], "s3")
        return hmac.compare_digest(hmac.digest(key, encoded.encode(), "sha256").hex(), fields["x-amz-signature"])
    expected = base64.b64encode(hmac.digest(secret.encode(), encoded.encode(), "sha1")).decode()
    return hmac.compare_digest(expected.encode(), fields["signature"].encode())


def _field(fields: Mapping[str, str], name: str) -> str:
    value = fields.get(name)
    if value is None:
        raise AwsError(
            "InvalidArgument",
            f"Bucket POST must contain a field named '{name}'.  If it is specified, please check the order of the fields.",
            status=400,
            members={"ArgumentName": name, "ArgumentValue": ""},
        )
    return value


def form_of(reader: FormReader, policy: bytes | None) -> Form:
    """The form as S3 takes it."""
    return Form(reader.fields, reader.filename, reader.body(), policy)
