"""MQTT's primitive fields: integers, variable byte integers, UTF-8 strings and binary data (MQTT 5, section 1.5).

``Reader`` walks the body of one packet and never past its end; whatever does not fit is ``MALFORMED_PACKET``. Strings
are strict: valid UTF-8 without surrogates (Python's decoder refuses them) and without U+0000 ([MQTT-1.5.4-1], -2).
"""

from __future__ import annotations

from lakebed.wire.mqtt.reasons import MqttError, Reason

VARINT_MAX = 268_435_455
STRING_BYTES_MAX = 65_535


def malformed(message: str) -> MqttError:
    """The error for bytes that are not MQTT."""
    return MqttError(Reason.MALFORMED_PACKET, message)


def text(raw: bytes) -> str:
    """A UTF-8 string as MQTT allows it."""
    try:
        value = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise malformed("string is not valid UTF-8") from None
    if "\0" in value:
        raise malformed("string contains U+0000")
    return value


class Reader:
    """A cursor over the body of one packet."""

    __slots__ = ("data", "end", "pos")

    def __init__(self, data: bytes, pos: int, end: int) -> None:
        self.data = data
        self.pos = pos
        self.end = end

    @property
    def is_done(self) -> bool:
        """Whether the whole body has been read."""
        return self.pos >= self.end

    def take(self, size: int) -> bytes:
        """The next ``size`` bytes."""
        start = self.pos
        if start + size > self.end:
            raise malformed("packet is shorter than its fields")
        self.pos = start + size
        return self.data[start : self.pos]

    def rest(self) -> bytes:
        """Everything that is left."""
        return self.take(self.end - self.pos)

    def u8(self) -> int:
        """One byte."""
        return self.take(1)[0]

    def u16(self) -> int:
        """Two bytes, big-endian."""
        return int.from_bytes(self.take(2), "big")

    def u32(self) -> int:
        """Four bytes, big-endian."""
        return int.from_bytes(self.take(4), "big")

    def varint(self) -> int:
        """A variable byte integer: at most four bytes, in its shortest form."""
        value = 0
        for shift in (0, 7, 14, 21):
            byte = self.u8()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if byte == 0 and shift:
                    raise malformed("variable byte integer is not in its shortest form")
                return value
        raise malformed("variable byte integer is longer than four bytes")

    def binary(self) -> bytes:
        """Two bytes of length and as many bytes."""
        return self.take(self.u16())

    def string(self) -> str:
        """A length-prefixed UTF-8 string."""
        return text(self.binary())

    def packet_id(self) -> int:
        """A packet identifier, which is never zero ([MQTT-2.2.1-3])."""
        value = self.u16()
        if value == 0:
            raise MqttError(Reason.PROTOCOL_ERROR, "packet identifier is zero")
        return value

    def finish(self) -> None:
        """Nothing may follow the last field."""
        if self.pos != self.end:
            raise malformed("bytes follow the last field of the packet")


def pack_varint(value: int) -> bytes:
    """A variable byte integer in its shortest form."""
    if value < 0x80:
        return bytes((value,))
    if value > VARINT_MAX:
        raise ValueError("too large for a variable byte integer")
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def pack_binary(value: bytes) -> bytes:
    """Length-prefixed bytes."""
    if len(value) > STRING_BYTES_MAX:
        raise ValueError("binary data is longer than 65535 bytes")
    return len(value).to_bytes(2, "big") + value


def pack_string(value: str) -> bytes:
    """A length-prefixed UTF-8 string."""
    return pack_binary(value.encode("utf-8"))
