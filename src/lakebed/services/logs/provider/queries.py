"""Insights queries: started, read, stopped, described; and saved ones.

https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_StartQuery.html
"""

from __future__ import annotations

import hashlib
from typing import Any

from lakebed.api import logs as api
from lakebed.kernel.errors import not_built
from lakebed.kernel.scope import Scope
from lakebed.ports.house import Ports
from lakebed.ports.service import Context, Request, operation
from lakebed.services.logs.insights.query import ROWS_MAX, compile_query
from lakebed.services.logs.journal import Journal
from lakebed.services.logs.provider.desk import Desk, name_of
from lakebed.services.logs.queries import RUNNERS, runner_name
from lakebed.services.logs.query_store import LIVE, QueryStore, StoredQuery

_LIVE_MAX, _GROUPS_MAX, _DEFINITIONS_MAX = 30, 50, 1000
_MILLISECONDS_FROM = 100_000_000_000  # larger times are milliseconds already


def queried_arns(scope: Scope, req: Request) -> list[str]:
    """The groups a query looks at, as policies name them."""
    names = (
        [req["logGroupName"]] if "logGroupName" in req else req.get("logGroupNames") or req.get("logGroupIdentifiers")
    )
    return [scope.arn("logs", f"log-group:{name_of(scope, name)}:*") for name in names or ["*"]]


class QueryOperations(Desk):
    """Insights."""

    def __init__(self, journal: Journal, p: Ports, store: QueryStore) -> None:
        super().__init__(journal)
        self.p, self.store = p, store

    @operation("StartQuery", resource=queried_arns)
    async def start_query(self, ctx: Context, req: api.StartQueryRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_StartQuery.html"""
        _check_language("StartQuery", req.get("queryLanguage", "CWLI"))
        given = [name for name in ("logGroupName", "logGroupNames", "logGroupIdentifiers") if name in req]
        if len(given) != 1:
            raise api.InvalidParameterException(
                "Exactly one of logGroupName, logGroupNames, logGroupIdentifiers must be given."
            )
        names = (
            [req["logGroupName"]]
            if "logGroupName" in req
            else req.get("logGroupNames") or req.get("logGroupIdentifiers")
        )
        names = sorted({name_of(ctx.scope, name) for name in names or []})
        if not 0 < len(names) <= _GROUPS_MAX:
            raise api.InvalidParameterException(f"Between 1 and {_GROUPS_MAX} log groups must be given.")
        for name in names:
            self.journal.group(ctx.scope, name)
        start, end = _milliseconds(req["startTime"], 0), _milliseconds(req["endTime"], 999)
        if start > end:
            raise api.InvalidParameterException("Query's end date and time is before its start date and time.")
        limit = req.get("limit", ROWS_MAX)
        compile_query(req["queryString"], limit)
        body = {"logGroupNames": names, "queryString": req["queryString"], "start": start, "end": end, "limit": limit,
                "statistics": {}, "userIdentity": ctx.principal.arn}  # fmt: skip
        query_id = self.k.ids.uuid()
        with self.k.db.tx() as tx:
            if self.store.live(ctx.scope) >= _LIVE_MAX:
                raise api.LimitExceededException(f"At most {_LIVE_MAX} queries can run at once.")
            self.store.insert(tx, ctx.scope, query_id, self.journal.now(), body)
            tx.after_commit(self._poke)
        return {"queryId": query_id}

    def _poke(self) -> None:
        for number in range(RUNNERS):
            self.k.tasks.poke(runner_name(number))

    @operation("GetQueryResults")
    async def get_query_results(self, ctx: Context, req: api.GetQueryResultsRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_GetQueryResults.html"""
        query = self._query(ctx.scope, req["queryId"])
        rows = self.store.results(ctx.scope, query.id)
        start, size = _offset(req.get("nextToken")), req.get("maxItems", ROWS_MAX)
        told = query.body["statistics"]
        statistics = {"logGroupsScanned": float(len(query.body["logGroupNames"])), "estimatedRecordsSkipped": 0.0,
                      "estimatedBytesSkipped": 0.0, **told}  # fmt: skip
        result: dict[str, Any] = {
            "queryLanguage": "CWLI", "status": query.status,
            "results": [[{"field": field, "value": value} for field, value in row] for row in rows[start : start + size]],
            "statistics": statistics if told else {},
        }  # fmt: skip
        if start + size < len(rows):
            result["nextToken"] = str(start + size)
        return result

    @operation("StopQuery")
    async def stop_query(self, ctx: Context, req: api.StopQueryRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_StopQuery.html"""
        query = self._query(ctx.scope, req["queryId"])
        if query.status not in LIVE:
            raise api.InvalidParameterException(
                f"Query {query.id} is not running: it has ended with status {query.status}."
            )
        with self.k.db.tx() as tx:
            self.store.end(tx, query, "Cancelled", query.body, [])
        if query.status == "Running":
            self.p.sql.cancel(query.id)
        return {"success": True}

    @operation("DescribeQueries")
    async def describe_queries(self, ctx: Context, req: api.DescribeQueriesRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DescribeQueries.html"""
        limit, before = req.get("maxResults", 1000), (1 << 62, "")
        if (token := req.get("nextToken")) is not None:
            created, _, query_id = token.partition("/")
            before = _offset(created), query_id
        found: list[StoredQuery] = []
        if req.get("queryLanguage", "CWLI") == "CWLI":
            known = self.store.before(ctx.scope, before, 10_000, req.get("status"))
            group = req.get("logGroupName")
            found = [query for query in known if group is None or group in query.body["logGroupNames"]]
        result: dict[str, Any] = {"queries": [_shown(query) for query in found[:limit]]}
        if len(found) > limit:
            result["nextToken"] = f"{found[limit - 1].created}/{found[limit - 1].id}"
        return result

    @operation("PutQueryDefinition", refused=("parameters",))
    async def put_query_definition(self, ctx: Context, req: api.PutQueryDefinitionRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutQueryDefinition.html"""
        _check_language("PutQueryDefinition", req.get("queryLanguage", "CWLI"))
        definition_id = req.get("queryDefinitionId", "")
        if not definition_id:
            token = req.get("clientToken")
            place = f"{ctx.scope.account}/{ctx.scope.region}/{token}".encode()
            digest = hashlib.sha256(place).hexdigest()
            # The same token is the same definition, so a repeated call makes no second one.
            made = f"{digest[:8]}-{digest[8:12]}-4{digest[13:16]}-8{digest[17:20]}-{digest[20:32]}"
            definition_id = self.k.ids.uuid() if token is None else made
        body: dict[str, Any] = {
            "queryLanguage": "CWLI", "queryDefinitionId": definition_id, "name": req["name"],
            "queryString": req["queryString"], "lastModified": self.journal.now(),
            "logGroupNames": req.get("logGroupNames") or [],
        }  # fmt: skip
        with self.k.db.tx() as tx:
            known = {one["queryDefinitionId"] for one in self.store.definitions(ctx.scope, "")}
            if "queryDefinitionId" in req and definition_id not in known:
                raise api.ResourceNotFoundException("The specified query definition does not exist.")
            if definition_id not in known and len(known) >= _DEFINITIONS_MAX:
                raise api.LimitExceededException("Resource limit exceeded.")
            self.store.put_definition(tx, ctx.scope, body)
        return {"queryDefinitionId": definition_id}

    @operation("DescribeQueryDefinitions")
    async def describe_query_definitions(
        self, ctx: Context, req: api.DescribeQueryDefinitionsRequest
    ) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DescribeQueryDefinitions.html"""
        found = self.store.definitions(ctx.scope, req.get("queryDefinitionNamePrefix", ""))
        if req.get("queryLanguage", "CWLI") != "CWLI":
            found = []
        start, size = _offset(req.get("nextToken")), req.get("maxResults", 1000)
        result: dict[str, Any] = {"queryDefinitions": found[start : start + size]}
        if start + size < len(found):
            result["nextToken"] = str(start + size)
        return result

    @operation("DeleteQueryDefinition")
    async def delete_query_definition(self, ctx: Context, req: api.DeleteQueryDefinitionRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DeleteQueryDefinition.html"""
        with self.k.db.tx() as tx:
            if not self.store.delete_definition(tx, ctx.scope, req["queryDefinitionId"]):
                raise api.ResourceNotFoundException("The specified query definition does not exist.")
        return {"success": True}

    def _query(self, scope: Scope, query_id: str) -> StoredQuery:
        found = self.store.find(scope, query_id)
        if found is None:
            raise api.ResourceNotFoundException(f"Query {query_id} does not exist.")
        return found


def _check_language(name: str, language: str) -> None:
    if language != "CWLI":
        raise not_built("logs", name, f"queryLanguage {language}")


def _milliseconds(at: int, rest: int) -> int:
    """Seconds (or already milliseconds) as milliseconds; an end takes in its whole second."""
    return min(at if at >= _MILLISECONDS_FROM else at * 1000 + rest, 1 << 60)


def _offset(token: str | None) -> int:
    if token is None:
        return 0
    if not (token.isascii() and token.isdigit() and len(token) < 19):
        raise api.InvalidParameterException("The specified nextToken is invalid.")
    return int(token)


def _shown(query: StoredQuery) -> dict[str, Any]:
    told = {"queryLanguage": "CWLI", "queryId": query.id, "queryString": query.body["queryString"], "status": query.status,
            "createTime": query.created, "logGroupName": query.body["logGroupNames"][0],
            "userIdentity": query.body["userIdentity"]}  # fmt: skip
    if "ended" in query.body:
        told["queryDuration"] = query.body["ended"] - query.created
        told["bytesScanned"] = query.body["statistics"].get("bytesScanned", 0.0)
    return told
