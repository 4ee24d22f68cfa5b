"""Lambda as other services use it; see ``lakebed.ports.functions``."""

from __future__ import annotations

from lakebed.kernel.arn import parse
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Principal, Scope
from lakebed.ports.functions import Invocation, UrlAnswer, UrlRequest, UrlTarget
from lakebed.services.lambda_.invoking import Event, Invoker
from lakebed.services.lambda_.later import LaterQueue
from lakebed.services.lambda_.names import Reference, not_found, reference
from lakebed.services.lambda_.packages import Packages
from lakebed.services.lambda_.serving import UrlServing


class FunctionsPort:
    """Implements ``Functions``."""

    def __init__(
        self, kernel: Kernel, invoker: Invoker, queue: LaterQueue, serving: UrlServing, packages: Packages
    ) -> None:
        self.k, self._invoker, self._queue = kernel, invoker, queue
        self._serving, self._packages = serving, packages

    async def invoke(
        self, principal: Principal, function_arn: str, payload: bytes, *, source_arn: str | None = None
    ) -> Invocation:
        """Run the function and wait."""
        named = self._allowed(principal, function_arn, source_arn)
        version = self._invoker.resolve(named)
        request_id = self.k.ids.uuid()
        came = await self._invoker.run(named, version, Event(payload, request_id))
        return Invocation(200, came.payload, came.error, request_id)

    async def invoke_later(
        self, principal: Principal, function_arn: str, payload: bytes, *, source_arn: str | None = None, trace: str = ""
    ) -> str:
        """Queue an asynchronous invocation."""
        return self._queue.add(self._allowed(principal, function_arn, source_arn), payload, trace=trace)

    def check_destination(self, principal: Principal, function_arn: str, *, source_arn: str | None = None) -> None:
        """Raise unless the function exists and ``principal`` may invoke it."""
        self._allowed(principal, function_arn, source_arn)

    def url_target(self, host: str, raw_path: str) -> UrlTarget | None:
        """Which function URL a request is for."""
        return self._serving.target(host, raw_path)

    async def serve_url(self, target: UrlTarget, request: UrlRequest) -> UrlAnswer:
        """Answer a request at a function URL."""
        return await self._serving.serve(target, request)

    async def serve_package(self, raw_path: str, query: str) -> bytes | None:
        """The package of a link."""
        return await self._packages.fetch(raw_path, query)

    def _allowed(self, principal: Principal, function_arn: str, source_arn: str | None) -> Reference:
        arn = parse(function_arn)
        if arn is None or arn.service != "lambda":
            raise not_found(function_arn)
        named = reference(Scope(arn.account, arn.region, arn.partition), function_arn)
        self._invoker.resolve(named)
        self._invoker.authorise(principal, named, source_arn=source_arn)
        return named
