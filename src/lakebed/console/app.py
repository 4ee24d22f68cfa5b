"""The console as an ASGI app: routes, themes, security headers. Mounted by the edge under ``/console``.

Loopback peers only, and only under a loopback name (a page of another site must not reach it by DNS rebinding). It reads;
nothing here changes state, so there is no form to forge. The console's user is the seeded development account.
"""

from __future__ import annotations

import hashlib
from importlib import resources
from ipaddress import ip_address

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from lakebed.console import pipelines, report
from lakebed.console.backend import Backend
from lakebed.console.shell import Page, empty, render
from lakebed.kernel.errors import AwsError

_TYPES = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".woff2": "font/woff2",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; "
        "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def build(backend: Backend) -> Starlette:
    """The app over one backend."""

    def page_response(request: Request, page: Page, status: int = 200) -> HTMLResponse:
        theme = "dark" if request.cookies.get("lb-theme") == "dark" else "light"
        return HTMLResponse(render(page, backend, theme), status)

    async def home(_request: Request) -> Response:
        return RedirectResponse("/console/pipelines")

    async def pipelines_page(request: Request) -> Response:
        return page_response(request, pipelines.page(backend))

    async def flow(_request: Request) -> Response:
        return JSONResponse(pipelines.live(backend.flow(backend.scope)), headers={"Cache-Control": "no-store"})

    async def report_page(request: Request) -> Response:
        try:
            return page_response(request, await report.page(backend, request.query_params.get("query")))
        except AwsError as failure:
            content = empty(failure.error_code, failure.message, "aws athena list-query-executions")
            return page_response(request, Page("Report", "", "/console/report", content), failure.http_status or 400)

    async def result(request: Request) -> Response:
        try:
            one = await backend.call(
                "athena",
                "GetQueryExecution",
                {"QueryExecutionId": request.query_params.get("query", "")},
                backend.scope,
            )
            body = await report.read_object(backend, one["QueryExecution"])
        except AwsError as failure:
            return JSONResponse({"code": failure.error_code, "message": failure.message}, failure.http_status or 400)
        headers = {"Content-Disposition": 'attachment; filename="result.csv"'}
        return Response(body, media_type="text/csv", headers=headers)

    return Starlette(
        routes=[
            Route("/console", home),
            Route("/console/", home),
            Route("/console/pipelines", pipelines_page),
            Route("/console/pipelines/flow.json", flow),
            Route("/console/report", report_page),
            Route("/console/report/result.csv", result),
            Route("/console/static/{name}", _static),
        ],
        middleware=[Middleware(_Guard)],
    )


class _Guard(BaseHTTPMiddleware):
    """Loopback by peer and by name, read-only by method, and the headers every page carries."""

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        peer = request.client.host if request.client else ""
        if not (_is_loopback(peer) and _is_loopback(request.url.hostname or "")):
            return Response("The console answers on the loopback address only.", 403, media_type="text/plain")
        if request.method not in ("GET", "HEAD"):
            return Response(status_code=405, headers={"Allow": "GET, HEAD"})
        response = await call_next(request)
        response.headers.update(_HEADERS)
        return response


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


async def _static(request: Request) -> Response:
    name = request.path_params["name"]
    folder = resources.files("lakebed.console") / "static"
    suffix = name[name.rfind(".") :]
    if suffix not in _TYPES or name not in {entry.name for entry in folder.iterdir()}:
        return Response("not found", 404, media_type="text/plain")
    body = (folder / name).read_bytes()
    tag = f'"{hashlib.blake2s(body, digest_size=8).hexdigest()}"'
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers={"ETag": tag})
    return Response(body, media_type=_TYPES[suffix], headers={"ETag": tag, "Cache-Control": "no-cache"})
