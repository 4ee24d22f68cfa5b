"""Just-in-time registration: a device whose certificate a registered CA signed shows it at its first connection.

The certificate is registered as PENDING_ACTIVATION and the account told on
``$aws/events/certificates/registered/<CA id>``; the connection is refused until somebody, usually a rule's Lambda
function, makes it ACTIVE. https://docs.aws.amazon.com/iot/latest/developerguide/auto-register-device-cert.html
"""

from __future__ import annotations

from typing import Any

import msgspec

from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Scope
from lakebed.ports.house import Ports
from lakebed.services.iot.authority_store import AuthorityStore
from lakebed.services.iot.model import Certificate
from lakebed.services.iot.rules import RuleEngine
from lakebed.services.iot.store import IotStore

PENDING = "PENDING_ACTIVATION"
TOPIC = "iot:registered"


class Registration:
    """See the module."""

    def __init__(self, k: Kernel, p: Ports, store: IotStore, engine: RuleEngine) -> None:
        self._k, self._p, self._store, self._engine = k, p, store, engine
        self._authorities = AuthorityStore(k.db)
        k.outbox.handle(TOPIC, self._tell)

    def meet(self, certificate_der: bytes) -> None:
        """Register an unknown certificate, where a CA that lets its devices register signed it."""
        authorities = self._authorities.registering()
        if not authorities:
            return
        pem = self._p.authority.encode(certificate_der)
        signer = next((one for one in authorities if self._p.authority.is_issued_by(pem, one.pem)), None)
        if signer is None:
            return
        facts, now = self._p.authority.describe(pem), self._k.clock.now()
        made = Certificate(
            signer.scope, facts.certificate_id, pem, PENDING, "DEFAULT", now, now, facts.not_before, facts.not_after,
            facts.common_name, facts.serial_number, 1, signer.id,
        )  # fmt: skip
        body = {
            "certificateId": made.id,
            "caCertificateId": signer.id,
            "timestamp": int(now * 1000),
            "certificateStatus": PENDING,
            "awsAccountId": signer.scope.account,
            "certificateRegistrationTimestamp": str(int(now * 1000)),
        }
        with self._k.db.tx() as tx:
            self._store.put_certificate(tx, made)
            self._k.outbox.emit(
                tx, TOPIC, {"account": signer.scope.account, "region": signer.scope.region, "body": body}
            )

    async def _tell(self, message: dict[str, Any]) -> None:
        scope, body = Scope(message["account"], message["region"]), message["body"]
        topic = f"$aws/events/certificates/registered/{body['caCertificateId']}"
        await self._engine.tell(scope, topic, msgspec.json.encode(body))
