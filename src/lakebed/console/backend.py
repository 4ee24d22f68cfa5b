"""What the console is given by the house: calls into the AWS APIs, the flow view, addresses, the clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from lakebed.kernel.clock import Clock
from lakebed.kernel.scope import Scope


class Caller(Protocol):
    """Calls an operation as the console's user; raises AwsError."""

    async def __call__(self, service: str, operation: str, params: Mapping[str, Any], scope: Scope) -> dict[str, Any]:
        """The result as the operation gives it."""
        ...


class FlowView(Protocol):
    """Meters and configured links of one account and region: ``{"at", "resources": {arn: …}, "links": [...]}``."""

    def __call__(self, scope: Scope) -> dict[str, Any]:
        """A snapshot."""
        ...


@dataclass(frozen=True, slots=True)
class Backend:
    """Handed to ``console.app.build``."""

    call: Caller
    flow: FlowView
    clock: Clock
    scope: Scope
    version: str
