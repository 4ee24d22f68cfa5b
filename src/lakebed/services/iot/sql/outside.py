"""Functions that reach beyond the message: ``aws_lambda``, ``get_thing_shadow``, ``get_registry_data``.

A shadow or a thing is looked up while the expression is evaluated. A Lambda function takes time: the first evaluation
notes which calls it wants and gives UNDEFINED for them, the engine makes them, and the statement is evaluated again with
the answers. Roles must be literals, as on AWS, so that they can be checked when the rule is made.

https://docs.aws.amazon.com/iot/latest/developerguide/iot-sql-functions.html#iot-func-aws-lambda
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from lakebed.kernel.scope import Scope
from lakebed.services.iot.sql.values import UNDEFINED, Env, clean, text

ROLE_AT_END = frozenset({"get_thing_shadow", "get_registry_data"})


class Reach(Protocol):
    """What the service can look up for a rule; each acts as the role. UNDEFINED where there is nothing to see."""

    def shadow(self, scope: Scope, thing: str, name: str, role_arn: str) -> Any:
        """A shadow document."""
        ...

    def registry(self, scope: Scope, call: str, thing: str, role_arn: str) -> Any:
        """What DescribeThing or ListThingGroupsForThing says."""
        ...


@dataclass(slots=True)
class Calls:
    """Lambda functions a message's rule wants called, by function and input, and what they answered."""

    answers: dict[tuple[str, str], Any] = field(default_factory=dict)
    wanted: list[tuple[str, str]] = field(default_factory=list)


def aws_lambda(env: Env, function_arn: Any, argument: Any) -> Any:
    """The function's answer, once it is there."""
    if env.calls is None:
        return UNDEFINED
    key = text(function_arn), msgspec.json.encode(clean(argument)).decode()
    if key in env.calls.answers:
        return env.calls.answers[key]
    env.calls.wanted.append(key)
    return UNDEFINED


def get_thing_shadow(env: Env, thing: Any, *rest: Any) -> Any:
    """``(thing, [shadow name], role)``: the whole document."""
    name = text(rest[0]) if len(rest) > 1 else ""
    return UNDEFINED if env.reach is None else env.reach.shadow(env.scope, text(thing), name, text(rest[-1]))


def get_registry_data(env: Env, call: Any, thing: Any, role_arn: Any) -> Any:
    """``("DescribeThing", thing, role)``."""
    if env.reach is None:
        return UNDEFINED
    return env.reach.registry(env.scope, text(call), text(thing), text(role_arn))
