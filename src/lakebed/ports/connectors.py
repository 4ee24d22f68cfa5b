"""Connectors: rows of other databases, for federated queries. Built by engines/connectors.

A source is read in a process of its own, which holds the driver and, while it reads, the credentials. What a statement needs
of a table (columns, conditions, how many rows) is asked of the source itself; the rows come back as a Parquet file.
https://docs.aws.amazon.com/athena/latest/ug/connect-to-a-data-source.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from lakebed.ports.sql import Demand, SqlFailure

Columns = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Source:
    """``kind`` is postgresql, mysql or sqlite; ``settings`` how it is reached: host, port, database, username, password,
    or the path of a file. Never logged."""

    kind: str
    settings: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Extract:
    """The rows of a table as a Parquet file; ``bytes_read`` is what their values took at the source."""

    path: Path
    size: int
    rows: int
    bytes_read: int


class Connectors(Protocol):
    """Bounded. Names are matched without regard to case; columns are (name, Hive type). Failures are SqlFailure."""

    async def schemas(self, source: Source) -> Sequence[str]:
        """The schemas of a source."""
        ...

    async def tables(self, source: Source, schema: str) -> Sequence[str]:
        """The tables and views of a schema; SCHEMA_NOT_FOUND where there is none."""
        ...

    async def columns(self, source: Source, schema: str, table: str) -> Columns:
        """The columns of a table; TABLE_NOT_FOUND where there is none."""
        ...

    async def read(self, job_id: str, source: Source, table: tuple[str, str], demand: Demand, target: Path) -> Extract:
        """What a statement demands of ``(schema, table)``. Rows beyond the demand may be among them, none is missing."""
        ...

    def cancel(self, job_id: str) -> None:
        """Stop what is read for a job, also what would be read later."""
        ...

    async def stop(self) -> None:
        """End the processes; the house closes."""
        ...


class Unconnected:
    """Where no connector is part of the house (a test of one service)."""

    async def schemas(self, *_: Any, **__: Any) -> Sequence[str]:
        """Refused."""
        raise _absent()

    async def tables(self, *_: Any, **__: Any) -> Sequence[str]:
        """Refused."""
        raise _absent()

    async def columns(self, *_: Any, **__: Any) -> Columns:
        """Refused."""
        raise _absent()

    async def read(self, *_: Any, **__: Any) -> Extract:
        """Refused."""
        raise _absent()

    def cancel(self, job_id: str) -> None:
        """Nothing is read."""

    async def stop(self) -> None:
        """Nothing runs."""


def _absent() -> SqlFailure:
    return SqlFailure("NOT_SUPPORTED", "no connectors are part of this house", category=3)
