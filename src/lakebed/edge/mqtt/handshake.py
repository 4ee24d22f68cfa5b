"""Whether a CONNECT is accepted and on which terms: a function of the packet, who sent it and the gate's word.

https://docs.aws.amazon.com/iot/latest/developerguide/mqtt.html: keep alive 30 to 1,200 seconds, session expiry up to the
account's hour, no QoS 2, no enhanced authentication; an empty client id gets one beginning with ``$GEN/``. User name and
password are read and mean nothing where a certificate speaks for the device (custom authorizers do not exist here).
"""

from __future__ import annotations

from dataclasses import dataclass

from lakebed.edge.mqtt import limits
from lakebed.edge.mqtt.session import properties_of
from lakebed.kernel.ids import Ids
from lakebed.ports.devices import ConnectAttributes, DeviceGate, DeviceIdentity, PublishedMessage
from lakebed.wire.mqtt.packets import V5, Connect, Will
from lakebed.wire.mqtt.properties import Properties
from lakebed.wire.mqtt.reasons import Reason


class Refused(Exception):  # noqa: N818 - a refusal is an answer here, not a fault
    """The CONNACK's reason."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.name)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Accepted:
    """The terms of a connection; ``properties`` tell an MQTT 5 client."""

    identity: DeviceIdentity
    client_id: str
    expiry_seconds: int
    keep_alive: int
    will: PublishedMessage | None
    will_delay: int
    properties: Properties


def accept(gate: DeviceGate, packet: Connect, identity: DeviceIdentity | None, ids: Ids) -> Accepted:
    """The terms, or ``Refused``."""
    if identity is None:
        raise Refused(Reason.NOT_AUTHORIZED)
    if "authentication_method" in packet.properties:
        raise Refused(Reason.BAD_AUTHENTICATION_METHOD)
    client_id = packet.client_id
    if not client_id:
        if packet.version != V5 and not packet.clean_start:
            raise Refused(Reason.CLIENT_ID_INVALID)
        client_id = f"$GEN/{ids.uuid()}"
    if len(client_id.encode()) > limits.CLIENT_ID_BYTES_MAX:
        raise Refused(Reason.CLIENT_ID_INVALID)
    if packet.version == V5:
        expiry = min(packet.properties.get("session_expiry_interval", 0), limits.SESSION_EXPIRY_MAX)
    else:
        expiry = 0 if packet.clean_start else limits.SESSION_EXPIRY_MAX
    will = _will(packet.will) if packet.will is not None else None
    attributes = ConnectAttributes(
        expiry > 0, will.topic if will else None, bool(will and will.retain), packet.username
    )
    if not gate.may_connect(identity, client_id, attributes):
        raise Refused(Reason.NOT_AUTHORIZED)
    keep_alive = limits.keep_alive(packet.keep_alive)
    delay = packet.will.properties.get("will_delay_interval", 0) if packet.will is not None else 0
    terms: Properties = {}
    if packet.version == V5:
        terms = {
            "session_expiry_interval": expiry,
            "receive_maximum": limits.IN_FLIGHT_MAX,
            "maximum_qos": 1,
            "retain_available": 1,
            "maximum_packet_size": limits.PACKET_BYTES_MAX,
            "topic_alias_maximum": limits.TOPIC_ALIASES_MAX,
            "wildcard_subscription_available": 1,
            "subscription_identifier_available": 1,
            "shared_subscription_available": 1,
            "server_keep_alive": keep_alive,
        }
        if not packet.client_id:
            terms["assigned_client_identifier"] = client_id
    return Accepted(identity, client_id, expiry, keep_alive, will, delay, terms)


def _will(will: Will) -> PublishedMessage:
    if will.qos == 2:
        raise Refused(Reason.QOS_NOT_SUPPORTED)
    if limits.topic_fault(will.topic) is not None:
        raise Refused(Reason.TOPIC_NAME_INVALID)
    if limits.is_reserved(will.topic):
        raise Refused(Reason.NOT_AUTHORIZED)
    if len(will.payload) > limits.PAYLOAD_BYTES_MAX:
        raise Refused(Reason.PACKET_TOO_LARGE)
    return PublishedMessage(will.topic, will.payload, will.qos, will.retain, 0.0, properties_of(will.properties))
