"""What requests say of encryption: customer's keys, KMS keys, a bucket's default, and how an answer tells it.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/serv-side-encryption.html. Every object that asks for nothing is SSE-S3
(``AES256``) where its bucket's default says nothing else. AWS takes a customer's key over TLS alone; here the door may be
plain HTTP.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from lakebed.kernel.errors import AwsError
from lakebed.services.s3.model.errors import access_denied, invalid_argument, invalid_request, malformed_xml
from lakebed.services.s3.model.sealing import CUSTOMER, DSSE, KMS, Encryption

SSE_S3 = "AES256"
CUSTOMER_MEMBERS = ("SSECustomerAlgorithm", "SSECustomerKey", "SSECustomerKeyMD5")
SOURCE_MEMBERS = ("CopySourceSSECustomerAlgorithm", "CopySourceSSECustomerKey", "CopySourceSSECustomerKeyMD5")
_KEY_BYTES = 32
_CONTEXT_BYTES_MAX = 8192


class Default(msgspec.Struct, frozen=True, omit_defaults=True):
    """A bucket's default encryption. ``block_customer``: SSE-C is refused."""

    algorithm: str = SSE_S3
    key: str = ""
    bucket_key: bool = False
    block_customer: bool = False


class Wanted(msgspec.Struct, frozen=True):
    """The encryption a write asks for, its bucket's default filled in. ``customer_key`` for SSE-C."""

    kind: str
    key: str = ""
    context: dict[str, str] = {}
    bucket_key: bool = False
    customer_key: bytes = b""


_decode_default = msgspec.msgpack.Decoder(Default).decode


def default_of(encoded: bytes | None) -> Default:
    """A bucket's default, SSE-S3 where none was put."""
    return _decode_default(encoded) if encoded else Default()


def customer_key(request: Mapping[str, Any], members: tuple[str, str, str] = CUSTOMER_MEMBERS) -> bytes | None:
    """The customer's key of a request, checked against its MD5; None where it sends none."""
    algorithm, encoded, digest = (request.get(member) for member in members)
    if algorithm is None and encoded is None and digest is None:
        return None
    prefix = "x-amz-copy-source-" if members is SOURCE_MEMBERS else "x-amz-"
    if algorithm is None:
        raise invalid_argument(
            "Requests specifying Server Side Encryption with Customer provided keys must provide a valid encryption "
            "algorithm.",
            f"{prefix}server-side-encryption",
        )
    if algorithm != SSE_S3:
        raise AwsError(
            "InvalidEncryptionAlgorithmError",
            "The Encryption request you specified is not valid. Supported value: AES256.",
            status=400,
        )
    name = f"{prefix}server-side-encryption-customer-key"
    if not encoded:
        raise invalid_argument(
            "Requests specifying Server Side Encryption with Customer provided keys must provide an appropriate secret key.",
            name,
        )
    try:
        key = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != _KEY_BYTES:
        raise invalid_argument("The secret key was invalid for the specified algorithm.", name)
    if not digest:
        raise invalid_argument(
            "Requests specifying Server Side Encryption with Customer provided keys must provide the client calculated MD5 "
            "of the secret key.",
            f"{name}-MD5",
        )
    if base64.b64encode(hashlib.md5(key, usedforsecurity=False).digest()).decode() != digest:
        raise invalid_argument(
            "The calculated MD5 hash of the key did not match the hash that was provided.", f"{name}-MD5", digest
        )
    return key


def wanted(request: Mapping[str, Any], default: Default) -> Wanted | None:
    """What a write asks for; None for SSE-S3."""
    key, asked = customer_key(request), request.get("ServerSideEncryption")
    if key is not None:
        if asked is not None:
            raise invalid_argument(
                "Server Side Encryption with Customer provided key is incompatible with the encryption "
                "method specified",
                "x-amz-server-side-encryption",
                asked,
            )
        if default.block_customer:
            raise access_denied("The bucket does not take objects encrypted with customer-provided keys (SSE-C).")
        return Wanted(CUSTOMER, customer_key=key)
    named = request.get("SSEKMSKeyId")
    context = _context(request.get("SSEKMSEncryptionContext"))
    if asked not in (KMS, DSSE) and (named is not None or context):
        raise invalid_argument(
            "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms",
            "x-amz-server-side-encryption",
            asked,
        )
    kind = asked or default.algorithm
    if kind == SSE_S3:
        return None
    if kind not in (KMS, DSSE):
        raise invalid_argument("The encryption method specified is not supported", "x-amz-server-side-encryption", kind)
    inherited = default if default.algorithm == kind else Default()
    bucket_key = request.get("BucketKeyEnabled")
    if bucket_key and kind == DSSE:
        raise invalid_argument(
            "An S3 Bucket Key cannot be used with aws:kms:dsse", "x-amz-server-side-encryption", kind
        )
    return Wanted(
        kind,
        named or inherited.key or "alias/aws/s3",
        context,
        inherited.bucket_key if bucket_key is None else bool(bucket_key),
    )


def _context(encoded: str | None) -> dict[str, str]:
    if not encoded:
        return {}
    try:
        raw = base64.b64decode(encoded, validate=True)
        found = msgspec.json.decode(raw[: _CONTEXT_BYTES_MAX + 1], type=dict[str, str])
    except (binascii.Error, ValueError, msgspec.DecodeError):
        raise invalid_argument(
            "The header 'x-amz-server-side-encryption-context' shall be Base64-encoded UTF-8 string holding JSON which "
            "represents a string-string map",
            "x-amz-server-side-encryption-context",
            encoded,
        ) from None
    if any(name.lower().startswith("aws:") for name in found):
        raise invalid_argument(
            "The encryption context may not hold reserved names", "x-amz-server-side-encryption-context"
        )
    return found


def check_sealed_for(request: Mapping[str, Any], encryption: Encryption | None, members: tuple[str, str, str]) -> None:
    """A key for what is not under a customer's, or none for what is, is refused alike."""
    sent = customer_key(request, members) is not None
    if encryption is not None and encryption.kind == CUSTOMER:
        if not sent:
            raise invalid_request(
                "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to "
                "retrieve the object."
            )
    elif sent:
        raise invalid_request("The encryption parameters are not applicable to this object.")


def told(encryption: Encryption | None) -> dict[str, Any]:
    """The members of an answer that tell how an object is encrypted."""
    if encryption is None:
        return {"ServerSideEncryption": SSE_S3}
    if encryption.kind == CUSTOMER:
        return {"SSECustomerAlgorithm": SSE_S3, "SSECustomerKeyMD5": encryption.customer_md5}
    answer: dict[str, Any] = {"ServerSideEncryption": encryption.kind, "SSEKMSKeyId": encryption.key_arn}
    return answer | ({"BucketKeyEnabled": True} if encryption.bucket_key else {})


def written(told_members: dict[str, Any], encryption: Encryption | None) -> dict[str, Any]:
    """As ``told``, for the answer to a write: with the context the client gave."""
    own = {name: value for name, value in (encryption.context if encryption else {}).items() if name != "aws:s3:arn"}
    if own:
        told_members["SSEKMSEncryptionContext"] = base64.b64encode(msgspec.json.encode(own)).decode()
    return told_members


def parse_configuration(rules: list[Mapping[str, Any]]) -> Default:
    """The default of a PutBucketEncryption."""
    if len(rules) != 1:
        raise malformed_xml()
    rule = rules[0]
    chosen = rule.get("ApplyServerSideEncryptionByDefault") or {}
    algorithm, key = chosen.get("SSEAlgorithm") or SSE_S3, chosen.get("KMSMasterKeyID") or ""
    if algorithm not in (SSE_S3, KMS, DSSE):
        raise malformed_xml()
    if key and algorithm == SSE_S3:
        raise invalid_argument(
            "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse"
        )
    blocked = ((rule.get("BlockedEncryptionTypes") or {}).get("EncryptionType")) or []
    if set(blocked) - {"NONE", "SSE-C"}:
        raise malformed_xml()
    return Default(algorithm, key, bool(rule.get("BucketKeyEnabled")), "SSE-C" in blocked)


def configuration(default: Default) -> dict[str, Any]:
    """What GetBucketEncryption tells."""
    chosen = {"SSEAlgorithm": default.algorithm} | ({"KMSMasterKeyID": default.key} if default.key else {})
    rule: dict[str, Any] = {"ApplyServerSideEncryptionByDefault": chosen, "BucketKeyEnabled": default.bucket_key}
    if default.block_customer:
        rule["BlockedEncryptionTypes"] = {"EncryptionType": ["SSE-C"]}
    return {"Rules": [rule]}
