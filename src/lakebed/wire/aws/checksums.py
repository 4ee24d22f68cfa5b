"""The checksums S3 knows, fed piece by piece: CRC-32, CRC-32C, CRC-64/NVME, SHA-1, SHA-256.

The standard library has the first and the hashes; no library we depend on has the other two CRCs, and a table look-up
per byte would run at some 10 MB/s. ``_LaneCrc`` instead lays a block out as thousands of lanes and advances all of them by
a byte at a time with ``bytes.translate`` and exclusive-ors of long integers, both of which run in C; the lanes' registers
are then folded with tables that skip a lane's length. https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
"""

from __future__ import annotations

import hashlib
import zlib
from functools import cache
from typing import Protocol

_LANE = 256  # bytes in a lane: a step handles one byte of each lane
_BLOCK = 1 << 20


class Checksum(Protocol):
    """A checksum being computed."""

    def update(self, data: bytes) -> None:
        """More of the data."""

    def digest(self) -> bytes:
        """Big-endian, as S3 encodes it in Base64."""


class _Crc32:
    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes) -> None:
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


@cache
def _table(polynomial: int) -> list[int]:
    table = []
    for byte in range(256):
        register = byte
        for _ in range(8):
            register = (register >> 1) ^ (polynomial if register & 1 else 0)
        table.append(register)
    return table


@cache
def _planes(polynomial: int, width: int) -> list[bytes]:
    """For each byte of the register, the table of what an index contributes to it."""
    table = _table(polynomial)
    return [bytes((entry >> (8 * plane)) & 255 for entry in table) for plane in range(width)]


@cache
def _skip(polynomial: int, width: int, length: int) -> list[list[int]]:
    """Tables that advance a register over ``length`` zero bytes: one for each byte of the register."""
    table = _table(polynomial)
    basis = []
    for bit in range(8 * width):
        register = 1 << bit
        for _ in range(length):
            register = (register >> 8) ^ table[register & 255]
        basis.append(register)
    tables = []
    for plane in range(width):
        entries = [0] * 256
        for index in range(1, 256):
            low = index & -index
            entries[index] = entries[index ^ low] ^ basis[8 * plane + low.bit_length() - 1]
        tables.append(entries)
    return tables


class _LaneCrc:
    """A reflected CRC of ``width`` bytes with all ones before and after."""

    def __init__(self, polynomial: int, width: int) -> None:
        self._polynomial, self._width = polynomial, width
        self._mask = (1 << (8 * width)) - 1
        self._register = self._mask

    def update(self, data: bytes) -> None:
        for start in range(0, len(data), _BLOCK):
            block = data[start : start + _BLOCK]
            lanes = len(block) // _LANE
            if lanes >= 8:
                self._fold(self._lanes(block, lanes), lanes)
                block = block[lanes * _LANE :]
            self._bytes(block)

    def _bytes(self, data: bytes) -> None:
        table, register = _table(self._polynomial), self._register
        for byte in data:
            register = (register >> 8) ^ table[(register ^ byte) & 255]
        self._register = register

    def _lanes(self, block: bytes, lanes: int) -> list[bytes]:
        """The registers of all lanes, from zero, as planes: plane k holds byte k of each."""
        tables, end = _planes(self._polynomial, self._width), lanes * _LANE
        state = [0] * self._width
        from_bytes = int.from_bytes
        for step in range(_LANE):
            index = (from_bytes(block[step:end:_LANE], "little") ^ state[0]).to_bytes(lanes, "little")
            state = [
                from_bytes(index.translate(table), "little") ^ above
                for table, above in zip(tables, [*state[1:], 0], strict=True)
            ]
        return [plane.to_bytes(lanes, "little") for plane in state]

    def _fold(self, planes: list[bytes], lanes: int) -> None:
        skips = _skip(self._polynomial, self._width, _LANE)
        register = self._register
        for lane in range(lanes):
            advanced = 0
            for plane, entries in enumerate(skips):
                advanced ^= entries[(register >> (8 * plane)) & 255] ^ (planes[plane][lane] << (8 * plane))
            register = advanced
        self._register = register

    def digest(self) -> bytes:
        return (self._register ^ self._mask).to_bytes(self._width, "big")


ALGORITHMS = ("crc32", "crc32c", "crc64nvme", "sha1", "sha256")


def checksum(algorithm: str) -> Checksum:
    """A new checksum by S3's name of it, in lower case."""
    if algorithm == "crc32":
        return _Crc32()
    if algorithm == "crc32c":
        return _LaneCrc(0x82F63B78, 4)
    if algorithm == "crc64nvme":
        return _LaneCrc(0x9A6C9329AC4BC9B5, 8)
    if algorithm == "sha1":
        return hashlib.sha1(usedforsecurity=False)
    if algorithm == "sha256":
        return hashlib.sha256()
    raise LookupError(f"no checksum {algorithm!r}")
