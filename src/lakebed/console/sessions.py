"""Who is signed in: whoever holds the console's token, which only the owner of the data directory can read.

Loopback is no proof of anything: each process of the machine reaches it, Lambda functions included. So a browser signs in
once with ``<data>/console.token`` (``lakebed up`` and ``lakebed console`` print a link that carries it) and gets a cookie: when
it ends, and the HMAC of that under the token. Nothing is stored: a cookie outlives restarts, and deleting the file ends
every session at the next start. Cookies do not tell ports apart, so that the name does.

https://cheatsheetseries.owasp.org/cheatsheets/Session_Management_Cheat_Sheet.html
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from urllib.parse import quote

SIGN_IN = "/console/sign-in"
SECONDS = 30 * 24 * 3600


class Sessions:
    """``wall`` is the machine's clock in epoch seconds: moving Lakebed's own time signs nobody out."""

    def __init__(self, token: str, wall: Callable[[], float]) -> None:
        assert token
        self._token, self._wall = token.encode(), wall

    def accepts(self, token: str) -> bool:
        """Whether this is the token; constant time."""
        return hmac.compare_digest(token.encode(), self._token)

    def cookie(self, port: int | None) -> str:
        """A Set-Cookie value that begins a session."""
        end = str(int(self._wall()) + SECONDS)
        return f"{_name(port)}={end}.{self._seal(end)}; Path=/; Max-Age={SECONDS}; HttpOnly; SameSite=Lax"

    def holds(self, cookies: Mapping[str, str], port: int | None) -> bool:
        """Whether the browser's cookies have a session that goes on."""
        end, _, seal = cookies.get(_name(port), "").partition(".")
        if not end.isdecimal() or len(end) > 12 or not hmac.compare_digest(seal.encode(), self._seal(end).encode()):
            return False
        return self._wall() < int(end)

    def _seal(self, end: str) -> str:
        return hmac.new(self._token, f"console-session:{end}".encode(), hashlib.sha256).hexdigest()


def sign_in_link(base: str, token: str, path: str = "/console") -> str:
    """The address that signs a browser in and goes on to ``path``."""
    return f"{base}{SIGN_IN}?token={quote(token)}&to={quote(path)}"


def _name(port: int | None) -> str:
    return f"lb-session-{port or 80}"
