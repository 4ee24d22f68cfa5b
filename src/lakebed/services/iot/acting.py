"""What every rule action is made of: messages in, failures out, and delivery that waits while it is throttled.

https://docs.aws.amazon.com/iot/latest/developerguide/iot-rule-actions.html. Each action takes a whole batch and says
which messages failed. Roles are assumed for each batch as ``iot.amazonaws.com``, so what was revoked counts at once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from lakebed.kernel.errors import AwsError
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Principal, Scope
from lakebed.ports.house import Ports
from lakebed.services.iot.model import Rule
from lakebed.services.iot.sql.template import Template, UndefinedPartError
from lakebed.services.iot.sql.values import Env

SERVICE = "iot.amazonaws.com"
_ATTEMPTS_MAX = 8
_THROTTLED = frozenset(
    {"ProvisionedThroughputExceededException", "ThrottlingException", "ServiceUnavailableException", "SlowDown"}
)


class Selected(NamedTuple):
    """A message and what the rule selected of it."""

    env: Env
    payload: bytes


class Failure(NamedTuple):
    """One message an action could not deliver; ``place`` is where in the batch it stood."""

    place: int
    action: str
    resource: str
    message: str


@dataclass(slots=True)
class Outcome:
    """What an action did not do, and messages that now go round again."""

    failures: list[Failure] = field(default_factory=list)
    republished: list[Env] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Action:
    """A compiled action. ``target`` is the ARN the pipeline graph shows, where it does not depend on the message."""

    kind: str
    rule: Rule
    target: str | None
    role_arn: str | None
    run: Callable[[Sequence[Selected]], Awaitable[Outcome]]


Run = Callable[[Sequence[Selected]], Awaitable[Outcome]]


@dataclass(frozen=True, slots=True)
class Maker:
    """What every kind of action is made with."""

    rule: Rule
    k: Kernel
    p: Ports

    @property
    def scope(self) -> Scope:
        return self.rule.scope

    def assume(self, role_arn: str) -> Principal:
        return self.p.identity.service_session(role_arn, SERVICE, session_name=self.rule.name[:64])

    def action(
        self,
        kind: str,
        target: str | None,
        role_arn: str | None,
        run: Run,
    ) -> Action:
        return Action(kind, self.rule, target, role_arn, run)

    async def deliver(self, call: Callable[[], Awaitable[object]]) -> str | None:
        """Call, again while throttled; what went wrong in the end."""
        for attempt in range(_ATTEMPTS_MAX):
            try:
                await call()
            except AwsError as failure:
                if failure.error_code not in _THROTTLED or attempt == _ATTEMPTS_MAX - 1:
                    return f"{failure.error_code}: {failure.message}"
                await self.k.clock.sleep_until(self.k.clock.now() + min(0.05 * 2**attempt, 1.0))
            else:
                return None
        return None

    def sent(self, count: int, size: int, target: str) -> None:
        self.k.meters.out(self.rule.arn, count, size, to=target)

    async def each(
        self, kind: str, selected: Sequence[Selected], fill: Template, send: Callable[[str, Selected], Awaitable[str]]
    ) -> Outcome:
        """One call for each message; ``send`` gives the ARN it reached."""
        outcome = Outcome()
        for index, item in enumerate(selected):
            resource = ""
            try:
                resource = fill(item.env)
                reached = ""

                async def call(resource: str = resource, item: Selected = item) -> None:
                    nonlocal reached
                    reached = await send(resource, item)

                wrong = await self.deliver(call)
            except UndefinedPartError as undefined:
                wrong = str(undefined)
            if wrong is None:
                self.sent(1, len(item.payload), reached)
            else:
                outcome.failures.append(Failure(index, kind, resource, wrong))
        return outcome
