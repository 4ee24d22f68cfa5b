"""Deployment packages that lie, climb, link or explode."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from pathlib import Path

import pytest

from lakebed.kernel.errors import AwsError
from lakebed.services.lambda_ import code


def package(*entries: tuple[zipfile.ZipInfo | str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry, data in entries:
            archive.writestr(entry, data)
    return packed.getvalue()


def link(name: str, target: str) -> tuple[zipfile.ZipInfo, bytes]:
    entry = zipfile.ZipInfo(name)
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    return entry, target.encode()


@pytest.mark.parametrize(
    "bad",
    [
        package(("../escape.py", b"x")),
        package(("a/../../escape.py", b"x")),
        package(("/etc/cron.d/x", b"x")),
        package(("a\\..\\b", b"x")),
        package(("a//b", b"x")),
        package(link("app.py", "/etc/passwd")),
        package(("x" * 300, b"x")),
    ],
)
def test_hostile_names_are_refused(bad: bytes) -> None:
    with pytest.raises(AwsError, match="Could not unzip"):
        code.check(bad)


def test_too_large_when_unpacked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(code, "UNZIPPED_BYTES_MAX", 1000)
    honest = package(("zeros", bytes(2000)))
    with pytest.raises(AwsError, match="Unzipped size must be smaller"):
        code.check(honest)
    lying = honest.replace(struct.pack("<I", 2000), struct.pack("<I", 10))
    code.check(lying)
    with pytest.raises(AwsError):
        code.unpack(lying, tmp_path / "out")


def test_a_file_and_a_folder_of_one_name(tmp_path: Path) -> None:
    with pytest.raises(AwsError, match="Could not unzip"):
        code.unpack(package(("a", b"x"), ("a/b", b"y")), tmp_path / "out")


def test_modes_and_content(tmp_path: Path) -> None:
    script = zipfile.ZipInfo("bin/run.sh")
    script.external_attr = (stat.S_IFREG | 0o700) << 16
    code.unpack(package((script, b"#!"), ("app.py", b"x = 1")), tmp_path / "out")
    assert (tmp_path / "out/bin/run.sh").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "out/app.py").read_bytes() == b"x = 1"
