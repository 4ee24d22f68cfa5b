"""Named queries and prepared statements.

https://docs.aws.amazon.com/athena/latest/ug/querying-with-prepared-statements.html
"""

from __future__ import annotations

from typing import Any

from lakebed.api import athena as api
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Scope
from lakebed.ports.house import Ports
from lakebed.ports.service import Context, operation
from lakebed.services.athena.model import BAD_TOKEN
from lakebed.services.athena.provider.workgroups import Workgroups, workgroup_arn
from lakebed.services.athena.store import Body, Store
from lakebed.wire.aws.pages import opened, sealed


def _group_of(scope: Scope, req: Any) -> str:
    return scope.arn("athena", f"workgroup/{req.get('WorkGroup') or 'primary'}")


class SavedOperations:
    """Statements kept for later."""

    def __init__(self, k: Kernel, p: Ports, store: Store, workgroups: Workgroups) -> None:
        self.k, self.p, self.store, self.workgroups = k, p, store, workgroups

    @operation("CreateNamedQuery", resource=_group_of)
    async def create_named_query(self, ctx: Context, req: api.CreateNamedQueryInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/athena/latest/APIReference/API_CreateNamedQuery.html"""
        group = self.workgroups.require(ctx.scope, req.get("WorkGroup", "primary"))
        token, query_id = req.get("ClientRequestToken") or "", self.k.ids.uuid()
        made = {"Name": req["Name"], "Description": req.get("Description", ""), "Database": req["Database"],
                "QueryString": req["QueryString"], "NamedQueryId": query_id, "WorkGroup": group["Name"]}  # fmt: skip
        with self.k.db.tx() as tx:
            if token and (before := self.store.named_by_token(ctx.scope, token)) is not None:
                if before["QueryString"] != req["QueryString"]:
                    raise api.InvalidRequestException("Idempotent parameters do not match")
                return {"NamedQueryId": before["NamedQueryId"]}
            self.store.put_named(tx, ctx.scope, made, token or query_id)
        return {"NamedQueryId": query_id}

    def _named(self, ctx: Context, query_id: str) -> Body:
        found = self.store.named(ctx.scope, query_id)
        if found is None:
            raise api.InvalidRequestException(f"NamedQuery {query_id} does not exist")
        arn = ctx.scope.arn("athena", f"workgroup/{found['WorkGroup']}")
        self.p.identity.authorise(ctx.principal, f"athena:{ctx.operation}", arn)
        return found

    @operation("GetNamedQuery", action=None)
    async def get_named_query(self, ctx: Context, req: api.GetNamedQueryInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/athena/latest/APIReference/API_GetNamedQuery.html"""
        return {"NamedQuery": self._named(ctx, req["NamedQueryId"])}

    @operation("BatchGetNamedQuery", action=None)
    async def batch_get_named_query(self, ctx: Context, req: api.BatchGetNamedQueryInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/athena/latest/APIReference/API_BatchGetNamedQuery.html"""
        known = [query_id for query_id in req["NamedQueryIds"] if self.store.named(ctx.scope, query_id) is not None]
        missing = [
            {"NamedQueryId": query_id, "ErrorCode": "INVALID_NAMED_QUERY_ID", "ErrorMessage": "The named query does not exist"}
            for query_id in req["NamedQueryIds"] if query_id not in known
        ]  # fmt: skip
        return {"NamedQueries": [self._named(ctx, query_id) for query_id in known], "UnprocessedNamedQueryIds": missing}

    @operation("ListNamedQueries", resource=workgroup_arn)
    async def list_named_queries(self, ctx: Context, req: api.ListNamedQueriesInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/athena/latest/APIReference/API_ListNamedQueries.html"""
        group = self.workgroups.require(ctx.scope, req.get("WorkGroup", "primary"))
        limit, after = req.get("MaxResults", 50), opened(req.get("NextToken"), str, "", BAD_TOKEN)
        found = self.store.named_ids(ctx.scope, group["Name"], after, limit + 1)
        more = {"NextToken": sealed(found[limit - 1])} if len(found) > limit else {}
        return {"NamedQueryIds": found[:limit], **more}

    @operation("UpdateNamedQuery", action=None)
    async def update_named_query(self, ctx: Context, req: api.UpdateNamedQueryInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/athena/latest/APIReference/API_UpdateNamedQuery.html"""
        found = self._named(ctx, req["NamedQueryId"])
        changed = {**found, "Name": req["Name"], "QueryString": req["QueryString"],
                   "Description": req.get("Description", found["Description"])}  # fmt: skip
        with self.k.db.tx() as tx:
            self.store.put_named(tx, ctx.scope, changed, req["NamedQueryId"])
        return {}

    @operation("DeleteNamedQuery", action=None)
    async def delete_named_query(self, ctx: Context, req: api.DeleteNamedQueryInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/athena/latest/APIReference/API_DeleteNamedQuery.html"""
        self._named(ctx, req["NamedQueryId"])
        with self.k.db.tx() as tx:
            self.store.delete_named(tx, ctx.scope, req["NamedQueryId"])
        return {}

    @operation("CreatePreparedStatement", resource=workgroup_arn)
    async def create_prepared_statement(self, ctx: Context, req: api.CreatePreparedStatementInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/athena/latest/APIReference/API_CreatePreparedStatement.html"""
        group = self.workgroups.require(ctx.scope, req["WorkGroup"])["Name"]
        if self.store.prepared(ctx.scope, group, req["StatementName"]) is not None:
            raise api.InvalidRequestException(f"Prepared Statement {req['StatementName']} already exists")
        self._put(ctx, group, req)
        return {}

    def _put(self, ctx: Context, group: str, req: Any) -> None:
        made = {"StatementName": req["StatementName"], "QueryStatement": req["QueryStatement"], "WorkGroupName": group,
                "LastModifiedTime": ctx.now}  # fmt: skip
        if "Description" in req:
            made["Description"] = req["Description"]
        with self.k.db.tx() as tx:
            self.store.put_prepared(tx, ctx.scope, made)

    def _prepared(self, scope: Scope, req: Any) -> Body:
        found = self.store.prepared(scope, req["WorkGroup"], req["StatementName"])
        if found is None:
            raise api.ResourceNotFoundException(
                f"PreparedStatement {req['StatementName']} was not found in workGroup {req['WorkGroup']}"
            )
        return found

    @operation("GetPreparedStatement", resource=workgroup_arn)
    async def get_prepared_statement(self, ctx: Context, req: api.GetPreparedStatementInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/athena/latest/APIReference/API_GetPreparedStatement.html"""
        return {"PreparedStatement": self._prepared(ctx.scope, req)}

    @operation("BatchGetPreparedStatement", resource=workgroup_arn)
    async def batch_get_prepared_statement(
        self, ctx: Context, req: api.BatchGetPreparedStatementInput
    ) -> dict[str, Any]:
        """https://docs.aws.amazon.com/athena/latest/APIReference/API_BatchGetPreparedStatement.html"""
        found, missing = [], []
        for name in req["PreparedStatementNames"]:
            body = self.store.prepared(ctx.scope, req["WorkGroup"], name)
            if body is None:
                missing.append({"StatementName": name, "ErrorCode": "STATEMENT_NOT_FOUND",
                                "ErrorMessage": f"PreparedStatement {name} was not found"})  # fmt: skip
            else:
                found.append(body)
        return {"PreparedStatements": found, "UnprocessedPreparedStatementNames": missing}

    @operation("ListPreparedStatements", resource=workgroup_arn)
    async def list_prepared_statements(self, ctx: Context, req: api.ListPreparedStatementsInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/athena/latest/APIReference/API_ListPreparedStatements.html"""
        group = self.workgroups.require(ctx.scope, req["WorkGroup"])["Name"]
        limit, after = req.get("MaxResults", 50), opened(req.get("NextToken"), str, "", BAD_TOKEN)
        found = self.store.prepareds(ctx.scope, group, after, limit + 1)
        more = {"NextToken": sealed(found[limit - 1]["StatementName"])} if len(found) > limit else {}
        listed = [{key: body[key] for key in ("StatementName", "LastModifiedTime")} for body in found[:limit]]
        return {"PreparedStatements": listed, **more}

    @operation("UpdatePreparedStatement", resource=workgroup_arn)
    async def update_prepared_statement(self, ctx: Context, req: api.UpdatePreparedStatementInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/athena/latest/APIReference/API_UpdatePreparedStatement.html"""
        self._prepared(ctx.scope, req)
        self._put(ctx, req["WorkGroup"], req)
        return {}

    @operation("DeletePreparedStatement", resource=workgroup_arn)
    async def delete_prepared_statement(self, ctx: Context, req: api.DeletePreparedStatementInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/athena/latest/APIReference/API_DeletePreparedStatement.html"""
        self._prepared(ctx.scope, req)
        with self.k.db.tx() as tx:
            self.store.delete_prepared(tx, ctx.scope, req["WorkGroup"], req["StatementName"])
        return {}
