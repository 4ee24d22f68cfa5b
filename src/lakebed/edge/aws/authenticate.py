"""Who is asking: the key behind a request's claim, before its body is read; the signature, as soon as its hash is known.

Every request is verified against a key that exists in IAM; nothing is accepted by its looks. The account comes from the
key, the region from the credential's scope. A request without credentials is ANONYMOUS, which only S3 may serve (it asks
the bucket's policy itself).

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html
"""

from __future__ import annotations

import hmac
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import unquote

from lakebed.edge.aws import errors, sigv2
from lakebed.kernel.clock import Clock
from lakebed.kernel.errors import AwsError
from lakebed.kernel.scope import ANONYMOUS, Principal, Scope
from lakebed.ports.house import Ports
from lakebed.ports.identity import AccessKey
from lakebed.wire.aws import chunked, sigv4
from lakebed.wire.aws.message import HttpRequest

_SCOPE = re.compile(r"/([a-z0-9-]{1,64})/aws\d_request")
_REGION = re.compile(r"[a-z]{2,4}(-[a-z]{2,12}){1,3}-\d")
_OTHER_PARTITIONS = ("cn-", "us-gov-", "us-iso")
_DEFAULT_REGION = "us-east-1"


Claim = sigv4.Claim | sigv2.QueryClaim


@dataclass(frozen=True, slots=True)
class Caller:
    """A request's claim with the key it names. ``claim`` None: anonymous."""

    principal: Principal
    scope: Scope
    claim: Claim | None = None
    secret: str = ""


_NOBODY = Caller(ANONYMOUS, Scope(ANONYMOUS.account, _DEFAULT_REGION))


def read_claim(request: HttpRequest) -> Claim | None:
    """What a request says about who sent it; AwsError where that cannot be read."""
    return sigv4.read_claim(request) or sigv2.read_claim(request)


def hinted_service(request: HttpRequest) -> str | None:
    """The signing name in credentials that could not be read, so that their refusal is told in its protocol."""
    found = _SCOPE.search(request.headers.get("authorization", "") or unquote(request.query))
    return None if found is None else found[1]


def identify(claim: Claim | None, p: Ports, clock: Clock) -> Caller:
    """The caller a claim names; the signature is not verified yet."""
    if claim is None:
        return _NOBODY
    key = known_key(claim.access_key_id, claim.session_token, p, clock)
    if not _REGION.fullmatch(claim.region) or claim.region.startswith(_OTHER_PARTITIONS):
        raise AwsError("InvalidSignatureException", "Credential should be scoped to a valid region.")
    return Caller(key.principal, Scope(key.principal.account, claim.region), claim, key.secret)


def known_key(access_key_id: str, session_token: str | None, p: Ports, clock: Clock) -> AccessKey:
    """The key of this id, with the token it was sent with and before its end."""
    key = p.identity.access_key(access_key_id)
    if key is None:
        raise errors.unknown_key(access_key_id)
    if key.session_token is None:
        if session_token is not None:
            raise errors.invalid_token()
    elif not hmac.compare_digest(key.session_token.encode(), (session_token or "").encode()):
        raise errors.invalid_token()
    if key.expires_at is not None and key.expires_at <= clock.now():
        raise errors.expired_token()
    return key


def verify(caller: Caller, request: HttpRequest, signed_path: str, clock: Clock, payload_sha256: str | None) -> None:
    """Raise unless the signature is the key's. ``payload_sha256`` None: the body is streamed and checked on the way."""
    if isinstance(caller.claim, sigv2.QueryClaim):
        sigv2.verify(caller.claim, request, caller.secret, now=clock.wall())
    elif caller.claim is not None:
        sigv4.verify(
            caller.claim,
            request,
            caller.secret,
            payload_sha256=payload_sha256,
            now=clock.wall(),
            signed_path=signed_path,
        )


def decoded(caller: Caller, request: HttpRequest, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The body with ``aws-chunked`` taken off and its signatures, checksum or declared hash checked while it is read."""
    claim = caller.claim
    if isinstance(claim, sigv2.QueryClaim):
        return body
    if claim is None:
        declared = request.headers.get("x-amz-content-sha256", "")
        unsigned = declared.startswith(sigv4.STREAMING) and "UNSIGNED" in declared
        return chunked.DecodedBody(chunked.make_decoder(request.headers, None), body) if unsigned else body
    decoder = chunked.decoder_for(claim, caller.secret, request.headers)
    if decoder is not None:
        return chunked.DecodedBody(decoder, body)
    digest = sigv4.declared_sha256(claim)
    return body if digest is None else _hashed(digest, body)


async def _hashed(digest: str, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    computed = sha256()
    async for piece in body:
        computed.update(piece)
        yield piece
    if computed.hexdigest() != digest:
        raise AwsError(
            "XAmzContentSHA256Mismatch",
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
            members={"ClientComputedContentSHA256": digest, "S3ComputedContentSHA256": computed.hexdigest()},
        )
