"""Registered CAs, and certificates they signed. https://docs.aws.amazon.com/iot/latest/developerguide/manage-your-CA-certs.html

Who registers a CA proves to have its key: with a certificate that it signed for the registration code (mode DEFAULT), or
not at all (SNI_ONLY). Provisioning templates of a CA are refused; devices may register themselves (``registration``).
"""

from __future__ import annotations

from lakebed.api import iot as api
from lakebed.kernel.scope import Scope
from lakebed.ports.devices import CertificateFacts
from lakebed.ports.service import Context, Request, operation
from lakebed.services.iot.authority_store import AuthorityStore, RegisteredAuthority
from lakebed.services.iot.model import ACTIVE, INACTIVE
from lakebed.services.iot.provider.certificates import keep_certificate, listed_certificate
from lakebed.services.iot.state import Core, tags_of

_PAGE = 25


def authority_arn(scope: Scope, req: Request) -> str:
    """The CA an operation is on."""
    return scope.arn("iot", f"cacert/{req.get('certificateId') or req.get('caCertificateId')}")


class AuthorityOperations:
    """See the module."""

    def __init__(self, core: Core) -> None:
        self.core, self.store, self.authorities = core, core.store, AuthorityStore(core.k.db)

    @operation("GetRegistrationCode")
    async def get_registration_code(
        self, ctx: Context, _req: api.GetRegistrationCodeRequest
    ) -> api.GetRegistrationCodeResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_GetRegistrationCode.html"""
        with self.authorities.db.tx() as tx:
            code = self.authorities.code(ctx.scope)
            if code is None:
                code = self.core.k.ids.secret(32).hex()
                self.authorities.put_code(tx, ctx.scope, code)
        return {"registrationCode": code}

    @operation("DeleteRegistrationCode")
    async def delete_registration_code(
        self, ctx: Context, _req: api.DeleteRegistrationCodeRequest
    ) -> api.DeleteRegistrationCodeResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_DeleteRegistrationCode.html"""
        with self.authorities.db.tx() as tx:
            self.authorities.put_code(tx, ctx.scope, None)
        return {}

    @operation("RegisterCACertificate", refused=("registrationConfig",))
    async def register_ca_certificate(
        self, ctx: Context, req: api.RegisterCACertificateRequest
    ) -> api.RegisterCACertificateResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_RegisterCACertificate.html"""
        pem, mode, tags = req["caCertificate"], req.get("certificateMode", "DEFAULT"), tags_of(req.get("tags"))
        facts = self._described(pem)
        if not facts.is_authority:
            raise api.CertificateValidationException("The certificate is not that of a CA.")
        self._check_proof(ctx.scope, pem, mode, req.get("verificationCertificate"))
        made = RegisteredAuthority(
            ctx.scope, facts.certificate_id, pem, ACTIVE if req.get("setAsActive") else INACTIVE,
            "ENABLE" if req.get("allowAutoRegistration") else "DISABLE", mode, ctx.now, ctx.now, facts.not_before,
            facts.not_after, 1,
        )  # fmt: skip
        with self.authorities.db.tx() as tx:
            # One door serves all accounts: a CA belongs to the one that proved to have its key.
            known = self.authorities.authority(ctx.scope, made.id)
            if known is not None or self.authorities.accounts_with(made.id) - {ctx.scope.account}:
                raise api.ResourceAlreadyExistsException(
                    "The CA certificate is already registered", members={"resourceId": made.id, "resourceArn": made.arn}
                )
            self.authorities.put(tx, made)
            self.store.put_tags(tx, ctx.scope, made.arn, tags)
        self.core.p.authority.trust(pem)
        return {"certificateArn": made.arn, "certificateId": made.id}

    @operation("DescribeCACertificate", resource=authority_arn)
    async def describe_ca_certificate(
        self, ctx: Context, req: api.DescribeCACertificateRequest
    ) -> api.DescribeCACertificateResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_DescribeCACertificate.html"""
        found = self._require(ctx.scope, req["certificateId"])
        return {
            "certificateDescription": {
                "certificateArn": found.arn,
                "certificateId": found.id,
                "status": found.status,
                "certificatePem": found.pem,
                "ownedBy": ctx.scope.account,
                "creationDate": found.created,
                "autoRegistrationStatus": found.auto_registration,
                "lastModifiedDate": found.modified,
                "customerVersion": found.version,
                "validity": {"notBefore": found.not_before, "notAfter": found.not_after},
                "certificateMode": found.mode,
            }
        }

    @operation("UpdateCACertificate", resource=authority_arn, refused=("registrationConfig", "removeAutoRegistration"))
    async def update_ca_certificate(self, ctx: Context, req: api.UpdateCACertificateRequest) -> None:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_UpdateCACertificate.html"""
        with self.authorities.db.tx() as tx:
            found = self._require(ctx.scope, req["certificateId"])
            changed = found._replace(
                status=req.get("newStatus", found.status),
                auto_registration=req.get("newAutoRegistrationStatus", found.auto_registration),
                modified=ctx.now,
                version=found.version + 1,
            )
            self.authorities.put(tx, changed)

    @operation("DeleteCACertificate", resource=authority_arn)
    async def delete_ca_certificate(
        self, ctx: Context, req: api.DeleteCACertificateRequest
    ) -> api.DeleteCACertificateResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_DeleteCACertificate.html"""
        with self.authorities.db.tx() as tx:
            found = self._require(ctx.scope, req["certificateId"])
            if found.status == ACTIVE:
                raise api.CertificateStateException("The CA certificate must be made INACTIVE before it is deleted.")
            self.authorities.delete(tx, ctx.scope, found.id)
            self.store.delete_tags(tx, ctx.scope, found.arn)
        return {}

    @operation("ListCACertificates", refused=("templateName",))
    async def list_ca_certificates(
        self, ctx: Context, req: api.ListCACertificatesRequest
    ) -> api.ListCACertificatesResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_ListCACertificates.html"""
        limit, ascending = req.get("pageSize", _PAGE), bool(req.get("ascendingOrder"))
        found = self.authorities.authorities(ctx.scope, req.get("marker", ""), limit + 1, ascending=ascending)
        listed: list[api.CACertificate] = [
            {"certificateArn": one.arn, "certificateId": one.id, "status": one.status, "creationDate": one.created}
            for one in found[:limit]
        ]
        answer: api.ListCACertificatesResponse = {"certificates": listed}
        if len(found) > limit:
            answer["nextMarker"] = found[limit - 1].id
        return answer

    @operation("ListCertificatesByCA", resource=authority_arn)
    async def list_certificates_by_ca(
        self, ctx: Context, req: api.ListCertificatesByCARequest
    ) -> api.ListCertificatesByCAResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_ListCertificatesByCA.html"""
        limit, ascending = req.get("pageSize", _PAGE), bool(req.get("ascendingOrder"))
        every = self.store.certificates(ctx.scope, req.get("marker", ""), 100_000, ascending=ascending)
        found = [one for one in every if one.authority == req["caCertificateId"]]
        answer: api.ListCertificatesByCAResponse = {"certificates": [listed_certificate(one) for one in found[:limit]]}
        if len(found) > limit:
            answer["nextMarker"] = found[limit - 1].id
        return answer

    @operation("RegisterCertificate")
    async def register_certificate(
        self, ctx: Context, req: api.RegisterCertificateRequest
    ) -> api.RegisterCertificateResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_RegisterCertificate.html"""
        pem = req["certificatePem"]
        status = req.get("status") or (ACTIVE if req.get("setAsActive") else INACTIVE)
        if status not in (ACTIVE, INACTIVE, "REVOKED"):
            raise api.InvalidRequestException(f"Status {status} is not allowed for this operation.")
        facts, given = self._described(pem), req.get("caCertificatePem")
        every = self.authorities.authorities(ctx.scope, "", 1000)
        signer = next(
            (one for one in every if given in (None, one.pem) and self.core.p.authority.is_issued_by(pem, one.pem)),
            None,
        )
        if signer is None:
            raise api.CertificateValidationException("The certificate was not signed by a registered CA.")
        made = keep_certificate(self.core, ctx, pem, facts, status=status, authority=signer.id)
        return {"certificateArn": made.arn, "certificateId": made.id}

    def _check_proof(self, scope: Scope, pem: str, mode: str, proof: str | None) -> None:
        if mode == "SNI_ONLY":
            if proof is not None:
                raise api.InvalidRequestException("verificationCertificate is not allowed in mode SNI_ONLY.")
            return
        if proof is None:
            raise api.InvalidRequestException("verificationCertificate is required in mode DEFAULT.")
        facts = self._described(proof)
        if not self.core.p.authority.is_issued_by(proof, pem):
            raise api.CertificateValidationException("The CA did not sign the verification certificate.")
        if facts.common_name != self.authorities.code(scope):
            raise api.RegistrationCodeValidationException("The registration code does not match.")

    def _described(self, pem: str) -> CertificateFacts:
        try:
            return self.core.p.authority.describe(pem)
        except ValueError as wrong:
            raise api.CertificateValidationException(str(wrong)) from None

    def _require(self, scope: Scope, authority_id: str) -> RegisteredAuthority:
        found = self.authorities.authority(scope, authority_id)
        if found is None:
            raise api.ResourceNotFoundException(f"CA certificate {authority_id} does not exist.")
        return found
