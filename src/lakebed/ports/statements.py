"""Statements: SQL of Athena's dialect that a service runs by itself, over the catalog and as a principal, leaving no
execution behind in anybody's history. Built by services/athena; Glue counts column statistics
with it.

https://docs.aws.amazon.com/athena/latest/ug/ddl-sql-reference.html
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from lakebed.kernel.scope import Principal, Scope


def _forget(_: dict[str, Any]) -> None:
    return None


@dataclass(frozen=True, slots=True)
class StatementJob:
    """One statement. ``memory`` is what an earlier try of the same ``id`` gave to ``remember``, which must be durable when
    it returns: with it, what a try that was cut off had placed is taken away."""

    id: str
    principal: Principal
    scope: Scope
    sql: str
    database: str
    memory: dict[str, Any] = field(default_factory=dict)
    remember: Callable[[dict[str, Any]], None] = _forget
    timeout_seconds: float = 1800.0


class Statements(Protocol):
    """Failures are SqlFailure and AwsError; ``SqlEngine.cancel`` with the job's id stops one."""

    async def rows(self, job: StatementJob) -> list[list[str | None]]:
        """The rows of a SELECT as texts, without a header; for answers that are few."""
        ...
