"""Addresses that carry their own signature (SigV4 in the query), by botocore's signer; and forms that do, for browsers.

https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html
"""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from lakebed.wire.aws.sigv4 import TOKEN_AFTER_SIGNING, signing_key


def presigned(
    url: str, service: str, region: str, *, key: str, secret: str, token: str | None = None, seconds: int = 300
) -> str:  # fmt: skip
    """``url`` for a GET within ``seconds`` of the machine's time, signed for ``service`` (its signing name)."""
    request = AWSRequest("GET", url)
    later = token if service in TOKEN_AFTER_SIGNING else None
    credentials = Credentials(key, secret, None if later else token)
    SigV4QueryAuth(credentials, service, region, expires=seconds).add_auth(request)
    return f"{request.url}&X-Amz-Security-Token={quote(later, safe='')}" if later else str(request.url)


def presigned_form(
    fields: Mapping[str, str],
    conditions: Sequence[Any],
    region: str,
    keys: tuple[str, str, str],
    *,
    now: float,
    ends: float,
) -> dict[str, str]:
    """All hidden fields of a form that uploads to S3 until ``ends``: ``fields`` as they are, and a policy that also allows
    what ``conditions`` say, with its signature. ``keys`` are an access key's id, secret and session token."""
    access_key_id, secret, token = keys
    at = datetime.fromtimestamp(now, UTC)
    day = f"{at:%Y%m%d}"
    signed = {
        **fields,
        "x-amz-algorithm": "AWS4-HMAC-SHA256",
        "x-amz-credential": f"{access_key_id}/{day}/{region}/s3/aws4_request",
        "x-amz-date": f"{at:%Y%m%dT%H%M%SZ}",
    }
    if token:
        signed["x-amz-security-token"] = token
    expiration = f"{datetime.fromtimestamp(ends, UTC):%Y-%m-%dT%H:%M:%SZ}"
    document = {
        "expiration": expiration,
        "conditions": [*({name: value} for name, value in signed.items()), *conditions],
    }
    policy = base64.b64encode(json.dumps(document).encode()).decode()
    key = signing_key(secret, day, region, "s3")
    return {**signed, "policy": policy, "x-amz-signature": hmac.digest(key, policy.encode(), "sha256").hex()}
