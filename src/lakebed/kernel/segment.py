"""One segment file of a log: frames, checksums, a sparse index. ``segments.py`` strings segments together.

A frame is one append: a header (body length, CRC-32 of all that follows it, first offset, count, arrival time) and, for
each record, its length and bytes. A reader never trusts what it did not check: a frame whose CRC is wrong at the end of
the newest segment is a torn write and is cut off at recovery, anywhere else it is ``LogDamagedError`` naming the file.
"""

from __future__ import annotations

import os
import struct
import zlib
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from lakebed.kernel.disk import Disk

_HEADER = struct.Struct(">IIQId")  # body bytes, crc, base offset, record count, arrived
_CHECKED = struct.Struct(">QId")
_SEAL = struct.Struct(">QQd")  # end offset, bytes, last arrival
_LENGTH = struct.Struct(">I")
HEADER_BYTES = _HEADER.size
_INDEX_EVERY_BYTES = 16 << 10
_READ_BYTES = 256 << 10


class LogDamagedError(OSError):
    """A frame that had been written whole does not check out any more."""


class LogRecord(NamedTuple):
    """A record as read: its offset in the log, when its append arrived (epoch seconds), its bytes."""

    offset: int
    arrived: float
    data: bytes


def frame(base: int, arrived: float, records: Sequence[bytes]) -> bytes:
    """The bytes of one append."""
    pack = _LENGTH.pack
    body = b"".join([piece for record in records for piece in (pack(len(record)), record)])
    checked = _CHECKED.pack(base, len(records), arrived)
    return _HEADER.pack(len(body), zlib.crc32(body, zlib.crc32(checked)), base, len(records), arrived) + body


class Segment:
    """A segment file and what is known of it. ``end`` is the offset behind its last record, ``size`` its valid bytes."""

    def __init__(self, path: Path, base: int) -> None:
        self.path, self.base, self.end = path, base, base
        self.size = 0
        self.last_arrived = 0.0
        self._offsets, self._positions = array("Q"), array("Q")
        self._fd = -1

    def scan(self) -> None:
        """Check every frame from the start; ``size`` stops before the first one that is torn or damaged."""
        total = self.path.stat().st_size
        with self.path.open("rb") as file:
            while self.size < total:
                header = file.read(HEADER_BYTES)
                if len(header) < HEADER_BYTES:
                    return
                length, crc, base, count, arrived = _HEADER.unpack(header)
                if base != self.end or self.size + HEADER_BYTES + length > total:
                    return
                if zlib.crc32(file.read(length), zlib.crc32(_CHECKED.pack(base, count, arrived))) != crc:
                    return
                self.note(HEADER_BYTES + length, count, arrived)

    def recover_sealed(self, end: int) -> None:
        """Scan a sealed segment that has no index. Damage in it must be met by its reader, not silently skipped."""
        self.scan()
        self.end, self.size = end, self.path.stat().st_size

    def save_index(self, disk: Disk) -> None:
        """Once sealed: keep what a scan would find, so that the next boot need not read the segment."""
        content = (
            _SEAL.pack(self.end, self.size, self.last_arrived) + self._offsets.tobytes() + self._positions.tobytes()
        )
        disk.write_atomic(self.path.with_suffix(".idx"), _LENGTH.pack(zlib.crc32(content)) + content)

    def load_index(self) -> bool:
        """Take the kept index of a sealed segment; False where there is none that checks out."""
        try:
            content = self.path.with_suffix(".idx").read_bytes()
        except FileNotFoundError:
            return False
        if len(content) < 4 + _SEAL.size or _LENGTH.unpack_from(content)[0] != zlib.crc32(content[4:]):
            return False
        self.end, self.size, self.last_arrived = _SEAL.unpack_from(content, 4)
        entries = content[4 + _SEAL.size :]
        self._offsets.frombytes(entries[: len(entries) // 2])
        self._positions.frombytes(entries[len(entries) // 2 :])
        return self.path.stat().st_size == self.size

    def note(self, size: int, count: int, arrived: float) -> None:
        """A frame of ``size`` bytes stands at the end."""
        if not self._positions or self.size - self._positions[-1] >= _INDEX_EVERY_BYTES:
            self._offsets.append(self.end)
            self._positions.append(self.size)
        self.size += size
        self.end += count
        self.last_arrived = arrived

    def position_of(self, offset: int) -> int:
        """Where to begin reading for ``offset``: the indexed frame at or before it."""
        slot = bisect_right(self._offsets, offset) - 1
        return self._positions[slot] if slot >= 0 else 0

    def offset_near(self, timestamp: float) -> int:
        """The offset of the last indexed frame that arrived before ``timestamp``: where a search by time may begin."""
        low, high = 0, len(self._positions)
        while low < high:
            middle = (low + high) // 2
            arrived = _HEADER.unpack(self._pread(HEADER_BYTES, self._positions[middle]))[4]
            low, high = (middle + 1, high) if arrived < timestamp else (low, middle)
        return self._offsets[low - 1] if low else self.base

    def read(
        self, offset: int, position: int, limit: int, records_max: int, bytes_max: int
    ) -> tuple[list[LogRecord], int]:
        """Records from ``offset`` on, of frames that begin below ``limit``, and the position of the frame to go on with.

        At least one record comes back where there is one, however large it is.
        """
        found: list[LogRecord] = []
        left = bytes_max
        want = _READ_BYTES
        while position < self.size:
            chunk = self._pread(want, position)
            want, at = _READ_BYTES, 0
            while at + HEADER_BYTES <= len(chunk):
                length, _, base, count, _ = _HEADER.unpack_from(chunk, at)
                stop = at + HEADER_BYTES + length
                if base >= limit:
                    return found, position + at
                if stop > len(chunk):
                    if at == 0:
                        want = stop  # a frame larger than the usual read: take it whole
                    break
                if base + count > offset:
                    left = self._take(chunk, at, position + at, offset, records_max, left, found)
                    if left < 0 or len(found) >= records_max:
                        return found, position + at
                at = stop
            if at == 0 and (want == _READ_BYTES or position + want > self.size):
                raise LogDamagedError(f"{self.path} is damaged at byte {position}")
            position += at
        return found, position

    def _take(
        self, chunk: bytes, at: int, position: int, offset: int, records_max: int, left: int, found: list[LogRecord]
    ) -> int:
        """Add the frame's records from ``offset`` on; the bytes that may still be taken, -1 once one did not fit."""
        length, crc, base, count, arrived = _HEADER.unpack_from(chunk, at)
        body = chunk[at + HEADER_BYTES : at + HEADER_BYTES + length]
        if zlib.crc32(body, zlib.crc32(_CHECKED.pack(base, count, arrived))) != crc:
            raise LogDamagedError(f"{self.path} is damaged at byte {position}")
        place = 0
        unpack = _LENGTH.unpack_from
        for number in range(base, base + count):
            (size,) = unpack(body, place)
            place += 4 + size
            if number < offset:
                continue
            if len(found) >= records_max or (found and size > left):
                return -1
            found.append(LogRecord(number, arrived, body[place - size : place]))
            left = max(left - size, 0)
        return left

    def _pread(self, size: int, position: int) -> bytes:
        if self._fd < 0:
            self._fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        return os.pread(self._fd, min(size, self.size - position), position)

    def close(self) -> None:
        """Forget the read descriptor; a later read opens it again."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
