"""Statements for other services: the same ways as an execution goes, without workgroup, history or result object.
Implements ports.statements.

https://docs.aws.amazon.com/athena/latest/ug/ddl-sql-reference.html
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from lakebed.kernel.kernel import Kernel
from lakebed.ports.house import Ports
from lakebed.ports.sql import Output, SqlFailure
from lakebed.ports.statements import StatementJob
from lakebed.services.athena.queries import Work
from lakebed.services.athena.results import RowReader

_ANSWER_BYTES_MAX = 4 << 20


class AthenaStatements:
    """Implements ``lakebed.ports.statements.Statements``."""

    def __init__(self, k: Kernel, p: Ports) -> None:
        self._k, self._p = k, p

    async def rows(self, job: StatementJob) -> list[list[str | None]]:
        """See the port."""
        work = self._work(job)
        try:
            outcome = await self._p.sql.run(await work.prepared(job.sql, Output(work.scratch)))
            found = await asyncio.to_thread(_read, Path(outcome.files[0].path))
        finally:
            self._k.disk.remove(work.scratch)
        return found[1:]

    def _work(self, job: StatementJob) -> Work:
        body: dict[str, Any] = {"id": job.id, "context": {"Database": job.database}}
        scratch = self._k.data / "athena" / "scratch" / job.id
        scratch.mkdir(parents=True, exist_ok=True)

        return Work(self._k, self._p, job.principal, job.scope, body, scratch, job.timeout_seconds, body.update)


def _read(path: Path) -> list[list[str | None]]:
    if path.stat().st_size > _ANSWER_BYTES_MAX:
        raise SqlFailure("EXCEEDED_MEMORY_LIMIT", "The answer is too long for its reader")
    return [row for row, _ in RowReader().feed(path.read_text(), last=True)]
