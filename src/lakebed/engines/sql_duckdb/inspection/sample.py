"""The beginning of a text file, made plain.

Compression is told by the first bytes, or by the name's ending where the format has no mark (raw Snappy, deflate). At most
ten megabytes are made plain; a zip archive is read where it holds one file
(https://docs.aws.amazon.com/glue/latest/dg/add-classifier.html).
"""

from __future__ import annotations

import bz2
import tempfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from lakebed.engines.sql_duckdb.plain import write_plain
from lakebed.lake.formats import COMPRESSIONS
from lakebed.ports.sql import SqlFailure

SAMPLE_BYTES = 1 << 20
JSON_BYTES = 10 << 20
_MARKS = ((b"\x1f\x8b", "gzip"), (b"BZh", "bzip2"), (b"PK\x03\x04", "zip"), (b"\x28\xb5\x2f\xfd", "zstd"),
          (b"\x04\x22\x4d\x18", "lz4"), (b"\xff\x06\x00\x00sNaPpY", "snappy"))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sample:
    """``data`` is the beginning, ``whole`` says that it is all; ``ratio`` is how much larger the whole file is."""

    data: bytes
    whole: bool
    compression: str
    ratio: float

    @property
    def text(self) -> str | None:
        """The first megabyte as text, whole lines only; None where it is none."""
        return decoded(self.data[:SAMPLE_BYTES], whole=self.whole and len(self.data) <= SAMPLE_BYTES)

    def records(self, seen: int, used: int) -> int:
        """An estimate of all records from those in the first ``used`` bytes."""
        if self.whole and used >= len(self.data):
            return seen
        return max(seen, round(seen * self.ratio * len(self.data) / max(used, 1)))


def decoded(data: bytes, *, whole: bool) -> str | None:
    """UTF-8 or UTF-16 by its mark; None for bytes that are no text. A last line that is cut is left out."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = data.decode("utf-16", "replace")
    else:
        if b"\x00" in data:
            return None
        text = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")
    if text.count("\ufffd") > len(text) // 50:
        return None
    if not whole:
        text = text[: text.rfind("\n") + 1] or text
    return text


def open_sample(path: str, key: str, size: int) -> Sample | None:
    """None where the file cannot be made plain."""
    source = Path(path)
    with source.open("rb") as file:
        head = file.read(10)
        compression = next((name for mark, name in _MARKS if head.startswith(mark)), "")
        if not compression:
            compression = next((name for end, name in COMPRESSIONS.items() if key.lower().endswith(end)), "none")
        if compression not in ("none", "gzip", "bzip2", "zip"):
            return _by_engine(source, compression, size)
        file.seek(0)
        if compression == "none":
            data = file.read(JSON_BYTES + 1)
            return _sample(data, compression, max(size / max(len(data), 1), 1.0))
        if compression == "zip":
            return _zipped(source)
        return _streamed(file.read(JSON_BYTES), compression, size)


def _sample(data: bytes, compression: str, ratio: float) -> Sample:
    return Sample(data[:JSON_BYTES], len(data) <= JSON_BYTES, compression, ratio)


def _streamed(packed: bytes, compression: str, size: int) -> Sample | None:
    """Gzip and bzip2, the first member only; what comes out is bounded."""
    try:
        if compression == "gzip":
            engine = zlib.decompressobj(zlib.MAX_WBITS | 16)
            data = engine.decompress(packed, JSON_BYTES + 1)
            used = len(packed) - len(engine.unconsumed_tail) - len(engine.unused_data)
        else:
            unpacker = bz2.BZ2Decompressor()
            data = unpacker.decompress(packed, JSON_BYTES + 1)
            used = len(packed)
    except (zlib.error, OSError):
        return None
    return _sample(data, compression, max(size / max(used, 1), 1.0))


def _zipped(source: Path) -> Sample | None:
    try:
        with zipfile.ZipFile(source) as archive:
            members = [one for one in archive.infolist() if not one.is_dir()]
            if len(members) != 1 or members[0].flag_bits & 1:
                return None
            with archive.open(members[0]) as file:
                data = file.read(JSON_BYTES + 1)
    except (zipfile.BadZipFile, NotImplementedError, zlib.error):
        return None
    return _sample(data, "zip", max(members[0].file_size / max(len(data), 1), 1.0))


def _by_engine(source: Path, compression: str, size: int) -> Sample | None:
    """The codecs that Athena reads; a file beyond the bound leaves its beginning behind."""
    with tempfile.TemporaryDirectory(prefix="inspect-") as scratch:
        target = Path(scratch) / "plain"
        try:
            write_plain(source, target, compression, JSON_BYTES + 1, lambda: None)
        except SqlFailure:
            if not target.exists() or not target.stat().st_size:
                return None
        data = target.read_bytes()
    return _sample(data, {"bz2": "bzip2"}.get(compression, compression), max(size / max(len(data), 1), 1.0))
