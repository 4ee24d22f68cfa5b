"""What rules look up outside their message, with the rights of the role the statement names.

https://docs.aws.amazon.com/iot/latest/developerguide/iot-sql-functions.html. What the role may not see is UNDEFINED, and
logged: one message must not hold up the others.
"""

from __future__ import annotations

from typing import Any

import msgspec

from lakebed.kernel.errors import AwsError
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Principal, Scope
from lakebed.ports.house import Ports
from lakebed.services.iot.group_store import GroupStore
from lakebed.services.iot.model import Rule
from lakebed.services.iot.shadows import document
from lakebed.services.iot.shadows.store import ShadowStore
from lakebed.services.iot.sql.outside import Calls
from lakebed.services.iot.sql.values import UNDEFINED
from lakebed.services.iot.store import IotStore

_SERVICE = "iot.amazonaws.com"
_CALLS_MAX = 16  # of one message, in one round


class Lookups:
    """Implements ``sql.outside.Reach``."""

    def __init__(self, k: Kernel, p: Ports, store: IotStore) -> None:
        self._k, self._p, self._store, self._shadows = k, p, store, ShadowStore(k.db)
        self._groups = GroupStore(k.db)

    def shadow(self, scope: Scope, thing: str, name: str, role_arn: str) -> Any:
        """A shadow document as GetThingShadow gives it."""
        arn = scope.arn("iot", f"thing/{thing}{f'/{name}' if name else ''}")
        if not self._may(role_arn, "iot:GetThingShadow", arn):
            return UNDEFINED
        found, _ = self._shadows.shadow(scope, thing, name)
        return UNDEFINED if found is None else document.whole(found, int(self._k.clock.now()))

    def registry(self, scope: Scope, call: str, thing: str, role_arn: str) -> Any:
        """DescribeThing or ListThingGroupsForThing."""
        if call not in ("DescribeThing", "ListThingGroupsForThing"):
            return UNDEFINED
        if not self._may(role_arn, f"iot:{call}", scope.arn("iot", f"thing/{thing}")):
            return UNDEFINED
        found = self._store.thing(scope, thing)
        if found is None:
            return UNDEFINED
        if call == "ListThingGroupsForThing":
            names = self._groups.of_thing(scope, thing)
            return {"thingGroups": [{"groupName": n, "groupArn": scope.arn("iot", f"thinggroup/{n}")} for n in names]}
        told: dict[str, Any] = {
            "defaultClientId": thing,
            "thingName": thing,
            "thingId": found.id,
            "thingArn": scope.arn("iot", f"thing/{thing}"),
            "attributes": dict(found.attributes),
            "version": found.version,
        }
        return {**told, "thingTypeName": found.type} if found.type else told

    async def call_functions(self, rule: Rule, calls: Calls) -> None:
        """Make the calls that were wanted; a function that fails answers UNDEFINED."""
        wanted, calls.wanted = list(dict.fromkeys(calls.wanted))[:_CALLS_MAX], []
        caller = Principal(rule.scope.account, _SERVICE, "service", _SERVICE)
        for function_arn, argument in wanted:
            answer: Any = UNDEFINED
            try:
                done = await self._p.functions.invoke(caller, function_arn, argument.encode(), source_arn=rule.arn)
                if done.error is None:
                    answer = msgspec.json.decode(done.payload)
                else:
                    self._k.log.warning("aws_lambda failed", rule=rule.arn, function=function_arn, error=done.error)
            except (AwsError, msgspec.DecodeError) as failure:
                self._k.log.warning("aws_lambda failed", rule=rule.arn, function=function_arn, exc=failure)
            calls.answers[function_arn, argument] = answer

    def _may(self, role_arn: str, action: str, arn: str) -> bool:
        try:
            principal = self._p.identity.service_session(role_arn, _SERVICE, session_name="iot-rule")
            self._p.identity.authorise(principal, action, arn)
        except AwsError as refused:
            self._k.log.info("rule lookup refused", action=action, resource=arn, detail=refused.message)
            return False
        return True
