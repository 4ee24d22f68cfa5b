"""CRC32C and CRC64NVME without a native library, and combining the CRCs of neighbouring pieces.

A CRC is linear, so a block is cut into many equal lanes whose registers advance together, a word at a time: a table
look-up for all lanes is one ``bytes.translate``, an exclusive-or is one operation on big integers. Lanes are then folded
two by two: the left register, moved over the length of the right lane, exclusive-or the right register.

Parameters: https://reveng.sourceforge.io/crc-catalogue/ (CRC-32/ISCSI, CRC-64/NVME, CRC-32/ISO-HDLC).
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

_LANES = (2048, 128, 8)  # blocks of 128 KiB while bytes come in; smaller ones for what is left at the end
_LANE_BYTES = 64


class Crc(NamedTuple):
    """A reflected CRC whose initial and final exclusive-or are all ones."""

    width: int
    polynomial: int  # reflected


CRC32 = Crc(32, 0xEDB88320)
CRC32C = Crc(32, 0x82F63B78)
CRC64NVME = Crc(64, 0x9A6C9329AC4BC9B5)

Matrix = tuple[int, ...]  # the image of every bit of the register


@lru_cache(maxsize=8)
def _table(crc: Crc) -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (crc.polynomial if value & 1 else 0)
        table.append(value)
    return tuple(table)


def _times(matrix: Matrix, vector: int) -> int:
    total, bit = 0, 0
    while vector:
        if vector & 1:
            total ^= matrix[bit]
        vector >>= 1
        bit += 1
    return total


@lru_cache(maxsize=256)
def _power(crc: Crc, exponent: int) -> Matrix:
    """The register's move over ``2**exponent`` zero bytes."""
    if exponent == 0:
        table = _table(crc)
        return tuple((1 << bit) >> 8 ^ table[1 << bit & 0xFF] for bit in range(crc.width))
    half = _power(crc, exponent - 1)
    return tuple(_times(half, column) for column in half)


def combined(crc: Crc, first: int, second: int, second_bytes: int) -> int:
    """The CRC of two pieces one after the other, from theirs and the second's length (zlib's crc32_combine)."""
    exponent = 0
    while second_bytes:
        if second_bytes & 1:
            first = _times(_power(crc, exponent), first)
        second_bytes >>= 1
        exponent += 1
    return first ^ second


@lru_cache(maxsize=64)
def _move_tables(crc: Crc, exponent: int) -> tuple[tuple[bytes, ...], ...]:
    """[input byte][output byte] translation tables of a move over ``2**exponent`` zero bytes."""
    matrix = _power(crc, exponent)
    size = crc.width // 8
    images = [[0] * 256 for _ in range(size)]
    for place, row in enumerate(images):
        for value in range(1, 256):
            lowest = value & -value
            row[value] = row[value ^ lowest] ^ matrix[8 * place + lowest.bit_length() - 1]
    return tuple(tuple(bytes(image >> 8 * out & 0xFF for image in row) for out in range(size)) for row in images)


def _moved(crc: Crc, state: bytes, lanes: int, exponent: int) -> int:
    """Every lane's register moved over ``2**exponent`` zero bytes; registers lie as planes of equal bytes."""
    moved = 0
    for place, tables in enumerate(_move_tables(crc, exponent)):
        plane = state[place * lanes : (place + 1) * lanes]
        moved ^= int.from_bytes(b"".join([plane.translate(table) for table in tables]), "little")
    return moved


def _block(crc: Crc, data: bytes, lanes: int) -> int:
    """The register after ``lanes`` times 64 bytes, beginning at zero and without any exclusive-or."""
    size = crc.width // 8
    exponent = size.bit_length() - 1
    state = 0
    for start in range(0, _LANE_BYTES, size):
        words = b"".join([data[start + place :: _LANE_BYTES] for place in range(size)])
        state = _moved(crc, (state ^ int.from_bytes(words, "little")).to_bytes(lanes * size, "little"), lanes, exponent)
    planes = state.to_bytes(lanes * size, "little")
    exponent = _LANE_BYTES.bit_length() - 1
    while lanes > 1:
        # Lanes are neighbours two by two: the even one moves on over the odd one's length. Planes have an even length,
        # so every second byte of all planes together is every second byte of each.
        odd = int.from_bytes(planes[1::2], "little")
        lanes //= 2
        planes = (_moved(crc, planes[0::2], lanes, exponent) ^ odd).to_bytes(lanes * size, "little")
        exponent += 1
    return int.from_bytes(planes, "little")


class Running:
    """A hasher over any number of updates; bytes wait until they fill a block."""

    def __init__(self, crc: Crc) -> None:
        self._crc = crc
        self._register = (1 << crc.width) - 1
        self._waiting = bytearray()

    def update(self, data: bytes, /) -> None:
        """Take more bytes."""
        self._waiting += data
        self._register, taken = self._taken(_LANES[:1])
        del self._waiting[:taken]

    def digest(self) -> bytes:
        """Big-endian, as S3 encodes it."""
        register, start = self._taken(_LANES)
        table = _table(self._crc)
        for byte in self._waiting[start:]:
            register = register >> 8 ^ table[(register ^ byte) & 0xFF]
        return (register ^ (1 << self._crc.width) - 1).to_bytes(self._crc.width // 8, "big")

    def _taken(self, sizes: tuple[int, ...]) -> tuple[int, int]:
        """The register after as many whole blocks of these numbers of lanes as wait, and how many bytes they hold."""
        register, start = self._register, 0
        for lanes in sizes:
            length = lanes * _LANE_BYTES
            exponent = length.bit_length() - 1
            while len(self._waiting) - start >= length:
                block = bytes(self._waiting[start : start + length])
                register = _times(_power(self._crc, exponent), register) ^ _block(self._crc, block, lanes)
                start += length
        return register, start
