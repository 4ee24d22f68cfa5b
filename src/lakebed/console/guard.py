"""Who may reach the console: loopback peers under a loopback name, so that no page of another site gets in by DNS rebinding;
and of those, browsers that signed in (``sessions``). Only the sign-in page and the assets it needs are open.

Everything is GET, but for the addresses named in ``changing`` (the app's actions). Those want a POST of this
origin by both of the browser's own words (Sec-Fetch-Site, Origin) and the token that only a page of this console has seen,
in the body or in ``X-Lakebed-Console``. Where there is no token, nothing can be changed.
https://cheatsheetseries.owasp.org/cheatsheets/Cross-Site_Request_Forgery_Prevention_Cheat_Sheet.html
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from ipaddress import ip_address
from urllib.parse import parse_qs, quote, urlsplit

from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp

from lakebed.console.sessions import SIGN_IN, Sessions

BODY_BYTES_MAX = 1 << 20
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; "
        "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Guard(BaseHTTPMiddleware):
    """Lets through what may pass, and gives every answer its headers. The form is left in ``request.state.form``."""

    def __init__(self, app: ASGIApp, changing: Sequence[str], token: str, sessions: Sessions) -> None:
        super().__init__(app)
        self._changing, self._token, self._sessions = changing, token, sessions

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        peer = request.client.host if request.client else ""
        if not (is_loopback(peer) and is_loopback(_named(request))):
            return Response("The console answers on the loopback address only.", 403, media_type="text/plain")
        path = request.url.path
        is_open = path == SIGN_IN or path.startswith("/console/static/")
        if not is_open and not self._sessions.holds(request.cookies, request.url.port):
            return _unknown(request)
        if request.method not in ("GET", "HEAD"):
            if request.method != "POST" or path not in (*self._changing, SIGN_IN):
                return Response(status_code=405, headers={"Allow": "GET, HEAD"})
            refused = await self._refusal(request)
            if refused:
                return Response(refused, 403, media_type="text/plain")
        response = await call_next(request)
        response.headers.update(_HEADERS)
        return response

    async def _refusal(self, request: Request) -> str:
        """Why this change is not made; empty when it is."""
        origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
        if site not in (None, "same-origin") or (origin is not None and urlsplit(origin).netloc != request.url.netloc):
            return "A page of another origin may not do this."
        if origin is None and site is None:
            return "A browser says where a request comes from; this one does not."
        body = await _read(request)
        if body is None:
            return "The form is too long."
        try:
            form = parse_qs(body.decode("utf-8"), keep_blank_values=True, max_num_fields=20)
        except ValueError:
            return "This is not a form."
        request.state.form = {name: values[-1] for name, values in form.items()}
        if request.url.path == SIGN_IN:  # its token is the page's own affair
            return ""
        given = request.headers.get("x-lakebed-console") or request.state.form.get("token", "")
        if not self._token or not hmac.compare_digest(given.encode(), self._token.encode()):
            return "This page is from before the server's last start: reload it and try again."
        return ""


def _unknown(request: Request) -> Response:
    """To the sign-in page and back again, for a browser that wants a page; 401 for all else."""
    if request.method != "GET" or "text/html" not in request.headers.get("accept", ""):
        return Response("Sign in first: `lakebed console` prints the link.", 401, media_type="text/plain")
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"{SIGN_IN}?to={quote(wanted)}", 303, headers=_HEADERS | {"Cache-Control": "no-store"})


def _named(request: Request) -> str:
    """The name the browser used. Starlette's ``url`` falls back to our own address where the Host is none."""
    try:
        return urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    except ValueError:
        return ""


async def _read(request: Request) -> bytes | None:
    body = b""
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > BODY_BYTES_MAX:
                return None
    except ClientDisconnect:
        return None
    return body


def is_loopback(host: str) -> bool:
    """Whether an address or a name is this machine's loopback."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
