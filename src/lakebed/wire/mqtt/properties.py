"""MQTT 5 properties (section 2.2.2): one table says each property's name, type and the packets it may appear in.

Decoding is strict: an unknown identifier or a property in the wrong packet is malformed, a second copy of anything but a
user property (or a subscription identifier sent by a server) is a protocol error, and so are the values the standard
forbids (a zero receive maximum, a flag that is neither 0 nor 1).
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, TypedDict, cast

from lakebed.wire.mqtt.fields import Reader, malformed, pack_binary, pack_string, pack_varint
from lakebed.wire.mqtt.reasons import MqttError, Reason

Place = Literal[
    "connect",
    "will",
    "connack",
    "publish",
    "puback",
    "subscribe",
    "suback",
    "unsubscribe",
    "unsuback",
    "disconnect",
    "auth",
]


class Properties(TypedDict, total=False):
    """Every property by its name in the standard."""

    payload_format_indicator: int
    message_expiry_interval: int
    content_type: str
    response_topic: str
    correlation_data: bytes
    subscription_identifier: list[int]
    session_expiry_interval: int
    assigned_client_identifier: str
    server_keep_alive: int
    authentication_method: str
    authentication_data: bytes
    request_problem_information: int
    will_delay_interval: int
    request_response_information: int
    response_information: str
    server_reference: str
    reason_string: str
    receive_maximum: int
    topic_alias_maximum: int
    topic_alias: int
    maximum_qos: int
    retain_available: int
    user_property: list[tuple[str, str]]
    maximum_packet_size: int
    wildcard_subscription_available: int
    subscription_identifier_available: int
    shared_subscription_available: int


NO_PROPERTIES: Properties = {}  # shared and never written to: packets without properties cost nothing


class _Kind(NamedTuple):
    identifier: int
    name: str
    form: Literal["flag", "u16", "u32", "varint", "string", "binary", "pair"]
    places: frozenset[str]
    positive: bool = False


def _kind(identifier: int, name: str, form: Any, places: str, *, positive: bool = False) -> _Kind:
    return _Kind(identifier, name, form, frozenset(places.split()), positive)


_ANY = "connect will connack publish puback subscribe suback unsubscribe unsuback disconnect auth"
_KINDS = (
    _kind(1, "payload_format_indicator", "flag", "publish will"),
    _kind(2, "message_expiry_interval", "u32", "publish will"),
    _kind(3, "content_type", "string", "publish will"),
    _kind(8, "response_topic", "string", "publish will"),
    _kind(9, "correlation_data", "binary", "publish will"),
    _kind(11, "subscription_identifier", "varint", "publish subscribe", positive=True),
    _kind(17, "session_expiry_interval", "u32", "connect connack disconnect"),
    _kind(18, "assigned_client_identifier", "string", "connack"),
    _kind(19, "server_keep_alive", "u16", "connack"),
    _kind(21, "authentication_method", "string", "connect connack auth"),
    _kind(22, "authentication_data", "binary", "connect connack auth"),
    _kind(23, "request_problem_information", "flag", "connect"),
    _kind(24, "will_delay_interval", "u32", "will"),
    _kind(25, "request_response_information", "flag", "connect"),
    _kind(26, "response_information", "string", "connack"),
    _kind(28, "server_reference", "string", "connack disconnect"),
    _kind(31, "reason_string", "string", "connack puback suback unsuback disconnect auth"),
    _kind(33, "receive_maximum", "u16", "connect connack", positive=True),
    _kind(34, "topic_alias_maximum", "u16", "connect connack"),
    _kind(35, "topic_alias", "u16", "publish"),
    _kind(36, "maximum_qos", "flag", "connack"),
    _kind(37, "retain_available", "flag", "connack"),
    _kind(38, "user_property", "pair", _ANY),
    _kind(39, "maximum_packet_size", "u32", "connect connack", positive=True),
    _kind(40, "wildcard_subscription_available", "flag", "connack"),
    _kind(41, "subscription_identifier_available", "flag", "connack"),
    _kind(42, "shared_subscription_available", "flag", "connack"),
)
BY_IDENTIFIER = {kind.identifier: kind for kind in _KINDS}
BY_NAME = {kind.name: kind for kind in _KINDS}


def read_properties(reader: Reader, place: Place) -> Properties:
    """The properties at the reader's position, their length prefix included."""
    size = reader.varint()
    if size == 0:
        return NO_PROPERTIES
    end = reader.pos + size
    if end > reader.end:
        raise malformed("properties are longer than the packet")
    inner = Reader(reader.data, reader.pos, end)
    found: dict[str, Any] = {}
    while inner.pos < end:
        kind = BY_IDENTIFIER.get(inner.varint())
        if kind is None or place not in kind.places:
            raise malformed(f"property is unknown or not allowed in {place.upper()}")
        value = _read_value(inner, kind)
        if kind.name == "user_property" or (kind.name == "subscription_identifier" and place == "publish"):
            found.setdefault(kind.name, []).append(value)
        elif kind.name in found:
            raise MqttError(Reason.PROTOCOL_ERROR, f"{kind.name} appears twice")
        else:
            found[kind.name] = [value] if kind.name == "subscription_identifier" else value
    reader.pos = end
    return cast("Properties", found)


def _read_value(reader: Reader, kind: _Kind) -> int | str | bytes | tuple[str, str]:
    match kind.form:
        case "string":
            return reader.string()
        case "binary":
            return reader.binary()
        case "pair":
            return reader.string(), reader.string()
        case "varint":
            number = reader.varint()
        case "u16":
            number = reader.u16()
        case "u32":
            number = reader.u32()
        case _:
            number = reader.u8()
            if number > 1:
                raise MqttError(Reason.PROTOCOL_ERROR, f"{kind.name} is neither 0 nor 1")
    if kind.positive and number == 0:
        raise MqttError(Reason.PROTOCOL_ERROR, f"{kind.name} is zero")
    return number


def pack_properties(properties: Properties) -> bytes:
    """Properties with their length prefix."""
    if not properties:
        return b"\0"
    out: list[bytes] = []
    for name, value in properties.items():
        kind = BY_NAME[name]
        several = name in ("user_property", "subscription_identifier")
        out += (
            bytes((kind.identifier,)) + _pack_value(kind, one) for one in (cast(Any, value) if several else (value,))
        )
    body = b"".join(out)
    return pack_varint(len(body)) + body


def _pack_value(kind: _Kind, value: Any) -> bytes:
    match kind.form:
        case "string":
            return pack_string(value)
        case "binary":
            return pack_binary(value)
        case "pair":
            return pack_string(value[0]) + pack_string(value[1])
        case "varint":
            return pack_varint(value)
        case "u16":
            return int(value).to_bytes(2, "big")
        case "u32":
            return int(value).to_bytes(4, "big")
        case _:
            return int(value).to_bytes(1, "big")
