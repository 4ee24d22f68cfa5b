"""From checked members to a result: refuse what is not built, ask for permission, call the handler.

Shared by the socket's door and by ``edge.loopback``, so that a call of the console is decided like any other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lakebed.edge.aws import errors
from lakebed.edge.aws.route import ANYBODYS_LINKS
from lakebed.kernel.errors import AwsError, not_built
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Principal, Scope
from lakebed.ports.house import Ports
from lakebed.ports.service import Context, Operation, Service
from lakebed.wire.aws.codec import Codec


@dataclass(frozen=True, slots=True)
class Who:
    """The circumstances of a call."""

    principal: Principal
    scope: Scope
    request_id: str
    endpoint: str
    headers: Mapping[str, str] = field(default_factory=dict)
    source_ip: str = "127.0.0.1"

    def conditions(self) -> dict[str, str | Sequence[str]]:
        """The condition keys that only the door knows."""
        return {
            "aws:SourceIp": self.source_ip,
            "aws:SecureTransport": "true" if self.endpoint.startswith("https:") else "false",
            "aws:UserAgent": self.headers.get("user-agent", ""),
            "aws:RequestedRegion": self.scope.region,
        }


@dataclass(slots=True)
class Trace:
    """What the journal wants to know of a call, filled in as far as the call got."""

    service: str = ""
    operation: str = ""
    resource: str = ""
    error: str = ""


class Dispatch:
    """Runs operations of the registry's services."""

    def __init__(self, registry: Mapping[str, Service], k: Kernel, p: Ports) -> None:
        self._registry, self._k, self._p = registry, k, p

    def has(self, service: str, operation: str) -> bool:
        """Whether an operation is built."""
        made = self._registry.get(service)
        return made is not None and operation in made.operations

    def built(self, service: str, operation: str) -> Operation:
        """The operation, or 501 naming both."""
        made = self._registry.get(service)
        found = made.operations.get(operation) if made is not None else None
        if found is None:
            raise not_built(service, operation)
        return found

    async def run(self, codec: Codec, operation: Operation, params: dict[str, Any], who: Who, trace: Trace) -> Any:
        """Check, authorise, call; the handler's result."""
        if who.principal.kind == "anonymous" and not _may_be_anonymous(codec.service, operation):
            raise errors.missing_token()
        for member in operation.refused:
            if member in params:
                raise not_built(codec.service, operation.name, member)
        codec.check(operation.name, params)
        resources = _resources(operation, params, who.scope)
        trace.resource = resources[0] if operation.resource is not None and resources else ""
        if operation.action is not None:
            conditions = who.conditions()
            for resource in resources:
                self._p.identity.authorise(who.principal, operation.action, resource, conditions=conditions)
        context = Context(
            scope=who.scope,
            principal=who.principal,
            request_id=who.request_id,
            now=self._k.clock.now(),
            service=codec.service,
            operation=operation.name,
            endpoint=who.endpoint,
            headers=who.headers,
            source_ip=who.source_ip,
        )
        return await operation.handler(context, params)


def _may_be_anonymous(service: str, operation: Operation) -> bool:
    """S3 asks the bucket's policy itself; SNS's links carry a token, or are the endpoint's own way out."""
    if service == "sns":
        return operation.name in ANYBODYS_LINKS
    return service == "s3" and operation.action is None


def _resources(operation: Operation, params: dict[str, Any], scope: Scope) -> Sequence[str]:
    if operation.resource is None:
        return ("*",)
    try:
        found = operation.resource(scope, params)
    except AwsError:
        if operation.action is not None:
            raise
        return ()  # the handler asks for its own permission and says what is wrong
    return (found,) if isinstance(found, str) else found
