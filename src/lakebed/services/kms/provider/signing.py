"""Signatures, MACs, public keys and shared secrets.

https://docs.aws.amazon.com/kms/latest/developerguide/asymmetric-key-specs.html,
https://docs.aws.amazon.com/kms/latest/developerguide/hmac.html
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any

from lakebed.api import kms as api
from lakebed.kernel.errors import not_built
from lakebed.ports.service import Context, operation
from lakebed.services.kms import asymmetric, model
from lakebed.services.kms.model import AGREE, MAC, SIGN, SPECS, Key
from lakebed.services.kms.provider.desk import Desk, check_dry_run


class SigningOperations(Desk):
    """Operations with the material of keys that do not encrypt."""

    @operation("Sign", action=None)
    async def sign(self, ctx: Context, req: api.SignRequest) -> api.SignResponse:
        """https://docs.aws.amazon.com/kms/latest/APIReference/API_Sign.html"""
        key, private, is_digest = self._signer(ctx, req)
        try:
            signature = asymmetric.sign(private, req["SigningAlgorithm"], req["Message"], is_digest=is_digest)
        except asymmetric.WrongInputError as wrong:
            raise model.invalid(str(wrong)) from None
        return {"KeyId": key.arn, "Signature": signature, "SigningAlgorithm": req["SigningAlgorithm"]}

    @operation("Verify", action=None)
    async def verify(self, ctx: Context, req: api.VerifyRequest) -> api.VerifyResponse:
        """https://docs.aws.amazon.com/kms/latest/APIReference/API_Verify.html"""
        key, private, is_digest = self._signer(ctx, req)
        try:
            valid = asymmetric.verify(
                private, req["SigningAlgorithm"], req["Message"], req["Signature"], is_digest=is_digest
            )
        except asymmetric.WrongInputError as wrong:
            raise model.invalid(str(wrong)) from None
        if not valid:
            raise api.KMSInvalidSignatureException("The signature does not fit the message.")
        return {"KeyId": key.arn, "SignatureValid": True, "SigningAlgorithm": req["SigningAlgorithm"]}

    def _signer(self, ctx: Context, req: Mapping[str, Any]) -> tuple[Key, bytes, bool]:
        algorithm, kind = req["SigningAlgorithm"], req.get("MessageType", "RAW")
        facts = {"kms:SigningAlgorithm": algorithm, "kms:MessageType": kind}
        key = self.used(ctx, req, SIGN, algorithm=algorithm, facts=facts)
        if kind not in ("RAW", "DIGEST"):
            raise not_built("kms", ctx.operation, f"MessageType {kind}")
        check_dry_run(req)
        return key, self.ring.material(key)[0], kind == "DIGEST"

    @operation("GenerateMac", action=None)
    async def generate_mac(self, ctx: Context, req: api.GenerateMacRequest) -> api.GenerateMacResponse:
        """https://docs.aws.amazon.com/kms/latest/APIReference/API_GenerateMac.html"""
        key, made = self._mac(ctx, req)
        return {"Mac": made, "MacAlgorithm": req["MacAlgorithm"], "KeyId": key.arn}

    @operation("VerifyMac", action=None)
    async def verify_mac(self, ctx: Context, req: api.VerifyMacRequest) -> api.VerifyMacResponse:
        """https://docs.aws.amazon.com/kms/latest/APIReference/API_VerifyMac.html"""
        key, made = self._mac(ctx, req)
        if not hmac.compare_digest(made, req["Mac"]):
            raise api.KMSInvalidMacException("The MAC does not fit the message.")
        return {"KeyId": key.arn, "MacValid": True, "MacAlgorithm": req["MacAlgorithm"]}

    def _mac(self, ctx: Context, req: Mapping[str, Any]) -> tuple[Key, bytes]:
        algorithm = req["MacAlgorithm"]
        key = self.used(ctx, req, MAC, algorithm=algorithm, facts={"kms:MacAlgorithm": algorithm})
        check_dry_run(req)
        return key, asymmetric.mac(self.ring.material(key)[0], algorithm, req["Message"])

    @operation("GetPublicKey", action=None)
    async def get_public_key(self, ctx: Context, req: api.GetPublicKeyRequest) -> api.GetPublicKeyResponse:
        """https://docs.aws.amazon.com/kms/latest/APIReference/API_GetPublicKey.html"""
        key = self.key(ctx, req["KeyId"])
        model.check_usable(key)
        if key.spec == model.SYMMETRIC or MAC in SPECS[key.spec].uses:
            raise api.UnsupportedOperationException(f"{key.arn} key spec is {key.spec}: it has no public key.")
        told: api.GetPublicKeyResponse = {
            "KeyId": key.arn,
            "PublicKey": asymmetric.public_of(self.ring.material(key)[0]),
            "CustomerMasterKeySpec": key.spec,
            "KeySpec": key.spec,
            "KeyUsage": key.usage,
        }
        if key.usage == SIGN:
            told["SigningAlgorithms"] = list(key.algorithms)
        elif key.usage == AGREE:
            told["KeyAgreementAlgorithms"] = list(key.algorithms)
        else:
            told["EncryptionAlgorithms"] = list(key.algorithms)
        return told

    @operation("DeriveSharedSecret", action=None, refused=("Recipient",))
    async def derive_shared_secret(
        self, ctx: Context, req: api.DeriveSharedSecretRequest
    ) -> api.DeriveSharedSecretResponse:
        """https://docs.aws.amazon.com/kms/latest/APIReference/API_DeriveSharedSecret.html"""
        algorithm = req["KeyAgreementAlgorithm"]
        key = self.used(ctx, req, AGREE, algorithm=algorithm, facts={"kms:KeyAgreementAlgorithm": algorithm})
        check_dry_run(req)
        try:
            secret = asymmetric.agree(self.ring.material(key)[0], req["PublicKey"])
        except asymmetric.WrongInputError as wrong:
            raise model.invalid(str(wrong)) from None
        return {"KeyId": key.arn, "SharedSecret": secret, "KeyAgreementAlgorithm": algorithm, "KeyOrigin": "AWS_KMS"}
