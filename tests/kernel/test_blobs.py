"""Blobs: whole, immutable, found by id; what no row names is swept."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakebed.kernel.blobs import READ_CHUNK_BYTES, Blobs
from lakebed.kernel.disk import LocalDisk
from lakebed.kernel.ids import CountingIds


class OtherFileSystem(LocalDisk):
    """Refuses to rename what lies outside, as between file systems."""

    def __init__(self, inside: Path) -> None:
        super().__init__()
        self._inside = inside

    def replace(self, source: Path, target: Path) -> None:
        if not source.is_relative_to(self._inside):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        super().replace(source, target)


def opened(path: Path, disk: LocalDisk | None = None) -> Blobs:
    return Blobs(path / "objects", disk or LocalDisk(), CountingIds(1))


async def written(blobs: Blobs, content: bytes) -> str:
    writer = blobs.create()
    writer.write(content)
    assert writer.size == len(content)
    return await writer.commit()


async def content_of(blobs: Blobs, blob: str, start: int = 0, end: int | None = None) -> bytes:
    return b"".join([chunk async for chunk in blobs.read(blob, start, end)])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 3 * READ_CHUNK_BYTES), st.integers(0, 3 * READ_CHUNK_BYTES), st.integers(0, 3 * READ_CHUNK_BYTES))
async def test_any_range_reads_as_a_slice_in_bounded_chunks(
    tmp_path_factory: pytest.TempPathFactory, size: int, start: int, end: int
) -> None:
    blobs = opened(tmp_path_factory.mktemp("b"))
    content = os.urandom(size)
    blob = await written(blobs, content)
    assert await content_of(blobs, blob) == content
    start, end = min(start, size), min(end, size)
    assert await content_of(blobs, blob, start, end) == content[start:end]
    assert all([len(chunk) <= READ_CHUNK_BYTES async for chunk in blobs.read(blob)])


async def test_a_blob_shorter_than_its_row_says_is_told_and_a_deleted_one_is_read_to_its_end(tmp_path: Path) -> None:
    blobs = opened(tmp_path)
    blob = await written(blobs, b"x" * (READ_CHUNK_BYTES + 1))
    with pytest.raises(OSError, match="shorter"):
        await content_of(blobs, blob, 0, READ_CHUNK_BYTES + 2)
    reading = blobs.read(blob)
    first = await anext(reading)
    blobs.delete([blob])
    assert len(first) + len(await anext(reading)) == READ_CHUNK_BYTES + 1
    with pytest.raises(FileNotFoundError):
        await content_of(blobs, blob)
    blobs.delete([blob])


async def test_adopted_within_and_across_file_systems(tmp_path: Path) -> None:
    for disk in (LocalDisk(), LocalDisk(power_safe=True), OtherFileSystem(tmp_path / "objects")):
        blobs = opened(tmp_path, disk)
        source = tmp_path / "made elsewhere"
        source.write_bytes(b"content" * 1000)
        blob = await blobs.adopt(source)
        assert not source.exists()
        assert await content_of(blobs, blob) == b"content" * 1000
        draft = blobs.draft_path()
        draft.write_bytes(b"draft")
        assert await content_of(blobs, await blobs.adopt(draft)) == b"draft"
    assert list((tmp_path / "objects" / "drafts").iterdir()) == []


async def test_concatenated_in_order_and_nothing_is_left_when_a_part_is_gone(tmp_path: Path) -> None:
    blobs = opened(tmp_path)
    parts = [await written(blobs, os.urandom(size)) for size in (0, 10, 9_000_000, 1)]
    whole = await blobs.concatenate(parts)
    assert await content_of(blobs, whole) == b"".join([await content_of(blobs, part) for part in parts])
    blobs.delete(parts[1:2])
    with pytest.raises(FileNotFoundError):
        await blobs.concatenate(parts)
    assert list((tmp_path / "objects" / "drafts").iterdir()) == []


async def test_the_sweep_removes_drafts_and_what_no_row_names(tmp_path: Path) -> None:
    blobs = opened(tmp_path)
    kept, orphan = await written(blobs, b"kept"), await written(blobs, b"orphan")
    blobs.create().write(b"never finished")
    assert blobs.sweep([kept, "a row without its file"]) == 2
    assert await content_of(blobs, kept) == b"kept"
    assert not blobs.path(orphan).exists()
    assert blobs.sweep([kept]) == 0


async def test_while_a_backup_reads_nothing_is_removed(tmp_path: Path) -> None:
    disk = LocalDisk()
    blobs = opened(tmp_path, disk)
    blob = await written(blobs, b"x")
    with disk.held():
        with disk.held():
            assert disk.is_held
            blobs.delete([blob])
        assert await content_of(blobs, blob) == b"x"
    assert not disk.is_held
    assert not blobs.path(blob).exists()
