"""The key notifications are signed with: RSA 2048, made at the first need, kept in ``data/sns/signing.pem`` (0600).

The signature is AWS's, over the same text, version 1 (SHA-1) or 2 (SHA-256); the certificate is this house's own and
self-signed, so a receiver that verifies must take it from ``SigningCertURL`` of this house.
https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html
"""

from __future__ import annotations

import asyncio
import base64
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from lakebed.kernel.kernel import Kernel

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

_FROM, _TO = datetime(2020, 1, 1, tzinfo=UTC), datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC)


class Signer:
    """Call ``ready`` once before ``sign``."""

    def __init__(self, k: Kernel) -> None:
        self._k = k
        self._path = k.data / "sns" / "signing.pem"
        self._key: RSAPrivateKey | None = None
        self.certificate_pem = ""

    async def ready(self) -> None:
        """Load the key, or make it."""
        if self._key is None:
            with self._k.clock.working():
                self._key, self.certificate_pem = await asyncio.to_thread(self._load)

    def sign(self, text: str, version: str) -> str:
        """Base64 of the signature."""
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding

        assert self._key is not None, "ready was awaited"
        digest = hashes.SHA256() if version == "2" else hashes.SHA1()  # noqa: S303 - version 1 is SHA-1 at AWS
        return base64.b64encode(self._key.sign(text.encode(), padding.PKCS1v15(), digest)).decode()

    def _load(self) -> tuple[RSAPrivateKey, str]:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import rsa
        from cryptography.x509.oid import NameOID

        if not self._path.exists():
            key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
            name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Lakebed SNS")])
            certificate = (
                x509.CertificateBuilder()
                .subject_name(name)
                .issuer_name(name)
                .public_key(key.public_key())
                .serial_number(x509.random_serial_number())
                .not_valid_before(_FROM)
                .not_valid_after(_TO)
                .sign(key, hashes.SHA256())
            )
            private = key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._k.disk.write_atomic(self._path, private + certificate.public_bytes(serialization.Encoding.PEM))
            self._path.chmod(0o600)
        content = self._path.read_bytes()
        loaded = serialization.load_pem_private_key(content, None)
        assert isinstance(loaded, rsa.RSAPrivateKey), "we made it"
        return loaded, content[content.index(b"-----BEGIN CERTIFICATE") :].decode("ascii")
