"""Lambda as other services use it; see ``lakebed.ports.functions``."""

from __future__ import annotations

from lakebed.kernel.arn import parse
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Principal, Scope
from lakebed.ports.functions import Invocation
from lakebed.services.lambda_.invoking import Event, Invoker
from lakebed.services.lambda_.later import LaterQueue
from lakebed.services.lambda_.names import Reference, not_found, reference


class FunctionsPort:
    """Implements ``Functions``."""

    def __init__(self, kernel: Kernel, invoker: Invoker, queue: LaterQueue) -> None:
        self.k, self._invoker, self._queue = kernel, invoker, queue

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
        self, principal: Principal, function_arn: str, payload: bytes, *, source_arn: str | None = None
    ) -> str:
        """Queue an asynchronous invocation."""
        return self._queue.add(self._allowed(principal, function_arn, source_arn), payload)

    def check_destination(self, principal: Principal, function_arn: str, *, source_arn: str | None = None) -> None:
        """Raise unless the function exists and ``principal`` may invoke it."""
        self._allowed(principal, function_arn, source_arn)

    def _allowed(self, principal: Principal, function_arn: str, source_arn: str | None) -> Reference:
        arn = parse(function_arn)
        if arn is None or arn.service != "lambda":
            raise not_found(function_arn)
        named = reference(Scope(arn.account, arn.region, arn.partition), function_arn)
        self._invoker.resolve(named)
        self._invoker.authorise(principal, named, source_arn=source_arn)
        return named
