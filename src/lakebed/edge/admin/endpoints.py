"""``/_lakebed/…``: health, status, tasks, flow, logs, journal, clock; advance, backup, reset.

Everything answers loopback peers only, under a loopback Host (a page of another site must not reach it by DNS rebinding).
All but health and the certificate of SNS's signatures needs, besides, the administrator's token in ``X-Lakebed-Token`` and
no foreign Origin: every process of the machine is a loopback peer, Lambda functions too. ``reset``
exists only where ``[admin] reset`` says so; otherwise its path is as unknown as any other. Answers are JSON; errors are
``{"message": …}``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

import msgspec

from lakebed.edge.admin.token import Token
from lakebed.edge.aws.asgi import AsgiScope, Receive, Send
from lakebed.edge.aws.journal import Journal
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Scope
from lakebed.ports.house import Ports
from lakebed.ports.service import Service

_BODY_BYTES_MAX = 64 << 10
_ROWS_MAX = 1000
Answer = tuple[int, Any]
_OPEN = ("health",)
_SNS_CERTIFICATE = "sns/SimpleNotificationService.pem"  # what SigningCertURL of SNS's notifications names


class WorldTime(Protocol):
    """The administrator's handles on Lakebed's clock (``kernel.world.WorldClock``)."""

    def advance(self, seconds: float) -> None:
        """Move forward."""
        ...

    def set_scale(self, scale: float) -> None:
        """Let time run faster or slower."""
        ...


@dataclass(frozen=True, slots=True)
class Handles:
    """What the house lets an administrator do. ``backup`` writes an archive to a path and tells counts."""

    version: str
    world: WorldTime | None = None
    reset: Callable[[], Awaitable[None]] | None = None
    backup: Callable[[Path], Awaitable[Mapping[str, Any]]] | None = None


class RefusedError(Exception):
    """An administrative request that is not granted: status and message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class Administration:
    """The administrator's endpoints."""

    def __init__(
        self, registry: Mapping[str, Service], k: Kernel, p: Ports, *, journal: Journal, handles: Handles
    ) -> None:
        self._registry, self._k, self._p, self._journal, self._handles = registry, k, p, journal, handles
        self._token = Token(k.data, "admin.token", k.ids)
        self._started = k.clock.monotonic()
        self._reads: dict[str, Callable[[Mapping[str, str]], Answer]] = {
            "health": self._health,
            "status": self._status,
            "tasks": self._tasks,
            "flow": self._flow,
            "logs": self._logs,
            "journal": self._requests,
            "clock": self._clock,
        }
        self._changes: dict[str, Callable[[Any], Awaitable[Answer]]] = {"clock": self._move_clock}
        if handles.backup is not None:
            self._changes["backup"] = self._backup
        if handles.reset is not None and k.settings.admin.reset:
            self._changes["reset"] = self._reset

    async def handle(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """One request."""
        try:
            status, document = await self._answer(scope, receive)
        except RefusedError as refused:
            status, document = refused.status, {"message": refused.message}
        except Exception as bug:
            self._k.log.error("administration failed", path=str(scope["path"]), exc=bug)  # noqa: TRY400 - our log takes the exception
            status, document = 500, {"message": f"{type(bug).__name__}; the log has more."}
        is_file = isinstance(document, bytes)
        body = document if is_file else msgspec.json.encode(document, enc_hook=str)
        headers = [
            (b"content-type", b"application/x-pem-file" if is_file else b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
            (b"x-content-type-options", b"nosniff"),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    async def _answer(self, scope: AsgiScope, receive: Receive) -> Answer:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        peer = (scope.get("client") or ("", 0))[0]
        if not (is_loopback(peer) and is_loopback(_host(headers.get("host", "")))):
            raise RefusedError(403, "Lakebed's own endpoints answer on the loopback address only.")
        name, method = str(scope["path"]).removeprefix("/_lakebed").strip("/"), scope["method"]
        if method in ("GET", "HEAD") and name in self._reads:
            if name not in _OPEN:
                self._check_administrator(headers)
            query = {key: values[-1] for key, values in parse_qs(scope["query_string"].decode("latin-1")).items()}
            return self._reads[name](query)
        if method in ("GET", "HEAD") and name == _SNS_CERTIFICATE:
            return 200, (await self._p.topics.signing_certificate()).encode()
        if method == "POST" and name in self._changes:
            self._check_administrator(headers)
            return await self._changes[name](await _read_json(receive))
        if name in self._reads or name in self._changes:
            raise RefusedError(405, f"{method} is not possible here.")
        raise RefusedError(404, "There is nothing here.")

    def _check_administrator(self, headers: Mapping[str, str]) -> None:
        origin = headers.get("origin")
        foreign = headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
        if foreign or (origin is not None and urlsplit(origin).netloc != headers.get("host")):
            raise RefusedError(403, "A page of another origin may not do this.")
        if not self._token.matches(headers.get("x-lakebed-token", "").encode()):
            raise RefusedError(403, "This needs the administrator's token (admin.token in the data directory).")

    # What is read

    def _health(self, _: Mapping[str, str]) -> Answer:
        healthy = self._k.tasks.healthy
        return (200 if healthy else 503), {"status": "ok" if healthy else "unhealthy"}

    def _status(self, _: Mapping[str, str]) -> Answer:
        where = self._p.addresses
        broken = [task.name for task in self._k.tasks.status() if task.broken]
        return 200, {
            "version": self._handles.version,
            "healthy": self._k.tasks.healthy,
            "http": where.http_url,
            "mqtt": f"{where.mqtt_host}:{where.mqtt_port}" if where.mqtt_port else None,
            "data": str(self._k.data),
            "uptime_seconds": round(self._k.clock.monotonic() - self._started, 1),
            "now": self._k.clock.now(),
            "services": {name: len(service.operations) for name, service in sorted(self._registry.items())},
            "broken_tasks": broken,
        }

    def _tasks(self, _: Mapping[str, str]) -> Answer:
        return 200, {"tasks": [asdict(status) for status in self._k.tasks.status()]}

    def _flow(self, query: Mapping[str, str]) -> Answer:
        return 200, self.flow(
            Scope(query.get("account", self._k.settings.seed.account), query.get("region", "us-east-1"))
        )

    def flow(self, scope: Scope) -> dict[str, Any]:
        """Meters, and the links configured in an account and region together with those seen; also the console's view."""
        snapshot: dict[str, Any] = self._k.meters.snapshot()
        links = {(link["source"], link["target"]): {**link, "label": ""} for link in snapshot["links"]}
        for service in self._registry.values():
            for link in service.topology(scope) if service.topology is not None else ():
                known = links.setdefault(
                    (link.source, link.target), {"source": link.source, "target": link.target, "records": 0}
                )
                known["label"], known["configured"] = link.label, True
        return {**snapshot, "links": list(links.values())}

    def _logs(self, query: Mapping[str, str]) -> Answer:
        lines = list(self._k.log.tail)
        if (level := query.get("level")) is not None:
            lines = [line for line in lines if line["level"] == level]
        return 200, {"lines": lines[-_limit(query) :]}

    def _requests(self, query: Mapping[str, str]) -> Answer:
        before = query.get("before", "")
        rows = self._journal.read(
            before=int(before) if before.isdigit() else None,
            limit=_limit(query),
            service=query.get("service", ""),
            errors=query.get("errors", "") in ("1", "true"),
        )
        return 200, {"requests": rows}

    def _clock(self, _: Mapping[str, str]) -> Answer:
        clock = self._k.clock
        now, wall = clock.now(), clock.wall()
        return 200, {"now": now, "offset": now - wall, "scale": getattr(clock, "scale", 1.0)}

    # What changes something

    async def _move_clock(self, document: Any) -> Answer:
        world = self._handles.world
        if world is None:
            raise RefusedError(409, "This house's clock cannot be moved.")
        given = document if isinstance(document, dict) else {}
        if len(given) != 1 or not given.keys() <= {"advance", "scale"}:
            raise RefusedError(400, 'Give one of {"advance": seconds} and {"scale": factor}.')
        (name, value), *_ = given.items()
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise RefusedError(400, f"{name} is a number.")
        try:
            (world.advance if name == "advance" else world.set_scale)(float(value))
        except ValueError as wrong:
            raise RefusedError(400, str(wrong)) from None
        return self._clock({})

    async def _backup(self, document: Any) -> Answer:
        path = document.get("path") if isinstance(document, dict) else None
        if not isinstance(path, str) or not Path(path).is_absolute():
            raise RefusedError(400, 'Give {"path": an absolute path for the archive}.')
        assert self._handles.backup is not None
        try:
            return 200, await self._handles.backup(Path(path))
        except OSError as failure:
            raise RefusedError(400, f"{path}: {failure.strerror}") from None

    async def _reset(self, _: Any) -> Answer:
        assert self._handles.reset is not None
        await self._handles.reset()
        return 200, {"status": "reset"}


def is_loopback(host: str) -> bool:
    """Whether a peer's address or a Host's name is this machine's loopback."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _host(header: str) -> str:
    return urlsplit(f"//{header}").hostname or ""


def _limit(query: Mapping[str, str]) -> int:
    text = query.get("limit", "")
    return min(max(int(text), 1), _ROWS_MAX) if text.isdigit() and len(text) < 6 else 100


async def _read_json(receive: Receive) -> Any:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > _BODY_BYTES_MAX:
            raise RefusedError(413, "The request is too long.")
        if not message.get("more_body", False):
            break
    if not body.strip():
        return {}
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        raise RefusedError(400, "The body is not JSON.") from None
