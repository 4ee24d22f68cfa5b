"""CRCs against slow, obvious ones and against zlib."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakebed.wire.aws import crc


@pytest.mark.parametrize(
    ("parameters", "check"),
    [(crc.CRC32, 0xCBF43926), (crc.CRC32C, 0xE3069283), (crc.CRC64NVME, 0xAE8B14860A799888)],
)
def test_the_catalogues_check_values(parameters: crc.Crc, check: int) -> None:
    running = crc.Running(parameters)
    running.update(b"123456789")
    assert int.from_bytes(running.digest(), "big") == check


@pytest.mark.parametrize("parameters", [crc.CRC32, crc.CRC32C, crc.CRC64NVME])
def test_the_quick_way_is_the_slow_way(parameters: crc.Crc) -> None:
    data = bytes((number * 7 + number // 251) & 0xFF for number in range(300_001))
    quick, slow = crc.Running(parameters), crc.Running(parameters)
    quick.update(data)
    for start in range(0, len(data), 1000):
        slow.update(data[start : start + 1000])
    assert quick.digest() == slow.digest()
    if parameters is crc.CRC32:
        assert int.from_bytes(quick.digest(), "big") == zlib.crc32(data)


@settings(deadline=None)
@given(st.binary(max_size=200), st.binary(max_size=200))
def test_combining(first: bytes, second: bytes) -> None:
    assert crc.combined(crc.CRC32, zlib.crc32(first), zlib.crc32(second), len(second)) == zlib.crc32(first + second)
