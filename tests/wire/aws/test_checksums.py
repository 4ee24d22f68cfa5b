"""The checksums against their catalogues' check values, and CRCs of pieces combined."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakebed.wire.aws.checksums import ALGORITHMS, CRCS, checksum, combined, digest_size


@pytest.mark.parametrize(
    ("algorithm", "data", "check"),
    [
        ("crc32", b"123456789", "cbf43926"),
        ("crc32c", b"123456789", "e3069283"),
        ("crc64nvme", b"123456789", "ae8b14860a799888"),
        ("xxhash64", b"", "ef46db3751d8e999"),
        ("xxhash3", b"", "2d06800538d394c2"),
        ("xxhash128", b"", "99aa06d3014798d86001c324468d497f"),
        ("sha1", b"abc", "a9993e364706816aba3e25717850c26c9cd0d89d"),
    ],
)
def test_the_catalogues_check_values(algorithm: str, data: bytes, check: str) -> None:
    running = checksum(algorithm)
    for byte in data:
        running.update(bytes([byte]))
    assert running.digest().hex() == check
    assert running.digest().hex() == check  # asked twice


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_size_is_the_digests(algorithm: str) -> None:
    assert len(checksum(algorithm).digest()) == digest_size(algorithm)


def test_what_nobody_knows() -> None:
    with pytest.raises(LookupError):
        checksum("crc16")


@given(st.sampled_from(sorted(CRCS)), st.lists(st.binary(max_size=200), max_size=5))
def test_combining_is_the_crc_of_the_whole(algorithm: str, pieces: list[bytes]) -> None:
    whole, parts = checksum(algorithm), []
    for piece in pieces:
        whole.update(piece)
        one = checksum(algorithm)
        one.update(piece)
        parts.append((len(piece), one.digest()))
    assert combined(algorithm, parts) == whole.digest()
    if algorithm == "crc32":
        assert int.from_bytes(whole.digest(), "big") == zlib.crc32(b"".join(pieces))
