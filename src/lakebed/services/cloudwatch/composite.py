"""Composite alarms as values: rules over the states of other alarms.

    ALARM("cpu too high") AND NOT OK(arn:aws:cloudwatch:…:alarm:disk) OR FALSE

https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutCompositeAlarm.html
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-combining.html

NOT binds closest, then AND, then OR. An alarm that does not exist is in no state. Suppressors are refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from lakebed.kernel.errors import AwsError
from lakebed.kernel.scope import Scope
from lakebed.services.cloudwatch import model
from lakebed.services.cloudwatch.alarms import ACTIONS, Alarm, check_actions

NEVER = 1e18  # a composite alarm is looked at when another changes, not by the clock
_STATES = ("ALARM", "OK", "INSUFFICIENT_DATA")
_TOKEN = re.compile(
    r"""\s*(?:(?P<call>ALARM|OK|INSUFFICIENT_DATA)\s*\(\s*(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<bare>[^\s)"']+))\s*\)"""
    r"""|(?P<word>AND|OR|NOT|TRUE|FALSE)\b|(?P<sign>[()]))"""
)
_CHILDREN_MAX, _DEPTH_MAX = 100, 100
_KEPT = ("AlarmName", "AlarmDescription", "AlarmRule", *ACTIONS.values())
States = Mapping[str, str]
_Holds = Callable[[States], bool]


class Rule(NamedTuple):
    """A rule taken apart: the alarms it names, and whether it holds for their states."""

    children: tuple[str, ...]
    holds: _Holds


def wrong(message: str) -> AwsError:
    """ValidationError."""
    return AwsError("ValidationError", message)


def parse(text: str) -> Rule:
    """The rule of an expression."""
    parser = _Parser(text)
    holds = parser.alternatives(0)
    if parser.tokens:
        raise wrong("AlarmRule is not valid: it goes on behind its end.")
    children = tuple(dict.fromkeys(parser.children))
    if len(children) > _CHILDREN_MAX:
        raise wrong(f"AlarmRule names more than {_CHILDREN_MAX} alarms.")
    return Rule(children, holds)


class _Parser:
    def __init__(self, text: str) -> None:
        self.tokens: list[re.Match[str]] = []
        self.children: list[str] = []
        position, end = 0, len(text.rstrip())
        while position < end:
            found = _TOKEN.match(text, position)
            if found is None:
                raise wrong(f"AlarmRule is not valid near position {position}.")
            self.tokens.append(found)
            position = found.end()
        self.tokens.reverse()

    def alternatives(self, depth: int) -> _Holds:
        parts = [self._conjunction(depth)]
        while self._take("OR"):
            parts.append(self._conjunction(depth))
        return parts[0] if len(parts) == 1 else lambda states: any(part(states) for part in parts)

    def _conjunction(self, depth: int) -> _Holds:
        parts = [self._negation(depth)]
        while self._take("AND"):
            parts.append(self._negation(depth))
        return parts[0] if len(parts) == 1 else lambda states: all(part(states) for part in parts)

    def _negation(self, depth: int) -> _Holds:
        if depth > _DEPTH_MAX:
            raise wrong("AlarmRule is nested too deep.")
        if self._take("NOT"):
            inner = self._negation(depth + 1)
            return lambda states: not inner(states)
        if self._take("("):
            inner = self.alternatives(depth + 1)
            if not self._take(")"):
                raise wrong("AlarmRule is not valid: a parenthesis is not closed.")
            return inner
        if not self.tokens:
            raise wrong("AlarmRule is not valid: it ends too early.")
        token = self.tokens.pop()
        if (word := token["word"]) in ("TRUE", "FALSE"):
            return lambda _: word == "TRUE"
        if token["call"] is None:
            raise wrong(f"AlarmRule is not valid near {token.group().strip()}.")
        return self._state(token["call"], token["double"] or token["single"] or token["bare"] or "")

    def _state(self, state: str, named: str) -> _Holds:
        name = named.split(":alarm:", 1)[1] if named.startswith("arn:") and ":alarm:" in named else named
        self.children.append(name)
        return lambda states: states.get(name) == state

    def _take(self, what: str) -> bool:
        if self.tokens and what in (self.tokens[-1]["word"], self.tokens[-1]["sign"]):
            self.tokens.pop()
            return True
        return False


def defined(req: Mapping[str, Any], scope: Scope, now: float, previous: Alarm | None) -> Alarm:
    """The alarm a request defines; one that existed keeps its state."""
    parse(req["AlarmRule"])
    if previous is not None and "AlarmRule" not in previous:
        raise wrong(f"{req['AlarmName']} is a metric alarm.")
    for member in ACTIONS.values():
        check_actions(req.get(member) or [], "PutCompositeAlarm")
    state = previous or {
        "StateValue": "INSUFFICIENT_DATA", "StateReason": "Unchecked: Initial alarm creation",
        "StateUpdatedTimestamp": now, "StateTransitionedTimestamp": now,
    }  # fmt: skip
    return {
        **{member: [] for member in ACTIONS.values()},
        **{name: req[name] for name in _KEPT if name in req},
        **{name: value for name, value in state.items() if name.startswith("State")},
        "ActionsEnabled": req.get("ActionsEnabled", True),
        "AlarmArn": model.alarm_arn(scope, req["AlarmName"]),
        "AlarmConfigurationUpdatedTimestamp": now,
    }  # fmt: skip
