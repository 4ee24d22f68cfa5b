"""``DeviceGate``: who a certificate is, what its policies allow, and the way to the rules.

Decisions are remembered by (certificate, client, action, resource) and thrown away whole when a policy, an attachment, a
thing or a certificate changes: changes are rare, packets are not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence

from lakebed.kernel.errors import AwsError
from lakebed.kernel.scope import Scope
from lakebed.ports.devices import ConnectAttributes, DeviceIdentity, PublishedMessage
from lakebed.ports.house import Ports
from lakebed.services.iot.event_log import EventLog
from lakebed.services.iot.group_store import GroupStore
from lakebed.services.iot.model import ACTIVE
from lakebed.services.iot.policy import Statement, compile_policy, decide
from lakebed.services.iot.reserved import Reserved
from lakebed.services.iot.rules import RuleEngine
from lakebed.services.iot.store import IotStore
from lakebed.wire.aws.message import HttpRequest

_REMEMBERED_MAX = 50_000
_Facts = dict[str, str | Sequence[str]]


class Gate:
    """See ``lakebed.ports.devices.DeviceGate``."""

    def __init__(self, p: Ports, store: IotStore, engine: RuleEngine, reserved: Reserved, log: EventLog) -> None:
        self._p, self._store, self._engine, self._reserved = p, store, engine, reserved
        self._groups, self._log = GroupStore(store.db), log
        self.unknown: Callable[[bytes], None] | None = None  # just-in-time registration
        self.https_answer: Callable[[DeviceIdentity, HttpRequest], Awaitable[tuple[int, bytes]]] | None = None
        self._decided: dict[tuple[str, Scope, str, str, str], bool] = {}
        self._statements: dict[tuple[str, Scope], tuple[Statement, ...]] = {}
        self._of_certificate: set[tuple[str, Scope]] = set()  # whose policies ask what the certificate says of itself
        self._facts: dict[tuple[str, Scope, str, str], _Facts] = {}

    def changed(self) -> None:
        """Something a decision may rest on has changed."""
        self._decided.clear()
        self._statements.clear()
        self._facts.clear()
        self._of_certificate.clear()

    def identify(self, certificate_der: bytes | None, source_ip: str) -> DeviceIdentity | None:
        if certificate_der is None:
            return None
        certificate_id = hashlib.sha256(certificate_der).hexdigest()
        found = self._store.certificates_with(certificate_id)
        for certificate in found:
            if certificate.status == ACTIVE:
                return DeviceIdentity(certificate.scope, certificate_id, source_ip)
        if not found and self.unknown is not None:
            self.unknown(certificate_der)
        return None

    def may_connect(self, identity: DeviceIdentity, client_id: str, attributes: ConnectAttributes) -> bool:
        asked = [
            name
            for name, is_set in (
                ("PersistentConnect", attributes.persistent),
                ("LastWill", attributes.will_topic is not None),
            )
            if is_set
        ]
        facts = dict(self.facts(identity, client_id))
        if asked:
            facts["iot:ConnectAttributes"] = asked
        if attributes.will_topic is not None:
            facts["iot:LastWillTopic"] = attributes.will_topic
        resource = identity.scope.arn("iot", f"client/{client_id}")
        if identity.principal is not None:
            allowed = self._principal_may(identity, "iot:Connect", resource, facts)
        else:
            allowed = decide(self._policies(identity), "iot:Connect", resource, facts)
        return self._counted(identity, client_id, "Connect", "", allowed)

    def may_publish(self, identity: DeviceIdentity, client_id: str, topic: str, *, retain: bool) -> bool:
        allowed = self.may(identity, client_id, "iot:Publish", "topic/" + topic)
        if allowed and retain:
            allowed = self.may(identity, client_id, "iot:RetainPublish", "topic/" + topic)
        return allowed or self._counted(identity, client_id, "PublishIn", topic, allowed)

    def answers(self, topic: str) -> bool:
        return self._reserved.takes(topic)

    def may_subscribe(self, identity: DeviceIdentity, client_id: str, topic_filter: str) -> bool:
        allowed = self.may(identity, client_id, "iot:Subscribe", "topicfilter/" + topic_filter)
        return self._counted(identity, client_id, "Subscribe", topic_filter, allowed)

    def may_receive(self, identity: DeviceIdentity, client_id: str, topic: str) -> bool:
        allowed = self.may(identity, client_id, "iot:Receive", "topic/" + topic)
        return self._counted(identity, client_id, "PublishOut", topic, allowed)

    async def ingest(self, identity: DeviceIdentity, client_id: str, messages: Sequence[PublishedMessage]) -> None:
        self._count(identity, "PublishIn.Success", len(messages))
        if self._log.listens(identity.scope, "INFO"):
            for message in messages:
                self._note(identity, client_id, "Publish-In", message.topic, True)
        await self._engine.run(
            identity.scope,
            messages,
            client_id=client_id,
            principal=identity.principal.user_id if identity.principal is not None else identity.certificate_id,
            source_ip=identity.source_ip,
        )
        for message in messages:
            await self._reserved.answer(identity, client_id, message)

    async def https(self, identity: DeviceIdentity, request: HttpRequest) -> tuple[int, bytes]:
        assert self.https_answer is not None, "the service was not wired"
        return await self.https_answer(identity, request)

    def may(self, identity: DeviceIdentity, client_id: str, action: str, resource: str) -> bool:
        """Whether the identity's policies allow ``action`` on ``resource`` (the ARN's last part)."""
        if identity.principal is not None:
            facts = self.facts(identity, client_id)
            return self._principal_may(identity, action, identity.scope.arn("iot", resource), facts)
        key = (identity.certificate_id, identity.scope, client_id, action, resource)
        known = self._decided.get(key)
        if known is None:
            arn = identity.scope.arn("iot", resource)
            known = decide(self._policies(identity), action, arn, self.facts(identity, client_id))
            if len(self._decided) >= _REMEMBERED_MAX:
                self._decided.clear()
            self._decided[key] = known
        return known

    def _counted(self, identity: DeviceIdentity, client_id: str, what: str, topic: str, allowed: bool) -> bool:
        self._count(identity, f"{what}.{'Success' if allowed else 'AuthError'}", 1)
        if self._log.listens(identity.scope, "INFO" if allowed else "ERROR"):
            self._note(identity, client_id, what.replace("Publish", "Publish-"), topic, allowed)
        return allowed

    def _note(self, identity: DeviceIdentity, client_id: str, event: str, topic: str, allowed: bool) -> None:
        facts: dict[str, str] = {
            "protocol": "MQTT",
            "clientId": client_id,
            "principalId": identity.certificate_id or (identity.principal.user_id if identity.principal else ""),
            "sourceIp": identity.source_ip,
        }
        if topic:
            facts["topicName"] = topic
        if not allowed:
            facts["reason"] = "AUTHORIZATION_FAILURE"
        status = "Success" if allowed else "Failure"
        self._log.note(identity.scope, "INFO" if allowed else "ERROR", event, status, facts)

    def _count(self, identity: DeviceIdentity, name: str, count: int) -> None:
        """https://docs.aws.amazon.com/iot/latest/developerguide/metrics_dimensions.html#message-broker-metrics"""
        self._p.metrics.put(identity.scope, "AWS/IoT", [(name, {"Protocol": "MQTT"}, float(count), "Count")])

    def _principal_may(self, identity: DeviceIdentity, action: str, arn: str, facts: _Facts) -> bool:
        """IAM's word, which is asked each time: what was revoked counts at once."""
        assert identity.principal is not None
        try:
            self._p.identity.authorise(identity.principal, action, arn, conditions=facts)
        except AwsError:
            return False
        return True

    def _policies(self, identity: DeviceIdentity) -> tuple[Statement, ...]:
        key = (identity.certificate_id, identity.scope)
        known = self._statements.get(key)
        if known is None:
            scope = identity.scope
            found: list[Statement] = []
            self._of_certificate.discard(key)
            for name in self.policies_of_certificate(scope, identity.certificate_id):
                version = self._store.policy(scope, name)
                if version is None:
                    continue
                found += compile_policy(version.document)
                if "iot:Certificate." in version.document:
                    self._of_certificate.add(key)
            known = self._statements[key] = tuple(found)
        return known

    def policies_of_certificate(self, scope: Scope, certificate_id: str) -> list[str]:
        """Policies of a certificate, and of the groups its things are in, with the groups above those."""
        arn = scope.arn("iot", f"cert/{certificate_id}")
        found = self._store.policies_of(scope, arn)
        for thing, _ in self._store.things_of(scope, arn):
            found += self.policies_of_thing(scope, thing)
        return list(dict.fromkeys(found))

    def policies_of_thing(self, scope: Scope, thing: str) -> list[str]:
        """Policies of the groups a thing is in, and of those above."""
        found: list[str] = []
        for group in self._groups.of_thing(scope, thing):
            for name in (group, *self._groups.ancestors(scope, group)):
                found += self._store.policies_of(scope, scope.arn("iot", f"thinggroup/{name}"))
        return list(dict.fromkeys(found))

    def facts(self, identity: DeviceIdentity, client_id: str) -> _Facts:
        """Policy variables. Thing variables have values where a thing of the client id's name exists and is attached."""
        scope = identity.scope
        key = (identity.certificate_id, scope, client_id, identity.source_ip)
        known = self._facts.get(key)
        if known is not None:
            return known
        facts: _Facts = {
            "iot:ClientId": client_id,
            "iot:CertificateId": identity.certificate_id,
            "aws:SourceIp": identity.source_ip,
        }
        certificate = self._store.certificate(scope, identity.certificate_id)
        if certificate is not None:
            facts["iot:Certificate.Subject.CommonName"] = certificate.common_name
            facts["iot:Certificate.SerialNumber"] = certificate.serial_number
            self._policies(identity)
            if (identity.certificate_id, scope) in self._of_certificate:
                facts.update(self._p.authority.variables(certificate.pem))
        attached = dict(self._store.things_of(scope, scope.arn("iot", f"cert/{identity.certificate_id}")))
        facts["iot:Connection.Thing.IsAttached"] = "true" if client_id in attached else "false"
        thing = self._store.thing(scope, client_id)
        if thing is not None and client_id in attached:
            facts["iot:Connection.Thing.ThingName"] = thing.name
            if thing.type:
                facts["iot:Connection.Thing.ThingTypeName"] = thing.type
            for name, value in thing.attributes.items():
                facts[f"iot:Connection.Thing.Attributes[{name}]"] = value
        if len(self._facts) >= _REMEMBERED_MAX:
            self._facts.clear()
        self._facts[key] = facts
        return facts
