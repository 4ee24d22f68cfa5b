"""Encryption: Encrypt, Decrypt, ReEncrypt, data keys and random bytes.

https://docs.aws.amazon.com/kms/latest/developerguide/data-keys.html. `Recipient` (Nitro enclaves) is refused by name.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from lakebed.api import kms as api
from lakebed.ports.service import Context, operation
from lakebed.services.kms import asymmetric, model
from lakebed.services.kms.keyring import Ask, Facts
from lakebed.services.kms.model import ENCRYPT, SYMMETRIC, Key
from lakebed.services.kms.provider.desk import Desk, check_dry_run


class EncryptionOperations(Desk):
    """Operations with the material of encryption keys."""

    @operation("Encrypt", action=None)
    async def encrypt(self, ctx: Context, req: api.EncryptRequest) -> api.EncryptResponse:
        """https://docs.aws.amazon.com/kms/latest/APIReference/API_Encrypt.html"""
        algorithm = req.get("EncryptionAlgorithm", SYMMETRIC)
        key = self.used(ctx, req, ENCRYPT, algorithm=algorithm, facts={"kms:EncryptionAlgorithm": algorithm})
        check_dry_run(req)
        blob, _ = self._seal(key, algorithm, req["Plaintext"], req.get("EncryptionContext") or {})
        return {"CiphertextBlob": blob, "KeyId": key.arn, "EncryptionAlgorithm": algorithm}

    @operation("Decrypt", action=None, refused=("Recipient", "DryRunModifiers"))
    async def decrypt(self, ctx: Context, req: api.DecryptRequest) -> api.DecryptResponse:
        """https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html"""
        algorithm = req.get("EncryptionAlgorithm", SYMMETRIC)
        key, open_ = self._source(
            ctx,
            "Decrypt",
            (req.get("KeyId"), req.get("CiphertextBlob", b""), algorithm),
            req.get("EncryptionContext") or {},
        )
        check_dry_run(req)
        plaintext, material_id = open_()
        told: api.DecryptResponse = {"KeyId": key.arn, "Plaintext": plaintext, "EncryptionAlgorithm": algorithm}
        if material_id:
            told["KeyMaterialId"] = material_id
        return told

    @operation("ReEncrypt", action=None, refused=("DryRunModifiers",))
    async def re_encrypt(self, ctx: Context, req: api.ReEncryptRequest) -> api.ReEncryptResponse:
        """https://docs.aws.amazon.com/kms/latest/APIReference/API_ReEncrypt.html"""
        from_algorithm = req.get("SourceEncryptionAlgorithm", SYMMETRIC)
        to_algorithm = req.get("DestinationEncryptionAlgorithm", SYMMETRIC)
        source, open_ = self._source(
            ctx,
            "ReEncryptFrom",
            (req.get("SourceKeyId"), req.get("CiphertextBlob", b""), from_algorithm),
            req.get("SourceEncryptionContext") or {},
        )
        context = req.get("DestinationEncryptionContext") or {}
        named = model.named(ctx.scope, req["DestinationKeyId"])
        same = self.ring.find(named) == source
        facts: Facts = {
            "kms:ReEncryptOnSameKey": "true" if same else "false",
            "kms:EncryptionAlgorithm": to_algorithm,
        }
        target = self.ring.require(self.asking(ctx), named, Ask("ReEncryptTo", context, facts))
        model.check_usable(target)
        model.check_use(target, ENCRYPT, "ReEncrypt", to_algorithm)
        check_dry_run(req)
        plaintext, source_material = open_()
        blob, target_material = self._seal(target, to_algorithm, plaintext, context)
        told: api.ReEncryptResponse = {
            "CiphertextBlob": blob,
            "SourceKeyId": source.arn,
            "KeyId": target.arn,
            "SourceEncryptionAlgorithm": from_algorithm,
            "DestinationEncryptionAlgorithm": to_algorithm,
        }
        if source_material:
            told["SourceKeyMaterialId"] = source_material
        if target_material:
            told["DestinationKeyMaterialId"] = target_material
        return told

    @operation("GenerateDataKey", action=None, refused=("Recipient",))
    async def generate_data_key(self, ctx: Context, req: api.GenerateDataKeyRequest) -> api.GenerateDataKeyResponse:
        """https://docs.aws.amazon.com/kms/latest/APIReference/API_GenerateDataKey.html"""
        key, plaintext, blob, material_id = self._data_key(ctx, req)
        return {"CiphertextBlob": blob, "Plaintext": plaintext, "KeyId": key.arn, "KeyMaterialId": material_id}

    @operation("GenerateDataKeyWithoutPlaintext", action=None)
    async def generate_data_key_without_plaintext(
        self, ctx: Context, req: api.GenerateDataKeyWithoutPlaintextRequest
    ) -> api.GenerateDataKeyWithoutPlaintextResponse:
        """https://docs.aws.amazon.com/kms/latest/APIReference/API_GenerateDataKeyWithoutPlaintext.html"""
        key, _, blob, material_id = self._data_key(ctx, req)
        return {"CiphertextBlob": blob, "KeyId": key.arn, "KeyMaterialId": material_id}

    @operation("GenerateDataKeyPair", action=None, refused=("Recipient",))
    async def generate_data_key_pair(
        self, ctx: Context, req: api.GenerateDataKeyPairRequest
    ) -> api.GenerateDataKeyPairResponse:
        """https://docs.aws.amazon.com/kms/latest/APIReference/API_GenerateDataKeyPair.html"""
        told, private = await self._data_key_pair(ctx, req)
        return {**told, "PrivateKeyPlaintext": private}  # type: ignore[typeddict-item]

    @operation("GenerateDataKeyPairWithoutPlaintext", action=None)
    async def generate_data_key_pair_without_plaintext(
        self, ctx: Context, req: api.GenerateDataKeyPairWithoutPlaintextRequest
    ) -> api.GenerateDataKeyPairWithoutPlaintextResponse:
        """https://docs.aws.amazon.com/kms/latest/APIReference/API_GenerateDataKeyPairWithoutPlaintext.html"""
        told, _ = await self._data_key_pair(ctx, req)
        return told  # type: ignore[return-value]

    @operation("GenerateRandom", refused=("CustomKeyStoreId", "Recipient"))
    async def generate_random(self, _: Context, req: api.GenerateRandomRequest) -> api.GenerateRandomResponse:
        """https://docs.aws.amazon.com/kms/latest/APIReference/API_GenerateRandom.html"""
        size = req.get("NumberOfBytes")
        if size is None:
            raise model.invalid("NumberOfBytes is required.")
        return {"Plaintext": self.k.ids.secret(size)}

    def _data_key(self, ctx: Context, req: Mapping[str, Any]) -> tuple[Key, bytes, bytes, str]:
        if ("KeySpec" in req) == ("NumberOfBytes" in req):
            raise model.invalid("Please specify either number of bytes or key spec.")
        key = self.used(ctx, req, ENCRYPT, algorithm=SYMMETRIC)
        check_dry_run(req)
        size = req["NumberOfBytes"] if "NumberOfBytes" in req else {"AES_256": 32, "AES_128": 16}[req["KeySpec"]]
        plaintext = self.k.ids.secret(size)
        blob, material_id = self.ring.seal(key, plaintext, req.get("EncryptionContext") or {})
        return key, plaintext, blob, material_id

    async def _data_key_pair(self, ctx: Context, req: Mapping[str, Any]) -> tuple[dict[str, Any], bytes]:
        spec = req["KeyPairSpec"]
        key = self.used(ctx, req, ENCRYPT, algorithm=SYMMETRIC, facts={"kms:DataKeyPairSpec": spec})
        if spec not in model.SPECS:
            raise model.not_built_spec("GenerateDataKeyPair", spec)
        check_dry_run(req)
        with self.k.clock.working():
            private = await asyncio.to_thread(asymmetric.make_pair, spec)
        blob, material_id = self.ring.seal(key, private, req.get("EncryptionContext") or {})
        told = {
            "PrivateKeyCiphertextBlob": blob,
            "PublicKey": asymmetric.public_of(private),
            "KeyId": key.arn,
            "KeyPairSpec": spec,
            "KeyMaterialId": material_id,
        }
        return told, private

    def _seal(self, key: Key, algorithm: str, plaintext: bytes, context: Mapping[str, str]) -> tuple[bytes, str]:
        if algorithm == SYMMETRIC:
            return self.ring.seal(key, plaintext, context)
        _check_no_context(context)
        try:
            return asymmetric.encrypt(self.ring.material(key)[0], algorithm, plaintext), ""
        except asymmetric.WrongInputError as wrong:
            raise model.invalid(str(wrong)) from None

    def _source(
        self, ctx: Context, action: str, what: tuple[str | None, bytes, str], context: Mapping[str, str]
    ) -> Any:
        """The key of a ciphertext, allowed and usable, and what opens it. A symmetric ciphertext names its key itself."""
        key_id, blob, algorithm = what
        if not blob:
            raise model.invalid("CiphertextBlob is required.")
        asking = self.asking(ctx)
        ask = Ask(action, context, {"kms:EncryptionAlgorithm": algorithm})
        if algorithm != SYMMETRIC:
            if key_id is None:
                raise model.invalid("A KeyId is required to decrypt what an asymmetric key encrypted.")
            key = self.ring.require(asking, model.named(ctx.scope, key_id), ask)
            model.check_usable(key)
            model.check_use(key, ENCRYPT, action, algorithm)
            _check_no_context(context)
            return key, lambda: (self._open_pair(key, algorithm, blob), "")
        key, sealed = self.ring.sealer(ctx.scope.region, blob)
        if key_id is not None:
            named = self.ring.require(asking, model.named(ctx.scope, key_id), ask)
            if named.arn != key.arn:
                raise api.IncorrectKeyException(
                    "The key ID in the request does not identify a CMK that can perform this operation."
                )
        self.ring.authorise(asking, key, ask)
        model.check_usable(key)
        return key, lambda: self.ring.open(key, sealed, context)

    def _open_pair(self, key: Key, algorithm: str, blob: bytes) -> bytes:
        plaintext = asymmetric.decrypt(self.ring.material(key)[0], algorithm, blob)
        if plaintext is None:
            raise api.InvalidCiphertextException("The ciphertext does not open under this key.")
        return plaintext


def _check_no_context(context: Mapping[str, str]) -> None:
    if context:
        raise model.invalid("An encryption context is for symmetric encryption keys only.")
