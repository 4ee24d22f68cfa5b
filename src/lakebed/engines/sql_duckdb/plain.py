"""Compressed text made plain, in the statement's own scratch directory, before DuckDB reads it.

DuckDB reads gzip and zstd, on one core; what it lacks are bzip2, LZ4, Snappy and deflate, and Hadoop's block framing of the
latter three: a big-endian length of what a block holds, then chunks with their own lengths. Which of Snappy's three framings
a file has is told by its first bytes (https://github.com/google/snappy/blob/main/framing_format.txt). What comes out is
bounded by the statement's spill, so that a small file cannot fill the disk.
https://docs.aws.amazon.com/athena/latest/ug/compression-formats.html
"""

from __future__ import annotations

import bz2
import gzip
import mmap
import resource
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from lakebed.ports.sql import SqlFailure

_BLOCK = 1 << 20
_CHUNK_MAX = 256 << 20
_FRAMED_SNAPPY = b"\xff\x06\x00\x00sNaPpY"
_FRAMED_LZ4 = b"\x04\x22\x4d\x18"
Stop = Callable[[], None]  # raises where the statement was cancelled


def broken() -> SqlFailure:
    """A file that is not what its name says."""
    return SqlFailure("HIVE_CURSOR_ERROR", "a data file of the table cannot be read in its declared format")


def write_plain(source: Path, target: Path, compression: str, left: int, stop: Stop) -> int:
    """Decompress a file; how many bytes came out, at most ``left``."""
    with source.open("rb") as file:
        framed = compression == "zstd" or (compression == "lz4" and _starts(file, _FRAMED_LZ4))
        try:
            if framed:
                return _whole(source, target, compression, left)
            with target.open("wb") as out:
                return _copy(_blocks(file, compression), out, left, stop)
        except (EOFError, ValueError, zlib.error):
            raise broken() from None
        except OSError as wrong:
            if (wrong.errno or 0) > 0:
                raise _too_much() from None
            raise broken() from None


def _too_much() -> SqlFailure:
    return SqlFailure("EXCEEDED_LOCAL_MEMORY_LIMIT", "Decompressed data exceed the spill limit")


def _copy(blocks: Iterator[bytes], out: BinaryIO, left: int, stop: Stop) -> int:
    written = 0
    for block in blocks:
        written += len(block)
        if written > left:
            raise _too_much()
        out.write(block)
        stop()
    return written


def _whole(source: Path, target: Path, codec: str, left: int) -> int:
    """Frames whose blocks lean on each other: from file to file in the library, the file's size limited by the system."""
    import cramjam

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    target.touch()
    resource.setrlimit(resource.RLIMIT_FSIZE, (left if hard == resource.RLIM_INFINITY else min(left, hard), hard))
    try:
        out = cramjam.File(str(target), read=True, write=True, truncate=True)
        with source.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            getattr(cramjam, codec).decompress_into(data, out)
    except (OSError, cramjam.DecompressionError):
        if target.stat().st_size >= left:
            raise _too_much() from None
        raise broken() from None
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    return target.stat().st_size


def _blocks(file: BinaryIO, compression: str) -> Iterator[bytes]:
    if compression == "gzip":
        yield from _read(gzip.GzipFile(fileobj=file))
    elif compression == "bz2":
        yield from _read(bz2.BZ2File(file))
    elif compression == "deflate":
        yield from _deflate(file)
    elif compression == "lz4":
        yield from _hadoop(file, _lz4_chunk)
    elif compression == "snappy":
        if _starts(file, _FRAMED_SNAPPY):
            yield from _snappy_frames(file)
        else:
            yield from _hadoop(file, _snappy_chunk) if _is_hadoop(file) else _snappy_raw(file)
    else:
        raise SqlFailure("NOT_SUPPORTED", f"{compression} compression of text is not built in Lakebed")


def _read(reader: Any) -> Iterator[bytes]:
    while block := reader.read(_BLOCK):
        yield block


def _starts(file: BinaryIO, head: bytes) -> bool:
    found = file.read(len(head))
    file.seek(0)
    return found == head


def _deflate(file: BinaryIO) -> Iterator[bytes]:
    """zlib's wrapping, which Hadoop writes, or bare deflate."""
    head = file.read(2)
    file.seek(0)
    wrapped = len(head) == 2 and head[0] & 0x0F == 8 and int.from_bytes(head, "big") % 31 == 0
    engine = zlib.decompressobj(zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS)
    while block := file.read(_BLOCK):
        while block:
            yield engine.decompress(block, _BLOCK)
            block = engine.unconsumed_tail
    yield engine.flush()
    if not engine.eof:
        raise EOFError("deflate stream ends early")


def _exactly(file: BinaryIO, size: int) -> bytes:
    if size > _CHUNK_MAX:
        raise ValueError("chunk is too long")
    data = file.read(size)
    if len(data) != size:
        raise EOFError("file ends early")
    return data


def _hadoop(file: BinaryIO, chunk: Callable[[bytes, int], bytes]) -> Iterator[bytes]:
    while head := file.read(4):
        left = int.from_bytes(head, "big")
        if len(head) != 4 or left > _CHUNK_MAX:
            raise ValueError("no Hadoop block")
        while left > 0:
            made = chunk(_exactly(file, int.from_bytes(_exactly(file, 4), "big")), left)
            if not made or len(made) > left:
                raise ValueError("a block is longer than it says")
            left -= len(made)
            yield made


def _lz4_chunk(data: bytes, most: int) -> bytes:
    import cramjam

    try:
        return bytes(cramjam.lz4.decompress_block(data, output_len=most))
    except cramjam.DecompressionError as wrong:
        raise ValueError(str(wrong)) from None


def _snappy_chunk(data: bytes, most: int) -> bytes:
    import cramjam

    try:
        if cramjam.snappy.decompress_raw_len(data) > most:
            raise ValueError("chunk is too long")
        return bytes(cramjam.snappy.decompress_raw(data))
    except cramjam.DecompressionError as wrong:
        raise ValueError(str(wrong)) from None


def _is_hadoop(file: BinaryIO) -> bool:
    """Whether the file begins with a block's length and that of a chunk which fits into it."""
    head = file.read(9)
    file.seek(0)
    if len(head) < 9:
        return False
    block, chunk = int.from_bytes(head[:4], "big"), int.from_bytes(head[4:8], "big")
    size = file.seek(0, 2)
    file.seek(8)
    data = file.read(min(chunk, _CHUNK_MAX))
    file.seek(0)
    if not 0 < chunk <= size - 8 or not 0 < block <= _CHUNK_MAX:
        return False
    try:
        return 0 < len(_snappy_chunk(data, block)) <= block
    except ValueError:
        return False


def _snappy_raw(file: BinaryIO) -> Iterator[bytes]:
    """One block: its length stands in front, so that it is known before it is made."""
    yield _snappy_chunk(_exactly(file, _size(file)), _CHUNK_MAX)


def _size(file: BinaryIO) -> int:
    size = file.seek(0, 2)
    file.seek(0)
    return size


def _snappy_frames(file: BinaryIO) -> Iterator[bytes]:
    while head := file.read(4):
        if len(head) != 4:
            raise EOFError("file ends early")
        kind, data = head[0], _exactly(file, int.from_bytes(head[1:], "little"))
        if kind == 0:
            yield _snappy_chunk(data[4:], 1 << 16)
        elif kind == 1:
            yield data[4:]
        elif kind < 0x80:
            raise ValueError("a frame that may not be skipped")


def compress(source: Path, target: Path, compression: str) -> None:
    """What CTAS, INSERT and UNLOAD write: as Hadoop's codecs frame it, so that every reader of Hive's tables can."""
    with source.open("rb") as file, target.open("wb") as out:
        if compression == "bz2":
            engine = bz2.BZ2Compressor()
            while block := file.read(_BLOCK):
                out.write(engine.compress(block))
            out.write(engine.flush())
        elif compression == "deflate":
            packer = zlib.compressobj()
            while block := file.read(_BLOCK):
                out.write(packer.compress(block))
            out.write(packer.flush())
        else:
            _write_hadoop(file, out, compression)


def _write_hadoop(file: BinaryIO, out: BinaryIO, compression: str) -> None:
    import cramjam

    while block := file.read(1 << 18):
        if compression == "snappy":
            made = bytes(cramjam.snappy.compress_raw(block))
        elif compression == "lz4":
            made = bytes(cramjam.lz4.compress_block(block, store_size=False))
        else:
            raise SqlFailure("NOT_SUPPORTED", f"compression {compression} is not built for this format")
        out.write(len(block).to_bytes(4, "big") + len(made).to_bytes(4, "big") + made)
