"""Connections: kept with their passwords sealed, tested by logging in.

https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-catalog-connections.html. JDBC connections to PostgreSQL and MySQL
can be tested and crawled; those of the other types and databases are kept and told, for the programs that use them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from lakebed.api import glue as api
from lakebed.kernel.errors import AwsError, not_built
from lakebed.kernel.scope import Scope
from lakebed.ports.service import Context, Request, operation
from lakebed.services.glue import model as glue_model
from lakebed.services.glue.crawlers import jdbc
from lakebed.services.glue.crawlers.model import Connection
from lakebed.services.glue.crawlers.vaulted import Connections
from lakebed.services.glue.provider.desk import Desk
from lakebed.services.glue.store import DatabaseStore
from lakebed.wire.aws.pages import sealed

_PAGE = 100
_MEMBERS = ("Description", "ConnectionType", "MatchCriteria", "SparkProperties", "AthenaProperties", "PythonProperties",
            "PhysicalConnectionRequirements")  # fmt: skip


def _arns(scope: Scope, req: Request) -> list[str]:
    """Catalog and connections."""
    given = req.get("ConnectionInput") or {}
    name = req.get("ConnectionName") or req.get("Name") or given.get("Name") or "*"
    names = req.get("ConnectionNameList") or [name]
    return [scope.arn("glue", "catalog"), *(scope.arn("glue", f"connection/{one}") for one in names)]


class ConnectionOperations(Desk):
    """Everything on connections."""

    def __init__(self, connections: Connections, desk: Desk, tags: DatabaseStore) -> None:
        super().__init__(desk.catalogue)
        self._connections, self._store, self._tags = connections, connections.store, tags

    @operation("CreateConnection", resource=_arns)
    async def create_connection(self, ctx: Context, req: api.CreateConnectionRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_CreateConnection.html"""
        scope = self.scope(ctx, req)
        name = req["ConnectionInput"]["Name"]
        if self._store.find(scope, name) is not None:
            raise api.AlreadyExistsException(f"Connection {name} already exists")
        made = await self._made(ctx, scope, req["ConnectionInput"], "CreateConnection")
        with self.k.db.tx() as tx:
            self._store.put(tx, made)
            self._tags.set_tags(tx, scope, made.arn, req.get("Tags") or {})
        return {"CreateConnectionStatus": "READY"}

    @operation("UpdateConnection", resource=_arns)
    async def update_connection(self, ctx: Context, req: api.UpdateConnectionRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_UpdateConnection.html"""
        scope = self.scope(ctx, req)
        known = self._connections.require(scope, req["Name"])
        if req["ConnectionInput"]["Name"] != known.name:
            raise api.InvalidInputException("A connection keeps its name")
        made = await self._made(ctx, scope, req["ConnectionInput"], "UpdateConnection")
        with self.k.db.tx() as tx:
            self._store.put(tx, msgspec.structs.replace(made, created=known.created))
        return {}

    @operation("GetConnection", resource=_arns, refused=("ApplyOverrideForComputeEnvironment",))
    async def get_connection(self, ctx: Context, req: api.GetConnectionRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_GetConnection.html"""
        found = self._connections.require(self.scope(ctx, req), req["Name"])
        return {"Connection": self._connections.shown(found, hidden=bool(req.get("HidePassword")))}

    @operation("GetConnections", resource=_arns)
    async def get_connections(self, ctx: Context, req: api.GetConnectionsRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_GetConnections.html"""
        scope, limit = self.scope(ctx, req), min(req.get("MaxResults", _PAGE), _PAGE)
        after = glue_model.read_token(req.get("NextToken"), str, "")
        found = self._store.after(scope, after, limit + 1)
        hidden, asked = bool(req.get("HidePassword")), req.get("Filter") or {}
        shown = [self._connections.shown(one, hidden=hidden) for one in found[:limit] if _matches(one, asked)]
        return {"ConnectionList": shown, **({"NextToken": sealed(found[limit - 1].name)} if len(found) > limit else {})}

    @operation("DeleteConnection", resource=_arns)
    async def delete_connection(self, ctx: Context, req: api.DeleteConnectionRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_DeleteConnection.html"""
        self._delete(self.scope(ctx, req), req["ConnectionName"])
        return {}

    @operation("BatchDeleteConnection", resource=_arns)
    async def batch_delete_connection(self, ctx: Context, req: api.BatchDeleteConnectionRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_BatchDeleteConnection.html"""
        scope, gone, errors = self.scope(ctx, req), list[str](), dict[str, Any]()
        for name in req["ConnectionNameList"]:
            try:
                self._delete(scope, name)
                gone.append(name)
            except api.EntityNotFoundException as wrong:
                errors[name] = {"ErrorCode": wrong.error_code, "ErrorMessage": wrong.message}
        return {"Succeeded": gone, "Errors": errors}

    @operation("TestConnection", resource=_arns)
    async def test_connection(self, ctx: Context, req: api.TestConnectionRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_TestConnection.html"""
        scope, given = self.scope(ctx, req), req.get("TestConnectionInput")
        if bool(given) == bool(req.get("ConnectionName")):
            raise api.InvalidInputException("One of ConnectionName and TestConnectionInput has to be given")
        if given:
            _refuse(given, "TestConnection", "TestConnectionInput")
            kind, properties = given["ConnectionType"], given["ConnectionProperties"]
        else:
            known = self._connections.require(scope, req["ConnectionName"])
            kind, properties = known.body["ConnectionType"], self._connections.opened(known)
        await self._test(kind, properties)
        return {}

    async def _test(self, kind: str, properties: Mapping[str, str]) -> None:
        if kind != "JDBC":
            raise AwsError(
                "NotImplemented", f"TestConnection of {kind} connections is not built in Lakebed", status=501
            )
        await jdbc.test(self.k, properties)

    async def _made(self, ctx: Context, scope: Scope, given: Mapping[str, Any], operation: str) -> Connection:
        _refuse(given, operation, "ConnectionInput")
        kind, properties = given["ConnectionType"], given["ConnectionProperties"]
        if kind == "JDBC" and not properties.get("JDBC_CONNECTION_URL"):
            raise api.InvalidInputException("JDBC_CONNECTION_URL is required for a JDBC connection")
        if given.get("ValidateCredentials"):
            await self._test(kind, properties)
        arn = scope.arn("glue", f"connection/{given['Name']}")
        plain, sealed_secrets = self._connections.sealed(arn, properties)
        body = {**{member: given[member] for member in _MEMBERS if member in given}, "ConnectionProperties": plain}
        return Connection(scope, given["Name"], body, sealed_secrets, ctx.now, ctx.now, ctx.principal.arn)

    def _delete(self, scope: Scope, name: str) -> None:
        with self.k.db.tx() as tx:
            known = self._connections.require(scope, name)
            self._store.delete(tx, known)
            self._tags.set_tags(tx, scope, known.arn, {})


def _refuse(given: Mapping[str, Any], operation: str, shape: str) -> None:
    for member in ("AuthenticationConfiguration", "ValidateForComputeEnvironments"):
        if given.get(member):
            raise not_built("glue", operation, f"{shape}.{member}")


def _matches(one: Connection, asked: Mapping[str, Any]) -> bool:
    kind, criteria = asked.get("ConnectionType"), set(asked.get("MatchCriteria") or ())
    fits = kind in (None, one.body["ConnectionType"]) and criteria <= set(one.body.get("MatchCriteria") or ())
    return fits and asked.get("ConnectionSchemaVersion", 1) == 1
