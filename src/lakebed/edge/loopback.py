"""The request path without a socket: for the console and other code of ours that calls operations by name.

Parameters are checked, the caller is authorised and the call is journalled exactly as if it had come through the door;
only bytes and signatures are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lakebed.edge.aws.dispatch import Dispatch, Trace, Who
from lakebed.edge.aws.journal import Entry, Journal
from lakebed.kernel.errors import AwsError
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Principal, Scope
from lakebed.ports.house import Ports
from lakebed.ports.service import Service
from lakebed.wire.aws.codec import codec


class Loopback:
    """Calls operations in process."""

    def __init__(self, registry: Mapping[str, Service], k: Kernel, p: Ports, journal: Journal) -> None:
        self._k, self._p, self._journal = k, p, journal
        self._dispatch = Dispatch(registry, k, p)

    async def call(
        self, service: str, operation: str, params: Mapping[str, Any], principal: Principal, scope: Scope
    ) -> dict[str, Any]:
        """What the operation returns, by the model's names; AwsError as a client would see it."""
        started, request_id = self._k.clock.monotonic(), self._k.ids.uuid()
        trace, status = Trace(service, operation), 200
        who = Who(principal, scope, request_id, self._p.addresses.http_url, {"user-agent": "lakebed-loopback"})
        try:
            built = self._dispatch.built(service, operation)
            result: dict[str, Any] = await self._dispatch.run(codec(service), built, dict(params), who, trace) or {}
        except AwsError as error:
            trace.error, status = error.error_code, error.http_status or 400
            raise
        finally:
            self._journal.add(
                Entry(
                    at=self._k.clock.now(),
                    request_id=request_id,
                    account=scope.account,
                    region=scope.region,
                    principal=principal.arn,
                    service=service,
                    operation=operation,
                    resource=trace.resource,
                    status=status,
                    error=trace.error,
                    duration_ms=round((self._k.clock.monotonic() - started) * 1000, 3),
                    bytes_in=0,
                    bytes_out=0,
                    user_agent="lakebed-loopback",
                )
            )
        return result
