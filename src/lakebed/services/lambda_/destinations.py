"""Where the news of an invocation's end goes: a queue, a topic, a function, an event bus, a bucket.

Sent as the function's role, whose permissions decide. A delivery that fails is counted and logged and not tried again, as
in AWS.

https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
https://docs.aws.amazon.com/lambda/latest/dg/kinesis-on-failure-destination.html
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from lakebed.api.lambda_ import ResourceNotFoundException
from lakebed.kernel.arn import parse
from lakebed.kernel.errors import AwsError
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Principal, Scope
from lakebed.ports.house import Ports
from lakebed.ports.queues import Outgoing
from lakebed.services.lambda_.model import invalid


@dataclass(frozen=True, slots=True)
class Notice:
    """What is told: ``text`` as it is sent; ``attributes`` with a message; the function and condition for an event bus;
    ``folder`` below ``aws/lambda/`` for a bucket; ``trace`` so that loops are seen."""

    text: str
    scope: Scope
    function_arn: str
    succeeded: bool = False
    folder: str = ""
    trace: str = ""
    attributes: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # name: (data type, value)


def checked(target: str, kinds: Collection[str]) -> str:
    """A destination as a request gives it: of a kind that is taken there, or none."""
    if not target:
        return ""
    arn = parse(target)
    if arn is None or arn.service not in kinds:
        raise invalid(f"The provided destination config DestinationConfig is not valid: {target}")
    if arn.service == "events" and not arn.resource.startswith("event-bus/"):
        raise invalid(f"The provided destination config DestinationConfig is not valid: {target}")
    if arn.service == "sns" and arn.resource.endswith(".fifo"):
        raise invalid(f"The destination is a FIFO topic, which is not supported: {target}")
    return target


class Destinations:
    """Delivers notices."""

    def __init__(self, kernel: Kernel, ports: Ports) -> None:
        self.k, self.p = kernel, ports

    async def send(self, role: Principal, target: str, notice: Notice) -> None:
        """Deliver, or raise the target's error."""
        arn = parse(target)
        kind = arn.service if arn is not None else ""
        attributes = {
            name: {"DataType": data_type, "StringValue": value}
            for name, (data_type, value) in notice.attributes.items()
        }
        if kind == "sqs":
            await self.p.queues.deliver(role, target, [Outgoing(notice.text, attributes)])
        elif kind == "sns":
            await self.p.topics.publish(role, target, notice.text, attributes=attributes)
        elif kind == "lambda":
            await self.p.functions.invoke_later(role, target, notice.text.encode(), trace=notice.trace)
        elif kind == "events" and arn is not None:
            if (arn.account, arn.region) != (notice.scope.account, notice.scope.region):
                raise ResourceNotFoundException(f"No such destination here: {target}")
            self.p.identity.authorise(role, "events:PutEvents", target)
            end = "Success" if notice.succeeded else "Failure"
            await self.p.events.put(
                notice.scope,
                "lambda",
                f"Lambda Function Invocation Result - {end}",
                json.loads(notice.text),
                resources=[target, notice.function_arn],
                bus=arn.resource.removeprefix("event-bus/"),
            )
        elif kind == "s3" and arn is not None:
            await self.p.objects.put(
                role, arn.resource, self._key(notice), notice.text.encode(), content_type="application/json"
            )
        else:
            raise ResourceNotFoundException(f"No such destination: {target}")
        self.k.meters.link(notice.function_arn, target, 1)

    async def try_to(self, role: Principal, target: str, notice: Notice) -> bool:
        """Deliver; whether it came through."""
        try:
            await self.send(role, target, notice)
        except AwsError as failure:
            self.k.log.warning("destination failed", function=notice.function_arn, target=target, exc=failure)
            self.k.meters.error(notice.function_arn)
            return False
        return True

    def _key(self, notice: Notice) -> str:
        now = datetime.fromtimestamp(self.k.clock.now(), UTC)
        return f"aws/lambda/{notice.folder}/{now:%Y/%m/%d}/{now:%Y-%m-%dT%H.%M.%S}-{self.k.ids.uuid()}"
