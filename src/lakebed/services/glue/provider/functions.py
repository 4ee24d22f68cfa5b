"""User-defined functions: the catalog keeps and tells what Hive and Spark load; nothing here runs them.

https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-catalog-functions.html
"""

from __future__ import annotations

from typing import Any

from lakebed.api import glue as api
from lakebed.kernel.scope import Scope
from lakebed.ports.service import Context, Request, operation
from lakebed.services.glue import model, pattern
from lakebed.services.glue.model import Function, folded
from lakebed.services.glue.provider.desk import Desk
from lakebed.wire.aws.pages import sealed

_PAGE = 100


def _function_arns(scope: Scope, req: Request) -> list[str]:
    """Catalog, database and function; a listing asks for all of them."""
    database = folded(req.get("DatabaseName") or "*")
    name = folded(req.get("FunctionName") or (req.get("FunctionInput") or {}).get("FunctionName") or "*")
    return [
        scope.arn("glue", "catalog"),
        scope.arn("glue", f"database/{database}"),
        scope.arn("glue", f"userDefinedFunction/{database}/{name}"),
    ]


class FunctionOperations(Desk):
    """Everything on user-defined functions."""

    @operation("CreateUserDefinedFunction", resource=_function_arns)
    async def create_user_defined_function(
        self, ctx: Context, req: api.CreateUserDefinedFunctionRequest
    ) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_CreateUserDefinedFunction.html"""
        self.catalogue.create_function(self.scope(ctx, req), req["DatabaseName"], req["FunctionInput"])
        return {}

    @operation("GetUserDefinedFunction", resource=_function_arns)
    async def get_user_defined_function(self, ctx: Context, req: api.GetUserDefinedFunctionRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_GetUserDefinedFunction.html"""
        found = self.catalogue.function(self.scope(ctx, req), req["DatabaseName"], req["FunctionName"])
        return {"UserDefinedFunction": found.shown()}

    @operation("GetUserDefinedFunctions", resource=_function_arns)
    async def get_user_defined_functions(self, ctx: Context, req: api.GetUserDefinedFunctionsRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_GetUserDefinedFunctions.html"""
        scope, limit, kind = self.scope(ctx, req), req.get("MaxResults", _PAGE), req.get("FunctionType")
        database = self.catalogue.database(scope, req["DatabaseName"]).name if req.get("DatabaseName") else None
        after = model.read_token(req.get("NextToken"), tuple[str, str], ("", ""))
        try:
            matches = pattern.compile_pattern(req["Pattern"])
        except pattern.PatternError as wrong:
            raise api.InvalidInputException(f"Invalid pattern: {wrong}") from None
        found: list[Function] = []
        while len(found) <= limit:
            page = (
                self.catalogue.functions.after_all(scope, after, _PAGE)
                if database is None
                else self.catalogue.functions.after(scope, database, after[1], _PAGE)
            )
            found += [one for one in page if matches(one.name) and kind in (None, one.body.get("FunctionType"))]
            if len(page) < _PAGE:
                break
            after = (page[-1].database, page[-1].name)
        result: dict[str, Any] = {"UserDefinedFunctions": [one.shown() for one in found[:limit]]}
        if len(found) > limit:
            last = found[limit - 1]
            result["NextToken"] = sealed((last.database, last.name))
        return result

    @operation("UpdateUserDefinedFunction", resource=_function_arns)
    async def update_user_defined_function(
        self, ctx: Context, req: api.UpdateUserDefinedFunctionRequest
    ) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_UpdateUserDefinedFunction.html"""
        scope, database = self.scope(ctx, req), req["DatabaseName"]
        self.catalogue.update_function(scope, database, req["FunctionName"], req["FunctionInput"])
        return {}

    @operation("DeleteUserDefinedFunction", resource=_function_arns)
    async def delete_user_defined_function(
        self, ctx: Context, req: api.DeleteUserDefinedFunctionRequest
    ) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_DeleteUserDefinedFunction.html"""
        self.catalogue.delete_function(self.scope(ctx, req), req["DatabaseName"], req["FunctionName"])
        return {}
