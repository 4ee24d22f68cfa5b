"""Grants: permissions handed out for one key, with constraints, and taken back.

https://docs.aws.amazon.com/kms/latest/developerguide/grants.html. How they count in a decision is in ``policy`` and
``keyring``. Grants to service principals (`GranteeServicePrincipal`, `RetiringServicePrincipal`) are refused by name.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any

from lakebed.api import kms as api
from lakebed.kernel.errors import not_built
from lakebed.ports.service import Context, operation
from lakebed.services.kms import model
from lakebed.services.kms.keyring import Ask, Facts
from lakebed.services.kms.model import Grant, Key
from lakebed.services.kms.provider.desk import Desk, check_dry_run, limit, page, start

_PRINCIPAL = re.compile(r"arn:[\w-]+:(iam|sts)::\d{12}:[\w+=,.@/-]+", re.ASCII)
_NAME = re.compile(r"[a-zA-Z0-9:/_-]{1,256}", re.ASCII)
_BY_USE = {
    model.ENCRYPT: {
        "Decrypt", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "ReEncryptFrom", "ReEncryptTo",
        "GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext", "GetPublicKey",
    },
    model.SIGN: {"Sign", "Verify", "GetPublicKey"},
    model.MAC: {"GenerateMac", "VerifyMac"},
    model.AGREE: {"DeriveSharedSecret", "GetPublicKey"},
}  # fmt: skip
_ALWAYS = {"CreateGrant", "RetireGrant", "DescribeKey"}
_SYMMETRIC_ONLY = {
    "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext",
}  # fmt: skip


class GrantOperations(Desk):
    """Operations on grants."""

    @operation("CreateGrant", action=None, refused=("GranteeServicePrincipal", "RetiringServicePrincipal"))
    async def create_grant(self, ctx: Context, req: api.CreateGrantRequest) -> api.CreateGrantResponse:
        """https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateGrant.html"""
        grantee = _checked_principal(req.get("GranteePrincipal"), "GranteePrincipal")
        constraints = req.get("Constraints") or {}
        if "SourceArn" in constraints:
            raise not_built("kms", "CreateGrant", "GrantConstraints.SourceArn")
        subset, equals = constraints.get("EncryptionContextSubset"), constraints.get("EncryptionContextEquals")
        facts: Facts = {
            "kms:GrantOperations": req["Operations"],
            "kms:GranteePrincipal": grantee,
            "kms:GrantIsForAWSResource": "false",
            **({"kms:RetiringPrincipal": req["RetiringPrincipal"]} if req.get("RetiringPrincipal") else {}),
            **({"kms:GrantConstraintType": "EncryptionContextSubset"} if subset else {}),
            **({"kms:GrantConstraintType": "EncryptionContextEquals"} if equals else {}),
        }
        key = self.ring.require(
            self.asking(ctx),
            model.named(ctx.scope, req["KeyId"], alias=False),
            Ask("CreateGrant", subset or equals, facts),
        )
        model.check_usable(key)
        grant = self._grant(ctx, key, req, (grantee, subset or {}, equals or {}))
        check_dry_run(req)
        existing = next((one for one in self.ring.grants.of_key(key) if grant.name and _alike(one, grant)), None)
        if existing is not None:
            return {"GrantToken": existing.token, "GrantId": existing.id}
        if self.ring.grants.count(key) >= model.GRANTS_MAX:
            raise api.LimitExceededException(f"{key.arn} has {model.GRANTS_MAX} grants")
        with self.k.db.tx() as tx:
            self.ring.grants.put(tx, key, grant)
        return {"GrantToken": grant.token, "GrantId": grant.id}

    def _grant(
        self, ctx: Context, key: Key, req: api.CreateGrantRequest, who: tuple[str, dict[str, str], dict[str, str]]
    ) -> Grant:
        allowed = _BY_USE[key.usage] | _ALWAYS
        if key.spec != model.SYMMETRIC:
            allowed -= _SYMMETRIC_ONLY
            if who[1] or who[2]:
                raise model.invalid("Encryption context constraints are for symmetric encryption keys")
        elif key.spec == model.SYMMETRIC:
            allowed = allowed - {"GetPublicKey"}
        for name in req["Operations"]:
            if name not in allowed:
                raise model.invalid(f"Grant operation {name} is not valid for a {key.spec} key for {key.usage}")
        if "Name" in req and not _NAME.fullmatch(req["Name"]):
            raise model.invalid("A grant's name has letters, digits and :/_- only")
        retiring = req.get("RetiringPrincipal", "")
        return Grant(
            id=self.k.ids.secret(32).hex(),
            token=base64.urlsafe_b64encode(self.k.ids.secret(96)).decode(),
            made=ctx.now,
            grantee=who[0],
            issuer=ctx.principal.account,
            operations=tuple(dict.fromkeys(req["Operations"])),
            name=req.get("Name", ""),
            retiring=_checked_principal(retiring, "RetiringPrincipal") if retiring else "",
            subset=who[1],
            equals=who[2],
        )

    @operation("ListGrants", action=None, refused=("GranteeServicePrincipal",))
    async def list_grants(self, ctx: Context, req: api.ListGrantsRequest) -> api.ListGrantsResponse:
        """https://docs.aws.amazon.com/kms/latest/APIReference/API_ListGrants.html"""
        key = self.ring.require(self.asking(ctx), model.named(ctx.scope, req["KeyId"], alias=False), Ask("ListGrants"))
        model.check_not_pending(key)
        size, after = limit(req, 50, 100), start(req, str, "")
        grantee, grant_id = req.get("GranteePrincipal"), req.get("GrantId")
        found = [
            grant
            for grant in self.ring.grants.of_key(key, after)
            if (not grantee or grant.grantee == grantee) and (not grant_id or grant.id == grant_id)
        ]
        shown, more = page(found[: size + 1], size, lambda grant: grant.id)
        return {"Grants": [_entry(key.arn, grant) for grant in shown], **more}  # type: ignore[typeddict-item]

    @operation("ListRetirableGrants", refused=("RetiringServicePrincipal",))
    async def list_retirable_grants(self, ctx: Context, req: api.ListRetirableGrantsRequest) -> api.ListGrantsResponse:
        """https://docs.aws.amazon.com/kms/latest/APIReference/API_ListRetirableGrants.html"""
        retiring, size = _checked_principal(req.get("RetiringPrincipal"), "RetiringPrincipal"), limit(req, 50, 100)
        found = self.ring.grants.retirable(ctx.scope, retiring, start(req, tuple[str, str], ("", "")), size + 1)
        shown, more = page(found, size, lambda row: (row[0], row[1].id))
        arn = ctx.scope.arn
        return {"Grants": [_entry(arn("kms", f"key/{key_id}"), grant) for key_id, grant in shown], **more}  # type: ignore[typeddict-item]

    @operation("RevokeGrant", action=None)
    async def revoke_grant(self, ctx: Context, req: api.RevokeGrantRequest) -> None:
        """https://docs.aws.amazon.com/kms/latest/APIReference/API_RevokeGrant.html"""
        key = self.ring.require(self.asking(ctx), model.named(ctx.scope, req["KeyId"], alias=False), Ask("RevokeGrant"))
        model.check_not_pending(key)
        grant = self.ring.grants.find(key, req["GrantId"])
        if grant is None:
            raise api.NotFoundException(f"Grant ID {req['GrantId']} not found")
        check_dry_run(req)
        with self.k.db.tx() as tx:
            self.ring.grants.delete(tx, key.scope, key.id, grant)

    @operation("RetireGrant", action=None)
    async def retire_grant(self, ctx: Context, req: api.RetireGrantRequest) -> None:
        """https://docs.aws.amazon.com/kms/latest/APIReference/API_RetireGrant.html. By the account that issued it, its
        retiring principal, or its grantee where RetireGrant is among its operations."""
        key, grant = self._retirable(ctx, req)
        me = {ctx.principal.arn, ctx.principal.identity_arn}
        if grant.retiring not in me and not (grant.grantee in me and "RetireGrant" in grant.operations):
            self.ring.authorise(self.asking(ctx), key, Ask("RetireGrant"))
            if ctx.principal.account != grant.issuer:
                raise api.NotFoundException(f"Grant ID {grant.id} not found")
        check_dry_run(req)
        with self.k.db.tx() as tx:
            self.ring.grants.delete(tx, key.scope, key.id, grant)

    def _retirable(self, ctx: Context, req: api.RetireGrantRequest) -> tuple[Key, Grant]:
        if token := req.get("GrantToken"):
            found = self.ring.grants.of_token(token)
            key = self.ring.keys.find(found[0], found[1]) if found is not None else None
            if found is None or key is None or key.scope.region != ctx.scope.region:
                raise api.InvalidGrantTokenException("The grant token is not valid.")
            return key, found[2]
        if not req.get("KeyId") or not req.get("GrantId"):
            raise model.invalid("RetireGrant takes a GrantToken, or a KeyId and a GrantId")
        who = model.named(ctx.scope, req["KeyId"], alias=False)
        named = self.ring.keys.find(who.scope, who.id)
        grant = self.ring.grants.find(named, req["GrantId"]) if named is not None else None
        if named is None or grant is None:
            self.p.identity.authorise(ctx.principal, "kms:RetireGrant", who.arn)
            raise api.NotFoundException(f"Grant ID {req['GrantId']} not found")
        return named, grant


def _checked_principal(text: str | None, member: str) -> str:
    if not text or not _PRINCIPAL.fullmatch(text):
        raise api.InvalidArnException(f"{member}: {(text or 'missing')[:256]} is no ARN of a principal")
    return text


def _alike(one: Grant, other: Grant) -> bool:
    """Whether two grants say the same, so that the second request is a repetition of the first."""
    return (one.name, one.grantee, one.operations, one.retiring, one.subset, one.equals) == (
        other.name, other.grantee, other.operations, other.retiring, other.subset, other.equals,
    )  # fmt: skip


def _entry(arn: str, grant: Grant) -> api.GrantListEntry:
    entry: dict[str, Any] = {
        "KeyId": arn,
        "GrantId": grant.id,
        "Name": grant.name,
        "CreationDate": grant.made,
        "GranteePrincipal": grant.grantee,
        "IssuingAccount": f"arn:aws:iam::{grant.issuer}:root",
        "Operations": list(grant.operations),
    }
    if grant.retiring:
        entry["RetiringPrincipal"] = grant.retiring
    constraints: Mapping[str, Any] = {
        name: value
        for name, value in (("EncryptionContextSubset", grant.subset), ("EncryptionContextEquals", grant.equals))
        if value
    }
    if constraints:
        entry["Constraints"] = constraints
    return entry  # type: ignore[return-value]
