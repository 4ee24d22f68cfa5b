"""The runners: each takes the oldest queued execution, runs it to its end, and writes outcome and end in one transaction.

An execution that was running when the house died is claimed again at the next boot and run anew, since nothing of it was
visible; one that dies twice fails. It never becomes SUCCEEDED before its result object is in S3.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from lakebed.kernel.errors import AwsError
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.runs import LeaseLostError, Run
from lakebed.kernel.scope import Principal
from lakebed.lake import location
from lakebed.lake.sql.places import split
from lakebed.lake.statements import Statement, classify
from lakebed.lake.types import UnknownTypeError
from lakebed.ports.house import Ports
from lakebed.ports.sql import Output, SqlFailure
from lakebed.services.athena import ddl, explain, iceberg, model, queries
from lakebed.services.athena.federation.opening import Opening, unsupported
from lakebed.services.athena.settings import AthenaSettings
from lakebed.services.athena.store import Store

KIND = "athena"
_ATTEMPTS_MAX = 2
_QUERIES = {"query": queries.select, "ctas": queries.create_table_as, "insert": queries.insert, "unload": queries.unload,
            "create_view": queries.create_view}  # fmt: skip
Body = dict[str, Any]


class Runner:
    """A task: one execution at a time. Several of them share ``running``."""

    period = 30.0

    def __init__(
        self, number: int, k: Kernel, p: Ports, store: Store, settings: AthenaSettings, opening: Opening
    ) -> None:
        self.name = f"athena-runner-{number}"
        self._k, self._p, self._store, self._settings, self._opening = k, p, store, settings, opening

    async def activate(self) -> float | None:
        """Run one, if there is one."""
        run = self._k.runs.claim(KIND)
        if run is None:
            return None
        async with self._k.runs.held(run):
            await self._run(run)
        return self._k.clock.now()

    async def _run(self, run: Run) -> None:
        body = self._store.execution(run.scope, run.id)
        if body is None or body["state"] in model.FINAL:
            if body is not None and run.attempts > 1:  # stopped, and then the server died while files were placed
                with suppress(AwsError):
                    await queries.undo(self._work(run, body, self._k.data / "athena" / "scratch" / run.id))
            with self._k.db.tx() as tx:
                self._k.runs.end(tx, run)
            return
        started = self._k.clock.monotonic()
        body = {**body, "state": "RUNNING", "started": self._k.clock.now()}
        with self._k.db.tx() as tx:
            self._store.put_execution(tx, run.scope, body)
        scratch = self._k.data / "athena" / "scratch" / run.id
        try:
            done = await self._execute(run, body, scratch)
            body = {**body, **done, "state": "SUCCEEDED", "completed": self._k.clock.now()}
        except SqlFailure as failure:
            body = model.failed(body, failure, self._k.clock.now())
        except UnknownTypeError as wrong:
            body = model.failed(body, SqlFailure("TYPE_NOT_FOUND", str(wrong)), self._k.clock.now())
        except AwsError as wrong:
            body = model.failed(body, _from_aws(wrong), self._k.clock.now())
        finally:
            self._k.disk.remove(scratch)
        self._end(run, self._timed(body, started))

    async def _execute(self, run: Run, body: Body, scratch: Path) -> Body:
        work = self._work(run, body, scratch)
        if run.attempts > 1:
            await queries.undo(work)
        if run.attempts > _ATTEMPTS_MAX:
            raise SqlFailure("GENERIC_INTERNAL_ERROR", "The server stopped while it ran.", category=1, retryable=True)
        statement = classify(body.get("effective_sql") or body["sql"])
        if body.get("reuse_minutes") and (reused := await self._reused(work, statement)) is not None:
            return reused
        if split(work.database)[0] and statement.kind not in ("query", "unload", "explain"):
            raise unsupported(statement.kind.replace("_", " ").upper())
        if (taken := await iceberg.taken(work, statement, run.attempts)) is not None:
            return taken
        if statement.kind in _QUERIES:
            made: Body = await _QUERIES[statement.kind](work, statement)
        else:
            made = await self._definition(work, statement)
        if statement.kind == "create_view":
            await _text(work, [])
        return made

    def _work(self, run: Run, body: Body, scratch: Path) -> queries.Work:
        def remember(more: Body) -> None:
            with self._k.db.tx() as tx:
                current = self._store.execution(run.scope, run.id)
                if current is not None and current["state"] == "CANCELLED":
                    raise SqlFailure("USER_CANCELED", "Query was canceled")
                body.update(more)
                self._store.put_execution(tx, run.scope, body)

        principal = msgspec.convert(run.body["principal"], Principal)
        timeout = self._settings.dml_timeout_seconds
        return queries.Work(self._k, self._p, principal, run.scope, body, scratch, timeout, remember, self._opening)

    async def _reused(self, work: queries.Work, statement: Statement) -> Body | None:
        """An earlier execution's result, if the caller may still read the tables and it."""
        body = work.body
        since = self._k.clock.now() - body["reuse_minutes"] * 60
        same = ("context", "parameters", "results", "effective_sql")
        for before in self._store.succeeded(work.scope, body["workgroup"], body["sql"], since):
            alike = all((before.get(name) or None) == (body.get(name) or None) for name in same)
            if not alike or before.get("completed", 0.0) < since or before.get("reused"):
                continue
            await work.prepared(statement.sql, Output(work.scratch))
            try:
                await self._p.objects.head(work.principal, *location.parse(before["output"]))
            except AwsError:
                continue
            told: Body = {
                name: before[name] for name in ("columns", "format", "rows", "output", "output_bytes") if name in before
            }
            told["scanned"], told["reused"] = 0, True
            return told
        return None

    async def _definition(self, work: queries.Work, statement: Statement) -> Body:
        kept: Body = {}
        if statement.kind == "explain":
            lines, kept = await explain.explain(work, statement)
            names: tuple[str, ...] = ("Valid" if statement.facts["type"] == "VALIDATE" else "Query Plan",)
        elif statement.kind in ("prepare", "deallocate"):
            self._prepared(work, statement)
            lines, names = [], ()
        else:
            handler, names = ddl.BUILT[statement.kind]
            lines = await handler(work, statement)
        await _text(work, lines)
        columns = [
            {"CatalogName": "hive", "SchemaName": "", "TableName": "", "Name": name, "Label": name, "Type": "string",
             "Precision": 0, "Scale": 0, "Nullable": "UNKNOWN", "CaseSensitive": False}
            for name in names
        ]  # fmt: skip
        return {"columns": columns, "format": "txt", "rows": len(lines), **kept}

    def _prepared(self, work: queries.Work, statement: Statement) -> None:
        group = work.body["workgroup"]
        with self._k.db.tx() as tx:
            if statement.kind == "deallocate":
                if self._store.prepared(work.scope, group, statement.name) is None:
                    raise SqlFailure(
                        "NOT_FOUND", f"PreparedStatement {statement.name} was not found in workGroup {group}"
                    )
                self._store.delete_prepared(tx, work.scope, group, statement.name)
                return
            made = {"StatementName": statement.name, "QueryStatement": statement.sql, "WorkGroupName": group,
                    "LastModifiedTime": self._k.clock.now()}  # fmt: skip
            self._store.put_prepared(tx, work.scope, made)

    def _timed(self, body: Body, started: float) -> Body:
        engine = round((self._k.clock.monotonic() - started) * 1000)
        queue = max(0, round((body["started"] - body["submitted"]) * 1000))
        planning = min(body.get("planning_ms", 0), engine)
        statistics = {
            "EngineExecutionTimeInMillis": engine, "DataScannedInBytes": body.get("scanned", 0),
            "DataManifestLocation": body.get("manifest"), "TotalExecutionTimeInMillis": engine + queue,
            "QueryQueueTimeInMillis": queue, "QueryPlanningTimeInMillis": planning, "ServicePreProcessingTimeInMillis": 0,
            "ServiceProcessingTimeInMillis": 0,
            "ResultReuseInformation": {"ReusedPreviousResult": body.get("reused", False)},
        }  # fmt: skip
        return {**body, "statistics": statistics}

    def _end(self, run: Run, body: Body) -> None:
        with suppress(LeaseLostError), self._k.db.tx() as tx:
            current = self._store.execution(run.scope, run.id)
            if current is not None and current["state"] == "CANCELLED":
                body = {**current, "statistics": body["statistics"]}
            self._store.put_execution(tx, run.scope, body)
            self._k.runs.end(tx, run)
        arn = run.scope.arn("athena", f"workgroup/{body['workgroup']}")
        caller = run.body["principal"]["arn"]
        if ":assumed-role/" in caller:  # Lambda's sessions are called as their function is
            self._k.meters.link(run.scope.arn("lambda", f"function:{caller.rpartition('/')[2]}"), arn, 1)
        if body["state"] == "SUCCEEDED":
            bucket = location.parse(body["output"]).bucket
            self._k.meters.into(arn, 1, body.get("scanned", 0))
            self._k.meters.out(arn, 1, body.get("output_bytes", 0), to=f"arn:{run.scope.partition}:s3:::{bucket}")
        elif body["state"] == "FAILED":
            self._k.meters.error(arn)
        self._publish(run, body)

    def _publish(self, run: Run, body: Body) -> None:
        """https://docs.aws.amazon.com/athena/latest/ug/query-metrics-viewing.html"""
        group = self._store.workgroup(run.scope, body["workgroup"])
        if group is None or not group["Configuration"].get("PublishCloudWatchMetricsEnabled"):
            return
        of = {"QueryState": body["state"], "QueryType": body["type"], "WorkGroup": body["workgroup"]}
        told = body["statistics"]
        names = ("TotalExecutionTime", "EngineExecutionTime", "QueryQueueTime", "QueryPlanningTime")
        points = [(name, of, float(told[f"{name}InMillis"]), "Milliseconds") for name in names]
        points.append(("ProcessedBytes", of, float(told["DataScannedInBytes"]), "Bytes"))
        self._p.metrics.put(run.scope, "AWS/Athena", points)


async def _text(work: queries.Work, lines: list[str]) -> None:
    bucket, key = location.parse(work.body["output"])
    text = "".join(f"{line}\n" for line in lines)
    await work.p.objects.put(work.principal, bucket, key, text.encode(), content_type="text/plain")


def _from_aws(wrong: AwsError) -> SqlFailure:
    """Another service's refusal as a query's failure."""
    if "AccessDenied" in wrong.error_code:
        return SqlFailure("PERMISSION_DENIED", f"Access denied: {wrong.message}")
    names = {"EntityNotFoundException": "SCHEMA_NOT_FOUND", "AlreadyExistsException": "TABLE_ALREADY_EXISTS",
             "NoSuchBucket": "HIVE_INVALID_BUCKET"}  # fmt: skip
    return SqlFailure(names.get(wrong.error_code, "HIVE_METASTORE_ERROR"), f"{wrong.message} ({wrong.error_code})")
