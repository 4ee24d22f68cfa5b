"""Signature Version 4, the server's side: what a request claims about itself, and whether its signature is right.

Sans-io and without a clock. ``read_claim`` takes the Authorization header or the presigned query apart; ``verify`` builds
the canonical request and compares signatures in constant time. What is refused: other algorithms (SigV2, SigV4A), a host
that is not signed, ``x-amz-*`` headers that are not signed, a scope that does not end in ``aws4_request`` or whose date is
not the request's, clocks more than 15 minutes apart, presigned requests beyond their expiry (1 to 604800 seconds).

The payload's hash: ``payload_sha256`` is the lower-case hex SHA-256 of the body when the whole body is at hand. It is
None when the body is streamed; then the hash the client declared in ``x-amz-content-sha256`` is what the signature
covers, and the reader of the stream must compare it itself: ``declared_sha256(claim)`` is the digest to hold it against
(None for UNSIGNED-PAYLOAD and for STREAMING-…, whose chunks ``chunked`` checks).

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html,
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-auth-using-authorization-header.html
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from typing import Literal
from urllib.parse import quote, unquote

from lakebed.kernel.errors import AwsError
from lakebed.wire.aws.message import HttpRequest

ALGORITHM = "AWS4-HMAC-SHA256"
UNSIGNED, STREAMING = "UNSIGNED-PAYLOAD", "STREAMING-"
EMPTY_SHA256 = sha256(b"").hexdigest()
_SKEW = 15 * 60
_LONGEST_EXPIRY = 604_800
_LONGEST_HEADER = 8192
_HEX64 = re.compile(r"[0-9a-f]{64}")
_AMZ_DATE = re.compile(r"\d{8}T\d{6}Z")
# Headers whose change cannot change what a request does, or whose value the signature covers in another place.
_UNSIGNED_ALLOWED = frozenset({"x-amz-content-sha256", "x-amz-user-agent", "x-amz-date", "x-amz-cf-id"})
_PARTS = ("Credential", "Signature", "SignedHeaders")
_QUERY_SERVICES = frozenset({"iam", "sts", "sns", "redshift", "monitoring", "elasticmapreduce"})
_UNNORMALISED = frozenset({"s3", "s3express", "s3-object-lambda", "s3-outposts"})
# AWS IoT's clients add the session token to a presigned WebSocket URL after they signed it.
# https://docs.aws.amazon.com/iot/latest/developerguide/protocols.html
TOKEN_AFTER_SIGNING = frozenset({"iotdevicegateway"})


@dataclass(frozen=True, slots=True)
class Claim:
    """Who a request says it is from. ``content_sha256`` is what the canonical request has for the body, where declared."""

    kind: Literal["header", "presigned"]
    access_key_id: str
    date: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str
    signed_at: str
    session_token: str | None = None
    expires: int | None = None
    content_sha256: str | None = None

    @property
    def scope(self) -> str:
        """The credential's scope."""
        return f"{self.date}/{self.region}/{self.service}/aws4_request"

    @property
    def chunked(self) -> bool:
        """Whether the body is aws-chunked."""
        return (self.content_sha256 or "").startswith(STREAMING)

    @property
    def is_s3(self) -> bool:
        """Whether S3's rules hold: the path is signed as it is, and the body's hash is always declared."""
        return self.service in _UNNORMALISED


def declared_sha256(claim: Claim) -> str | None:
    """The digest a streamed body must have, or None where the client did not sign one."""
    declared = claim.content_sha256
    return declared if declared is not None and _HEX64.fullmatch(declared) else None


def read_claim(request: HttpRequest) -> Claim | None:
    """The claim a request makes, None for an anonymous one; AwsError for one that cannot be read."""
    authorization = request.headers.get("authorization")
    query = _presigned_parameters(request.query)
    if authorization is not None:
        if "X-Amz-Algorithm" in query:
            raise AwsError(
                "InvalidArgument",
                "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string "
                "parameter or the Authorization header should be specified",
                status=400,
            )
        return _header_claim(authorization, request.headers)
    if "X-Amz-Algorithm" in query or "X-Amz-Signature" in query:
        return _presigned_claim(query, request.headers)
    return None


def _incomplete(message: str, *, s3: bool = False) -> AwsError:
    return AwsError("AuthorizationHeaderMalformed" if s3 else "IncompleteSignature", message, status=400)


def _header_claim(text: str, headers: Mapping[str, str]) -> Claim:
    algorithm, _, rest = text.strip().partition(" ")
    if algorithm != ALGORITHM:
        raise AwsError(
            "InvalidRequest",
            f"The authorization mechanism you have provided is not supported. Please use {ALGORITHM}.",
            status=400,
        )
    if len(text) > _LONGEST_HEADER:
        raise _incomplete("The Authorization header is too long.")
    parts: dict[str, str] = {}
    for item in rest.split(","):
        name, _, value = item.strip().partition("=")
        if name in parts or name not in _PARTS:  # a second header of this name was joined to the first
            raise _incomplete(f"Authorization header has '{name[:32]}' where it may not.")
        parts[name] = value
    for name in _PARTS:
        if not parts.get(name):
            raise _incomplete(f"Authorization header requires '{name}' parameter. Authorization={algorithm}")
    signed_at = headers.get("x-amz-date") or _amz_date(headers.get("date", ""))
    if not signed_at:
        raise _incomplete(
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. "
            f"Authorization={algorithm}"
        )
    return _claim(
        "header",
        parts,
        signed_at,
        token=headers.get("x-amz-security-token"),
        content=headers.get("x-amz-content-sha256"),
    )


def _claim(
    kind: Literal["header", "presigned"],
    parts: Mapping[str, str],
    signed_at: str,
    *,
    token: str | None,
    content: str | None,
    expires: int | None = None,
) -> Claim:
    credential = parts["Credential"].split("/")
    s3 = len(credential) >= 5 and credential[-2] in _UNNORMALISED
    if len(credential) < 5 or not all(credential) or credential[-1] != "aws4_request":
        raise _incomplete(
            "Credential must have at least 5 slash-delimited elements, the last of them aws4_request "
            "(e.g. keyid/date/region/service/term)",
            s3=s3,
        )
    date, region, service = credential[-4:-1]
    if not _AMZ_DATE.fullmatch(signed_at):
        raise _incomplete(f"Date must be in ISO-8601 'basic format'. Got '{signed_at[:32]}'.", s3=s3)
    if date != signed_at[:8]:
        raise _refusal_code(
            service,
            f"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            f"'{date[:16]}' != '{signed_at[:8]}', from '{signed_at}'.",
        )
    headers = tuple(parts["SignedHeaders"].lower().split(";"))
    if "host" not in headers:
        raise _refusal_code(service, "'Host' must be a 'SignedHeader' in the AWS Authorization.")
    if not _HEX64.fullmatch(parts["Signature"]):
        raise _refusal_code(service, _MISMATCH)
    return Claim(
        kind,
        "/".join(credential[:-4]),
        date,
        region,
        service,
        headers,
        parts["Signature"],
        signed_at,
        token,
        expires,
        content,
    )


def _presigned_parameters(query: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for item in query.split("&") if "X-Amz-" in query else ():
        name, _, value = item.partition("=")
        if name.startswith("X-Amz-"):
            if name in found:
                raise AwsError("AuthorizationQueryParametersError", f"{name} is there more than once.", status=400)
            found[name] = unquote(value)
    return found


def _presigned_claim(query: Mapping[str, str], headers: Mapping[str, str]) -> Claim:
    def wrong(message: str) -> AwsError:
        return AwsError("AuthorizationQueryParametersError", message, status=400)

    if query.get("X-Amz-Algorithm") != ALGORITHM:
        raise wrong(f'X-Amz-Algorithm only supports "{ALGORITHM}"')
    for name in ("Credential", "Signature", "SignedHeaders", "Date"):
        if not query.get(f"X-Amz-{name}"):
            raise wrong(
                "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, "
                "X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters."
            )
    parts = {name: query[f"X-Amz-{name}"] for name in ("Credential", "Signature", "SignedHeaders")}
    text = query.get("X-Amz-Expires", "3600" if "/s3/" not in parts["Credential"] else "")
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise wrong("X-Amz-Expires should be a number")
    expires = int(text)
    if not 1 <= expires <= _LONGEST_EXPIRY:
        raise wrong("X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less "
                    "than 604800 seconds" if expires else "X-Amz-Expires must be at least 1")  # fmt: skip
    signed = parts["SignedHeaders"].lower().split(";")
    content = query.get("X-Amz-Content-Sha256")
    if "x-amz-content-sha256" in signed:
        content = headers.get("x-amz-content-sha256")
    return _claim(
        "presigned",
        parts,
        query["X-Amz-Date"],
        token=query.get("X-Amz-Security-Token"),
        content=content,
        expires=expires,
    )


def _amz_date(text: str) -> str:
    """A Date header, in either form, as an amz date."""
    if _AMZ_DATE.fullmatch(text):
        return text
    try:
        return datetime.strptime(text, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC).strftime("%Y%m%dT%H%M%SZ")
    except ValueError:
        return ""


# --- verification --------------------------------------------------------------------------------------------------------

_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)
_S3_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your key and signing method."
)


def _refusal_code(service: str, message: str) -> AwsError:
    code = "SignatureDoesNotMatch" if service in _QUERY_SERVICES or service in _UNNORMALISED else None
    return AwsError(code or "InvalidSignatureException", message, status=403)


def verify(
    claim: Claim,
    request: HttpRequest,
    secret: str,
    *,
    payload_sha256: str | None,
    now: float,
    signed_path: str | None = None,
) -> None:
    """Raise AwsError unless the request is the one the owner of ``secret`` signed, now.

    ``payload_sha256``: see the module. ``signed_path`` is the path as the client sent it, where ``request.raw_path`` is
    not (S3's host style, which the edge rewrites).
    """
    _check_time(claim, now)
    _check_unsigned(claim, request.headers)
    content = _content_hash(claim, payload_sha256)
    path = request.raw_path if signed_path is None else signed_path
    for form in _paths(claim, path):
        expected = signature(claim, canonical_request(claim, request, form, content), secret)
        if hmac.compare_digest(expected, claim.signature):
            return
    raise _refusal_code(claim.service, _S3_MISMATCH if claim.is_s3 else _MISMATCH)


def signature(claim: Claim, canonical: str, secret: str) -> str:
    """The signature of a canonical request."""
    key = signing_key(secret, claim.date, claim.region, claim.service)
    return hmac.digest(key, string_to_sign(claim, canonical).encode(), "sha256").hex()


def string_to_sign(claim: Claim, canonical: str) -> str:
    """Algorithm, time, scope and the canonical request's hash."""
    return f"{ALGORITHM}\n{claim.signed_at}\n{claim.scope}\n{sha256(canonical.encode()).hexdigest()}"


@lru_cache(maxsize=512)
def signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    """The key of one day, region and service."""
    key = f"AWS4{secret}".encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def canonical_request(claim: Claim, request: HttpRequest, path: str, content: str) -> str:
    """What the client must have signed."""
    headers = "".join(f"{name}:{' '.join(request.headers.get(name, '').split())}\n" for name in claim.signed_headers)
    query = _canonical_query(request.query, claim)
    return f"{request.method}\n{path}\n{query}\n{headers}\n{';'.join(claim.signed_headers)}\n{content}"


def _paths(claim: Claim, raw_path: str) -> list[str]:
    """The forms of the path that mean the same: S3's as sent or encoded anew, others' normalised and encoded twice."""
    path = raw_path or "/"
    if claim.is_s3:
        return list(dict.fromkeys((path, quote(unquote(path), safe="/~"))))
    return [quote(_normalised(path), safe="/~")]


def _normalised(path: str) -> str:
    """Without empty, ``.`` and ``..`` segments (RFC 3986)."""
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in ("", "."):
            kept.append(segment)
    trailing = "/" if kept and path.endswith(("/", "/.", "/..")) else ""
    return "/" + "/".join(kept) + trailing


def _canonical_query(query: str, claim: Claim) -> str:
    pairs = []
    for item in query.split("&"):
        if not item:
            continue
        name, _, value = item.partition("=")
        if name == "X-Amz-Signature":
            continue
        if name == "X-Amz-Security-Token" and claim.service in TOKEN_AFTER_SIGNING:
            continue
        pairs.append((quote(unquote(name), safe="-_.~"), quote(unquote(value), safe="-_.~")))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def _content_hash(claim: Claim, payload_sha256: str | None) -> str:
    """The last line of the canonical request."""
    declared = claim.content_sha256
    if claim.is_s3:
        if declared is None:
            if claim.kind == "presigned":
                return UNSIGNED
            raise AwsError(
                "InvalidRequest", "Missing required header for this request: x-amz-content-sha256", status=400
            )
        if _HEX64.fullmatch(declared) and payload_sha256 is not None and declared != payload_sha256:
            raise AwsError(
                "XAmzContentSHA256Mismatch",
                "The provided 'x-amz-content-sha256' header does not match what was computed.",
                members={"ClientComputedContentSHA256": declared, "S3ComputedContentSHA256": payload_sha256},
            )
        if not (_HEX64.fullmatch(declared) or declared == UNSIGNED or declared.startswith(STREAMING)):
            raise AwsError(
                "InvalidArgument",
                "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, "
                "STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value.",
                members={"ArgumentName": "x-amz-content-sha256", "ArgumentValue": declared[:128]},
            )
        return declared
    if payload_sha256 is not None:
        return payload_sha256
    if declared is None or not _HEX64.fullmatch(declared):
        raise _refusal_code(claim.service, "A streamed body needs its SHA-256 in x-amz-content-sha256.")
    return declared


def _check_unsigned(claim: Claim, headers: Mapping[str, str]) -> None:
    """An x-amz- header that is not signed could have been added on the way."""
    unsigned = [
        name
        for name in headers
        if name.startswith("x-amz-")
        and name not in claim.signed_headers
        and name not in _UNSIGNED_ALLOWED
        # AWS's own suite has a token added after signing; it must still be the one the key was issued with.
        and (claim.is_s3 or name != "x-amz-security-token")
    ]
    if not unsigned:
        return
    message = "There were headers present in the request which were not signed"
    if claim.is_s3:
        raise AwsError("AccessDenied", message, status=403, members={"HeadersNotSigned": ", ".join(unsigned)})
    raise _refusal_code(claim.service, f"{message}: {', '.join(unsigned)}")


def _epoch(amz_date: str) -> float:
    try:
        day, clock = int(amz_date[:8]), int(amz_date[9:15])  # strptime takes a tenth of a small request's time
        year, month, hour, minute = day // 10_000, day // 100 % 100, clock // 10_000, clock // 100 % 100
        return datetime(year, month, day % 100, hour, minute, clock % 100, tzinfo=UTC).timestamp()
    except ValueError:
        raise _incomplete(f"Date must be in ISO-8601 'basic format'. Got '{amz_date[:32]}'.") from None


def _check_time(claim: Claim, now: float) -> None:
    signed_at = _epoch(claim.signed_at)
    shown = datetime.fromtimestamp(now, UTC)
    if claim.expires is not None:
        if now > signed_at + claim.expires:
            until = datetime.fromtimestamp(signed_at + claim.expires, UTC)
            raise AwsError(
                "AccessDenied" if claim.is_s3 else "InvalidSignatureException",
                "Request has expired",
                status=403,
                members={
                    "X-Amz-Expires": str(claim.expires),
                    "Expires": until.strftime("%Y-%m-%dT%H:%M:%SZ"),
                    "ServerTime": shown.strftime("%Y-%m-%dT%H:%M:%SZ"),
                },
            )
        if signed_at > now + _SKEW:
            raise AwsError("AccessDenied", "Request is not yet valid", status=403)
        return
    if abs(now - signed_at) <= _SKEW:
        return
    if claim.is_s3:
        raise AwsError(
            "RequestTimeTooSkewed",
            "The difference between the request time and the current time is too large.",
            status=403,
            members={
                "RequestTime": claim.signed_at,
                "ServerTime": shown.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "MaxAllowedSkewMilliseconds": str(_SKEW * 1000),
            },
        )
    clock = shown.strftime("%Y%m%dT%H%M%SZ")
    if signed_at < now:
        edge = datetime.fromtimestamp(now - _SKEW, UTC).strftime("%Y%m%dT%H%M%SZ")
        message = f"Signature expired: {claim.signed_at} is now earlier than {edge} ({clock} - 15 min.)"
    else:
        edge = datetime.fromtimestamp(now + _SKEW, UTC).strftime("%Y%m%dT%H%M%SZ")
        message = f"Signature not yet current: {claim.signed_at} is still later than {edge} ({clock} + 15 min.)"
    raise _refusal_code(claim.service, message)
