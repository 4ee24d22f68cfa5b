"""Packets to bytes, for both versions.

The encoder trusts its caller: what Lakebed sends was validated when it was received or is Lakebed's own. Values that do
not fit a field raise ``ValueError``. ``pubacks`` is the fast path: many acknowledgements in one write.
"""

from __future__ import annotations

from collections.abc import Iterable
from struct import Struct
from typing import assert_never

from lakebed.wire.mqtt.fields import pack_binary, pack_string, pack_varint
from lakebed.wire.mqtt.packets import (
    V5,
    Auth,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Publish,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    Will,
)
from lakebed.wire.mqtt.properties import pack_properties
from lakebed.wire.mqtt.reasons import Reason

_PUBACK = Struct(">BBH")
# MQTT 3.1.1 knows five refusals of a CONNECT (section 3.2.2.3); everything else is "server unavailable".
_CONNACK_V311 = {
    Reason.SUCCESS: 0,
    Reason.UNSUPPORTED_VERSION: 1,
    Reason.CLIENT_ID_INVALID: 2,
    Reason.BAD_CREDENTIALS: 4,
    Reason.NOT_AUTHORIZED: 5,
}
_UNAVAILABLE_V311 = 3
_SUBSCRIBE_FAILED_V311 = 0x80


def pubacks(packet_ids: Iterable[int]) -> bytes:
    """Successful acknowledgements; the same bytes in both versions."""
    pack = _PUBACK.pack
    return b"".join([pack(0x40, 2, packet_id) for packet_id in packet_ids])


def publish(message: Publish, version: int) -> bytes:
    """One PUBLISH."""
    first = 0x30 | message.dup << 3 | message.qos << 1 | message.retain
    body = pack_string(message.topic)
    if message.qos:
        body += message.packet_id.to_bytes(2, "big")
    if version == V5:
        body += pack_properties(message.properties)
    return bytes((first,)) + pack_varint(len(body) + len(message.payload)) + body + message.payload


def encode(packet: Packet, version: int) -> bytes:
    """Any packet."""
    if isinstance(packet, Publish):
        return publish(packet, version)
    first, body = _body(packet, version == V5)
    return bytes((first,)) + pack_varint(len(body)) + body


def _body(packet: Packet, is_v5: bool) -> tuple[int, bytes]:
    match packet:
        case Connect():
            return 0x10, _connect(packet, is_v5)
        case Connack():
            flags = bytes((packet.session_present,))
            if is_v5:
                return 0x20, flags + bytes((packet.reason,)) + pack_properties(packet.properties)
            return 0x20, flags + bytes((_CONNACK_V311.get(Reason(packet.reason), _UNAVAILABLE_V311),))
        case Puback():
            return 0x40, packet.packet_id.to_bytes(2, "big") + _reason(packet, is_v5)
        case Subscribe():
            return 0x82, _subscribe(packet, is_v5)
        case Suback():
            reasons = packet.reasons
            if not is_v5:
                reasons = tuple(reason if reason < 0x80 else _SUBSCRIBE_FAILED_V311 for reason in reasons)
            return 0x90, _head(packet, is_v5) + bytes(reasons)
        case Unsubscribe():
            return 0xA2, _head(packet, is_v5) + b"".join(map(pack_string, packet.topic_filters))
        case Unsuback():
            return 0xB0, _head(packet, is_v5) + (bytes(packet.reasons) if is_v5 else b"")
        case Pingreq():
            return 0xC0, b""
        case Pingresp():
            return 0xD0, b""
        case Disconnect():
            return 0xE0, _reason(packet, is_v5)
        case Auth():
            return 0xF0, _reason(packet, is_v5)
        case Publish():
            raise AssertionError("publish() encodes it")
        case _:
            assert_never(packet)


def _head(packet: Subscribe | Suback | Unsubscribe | Unsuback, is_v5: bool) -> bytes:
    head = packet.packet_id.to_bytes(2, "big")
    return head + pack_properties(packet.properties) if is_v5 else head


def _reason(packet: Puback | Disconnect | Auth, is_v5: bool) -> bytes:
    """Reason and properties, left out where MQTT 5 lets them be and in 3.1.1 always."""
    if not is_v5 or (packet.reason == Reason.SUCCESS and not packet.properties):
        return b""
    return bytes((packet.reason,)) + pack_properties(packet.properties)


def _subscribe(packet: Subscribe, is_v5: bool) -> bytes:
    out = [_head(packet, is_v5)]
    for wanted in packet.subscriptions:
        options = wanted.qos
        if is_v5:
            options |= wanted.no_local << 2 | wanted.retain_as_published << 3 | wanted.retain_handling << 4
        out.append(pack_string(wanted.topic_filter) + bytes((options,)))
    return b"".join(out)


def _connect(packet: Connect, is_v5: bool) -> bytes:
    flags = packet.clean_start << 1 | (packet.username is not None) << 7 | (packet.password is not None) << 6
    will = b""
    if packet.will is not None:
        flags |= 4 | packet.will.qos << 3 | packet.will.retain << 5
        will = _will(packet.will, is_v5)
    return b"".join(
        (
            pack_string("MQTT"),
            bytes((packet.version, flags)),
            packet.keep_alive.to_bytes(2, "big"),
            pack_properties(packet.properties) if is_v5 else b"",
            pack_string(packet.client_id),
            will,
            b"" if packet.username is None else pack_string(packet.username),
            b"" if packet.password is None else pack_binary(packet.password),
        )
    )


def _will(will: Will, is_v5: bool) -> bytes:
    properties = pack_properties(will.properties) if is_v5 else b""
    return properties + pack_string(will.topic) + pack_binary(will.payload)
