"""Statements: SQL of Athena's dialect that a service runs by itself, over the catalog and as a principal, leaving no
execution behind in anybody's history. Built by services/athena; Glue counts column statistics with it.

https://docs.aws.amazon.com/athena/latest/ug/ddl-sql-reference.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from lakebed.kernel.scope import Principal, Scope


@dataclass(frozen=True, slots=True)
class StatementJob:
    """One statement; ``id`` is what cancels it."""

    id: str
    principal: Principal
    scope: Scope
    sql: str
    database: str
    timeout_seconds: float = 1800.0


class Statements(Protocol):
    """Failures are SqlFailure and AwsError; ``SqlEngine.cancel`` with the job's id stops one."""

    async def rows(self, job: StatementJob) -> list[list[str | None]]:
        """The rows of a SELECT as texts, without a header; for answers that are few."""
        ...
