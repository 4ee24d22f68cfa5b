"""What every part of IoT Core is made with, and what must hear of a change."""

from __future__ import annotations

from dataclasses import dataclass

from lakebed.api import iot as api
from lakebed.kernel.arn import parse
from lakebed.kernel.db import Tx
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Scope
from lakebed.ports.house import Ports
from lakebed.services.iot.gate import Gate
from lakebed.services.iot.group_store import THING, GroupStore
from lakebed.services.iot.model import Certificate
from lakebed.services.iot.reserved import Reserved
from lakebed.services.iot.rules import RuleEngine
from lakebed.services.iot.store import IotStore

TAGS_MAX = 50


@dataclass(frozen=True, slots=True)
class Core:
    """The state of the service."""

    k: Kernel
    p: Ports
    store: IotStore
    engine: RuleEngine
    gate: Gate
    reserved: Reserved
    groups: GroupStore

    def access_changed(self, tx: Tx) -> None:
        """Policy decisions must be made anew once ``tx`` is durable."""
        tx.after_commit(self.gate.changed)

    def target_of(self, scope: Scope, target: str) -> str:
        """What a policy is attached to: the ARN of a certificate or thing group that exists."""
        arn = parse(target)
        if arn is None or not arn.resource.startswith("thinggroup/"):
            return self.certificate_of(scope, target).arn
        name = arn.resource.removeprefix("thinggroup/")
        if target != scope.arn("iot", arn.resource) or self.groups.group(scope, THING, name) is None:
            raise api.ResourceNotFoundException(f"Thing group {target} does not exist")
        return target

    def certificate_of(self, scope: Scope, principal: str) -> Certificate:
        """The certificate a principal ARN names; InvalidRequestException for other kinds."""
        arn = parse(principal)
        if arn is None or arn.service != "iot" or not arn.resource.startswith("cert/"):
            raise api.InvalidRequestException(f"Invalid principal: {principal}")
        found = self.store.certificate(scope, arn.resource.removeprefix("cert/"))
        if found is None or found.arn != principal:
            raise api.ResourceNotFoundException(f"Certificate {principal} does not exist.")
        return found


def tags_of(given: list[api.Tag] | None) -> dict[str, str]:
    """A tag list as a mapping, checked against the quota."""
    tags = {tag["Key"]: tag.get("Value", "") for tag in given or ()}
    if len(tags) > TAGS_MAX:
        raise api.LimitExceededException(f"A resource can have {TAGS_MAX} tags.")
    return tags
