"""RSA, elliptic curves and HMAC: making pairs, encrypting, signing, verifying, agreeing. Pure, over DER bytes.

Private keys are PKCS #8 and public ones SubjectPublicKeyInfo, as KMS hands them out. ``cryptography`` is imported at first
use; making an RSA key takes up to a second, so callers do that in a thread.

https://docs.aws.amazon.com/kms/latest/developerguide/symm-asymm-choose-key-spec.html
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

from lakebed.services.kms.model import MAC, SPECS, SYMMETRIC

_HMAC_BYTES = {"HMAC_224": 28, "HMAC_256": 32, "HMAC_384": 48, "HMAC_512": 64}


class WrongInputError(ValueError):
    """A message, digest or peer key that does not fit; the text says why."""


def secret_bytes(spec: str) -> int:
    """How many random bytes the material of a symmetric spec has, 0 for a pair."""
    return 32 if spec == SYMMETRIC else _HMAC_BYTES.get(spec, 0)


def make_pair(spec: str) -> bytes:
    """A new private key."""
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key: Any
    if spec.startswith("RSA_"):
        key = rsa.generate_private_key(65537, int(spec[4:]))
    else:
        curve: Any = {
            "ECC_NIST_P256": ec.SECP256R1, "ECC_NIST_P384": ec.SECP384R1, "ECC_NIST_P521": ec.SECP521R1,
            "ECC_SECG_P256K1": ec.SECP256K1,
        }[spec]  # fmt: skip
        key = ec.generate_private_key(curve())
    return bytes(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))


def public_of(private: bytes) -> bytes:
    """The public key of a private one."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return bytes(_private(private).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def encrypt(private: bytes, algorithm: str, plaintext: bytes) -> bytes:
    """RSA with OAEP."""
    try:
        return bytes(_private(private).public_key().encrypt(plaintext, _oaep(algorithm)))
    except ValueError:
        raise WrongInputError(f"Algorithm {algorithm} and key spec do not allow a plaintext of that size.") from None


def decrypt(private: bytes, algorithm: str, ciphertext: bytes) -> bytes | None:
    """What was encrypted, None where it does not open."""
    try:
        return bytes(_private(private).decrypt(ciphertext, _oaep(algorithm)))
    except ValueError:
        return None


def sign(private: bytes, algorithm: str, message: bytes, *, is_digest: bool) -> bytes:
    """A signature; ECDSA's in DER."""
    key = _private(private)
    digest, prehashed = _digest(algorithm, message, is_digest=is_digest)
    if algorithm.startswith("ECDSA"):
        from cryptography.hazmat.primitives.asymmetric import ec

        return bytes(key.sign(digest, ec.ECDSA(prehashed)))
    return bytes(key.sign(digest, _padding(algorithm), prehashed))


def verify(private: bytes, algorithm: str, message: bytes, signature: bytes, *, is_digest: bool) -> bool:
    """Whether a signature is this key's."""
    from cryptography.exceptions import InvalidSignature

    key = _private(private).public_key()
    digest, prehashed = _digest(algorithm, message, is_digest=is_digest)
    try:
        if algorithm.startswith("ECDSA"):
            from cryptography.hazmat.primitives.asymmetric import ec

            key.verify(signature, digest, ec.ECDSA(prehashed))
        else:
            key.verify(signature, digest, _padding(algorithm), prehashed)
    except InvalidSignature:
        return False
    return True


def agree(private: bytes, peer: bytes) -> bytes:
    """The shared secret of ECDH with a peer's public key."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        other: Any = load_der_public_key(peer)
        return bytes(_private(private).exchange(ec.ECDH(), other))
    except (ValueError, TypeError, AttributeError, UnsupportedAlgorithm):
        raise WrongInputError("PublicKey is no point of the key's curve in DER-encoded X.509 form.") from None


def mac(secret: bytes, algorithm: str, message: bytes) -> bytes:
    """HMAC."""
    return hmac.new(secret, message, f"sha{algorithm.rpartition('_')[2]}").digest()


def mac_algorithm(spec: str) -> str:
    """The one algorithm of an HMAC spec."""
    return SPECS[spec].uses[MAC][0]


def _private(der: bytes) -> Any:
    from cryptography.hazmat.primitives.serialization import load_der_private_key

    return load_der_private_key(der, None)


def _hash(algorithm: str) -> Any:
    from cryptography.hazmat.primitives import hashes

    kinds: dict[str, Any] = {"1": hashes.SHA1, "256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}
    return kinds[algorithm.rpartition("_")[2]]()


def _digest(algorithm: str, message: bytes, *, is_digest: bool) -> tuple[bytes, Any]:
    from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

    kind = _hash(algorithm)
    if not is_digest:
        message = hashlib.new(kind.name, message).digest()
    elif len(message) != kind.digest_size:
        raise WrongInputError(f"Digest is invalid length for algorithm {algorithm}.")
    return message, Prehashed(kind)


def _padding(algorithm: str) -> Any:
    from cryptography.hazmat.primitives.asymmetric import padding

    if algorithm.startswith("RSASSA_PSS"):
        kind = _hash(algorithm)
        return padding.PSS(padding.MGF1(kind), kind.digest_size)
    return padding.PKCS1v15()


def _oaep(algorithm: str) -> Any:
    from cryptography.hazmat.primitives.asymmetric import padding

    kind = _hash(algorithm)
    return padding.OAEP(padding.MGF1(kind), kind, None)
