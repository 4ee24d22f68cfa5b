"""Signature Version 2 in a query, for S3 alone: what boto3 still presigns with in the oldest regions.

``generate_presigned_url`` of an unconfigured client in us-east-1 makes such URLs, and S3 honours them there. The
Authorization header of version 2 is refused (``sigv4``), and so is every other service.

https://docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html#RESTAuthenticationQueryStringAuth
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from lakebed.kernel.errors import AwsError
from lakebed.wire.aws.message import HttpRequest

_SUB_RESOURCES = frozenset({
    "accelerate", "acl", "analytics", "cors", "defaultObjectAcl", "delete", "encryption", "inventory", "lifecycle",
    "location", "logging", "metrics", "notification", "object-lock", "ownershipControls", "partNumber", "policy",
    "policyStatus", "publicAccessBlock", "replication", "requestPayment", "restore", "select", "select-type", "storageClass",
    "tagging", "torrent", "uploadId", "uploads", "versionId", "versioning", "versions", "website",
    "response-cache-control", "response-content-disposition", "response-content-encoding", "response-content-language",
    "response-content-type", "response-expires", "legal-hold", "retention",
})  # fmt: skip
_EXPIRES_DIGITS_MAX = 12


@dataclass(frozen=True, slots=True)
class QueryClaim:
    """Who a presigned URL of version 2 says it is from; the fields a version 4 claim has as well are named alike."""

    access_key_id: str
    signature: str
    expires_at: int
    session_token: str | None
    region: str = "us-east-1"
    service: str = "s3"
    chunked: bool = False


def read_claim(request: HttpRequest) -> QueryClaim | None:
    """The claim in a query, None where there is none."""
    if "AWSAccessKeyId=" not in request.query or "Signature=" not in request.query:
        return None
    query = _query(request.query)
    expires = query.get("Expires", "")
    if not (expires.isascii() and expires.isdigit() and len(expires) <= _EXPIRES_DIGITS_MAX):
        raise AwsError(
            "AccessDenied",
            "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters",
            status=403,
        )
    return QueryClaim(
        query.get("AWSAccessKeyId", ""), query.get("Signature", ""), int(expires), query.get("x-amz-security-token")
    )


def verify(claim: QueryClaim, request: HttpRequest, secret: str, *, now: float) -> None:
    """Raise unless the owner of ``secret`` signed this request and it has not expired. ``request`` is path style."""
    if now > claim.expires_at:
        raise AwsError("AccessDenied", "Request has expired", status=403)
    expected = base64.b64encode(hmac.digest(secret.encode(), _string_to_sign(claim, request).encode(), "sha1"))
    if not hmac.compare_digest(expected, claim.signature.encode()):
        raise AwsError(
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. Check your key and signing"
            " method.",
            status=403,
        )


def _string_to_sign(claim: QueryClaim, request: HttpRequest) -> str:
    query = _query(request.query)
    given = {**request.headers, **{name.lower(): value for name, value in query.items()}}
    amz = sorted((name, value.strip()) for name, value in given.items() if name.startswith("x-amz-"))
    headers = "".join(f"{name}:{value}\n" for name, value in amz)
    return (
        f"{request.method}\n{given.get('content-md5', '')}\n{given.get('content-type', '')}\n{claim.expires_at}\n"
        f"{headers}{request.raw_path}{_sub_resources(query)}"
    )


def _sub_resources(query: Mapping[str, str]) -> str:
    named = [f"{name}={value}" if value else name for name, value in sorted(query.items()) if name in _SUB_RESOURCES]
    return f"?{'&'.join(named)}" if named else ""


def _query(text: str) -> dict[str, str]:
    found = {}
    for item in filter(None, text.split("&")):
        name, _, value = item.partition("=")
        found[unquote(name)] = unquote(value.replace("+", "%20"))
    return found
