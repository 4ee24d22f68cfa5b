"""The Data Catalog as an Iceberg REST catalog: routes, errors, configuration.

Requests under ``/iceberg/v1/`` signed for ``glue``. One level of namespaces (databases); tables are those of the catalogue
that are Iceberg's. Not offered, as in AWS: views, renaming, transactions over several tables, scan planning, credentials.
https://docs.aws.amazon.com/glue/latest/dg/connect-glu-iceberg-rest.html,
https://docs.aws.amazon.com/glue/latest/dg/iceberg-rest-apis.html,
https://github.com/apache/iceberg/blob/main/open-api/rest-catalog-open-api.yaml
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl, unquote

import msgspec

from lakebed.kernel.errors import AwsError
from lakebed.kernel.kernel import Kernel
from lakebed.ports.house import Ports
from lakebed.ports.service import Context
from lakebed.ports.sql import SqlFailure
from lakebed.services.glue.catalogue import Catalogue
from lakebed.services.glue.iceberg_rest_namespaces import Namespaces
from lakebed.services.glue.iceberg_rest_request import Call, refused
from lakebed.services.glue.iceberg_rest_tables import Tables
from lakebed.wire.aws.message import HttpRequest, HttpResponse

_PATH = re.compile(r"/iceberg/v1/(?:catalogs/([^/]+)/)?(.*)")
_ERRORS = {
    "AlreadyExistsException": (409, "AlreadyExistsException"),
    "ConcurrentModificationException": (409, "CommitFailedException"),
    "InvalidInputException": (400, "BadRequestException"),
    "AccessDeniedException": (403, "ForbiddenException"),
    "AccessDenied": (403, "ForbiddenException"),
    "NoSuchBucket": (400, "BadRequestException"),
    "NoSuchKey": (404, "NotFoundException"),
}
_FAILURES = {
    "ICEBERG_COMMIT_ERROR": (409, "CommitFailedException"),
    "INVALID_ARGUMENTS": (400, "BadRequestException"),
    "INVALID_TABLE_PROPERTY": (400, "BadRequestException"),
    "ICEBERG_FILESYSTEM_ERROR": (400, "BadRequestException"),
    "ICEBERG_MISSING_METADATA": (404, "NotFoundException"),
    "NOT_SUPPORTED": (406, "UnsupportedOperationException"),
}
Handler = Callable[[Call], Awaitable[Any]]


class IcebergRest:
    """Implements ``lakebed.ports.service.Door``."""

    prefix = "/iceberg/"

    def __init__(self, k: Kernel, p: Ports, catalogue: Catalogue) -> None:
        self._p = p
        namespaces, tables = Namespaces(p, catalogue), Tables(k, p)
        self._routes: list[tuple[str, re.Pattern[str], str, Handler]] = [
            (method, re.compile(pattern), name, handler)
            for method, pattern, name, handler in (
                ("GET", r"config", "GetConfig", self._config),
                ("GET", r"namespaces", "ListNamespaces", namespaces.listed),
                ("POST", r"namespaces", "CreateNamespace", namespaces.created),
                ("GET", r"namespaces/([^/]+)", "LoadNamespaceMetadata", namespaces.loaded),
                ("HEAD", r"namespaces/([^/]+)", "NamespaceExists", namespaces.exists),
                ("DELETE", r"namespaces/([^/]+)", "DeleteNamespace", namespaces.deleted),
                ("POST", r"namespaces/([^/]+)/properties", "UpdateNamespaceProperties", namespaces.updated),
                ("GET", r"namespaces/([^/]+)/tables", "ListTables", tables.listed),
                ("POST", r"namespaces/([^/]+)/tables", "CreateTable", tables.created),
                ("POST", r"namespaces/([^/]+)/register", "RegisterTable", tables.registered),
                ("GET", r"namespaces/([^/]+)/tables/([^/]+)", "LoadTable", tables.loaded),
                ("HEAD", r"namespaces/([^/]+)/tables/([^/]+)", "TableExists", tables.exists),
                ("POST", r"namespaces/([^/]+)/tables/([^/]+)", "UpdateTable", tables.committed),
                ("DELETE", r"namespaces/([^/]+)/tables/([^/]+)", "DeleteTable", tables.dropped),
                ("POST", r"namespaces/([^/]+)/tables/([^/]+)/metrics", "ReportMetrics", tables.measured),
            )
        ]

    def operation(self, request: HttpRequest) -> str:
        """See the port."""
        found = self._route(request)
        return f"IcebergRest:{found[0]}" if found else "IcebergRest"

    async def handle(self, ctx: Context, request: HttpRequest) -> HttpResponse:
        """See the port."""
        found, path = self._route(request), _PATH.fullmatch(request.raw_path)
        if path is None or not request.raw_path.startswith("/iceberg/v1/"):
            raise refused(404, "NotFoundException", f"No such path: {request.raw_path[:200]}")
        if (catalog := unquote(path[1] or "")) not in ("", ":", ctx.scope.account):
            raise refused(404, "NotFoundException", f"Catalog {catalog[:200]} not found")
        if found is None:
            raise refused(406, "UnsupportedOperationException", f"{request.method} {path[2][:200]} is not supported")
        _, handler, parts = found
        call = Call(ctx, [unquote(part) for part in parts], dict(parse_qsl(request.query)), _body(request))
        try:
            answer = await handler(call)
        except SqlFailure as failure:
            status, name = _FAILURES.get(failure.name, (500, "InternalServerError"))
            raise refused(status, name, failure.message) from None
        if answer is None:
            return HttpResponse(204)
        return HttpResponse(200, {"content-type": "application/json"}, msgspec.json.encode(answer))

    def failed(self, error: AwsError) -> HttpResponse:
        """See the port."""
        status, name = _ERRORS.get(error.error_code, (error.http_status or 400, error.error_code))
        if "type" in error.members:
            status, name = error.http_status or 400, error.members["type"]
        elif error.error_code == "EntityNotFoundException":
            status, name = 404, "NoSuchNamespaceException" if "Database" in error.message else "NoSuchTableException"
        elif error.error_code in ("InternalFailure", "InternalServerError"):
            status, name = 500, "InternalServerError"
        body = {"error": {"message": error.message, "type": name, "code": status}}
        return HttpResponse(status, {"content-type": "application/json"}, msgspec.json.encode(body))

    def _route(self, request: HttpRequest) -> tuple[str, Handler, list[str]] | None:
        path = _PATH.fullmatch(request.raw_path)
        for method, pattern, name, handler in self._routes if path else ():
            if method == request.method and path and (matched := pattern.fullmatch(path[2].rstrip("/"))):
                return name, handler, list(matched.groups())
        return None

    async def _config(self, call: Call) -> dict[str, Any]:
        """GetConfig: the prefix of the catalog; where our S3 is, which a client may say otherwise."""
        scope = call.ctx.scope
        self._p.identity.authorise(call.ctx.principal, "glue:GetCatalog", scope.arn("glue", "catalog"))
        if call.query.get("warehouse", scope.account) not in ("", ":", scope.account):
            raise refused(404, "NotFoundException", f"Catalog {call.query['warehouse'][:200]} not found")
        offered = [f"{method} /v1/{{prefix}}/{_shown(pattern.pattern)}" for method, pattern, name, _ in self._routes
                   if name != "GetConfig"]  # fmt: skip
        defaults = {"s3.endpoint": call.ctx.endpoint, "s3.path-style-access": "true", "client.region": scope.region}
        return {"defaults": defaults, "overrides": {"prefix": f"catalogs/{scope.account}"}, "endpoints": offered}


def _shown(pattern: str) -> str:
    return pattern.replace("([^/]+)", "{namespace}", 1).replace("([^/]+)", "{table}", 1)


def _body(request: HttpRequest) -> dict[str, Any]:
    if not request.body or request.method not in ("POST", "PUT"):
        return {}
    try:
        found: dict[str, Any] = msgspec.json.decode(request.body, type=dict)
    except msgspec.MsgspecError:
        raise refused(400, "BadRequestException", "The request's body is not a JSON object") from None
    return found
