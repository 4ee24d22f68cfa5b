"""A request of an AWS API, from ASGI's events to ASGI's events: the whole path on one page.

``handle`` reads the head, finds the service (``route``), the caller (``authenticate``) and the operation (its codec),
takes the body (collected up to a limit, or handed on as a stream), verifies the signature, runs the operation
(``dispatch``) and sends what came of it. Everything that goes wrong is an ``AwsError`` in the client's protocol; what is
not is a bug: logged under the request id, and told as InternalFailure with nothing of the host in it.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from dataclasses import replace
from hashlib import sha256
from typing import Any

from lakebed.edge.aws import authenticate, browser, errors
from lakebed.edge.aws.answer import Answers
from lakebed.edge.aws.dispatch import Dispatch, Trace, Who
from lakebed.edge.aws.journal import Entry, Journal
from lakebed.edge.aws.route import Route, Target, named_operation
from lakebed.kernel.disk import is_trouble
from lakebed.kernel.errors import AwsError, not_built
from lakebed.kernel.kernel import Kernel
from lakebed.ports.house import Ports
from lakebed.ports.service import Context, Door, Service
from lakebed.wire.aws.codec import Codec, Match
from lakebed.wire.aws.message import HttpRequest, HttpResponse

AsgiScope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
_USER_AGENT_MAX = 256
_HOST = re.compile(r"[A-Za-z0-9.:\[\]_-]{1,255}")


class ClientGoneError(Exception):
    """The client closed the connection before its body was whole."""


class Edge:
    """The door of all AWS HTTP APIs."""

    def __init__(self, registry: Mapping[str, Service], k: Kernel, p: Ports, journal: Journal) -> None:
        self._k, self._p = k, p
        self._route = Route(registry, k.settings.http.virtual_host_suffixes, self._is_bucket)
        self._dispatch = Dispatch(registry, k, p)
        self._journal = journal
        self._answers = Answers(k.clock)
        self._limit = k.settings.http.body_bytes_max

    def _is_bucket(self, name: str) -> bool:
        """Whether a bucket of this name exists; there is none before S3 is."""
        objects = getattr(self._p, "objects", None)
        return objects is not None and objects.bucket_exists(name)

    def is_bucket_host(self, host: str) -> bool:
        """Whether a Host names a bucket (then a browser's GET / is for S3)."""
        return self._route.bucket_of(host) is not None

    async def handle(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """One request."""
        started, request_id = self._k.clock.monotonic(), self._k.ids.uuid()
        request, body = read_head(scope), _Body(receive)
        call = _Call(self, request, request_id, scope)
        try:
            response = await call.answer(body)
        except ClientGoneError:
            return
        sent = await self._answers.send(response, call.trace.service, request_id, (receive, send), self._k.log)
        who, status = call.caller, sent.status
        self._journal.add(
            Entry(
                at=self._k.clock.now(),
                request_id=request_id,
                account=who.scope.account,
                region=who.scope.region,
                principal=who.principal.arn,
                service=call.trace.service,
                operation=call.trace.operation,
                resource=call.trace.resource,
                status=status,
                error=call.trace.error or sent.error,
                duration_ms=round((self._k.clock.monotonic() - started) * 1000, 3),
                bytes_in=body.size,
                bytes_out=sent.size,
                user_agent=request.headers.get("user-agent", "")[:_USER_AGENT_MAX],
            )
        )


class _Call:
    """One request on its way; the fields are what is known so far."""

    def __init__(self, edge: Edge, request: HttpRequest, request_id: str, scope: AsgiScope) -> None:
        self._edge, self._request, self._request_id = edge, request, request_id
        self._client = str((scope.get("client") or ("", 0))[0])
        self._scheme = str(scope.get("scheme", "http"))
        self.caller = authenticate.identify(None, edge._p, edge._k.clock)
        self.trace = Trace()
        self.codec: Codec | None = None
        self.match: Match | None = None
        self.door: Door | None = None

    async def answer(self, body: _Body) -> HttpResponse:
        """The response, whatever happens, as the page of another origin may see it."""
        response = await self._answer(body)
        origin = self._request.headers.get("origin")
        if origin is not None and self.trace.service == "s3" and not browser.is_preflight(self._request):
            bucket = str(self.match.labels.get("Bucket", "")) if self.match is not None else ""
            bucket = bucket or self.trace.resource.removeprefix("arn:aws:s3:::").partition("/")[0]
            response.headers |= self._edge._p.browsers.exposed(bucket, origin, self._request.method)
        return response

    async def _answer(self, body: _Body) -> HttpResponse:
        try:
            return await self._run(body)
        except AwsError as error:
            return self._failed(error)
        except ClientGoneError:
            raise
        except Exception as bug:
            what = {"service": self.trace.service, "operation": self.trace.operation}
            if is_trouble(bug):
                self._edge._k.log.warning("the machine fails", request_id=self._request_id, **what, detail=str(bug))
                return self._failed(errors.unavailable())
            self._edge._k.log.error("internal failure", request_id=self._request_id, **what, exc=bug)  # noqa: TRY400
            return self._failed(errors.internal_failure())

    async def _run(self, body: _Body) -> HttpResponse:
        edge, sent = self._edge, self._request
        claim = self._claim()
        if claim is None and (browser.is_preflight(sent) or browser.is_form(sent)):
            return await self._browse(sent, body)
        target = edge._route.identify(sent, claim.service if claim is not None else None)
        if target is None:
            raise errors.missing_token()
        self.trace.service, self.codec = target.service, target.codec
        self.door = _door(target, sent)
        self.caller = authenticate.identify(claim, edge._p, edge._k.clock)
        request = await self._with_body(target, sent.raw_path, body)
        if claim is not None:
            edge._p.identity.note_use(self.caller.principal, claim.service, claim.region)
        if self.door is not None:
            return await self._through(self.door, request)
        if self.match is None or self.codec is None:
            raise self._unidentified(target, request)
        if claim is None and not edge._dispatch.has(target.service, self.match.operation):
            raise errors.missing_token()
        operation = edge._dispatch.built(target.service, self.match.operation)
        params = self.codec.parse(self.match, request)
        who = Who(
            self.caller.principal, self.caller.scope, self._request_id, self._endpoint(), request.headers, self._client
        )
        result = await edge._dispatch.run(self.codec, operation, params, who, self.trace)
        return self.codec.serialise(self.match, result or {}, self._request_id)

    async def _browse(self, sent: HttpRequest, body: _Body) -> HttpResponse:
        """What a browser sends beside S3's operations: a preflight or a form."""
        edge, service = self._edge, "s3"
        target = edge._route.identify(sent, None) or edge._route.identify(sent, service)
        if target is None or target.service != service or target.built is None:
            raise errors.missing_token()
        self.trace.service, self.codec = service, target.codec
        self.trace.operation = "OptionsObject" if browser.is_preflight(sent) else "PostObject"
        if browser.is_preflight(sent):
            return browser.preflight(edge._p, target.request)
        reader = await browser.read_form(target.request, body.pieces())
        principal, scope, policy = browser.signed_by(reader.fields, edge._p, edge._k)
        self.caller = authenticate.Caller(principal, scope)
        bucket = browser.bucket_in(target.request.raw_path)
        self.trace.resource = f"arn:aws:s3:::{bucket}"
        context = Context(
            scope=scope,
            principal=principal,
            request_id=self._request_id,
            now=edge._k.clock.now(),
            service=service,
            operation="PutObject",
            endpoint=self._endpoint(),
            headers={name: value for name, value in sent.headers.items() if name in ("user-agent", "referer")},
            source_ip=self._client,
        )
        told = await edge._p.browsers.post(context, bucket, browser.form_of(reader, policy))
        return HttpResponse(told.status, dict(told.headers), told.body)

    async def _through(self, door: Door, request: HttpRequest) -> HttpResponse:
        """A request for an interface of the service's own."""
        self.trace.operation, caller = door.operation(request), self.caller
        if caller.claim is None:
            raise errors.missing_token()
        context = Context(
            scope=caller.scope,
            principal=caller.principal,
            request_id=self._request_id,
            now=self._edge._k.clock.now(),
            service=self.trace.service,
            operation=self.trace.operation,
            endpoint=self._endpoint(),
            headers=request.headers,
            source_ip=self._client,
        )
        return await door.handle(context, request)

    def _claim(self) -> authenticate.Claim | None:
        """The request's claim; one that cannot be read is refused in the protocol it seems to speak."""
        try:
            return authenticate.read_claim(self._request)
        except AwsError:
            target = self._edge._route.identify(self._request, authenticate.hinted_service(self._request))
            if target is not None:
                self.trace.service, self.codec = target.service, target.codec
            raise

    async def _with_body(self, target: Target, signed_path: str, body: _Body) -> HttpRequest:
        """The request with its body, verified; a stream's own hash or chunks are verified while it is read."""
        codec, caller, clock, limit = target.codec, self.caller, self._edge._k.clock, self._edge._limit
        request = target.request
        streamed = False
        if codec is not None and codec.protocol.startswith("rest"):
            self._found(codec.identify(request))
            streamed = self.match is not None and codec.streaming_input(self.match.operation)
        if streamed or (caller.claim is not None and caller.claim.chunked):
            authenticate.verify(caller, request, signed_path, clock, None)
            stream = authenticate.decoded(caller, request, body.pieces())
            if streamed:
                return replace(request, stream=stream)
            return replace(request, body=await _collect(stream, limit))
        if int(request.headers.get("content-length") or 0) > limit:
            raise errors.too_large(limit)
        request = replace(request, body=await _collect(body.pieces(), limit))
        authenticate.verify(caller, request, signed_path, clock, sha256(request.body).hexdigest())
        if self.match is None and codec is not None:
            self._found(codec.identify(request))
        return request

    def _found(self, match: Match | None) -> None:
        self.match = match
        self.trace.operation = match.operation if match is not None else ""

    def _unidentified(self, target: Target, request: HttpRequest) -> AwsError:
        """A service that is not built is named with its operation; else the request is none of its service's."""
        if target.built is not None:
            return errors.unknown_operation(target.service)
        if self.caller.claim is None:
            return errors.missing_token()
        operation = request.headers.get("x-amz-target", "").rpartition(".")[2] or _action(request)
        self.trace.operation = (
            operation or named_operation(target.service, request) or f"{request.method} {request.raw_path}"
        )[:256]
        return not_built(target.service, self.trace.operation)

    def _failed(self, error: AwsError) -> HttpResponse:
        codec = self.codec
        if self.door is not None:
            self.trace.error = error.error_code
            return self.door.failed(error)
        protocol = self.match.protocol if self.match is not None else _protocol(codec, self._request)
        told = errors.translated(error, self.trace.service, protocol)
        self.trace.error = told.error_code
        if codec is None:
            return errors.without_model(told, protocol, self._request_id)
        return codec.serialise_error(self.match, told, self._request_id, protocol=protocol)

    def _endpoint(self) -> str:
        """Our base URL as this client reached it."""
        host = self._request.headers.get("host", "")
        return f"{self._scheme}://{host}" if _is_host(host) else self._edge._p.addresses.http_url


class _Body:
    """The bytes of a request as the server hands them over; counted."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.size = 0

    async def pieces(self) -> AsyncIterator[bytes]:
        """Piece by piece; the server stops reading from the socket while we do not ask."""
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            piece: bytes = message.get("body", b"")
            if piece:
                self.size += len(piece)
                yield piece
            if not message.get("more_body", False):
                return


async def _collect(pieces: AsyncIterator[bytes], limit: int) -> bytes:
    collected: list[bytes] = []
    size = 0
    async for piece in pieces:
        size += len(piece)
        if size > limit:
            raise errors.too_large(limit)
        collected.append(piece)
    return collected[0] if len(collected) == 1 else b"".join(collected)


def read_head(scope: AsgiScope) -> HttpRequest:
    """The head of a request; repeated headers are joined."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    raw_path: bytes = scope.get("raw_path") or str(scope["path"]).encode()
    return HttpRequest(
        str(scope["method"]), raw_path.decode("latin-1"), scope["query_string"].decode("latin-1"), headers
    )


def _protocol(codec: Codec | None, request: HttpRequest) -> str:
    if codec is None or len(codec.protocols) > 1:
        looks = errors.spoken(request)
        if codec is None or looks in codec.protocols:
            return looks
    return codec.protocol


def _door(target: Target, request: HttpRequest) -> Door | None:
    """The service's own interface, where the path is one of its."""
    door = target.built.door if target.built is not None else None
    return door if door is not None and request.raw_path.startswith(door.prefix) else None


def _action(request: HttpRequest) -> str:
    """The Action of a query request."""
    for text in (request.query, request.body[:4096].decode("latin-1")):
        for item in text.split("&"):
            name, _, value = item.partition("=")
            if name == "Action" and value.isalnum():
                return value[:128]
    return ""


def _is_host(host: str) -> bool:
    return _HOST.fullmatch(host) is not None
