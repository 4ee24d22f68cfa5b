"""Advice: what a table's layout costs, and what another would, measured. Built by services/athena, shown by the console.

No operation of AWS does this, so it stands in a port; what is read is read as the caller. ``Advice.savings`` is empty where
nothing is gained, ``notes`` then tell why.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from lakebed.kernel.scope import Principal, Scope


@dataclass(frozen=True, slots=True)
class Saving:
    """One change of layout over the queries counted: bytes scanned and dollars on AWS before and after, bytes stored,
    and the statements that make it."""

    title: str
    scanned_now: int
    scanned_then: int
    dollars_now: float
    dollars_then: float
    stored_now: int
    stored_then: int
    sql: str


@dataclass(frozen=True, slots=True)
class Advice:
    """A table: its files, the sample that was measured, the queries it was measured for (``assumed``: no query was found,
    so one that reads the whole table), and what is worth changing, best first. ``since``: the oldest query's time."""

    database: str
    table: str
    files: int = 0
    size: int = 0
    sampled_files: int = 0
    sampled_bytes: int = 0
    queries: int = 0
    since: float | None = None
    assumed: bool = False
    savings: Sequence[Saving] = ()
    notes: Sequence[str] = ()


class Advisor(Protocol):
    """Costs an engine's time: asked for by a person, never in the background."""

    async def table(self, principal: Principal, scope: Scope, database: str, name: str) -> Advice:
        """Advice by the workgroups' history. AwsError where the caller may not read the table."""
        ...

    async def query(self, principal: Principal, scope: Scope, execution_id: str) -> Sequence[Advice]:
        """Advice for the tables of one query that has ended, by that query alone; none unless it is a SELECT that
        succeeded."""
        ...
