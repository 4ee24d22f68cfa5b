"""Function URLs: their settings, CORS, the event a request becomes and the response an answer becomes. Pure.

The event is payload format 2.0, as of API Gateway's HTTP APIs. A URL is reached by its host
(``<id>.lambda-url.<region>.<any suffix>``) where the client's resolver knows it, and under ``/_lambda/url/<id>/`` of the
endpoint, which any client reaches.

https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html
https://docs.aws.amazon.com/lambda/latest/dg/urls-configuration.html
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

import msgspec

from lakebed.kernel.scope import Scope
from lakebed.ports.functions import UrlAnswer, UrlRequest
from lakebed.services.lambda_.model import invalid

PATH = "/_lambda/url/"
INTEGRATION = "application/vnd.awslambda.http-integration-response"
_HOST = re.compile(r"([a-z0-9]{32})\.lambda-url\.([a-z]{2}(?:-[a-z]+)+-\d)\.")
_BELOW = re.compile(re.escape(PATH) + r"([a-z0-9]{32})(/.*)?")
_TEXT = re.compile(
    r"(?:text/|application/(?:json|javascript|xml|x-www-form-urlencoded|graphql|.+\+(?:json|xml))|image/svg\+xml)",
    re.IGNORECASE,
)
_METHODS = frozenset(("GET", "PUT", "HEAD", "POST", "PATCH", "DELETE", "*"))
_HOP = frozenset(
    ("connection", "keep-alive", "transfer-encoding", "content-length", "upgrade", "te", "trailer", "date")
)
_SEPARATOR = b"\0" * 8
_PRELUDE_BYTES_MAX = 64 << 10


class UrlConfig(msgspec.Struct, frozen=True, omit_defaults=True):
    """A function URL. ``cors`` is the API's Cors structure, None without one."""

    id: str
    auth: str
    created: float
    modified: float
    mode: str = "BUFFERED"
    cors: dict[str, Any] | None = None


def target_of(host: str, raw_path: str) -> tuple[str, str] | None:
    """(id, path below the URL) of a request, None where it is for no function URL."""
    if raw_path.startswith(PATH):
        found = _BELOW.fullmatch(raw_path)
        return (found[1], found[2] or "/") if found else ("", "/")
    named = _HOST.match(host.lower())
    return (named[1], raw_path) if named else None


def check_cors(cors: Mapping[str, Any]) -> dict[str, Any]:
    """A Cors structure as it may be."""
    if bad := sorted(set(cors.get("AllowMethods", ())) - _METHODS):
        raise invalid(f"Member must satisfy enum value set: {sorted(_METHODS)} (got {bad[0]})")
    for origin in cors.get("AllowOrigins", ()):
        if origin != "*" and not re.fullmatch(r"[a-z][a-z0-9+.-]*://[^\s/]+", origin):
            raise invalid(f"Invalid CORS origin: {origin}")
    return dict(cors)


def cors_headers(cors: Mapping[str, Any], request: UrlRequest, *, preflight: bool) -> list[tuple[str, str]]:
    """The Access-Control headers for a request; none where its origin is not allowed."""
    origin = request.headers.get("origin", "")
    allowed = cors.get("AllowOrigins", ())
    if not origin or ("*" not in allowed and origin not in allowed):
        return []
    credentials = bool(cors.get("AllowCredentials"))
    found = [("access-control-allow-origin", origin if credentials or "*" not in allowed else "*"), ("vary", "Origin")]
    if credentials:
        found.append(("access-control-allow-credentials", "true"))
    if not preflight:
        exposed = ",".join(cors.get("ExposeHeaders", ()))
        return [*found, ("access-control-expose-headers", exposed)] if exposed else found
    for member, header in (("AllowMethods", "methods"), ("AllowHeaders", "headers")):
        if values := cors.get(member):
            found.append((f"access-control-allow-{header}", ",".join(values)))
    if cors.get("MaxAge"):
        found.append(("access-control-max-age", str(cors["MaxAge"])))
    return found


def event(request: UrlRequest, scope: Scope, config: UrlConfig, now: float) -> dict[str, Any]:
    """Payload format 2.0."""
    domain = f"{config.id}.lambda-url.{scope.region}.on.aws"
    headers = {name: value for name, value in request.headers.items() if name not in ("cookie", "connection")}
    path = unquote(request.path)
    moment = datetime.fromtimestamp(now, UTC)
    context: dict[str, Any] = {
        "accountId": "anonymous",
        "apiId": config.id,
        "domainName": domain,
        "domainPrefix": config.id,
        "http": {
            "method": request.method,
            "path": path,
            "protocol": "HTTP/1.1",
            "sourceIp": request.source_ip,
            "userAgent": request.headers.get("user-agent", ""),
        },
        "requestId": request.request_id,
        "routeKey": "$default",
        "stage": "$default",
        "time": moment.strftime("%d/%b/%Y:%H:%M:%S +0000"),
        "timeEpoch": int(now * 1000),
    }
    if config.auth == "AWS_IAM":
        who = request.principal
        context["accountId"] = who.account
        context["authorizer"] = {
            "iam": {
                "accessKey": who.access_key_id, "accountId": who.account, "callerId": who.user_id, "cognitoIdentity": None,
                "principalOrgId": None, "userArn": who.arn, "userId": who.user_id,
            }
        }  # fmt: skip
    made: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": request.query,
        "headers": headers,
        "requestContext": context,
    }
    if cookie := request.headers.get("cookie"):
        made["cookies"] = [one.strip() for one in cookie.split(";")]
    if request.query:
        made["queryStringParameters"] = _query(request.query)
    if request.body:
        is_text = _is_text(request)
        made["body"] = request.body.decode() if is_text else base64.b64encode(request.body).decode()
    made["isBase64Encoded"] = bool(request.body) and not _is_text(request)
    return made


def answer(payload: bytes) -> UrlAnswer:
    """The response that a function's return value describes; any other value is the body itself, as JSON."""
    try:
        told = json.loads(payload)
    except ValueError:
        return bad_gateway()
    if not isinstance(told, dict) or "statusCode" not in told:
        body = told.encode() if isinstance(told, str) else payload
        return UrlAnswer(200, [("content-type", "application/json")], body)
    found = prelude(told)
    if found is None:
        return bad_gateway()
    status, headers = found
    body = told.get("body", "")
    text = body if isinstance(body, str) else json.dumps(body)
    try:
        data = base64.b64decode(text, validate=True) if told.get("isBase64Encoded") else text.encode()
    except (binascii.Error, ValueError):
        return bad_gateway()
    if not any(name == "content-type" for name, _ in headers):
        headers.append(("content-type", "application/json"))
    return UrlAnswer(status, headers, data)


def prelude(told: Any) -> tuple[int, list[tuple[str, str]]] | None:
    """Status and headers as a function gives them; None where they are none."""
    if not isinstance(told, dict):
        return None
    try:
        status = int(told.get("statusCode", 200))
    except (TypeError, ValueError):
        return None
    given, cookies = told.get("headers") or {}, told.get("cookies") or []
    if not 100 <= status <= 599 or not isinstance(given, dict) or not isinstance(cookies, list):
        return None
    headers: list[tuple[str, str]] = []
    for name, value in given.items():
        text = value if isinstance(value, str) else json.dumps(value)
        if name.lower() not in _HOP and not re.search(r"[\r\n\0]", f"{name}{text}"):
            headers.append((name.lower(), text))
    headers += [("set-cookie", one) for one in cookies if isinstance(one, str) and not re.search(r"[\r\n\0]", one)]
    return status, headers


def split_prelude(buffer: bytes) -> tuple[bytes, bytes] | None:
    """The JSON before the separator of a streamed integration response, and what follows; None while it is not whole."""
    head, found, rest = buffer.partition(_SEPARATOR)
    if not found and len(buffer) > _PRELUDE_BYTES_MAX:
        return b"", buffer
    return (head, rest) if found else None


def bad_gateway() -> UrlAnswer:
    """What callers see of a function that failed."""
    return UrlAnswer(502, [("content-type", "application/json")], b"Internal Server Error")


def refusal(status: int, code: str, message: str) -> UrlAnswer:
    """An error of Lambda itself."""
    headers = [("content-type", "application/json"), ("x-amzn-errortype", code)]
    return UrlAnswer(status, headers, json.dumps({"Message": message}).encode())


def _query(text: str) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for part in filter(None, text.split("&")):
        name, _, value = part.partition("=")
        found.setdefault(unquote(name.replace("+", " ")), []).append(unquote(value.replace("+", " ")))
    return {name: ",".join(values) for name, values in found.items()}


def _is_text(request: UrlRequest) -> bool:
    kind = request.headers.get("content-type", "")
    if kind and not _TEXT.match(kind) and not kind.startswith("multipart/"):
        return False
    try:
        request.body.decode()
    except UnicodeDecodeError:
        return False
    return True
