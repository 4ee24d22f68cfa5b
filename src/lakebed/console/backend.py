"""What the console is given by the house: calls into the AWS APIs, read-only views of the house, the clock.

The views default to nothing, so that a test or a tool can serve pages over calls alone. ``sessions`` says who may see a
page; ``token`` guards what the console can do besides reading: where it is empty it does nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from lakebed.console.sessions import Sessions
from lakebed.kernel.clock import Clock
from lakebed.kernel.errors import AwsError
from lakebed.kernel.scope import Scope
from lakebed.ports.advice import Advice
from lakebed.ports.devices import Attempt
from lakebed.ports.queues import Waiting


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


class RequestsView(Protocol):
    """The journal of API calls, newest first, below the row ``before``."""

    def __call__(
        self, *, before: int | None = None, limit: int = 100, service: str = "", errors: bool = False
    ) -> Sequence[Mapping[str, Any]]:
        """Rows."""
        ...


def _no_requests(
    *, before: int | None = None, limit: int = 100, service: str = "", errors: bool = False
) -> Sequence[Mapping[str, Any]]:
    del before, limit, service, errors
    return ()


def _no_devices(scope: Scope) -> str:
    raise AwsError("ServiceUnavailable", f"No MQTT door is open for {scope.region} here.", status=503)


def _no_messages(queue_arn: str, limit: int) -> Sequence[Waiting]:
    del queue_arn, limit
    return ()


def _no_rules(scope: Scope, sql: str, topic: str, payload: bytes) -> Attempt:
    del sql, topic, payload
    raise AwsError("ServiceUnavailable", f"No rule can be tried in {scope.region} here.", status=503)


def _no_upload(scope: Scope, bucket: str, prefix: str, back: str) -> Mapping[str, str]:
    del bucket, prefix, back
    raise AwsError("ServiceUnavailable", f"Nothing can be uploaded in {scope.region} here.", status=503)


async def _no_advice(scope: Scope, first: str, second: str = "") -> Sequence[Advice]:
    del scope, first, second
    return ()


@dataclass(frozen=True, slots=True)
class Backend:
    """Handed to ``console.app.build``. ``status`` tells doors, data directory, health; ``tasks`` the background work;
    ``peek`` and ``attempt`` are what no operation of AWS does: a queue's messages unreceived, a rule tried. ``upload`` gives the
    fields of a form to S3, ``origin`` is where the browser found the page. ``advise_…`` measure
    what other layouts of tables would save."""

    call: Caller
    flow: FlowView
    clock: Clock
    scope: Scope
    version: str
    sessions: Sessions
    status: Callable[[], Mapping[str, Any]] = dict
    tasks: Callable[[], Sequence[Mapping[str, Any]]] = tuple
    requests: RequestsView = _no_requests
    device_link: Callable[[Scope], str] = _no_devices
    peek: Callable[[str, int], Sequence[Waiting]] = _no_messages
    attempt: Callable[[Scope, str, str, bytes], Attempt] = _no_rules
    upload: Callable[[Scope, str, str, str], Mapping[str, str]] = _no_upload
    advise_table: Callable[[Scope, str, str], Awaitable[Sequence[Advice]]] = _no_advice
    advise_query: Callable[[Scope, str], Awaitable[Sequence[Advice]]] = _no_advice
    token: str = ""
    origin: str = ""
