"""aws-chunked bodies, decoded piece by piece: signed chunks, unsigned chunks, and the trailer that follows either.

``decoder_for(claim, secret, headers)`` gives the decoder a request's headers ask for; ``feed`` returns decoded pieces as
they come, so a reader must not acknowledge anything before ``finish`` returned: a chunk's signature stands before its data
and is checked when the chunk ends, the trailer's checksum at the very end. Nothing but the line being read is kept.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html,
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html
"""

from __future__ import annotations

import hmac
import re
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from hashlib import sha256

from lakebed.kernel.errors import AwsError
from lakebed.wire.aws.checksums import ALGORITHMS, HEADER, Checksum, bad_checksum, checksum, encoded
from lakebed.wire.aws.sigv4 import EMPTY_SHA256, Claim, signing_key

_LONGEST_LINE = 1024
_MOST_TRAILERS = 16
_HEADER = re.compile(rb"([0-9a-fA-F]{1,12})(?:;chunk-signature=([0-9a-f]{64}))?")
_SIGNED = ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER")
_UNSIGNED = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
_TRAILER_SIGNATURE = "x-amz-trailer-signature"


def _incomplete(message: str) -> AwsError:
    return AwsError("IncompleteBody", message, status=400)


class ChunkSigner:
    """The chain of signatures: each covers the one before it."""

    def __init__(self, claim: Claim, secret: str) -> None:
        self._key = signing_key(secret, claim.date, claim.region, claim.service)
        self._head = f"{claim.signed_at}\n{claim.scope}\n"
        self._previous = claim.signature

    def check(self, signature: str, digest: str, *, trailer: bool = False) -> None:
        """Raise unless this is the signature of the next chunk, or of the trailer."""
        kind, empty = ("TRAILER", "") if trailer else ("PAYLOAD", f"{EMPTY_SHA256}\n")
        text = f"AWS4-HMAC-SHA256-{kind}\n{self._head}{self._previous}\n{empty}{digest}"
        expected = hmac.digest(self._key, text.encode(), "sha256").hex()
        if not hmac.compare_digest(expected, signature):
            raise AwsError(
                "SignatureDoesNotMatch",
                "The request signature we calculated does not match the signature you provided. Check your key and "
                "signing method.",
                status=403,
            )
        self._previous = expected


class Decoder:
    """An incremental decoder of one body."""

    def __init__(self, signer: ChunkSigner | None, *, trailers: frozenset[str], length: int | None) -> None:
        self._signer = signer
        self._announced = trailers
        self._expected_length = length
        self._buffer = bytearray()
        self._state: Callable[[list[bytes]], bool] = self._read_header
        self._left = 0
        self._length = 0
        self._signature = ""
        self._hash = sha256()
        self._done = False
        self._signed_lines = sha256()
        self._lines = 0
        self._checksums: dict[str, Checksum] = {
            name: checksum(name.removeprefix(HEADER)) for name in trailers if name.removeprefix(HEADER) in ALGORITHMS
        }
        self.trailers: dict[str, str] = {}

    @property
    def announced(self) -> Collection[str]:
        """The trailers that are checksums, which are compared."""
        return self._checksums

    def feed(self, data: bytes) -> list[bytes]:
        """Decoded pieces, as far as they are there."""
        self._buffer += data
        out: list[bytes] = []
        while self._state(out):
            pass
        return out

    def finish(self) -> None:
        """Raise unless the body was whole; ``trailers`` then holds what followed it."""
        if not self._done or self._buffer:
            raise _incomplete("The request body terminated unexpectedly")
        if self._expected_length is not None and self._length != self._expected_length:
            raise _incomplete("You did not provide the number of bytes specified by the Content-Length HTTP header")
        for name, computed in self._checksums.items():
            if name not in self.trailers:
                raise AwsError(
                    "MalformedTrailerError", f"The trailer {name} was announced but is not there.", status=400
                )
            if self.trailers[name] != encoded(computed.digest()):
                raise bad_checksum(name.removeprefix(HEADER))

    # Each state takes what it can from the buffer and says whether there may be more to do.

    def _line(self) -> bytes | None:
        end = self._buffer.find(b"\r\n", 0, _LONGEST_LINE + 2)
        if end < 0:
            if len(self._buffer) > _LONGEST_LINE + 1:
                raise _incomplete("A chunk's header or a trailer is too long.")
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    def _read_header(self, _: list[bytes]) -> bool:
        line = self._line()
        if line is None:
            return False
        match = _HEADER.fullmatch(line)
        if match is None or (match[2] is None) != (self._signer is None):
            raise _incomplete("A chunk's header is malformed.")
        self._left = int(match[1], 16)
        self._length += self._left
        if self._expected_length is not None and self._length > self._expected_length:
            raise _incomplete("The body is longer than x-amz-decoded-content-length says.")
        self._signature = match[2].decode() if match[2] else ""
        self._hash = sha256()
        if self._left:
            self._state = self._read_data
            return True
        self._check_chunk()
        self._state = self._read_trailer
        return True

    def _check_chunk(self) -> None:
        if self._signer is not None:
            self._signer.check(self._signature, self._hash.hexdigest())

    def _read_data(self, out: list[bytes]) -> bool:
        if self._left:
            piece = bytes(self._buffer[: self._left])
            if not piece:
                return False
            del self._buffer[: len(piece)]
            self._left -= len(piece)
            if self._signer is not None:
                self._hash.update(piece)
            for computed in self._checksums.values():
                computed.update(piece)
            out.append(piece)
            if self._left:
                return False
            self._check_chunk()
        if len(self._buffer) < 2:
            return False
        if self._buffer[:2] != b"\r\n":
            raise _incomplete("A chunk does not end where its header says.")
        del self._buffer[:2]
        self._state = self._read_header
        return True

    def _read_trailer(self, _: list[bytes]) -> bool:
        line = self._line()
        if line is None:
            return False
        if not line:
            self._end()
            return False
        self._lines += 1
        name_bytes, colon, value_bytes = line.partition(b":")
        try:
            name, value = name_bytes.decode("ascii").strip().lower(), value_bytes.decode("ascii").strip()
        except UnicodeDecodeError:
            raise _incomplete("A trailer is not ASCII.") from None
        if not colon or self._lines > _MOST_TRAILERS or name in self.trailers:
            raise _incomplete("The trailer is malformed.")
        if name == _TRAILER_SIGNATURE:
            if self._signer is None:
                raise _incomplete("An unsigned body has a signed trailer.")
            self._signer.check(value, self._signed_lines.hexdigest(), trailer=True)
            self._signature = "trailer"
            return True
        if name not in self._announced or self._signature == "trailer":
            raise AwsError("MalformedTrailerError", f"The trailer {name[:64]} was not announced.", status=400)
        self._signed_lines.update(f"{name}:{value}\n".encode())
        self.trailers[name] = value
        return True

    def _end(self) -> None:
        if self._signer is not None and self.trailers and self._signature != "trailer":
            raise AwsError("SignatureDoesNotMatch", "The trailer is not signed.", status=403)
        self._done = True
        self._state = self._at_end

    def _at_end(self, _: list[bytes]) -> bool:
        if self._buffer:
            raise _incomplete("There is more after the last chunk.")
        return False


class DecodedBody:
    """The decoded body as a stream; read to its end, it knows which checksums behind it were found to be right."""

    def __init__(self, decoder: Decoder, body: AsyncIterator[bytes]) -> None:
        self._decoder, self._pieces = decoder, _decoded(decoder, body)

    def __aiter__(self) -> DecodedBody:
        return self

    async def __anext__(self) -> bytes:
        return await anext(self._pieces)

    def announces(self, algorithm: str) -> bool:
        """Whether a checksum of this name is to come and is computed on the way."""
        return f"{HEADER}{algorithm.lower()}" in self._decoder.announced

    def verified(self, algorithm: str) -> str:
        """The announced checksum in Base64, once the body was read to its end."""
        return self._decoder.trailers[f"{HEADER}{algorithm.lower()}"]


async def _decoded(decoder: Decoder, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for piece in body:
        for part in decoder.feed(piece):
            yield part
    decoder.finish()


def decoder_for(claim: Claim, secret: str, headers: Mapping[str, str]) -> Decoder | None:
    """The decoder of a request's body, None where it is not aws-chunked."""
    if not claim.chunked:
        return None
    kind = claim.content_sha256 or ""
    if kind not in _SIGNED and kind != _UNSIGNED:
        raise AwsError("NotImplemented", f"{kind[:64]} is not supported.", status=501)
    return make_decoder(
        headers, ChunkSigner(claim, secret) if kind in _SIGNED else None, trailer=kind.endswith("-TRAILER")
    )


def make_decoder(headers: Mapping[str, str], signer: ChunkSigner | None, *, trailer: bool = True) -> Decoder:
    """A decoder by the headers alone: for an anonymous client, whose chunks nobody signed."""
    length = headers.get("x-amz-decoded-content-length")
    if length is None:
        raise AwsError("MissingContentLength", "You must provide the Content-Length HTTP header.", status=411)
    if not (length.isascii() and length.isdigit() and len(length) < 16):
        raise AwsError("InvalidArgument", "x-amz-decoded-content-length is not a number.", status=400)
    announced = headers.get("x-amz-trailer", "") if trailer else ""
    names = frozenset(name.strip().lower() for name in announced.split(",") if name.strip())
    return Decoder(signer, trailers=names, length=int(length))
