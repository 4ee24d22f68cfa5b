"""Deployment packages: checked, kept as they came, unpacked once for all workers.

A zip is somebody else's: names may climb, link, repeat or lie about sizes. Every entry is looked at before anything is
written, sizes are counted while unpacking (a header may lie), links and special files are refused, and the whole is
unpacked under another name and moved into place. The zip is the truth (``<hash>.zip``, durable before the row that names
it); the unpacked folder is made again when it is missing.

https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
https://docs.aws.amazon.com/lambda/latest/dg/python-package.html
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import shutil
import stat
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lakebed.kernel.kernel import Kernel
from lakebed.services.lambda_.model import invalid

if TYPE_CHECKING:
    import zipfile

ZIP_BYTES_MAX = 50 << 20  # handed in with the request
S3_ZIP_BYTES_MAX = 250 << 20
UNZIPPED_BYTES_MAX = 262_144_000
ENTRIES_MAX = 50_000
_CHUNK = 1 << 20
_UNREADABLE = "Could not unzip uploaded file. Please check your file, then try to upload again."


class Code(NamedTuple):
    """A stored package."""

    hex: str
    sha256: str
    size: int
    unzipped: int


class CodeStore:
    """Packages as they came below ``data/lambda/zips``, unpacked below ``data/scratch/lambda``."""

    def __init__(self, kernel: Kernel) -> None:
        self.k = kernel
        self._zips = kernel.data / "lambda" / "zips"
        self._folders = kernel.data / "scratch" / "lambda"  # made again from the zips, so no part of a backup
        for folder in (self._zips, self._folders):
            folder.mkdir(parents=True, exist_ok=True)
        self._keeping: Counter[str] = Counter()
        self._unpacking: dict[str, asyncio.Task[None]] = {}

    async def keep(self, package: bytes) -> Code:
        """Check and store a package; durable and unpacked when this returns."""
        if not package:
            raise invalid("Uploaded file must be a non-empty zip")
        with self.k.clock.working():
            digest = await asyncio.to_thread(lambda: hashlib.sha256(package).digest())
            unzipped = await asyncio.to_thread(check, package)
            code = Code(digest.hex(), base64.b64encode(digest).decode(), len(package), unzipped)
            self._keeping[code.hex] += 1
            try:
                path = self._zips / f"{code.hex}.zip"
                if not path.exists():
                    await asyncio.to_thread(self.k.disk.write_atomic, path, package)
                await self.folder(code.hex)
            finally:
                self._keeping[code.hex] -= 1
        return code

    async def folder(self, code_hex: str) -> Path:
        """Where the package lies unpacked; unpacks it where it does not."""
        target = self._folders / code_hex
        if target.exists():
            return target
        task = self._unpacking.get(code_hex)
        if task is None:
            task = self._unpacking[code_hex] = asyncio.create_task(self._unpack(code_hex, target))
            task.add_done_callback(lambda _: self._unpacking.pop(code_hex, None))
        await asyncio.shield(task)
        return target

    async def merged(self, layers: Sequence[str]) -> Path:
        """Where layers lie unpacked over each other, in their order."""
        if len(layers) == 1:
            return await self.folder(layers[0])
        name = hashlib.sha256("/".join(layers).encode()).hexdigest()
        target = self._folders / f"merged-{name}"
        if not target.exists():
            task = self._unpacking.get(name)
            if task is None:
                task = self._unpacking[name] = asyncio.create_task(self._merge(layers, target))
                task.add_done_callback(lambda _: self._unpacking.pop(name, None))
            await asyncio.shield(task)
        return target

    async def read(self, code_hex: str) -> bytes:
        """The package as it came."""
        return await asyncio.to_thread((self._zips / f"{code_hex}.zip").read_bytes)

    async def remove(self, code_hex: str) -> None:
        """Forget a package that no version names any more; one that is just being stored again stays."""
        if self._keeping[code_hex] > 0:
            return
        del self._keeping[code_hex]
        self.k.disk.remove(self._zips / f"{code_hex}.zip")
        folder, trash = self._folders / code_hex, self._folders / f".{self.k.ids.uuid()}.trash"
        if folder.exists():
            self.k.disk.replace(folder, trash)
            with self.k.clock.working():
                await asyncio.to_thread(shutil.rmtree, trash, True)

    def sweep(self, known: Iterable[str]) -> int:
        """At boot: remove packages and half-unpacked folders that no version names; returns how many."""
        named, removed = set(known), 0
        for path in [*self._zips.iterdir(), *self._folders.iterdir()]:
            if path.name.removesuffix(".zip") in named:
                continue
            removed += 1
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                self.k.disk.remove(path)
        return removed

    async def _merge(self, layers: Sequence[str], target: Path) -> None:
        draft = target.with_name(f".{target.name}.draft")
        with self.k.clock.working():
            for place, code_hex in enumerate(layers):
                await asyncio.to_thread(unpack, await self.read(code_hex), draft, over=place > 0)
            self.k.disk.replace(draft, target)

    async def _unpack(self, code_hex: str, target: Path) -> None:
        draft = target.with_name(f".{code_hex}.draft")
        with self.k.clock.working():
            package = await self.read(code_hex)
            await asyncio.to_thread(unpack, package, draft)
            self.k.disk.replace(draft, target)


def check(package: bytes) -> int:
    """Look at every entry's name, kind and declared size; the size of all of them."""
    with _opened(package) as archive:
        entries = archive.infolist()
        if not entries:
            raise invalid("Uploaded file must be a non-empty zip")
        if len(entries) > ENTRIES_MAX:
            raise invalid(_UNREADABLE)
        size = sum(entry.file_size for entry in entries)
        if size >= UNZIPPED_BYTES_MAX:
            raise _too_large()
        for entry in entries:
            _check_entry(entry)
    return size


def unpack(package: bytes, folder: Path, *, over: bool = False) -> None:
    """Write every file below ``folder``, which is emptied first unless this goes ``over`` what is there. Blocking."""
    import zipfile  # a megabyte that a house without functions does without

    if not over:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    left = UNZIPPED_BYTES_MAX
    with _opened(package) as archive:
        for entry in archive.infolist():
            _check_entry(entry)
            path = folder / entry.filename
            try:
                if entry.is_dir():
                    path.mkdir(parents=True, exist_ok=True)
                    continue
                path.parent.mkdir(parents=True, exist_ok=True)
                left = _write(archive, entry, path, left)
            except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError):
                raise invalid(_UNREADABLE) from None
            except (FileExistsError, NotADirectoryError, IsADirectoryError):
                raise invalid(_UNREADABLE) from None  # a file and a folder of one name
            path.chmod(0o755 if (entry.external_attr >> 16) & 0o111 else 0o644)


def _write(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path, left: int) -> int:
    with archive.open(entry) as source, path.open("wb") as target:
        while chunk := source.read(_CHUNK):
            left -= len(chunk)
            if left <= 0:
                raise _too_large()
            target.write(chunk)
    return left


def _check_entry(entry: zipfile.ZipInfo) -> None:
    name, mode = entry.filename, entry.external_attr >> 16
    kind = stat.S_IFMT(mode)
    parts = name.rstrip("/").split("/")
    if (
        not name
        or name.startswith("/")
        or "\\" in name
        or "\0" in name
        or any(part in ("", ".", "..") or len(part.encode()) > 255 for part in parts)
        or len(name.encode()) > 1024
        or kind not in (0, stat.S_IFREG, stat.S_IFDIR)
        or entry.flag_bits & 0x1
    ):
        raise invalid(_UNREADABLE)


def _opened(package: bytes) -> zipfile.ZipFile:
    import zipfile

    try:
        return zipfile.ZipFile(io.BytesIO(package))
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError):
        raise invalid(_UNREADABLE) from None


def _too_large() -> Exception:
    return invalid(f"Unzipped size must be smaller than {UNZIPPED_BYTES_MAX} bytes")
