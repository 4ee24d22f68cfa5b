"""Requests that are no AWS API: function URLs and links to packages. From ASGI's events to the port and back.

A function URL is anybody's web server: its caller may carry no credentials, or ones that mean something to the function
alone. Only where the URL asks for AWS_IAM is the signature read, and then verified like any other.

https://docs.aws.amazon.com/lambda/latest/dg/lambda-urls.html
"""

from __future__ import annotations

import json
from hashlib import sha256

from lakebed.edge.aws import authenticate
from lakebed.edge.aws.answer import Answers
from lakebed.edge.aws.asgi import AsgiScope, Receive, Send, read_head
from lakebed.edge.aws.journal import Entry, Journal
from lakebed.kernel.errors import AwsError
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import ANONYMOUS, Principal
from lakebed.ports.functions import UrlAnswer, UrlRequest, UrlTarget
from lakebed.ports.house import Ports
from lakebed.wire.aws.message import HttpRequest, HttpResponse

_BODY_BYTES_MAX = 6 << 20
_PREFIX = "/_lambda/"


class _TooLargeError(Exception):
    """More than a function may be handed."""


class FunctionUrls:
    """What the front door gives to Lambda."""

    def __init__(self, k: Kernel, p: Ports, journal: Journal) -> None:
        self._k, self._p, self._journal = k, p, journal
        self._answers = Answers(k.clock)

    def takes(self, scope: AsgiScope) -> bool:
        """Whether a request is for a function URL or a package; cheap, asked of every request."""
        if str(scope["path"]).startswith(_PREFIX):
            return True
        return any(name == b"host" and b".lambda-url." in value for name, value in scope["headers"])

    async def handle(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """One request."""
        request, request_id = read_head(scope), self._k.ids.uuid()
        started = self._k.clock.monotonic()
        client = str((scope.get("client") or ("", 0))[0])
        target = self._p.functions.url_target(_host(request), request.raw_path)
        try:
            body = await _body(receive)
            answer = await self._answer(request, target, (client, request_id), body)
        except _TooLargeError:
            body, answer = b"", _refusal(413, "RequestEntityTooLargeException", "Request Entity Too Large")
        except AwsError as refused:
            answer = _refusal(403, refused.error_code, refused.message)
        response = _response(answer, request.method)
        cookies = [(name.encode(), value.encode()) for name, value in answer.headers if name == "set-cookie"]
        sent = await self._answers.send(response, "lambda", request_id, (receive, _with(send, cookies)), self._k.log)
        facts = answer.facts
        self._journal.add(
            Entry(
                at=self._k.clock.now(), request_id=request_id, account=facts.get("account", ""),
                region=facts.get("region", ""), principal="", service="lambda",
                operation="FunctionUrl" if target is not None else "Package", resource=facts.get("arn", ""),
                status=sent.status, error=sent.error,
                duration_ms=round((self._k.clock.monotonic() - started) * 1000, 3), bytes_in=len(body),
                bytes_out=sent.size, user_agent=request.headers.get("user-agent", "")[:256],
            )
        )  # fmt: skip

    async def _answer(
        self, request: HttpRequest, target: UrlTarget | None, who: tuple[str, str], body: bytes
    ) -> UrlAnswer:
        if target is None:
            package = await self._p.functions.serve_package(request.raw_path, request.query)
            if package is None or request.method not in ("GET", "HEAD"):
                return _refusal(403, "AccessDeniedException", "Forbidden")
            return UrlAnswer(200, [("content-type", "application/zip")], package)
        principal = self._signer(request, body) if target.signed else ANONYMOUS
        return await self._p.functions.serve_url(
            target,
            UrlRequest(
                method=request.method, path=target.path, query=request.query, headers=request.headers, body=body,
                principal=principal, source_ip=who[0], request_id=who[1],
            ),
        )  # fmt: skip

    def _signer(self, request: HttpRequest, body: bytes) -> Principal:
        """Who signed; ANONYMOUS where nobody did, which the function's policy will hardly allow."""
        claim = authenticate.read_claim(request)
        caller = authenticate.identify(claim, self._p, self._k.clock)
        authenticate.verify(caller, request, request.raw_path, self._k.clock, sha256(body).hexdigest())
        return caller.principal


async def _body(receive: Receive) -> bytes:
    pieces, size = [], 0
    while True:
        message = await receive()
        piece: bytes = message.get("body", b"")
        size += len(piece)
        if size <= _BODY_BYTES_MAX:
            pieces.append(piece)
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            break
    if size > _BODY_BYTES_MAX:
        raise _TooLargeError
    return b"".join(pieces)


def _response(answer: UrlAnswer, method: str) -> HttpResponse:
    headers = {name: value for name, value in answer.headers if name != "set-cookie"}
    body = answer.body
    if method == "HEAD" and isinstance(body, bytes):
        headers["content-length"], body = str(len(body)), b""
    return HttpResponse(answer.status, headers, body)


def _with(send: Send, more: list[tuple[bytes, bytes]]) -> Send:
    """``send`` that adds headers which may be repeated."""

    async def sending(message: dict[str, object]) -> None:
        if message["type"] == "http.response.start" and more:
            message = {**message, "headers": [*message["headers"], *more]}  # type: ignore[misc]  # ASGI's list of pairs
        await send(message)

    return sending  # type: ignore[return-value]  # a mutable mapping


def _refusal(status: int, code: str, message: str) -> UrlAnswer:
    headers = [("content-type", "application/json"), ("x-amzn-errortype", code)]
    return UrlAnswer(status, headers, json.dumps({"Message": message}).encode())


def _host(request: HttpRequest) -> str:
    return request.headers.get("host", "")
