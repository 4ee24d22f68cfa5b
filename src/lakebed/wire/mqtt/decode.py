"""Bytes to packets, incrementally.

``Decoder.feed`` takes whatever the socket gave and returns the packets that are complete. The first bytes that are not
MQTT end it: ``failure`` then says why, and packets decoded before them are still returned, because a PUBLISH that
arrived whole deserves its answer. PUBLISH and PUBACK, nearly all traffic, are decoded in the loop itself without a
``Reader``, and topic names are remembered, because devices repeat themselves.

The remaining length is checked before anything is buffered, so a peer cannot make Lakebed hold more than one packet of
``packet_bytes_max`` bytes for it.
"""

from __future__ import annotations

from collections.abc import Callable

from lakebed.wire.mqtt.fields import Reader, malformed, text
from lakebed.wire.mqtt.packets import (
    V5,
    V311,
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
    Subscription,
    Unsuback,
    Unsubscribe,
    Will,
)
from lakebed.wire.mqtt.properties import NO_PROPERTIES, Properties, read_properties
from lakebed.wire.mqtt.reasons import MqttError, Reason, UnsupportedVersionError
from lakebed.wire.mqtt.topics import is_topic

_TOPICS_REMEMBERED = 512
_INCOMPLETE = -1


class Decoder:
    """One direction of one connection. ``version`` is learned from CONNECT where it is not given."""

    def __init__(self, packet_bytes_max: int, version: int | None = None) -> None:
        self.version = version
        self.failure: MqttError | None = None
        self._packet_bytes_max = packet_bytes_max
        self._waiting: list[bytes] = []  # pieces of one incomplete packet, joined only once it can be whole
        self._waiting_bytes = 0
        self._wanted_bytes = 0
        self._topics: dict[bytes, str] = {}

    def feed(self, data: bytes) -> list[Packet]:
        """The packets that are complete now. After ``failure`` every further byte is ignored."""
        if self.failure is not None:
            return []
        if self._waiting:
            self._waiting.append(data)
            self._waiting_bytes += len(data)
            if self._waiting_bytes < self._wanted_bytes:
                return []
            data = b"".join(self._waiting)
            self._waiting.clear()
        packets: list[Packet] = []
        try:
            pos = self._decode(data, packets)
        except MqttError as failure:
            self.failure = failure
            return packets
        if pos < len(data):
            self._waiting.append(data[pos:])
            self._waiting_bytes = len(data) - pos
        return packets

    def _decode(self, data: bytes, packets: list[Packet]) -> int:
        """Decode into ``packets``; the position of the first byte that is not used yet."""
        pos, size, is_v5 = 0, len(data), self.version == V5
        self._wanted_bytes = 2
        while size - pos >= 2:
            first, length = data[pos], data[pos + 1]
            start = pos + 2
            if length >= 0x80:
                length, start = self._length(data, pos, size)
                if start == _INCOMPLETE:
                    self._wanted_bytes = size - pos + 1
                    break
            if start + length - pos > self._packet_bytes_max:
                raise MqttError(Reason.PACKET_TOO_LARGE, f"packet is larger than {self._packet_bytes_max} bytes")
            end = start + length
            if end > size:
                self._wanted_bytes = end - pos
                break
            if first & 0xF0 == 0x30 and self.version is not None:
                packets.append(self._publish(data, first, start, end, is_v5))
            elif first == 0x40 and length == 2 and self.version is not None:
                packets.append(Puback(_nonzero(data[start] << 8 | data[start + 1])))
            else:
                packets.append(self._other(first, Reader(data, start, end)))
                is_v5 = self.version == V5
            pos = end
        return pos

    @staticmethod
    def _length(data: bytes, pos: int, size: int) -> tuple[int, int]:
        """Remaining length and where the body starts; ``_INCOMPLETE`` while its bytes are still coming."""
        value = 0
        for index in range(4):
            at = pos + 1 + index
            if at >= size:
                return 0, _INCOMPLETE
            byte = data[at]
            value |= (byte & 0x7F) << 7 * index
            if byte < 0x80:
                if byte == 0 and index:
                    raise malformed("remaining length is not in its shortest form")
                return value, at + 1
        raise malformed("remaining length is longer than four bytes")

    def _publish(self, data: bytes, first: int, start: int, end: int, is_v5: bool) -> Publish:
        qos = first >> 1 & 3
        body = start + 2
        if body > end:
            raise malformed("packet is shorter than its fields")
        at = body + (data[start] << 8 | data[start + 1])
        if at + (2 if qos else 0) > end:
            raise malformed("packet is shorter than its fields")
        if qos == 3:
            raise malformed("QoS 3 does not exist")
        if first & 8 and not qos:
            raise malformed("DUP is set on a QoS 0 message")
        raw = data[body:at]
        topic = self._topics.get(raw)
        if topic is None:
            topic = self._learn(raw, is_v5)
        packet_id = 0
        if qos:
            packet_id = _nonzero(data[at] << 8 | data[at + 1])
            at += 2
        properties = NO_PROPERTIES
        if is_v5:
            if at < end and data[at] == 0:
                at += 1
            else:
                reader = Reader(data, at, end)
                properties = read_properties(reader, "publish")
                at = reader.pos
            if not raw and "topic_alias" not in properties:
                raise MqttError(Reason.PROTOCOL_ERROR, "PUBLISH has neither a topic nor a topic alias")
        return Publish(topic, data[at:end], qos, first & 1 == 1, first & 8 == 8, packet_id, properties)

    def _learn(self, raw: bytes, is_v5: bool) -> str:
        """Validate a topic name once and remember it."""
        topic = text(raw)
        if not is_topic(topic) and not (is_v5 and not topic):
            raise MqttError(Reason.TOPIC_NAME_INVALID, "topic name is empty or contains a wildcard")
        if len(self._topics) >= _TOPICS_REMEMBERED:
            self._topics.clear()
        self._topics[raw] = topic
        return topic

    def _other(self, first: int, body: Reader) -> Packet:
        kind, flags = first >> 4, first & 0x0F
        if kind == 1:
            if flags:
                raise malformed("reserved flags are set")
            packet = _connect(body)
            self.version = packet.version
            return packet
        if self.version is None:
            raise MqttError(Reason.PROTOCOL_ERROR, "the first packet is not CONNECT")
        if kind in (5, 6, 7):
            raise MqttError(Reason.QOS_NOT_SUPPORTED, "QoS 2 is not supported")
        reader = _READERS.get(kind)
        if reader is None or (kind == 15 and self.version != V5):
            raise malformed(f"packet type {kind} is reserved")
        if flags != (2 if kind in (8, 10) else 0):
            raise malformed("reserved flags are not as the standard wants them")
        packet_read = reader(body, self.version == V5)
        body.finish()
        return packet_read


def _nonzero(packet_id: int) -> int:
    if packet_id == 0:
        raise MqttError(Reason.PROTOCOL_ERROR, "packet identifier is zero")
    return packet_id


def _connect(body: Reader) -> Connect:
    name, level = body.string(), body.u8()
    if name != "MQTT":
        if name == "MQIsdp":
            raise UnsupportedVersionError(level)
        raise malformed("protocol name is not MQTT")
    if level not in (V311, V5):
        raise UnsupportedVersionError(level)
    is_v5, flags, keep_alive = level == V5, body.u8(), body.u16()
    if flags & 1:
        raise malformed("reserved CONNECT flag is set")
    if flags & 0x40 and not flags & 0x80 and not is_v5:
        raise malformed("password without a user name")
    properties = read_properties(body, "connect") if is_v5 else NO_PROPERTIES
    if "authentication_data" in properties and "authentication_method" not in properties:
        raise MqttError(Reason.PROTOCOL_ERROR, "authentication data without a method")
    client_id = body.string()
    will = _will(body, flags, is_v5)
    username = body.string() if flags & 0x80 else None
    password = body.binary() if flags & 0x40 else None
    body.finish()
    return Connect(level, client_id, flags & 2 == 2, keep_alive, will, username, password, properties)


def _will(body: Reader, flags: int, is_v5: bool) -> Will | None:
    qos = flags >> 3 & 3
    if not flags & 4:
        if qos or flags & 0x20:
            raise malformed("will QoS or will retain without a will")
        return None
    if qos == 3:
        raise malformed("QoS 3 does not exist")
    properties = read_properties(body, "will") if is_v5 else NO_PROPERTIES
    topic = body.string()
    if not is_topic(topic):
        raise MqttError(Reason.TOPIC_NAME_INVALID, "will topic is empty or contains a wildcard")
    return Will(topic, body.binary(), qos, flags & 0x20 == 0x20, properties)


def _connack(body: Reader, is_v5: bool) -> Connack:
    flags, reason = body.u8(), body.u8()
    if flags > 1:
        raise malformed("reserved CONNACK flags are set")
    return Connack(flags == 1, reason, read_properties(body, "connack") if is_v5 else NO_PROPERTIES)


def _puback(body: Reader, is_v5: bool) -> Puback:
    packet_id = body.packet_id()
    if not is_v5 or body.is_done:
        return Puback(packet_id)
    reason = body.u8()
    return Puback(packet_id, reason, NO_PROPERTIES if body.is_done else read_properties(body, "puback"))


def _subscribe(body: Reader, is_v5: bool) -> Subscribe:
    packet_id = body.packet_id()
    properties: Properties = read_properties(body, "subscribe") if is_v5 else NO_PROPERTIES
    wanted = []
    while not body.is_done:
        topic_filter, options = body.string(), body.u8()
        if options & (0xC0 if is_v5 else 0xFC) or options & 3 == 3 or options & 0x30 == 0x30:
            raise malformed("subscription options are not valid")
        wanted.append(
            Subscription(topic_filter, options & 3, options & 4 == 4, options & 8 == 8, options >> 4 & 3),
        )
    if not wanted:
        raise MqttError(Reason.PROTOCOL_ERROR, "SUBSCRIBE names no filter")
    return Subscribe(packet_id, tuple(wanted), properties)


def _suback(body: Reader, is_v5: bool) -> Suback:
    packet_id = body.packet_id()
    properties = read_properties(body, "suback") if is_v5 else NO_PROPERTIES
    return Suback(packet_id, tuple(body.rest()), properties)


def _unsubscribe(body: Reader, is_v5: bool) -> Unsubscribe:
    packet_id = body.packet_id()
    properties = read_properties(body, "unsubscribe") if is_v5 else NO_PROPERTIES
    filters = []
    while not body.is_done:
        filters.append(body.string())
    if not filters:
        raise MqttError(Reason.PROTOCOL_ERROR, "UNSUBSCRIBE names no filter")
    return Unsubscribe(packet_id, tuple(filters), properties)


def _unsuback(body: Reader, is_v5: bool) -> Unsuback:
    packet_id = body.packet_id()
    if not is_v5:
        return Unsuback(packet_id)
    properties = read_properties(body, "unsuback")
    return Unsuback(packet_id, tuple(body.rest()), properties)


def _disconnect(body: Reader, is_v5: bool) -> Disconnect:
    if not is_v5 or body.is_done:
        return Disconnect()
    reason = body.u8()
    return Disconnect(reason, NO_PROPERTIES if body.is_done else read_properties(body, "disconnect"))


def _auth(body: Reader, _is_v5: bool) -> Auth:
    if body.is_done:
        return Auth()
    reason = body.u8()
    return Auth(reason, NO_PROPERTIES if body.is_done else read_properties(body, "auth"))


_READERS: dict[int, Callable[[Reader, bool], Packet]] = {
    2: _connack,
    4: _puback,
    8: _subscribe,
    9: _suback,
    10: _unsubscribe,
    11: _unsuback,
    12: lambda _body, _is_v5: Pingreq(),
    13: lambda _body, _is_v5: Pingresp(),
    14: _disconnect,
    15: _auth,
}
