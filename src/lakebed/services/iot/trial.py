"""A rule tried on a message: what its SQL would hand to the actions, with none of them run and nothing counted.

The statement sees what it would see in a rule (shadows and the registry by the roles it names, which the asker must be
able to pass); ``aws_lambda`` has effects and is refused. Not of AWS's API: the console asks, through ``ports.devices.Rules``.
https://docs.aws.amazon.com/iot/latest/developerguide/iot-sql-reference.html
"""

from __future__ import annotations

from lakebed.api import iot as api
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Principal, Scope
from lakebed.ports.devices import Attempt
from lakebed.ports.house import Ports
from lakebed.services.iot.acting import SERVICE
from lakebed.services.iot.lookups import Lookups
from lakebed.services.iot.sql.lexer import SqlError
from lakebed.services.iot.sql.outside import Calls
from lakebed.services.iot.sql.parser import Statement, parse
from lakebed.services.iot.sql.values import Env
from lakebed.services.iot.store import IotStore
from lakebed.wire.mqtt.topics import is_filter, matches

_CLIENT = "trial"
_PAYLOAD_BYTES_MAX = 128 << 10  # of a message: https://docs.aws.amazon.com/general/latest/gr/iot-core.html
_TOPIC_BYTES_MAX = 256


class RuleTrial:
    """Implements ``lakebed.ports.devices.Rules``."""

    def __init__(self, k: Kernel, p: Ports, store: IotStore) -> None:
        self._k, self._p, self._lookups = k, p, Lookups(k, p, store)

    def attempt(self, principal: Principal, scope: Scope, sql: str, topic: str, payload: bytes) -> Attempt:
        """See the port."""
        self._p.identity.authorise(principal, "iot:CreateTopicRule", scope.arn("iot", f"rule/{_CLIENT}"))
        statement = _statement(sql)
        if not 0 < len(topic.encode()) <= _TOPIC_BYTES_MAX or "+" in topic or "#" in topic:
            raise api.InvalidRequestException("A topic is 1 to 256 bytes and has no wildcard.")
        if len(payload) > _PAYLOAD_BYTES_MAX:
            raise api.InvalidRequestException("A message is 128 KiB at most.")
        for role_arn in statement.roles:
            self._p.identity.check_pass_role(principal, role_arn, SERVICE)
        if statement.topic_filter and not matches(statement.topic_filter, topic):
            return Attempt(is_of_topic=False)
        env = Env(topic, payload, scope, _CLIENT, principal.arn, self._k.clock.now(), self._k.ids)
        env.reach, calls = self._lookups, Calls()
        env.calls = calls
        try:
            made = statement.result(env) if statement.accepts(env) else None
        except (TypeError, ValueError, ArithmeticError, RecursionError) as wrong:
            raise api.InvalidRequestException(f"The statement cannot cope with this message: {wrong}") from None
        if calls.wanted:
            raise api.InvalidRequestException(f"A trial calls no function, and this would call {calls.wanted[0][0]}.")
        return Attempt(is_of_topic=True, payload=made)


def _statement(sql: str) -> Statement:
    try:
        statement = parse(sql)
    except SqlError as wrong:
        raise api.SqlParseException(str(wrong)) from None
    if statement.topic_filter and not is_filter(statement.topic_filter):
        raise api.SqlParseException(f"FROM names a malformed topic filter: {statement.topic_filter}")
    return statement
