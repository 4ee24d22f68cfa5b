"""Keys and certificates: our own authority, the server's certificate, and what a device's certificate says of itself.

Files lie in ``data/mqtt``: ``ca.pem``/``ca.key``, ``server.pem``/``server.key`` and ``server.names`` (what the server's
certificate was issued for). Keys are EC P-256 and mode 0600. ``cryptography`` is imported only where something is made or
parsed, because a house with files starts without it.

Device certificates follow AWS's: RSA 2048, subject ``CN=AWS IoT Certificate``, valid to the end of 2049
(https://docs.aws.amazon.com/iot/latest/developerguide/device-certs-create.html). The private key is handed out once and
never stored.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import os
import ssl
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from lakebed.kernel.clock import Clock
from lakebed.kernel.disk import Disk
from lakebed.ports.devices import CertificateFacts, IssuedCertificate

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey

_END_OF_TIME = datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC)
_SERVER_DAYS = 397
_RENEW_SECONDS = 30 * 86_400
_PEM_BYTES_MAX = 65_536


def certificate_id(der: bytes) -> str:
    """AWS's certificateId."""
    return hashlib.sha256(der).hexdigest()


class Authority:
    """``lakebed.ports.devices.CertificateAuthority`` on files."""

    def __init__(self, directory: Path, disk: Disk, clock: Clock, *, names: Sequence[str]) -> None:
        self._directory, self._disk, self._clock = directory, disk, clock
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not (directory / "ca.key").exists() or not (directory / "ca.pem").exists():
            self._make_authority()
        self._root = (directory / "ca.pem").read_text("ascii")
        self._ensure_server(sorted(set(names)))
        self.context = self._make_context()

    @property
    def root_pem(self) -> str:
        return self._root

    @property
    def root_path(self) -> Path:
        """The CA file itself, for ``--cafile`` options and environment variables."""
        return self._directory / "ca.pem"

    async def create_keys_and_certificate(self) -> IssuedCertificate:
        with self._clock.working():
            return await asyncio.to_thread(self._create_keys_and_certificate)

    async def sign_csr(self, csr_pem: str) -> IssuedCertificate:
        with self._clock.working():
            return await asyncio.to_thread(self._sign_csr, csr_pem)

    def describe(self, certificate_pem: str) -> CertificateFacts:
        return _facts(_parse(certificate_pem))

    def variables(self, certificate_pem: str) -> Mapping[str, str]:
        from lakebed.edge.mqtt.subjects import variables

        return variables(_parse(certificate_pem))

    def encode(self, certificate_der: bytes) -> str:
        return ssl.DER_cert_to_PEM_cert(certificate_der)

    def is_issued_by(self, certificate_pem: str, authority_pem: str) -> bool:
        from cryptography.exceptions import InvalidSignature

        certificate, issuer = _parse(certificate_pem), _parse(authority_pem)
        try:
            certificate.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature):
            return False
        return True

    def trust(self, certificate_pem: str) -> None:
        from cryptography.hazmat.primitives.serialization import Encoding

        text = _parse(certificate_pem).public_bytes(Encoding.PEM).decode()
        with suppress(ssl.SSLError):  # raised where the very same certificate is trusted already
            self.context.load_verify_locations(cadata=text)

    def _make_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self._directory / "server.pem", self._directory / "server.key")
        context.verify_mode = ssl.CERT_OPTIONAL  # a WebSocket is signed instead; MQTT without one is refused at CONNECT
        # A device certificate registered without its CA is itself what we trust: chains may end in a leaf.
        context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
        context.load_verify_locations(cadata=self._root)
        context.set_alpn_protocols(["x-amzn-mqtt-ca", "mqtt", "http/1.1", "x-amzn-http-ca"])
        return context

    def _make_authority(self) -> None:
        from cryptography import x509
        from cryptography.hazmat.primitives.asymmetric import ec

        key = ec.generate_private_key(ec.SECP256R1())
        name = _name("Lakebed IoT CA")
        usage = x509.KeyUsage(
            digital_signature=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        made = (
            self._builder(name, name, key.public_key(), _END_OF_TIME, key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(usage, critical=True)
        )
        self._write_key("ca.key", key)
        self._write("ca.pem", self._sign(made, key))

    def _ensure_server(self, names: Sequence[str]) -> None:
        noted = self._directory / "server.names"
        wanted = ",".join(names)
        if noted.exists() and (self._directory / "server.key").exists():
            until, _, has = noted.read_text("utf-8").partition(" ")
            if has == wanted and float(until) - _RENEW_SECONDS > self._clock.wall():
                return
        from cryptography import x509
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import ExtendedKeyUsageOID

        key, ca_key = ec.generate_private_key(ec.SECP256R1()), self._key()
        until_date = datetime.fromtimestamp(self._clock.wall(), UTC) + timedelta(days=_SERVER_DAYS)
        alternatives: list[x509.GeneralName] = []
        for name in names:
            try:
                alternatives.append(x509.IPAddress(ipaddress.ip_address(name)))
            except ValueError:
                alternatives.append(x509.DNSName(name))
        issuer = _parse(self._root).subject
        made = (
            self._builder(_name("localhost"), issuer, key.public_key(), until_date, ca_key.public_key())
            .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        )
        self._write_key("server.key", key)
        self._write("server.pem", self._sign(made, ca_key))
        self._write("server.names", f"{until_date.timestamp()} {wanted}".encode())

    def _create_keys_and_certificate(self) -> IssuedCertificate:
        from cryptography.hazmat.primitives.asymmetric import rsa
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        private = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
        return self._issue(_name("AWS IoT Certificate"), key.public_key(), private)

    def _sign_csr(self, csr_pem: str) -> IssuedCertificate:
        from cryptography import x509
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric import ec, rsa

        try:
            request = x509.load_pem_x509_csr(csr_pem.encode())
            public = request.public_key()
            is_sound = request.is_signature_valid
        except (ValueError, UnsupportedAlgorithm):
            raise ValueError("The certificate signing request is not valid PEM.") from None
        if not is_sound:
            raise ValueError("The certificate signing request is not signed by its own key.")
        if isinstance(public, rsa.RSAPublicKey):
            if public.key_size < 2048:
                raise ValueError("RSA keys must have 2048 bits or more.")
        elif not isinstance(public, ec.EllipticCurvePublicKey) or public.curve.name not in (
            "secp256r1",
            "secp384r1",
            "secp521r1",
        ):
            raise ValueError("The key must be RSA or on the curve P-256, P-384 or P-521.")
        return self._issue(request.subject, public, "")

    def _issue(self, subject: x509.Name, public: PublicKey, private_pem: str) -> IssuedCertificate:
        from cryptography import x509
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        ca_key = self._key()
        made = self._builder(
            subject, _parse(self._root).subject, public, _END_OF_TIME, ca_key.public_key()
        ).add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        pem = self._sign(made, ca_key).decode()
        public_pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        return IssuedCertificate(pem, _facts(_parse(pem)), public_pem, private_pem)

    def _builder(
        self,
        subject: x509.Name,
        issuer: x509.Name,
        public: PublicKey,
        until: datetime,
        issuer_key: ec.EllipticCurvePublicKey,
    ) -> x509.CertificateBuilder:
        from cryptography import x509

        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(datetime.fromtimestamp(self._clock.wall(), UTC) - timedelta(minutes=5))
            .not_valid_after(until)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
        )

    @staticmethod
    def _sign(made: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey) -> bytes:
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.serialization import Encoding

        return made.sign(key, SHA256()).public_bytes(Encoding.PEM)

    def _key(self) -> ec.EllipticCurvePrivateKey:
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        key = load_pem_private_key((self._directory / "ca.key").read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return key

    def _write_key(self, name: str, key: ec.EllipticCurvePrivateKey) -> None:
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

        self._write(name, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    def _write(self, name: str, content: bytes) -> None:
        """The kernel's files are born 0600, so a key is never readable by others, not for a moment."""
        self._disk.write_atomic(self._directory / name, content)
        assert os.name != "posix" or (self._directory / name).stat().st_mode & 0o077 == 0


def _name(common_name: str) -> x509.Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _parse(pem: str) -> x509.Certificate:
    from cryptography import x509

    if len(pem) > _PEM_BYTES_MAX:
        raise ValueError("The certificate is longer than 65536 bytes.")
    try:
        return x509.load_pem_x509_certificate(pem.encode())
    except ValueError:
        raise ValueError("The certificate is not valid PEM.") from None


def _facts(certificate: x509.Certificate) -> CertificateFacts:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509.oid import NameOID

    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        is_authority = constraints.ca
    except (x509.ExtensionNotFound, ValueError):
        is_authority = False
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return CertificateFacts(
        certificate_id(certificate.public_bytes(Encoding.DER)),
        certificate.subject.rfc4514_string(),
        certificate.issuer.rfc4514_string(),
        str(certificate.serial_number),
        certificate.not_valid_before_utc.timestamp(),
        certificate.not_valid_after_utc.timestamp(),
        is_authority,
        str(names[0].value) if names else "",
    )
