"""Task runs: queue, count, stop. One task counts one run after another; a run that was cut off is counted anew, which
changes nothing but the numbers it writes at its end.

The run acts as the role it was given: that may read the table and its files, and may write the statistics.
https://docs.aws.amazon.com/glue/latest/dg/column-statistics-prereqs.html
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from lakebed.api import glue as api
from lakebed.kernel.db import Tx
from lakebed.kernel.errors import AwsError
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.runs import LeaseLostError, Run
from lakebed.kernel.scope import Principal, Scope
from lakebed.ports.house import Ports
from lakebed.ports.sql import SqlFailure
from lakebed.ports.statements import StatementJob
from lakebed.services.glue.catalogue import Catalogue
from lakebed.services.glue.model import Table
from lakebed.services.glue.statistics import model
from lakebed.services.glue.statistics.store import RunStore, SettingsStore, StatisticsStore

RUN_TASK = "glue:statistics"
SERVICE = "glue.amazonaws.com"
_ATTEMPTS_MAX = 3
_COLUMNS_AT_ONCE = 10
_OPEN = ("STARTING", "RUNNING")
Body = dict[str, Any]


class Statistics:
    """What the providers and the tasks share."""

    def __init__(self, k: Kernel, p: Ports, catalogue: Catalogue) -> None:
        self.k, self.p, self.catalogue = k, p, catalogue
        self.columns, self.runs, self.settings = StatisticsStore(k.db), RunStore(k.db), SettingsStore(k.db)

    def queue(self, tx: Tx, table: Table, wanted: Body) -> str:
        """A new run of a table, if none is under way; ``wanted`` holds role, columns and sample."""
        newest = self.runs.of_table(table, 0, 1)
        if newest and newest[0][1]["Status"] in _OPEN:
            raise api.ColumnStatisticsTaskRunningException("A run for this table is under way.")
        columns_of(table, wanted.get("ColumnNameList"))
        run_id, now = self.k.ids.uuid(), self.k.clock.now()
        body: Body = {
            "CustomerId": table.scope.account, "CatalogID": table.scope.account, "ColumnStatisticsTaskRunId": run_id,
            "DatabaseName": table.database, "TableName": table.name, "Status": "STARTING", "ComputationType": "FULL",
            "CreationTime": now, "LastUpdated": now,
            **{name: wanted[name] for name in ("Role", "ColumnNameList", "SampleSize") if name in wanted},
        }  # fmt: skip
        self.runs.insert(tx, table, body)
        self.k.runs.add(tx, RUN_TASK, run_id, table.scope, {})
        tx.after_commit(lambda: self.k.tasks.poke(RUN_TASK))
        return run_id

    def stop(self, table: Table) -> None:
        """End the run of a table."""
        newest = self.runs.of_table(table, 0, 1)
        if not newest or newest[0][1]["Status"] not in _OPEN:
            raise api.ColumnStatisticsTaskNotRunningException("No run for this table is under way.")
        body, now = newest[0][1], self.k.clock.now()
        run_id = body["ColumnStatisticsTaskRunId"]
        with self.k.db.tx() as tx:
            self.runs.update(tx, table.scope, {**body, "Status": "STOPPED", "LastUpdated": now, "EndTime": now})
            self.k.runs.cancel(tx, RUN_TASK, run_id)
        if body["Status"] == "RUNNING":
            self.p.sql.cancel(run_id)


class Counting:
    """The task that counts."""

    name = RUN_TASK
    period = 30.0

    def __init__(self, statistics: Statistics) -> None:
        self._statistics, self._k = statistics, statistics.k

    async def activate(self) -> float | None:
        """Count one run, if there is one."""
        run = self._k.runs.claim(RUN_TASK)
        if run is None:
            return None
        async with self._k.runs.held(run):
            await self._run(run)
        return self._k.clock.now()

    async def _run(self, run: Run) -> None:
        runs, now = self._statistics.runs, self._k.clock.now()
        body = runs.find(run.scope, run.id)
        if body is None or body["Status"] not in _OPEN:
            with self._k.db.tx() as tx:
                self._k.runs.end(tx, run)
            return
        body = {**body, "Status": "RUNNING", "StartTime": now, "LastUpdated": now}
        with self._k.db.tx() as tx:
            runs.update(tx, run.scope, body)
        table, counted, told = None, list[Body](), ""
        try:
            table, counted = await self._counted(run, body)
        except SqlFailure as failure:
            told = f"{failure.name}: {failure.message}"
        except AwsError as refused:
            told = f"{refused.error_code}: {refused.message}"
        self._end(run, table, counted, told)

    async def _counted(self, run: Run, body: Body) -> tuple[Table, list[Body]]:
        if run.attempts > _ATTEMPTS_MAX:
            raise SqlFailure("GENERIC_INTERNAL_ERROR", "The server stopped while it ran.", category=1)
        database, name = body["DatabaseName"], body["TableName"]
        catalogue, p = self._statistics.catalogue, self._statistics.p
        table = catalogue.table(run.scope, database, name)
        acting = p.identity.service_session(body["Role"], SERVICE, session_name="GlueColumnStatistics")
        for resource in ("catalog", f"database/{database}", f"table/{database}/{name}"):
            arn = run.scope.arn("glue", resource)
            p.identity.authorise(acting, "glue:UpdateColumnStatisticsForTable", arn)
        columns, counted = columns_of(table, body.get("ColumnNameList")), list[Body]()
        for at in range(0, len(columns), _COLUMNS_AT_ONCE):
            chosen = columns[at : at + _COLUMNS_AT_ONCE]
            values = await self._values(run, acting, (database, name), chosen, body.get("SampleSize"))
            counted += [
                model.shaped(column, kind, values[place * model.WIDTH : (place + 1) * model.WIDTH], self._k.clock.now())
                for place, (column, kind) in enumerate(chosen)
            ]
        return table, counted

    async def _values(
        self, run: Run, acting: Principal, names: tuple[str, str], columns: Sequence[tuple[str, str]], sample: Any
    ) -> list[str | None]:
        selected = ", ".join(part for column, kind in columns for part in model.expressions(column, kind))
        source = ".".join('"' + name.replace('"', '""') + '"' for name in names)
        part = f" TABLESAMPLE BERNOULLI ({float(sample)})" if sample and float(sample) < 100 else ""
        sql = f"SELECT {selected} FROM {source}{part}"  # noqa: S608 - compiled, names quoted
        rows = await self._statistics.p.statements.rows(StatementJob(run.id, acting, run.scope, sql, names[0]))
        return rows[0]

    def _end(self, run: Run, table: Table | None, counted: Sequence[Body], told: str) -> None:
        statistics, now = self._statistics, self._k.clock.now()
        with suppress(LeaseLostError), self._k.db.tx() as tx:
            self._k.runs.end(tx, run)
            body = statistics.runs.find(run.scope, run.id)
            if body is None or body["Status"] not in _OPEN:
                return  # stopped, or the table is gone
            if table is not None and not told:
                for one in counted:
                    statistics.columns.put(tx, table, b"", one)
            ended = {"Status": "FAILED" if told else "SUCCEEDED", "LastUpdated": now, "EndTime": now}
            statistics.runs.update(tx, run.scope, {**body, **ended, **({"ErrorMessage": told[:2048]} if told else {})})


def columns_of(table: Table, names: Sequence[str] | None) -> list[tuple[str, str]]:
    """(name, type) of what is counted: the columns named, else all that have statistics."""
    storage = [(column["Name"].lower(), column.get("Type", "string"))
               for column in (table.body.get("StorageDescriptor") or {}).get("Columns") or ()]  # fmt: skip
    if not names:
        return [(name, kind) for name, kind in storage if model.kind_of(kind)]
    known = dict(storage) | {name.lower(): kind for name, kind in table.keys}
    for name in names:
        if model.kind_of(known.get(name.lower(), "")) is None:
            raise api.InvalidInputException(f"{name} is not a column with statistics of table {table.name}.")
    return [(name.lower(), known[name.lower()]) for name in dict.fromkeys(names)]


def role_arn(scope: Scope, role: str) -> str:
    """A role as it is named, in full."""
    return role if role.startswith("arn:") else scope.global_arn("iam", f"role/{role}")
