"""Registered CAs: the proof of possession, registering what they signed, and devices that register themselves."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from lakebed.kernel.errors import AwsError
from lakebed.wire.mqtt import packets as mqtt
from tests.edge.mqtt.world import ALLOW_ALL, Device, World


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = await World(tmp_path / "data").start()
    yield made
    await made.stop()


class Ca:
    """A customer's certificate authority."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._signed("customer ca", self.key.public_key(), is_ca=True)
        self.pem = self.certificate.public_bytes(Encoding.PEM).decode()

    def _signed(self, name: str, public: Any, *, is_ca: bool = False) -> x509.Certificate:
        now = datetime.now(UTC)
        issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "customer ca")])
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(issuer)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        )
        return builder.sign(self.key, hashes.SHA256())

    def sign(self, name: str) -> tuple[str, str]:
        """A certificate and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        return self._signed(name, key.public_key()).public_bytes(Encoding.PEM).decode(), private


async def fails(call: Any) -> str:
    with pytest.raises(AwsError) as caught:
        await call
    return caught.value.error_code


async def register(world: World, ca: Ca, **more: Any) -> str:
    code = (await world.harness.call("iot", "GetRegistrationCode"))["registrationCode"]
    proof, _ = ca.sign(code)
    made = await world.harness.call(
        "iot", "RegisterCACertificate", caCertificate=ca.pem, verificationCertificate=proof, **more
    )
    return str(made["certificateId"])


async def test_registering_a_ca_and_what_it_signed(world: World) -> None:
    call, ca = world.harness.call, Ca()
    leaf, _ = ca.sign("device")
    assert await fails(call("iot", "RegisterCertificate", certificatePem=leaf)) == "CertificateValidationException"
    wrong, _ = ca.sign("not the code")
    await call("iot", "GetRegistrationCode")
    assert (
        await fails(call("iot", "RegisterCACertificate", caCertificate=ca.pem, verificationCertificate=wrong))
        == "RegistrationCodeValidationException"
    )
    assert (
        await fails(call("iot", "RegisterCACertificate", caCertificate=leaf, certificateMode="SNI_ONLY"))
        == "CertificateValidationException"
    )
    authority = await register(world, ca, setAsActive=True)
    assert await fails(register(world, ca)) == "ResourceAlreadyExistsException"
    made = await call("iot", "RegisterCertificate", certificatePem=leaf, setAsActive=True)
    told = (await call("iot", "DescribeCertificate", certificateId=made["certificateId"]))["certificateDescription"]
    assert (told["caCertificateId"], told["status"]) == (authority, "ACTIVE")
    listed = await call("iot", "ListCertificatesByCA", caCertificateId=authority)
    assert [one["certificateId"] for one in listed["certificates"]] == [made["certificateId"]]
    assert await fails(call("iot", "DeleteCACertificate", certificateId=authority)) == "CertificateStateException"
    await call("iot", "UpdateCACertificate", certificateId=authority, newStatus="INACTIVE")
    await call("iot", "DeleteCACertificate", certificateId=authority)
    assert (await call("iot", "ListCACertificates"))["certificates"] == []


async def test_devices_register_themselves(world: World) -> None:
    call, ca = world.harness.call, Ca()
    authority = await register(world, ca, setAsActive=True, allowAutoRegistration=True)
    watcher = Device(world, await world.certificate())
    await watcher.connect("watcher")
    await watcher.subscribe(f"$aws/events/certificates/registered/{authority}")
    leaf, private = ca.sign("device")
    folder = world.directory.parent
    (folder / "leaf.pem").write_text(leaf)
    (folder / "leaf.key").write_text(private)
    files = (folder / "leaf.pem", folder / "leaf.key", "")
    assert (await Device(world, files).connect("new")).reason == 5
    event = await watcher.hear()
    assert isinstance(event, mqtt.Publish)
    body = json.loads(event.payload)
    assert (body["caCertificateId"], body["certificateStatus"]) == (authority, "PENDING_ACTIVATION")
    found = (await call("iot", "DescribeCertificate", certificateId=body["certificateId"]))["certificateDescription"]
    assert found["status"] == "PENDING_ACTIVATION"
    await call("iot", "UpdateCertificate", certificateId=body["certificateId"], newStatus="ACTIVE")
    await call("iot", "CreatePolicy", policyName="p", policyDocument=json.dumps(ALLOW_ALL))
    await call("iot", "AttachPolicy", policyName="p", target=found["certificateArn"])
    assert (await Device(world, files).connect("new")).reason == 0


async def test_policies_know_the_certificates_subject(world: World) -> None:
    arn = "arn:aws:iot:us-east-1:000000000000:"
    connect = {"Effect": "Allow", "Action": "iot:Connect", "Resource": "*"}
    named = {
        "Effect": "Allow", "Action": "iot:Publish", "Resource": f"{arn}topic/${{iot:Certificate.Issuer.CommonName}}/a",
        "Condition": {"StringEquals": {"iot:Certificate.Subject.CommonName.List.0": "device"}},
    }  # fmt: skip
    files = await world.certificate({"Version": "2012-10-17", "Statement": [connect, named]})
    told = world.ports.authority.variables(files[0].read_text())
    device = Device(world, files, mqtt.V5)
    await device.connect()
    issuer = told["iot:Certificate.Issuer.CommonName"]
    assert (await device.publish(f"{issuer}/a", b"x")) == mqtt.Puback(1)
    refused = await device.publish("other/a", b"x", 2)
    assert isinstance(refused, mqtt.Puback)
    assert refused.reason == 0x87
