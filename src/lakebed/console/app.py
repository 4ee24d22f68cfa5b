"""The console as an ASGI app: routes, themes, what happens when a call fails. Mounted by the edge under ``/console``.

Who may reach it is decided in ``guard``; pages are listed in ``_PAGES``, what does something in ``_ACTIONS``: plain forms,
POSTs with a token, so that all works without script. Its user is the seeded development account.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from importlib import resources

import htpy as h
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from lakebed.console import queries
from lakebed.console.asked import Asked
from lakebed.console.backend import Backend
from lakebed.console.callers import with_callers
from lakebed.console.calls import Recorder
from lakebed.console.guard import Guard
from lakebed.console.pages import (
    advice,
    alarms,
    athena,
    catalog,
    catalog_table,
    costs,
    crawlers,
    events,
    firehose,
    functions,
    functions_try,
    home,
    iam,
    iot,
    iot_live,
    iot_try,
    kinesis,
    kinesis_shard,
    kms,
    logs,
    metrics,
    pipelines,
    report,
    s3,
    s3_object,
    s3_upload,
    schemas,
    server,
    sign_in,
    sns,
    sqs,
    sqs_actions,
)
from lakebed.console.parts import notice, panel
from lakebed.console.sessions import SIGN_IN
from lakebed.console.shell import Page, render
from lakebed.kernel.errors import AwsError
from lakebed.kernel.scope import Scope

Draw = Callable[[Backend, Asked], Awaitable[Page]]
# Does what a form says; answers with the address to go to, or with a page that shows what came of it.
Act = Callable[[Backend, Mapping[str, str]], Awaitable[str | Page]]
_PAGES: dict[str, Draw] = {
    "": home.page,
    "pipelines": pipelines.page,
    "report": report.page,
    "costs": costs.page,
    "s3": s3.buckets,
    "s3/objects": s3.objects,
    "s3/object": s3_object.page,
    "s3/upload": s3_upload.page,
    "kinesis": kinesis.streams,
    "kinesis/stream": kinesis.stream,
    "kinesis/shard": kinesis_shard.page,
    "firehose": firehose.streams,
    "firehose/stream": firehose.stream,
    "iot": iot.page,
    "iot/live": iot_live.page,
    "iot/rule": iot.rule,
    "iot/thing": iot.thing,
    "lambda": functions.listing,
    "lambda/function": functions.function,
    "sns": sns.topics,
    "sns/topic": sns.topic,
    "events": events.page,
    "events/rule": events.rule,
    "kms": kms.keys,
    "kms/key": kms.key,
    "metrics": metrics.page,
    "alarms": alarms.listing,
    "alarms/alarm": alarms.alarm,
    "sqs": sqs.queues,
    "sqs/queue": sqs.queue,
    "athena": athena.page,
    "catalog": catalog.page,
    "catalog/table": catalog_table.page,
    "crawlers": crawlers.listing,
    "crawlers/crawler": crawlers.crawler,
    "catalog/advice": advice.of_table,
    "athena/advice": advice.of_query,
    "schemas": schemas.page,
    "schemas/schema": schemas.schema,
    "logs": logs.groups,
    "logs/group": logs.group,
    "logs/events": logs.events,
    "iam": iam.page,
    "iam/role": iam.role,
    "iam/user": iam.user,
    "iam/policy": iam.policy,
    "requests": server.requests,
    "tasks": server.tasks,
}
_ACTIONS: dict[str, Act] = {
    "athena/run": queries.run,
    "athena/explain": queries.explain,
    "athena/view": queries.view,
    "athena/save": queries.save,
    "athena/forget": queries.forget,
    "athena/stop": queries.stop,
    "crawlers/start": crawlers.start,
    "crawlers/stop": crawlers.stop,
    "events/send": events.send,
    "events/try": events.attempt,
    "iot/publish": iot_live.publish,
    "iot/try": iot_try.attempt,
    "lambda/test": functions_try.run,
    "s3/delete": s3_upload.delete,
    "sns/publish": sns.publish,
    "sqs/send": sqs_actions.send,
    "sqs/redrive": sqs_actions.redrive,
    "sqs/redrive-stop": sqs_actions.stop_redrive,
}
_TYPES = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".woff2": "font/woff2",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
}
_REGION = re.compile(r"[a-z]{2}(-[a-z]{2,12}){1,3}-[0-9]")


def build(backend: Backend) -> Starlette:
    """The app over one backend."""
    backend = replace(backend, flow=with_callers(backend))

    def data(answer: Callable[[Backend, Asked], Awaitable[Response]], path: str) -> Route:
        async def endpoint(request: Request) -> Response:
            try:
                return await answer(_located(backend, request), Asked(path, request.query_params))
            except AwsError as failure:
                return JSONResponse(
                    {"code": failure.error_code, "message": failure.message}, failure.http_status or 400, headers=_FRESH
                )

        return Route(f"/console/{path}", endpoint, methods=["GET"])

    def action(act: Act, path: str) -> Route:
        async def endpoint(request: Request) -> Response:
            here = _recorded(_located(backend, request))
            try:
                done = await act(here, request.state.form)
            except AwsError as failure:
                page = _failed(here, Asked(path, {}), failure)
                return _document(request, here, page, failure.http_status or 400)
            return RedirectResponse(done, 303) if isinstance(done, str) else _document(request, here, done)

        return Route(f"/console/{path}", endpoint, methods=["POST"])

    pages = [
        Route(f"/console/{path}".rstrip("/"), _page(backend, path, draw), methods=["GET"])
        for path, draw in _PAGES.items()
    ]
    return Starlette(
        routes=[
            *pages,
            Route(SIGN_IN, _sign_in(backend), methods=["GET", "POST"]),
            Route("/", _page(backend, "", home.page), methods=["GET"]),
            Route("/console/", _page(backend, "", home.page), methods=["GET"]),
            data(pipelines.live_flow, "pipelines/flow.json"),
            data(report.download, "report/result.csv"),
            data(s3_object.download, "s3/download"),
            data(kinesis_shard.tail, "kinesis/tail.json"),
            data(logs.tail, "logs/tail.json"),
            data(iot_live.socket, "iot/socket.json"),
            data(queries.state, "athena/state.json"),
            *(action(act, path) for path, act in _ACTIONS.items()),
            Route("/console/static/{name}", _static, methods=["GET"]),
        ],
        middleware=[
            Middleware(
                Guard,
                changing=[f"/console/{path}" for path in _ACTIONS],
                token=backend.token,
                sessions=backend.sessions,
            )
        ],
    )


_FRESH = {"Cache-Control": "no-store"}


def _located(backend: Backend, request: Request) -> Backend:
    """The backend in the region the browser chose, under the name it used."""
    backend = replace(backend, origin=f"{request.url.scheme}://{request.url.netloc}")
    region = request.cookies.get("lb-region", "")
    if not _REGION.fullmatch(region):
        return backend
    return replace(backend, scope=Scope(backend.scope.account, region, backend.scope.partition))


def _recorded(backend: Backend) -> Backend:
    return replace(backend, call=Recorder(backend.call))


def _page(backend: Backend, path: str, draw: Draw) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        here, asked = _recorded(_located(backend, request)), Asked(path, request.query_params)
        try:
            return _document(request, here, await draw(here, asked))
        except AwsError as failure:
            return _document(request, here, _failed(here, asked, failure), failure.http_status or 400)

    return endpoint


def _document(request: Request, backend: Backend, page: Page, status: int = 200) -> HTMLResponse:
    theme = "dark" if request.cookies.get("lb-theme") == "dark" else "light"
    return HTMLResponse(render(page, backend, theme), status, headers=_FRESH)


def _failed(backend: Backend, asked: Asked, failure: AwsError) -> Page:
    """What failed, where, and how to see the same by hand."""
    area = asked.path.partition("/")[0]
    call = backend.call.failed if isinstance(backend.call, Recorder) else None
    where = f"{call.service}:{call.operation} answered " if call else ""
    content = [
        notice("error", f"{where}{failure.error_code}. ", failure.message),
        panel("The call that failed", h.pre(tabindex="0")[call.cli()]) if call else None,
        h.p[h.a(href=f"/console/{area}".rstrip("/"))["Back to the overview"]],
    ]
    return Page("This could not be shown", "", f"/console/{area}".rstrip("/"), content)


def _sign_in(backend: Backend) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        given = request.state.form if request.method == "POST" else request.query_params
        token, to = given.get("token", ""), sign_in.inside(given.get("to", ""))
        if token and backend.sessions.accepts(token):
            cookie = backend.sessions.cookie(request.url.port)
            return RedirectResponse(to, 303, headers=_FRESH | {"Set-Cookie": cookie})
        theme = "dark" if request.cookies.get("lb-theme") == "dark" else "light"
        return HTMLResponse(sign_in.page(to, theme, is_wrong=bool(token)), 403 if token else 200, headers=_FRESH)

    return endpoint


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
