"""Addresses that carry their own signature (SigV4 in the query), by botocore's signer.

https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html
"""

from __future__ import annotations

from urllib.parse import quote

from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from lakebed.wire.aws.sigv4 import TOKEN_AFTER_SIGNING


def presigned(
    url: str, service: str, region: str, *, key: str, secret: str, token: str | None = None, seconds: int = 300
) -> str:  # fmt: skip
    """``url`` for a GET within ``seconds`` of the machine's time, signed for ``service`` (its signing name)."""
    request = AWSRequest("GET", url)
    later = token if service in TOKEN_AFTER_SIGNING else None
    credentials = Credentials(key, secret, None if later else token)
    SigV4QueryAuth(credentials, service, region, expires=seconds).add_auth(request)
    return f"{request.url}&X-Amz-Security-Token={quote(later, safe='')}" if later else str(request.url)
