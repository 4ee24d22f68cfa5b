"""KMS through boto3's serialiser: keys, their life, and what is done with them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_der_public_key

from lakebed.kernel.errors import AwsError
from lakebed.services import kms
from tests.harness import SCOPE, Harness

DAY = 86_400.0


@pytest.fixture
async def house(harness: Harness) -> AsyncIterator[Harness]:
    harness.add(kms.service)
    await harness.start()
    return harness


async def call(house: Harness, operation: str, **params: Any) -> dict[str, Any]:
    return await house.call("kms", operation, **params)


async def refused(house: Harness, code: str, operation: str, **params: Any) -> AwsError:
    with pytest.raises(AwsError) as caught:
        await house.call("kms", operation, **params)
    assert caught.value.error_code == code, caught.value
    return caught.value


async def new_key(house: Harness, **params: Any) -> str:
    made = await call(house, "CreateKey", **params)
    return str(made["KeyMetadata"]["KeyId"])


async def test_a_key_has_the_metadata_of_its_kind(house: Harness) -> None:
    made = (await call(house, "CreateKey", Description="d", Tags=[{"TagKey": "a", "TagValue": "b"}]))["KeyMetadata"]
    assert made["Arn"] == SCOPE.arn("kms", f"key/{made['KeyId']}")
    assert (made["KeyState"], made["Enabled"], made["KeyManager"]) == ("Enabled", True, "CUSTOMER")
    assert made["EncryptionAlgorithms"] == ["SYMMETRIC_DEFAULT"]
    assert made["KeySpec"] == "SYMMETRIC_DEFAULT"
    assert (await call(house, "DescribeKey", KeyId=made["Arn"]))["KeyMetadata"] == made
    tags = await call(house, "ListResourceTags", KeyId=made["KeyId"])
    assert tags["Tags"] == [{"TagKey": "a", "TagValue": "b"}]
    policy = json.loads((await call(house, "GetKeyPolicy", KeyId=made["KeyId"]))["Policy"])
    assert policy["Statement"][0]["Principal"] == {"AWS": "arn:aws:iam::000000000000:root"}
    await refused(house, "ValidationException", "CreateKey", KeySpec="RSA_2048")
    await refused(house, "ValidationException", "CreateKey", KeySpec="ECC_NIST_P256", KeyUsage="ENCRYPT_DECRYPT")
    await refused(house, "MalformedPolicyDocumentException", "CreateKey", Policy="{}")
    await refused(house, "NotImplemented", "CreateKey", MultiRegion=True)


async def test_a_ciphertext_opens_with_its_context_only(house: Harness) -> None:
    key = await new_key(house)
    sealed = await call(house, "Encrypt", KeyId=key, Plaintext=b"secret", EncryptionContext={"a": "1", "b": "2"})
    blob = sealed["CiphertextBlob"]
    assert b"secret" not in blob
    opened = await call(house, "Decrypt", CiphertextBlob=blob, EncryptionContext={"b": "2", "a": "1"})
    assert opened["Plaintext"] == b"secret"
    assert opened["KeyId"] == sealed["KeyId"]
    await refused(house, "InvalidCiphertextException", "Decrypt", CiphertextBlob=blob)
    await refused(house, "InvalidCiphertextException", "Decrypt", CiphertextBlob=blob, EncryptionContext={"a": "12"})
    for at in (0, 5, 30, len(blob) - 1):
        broken = bytearray(blob)
        broken[at] ^= 1
        await refused(
            house, "InvalidCiphertextException", "Decrypt", CiphertextBlob=bytes(broken), EncryptionContext={"a": "1", "b": "2"}
        )  # fmt: skip
    other = await new_key(house)
    await refused(
        house, "IncorrectKeyException", "Decrypt", CiphertextBlob=blob, KeyId=other, EncryptionContext={"a": "1", "b": "2"}
    )  # fmt: skip
    moved = await call(
        house, "ReEncrypt", CiphertextBlob=blob, SourceEncryptionContext={"a": "1", "b": "2"}, DestinationKeyId=other
    )
    assert (await call(house, "Decrypt", CiphertextBlob=moved["CiphertextBlob"], KeyId=other))["Plaintext"] == b"secret"
    assert await refused(house, "DryRunOperationException", "Encrypt", KeyId=key, Plaintext=b"x", DryRun=True)


async def test_data_keys(house: Harness) -> None:
    key = await new_key(house)
    made = await call(house, "GenerateDataKey", KeyId=key, KeySpec="AES_256")
    assert len(made["Plaintext"]) == 32
    assert (await call(house, "Decrypt", CiphertextBlob=made["CiphertextBlob"]))["Plaintext"] == made["Plaintext"]
    bare = await call(house, "GenerateDataKeyWithoutPlaintext", KeyId=key, NumberOfBytes=20)
    assert "Plaintext" not in bare
    assert len((await call(house, "Decrypt", CiphertextBlob=bare["CiphertextBlob"]))["Plaintext"]) == 20
    await refused(house, "ValidationException", "GenerateDataKey", KeyId=key)
    await refused(house, "ValidationException", "GenerateDataKey", KeyId=key, KeySpec="AES_128", NumberOfBytes=2)
    pair = await call(house, "GenerateDataKeyPair", KeyId=key, KeyPairSpec="ECC_NIST_P256")
    private = await call(house, "Decrypt", CiphertextBlob=pair["PrivateKeyCiphertextBlob"])
    assert private["Plaintext"] == pair["PrivateKeyPlaintext"]
    assert load_der_private_key(private["Plaintext"], None)
    assert load_der_public_key(pair["PublicKey"])
    assert len((await call(house, "GenerateRandom", NumberOfBytes=9))["Plaintext"]) == 9


async def test_a_disabled_key_stops_at_once_and_a_deleted_one_for_good(house: Harness) -> None:
    key = await new_key(house)
    blob = (await call(house, "Encrypt", KeyId=key, Plaintext=b"x"))["CiphertextBlob"]
    await call(house, "DisableKey", KeyId=key)
    told = await refused(house, "DisabledException", "Decrypt", CiphertextBlob=blob)
    assert told.message == f"{SCOPE.arn('kms', f'key/{key}')} is disabled."
    await call(house, "EnableKey", KeyId=key)
    assert (await call(house, "Decrypt", CiphertextBlob=blob))["Plaintext"] == b"x"
    told_at = (await call(house, "ScheduleKeyDeletion", KeyId=key, PendingWindowInDays=7))["DeletionDate"]
    assert told_at == house.clock.now() + 7 * DAY
    await refused(house, "KMSInvalidStateException", "Decrypt", CiphertextBlob=blob)
    await refused(house, "KMSInvalidStateException", "EnableKey", KeyId=key)
    await call(house, "CancelKeyDeletion", KeyId=key)
    assert (await call(house, "DescribeKey", KeyId=key))["KeyMetadata"]["KeyState"] == "Disabled"
    await call(house, "CreateAlias", AliasName="alias/a", TargetKeyId=key)
    await call(house, "ScheduleKeyDeletion", KeyId=key, PendingWindowInDays=8)
    await house.clock.advance(8 * DAY - 1)
    assert (await call(house, "DescribeKey", KeyId=key))["KeyMetadata"]["KeyState"] == "PendingDeletion"
    await house.clock.advance(2)
    await refused(house, "NotFoundException", "DescribeKey", KeyId=key)
    await refused(house, "InvalidCiphertextException", "Decrypt", CiphertextBlob=blob)
    assert (await call(house, "ListAliases"))["Aliases"] == []


async def test_rotation_keeps_old_material(house: Harness) -> None:
    key = await new_key(house)
    blobs = [(await call(house, "Encrypt", KeyId=key, Plaintext=b"0"))["CiphertextBlob"]]
    await call(house, "EnableKeyRotation", KeyId=key, RotationPeriodInDays=90)
    status = await call(house, "GetKeyRotationStatus", KeyId=key)
    assert status["KeyRotationEnabled"]
    assert status["NextRotationDate"] == house.clock.now() + 90 * DAY
    await house.clock.advance(90 * DAY + 1)
    blobs.append((await call(house, "Encrypt", KeyId=key, Plaintext=b"1"))["CiphertextBlob"])
    await call(house, "RotateKeyOnDemand", KeyId=key)
    blobs.append((await call(house, "Encrypt", KeyId=key, Plaintext=b"2"))["CiphertextBlob"])
    opened = [await call(house, "Decrypt", CiphertextBlob=blob) for blob in blobs]
    assert [one["Plaintext"] for one in opened] == [b"0", b"1", b"2"]
    assert len({one["KeyMaterialId"] for one in opened}) == 3
    rotations = (await call(house, "ListKeyRotations", KeyId=key))["Rotations"]
    assert [one["RotationType"] for one in rotations] == ["AUTOMATIC", "ON_DEMAND"]
    everything = await call(house, "ListKeyRotations", KeyId=key, IncludeKeyMaterial="ALL_KEY_MATERIAL", Limit=2)
    assert len(everything["Rotations"]) == 2
    assert everything["Truncated"]
    await call(house, "DisableKeyRotation", KeyId=key)
    await house.clock.advance(400 * DAY)
    assert len((await call(house, "ListKeyRotations", KeyId=key))["Rotations"]) == 2


async def test_aliases_move_between_keys(house: Harness) -> None:
    one, two = await new_key(house), await new_key(house)
    await call(house, "CreateAlias", AliasName="alias/x", TargetKeyId=one)
    await refused(house, "AlreadyExistsException", "CreateAlias", AliasName="alias/x", TargetKeyId=two)
    await refused(house, "InvalidAliasNameException", "CreateAlias", AliasName="alias/aws/x", TargetKeyId=two)
    blob = (await call(house, "Encrypt", KeyId="alias/x", Plaintext=b"x"))["CiphertextBlob"]
    await call(house, "UpdateAlias", AliasName="alias/x", TargetKeyId=two)
    arn = SCOPE.arn("kms", "alias/x")
    assert (await call(house, "DescribeKey", KeyId=arn))["KeyMetadata"]["KeyId"] == two
    assert (await call(house, "Decrypt", CiphertextBlob=blob))["KeyId"].endswith(one)
    await refused(house, "IncorrectKeyException", "Decrypt", CiphertextBlob=blob, KeyId="alias/x")
    assert [entry["AliasArn"] for entry in (await call(house, "ListAliases", KeyId=two))["Aliases"]] == [arn]
    await refused(house, "NotFoundException", "DisableKey", KeyId="alias/x")
    await call(house, "DeleteAlias", AliasName="alias/x")
    told = await refused(house, "NotFoundException", "Encrypt", KeyId="alias/x", Plaintext=b"x")
    assert told.message == f"Alias {arn} is not found."
    hmac_key = await new_key(house, KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")
    await call(house, "CreateAlias", AliasName="alias/y", TargetKeyId=one)
    await refused(house, "ValidationException", "UpdateAlias", AliasName="alias/y", TargetKeyId=hmac_key)


async def test_listings_page(house: Harness) -> None:
    keys = sorted([await new_key(house) for _ in range(5)])
    found: list[str] = []
    marker: dict[str, str] = {}
    while True:
        page = await call(house, "ListKeys", Limit=2, **marker)
        found += [entry["KeyId"] for entry in page["Keys"]]
        if not page["Truncated"]:
            break
        marker = {"Marker": page["NextMarker"]}
    assert found == keys
    await refused(house, "InvalidMarkerException", "ListKeys", Marker="?")


async def test_signatures_verify_here_and_elsewhere(house: Harness) -> None:
    key = await new_key(house, KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
    signed = await call(house, "Sign", KeyId=key, Message=b"hello", SigningAlgorithm="ECDSA_SHA_256")
    public: Any = load_der_public_key((await call(house, "GetPublicKey", KeyId=key))["PublicKey"])
    public.verify(signed["Signature"], b"hello", ec.ECDSA(hashes.SHA256()))
    verified = {"KeyId": key, "Signature": signed["Signature"], "SigningAlgorithm": "ECDSA_SHA_256"}
    assert (await call(house, "Verify", Message=b"hello", **verified))["SignatureValid"]
    await refused(house, "KMSInvalidSignatureException", "Verify", Message=b"hallo", **verified)
    await refused(
        house, "ValidationException", "Sign", KeyId=key, Message=b"x", MessageType="DIGEST", SigningAlgorithm="ECDSA_SHA_256"
    )  # fmt: skip
    await refused(
        house, "InvalidKeyUsageException", "Sign", KeyId=key, Message=b"x", SigningAlgorithm="RSASSA_PSS_SHA_256"
    )
    await refused(house, "InvalidKeyUsageException", "Encrypt", KeyId=key, Plaintext=b"x")


async def test_rsa_signs_and_encrypts(house: Harness) -> None:
    key = await new_key(house, KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")
    public: Any = load_der_public_key((await call(house, "GetPublicKey", KeyId=key))["PublicKey"])
    for algorithm in ("RSASSA_PKCS1_V1_5_SHA_256", "RSASSA_PSS_SHA_512"):
        signed = await call(house, "Sign", KeyId=key, Message=b"m", SigningAlgorithm=algorithm)
        if "PSS" in algorithm:
            public.verify(signed["Signature"], b"m", padding.PSS(padding.MGF1(hashes.SHA512()), 64), hashes.SHA512())
        else:
            public.verify(signed["Signature"], b"m", padding.PKCS1v15(), hashes.SHA256())
    pair = await new_key(house, KeySpec="RSA_2048", KeyUsage="ENCRYPT_DECRYPT")
    chosen = {"KeyId": pair, "EncryptionAlgorithm": "RSAES_OAEP_SHA_256"}
    blob = (await call(house, "Encrypt", Plaintext=b"secret", **chosen))["CiphertextBlob"]
    assert (await call(house, "Decrypt", CiphertextBlob=blob, **chosen))["Plaintext"] == b"secret"
    await refused(house, "ValidationException", "Encrypt", Plaintext=b"x" * 200, **chosen)
    await refused(house, "InvalidCiphertextException", "Decrypt", CiphertextBlob=b"x" * 256, **chosen)
    await refused(house, "UnsupportedOperationException", "EnableKeyRotation", KeyId=pair)


async def test_macs_and_shared_secrets(house: Harness) -> None:
    key = await new_key(house, KeySpec="HMAC_384", KeyUsage="GENERATE_VERIFY_MAC")
    made = await call(house, "GenerateMac", KeyId=key, Message=b"m", MacAlgorithm="HMAC_SHA_384")
    asked = {"KeyId": key, "Mac": made["Mac"], "MacAlgorithm": "HMAC_SHA_384"}
    assert (await call(house, "VerifyMac", Message=b"m", **asked))["MacValid"]
    await refused(house, "KMSInvalidMacException", "VerifyMac", Message=b"n", **asked)
    one, two = [await new_key(house, KeySpec="ECC_NIST_P384", KeyUsage="KEY_AGREEMENT") for _ in range(2)]
    publics = [(await call(house, "GetPublicKey", KeyId=key))["PublicKey"] for key in (one, two)]
    secrets = [
        (await call(house, "DeriveSharedSecret", KeyId=key, KeyAgreementAlgorithm="ECDH", PublicKey=public))["SharedSecret"]
        for key, public in ((one, publics[1]), (two, publics[0]))
    ]  # fmt: skip
    assert secrets[0] == secrets[1]
    await refused(
        house, "ValidationException", "DeriveSharedSecret", KeyId=one, KeyAgreementAlgorithm="ECDH", PublicKey=b"x"
    )


async def test_material_survives_a_restart_and_lies_sealed(house: Harness) -> None:
    key = await new_key(house)
    blob = (await call(house, "Encrypt", KeyId=key, Plaintext=b"kept"))["CiphertextBlob"]
    directory = house.kernel.data
    assert (directory / "kms.master.key").stat().st_mode & 0o777 == 0o600
    again = Harness(directory, house.clock)
    again.add(kms.service)
    assert (await again.call("kms", "Decrypt", CiphertextBlob=blob))["Plaintext"] == b"kept"
    await again.stop()
