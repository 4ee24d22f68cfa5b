"""aws-chunked bodies: AWS's own example, every split, trailers, and what is refused."""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import zlib
from collections.abc import AsyncIterator

import pytest
from botocore.httpchecksum import AwsChunkedWrapper, Crc32Checksum
from hypothesis import given, settings
from hypothesis import strategies as st

from lakebed.kernel.errors import AwsError
from lakebed.wire.aws.checksums import checksum, encoded
from lakebed.wire.aws.chunked import ChunkSigner, DecodedBody, Decoder, decoder_for, make_decoder
from lakebed.wire.aws.sigv4 import EMPTY_SHA256, Claim, signing_key

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
SEED = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
CLAIM = Claim(
    "header", "AKIAIOSFODNN7EXAMPLE", "20130524", "us-east-1", "s3", ("host",), SEED, "20130524T000000Z",
    content_sha256="STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
)  # fmt: skip


def _sign(previous: str, kind: str, digest: str) -> str:
    text = f"AWS4-HMAC-SHA256-{kind}\n20130524T000000Z\n{CLAIM.scope}\n{previous}\n{digest}"
    return hmac.new(signing_key(SECRET, "20130524", "us-east-1", "s3"), text.encode(), "sha256").hexdigest()


def _body(chunks: list[bytes], trailer: str = "") -> bytes:
    out, previous = [], SEED
    for chunk in [*chunks, b""]:
        previous = _sign(previous, "PAYLOAD", f"{EMPTY_SHA256}\n{hashlib.sha256(chunk).hexdigest()}")
        out.append(f"{len(chunk):x};chunk-signature={previous}\r\n".encode() + chunk + (b"\r\n" if chunk else b""))
    if trailer:
        signature = _sign(previous, "TRAILER", hashlib.sha256(f"{trailer}\n".encode()).hexdigest())
        out.append(f"{trailer}\r\nx-amz-trailer-signature:{signature}\r\n".encode())
    return b"".join([*out, b"\r\n"])


def _decoder(length: int, trailers: frozenset[str] = frozenset()) -> Decoder:
    return Decoder(ChunkSigner(CLAIM, SECRET), trailers=trailers, length=length)


def test_the_example_of_the_documentation() -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html has these signatures for 66560 times ``a``."""
    body = _body([b"a" * 65536, b"a" * 1024])
    assert b"10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n" in body
    assert b"0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n" in body
    decoder = decoder_for(CLAIM, SECRET, {"x-amz-decoded-content-length": "66560"})
    assert decoder is not None
    assert b"".join(decoder.feed(body)) == b"a" * 66560
    decoder.finish()


def test_every_split() -> None:
    trailer = f"x-amz-checksum-crc32:{base64.b64encode(zlib.crc32(b'hello world').to_bytes(4, 'big')).decode()}"
    body = _body([b"hello ", b"world"], trailer)
    for cut in range(len(body) + 1):
        decoder = _decoder(11, frozenset({"x-amz-checksum-crc32"}))
        out = decoder.feed(body[:cut]) + decoder.feed(body[cut:])
        decoder.finish()
        assert b"".join(out) == b"hello world"
    single = _decoder(11, frozenset({"x-amz-checksum-crc32"}))
    assert b"".join(piece for byte in body for piece in single.feed(bytes([byte]))) == b"hello world"
    single.finish()
    for cut in range(len(body)):
        decoder = _decoder(11, frozenset({"x-amz-checksum-crc32"}))
        decoder.feed(body[:cut])
        with pytest.raises(AwsError, match="IncompleteBody"):
            decoder.finish()


def test_changed_bodies_are_refused() -> None:
    body = _body([b"hello ", b"world"])
    for old, new in [(b"hello", b"hallo"), (b"6;", b"5;"), (b"world", b"w0rld")]:
        decoder = _decoder(11)
        with pytest.raises(AwsError, match="SignatureDoesNotMatch"):
            decoder.feed(body.replace(old, new))

    def whole(decoder: Decoder, data: bytes) -> None:
        decoder.feed(data)
        decoder.finish()

    for wrong in (b"6\r\nhello \r\n", b"x" * 2000, b"-1;chunk-signature=" + b"0" * 64 + b"\r\n", body + b"more"):
        decoder = _decoder(11)
        with pytest.raises(AwsError, match="IncompleteBody"):
            whole(decoder, wrong)
    decoder = _decoder(12)
    decoder.feed(body)
    with pytest.raises(AwsError, match="IncompleteBody"):
        decoder.finish()


@settings(max_examples=50, deadline=None)
@given(data=st.binary(max_size=3000), cut=st.integers(0, 3000))
def test_botocores_unsigned_chunks_with_a_trailer(data: bytes, cut: int) -> None:
    wrapped = AwsChunkedWrapper(
        io.BytesIO(data), checksum_cls=Crc32Checksum, checksum_name="x-amz-checksum-crc32", chunk_size=512
    ).read()
    headers = {"x-amz-decoded-content-length": str(len(data)), "x-amz-trailer": "x-amz-checksum-crc32"}
    decoder = make_decoder(headers, None)
    assert b"".join(decoder.feed(wrapped[:cut]) + decoder.feed(wrapped[cut:])) == data
    decoder.finish()
    assert "x-amz-checksum-crc32" in decoder.trailers
    if data:
        broken = wrapped.replace(b"crc32:", b"crc32:AAAA", 1)
        decoder = make_decoder(headers, None)
        decoder.feed(broken)
        with pytest.raises(AwsError, match="BadDigest"):
            decoder.finish()


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=200))
def test_random_bytes_are_refused_never_crash(data: bytes) -> None:
    headers = {"x-amz-decoded-content-length": "5", "x-amz-trailer": "x-amz-checksum-sha256"}
    decoder = make_decoder(headers, None)
    try:
        decoder.feed(data)
        decoder.finish()
    except AwsError as error:
        assert (error.http_status or 400) == 400
    else:
        pytest.fail("random bytes were taken for a body with its checksum")


@pytest.mark.parametrize(("name", "expected"), [
    ("crc32", "cbf43926"), ("crc32c", "e3069283"), ("crc64nvme", "ae8b14860a799888"),
])  # fmt: skip
def test_checksums_by_their_check_values_and_in_pieces(name: str, expected: str) -> None:
    whole = checksum(name)
    whole.update(b"123456789")
    assert whole.digest().hex() == expected
    data = bytes(range(251)) * 300
    once, slowly = checksum(name), checksum(name)
    once.update(data)
    for start in range(0, len(data), 777):  # too short for lanes: the plain table
        slowly.update(data[start : start + 777])
    assert once.digest() == slowly.digest()


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC64NVME", "SHA512"])
async def test_a_decoded_body_knows_what_was_verified(algorithm: str) -> None:
    running = checksum(algorithm.lower())
    running.update(b"hello")
    value, name = encoded(running.digest()), f"x-amz-checksum-{algorithm.lower()}"

    async def sent() -> AsyncIterator[bytes]:
        yield b"5\r\nhel"
        yield f"lo\r\n0\r\n{name}:{value}\r\n\r\n".encode()

    headers = {"x-amz-decoded-content-length": "5", "x-amz-trailer": name}
    body = DecodedBody(make_decoder(headers, None), sent())
    assert b"".join([piece async for piece in body]) == b"hello"
    assert body.announces(algorithm)
    assert not body.announces("SHA1")
    assert body.verified(algorithm) == value
