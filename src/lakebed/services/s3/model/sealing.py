"""Encrypted bodies: AES-256 in counter mode, whose size is the body's and whose ranges are read from where they begin.

A version that is encrypted keeps what is needed to ask for its key again: the data key as KMS wrapped it, with its
encryption context, or for a customer's key a salted proof by which a wrong one is refused. The counter of a body starts
at a random nonce; the parts of a multipart upload have one each, so completing joins ciphertexts as they are. DSSE is two
layers under two keys derived from the data key.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/serv-side-encryption.html. AWS seals with GCM; counter mode does not
notice a file changed on the disk, as nothing does for an object that is not encrypted.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

NONCE_BYTES = 16
_SALT_BYTES = 16
KMS, DSSE, CUSTOMER = "aws:kms", "aws:kms:dsse", "customer"


class Encryption(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a version, or an upload's parts, are encrypted. ``kind`` is ``aws:kms``, ``aws:kms:dsse`` or ``customer``."""

    kind: str
    nonce: bytes = b""
    key_arn: str = ""
    wrapped: bytes = b""
    context: dict[str, str] = {}
    bucket_key: bool = False
    customer_md5: str = ""
    proof: bytes = b""


def proof_of(key: bytes, salt: bytes) -> bytes:
    """What is kept of a customer's key: enough to know it again, not to find it."""
    return salt + hmac.digest(salt, key, hashlib.sha256)


def is_proven(key: bytes, proof: bytes) -> bool:
    """Whether ``key`` is the one of which ``proof`` was kept."""
    return hmac.compare_digest(proof_of(key, proof[:_SALT_BYTES]), proof)


class Sealer:
    """Encrypts and decrypts (counter mode: the same) one body from an offset on; not for two threads at once."""

    def __init__(self, key: bytes, kind: str, nonce: bytes, offset: int = 0) -> None:
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

        keys = [key] if kind != DSSE else [hmac.digest(key, layer, hashlib.sha256) for layer in (b"first", b"second")]
        start = (int.from_bytes(nonce, "big") + offset // 16) % (1 << 128)
        counter = modes.CTR(start.to_bytes(NONCE_BYTES, "big"))
        self._layers: list[Any] = [Cipher(algorithms.AES(each), counter).encryptor() for each in keys]
        if skipped := offset % 16:
            for layer in self._layers:
                layer.update(bytes(skipped))

    def __call__(self, piece: bytes) -> bytes:
        """The next bytes, encrypted or decrypted."""
        for layer in self._layers:
            piece = layer.update(piece)
        return piece


class Span(NamedTuple):
    """Bytes of a blob that were encrypted as one run: ``offset`` into that run."""

    start: int
    end: int
    nonce: bytes
    offset: int


def spans(nonce: bytes, parts: Sequence[tuple[int, bytes]], start: int, end: int) -> list[Span]:
    """The runs that the range from ``start`` to ``end`` touches; ``parts`` are sizes and nonces of a multipart object's."""
    if not parts:
        return [Span(start, end, nonce, start)]
    found, begin = [], 0
    for size, own in parts:
        low, high = max(start, begin), min(end, begin + size)
        if low < high:
            found.append(Span(low, high, own, low - begin))
        begin += size
    return found
