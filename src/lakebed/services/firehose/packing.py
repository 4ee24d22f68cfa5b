"""Compression of objects: GZIP, ZIP, Snappy and Hadoop's Snappy, in pieces and repeatable.

https://docs.aws.amazon.com/firehose/latest/dev/create-destination.html: ``Snappy`` is the framing format
(https://github.com/google/snappy/blob/main/framing_format.txt), ``HADOOP_SNAPPY`` Hadoop's blocks: the block's plain length,
then its chunks, each behind its own length. A ZIP has one entry without a date. ``cramjam`` is imported when it is needed.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from typing import Any, Protocol

EXTENSIONS = {"UNCOMPRESSED": "", "GZIP": ".gz", "ZIP": ".zip", "Snappy": ".snappy", "HADOOP_SNAPPY": ".hsnappy"}
_ENTRY = "data"
_HADOOP_BLOCK = 256 << 10


class Packer(Protocol):
    """Takes pieces, gives compressed ones."""

    def compress(self, data: bytes, /) -> bytes:
        """What is ready of the output."""
        ...

    def flush(self) -> bytes:
        """The rest. Once, at the end."""
        ...


def packer(form: str) -> Packer | None:
    """The packer of a CompressionFormat; None for none."""
    if form == "GZIP":
        return zlib.compressobj(6, zlib.DEFLATED, 31)
    makers: dict[str, type[_Zip] | type[_Snappy] | type[_HadoopSnappy]] = {
        "ZIP": _Zip, "Snappy": _Snappy, "HADOOP_SNAPPY": _HadoopSnappy,
    }  # fmt: skip
    return makers[form]() if form in makers else None


class _Sink(io.RawIOBase):
    """What ``zipfile`` writes to: not seekable, so sizes follow the data."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self.pieces.append(piece)
        return len(piece)

    def taken(self) -> bytes:
        made, self.pieces = b"".join(self.pieces), []
        return made


class _Zip:
    def __init__(self) -> None:
        self._sink = _Sink()
        self._archive = zipfile.ZipFile(self._sink, "w", zipfile.ZIP_DEFLATED)
        entry = zipfile.ZipInfo(_ENTRY)
        entry.compress_type = zipfile.ZIP_DEFLATED
        self._entry = self._archive.open(entry, "w", force_zip64=False)

    def compress(self, data: bytes, /) -> bytes:
        self._entry.write(data)
        return self._sink.taken()

    def flush(self) -> bytes:
        self._entry.close()
        self._archive.close()
        return self._sink.taken()


class _Snappy:
    def __init__(self) -> None:
        from cramjam import snappy

        self._inner: Any = snappy.Compressor()

    def compress(self, data: bytes, /) -> bytes:
        self._inner.compress(data)
        return bytes(self._inner.flush())

    def flush(self) -> bytes:
        return bytes(self._inner.finish())


class _HadoopSnappy:
    def __init__(self) -> None:
        from cramjam import snappy

        self._raw: Any = snappy.compress_raw
        self._waiting = bytearray()

    def compress(self, data: bytes, /) -> bytes:
        self._waiting += data
        made = bytearray()
        while len(self._waiting) >= _HADOOP_BLOCK:
            made += self._block(bytes(self._waiting[:_HADOOP_BLOCK]))
            del self._waiting[:_HADOOP_BLOCK]
        return bytes(made)

    def flush(self) -> bytes:
        rest, self._waiting = bytes(self._waiting), bytearray()
        return self._block(rest) if rest else b""

    def _block(self, data: bytes) -> bytes:
        packed = bytes(self._raw(data))
        return len(data).to_bytes(4, "big") + len(packed).to_bytes(4, "big") + packed
