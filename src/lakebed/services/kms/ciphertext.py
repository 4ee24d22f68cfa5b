"""What Encrypt returns: the key's id, the version of its material, and AES-256-GCM under a key of its own.

Each ciphertext is made under a key derived from the material and a fresh salt, so that a key may encrypt without end. The
header and the encryption context are associated data: a ciphertext opens only whole, and only with the same context.

    magic (4) | key id (16) | version (4) | salt (16) | nonce (12) | ciphertext and tag

https://docs.aws.amazon.com/kms/latest/developerguide/encrypt_context.html
https://docs.aws.amazon.com/kms/latest/cryptographic-details/basic-concepts.html. The format is our own: AWS's is not public.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from lakebed.kernel.ids import Ids

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_MAGIC = b"\x01\x02\x02\x00"
_HEADER = struct.Struct(">4s16sI16s")
_NONCE_BYTES, _TAG_BYTES = 12, 16
_LABEL = b"lakebed kms data encryption"


class BrokenError(Exception):
    """No ciphertext of ours, tampered with, or another context."""


class Sealed(NamedTuple):
    """A ciphertext taken apart; ``rest`` is nonce, ciphertext and tag."""

    key_id: str
    version: int
    salt: bytes
    header: bytes
    rest: bytes


def parse(blob: bytes) -> Sealed:
    """The parts; BrokenError where it is none of ours."""
    if len(blob) < _HEADER.size + _NONCE_BYTES + _TAG_BYTES or not blob.startswith(_MAGIC):
        raise BrokenError
    _, key, version, salt = _HEADER.unpack_from(blob)
    return Sealed(str(uuid.UUID(bytes=key)), version, salt, blob[: _HEADER.size], blob[_HEADER.size :])


def encrypt(
    material: bytes, key_id: str, version: int, plaintext: bytes, context: Mapping[str, str], ids: Ids
) -> bytes:
    """A fresh ciphertext."""
    salt, nonce = ids.secret(16), ids.secret(_NONCE_BYTES)
    header = _HEADER.pack(_MAGIC, uuid.UUID(key_id).bytes, version, salt)
    return header + nonce + _cipher(material, salt).encrypt(nonce, plaintext, header + canonical(context))


def decrypt(material: bytes, sealed: Sealed, context: Mapping[str, str]) -> bytes:
    """What was encrypted."""
    from cryptography.exceptions import InvalidTag

    nonce, data = sealed.rest[:_NONCE_BYTES], sealed.rest[_NONCE_BYTES:]
    try:
        return _cipher(material, sealed.salt).decrypt(nonce, data, sealed.header + canonical(context))
    except InvalidTag:
        raise BrokenError from None


def canonical(context: Mapping[str, str]) -> bytes:
    """An encryption context as bytes: pairs in order of their names, each with its length, so that no two are alike."""
    pieces = []
    for name, value in sorted(context.items()):
        for text in (name, value):
            data = text.encode("utf-8", "surrogatepass")
            pieces.append(struct.pack(">I", len(data)) + data)
    return b"".join(pieces)


def _cipher(material: bytes, salt: bytes) -> AESGCM:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(hmac.new(material, _LABEL + salt, hashlib.sha256).digest())
