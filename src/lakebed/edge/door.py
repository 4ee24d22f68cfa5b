"""The front door's application: administrators, browsers and AWS clients told apart by path and by what they carry.

``/_lakebed/…`` is Lakebed's own (no bucket may have that name). ``/console…``, and ``/`` from a browser, go to the console
when the request carries no AWS credentials: a bucket called ``console`` stays reachable for clients that sign. All the
rest is AWS.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from lakebed.edge.admin.endpoints import Administration
from lakebed.edge.aws.asgi import AsgiScope, Edge, Receive, Send
from lakebed.edge.aws.journal import Journal
from lakebed.edge.listener import Listener
from lakebed.kernel.kernel import Kernel
from lakebed.ports.house import Ports
from lakebed.ports.service import Service

Application = Callable[[AsgiScope, Receive, Send], Awaitable[None]]


class FrontDoor:
    """The HTTP door: built with the registry, opened once all services started, closed first."""

    def __init__(
        self,
        registry: Mapping[str, Service],
        k: Kernel,
        p: Ports,
        *,
        journal: Journal,
        administration: Administration,
        console: Application | None = None,
    ) -> None:
        self.edge = Edge(registry, k, p, journal)
        self._p, self._journal = p, journal
        self._administration, self._console = administration, console
        self._listener = Listener(self, k.settings.http, k.log)

    async def open(self) -> tuple[str, int]:
        """Listen; ``p.addresses`` then tells the truth."""
        host, port = await self._listener.open()
        self._p.addresses.http_host, self._p.addresses.http_port = host, port
        return host, port

    async def close(self) -> None:
        """Stop accepting, let running requests finish (ten seconds), write the journal's rest."""
        await self._listener.close()
        self._journal.flush()
        self._p.addresses.http_port = 0

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        path: str = scope["path"]
        if path.startswith("/_lakebed/") or path == "/_lakebed":
            await self._administration.handle(scope, receive, send)
        elif self._console is not None and self._for_console(scope, path):
            await self._console(scope, receive, send)
        else:
            await self.edge.handle(scope, receive, send)

    def _for_console(self, scope: AsgiScope, path: str) -> bool:
        if not (path in ("/", "/console") or path.startswith("/console/")):
            return False
        headers: dict[bytes, bytes] = dict(scope["headers"])
        if b"authorization" in headers or b"X-Amz-" in scope["query_string"]:
            return False
        if path != "/":
            return True
        host = headers.get(b"host", b"").decode("latin-1").lower().rpartition(":")
        browses = scope["method"] in ("GET", "HEAD") and b"text/html" in headers.get(b"accept", b"")
        return browses and not self.edge.is_bucket_host(host[0] or host[2])
