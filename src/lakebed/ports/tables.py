"""Tables: Apache Iceberg tables as services use them. Built by engines/iceberg.

A table is the location of its metadata file; which of them is the current one, the catalogue says. Nothing here changes
a catalogue: a change is *staged* (its new files lie in a local directory, none of them in S3), then whoever asked places
the files and swaps the catalogue's pointer (``lake.tables.commit``). Reading happens as ``principal``, file by file.

https://iceberg.apache.org/spec/
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from lakebed.kernel.scope import Principal

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which state of a table: its current one, or that of a snapshot."""

    metadata_location: str
    snapshot_id: int | None = None
    predicate: Any = None  # a tree of lake.tables.predicates; files that cannot hold matching rows are left out


@dataclass(frozen=True, slots=True)
class PlannedDelete:
    """A delete file. ``field_ids`` of the columns compared by an equality delete, none for positions."""

    location: str
    size: int
    field_ids: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """A data file to read, with the places of its deletes in ``Plan.deletes``."""

    location: str
    size: int
    rows: int
    format: str
    group: str  # names the partition: files of one group may be rewritten into one
    deletes: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What a scan reads."""

    files: Sequence[PlannedFile]
    deletes: Sequence[PlannedDelete]


@dataclass(frozen=True, slots=True)
class Staged:
    """A change that is ready: ``files`` are (location, local path) of everything new, the metadata file last.

    ``metadata`` is the new metadata itself; ``facts`` what else came of the change.
    """

    metadata_location: str
    files: Sequence[tuple[str, Path]]
    metadata: Json
    facts: Json = field(default_factory=dict)


class Tables(Protocol):
    """Bounded as the SQL engine is. Failures are SqlFailure with Athena's ICEBERG_ names; AwsError where S3 refuses."""

    async def plan(self, principal: Principal, selection: Selection) -> Plan:
        """The files of a scan."""
        ...

    async def stage(
        self, principal: Principal, operation: str, metadata_location: str | None, request: Json, scratch: Path
    ) -> Staged:
        """Stage a change over the table at ``metadata_location`` (None: there is none yet). ``operation`` is one of
        create, append, delta, evolve, rewrite, expire, apply; what ``request`` holds, ``lake.tables.changes`` says."""
        ...

    async def inspect(self, principal: Principal, selection: Selection, name: str, scratch: Path) -> tuple[Path, int]:
        """The rows of a metadata table (history, snapshots, files, …) as a Parquet file, and how many there are."""
        ...

    async def reachable(self, principal: Principal, metadata_location: str, scratch: Path) -> Path:
        """A file that lists the location of everything a table's metadata leads to, one a line, sorted."""
        ...

    async def stop(self) -> None:
        """End the processes; the house closes."""
        ...
