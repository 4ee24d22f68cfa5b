"""Data keys of objects: asked of KMS for the caller when a body is written, and again whenever one is read.

No plain data key outlives its request: the key's present state and policy decide each read, so that disabling a key stops
reads at once. A bucket key changes the encryption context (the bucket's ARN in place of the object's) as on AWS; the calls
it would save are calls inside one process here.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from lakebed.kernel.errors import AwsError
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Principal
from lakebed.ports.house import Ports
from lakebed.services.s3.model import encryption
from lakebed.services.s3.model.encryption import CUSTOMER_MEMBERS
from lakebed.services.s3.model.errors import access_denied
from lakebed.services.s3.model.sealing import CUSTOMER, NONCE_BYTES, Encryption, Sealer, is_proven, proof_of
from lakebed.services.s3.model.shapes import Bucket

_VIA = "s3"
_SALT_BYTES = 16


class Sealed(NamedTuple):
    """How a write is encrypted, and the plain key while it lasts."""

    encryption: Encryption
    key: bytes

    def sealer(self) -> Sealer:
        """For the body from its beginning."""
        return Sealer(self.key, self.encryption.kind, self.encryption.nonce)

    def begun_at(self, nonce: bytes) -> Sealed:
        """The same key, another body."""
        return Sealed(msgspec.structs.replace(self.encryption, nonce=nonce), self.key)


class DataKeys:
    """Keys for bodies of one house."""

    def __init__(self, k: Kernel, p: Ports) -> None:
        self._k, self._p = k, p

    def nonce(self) -> bytes:
        """Where a body's counter begins."""
        return self._k.ids.secret(NONCE_BYTES)

    def check_key(self, principal: Principal, bucket: Bucket, key: str) -> None:
        """Raise unless a bucket's default may name ``key``."""
        try:
            self._p.keys.key_arn(principal, bucket.scope, key)
        except AwsError as failure:
            raise _of_kms(failure) from None

    def seal(self, principal: Principal, bucket: Bucket, key: str, request: Mapping[str, Any]) -> Sealed | None:
        """A fresh key for a body that is about to be written to ``key``; None where it is to be SSE-S3."""
        wanted = encryption.wanted(request, encryption.default_of(bucket.encryption))
        if wanted is None:
            return None
        if wanted.kind == CUSTOMER:
            proof = proof_of(wanted.customer_key, self._k.ids.secret(_SALT_BYTES))
            kept = Encryption(CUSTOMER, self.nonce(), customer_md5=request["SSECustomerKeyMD5"], proof=proof)
            return Sealed(kept, wanted.customer_key)
        context = {**wanted.context, "aws:s3:arn": bucket.arn if wanted.bucket_key else f"{bucket.arn}/{key}"}
        try:
            made = self._p.keys.generate_data_key(principal, bucket.scope, wanted.key, context=context, via=_VIA)
        except AwsError as failure:
            raise _of_kms(failure) from None
        kept = Encryption(wanted.kind, self.nonce(), made.key_arn, made.ciphertext, context, wanted.bucket_key)
        return Sealed(kept, made.plaintext)

    def open(
        self,
        principal: Principal,
        bucket: Bucket,
        kept: Encryption | None,
        request: Mapping[str, Any],
        members: tuple[str, str, str] = CUSTOMER_MEMBERS,
    ) -> bytes | None:
        """The plain key of what is ``kept`` encrypted; None where it is SSE-S3."""
        encryption.check_sealed_for(request, kept, members)
        if kept is None:
            return None
        if kept.kind == CUSTOMER:
            key = encryption.customer_key(request, members)
            if key is None or not is_proven(key, kept.proof):
                raise access_denied()
            return key
        try:
            return self._p.keys.decrypt(principal, bucket.scope, kept.wrapped, context=kept.context, via=_VIA)
        except AwsError as failure:
            raise _of_kms(failure) from None


def _of_kms(failure: AwsError) -> AwsError:
    """KMS's refusal as S3 tells it."""
    if failure.error_code in ("AccessDeniedException", "AccessDenied"):
        return access_denied(failure.message)
    if (failure.http_status or 400) >= 500:
        return failure
    code = failure.error_code.rpartition(".")[2]
    return AwsError(f"KMS.{code}", failure.message, status=400)
