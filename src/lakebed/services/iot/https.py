"""What devices with certificates ask over HTTPS: publish, shadows, and temporary credentials for a role alias.

https://docs.aws.amazon.com/iot/latest/developerguide/http.html,
https://docs.aws.amazon.com/iot/latest/developerguide/device-shadow-rest-api.html,
https://docs.aws.amazon.com/iot/latest/developerguide/authorizing-direct-aws.html. The certificate's IoT policies decide:
``iot:Publish``, ``iot:GetThingShadow`` and the like, ``iot:AssumeRoleWithCertificate``; and the role's trust policy must
name ``credentials.iot.amazonaws.com``.
"""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import parse_qs, unquote

import msgspec

from lakebed.kernel.errors import AwsError
from lakebed.ports.devices import DeviceIdentity, PublishedMessage
from lakebed.services.iot.alias_store import AliasStore
from lakebed.services.iot.shadows.document import ShadowError
from lakebed.services.iot.shadows.keeper import ShadowKeeper
from lakebed.services.iot.state import Core
from lakebed.wire.aws.message import HttpRequest

_CREDENTIALS = "credentials.iot.amazonaws.com"
_METHODS = {"GET": "get", "POST": "update", "DELETE": "delete"}
Answer = tuple[int, bytes]


class DeviceHttps:
    """See the module."""

    def __init__(self, core: Core, shadows: ShadowKeeper, aliases: AliasStore) -> None:
        self.core, self.shadows, self.aliases = core, shadows, aliases

    async def answer(self, identity: DeviceIdentity, request: HttpRequest) -> Answer:
        """Status and JSON body."""
        query = {name: values[0] for name, values in parse_qs(request.query).items()}
        match (request.method, *request.raw_path.strip("/").split("/")):
            case ("POST", "topics", *levels) if levels:
                return await self._publish(identity, unquote("/".join(levels)), query, request.body)
            case (verb, "things", thing, "shadow") if verb in _METHODS:
                return await self._shadow(identity, _METHODS[verb], unquote(thing), query.get("name", ""), request.body)
            case ("GET", "role-aliases", alias, "credentials"):
                return self._credentials(identity, unquote(alias), request.headers.get("x-amzn-iot-thingname", ""))
        return _refused(404, "There is nothing here for devices.")

    async def _publish(self, identity: DeviceIdentity, topic: str, query: dict[str, str], payload: bytes) -> Answer:
        qos, retain = query.get("qos", "0"), query.get("retain", "false") == "true"
        if qos not in ("0", "1"):
            return _refused(400, "qos must be 0 or 1.")
        if topic.startswith("$") and not topic.startswith("$aws/rules/") and not self.core.gate.answers(topic):
            return _refused(400, f"Topic {topic} is reserved.")
        if not self.core.gate.may_publish(identity, "", topic, retain=retain):
            return _refused(403, "Not authorized.")
        message = PublishedMessage(topic, payload, int(qos), retain, self.core.k.clock.now())
        try:
            await self.core.p.broker.publish(identity.scope, topic, payload, qos=int(qos), retain=retain)
        except ValueError as wrong:
            return _refused(400, str(wrong))
        await self.core.gate.ingest(identity, "", [message])
        return 200, msgspec.json.encode({"message": "OK", "traceId": self.core.k.ids.uuid()})

    async def _shadow(self, identity: DeviceIdentity, method: str, thing: str, name: str, payload: bytes) -> Answer:
        resource = f"thing/{thing}{f'/{name}' if name else ''}"
        if not self.core.gate.may(identity, "", f"iot:{method.capitalize()}ThingShadow", resource):
            return _refused(403, "Not authorized.")
        try:
            return 200, await self.shadows.ask(identity.scope, method, thing, name, payload, "HTTP")
        except ShadowError as refused:
            return _refused(refused.code, refused.message)

    def _credentials(self, identity: DeviceIdentity, name: str, thing: str) -> Answer:
        scope = identity.scope
        attached = dict(self.core.store.things_of(scope, scope.arn("iot", f"cert/{identity.certificate_id}")))
        if thing and thing not in attached:
            return _refused(403, "Access Denied")
        alias = self.aliases.alias(scope, name)
        # Whether the alias exists is told to nobody who may not use it.
        may = self.core.gate.may(identity, thing, "iot:AssumeRoleWithCertificate", f"rolealias/{name}")
        if alias is None or not may:
            return _refused(403, "Access Denied")
        try:
            made = self.core.p.identity.role_credentials(
                alias.role_arn, _CREDENTIALS, session_name=identity.certificate_id, seconds=alias.seconds
            )
        except AwsError:
            return _refused(403, "Access Denied")
        expiration = datetime.fromtimestamp(made.expires_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return 200, msgspec.json.encode(
            {
                "credentials": {
                    "accessKeyId": made.access_key_id,
                    "secretAccessKey": made.secret_access_key,
                    "sessionToken": made.session_token,
                    "expiration": expiration,
                }
            }
        )


def _refused(status: int, message: str) -> Answer:
    return status, msgspec.json.encode({"message": message})
