"""Query executions: start, watch, stop, read.

https://docs.aws.amazon.com/athena/latest/ug/querying-finding-output-files.html
"""

from __future__ import annotations

from typing import Any

import msgspec

from lakebed.api import athena as api
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Scope
from lakebed.lake.statements import Statement, classify
from lakebed.ports.house import Ports
from lakebed.ports.service import Context, operation
from lakebed.ports.sql import SqlFailure
from lakebed.services.athena import explain, model, results
from lakebed.services.athena.model import BAD_TOKEN
from lakebed.services.athena.provider.data_catalogs import OWN
from lakebed.services.athena.provider.workgroups import Workgroups, workgroup_arn
from lakebed.services.athena.store import Body, Store
from lakebed.services.athena.work import KIND
from lakebed.wire.aws.pages import opened, sealed

_QUERY_CHARS_MAX = 262_144
_ROWS_MAX = 1000


class ExecutionOperations:
    """Operations on executions."""

    def __init__(
        self, k: Kernel, p: Ports, store: Store, workgroups: Workgroups, runners: list[str], queued_max: int
    ) -> None:
        self.k, self.p, self.store, self.workgroups, self._runners = k, p, store, workgroups, runners
        self._queued_max = queued_max

    @operation("StartQueryExecution", resource=workgroup_arn, refused=("EngineConfiguration",))
    async def start_query_execution(self, ctx: Context, req: api.StartQueryExecutionInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/athena/latest/APIReference/API_StartQueryExecution.html"""
        self.p.sql.warm()
        if len(req["QueryString"]) > _QUERY_CHARS_MAX:
            raise api.InvalidRequestException(f"Query string is longer than {_QUERY_CHARS_MAX} characters")
        group = self.workgroups.require(ctx.scope, req.get("WorkGroup", "primary"))
        if group["State"] != "ENABLED":
            raise api.InvalidRequestException(f"WorkGroup {group['Name']} is disabled.")
        asked = dict(req.get("ResultConfiguration", {}))
        model.check_result_configuration(asked)
        token = req.get("ClientRequestToken") or ""
        if token and (before := self.store.execution_by_token(ctx.scope, token)) is not None:
            if before["sql"] != req["QueryString"]:
                raise api.InvalidRequestException("Idempotent parameters do not match")
            return {"QueryExecutionId": before["id"]}
        if self.store.unfinished(ctx.scope) >= self._queued_max:
            raise api.TooManyRequestsException(
                "You have exceeded the limit for the number of queries you can run concurrently. Reduce the number of "
                "concurrent queries submitted by this account. Contact customer support to request a concurrent query "
                "limit increase.",
                members={"Reason": "CONCURRENT_QUERY_LIMIT_EXCEEDED"},
            )
        body = self._new(ctx, req, group, asked)
        body["token"] = token or body["id"]
        with self.k.db.tx() as tx:
            self.store.put_execution(tx, ctx.scope, body)
            self.k.runs.add(tx, KIND, body["id"], ctx.scope, {"principal": msgspec.to_builtins(ctx.principal)})
            tx.after_commit(self._poke)
        return {"QueryExecutionId": body["id"]}

    def _poke(self) -> None:
        for name in self._runners:
            self.k.tasks.poke(name)

    def _new(self, ctx: Context, req: api.StartQueryExecutionInput, group: Body, asked: Body) -> Body:
        base, query_id = model.output_location(group, asked), self.k.ids.uuid()
        context: Body = dict(req.get("QueryExecutionContext", {}))
        catalog = context.get("Catalog", OWN)
        if catalog.lower() != OWN.lower() and self.store.data_catalog(ctx.scope, catalog) is None:
            raise api.InvalidRequestException(f"Catalog {context['Catalog']} does not exist")
        parameters, sql = list(req.get("ExecutionParameters", [])), req["QueryString"]
        statement, effective = self._statement(ctx.scope, group["Name"], sql, parameters)
        ending = {"query": ".csv", "ctas": "", "insert": "", "unload": "", "update": "", "delete": "", "merge": ""}.get(
            statement.kind, ".txt"
        )
        made: Body = {
            "id": query_id, "workgroup": group["Name"], "state": "QUEUED", "submitted": ctx.now, "sql": sql,
            "type": statement.type, "substatement": statement.substatement, "context": context,
            "output": f"{base}{'tables/' if statement.kind == 'ctas' else ''}{query_id}{ending}",
            "results": {key: value for key, value in asked.items() if key != "OutputLocation"},
            "parameters": parameters, "cutoff": group["Configuration"].get("BytesScannedCutoffPerQuery", 0),
        }  # fmt: skip
        if effective:
            made["effective_sql"] = effective
        reuse = dict(req.get("ResultReuseConfiguration", {}))
        if (minutes := model.reuse_minutes(group, reuse, asked)) and statement.kind == "query":
            made |= {"reuse_minutes": minutes, "reuse_asked": reuse["ResultReuseByAgeConfiguration"]}
        return made

    def _statement(self, scope: Scope, group: str, sql: str, parameters: list[str]) -> tuple[Statement, str]:
        """What the text is; EXECUTE is replaced by the statement it names, its USING values become the parameters."""
        try:
            statement = classify(sql)
            if statement.kind != "execute":
                return statement, ""
            if statement.sql:  # EXECUTE IMMEDIATE
                parameters += statement.facts["parameters"]
                return _direct(classify(statement.sql)), statement.sql
            prepared = self.store.prepared(scope, group, statement.name)
            if prepared is None:
                raise api.InvalidRequestException(
                    f"PreparedStatement {statement.name} was not found in workGroup {group}"
                )
            parameters += statement.facts["parameters"]
            return _direct(classify(prepared["QueryStatement"])), prepared["QueryStatement"]
        except SqlFailure as wrong:
            raise api.InvalidRequestException(
                wrong.message if wrong.name == "SYNTAX_ERROR" else f"{wrong.name}: {wrong.message}",
                members={"AthenaErrorCode": "MALFORMED_QUERY" if wrong.name == "SYNTAX_ERROR" else wrong.name},
            ) from None

    def _require(self, scope: Scope, execution_id: str) -> Body:
        found = self.store.execution(scope, execution_id)
        if found is None:
            raise api.InvalidRequestException(f"QueryExecution {execution_id} was not found")
        return found

    @operation("GetQueryExecution", action=None)
    async def get_query_execution(self, ctx: Context, req: api.GetQueryExecutionInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/athena/latest/APIReference/API_GetQueryExecution.html"""
        return {"QueryExecution": model.execution_shape(self._allowed(ctx, req["QueryExecutionId"]))}

    def _allowed(self, ctx: Context, execution_id: str) -> Body:
        """The execution, if the caller may act on its workgroup (known only now)."""
        body = self._require(ctx.scope, execution_id)
        arn = ctx.scope.arn("athena", f"workgroup/{body['workgroup']}")
        self.p.identity.authorise(ctx.principal, f"athena:{ctx.operation}", arn)
        return body

    @operation("BatchGetQueryExecution", action=None)
    async def batch_get_query_execution(self, ctx: Context, req: api.BatchGetQueryExecutionInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/athena/latest/APIReference/API_BatchGetQueryExecution.html"""
        found, missing = [], []
        for execution_id in req["QueryExecutionIds"]:
            if self.store.execution(ctx.scope, execution_id) is None:
                missing.append({"QueryExecutionId": execution_id, "ErrorCode": "INVALID_QUERY_EXECUTION_ID",
                                "ErrorMessage": f"QueryExecution {execution_id} was not found"})  # fmt: skip
            else:
                found.append(model.execution_shape(self._allowed(ctx, execution_id)))
        return {"QueryExecutions": found, "UnprocessedQueryExecutionIds": missing}

    @operation("ListQueryExecutions", resource=workgroup_arn)
    async def list_query_executions(self, ctx: Context, req: api.ListQueryExecutionsInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/athena/latest/APIReference/API_ListQueryExecutions.html"""
        group = self.workgroups.require(ctx.scope, req.get("WorkGroup", "primary"))
        limit, before = req.get("MaxResults", 50), opened(req.get("NextToken"), tuple[str, str], ("", ""), BAD_TOKEN)
        found = self.store.executions(ctx.scope, group["Name"], before, limit + 1)
        more = (
            {"NextToken": sealed((repr(found[limit - 1]["submitted"]), found[limit - 1]["id"]))}
            if len(found) > limit
            else {}
        )
        return {"QueryExecutionIds": [body["id"] for body in found[:limit]], **more}

    @operation("StopQueryExecution", action=None)
    async def stop_query_execution(self, ctx: Context, req: api.StopQueryExecutionInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/athena/latest/APIReference/API_StopQueryExecution.html"""
        body = self._allowed(ctx, req["QueryExecutionId"])
        if body["state"] in model.FINAL:
            return {}
        with self.k.db.tx() as tx:
            self.k.runs.cancel(tx, KIND, body["id"])
            stopped = model.failed(body, SqlFailure("USER_CANCELED", "Query was canceled"), ctx.now)
            self.store.put_execution(tx, ctx.scope, {**stopped, "reason": "Query cancelled by user"})
        self.p.sql.cancel(body["id"])
        self.p.connectors.cancel(body["id"])
        return {}

    @operation("GetQueryResults", action=None)
    async def get_query_results(self, ctx: Context, req: api.GetQueryResultsInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/athena/latest/APIReference/API_GetQueryResults.html"""
        body = self._finished(ctx, req["QueryExecutionId"])
        if req.get("QueryResultType", "DATA_ROWS") != "DATA_ROWS":
            raise api.InvalidRequestException("Lakebed does not implement DATA_MANIFEST results.")
        limit = req.get("MaxResults", _ROWS_MAX)
        columns = body.get("columns", [])
        rows: list[results.Row] = []
        following = None
        if columns:
            (start,) = opened(req.get("NextToken"), tuple[int], (0,), BAD_TOKEN)
            with self.k.clock.working():
                rows, following = await results.page(self.p, ctx.principal, body, start, limit)
        made = {
            "UpdateCount": body.get("update_count", 0),
            "ResultSet": {"Rows": [_row(row) for row in rows], "ResultSetMetadata": {"ColumnInfo": columns}},
        }
        return {**made, **({"NextToken": sealed((following,))} if following is not None else {})}

    def _finished(self, ctx: Context, execution_id: str) -> Body:
        body = self._allowed(ctx, execution_id)
        if body["state"] != "SUCCEEDED":
            unfinished = body["state"] in ("QUEUED", "RUNNING")
            raise api.InvalidRequestException(
                f"Query has not yet finished. Current state: {body['state']}" if unfinished else
                f"Query did not finish successfully. Final query state: {body['state']}"
            )  # fmt: skip
        return body

    @operation("GetQueryRuntimeStatistics", action=None)
    async def get_query_runtime_statistics(
        self, ctx: Context, req: api.GetQueryRuntimeStatisticsInput
    ) -> dict[str, Any]:
        """https://docs.aws.amazon.com/athena/latest/APIReference/API_GetQueryRuntimeStatistics.html"""
        body = self._allowed(ctx, req["QueryExecutionId"])
        statistics = body.get("statistics", {})
        names = ("QueryQueueTimeInMillis", "ServicePreProcessingTimeInMillis", "QueryPlanningTimeInMillis",
                 "EngineExecutionTimeInMillis", "ServiceProcessingTimeInMillis", "TotalExecutionTimeInMillis")  # fmt: skip
        counted = {"InputBytes": "scanned", "OutputBytes": "output_bytes", "OutputRows": "rows"}
        rows = {name: body.get(key, 0) for name, key in counted.items()}
        timeline = {name: statistics[name] for name in names if name in statistics}
        made: dict[str, Any] = {"Timeline": timeline, "Rows": rows}
        if body.get("plan"):
            made["OutputStage"] = explain.stage(body["plan"], body.get("scanned", 0), body.get("rows", 0))
        return {"QueryRuntimeStatistics": made}


def _row(row: results.Row) -> dict[str, Any]:
    return {"Data": [{} if value is None else {"VarCharValue": value} for value in row]}


def _direct(statement: Statement) -> Statement:
    """A statement that EXECUTE may run: not another EXECUTE."""
    if statement.kind == "execute":
        raise SqlFailure("NOT_SUPPORTED", "EXECUTE of an EXECUTE is not supported")
    return statement
