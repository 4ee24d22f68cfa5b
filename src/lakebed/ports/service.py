"""What a service is, seen from the edge: operations by name, and the background work that belongs to it.

A provider class marks its methods with ``@operation``; ``operations_of(provider)`` collects them. The edge parses and
checks the request, authenticates, asks for authorisation of ``action`` on ``resource``, then calls
``await handler(context, request)`` with the parsed members and serialises what it returns. A handler raises
``AwsError`` for everything a client did wrong.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from lakebed.kernel.errors import AwsError
from lakebed.kernel.scope import Principal, Scope
from lakebed.kernel.tasks import Task
from lakebed.wire.aws.message import HttpRequest, HttpResponse

Request = dict[str, Any]
Result = dict[str, Any]
Handler = Callable[["Context", Any], Awaitable[Any]]
ResourceOf = Callable[[Scope, Request], str | Sequence[str]]
_Method = TypeVar("_Method", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Context:
    """One authenticated call: who, where, when. ``endpoint`` is our base URL as this client reached it."""

    scope: Scope
    principal: Principal
    request_id: str
    now: float
    service: str
    operation: str
    endpoint: str
    headers: Mapping[str, str] = field(default_factory=dict)
    source_ip: str = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Operation:
    """A built operation. ``action`` is the IAM action (None: every authenticated caller may), ``resource`` what it is on."""

    name: str
    handler: Handler
    action: str | None
    resource: ResourceOf | None
    refused: tuple[str, ...]


class Door(Protocol):
    """An HTTP interface of a service that is none of botocore's models (Glue's Iceberg REST catalog): requests signed for
    the service whose path begins with ``prefix`` go to it, signature verified, body read. It asks for permissions itself."""

    prefix: str

    def operation(self, request: HttpRequest) -> str:
        """What a request is for, as the journal shows it."""
        ...

    async def handle(self, ctx: Context, request: HttpRequest) -> HttpResponse:
        """The answer; AwsError is told by ``failed``."""
        ...

    def failed(self, error: AwsError) -> HttpResponse:
        """A refusal in the interface's own form."""
        ...


@dataclass(frozen=True, slots=True)
class Link:
    """A configured edge of the pipeline graph: records go from one ARN to another."""

    source: str
    target: str
    label: str = ""


@dataclass(slots=True)
class Service:
    """A service as the house wires it. ``name`` is botocore's (``iot-data``), also where it is built in a shared package.

    ``topology`` yields the configured links of an account and region; ``start`` runs once all services exist and before
    the tasks do; ``stop`` after the tasks ended.
    """

    name: str
    operations: Mapping[str, Operation]
    tasks: Sequence[Task] = ()
    topology: Callable[[Scope], Sequence[Link]] | None = None
    start: Callable[[], Awaitable[None]] | None = None
    stop: Callable[[], Awaitable[None]] | None = None
    door: Door | None = None


def operation(
    name: str,
    *,
    action: str | None = "",
    resource: ResourceOf | None = None,
    refused: Sequence[str] = (),
) -> Callable[[_Method], _Method]:
    """Mark a provider's method as an operation.

    ``action`` defaults to ``<signing name>:<name>``; None means no permission is needed. ``resource(scope, request)``
    gives the ARN or ARNs the permission is asked for (default ``*``). ``refused`` names top-level members of the input
    that are not built: the edge answers 501 naming the member when a client sends one.
    """

    def mark(method: _Method) -> _Method:
        method.__operation__ = (name, action, resource, tuple(refused))  # type: ignore[attr-defined]  # a marker on a function
        return method

    return mark


def operations_of(*providers: object, prefix: str) -> dict[str, Operation]:
    """The marked methods of the providers; ``prefix`` is the IAM prefix (``kinesis``)."""
    found: dict[str, Operation] = {}
    for provider in providers:
        for attribute in dir(type(provider)):
            marker = getattr(getattr(type(provider), attribute), "__operation__", None)
            if marker is None:
                continue
            name, action, resource, refused = marker
            if name in found:
                raise ValueError(f"{prefix}:{name} is built twice")
            found[name] = Operation(
                name, getattr(provider, attribute), f"{prefix}:{name}" if action == "" else action, resource, refused
            )
    return found
