"""A backup taken while records flow holds exactly what was there at its instant."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from lakebed.kernel.backup import BackupError, restore_backup, write_backup
from tests.harness import make_kernel


async def test_backup_is_consistent_while_writing_goes_on(tmp_path: Path) -> None:
    kernel = make_kernel(tmp_path / "data")
    log = kernel.segments.log("a")
    await log.append([b"before"])
    writer = kernel.blobs.create()
    writer.write(b"x" * 1000)
    blob = await writer.commit()
    with kernel.db.tx() as tx:
        tx.execute("INSERT INTO house VALUES ('k', ?)", (blob,))

    running = asyncio.create_task(write_backup(kernel.data, tmp_path / "b.tar", kernel.db, kernel.disk))
    await asyncio.sleep(0)
    kernel.blobs.delete([blob])
    await log.append([b"after"])
    with kernel.db.tx() as tx:
        tx.execute("DELETE FROM house")
    await running
    assert not kernel.blobs.path(blob).exists()

    restore_backup(tmp_path / "b.tar", tmp_path / "again")
    again = make_kernel(tmp_path / "again")
    assert [record.data for record in again.segments.log("a").read(0, records_max=9, bytes_max=999)] == [b"before"]
    row = again.db.one("SELECT value FROM house WHERE key='k'")
    assert row is not None
    assert again.blobs.path(row["value"]).read_bytes() == b"x" * 1000


async def test_restore_refuses_a_cut_archive_and_a_full_directory(tmp_path: Path) -> None:
    kernel = make_kernel(tmp_path / "data")
    await kernel.segments.log("a").append([b"x" * 50_000])
    await write_backup(kernel.data, tmp_path / "b.tar", kernel.db, kernel.disk)
    content = (tmp_path / "b.tar").read_bytes()
    (tmp_path / "cut.tar").write_bytes(content[: len(content) // 2])
    with pytest.raises(BackupError, match="not a whole backup"):
        restore_backup(tmp_path / "cut.tar", tmp_path / "one")
    with pytest.raises(BackupError, match="not empty"):
        restore_backup(tmp_path / "b.tar", tmp_path / "data")
    with pytest.raises(BackupError, match="inside"):
        await write_backup(kernel.data, kernel.data / "b.tar", kernel.db, kernel.disk)
