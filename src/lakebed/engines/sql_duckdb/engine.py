"""The engine as the house holds it: the two ports, as requests to a worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from lakebed.engines.sql_duckdb.pool import Pool
from lakebed.kernel.errors import AwsError
from lakebed.kernel.kernel import Kernel
from lakebed.ports.conversion import Conversion, Converted
from lakebed.ports.inspection import Classifier, Inspected, Suspect
from lakebed.ports.sql import Demand, Explained, OutputFile, ResultColumn, SqlFailure, SqlJob, SqlOutcome, TableName

_CONVERT_SECONDS = 300.0
_PARSE_SECONDS = 30.0
_INSPECT_SECONDS = 120.0
_SQL_CHARS_MAX = 262_144  # Athena's quota: https://docs.aws.amazon.com/athena/latest/ug/service-limits.html


class DuckdbEngine:
    """Implements SqlEngine and Converter."""

    def __init__(self, k: Kernel, pool: Pool) -> None:
        self._k, self._pool = k, pool

    def warm(self) -> None:
        self._pool.warm()

    def cancel(self, job_id: str) -> bool:
        return self._pool.cancel(job_id)

    async def stop(self) -> None:
        """End the workers."""
        await self._pool.stop()

    async def probe(self) -> str | None:
        """None: workers are made as they are needed, so there is nothing to be unhealthy."""
        return None

    async def references(self, sql: str, *, database: str = "default") -> Sequence[TableName]:
        _check_size(sql)
        request = {"op": "references", "sql": sql, "database": database, "now": self._k.clock.now()}
        found = await self._pool.ask(self._k.ids.uuid(), request, _PARSE_SECONDS)
        return [TableName(*names) for names in found]

    async def prune(self, job: SqlJob) -> Sequence[Sequence[int]]:
        kept: Sequence[Sequence[int]] = await self._pool.ask(job.id, _request("prune", job), _PARSE_SECONDS * 4)
        return kept

    async def predicates(self, job: SqlJob) -> Sequence[Any]:
        demanded: Sequence[Any] = await self._pool.ask(job.id, _request("predicates", job), _PARSE_SECONDS)
        return demanded

    async def demands(self, job: SqlJob) -> Sequence[Demand | None]:
        found = await self._pool.ask(job.id, _request("demands", job), _PARSE_SECONDS)
        return [None if demand is None else Demand(**demand) for demand in found]

    async def constants(self, job: SqlJob) -> Sequence[Mapping[str, Sequence[str]]]:
        found: Sequence[Mapping[str, Sequence[str]]]
        found = await self._pool.ask(job.id, _request("constants", job), _PARSE_SECONDS)
        return found

    async def explain(self, job: SqlJob, *, analyze: bool) -> Explained:
        _check_size(job.sql)
        told = await self._pool.ask(job.id, {**_request("explain", job), "analyze": analyze}, job.timeout_seconds)
        columns = [ResultColumn(**column) for column in told["columns"]]
        return Explained(columns, told["plan"], told["scanned_bytes"])

    async def describe(self, job: SqlJob) -> Sequence[ResultColumn]:
        columns = await self._pool.ask(job.id, _request("describe", job), _PARSE_SECONDS)
        return [ResultColumn(**column) for column in columns]

    async def run(self, job: SqlJob) -> SqlOutcome:
        _check_size(job.sql)
        told = await self._pool.ask(job.id, _request("run", job), job.timeout_seconds)
        return SqlOutcome(
            columns=[ResultColumn(**column) for column in told["columns"]],
            rows=told["rows"],
            files=[OutputFile(Path(path), size, tuple(values)) for path, size, values in told["files"]],
            scanned_bytes=told["scanned_bytes"],
            planning_seconds=told["planning_seconds"],
            execution_seconds=told["execution_seconds"],
            plan=told["plan"],
        )

    async def inspect(self, files: Sequence[Suspect], classifiers: Sequence[Classifier]) -> Sequence[Inspected]:
        suspects = [{"path": file.path, "key": file.key, "size": file.size} for file in files]
        request = {"op": "inspect", "files": suspects, "classifiers": [dict(one) for one in classifiers]}
        told = await self._pool.ask(self._k.ids.uuid(), request, _INSPECT_SECONDS)
        return [msgspec.convert(one, Inspected) for one in told]

    async def convert(self, job: Conversion) -> Converted:
        request = {
            "op": "convert",
            "source": str(job.source),
            "target": str(job.target),
            "columns": [list(column) for column in job.columns],
            "format": job.format,
            "compression": job.compression,
            "row_group_bytes": job.row_group_bytes,
            "case_insensitive": job.case_insensitive,
            "rename": dict(job.rename),
            "dots_to_underscores": job.dots_to_underscores,
            "timestamp_formats": list(job.timestamp_formats),
            "options": dict(job.options),
        }
        try:
            told = await self._pool.ask(self._k.ids.uuid(), request, _CONVERT_SECONDS)
        except SqlFailure as failure:
            code = (
                "InternalFailure" if failure.category == 1 or failure.name == "EXCEEDED_TIME_LIMIT" else "InvalidSchema"
            )
            raise AwsError(code, failure.message, status=500 if code == "InternalFailure" else 400) from None
        return Converted(told["rows"], [(line, reason) for line, reason in told["rejected"]])


def _check_size(sql: str) -> None:
    if len(sql) > _SQL_CHARS_MAX:
        raise SqlFailure(
            "QUERY_TEXT_TOO_LARGE", f"Query text length exceeds the maximum of {_SQL_CHARS_MAX} characters"
        )


def _request(op: str, job: SqlJob) -> dict[str, Any]:
    made: dict[str, Any] = msgspec.to_builtins(job, enc_hook=str)
    return {"op": op, **made}
