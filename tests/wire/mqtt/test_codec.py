"""The MQTT codec against itself and against hostile bytes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakebed.wire.mqtt import packets as p
from lakebed.wire.mqtt.decode import Decoder
from lakebed.wire.mqtt.encode import encode, pubacks
from lakebed.wire.mqtt.reasons import MqttError, Reason, UnsupportedVersionError

LIMIT = 1 << 20
text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
topic = st.text(st.sampled_from("abc/ü"), min_size=1, max_size=10)
packet_id = st.integers(1, 65535)
binary = st.binary(max_size=20)
versions = st.sampled_from([p.V311, p.V5])
user_property = st.lists(st.tuples(text, text), min_size=1, max_size=3)


def some(**fields: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


publish_properties = some(
    payload_format_indicator=st.integers(0, 1),
    message_expiry_interval=st.integers(0, 2**32 - 1),
    content_type=text,
    response_topic=text,
    correlation_data=binary,
    topic_alias=packet_id,
    user_property=user_property,
)


@st.composite
def publishes(draw: st.DrawFn, version: int) -> p.Publish:
    qos = draw(st.integers(0, 1))
    return p.Publish(
        draw(topic),
        draw(st.binary(max_size=300)),
        qos,
        draw(st.booleans()),
        bool(qos) and draw(st.booleans()),
        draw(packet_id) if qos else 0,
        draw(publish_properties) if version == p.V5 else {},
    )


@st.composite
def connects(draw: st.DrawFn, version: int) -> p.Connect:
    v5 = version == p.V5
    will = None
    if draw(st.booleans()):
        extra = draw(some(will_delay_interval=st.integers(0, 2**32 - 1), content_type=text)) if v5 else {}
        will = p.Will(draw(topic), draw(binary), draw(st.integers(0, 2)), draw(st.booleans()), extra)
    username = draw(st.none() | text)
    password = draw(st.none() | binary) if username is not None else None
    properties = draw(some(session_expiry_interval=st.integers(0, 2**32 - 1), receive_maximum=packet_id)) if v5 else {}
    return p.Connect(
        version,
        draw(text),
        draw(st.booleans()),
        draw(st.integers(0, 65535)),
        will,
        username,
        password,
        properties,
    )


@st.composite
def others(draw: st.DrawFn, version: int) -> p.Packet:
    v5 = version == p.V5
    reasons = st.lists(st.integers(0, 255) if v5 else st.sampled_from([0, 1, 0x80]), min_size=1, max_size=8)
    kind = draw(st.integers(0, 8 if v5 else 7))
    number, extra = draw(packet_id), draw(some(user_property=user_property)) if v5 else {}
    if kind == 0:
        return p.Puback(number, draw(st.integers(0, 255)), extra) if v5 else p.Puback(number)
    if kind == 1:
        options = st.builds(
            p.Subscription,
            text,
            st.integers(0, 2),
            st.booleans() if v5 else st.just(False),
            st.booleans() if v5 else st.just(False),
            st.integers(0, 2) if v5 else st.just(0),
        )
        return p.Subscribe(number, tuple(draw(st.lists(options, min_size=1, max_size=8))), extra)
    if kind == 2:
        return p.Suback(number, tuple(draw(reasons)), extra)
    if kind == 3:
        return p.Unsubscribe(number, tuple(draw(st.lists(text, min_size=1, max_size=8))), extra)
    if kind == 4:
        return p.Unsuback(number, tuple(draw(reasons)) if v5 else (), extra)
    if kind == 5:
        return draw(st.sampled_from([p.Pingreq(), p.Pingresp()]))
    if kind == 6:
        return p.Disconnect(draw(st.integers(0, 255)), extra) if v5 else p.Disconnect()
    if kind == 7:
        return p.Connack(draw(st.booleans()), draw(st.sampled_from([0, 0x87])) if v5 else 0, extra)
    return p.Auth(draw(st.integers(0, 255)), extra)


def decode(data: bytes, version: int | None) -> list[p.Packet]:
    decoder = Decoder(LIMIT, version)
    found = decoder.feed(data)
    if decoder.failure:
        raise decoder.failure
    return found


@given(st.data(), versions)
@settings(max_examples=200, deadline=None)
def test_what_is_encoded_is_decoded(data: st.DataObject, version: int) -> None:
    packet = data.draw(st.one_of(publishes(version), others(version)))
    assert decode(encode(packet, version), version) == [packet]


@given(st.data(), versions)
@settings(max_examples=100, deadline=None)
def test_connect_teaches_the_version(data: st.DataObject, version: int) -> None:
    packet = data.draw(connects(version))
    follow = p.Publish("a/b", b"x", 1, False, False, 3)
    assert decode(encode(packet, version) + encode(follow, version), None) == [packet, follow]


@given(st.data(), versions)
@settings(max_examples=40, deadline=None)
def test_packets_survive_every_split(data: st.DataObject, version: int) -> None:
    connect = data.draw(connects(version))
    wanted: list[p.Packet] = [connect, data.draw(publishes(version)), data.draw(publishes(version)), p.Pingreq()]
    stream = b"".join(encode(packet, version) for packet in wanted)
    for cut in range(1, len(stream)):
        decoder = Decoder(LIMIT)
        found = decoder.feed(stream[:cut])
        found += decoder.feed(stream[cut:])
        assert decoder.failure is None
        assert found == wanted
    decoder, found = Decoder(LIMIT), []
    for index in range(len(stream)):
        found += decoder.feed(stream[index : index + 1])
    assert found == wanted


@given(st.binary(max_size=200), st.sampled_from([None, p.V311, p.V5]))
@settings(max_examples=300, deadline=None)
def test_hostile_bytes_end_in_a_reason_and_nothing_else(data: bytes, version: int | None) -> None:
    decoder = Decoder(4096, version)
    for index in range(0, len(data), 7):
        decoder.feed(data[index : index + 7])
    assert decoder.failure is None or isinstance(decoder.failure, MqttError)
    if decoder.failure:
        assert decoder.feed(encode(p.Pingreq(), p.V5)) == []


@given(st.data(), versions, st.integers(0, 400), st.integers(0, 255))
@settings(max_examples=300, deadline=None)
def test_one_wrong_byte_is_never_a_crash(data: st.DataObject, version: int, at: int, value: int) -> None:
    stream = bytearray(encode(data.draw(st.one_of(publishes(version), others(version))), version))
    stream[at % len(stream)] = value
    decoder = Decoder(LIMIT, version)
    decoder.feed(bytes(stream))
    assert decoder.failure is None or isinstance(decoder.failure.reason, Reason)


@pytest.mark.parametrize(
    ("wire", "version", "reason"),
    [
        (b"\x30\x00", None, Reason.PROTOCOL_ERROR),  # not CONNECT
        (b"\x36\x05\x00\x01a\x00\x01", p.V311, Reason.MALFORMED_PACKET),  # QoS 3
        (b"\x38\x03\x00\x01a", p.V311, Reason.MALFORMED_PACKET),  # DUP with QoS 0
        (b"\x32\x05\x00\x01a\x00\x00", p.V311, Reason.PROTOCOL_ERROR),  # packet id 0
        (b"\x30\x03\x00\x01#", p.V311, Reason.TOPIC_NAME_INVALID),
        (b"\x30\x04\x00\x02\xff\xfe", p.V311, Reason.MALFORMED_PACKET),  # not UTF-8
        (b"\x30\x04\x00\x09ab", p.V311, Reason.MALFORMED_PACKET),  # length beyond the packet
        (b"\x50\x02\x00\x01", p.V311, Reason.QOS_NOT_SUPPORTED),  # PUBREC
        (b"\xf0\x00", p.V311, Reason.MALFORMED_PACKET),  # AUTH in 3.1.1
        (b"\x80\x06\x00\x01\x00\x01a\x00", p.V311, Reason.MALFORMED_PACKET),  # SUBSCRIBE flags
        (b"\x82\x02\x00\x01", p.V311, Reason.PROTOCOL_ERROR),  # no filter
        (b"\xc0\x80\x80\x80\x80\x01", p.V311, Reason.MALFORMED_PACKET),  # five length bytes
        (b"\xc0\x80\x00", p.V311, Reason.MALFORMED_PACKET),  # length not shortest
        (b"\x30\xff\xff\xff\x7f", p.V311, Reason.PACKET_TOO_LARGE),
        (b"\x30\x04\x00\x00\x00x", p.V5, Reason.PROTOCOL_ERROR),  # neither topic nor alias
        (b"\x30\x06\x00\x01a\x02\x23\x00", p.V5, Reason.MALFORMED_PACKET),  # alias cut short
    ],
)
def test_malformed_packets_have_their_reason(wire: bytes, version: int | None, reason: Reason) -> None:
    with pytest.raises(MqttError) as caught:
        decode(wire, version)
    assert caught.value.reason == reason


def test_other_protocol_levels_are_named() -> None:
    with pytest.raises(UnsupportedVersionError):
        decode(b"\x10\x0c\x00\x04MQTT\x03\x02\x00\x00\x00\x00", None)


def test_packets_before_the_fault_are_kept_and_memory_is_bounded() -> None:
    decoder = Decoder(1024, p.V311)
    good = encode(p.Publish("a", b"1"), p.V311)
    assert decoder.feed(good + b"\x36\x00") == [p.Publish("a", b"1")]
    assert decoder.failure is not None
    assert Decoder(1024, p.V311).feed(b"\x30\xff\x07") == []


def test_many_pubacks_are_one_write() -> None:
    assert decode(pubacks([1, 2, 65535]), p.V5) == [p.Puback(1), p.Puback(2), p.Puback(65535)]
