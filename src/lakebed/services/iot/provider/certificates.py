"""Device certificates: made, registered, switched, deleted.

https://docs.aws.amazon.com/iot/latest/developerguide/x509-client-certs.html. What is not ACTIVE any more loses its
connections at once. Registered CAs and the certificates they signed: ``authorities``. Transfers are not built.
"""

from __future__ import annotations

from lakebed.api import iot as api
from lakebed.kernel.scope import Scope
from lakebed.ports.devices import CertificateFacts
from lakebed.ports.service import Context, Request, operation
from lakebed.services.iot.model import ACTIVE, INACTIVE, REVOKED, Certificate
from lakebed.services.iot.state import Core

_PAGE = 25


def certificate_arn(scope: Scope, req: Request) -> str:
    """The certificate an operation is on."""
    return scope.arn("iot", f"cert/{req['certificateId']}")


class CertificateOperations:
    """See the module."""

    def __init__(self, core: Core) -> None:
        self.core, self.store = core, core.store

    @operation("CreateKeysAndCertificate")
    async def create_keys_and_certificate(
        self, ctx: Context, req: api.CreateKeysAndCertificateRequest
    ) -> api.CreateKeysAndCertificateResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_CreateKeysAndCertificate.html"""
        issued = await self.core.p.authority.create_keys_and_certificate()
        made = keep_certificate(
            self.core, ctx, issued.pem, issued.facts, status=ACTIVE if req.get("setAsActive") else INACTIVE
        )
        return {
            "certificateArn": made.arn,
            "certificateId": made.id,
            "certificatePem": made.pem,
            "keyPair": {"PublicKey": issued.public_key_pem, "PrivateKey": issued.private_key_pem},
        }

    @operation("CreateCertificateFromCsr")
    async def create_certificate_from_csr(
        self, ctx: Context, req: api.CreateCertificateFromCsrRequest
    ) -> api.CreateCertificateFromCsrResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_CreateCertificateFromCsr.html"""
        try:
            issued = await self.core.p.authority.sign_csr(req["certificateSigningRequest"])
        except ValueError as wrong:
            raise api.InvalidRequestException(str(wrong)) from None
        made = keep_certificate(
            self.core, ctx, issued.pem, issued.facts, status=ACTIVE if req.get("setAsActive") else INACTIVE
        )
        return {"certificateArn": made.arn, "certificateId": made.id, "certificatePem": made.pem}

    @operation("RegisterCertificateWithoutCA")
    async def register_certificate_without_ca(
        self, ctx: Context, req: api.RegisterCertificateWithoutCARequest
    ) -> api.RegisterCertificateWithoutCAResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_RegisterCertificateWithoutCA.html"""
        status = req.get("status", INACTIVE)
        if status not in (ACTIVE, INACTIVE, REVOKED):
            raise api.InvalidRequestException(f"Status {status} is not allowed for this operation.")
        try:
            facts = self.core.p.authority.describe(req["certificatePem"])
            self.core.p.authority.trust(req["certificatePem"])
        except ValueError as wrong:
            raise api.CertificateValidationException(str(wrong)) from None
        made = keep_certificate(self.core, ctx, req["certificatePem"], facts, status=status, mode="SNI_ONLY")
        return {"certificateArn": made.arn, "certificateId": made.id}

    @operation("DescribeCertificate", resource=certificate_arn)
    async def describe_certificate(
        self, ctx: Context, req: api.DescribeCertificateRequest
    ) -> api.DescribeCertificateResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_DescribeCertificate.html"""
        found = self._require(ctx.scope, req["certificateId"])
        signer: api.CertificateDescription = {"caCertificateId": found.authority} if found.authority else {}
        return {
            "certificateDescription": {
                **signer,
                "certificateArn": found.arn,
                "certificateId": found.id,
                "status": found.status,
                "certificatePem": found.pem,
                "ownedBy": ctx.scope.account,
                "creationDate": found.created,
                "lastModifiedDate": found.modified,
                "customerVersion": found.version,
                "validity": {"notBefore": found.not_before, "notAfter": found.not_after},
                "certificateMode": found.mode,
            }
        }

    @operation("ListCertificates")
    async def list_certificates(self, ctx: Context, req: api.ListCertificatesRequest) -> api.ListCertificatesResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_ListCertificates.html"""
        limit = req.get("pageSize", _PAGE)
        ascending = bool(req.get("ascendingOrder"))
        found = self.store.certificates(ctx.scope, req.get("marker", ""), limit + 1, ascending=ascending)
        answer: api.ListCertificatesResponse = {"certificates": [listed_certificate(one) for one in found[:limit]]}
        if len(found) > limit:
            answer["nextMarker"] = found[limit - 1].id
        return answer

    @operation("UpdateCertificate", resource=certificate_arn)
    async def update_certificate(self, ctx: Context, req: api.UpdateCertificateRequest) -> None:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_UpdateCertificate.html"""
        status = req["newStatus"]
        if status not in (ACTIVE, INACTIVE, REVOKED):
            raise api.InvalidRequestException(f"Status {status} can not be set by this operation.")
        with self.store.db.tx() as tx:
            found = self._require(ctx.scope, req["certificateId"])
            self.store.put_certificate(tx, found._replace(status=status, modified=ctx.now, version=found.version + 1))
            self.core.access_changed(tx)
        if status != ACTIVE:
            self.core.p.broker.revoke(found.id)

    @operation("DeleteCertificate", resource=certificate_arn)
    async def delete_certificate(self, ctx: Context, req: api.DeleteCertificateRequest) -> None:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_DeleteCertificate.html"""
        with self.store.db.tx() as tx:
            found = self._require(ctx.scope, req["certificateId"])
            if found.status == ACTIVE:
                raise api.CertificateStateException(
                    f"Certificate must be deactivated (not ACTIVE) before deletion. id={found.id}"
                )
            if self.store.things_of(ctx.scope, found.arn, limit=1):
                raise api.DeleteConflictException(f"Things must be detached before deletion (arn: {found.arn})")
            policies = self.store.policies_of(ctx.scope, found.arn)
            if policies and not req.get("forceDelete"):
                raise api.DeleteConflictException(
                    f"Certificate policies must be detached before deletion (arn: {found.arn})"
                )
            for policy in policies:
                self.store.detach_policy(tx, ctx.scope, found.arn, policy)
            self.store.delete_certificate(tx, ctx.scope, found.id)
            self.core.access_changed(tx)
        self.core.p.broker.revoke(found.id)

    def _require(self, scope: Scope, certificate_id: str) -> Certificate:
        found = self.store.certificate(scope, certificate_id)
        if found is None:
            raise api.ResourceNotFoundException(f"Certificate id {certificate_id} does not exist.")
        return found


def listed_certificate(one: Certificate) -> api.Certificate:
    """As lists show it."""
    return {
        "certificateArn": one.arn,
        "certificateId": one.id,
        "status": one.status,
        "certificateMode": one.mode,
        "creationDate": one.created,
    }


def keep_certificate(
    core: Core,
    ctx: Context,
    pem: str,
    facts: CertificateFacts,
    *,
    status: str,
    mode: str = "DEFAULT",
    authority: str = "",
) -> Certificate:
    """Register a certificate that was made or shown."""
    made = Certificate(
        ctx.scope, facts.certificate_id, pem, status, mode, ctx.now, ctx.now, facts.not_before, facts.not_after,
        facts.common_name, facts.serial_number, 1, authority,
    )  # fmt: skip
    with core.store.db.tx() as tx:
        # One door serves all accounts and tells them by the certificate: a second account's registration of a public
        # certificate would take over, or cut off, the first one's devices.
        accounts = {other.scope.account for other in core.store.certificates_with(made.id)}
        if core.store.certificate(ctx.scope, made.id) is not None or accounts - {ctx.scope.account}:
            raise api.ResourceAlreadyExistsException(
                "The certificate is already provisioned or registered",
                members={"resourceId": made.id, "resourceArn": made.arn},
            )
        core.store.put_certificate(tx, made)
        core.access_changed(tx)
    return made
