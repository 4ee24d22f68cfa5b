"""A disk that fails at the n-th operation: nothing is acknowledged that is not there, and what was there stays."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lakebed.kernel.disk import AppendFile, LocalDisk
from tests.harness import Harness
from tests.services.s3.conftest import Call, leftovers


class FailingDisk(LocalDisk):
    """Counts writes and renames; fails the ``fail_at``-th once."""

    def __init__(self, *, power_safe: bool) -> None:
        super().__init__(power_safe=power_safe)
        self.fail_at = self.count = 0

    def step(self) -> None:
        self.count += 1
        if self.count == self.fail_at:
            raise OSError(errno.ENOSPC, "No space left on device")

    def open_append(self, path: Path, *, truncate_to: int | None = None) -> AppendFile:
        return _Failing(super().open_append(path, truncate_to=truncate_to), self)

    def replace(self, source: Path, target: Path) -> None:
        self.step()
        super().replace(source, target)


class _Failing:
    def __init__(self, file: AppendFile, disk: FailingDisk) -> None:
        self._file, self._disk = file, disk

    @property
    def size(self) -> int:
        return self._file.size

    def append(self, pieces: Sequence[bytes]) -> None:
        self._disk.step()
        self._file.append(pieces)

    def sync(self) -> None:
        self._disk.step()
        self._file.sync()

    def close(self) -> None:
        self._file.close()


async def put(s3: Call) -> None:
    await s3("PutObject", Bucket="shelf", Key="k", Body=b"new" * 200_000)


async def copy(s3: Call) -> None:
    await s3("CopyObject", Bucket="shelf", Key="k", CopySource="shelf/source")


async def multipart(s3: Call) -> None:
    at = {"Bucket": "shelf", "Key": "k"}
    upload = (await s3("CreateMultipartUpload", **at))["UploadId"]
    try:
        part = await s3("UploadPart", **at, UploadId=upload, PartNumber=1, Body=b"new")
        parts: dict[str, Any] = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
        await s3("CompleteMultipartUpload", **at, UploadId=upload, MultipartUpload=parts)
    except OSError:
        await s3("AbortMultipartUpload", **at, UploadId=upload)
        raise


@pytest.mark.parametrize("write", [put, copy, multipart])
@pytest.mark.parametrize("power_safe", [False, True])
async def test_a_write_happens_or_not(s3: Call, harness: Harness, write: Any, power_safe: bool) -> None:
    await s3("PutObject", Bucket="shelf", Key="k", Body=b"old")
    await s3("PutObject", Bucket="shelf", Key="source", Body=b"new")
    disk = FailingDisk(power_safe=power_safe)
    harness.kernel.blobs._disk = disk
    for step in range(1, 50):
        disk.count, disk.fail_at = 0, step
        try:
            await write(s3)
        except OSError:
            assert (await s3("GetObject", Bucket="shelf", Key="k"))["Body"] == b"old"
            assert await leftovers(harness) == 0
            continue
        break
    else:
        raise AssertionError("the write never succeeded")
    assert step > 2, "no failure was injected"
    assert (await s3("GetObject", Bucket="shelf", Key="k"))["Body"].startswith(b"new")
    assert await leftovers(harness) == 0
