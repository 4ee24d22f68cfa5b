"""Envelope encryption for services whose logs hold sealed records: AES-256-GCM under a data key that KMS wrapped.

A data key seals for a few minutes and a bounded number of records; its wrapped copy is kept by the service, which asks
``Keys.decrypt`` for the plain one whenever it reads, so that a key disabled a moment ago stops the reader
(https://docs.aws.amazon.com/streams/latest/dev/what-is-sse.html). Nonces are counted behind a random head, so that one is
never used twice under a key. ``cryptography`` is imported on first use: it is heavy at start.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from lakebed.kernel.errors import AwsError

NONCE_BYTES = 12
KEY_SECONDS = 300.0
_SEALS_MAX = 1 << 31
# KMS's errors as the services that use it name them.
_NAMES = {
    "NotFoundException": "KMSNotFoundException",
    "DisabledException": "KMSDisabledException",
    "KMSInvalidStateException": "KMSInvalidStateException",
    "AccessDeniedException": "KMSAccessDeniedException",
    "AccessDenied": "KMSAccessDeniedException",
    "InvalidCiphertextException": "KMSInvalidStateException",
    "IncorrectKeyException": "KMSInvalidStateException",
    "ThrottlingException": "KMSThrottlingException",
}


class Cipher(Protocol):
    """An AEAD cipher under one key."""

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None, /) -> bytes:
        """Ciphertext and tag."""
        ...

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None, /) -> bytes:
        """What was encrypted."""
        ...


class Sealer:
    """Seals under one data key, ``number`` among its owner's, until ``ends``."""

    def __init__(self, number: int, key_arn: str, plaintext: bytes, head: bytes, ends: float) -> None:
        self.number, self.key_arn, self.ends = number, key_arn, ends
        self._cipher, self._head, self._count = cipher(plaintext), head[:8], 0

    @property
    def spent(self) -> bool:
        """Whether it has sealed as much as one key should (a nonce's counter has 32 bits)."""
        return self._count >= _SEALS_MAX

    def seal(self, data: bytes, bound: bytes = b"") -> bytes:
        """Nonce and ciphertext; ``bound`` must be told again to open."""
        self._count += 1
        nonce = self._head + self._count.to_bytes(4, "big")
        return nonce + self._cipher.encrypt(nonce, data, bound)


def cipher(plaintext: bytes) -> Cipher:
    """The cipher of a plain data key."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(plaintext)


def opened(key: Cipher, sealed: bytes, bound: bytes = b"") -> bytes:
    """What was sealed; OSError where the bytes are not what was written."""
    from cryptography.exceptions import InvalidTag

    try:
        return key.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound)
    except InvalidTag:
        raise OSError("a sealed record does not open under its data key") from None


def told(failure: AwsError, make: Callable[[str, str], AwsError]) -> AwsError:
    """A failure of KMS under the name streaming services give it."""
    name = _NAMES.get(failure.error_code)
    return failure if name is None else make(name, failure.message)
