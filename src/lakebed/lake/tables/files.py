"""The files of a table, seen from the child: read through paths the server hands out, written into a scratch directory.

The child has no credentials and knows no S3. For each location it wants to read it asks the server, which decides as the
caller and answers with the path of the immutable local file; what it writes is placed by the server afterwards. So
locations out of a stranger's metadata (``file:///etc/passwd``) are names and nothing else.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyiceberg.io import FileIO, InputFile, OutputFile

from lakebed.ports.sql import SqlFailure


class MissingFileError(FileNotFoundError):
    """The server knows no such object, or the caller may not read it."""


class HouseInput(InputFile):  # type: ignore[misc]  # pyiceberg is not looked into
    """One object, or something written by this change."""

    def __init__(self, location: str, path: Path) -> None:
        super().__init__(location)
        self._path = path

    def __len__(self) -> int:
        return self._path.stat().st_size

    def exists(self) -> bool:
        """It does: its path was handed out."""
        return self._path.exists()

    def open(self, seekable: bool = True) -> Any:
        """The bytes."""
        del seekable
        return self._path.open("rb")


class HouseOutput(OutputFile):  # type: ignore[misc]  # pyiceberg is not looked into
    """A file that will be placed at its location."""

    def __init__(self, location: str, path: Path) -> None:
        super().__init__(location)
        self._path = path

    def __len__(self) -> int:
        return self._path.stat().st_size

    def exists(self) -> bool:
        """Whether it was begun."""
        return self._path.exists()

    def to_input_file(self) -> HouseInput:
        """To read what was written."""
        return HouseInput(self.location, self._path)

    def create(self, overwrite: bool = False) -> Any:
        """Begin to write."""
        del overwrite
        return self._path.open("wb")


class HouseFiles(FileIO):  # type: ignore[misc]  # pyiceberg is not looked into
    """``resolve`` asks the server for a location's local path; ``written`` are the new files in order."""

    def __init__(self, resolve: Callable[[str], Path], scratch: Path) -> None:
        super().__init__({})
        self._resolve, self._scratch = resolve, scratch
        self.written: dict[str, Path] = {}
        self._lock = threading.Lock()  # pyiceberg writes the files of several partitions at a time

    def new_input(self, location: str) -> HouseInput:
        """To read a location."""
        own = self.written.get(location)
        return HouseInput(location, own or self._resolve(location))

    def new_output(self, location: str) -> HouseOutput:
        """To write one."""
        if not location.startswith(("s3://", "s3a://", "s3n://")):
            raise SqlFailure("ICEBERG_FILESYSTEM_ERROR", f"Lakebed writes to s3:// only, not to {location[:200]}")
        self._scratch.mkdir(parents=True, exist_ok=True)
        with self._lock:
            path = self.written.setdefault(location, self._scratch / f"new-{len(self.written):06d}")
        return HouseOutput(location, path)

    def delete(self, location: str | InputFile | OutputFile) -> None:
        """The child deletes nothing."""
        raise SqlFailure("ICEBERG_FILESYSTEM_ERROR", f"cannot delete {location}")
