"""CRC32C and CRC64NVME without a native library, and combining the CRCs of neighbouring pieces.

A CRC is linear, so a block is cut into many equal lanes whose registers advance together: one table look-up for all
lanes is one ``bytes.translate``, one exclusive-or is one operation on big integers. Lanes are then folded in halves: the
register of the left one, moved on by the length of the right one, exclusive-or the right one. Both reflected.

Parameters: https://reveng.sourceforge.io/crc-catalogue/ (CRC-32/ISCSI, CRC-64/NVME, CRC-32/ISO-HDLC).
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

_LANES = 2048
_LANE_BYTES = 64
_BLOCK = _LANES * _LANE_BYTES


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


@lru_cache(maxsize=8)
def _planes(crc: Crc) -> tuple[bytes, ...]:
    """The table's bytes, lowest first, each as a translation table."""
    table = _table(crc)
    return tuple(bytes(entry >> 8 * plane & 0xFF for entry in table) for plane in range(crc.width // 8))


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
def _fold_tables(crc: Crc, exponent: int) -> tuple[tuple[bytes, ...], ...]:
    """[input byte][output byte] translation tables of a move over ``2**exponent`` zero bytes."""
    matrix = _power(crc, exponent)
    size = crc.width // 8
    images = [[_times(matrix, value << 8 * place) for value in range(256)] for place in range(size)]
    return tuple(tuple(bytes(image >> 8 * out & 0xFF for image in row) for out in range(size)) for row in images)


def _xor(*planes: bytes) -> bytes:
    total = 0
    for plane in planes:
        total ^= int.from_bytes(plane, "little")
    return total.to_bytes(len(planes[0]), "little")


def _block(crc: Crc, data: bytes) -> int:
    """The raw register (no initial or final exclusive-or) after one block, beginning at zero."""
    planes, size = _planes(crc), crc.width // 8
    state = [bytes(_LANES)] * size
    for step in range(_LANE_BYTES):
        index = _xor(data[step::_LANE_BYTES], state[0])
        state = [_xor(state[plane + 1], index.translate(planes[plane])) for plane in range(size - 1)] + [
            index.translate(planes[size - 1])
        ]
    lanes, exponent = _LANES, _LANE_BYTES.bit_length() - 1
    while lanes > 1:
        tables = _fold_tables(crc, exponent)
        left, right = [plane[0::2] for plane in state], [plane[1::2] for plane in state]
        state = [
            _xor(right[out], *(left[place].translate(tables[place][out]) for place in range(size)))
            for out in range(size)
        ]
        lanes, exponent = lanes // 2, exponent + 1
    return int.from_bytes(b"".join(state), "little")


class Running:
    """A hasher over any number of updates."""

    def __init__(self, crc: Crc) -> None:
        self._crc = crc
        self._register = (1 << crc.width) - 1
        self._shift = _fold_exponents(_BLOCK)

    def update(self, data: bytes, /) -> None:
        """Take more bytes; whole blocks of 128 KiB go the quick way."""
        register, table, start = self._register, _table(self._crc), 0
        while len(data) - start >= _BLOCK:
            register = _times(_power(self._crc, self._shift), register) ^ _block(
                self._crc, data[start : start + _BLOCK]
            )
            start += _BLOCK
        for byte in data[start:] if start else data:
            register = register >> 8 ^ table[(register ^ byte) & 0xFF]
        self._register = register

    def digest(self) -> bytes:
        """Big-endian, as S3 encodes it."""
        return (self._register ^ (1 << self._crc.width) - 1).to_bytes(self._crc.width // 8, "big")


def _fold_exponents(length: int) -> int:
    exponent = length.bit_length() - 1
    assert 1 << exponent == length
    return exponent
